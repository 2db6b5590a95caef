package swarm

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// RunObjects is what one run of this host has on an engine. Whether the run is
// dead is for the caller to say: its folder's lock tells.
type RunObjects struct {
	Run      string
	Deadline time.Time // zero if it is not known
	Objects  []string  // "volume x_data", sorted

	cli  client.APIClient
	host string
}

// Owned lists everything on the engine that runs of a host created, by run.
func Owned(ctx context.Context, cli client.APIClient, host string) ([]RunObjects, error) {
	all, err := collect(ctx, cli, filters.NewArgs(filters.Arg("label", LabelHost+"="+host)))
	if err != nil {
		return nil, err
	}
	byRun := map[string]*RunObjects{}
	for _, o := range all {
		id := o.labels[LabelRun]
		r := byRun[id]
		if r == nil {
			r = &RunObjects{Run: id, cli: cli, host: host}
			byRun[id] = r
		}
		r.Objects = append(r.Objects, o.String())
		if d, err := time.Parse(time.RFC3339, o.labels[LabelDeadline]); err == nil && d.After(r.Deadline) {
			r.Deadline = d
		}
	}
	var out []RunObjects
	for _, r := range byRun {
		out = append(out, *r)
	}
	slices.SortFunc(out, func(x, y RunObjects) int { return cmp.Compare(x.Run, y.Run) })
	return out, nil
}

// reapGrace is what tasks of a dead run get to stop: nobody needs their data.
const reapGrace = 5 * time.Second

// Remove removes all of it, and returns when it is gone.
func (r RunObjects) Remove(ctx context.Context) error {
	b := listen(r.cli, "", func(*events.Message) {})
	defer b.close()
	f := ofRun(r.Run)
	f.Add("label", LabelHost+"="+r.host)
	c := &clearing{
		cli: r.cli, bus: b, grace: reapGrace,
		list: func(ctx context.Context) (objects, error) { return collect(ctx, r.cli, f) },
	}
	return c.run(ctx)
}

// ofRun selects everything that a run created.
func ofRun(run string) filters.Args {
	return filters.NewArgs(filters.Arg("label", LabelRun+"="+run))
}
