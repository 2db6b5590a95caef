package runner

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/labels"
)

// A Rig is the app of a run in the hands of whoever sabotages its backups, after
// the ladder was climbed: all of its data is there, and so is the pinned
// snapshot. What it did not start with, it may do anything to: the teardown
// follows. Methods return an *InfraError where the machine is to blame.
type Rig struct {
	r    *Run
	s    *stageRun
	plan *labels.Plan

	renewed bool // the engine has secrets with other values than the run's
	elders  []*tracked
}

// mutantsStage hands the app over.
func (r *Run) mutantsStage(ctx context.Context, installed bool) {
	if r.Sabotage == nil {
		return
	}
	r.runStage(ctx, StageMutants, func(ctx context.Context, s *stageRun) error {
		switch {
		case !r.backupsApply():
			return skip(noBackups)
		case r.snapshot == nil:
			return blocked(StageBackup)
		case !installed || r.running == nil:
			return blocked(StageInstall)
		}
		g := &Rig{r: r, s: s, plan: labels.PlanOf(r.running.Stack)}
		return r.Sabotage(ctx, g)
	})
}

// Undecided is an error that makes a test skip or unver, not fail.
func Undecided(status Status, format string, args ...any) error {
	return &undecided{status, fmt.Errorf(format, args...)}
}

// Remark is an error that leaves a test passed, and says something about it.
func Remark(text string) error { return note(text) }

// Test runs body as a test of the stage, with a log of its own. It tells
// whether the test passed.
func (g *Rig) Test(ctx context.Context, name string, body func(context.Context) error) bool {
	return g.s.test(ctx, name, body)
}

// Plan is what the labels of the running services make a backup save. Paths come
// in the order in which the suite's probes claim them.
func (g *Rig) Plan() *labels.Plan { return g.plan }

// Stack is what runs, resolved.
func (g *Rig) Stack() *labels.Stack { return g.r.running.Stack }

// Paths lists the saved paths, in the order of the suite.
func (g *Rig) Paths() []labels.SavedPath { return g.r.inSuiteOrder(g.plan.Saved()) }

// Pinned is the snapshot that the ladder restored.
func (g *Rig) Pinned() Snapshot { return *g.r.snapshot }

// A Witness is a probe as far as sabotage has to do with it.
type Witness struct {
	Name     string
	Claims   []labels.SavedPath // saved paths that its covers promise to prove
	Patience time.Duration      // the longest within of its check
}

// Witnesses lists the suite's probes.
func (g *Rig) Witnesses() []Witness {
	saved := g.plan.Saved()
	var out []Witness
	for _, p := range g.r.probes {
		out = append(out, Witness{Name: p.Name, Claims: p.claims(g.r.running.Stack, saved), Patience: longest(p.Check)})
	}
	return out
}

// A Sight is what a probe's check says of all that was seeded.
type Sight string

// The sights. Only a miss says that data is gone.
const (
	SightGreen Sight = "green" // all of it is there
	SightMiss  Sight = "miss"  // some of it was asked for properly, and is not there
	SightError Sight = "error" // anything else: the app is down, a timeout, a status that says nothing
)

// Look asks every probe, all at once, as patiently as a check that should hold.
// The reasons are of those that are not green.
func (g *Rig) Look(ctx context.Context) (sights map[string]Sight, reasons map[string]string, err error) {
	return g.ask(ctx, g.r.probes)
}

func (g *Rig) ask(ctx context.Context, probes []*tracked) (sights map[string]Sight, reasons map[string]string, err error) {
	looks := make([]sighting, len(probes))
	var all errgroup.Group
	for i, p := range probes {
		all.Go(func() error {
			looks[i] = g.r.ex.firstLook(ctx, p)
			return looks[i].infra
		})
	}
	if err := all.Wait(); err != nil {
		return nil, nil, err
	}
	sights, reasons = map[string]Sight{}, map[string]string{}
	for i, p := range probes {
		sights[p.Name] = looks[i].sight()
		if !looks[i].green {
			reasons[p.Name] = looks[i].reason
		}
	}
	return sights, reasons, nil
}

// firstLook asks for every token, the newest first, until one is not there.
func (x *exerciser) firstLook(ctx context.Context, p *tracked) sighting {
	for _, token := range slices.Backward(p.tokens) {
		one := *p
		one.tokens = []string{token}
		if s := x.look(ctx, &one); !s.green {
			return x.firm(ctx, &one, s)
		}
	}
	return sighting{green: len(p.tokens) > 0, reason: "never seeded"}
}

// inARow is how often a check has to miss for its data to be gone.
const inARow = 3

