package runner

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
)

// A LogSink is where the raw output of one task's container goes.
type LogSink func(service, task string) (stdout, stderr io.WriteCloser)

// A Twin is what a second app of a run works with. It has the same domain, the same
// values of secrets and the same backups as the first, and a stack name, networks
// and volumes of its own: what is restored into it finds what it expects, and
// neither sees the other.
type Twin struct {
	Deployer Deployer
	Tasks    Tasks
	Volumes  Volumes
	Spoiler  Spoiler
	Backups  BackupEngine // of the same repository
	Machine  Machine      // asked for gaps in the logs alone
	Standing func(context.Context) (Standing, error)
}

// Twin is a Rig with an app of its own, which is not there until Fresh. Both may be
// used at the same time. The run removes it in the end.
func (g *Rig) Twin() (*Rig, error) {
	r := g.r
	if r.NewTwin == nil {
		return nil, fmt.Errorf("this run has one app only")
	}
	c := r.Config
	t := &Run{Config: c, observer: r.observer, stack: recipe.StackName(recipe.Domain(rand.Reader)), headPlan: r.headPlan,
		leaks: r.leaks, kept: r.kept, meter: r.meter, told: map[string]int{}, twin: true}
	t.results.Images = map[string]string{} // what there is to say of it, the first says
	twin, err := r.NewTwin(t.stack, t.ServiceLog)
	if err != nil {
		return nil, err
	}
	t.Deployer, t.Tasks, t.Volumes, t.Spoiler, t.Backups = twin.Deployer, twin.Tasks, twin.Volumes, twin.Spoiler, twin.Backups
	t.Machine, t.Standing = twin.Machine, twin.Standing
	t.Config.metered(t.meter)
	t.secrets = secretsAs(r.secrets, r.stack, t.stack)
	t.probes = copied(r.probes)
	r.twins = append(r.twins, t)
	return &Rig{r: t, s: g.s, plan: g.plan, elders: copied(g.elders)}, nil
}

func copied(probes []*tracked) (out []*tracked) {
	for _, p := range probes {
		out = append(out, &tracked{Probe: p.Probe, slug: p.slug, tokens: slices.Clone(p.tokens)})
	}
	return out
}

// secretsAs is the secrets of a stack as another stack's: the same values.
func secretsAs(all map[string]Secret, from, to string) map[string]Secret {
	out := map[string]Secret{}
	for _, s := range all {
		if rest, ok := strings.CutPrefix(s.Name, from+"_"); ok {
			s.Name = to + "_" + rest
		}
		out[s.Name] = s
	}
	return out
}

// Saves tells whether what runs is saved and restored as plan says: a twin's hooks
// may have the name of its stack in them.
func (g *Rig) Saves(plan *labels.Plan) bool {
	own := labels.PlanOf(g.r.running.Stack)
	return slices.Equal(own.Hooks, plan.Hooks) && slices.Equal(g.r.inSuiteOrder(own.Saved()), g.r.inSuiteOrder(plan.Saved()))
}
