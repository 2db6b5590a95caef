package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/labels"
)

// installStage removes everything, volumes too, and deploys the head from
// nothing with its own env. It is the drill's deployment, and runs without labels too.
func (r *Run) installStage(ctx context.Context) bool {
	stage := r.runStage(ctx, StageInstall, func(ctx context.Context, s *stageRun) error {
		if !r.wants(RungInstall) && !r.wants(RungBackupRestore) && !r.wants(RungFunctional) {
			return leftOut
		}
		if r.started != nil { // it did not start from nothing a moment ago
			s.found(ctx, "install_deploys_head", r.started)
			return nil
		}
		tokens := r.tokens()
		ok := s.test(ctx, "install_deploys_head", func(ctx context.Context) error {
			return r.deployFromNothing(ctx)
		})
		r.remember(tokens)
		if ok {
			s.test(ctx, "install_stays_up", r.staysUp)
		}
		return nil
	})
	return stage.Status == Pass
}

// tokens and remember carry what was seeded over a deployment from nothing:
// the snapshot has it, and the drill must bring it back.
func (r *Run) tokens() [][]string {
	var out [][]string
	for _, p := range r.probes {
		out = append(out, p.tokens)
	}
	return out
}

func (r *Run) remember(tokens [][]string) {
	for i, p := range r.probes {
		p.tokens = tokens[i]
	}
}

// drillStage restores onto the app that was built from nothing, one saved
// path at a time, and measures which probe depends on which path.
func (r *Run) drillStage(ctx context.Context, installed bool) {
	r.runStage(ctx, StageDrill, func(ctx context.Context, s *stageRun) error {
		switch {
		case !r.wants(RungBackupRestore):
			return leftOut
		case !r.backupsApply():
			return skip(noBackups)
		case r.snapshot == nil:
			return blocked(StageBackup)
		case !installed:
			return blocked(StageInstall)
		}
		d := newDrill(r, labels.PlanOf(r.running.Stack))
		err := d.first(ctx, s)
		if err == nil {
			d.further(ctx, s)
		}
		d.report(ctx, s)
		return err
	})
}

// A drill is one recovery from the repository alone.
type drill struct {
	r     *Run
	plan  *labels.Plan
	paths []labels.SavedPath

	bytes  map[string]bool     // paths whose bytes came back
	proven map[string][]string // path -> probes that were measured to depend on it
	why    map[string]string   // path -> what a measurement said against it
}

func newDrill(r *Run, plan *labels.Plan) *drill {
	return &drill{r: r, plan: plan, paths: r.inSuiteOrder(plan.Saved()), bytes: map[string]bool{}, proven: map[string][]string{}, why: map[string]string{}}
}

// inSuiteOrder puts the paths in the order in which the suite's probes claim
// them: later probes often stand on earlier ones' data (a message needs its
// account), and then this order proves most at once.
func (r *Run) inSuiteOrder(paths []labels.SavedPath) []labels.SavedPath {
	rank := map[labels.SavedPath]int{}
	for i, p := range slices.Backward(r.probes) {
		for _, claim := range p.claims(r.running.Stack, paths) {
			rank[claim] = i - len(r.probes)
		}
	}
	paths = slices.Clone(paths)
	slices.SortStableFunc(paths, func(a, b labels.SavedPath) int { return rank[a] - rank[b] })
	return paths
}

// first is the recovery itself: empty, then path by path, hooks last.
func (d *drill) first(ctx context.Context, s *stageRun) error {
	r := d.r
	empty := map[*tracked]bool{}
	for _, p := range r.probes {
		empty[p] = s.test(ctx, "drill_starts_empty_"+p.slug, func(ctx context.Context) error { return r.startsEmpty(ctx, p) })
	}
	s.test(ctx, "drill_stays_up_empty", r.staysUp)
	if err := r.Backups.Hooks(ctx, d.plan, labels.RestorePre); err != nil {
		s.found(ctx, "drill_runs_pre_hooks", err)
		return blocked("drill_runs_pre_hooks")
	}
	missing := map[*tracked]bool{}
	for p, ok := range empty {
		missing[p] = ok
	}
	for _, path := range d.paths {
		if !s.test(ctx, "drill_restores_"+pathSlug(path), func(ctx context.Context) error { return d.restorePath(ctx, path, missing) }) {
			return blocked("drill_restores_" + pathSlug(path))
		}
	}
	if !s.test(ctx, "drill_runs_hooks", func(ctx context.Context) error { return r.Backups.Hooks(ctx, d.plan, labels.RestorePost) }) {
		return blocked("drill_runs_hooks")
	}
	for _, p := range r.probes {
		s.test(ctx, "drill_returns_"+p.slug, func(ctx context.Context) error {
			if len(p.tokens) == 0 {
				return unver("nothing was seeded")
			}
			return r.lost(d.plan, p, r.ex.present(ctx, p).asError())
		})
	}
	s.test(ctx, "drill_leaves_tasks", r.mayFall)
	r.mu.Lock()
	r.results.Drill = Drill{Seconds: r.Now().Sub(r.emptied).Round(time.Millisecond).Seconds(), Bytes: r.snapshot.Bytes}
	r.mu.Unlock()
	return nil
}