// firm asks again for what was missed: a check that flickers says nothing of a
// sabotage, though it may miss at the right moment.
func (x *exerciser) firm(ctx context.Context, p *tracked, s sighting) sighting {
	for range inARow - 1 {
		if !s.missed {
			return s
		}
		again := x.glance(ctx, p)
		if again.green {
			return sighting{reason: "it flickers: asked again at once it is there, after " + s.reason}
		}
		s = again
	}
	return s
}

func (s sighting) sight() Sight {
	switch {
	case s.green:
		return SightGreen
	case s.missed:
		return SightMiss
	}
	return SightError
}

// Seed adds a piece of data for every probe. From then on it is the only one that
// is asked for: whether earlier ones come back, too, the ladder has told. Where
// one can't be seeded, nothing can be said of any.
func (g *Rig) Seed(ctx context.Context) error {
	for _, p := range g.r.probes {
		p.tokens = nil
		if err := g.r.ex.seed(ctx, p); err != nil {
			return fmt.Errorf("probe %s: %w", p.Name, err)
		}
	}
	return nil
}

// Fresh removes everything, volumes too, deploys the head from nothing, and
// proves that nothing of the data is there: every check misses, asked twice.
func (g *Rig) Fresh(ctx context.Context) error {
	return g.fresh(ctx, Removal{Volumes: true, KeepNetworks: true})
}

// Generated lists the secrets that the run has made up, as the recipe calls them.
func (g *Rig) Generated() []string {
	var out []string
	for _, s := range g.r.secrets {
		if _, given := g.r.Suite.Deploy.Secrets[s.Short]; !given {
			out = append(out, s.Short)
		}
	}
	slices.Sort(out)
	return out
}

// FreshSecrets is Fresh, with other values for some of the Generated, until it is
// built from nothing again.
func (g *Rig) FreshSecrets(ctx context.Context, names []string) error {
	own := g.r.secrets
	defer func() { g.r.secrets, g.renewed = own, true }()
	g.r.secrets = maps.Clone(own)
	maps.DeleteFunc(g.r.secrets, func(_ string, s Secret) bool { return slices.Contains(names, s.Short) })
	g.renewed = true
	return g.fresh(ctx, Removal{Volumes: true, KeepNetworks: true})
}

func (g *Rig) fresh(ctx context.Context, what Removal) error {
	r := g.r
	what.Secrets, g.renewed = g.renewed, false
	tokens := r.tokens()
	err := r.deployAfter(ctx, what)
	r.remember(tokens)
	if err != nil {
		return unver("building the app from nothing: %w", err)
	}
	var all errgroup.Group
	for _, p := range r.probes {
		all.Go(func() error {
			if err := r.startsEmpty(ctx, p); err != nil {
				return unver("the app is not fresh: probe %s: %w", p.Name, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// Backup takes a snapshot as a plan says.
func (g *Rig) Backup(ctx context.Context, plan *labels.Plan) (Snapshot, error) {
	return g.r.take(ctx, plan)
}

// Files lists a snapshot, volume by volume.
func (g *Rig) Files(ctx context.Context, id string) (map[string]Manifest, error) {
	return g.r.Backups.Files(ctx, id)
}

// Restore brings back paths of a snapshot, without any hook.
func (g *Rig) Restore(ctx context.Context, id string, paths []labels.SavedPath) error {
	if len(paths) == 0 {
		return nil
	}
	return g.r.Backups.Restore(ctx, id, paths)
}

// Hooks runs the hooks of one kind that a plan has.
func (g *Rig) Hooks(ctx context.Context, plan *labels.Plan, kind labels.HookKind) error {
	return g.r.Backups.Hooks(ctx, plan, kind)
}

// Restart replaces every task.
func (g *Rig) Restart(ctx context.Context) error { return g.r.restart(ctx) }

// Volumes lists every volume of the stack as it is now.
func (g *Rig) Volumes(ctx context.Context) (map[string]Manifest, error) { return g.r.manifests(ctx) }

// Truncate cuts files of a volume to no bytes.
func (g *Rig) Truncate(ctx context.Context, volume string, paths []string) error {
	return g.r.Spoiler.Truncate(ctx, volume, paths)
}

// Remove removes files of a volume.
func (g *Rig) Remove(ctx context.Context, volume string, paths []string) error {
	return g.r.Spoiler.Remove(ctx, volume, paths)
}

// Pause lets time pass in which data that comes by itself could come.
func (g *Rig) Pause(ctx context.Context, d time.Duration) error {
	if d > 0 && !g.r.ex.pause(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// Now is the run's clock.
func (g *Rig) Now() time.Time { return g.r.Now() }
