package runner

import (
	"context"
	"slices"
)

// An elder is a probe of another suite, as of the one that a pull request changes.
// It is seeded and asked beside the suite's own, and proves nothing of the recipe:
// it tells what that other suite would have noticed.

// SeedElders adds a piece of data for each of the probes, which are the rig's
// elders from then on. One that this app does not take is none; left says why.
func (g *Rig) SeedElders(ctx context.Context, probes []Probe) (left map[string]string, err error) {
	g.elders, left = nil, map[string]string{}
	for _, p := range probes {
		t := &tracked{Probe: p, slug: Slug(p.Name)}
		if err := g.r.ex.seed(ctx, t); err != nil {
			if infraOf(err) != nil || ctx.Err() != nil {
				return left, err
			}
			left[p.Name] = err.Error()
			continue
		}
		g.elders = append(g.elders, t)
	}
	return left, nil
}

// LookElders is Look for the elders.
func (g *Rig) LookElders(ctx context.Context) (sights map[string]Sight, reasons map[string]string, err error) {
	return g.ask(ctx, g.elders)
}

// Dismiss makes elders none any more.
func (g *Rig) Dismiss(names []string) {
	g.elders = slices.DeleteFunc(g.elders, func(p *tracked) bool { return slices.Contains(names, p.Name) })
}