// startsEmpty proves that the check does not hold on an empty app: what it
// would find there is not the data.
func (r *Run) startsEmpty(ctx context.Context, p *tracked) error {
	if len(p.tokens) == 0 {
		return unver("nothing was seeded")
	}
	for _, look := range []func(context.Context, *tracked) sighting{r.ex.look, r.ex.glance} {
		switch look := look(ctx, p); {
		case look.infra != nil:
			return look.infra
		case look.green:
			return fmt.Errorf("the check holds on an app without the data: something else satisfies it")
		case !look.missing:
			return unver("the check does not clearly miss on an empty app: %s", look.reason)
		}
	}
	return nil
}

// restorePath brings one path back, proves its bytes, and looks which probes
// it turns from missing to green: those depend on it.
func (d *drill) restorePath(ctx context.Context, path labels.SavedPath, missing map[*tracked]bool) error {
	r := d.r
	began := time.Now()
	if err := r.Backups.Restore(ctx, r.snapshot.ID, []labels.SavedPath{path}); err != nil {
		return err
	}
	var compared errgroup.Group
	compared.Go(func() error { return d.sameBytes(ctx, path, began) })
	looks, lookErr := d.lookAt(ctx, missing)
	if err := compared.Wait(); err != nil {
		return err
	}
	d.bytes[path.String()] = true
	for _, p := range r.probes {
		look, looked := looks[p]
		if !looked {
			continue
		}
		if look.green {
			d.prove(path, p)
		}
		// Half of the data back, or an error, is no clean start for the next path.
		missing[p] = look.missing
	}
	return lookErr
}

// lookAt looks at the probes that were missing so far. The error is the
// machine's; what was seen before it counts.
func (d *drill) lookAt(ctx context.Context, missing map[*tracked]bool) (map[*tracked]sighting, error) {
	seen := make([]sighting, len(d.r.probes))
	var all errgroup.Group
	for i, p := range d.r.probes {
		if missing[p] {
			all.Go(func() error {
				seen[i] = d.r.ex.look(ctx, p)
				return seen[i].infra
			})
		}
	}
	err := all.Wait()
	looks := map[*tracked]sighting{}
	for i, p := range d.r.probes {
		if missing[p] && seen[i].infra == nil {
			looks[p] = seen[i]
		}
	}
	return looks, err
}

func (d *drill) prove(path labels.SavedPath, p *tracked) {
	key := path.String()
	if !slices.Contains(d.proven[key], p.Name) {
		d.proven[key] = append(d.proven[key], p.Name)
	}
}

// sameBytes compares what is in the volume now with what stood still around
// the snapshot. A file that the app wrote to since is the app's.
func (d *drill) sameBytes(ctx context.Context, path labels.SavedPath, began time.Time) error {
	r := d.r
	now, err := r.Volumes.Manifest(ctx, path.Volume)
	if err != nil {
		return err
	}
	touched := map[string]bool{}
	for i, e := range now {
		if e.MTime.After(began) {
			now[i].Hash, now[i].Size = "", -1
			touched[e.Path] = true
		}
	}
	below := func(m Manifest) Manifest {
		return slices.DeleteFunc(slices.Clone(m), func(e Entry) bool { _, ok := within(path.Path, e.Path); return !ok })
	}
	want := below(r.stable[path.Volume])
	for i, e := range want {
		if touched[e.Path] {
			want[i].Hash, want[i].Size = "", -1
		}
	}
	return r.compare(path.Volume, want, below(now))
}

// further measures what the first order of paths could not tell: a probe that
// claims a path is asked on an app that has everything but that path.
func (d *drill) further(ctx context.Context, s *stageRun) {
	for _, path := range d.paths {
		if len(d.proven[path.String()]) > 0 {
			continue
		}
		candidates := d.claimants(path)
		if len(candidates) == 0 {
			continue
		}
		s.test(ctx, "drill_without_"+pathSlug(path), func(ctx context.Context) error { return d.without(ctx, path, candidates) })
	}
}

// claimants are the probes that promise to depend on a path.
func (d *drill) claimants(path labels.SavedPath) []*tracked {
	return slices.DeleteFunc(slices.Clone(d.r.probes), func(p *tracked) bool {
		return len(p.tokens) == 0 || !slices.Contains(p.claims(d.r.running.Stack, d.paths), path)
	})
}

// without builds the app from nothing once more, restores all paths but one,
// and looks; then that one, and looks again.
func (d *drill) without(ctx context.Context, path labels.SavedPath, probes []*tracked) error {
	r := d.r
	tokens := r.tokens()
	err := r.deployFromNothing(ctx)
	r.remember(tokens)
	if err != nil {
		return unver("building the app from nothing once more: %w", err)
	}
	if err := r.Backups.Hooks(ctx, d.plan, labels.RestorePre); err != nil {
		return unver("before restoring all but %s: %w", path, err)
	}
	others := slices.DeleteFunc(slices.Clone(d.paths), func(o labels.SavedPath) bool { return o == path })
	if len(others) > 0 {
		if err := r.Backups.Restore(ctx, r.snapshot.ID, others); err != nil {
			return unver("restoring all but %s: %w", path, err)
		}
	}
	hooked := r.Backups.Hooks(ctx, d.plan, labels.RestorePost)
	if hooked != nil {
		fmt.Fprintf(StepLog(ctx), "# without %s a hook fails, as it may: %v\n", path, hooked)
	}
	before := map[*tracked]sighting{}
	for _, p := range probes {
		before[p] = r.ex.look(ctx, p)
	}
	if err := r.bringBackPath(ctx, d.plan, path, hooked == nil); err != nil {
		return unver("restoring %s last: %w", path, err)
	}
	var untrue []string
	for _, p := range probes {
		after := r.ex.look(ctx, p)
		switch {
		case before[p].missing && after.green:
			d.prove(path, p)
		case before[p].green:
			untrue = append(untrue, p.Name)
		}
	}
	if len(d.proven[path.String()]) == 0 && len(untrue) > 0 {
		d.why[path.String()] = fmt.Sprintf("%s covers it, but is green without it", strings.Join(untrue, ", "))
		return note(d.why[path.String()])
	}
	return nil
}

// bringBackPath restores the one path that is not there yet. The others come
// with it only if a hook fails that has done its work on them before: it may
// have used them up. Had it not, what they bring would be credited to path.
func (r *Run) bringBackPath(ctx context.Context, plan *labels.Plan, path labels.SavedPath, hooked bool) error {
	if err := r.Backups.Restore(ctx, r.snapshot.ID, []labels.SavedPath{path}); err != nil {
		return err
	}
	err := r.Backups.Hooks(ctx, plan, labels.RestorePost)
	if err == nil || !hooked || infraOf(err) != nil {
		return err
	}
	if err := r.Backups.Restore(ctx, r.snapshot.ID, plan.Saved()); err != nil {
		return err
	}
	return r.Backups.Hooks(ctx, plan, labels.RestorePost)
}

// report turns the measurements into one test and one row of coverage for
// each saved path: only proof app passes.
func (d *drill) report(ctx context.Context, s *stageRun) {
	for _, path := range d.paths {
		proof := d.proof(path)
		s.found(ctx, "drill_proves_"+pathSlug(path), func() error {
			if proof == ProofApp {
				return note("depended on by " + strings.Join(d.proven[path.String()], ", "))
			}
			return unver("%s", d.lacks(path, proof))
		}())
	}
	d.r.coverage(d)
}

func (d *drill) proof(path labels.SavedPath) Proof {
	switch {
	case len(d.proven[path.String()]) > 0 && d.bytes[path.String()]:
		return ProofApp
	case d.bytes[path.String()]:
		return ProofFile
	default:
		return ProofNone
	}
}

// lacks says what is missing for proof app.
func (d *drill) lacks(path labels.SavedPath, proof Proof) string {
	why := d.why[path.String()]
	if why == "" {
		why = "no probe was seen to depend on it"
	}
	if proof == ProofFile {
		return fmt.Sprintf("%s has proof file only: %s", path, why)
	}
	return fmt.Sprintf("%s has no proof: its bytes were not seen to come back", path)
}
