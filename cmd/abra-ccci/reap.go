package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/docker/client"
	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

func reapCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "reap [RUN…]",
		Short: "remove what a killed run left behind",
		Long: `Reap removes from the engine in use what runs of this host left there that are
no longer alive: services, networks, volumes, secrets, configs, helper
containers; and from disk their working files, with the backup repository and its
password. Records and logs stay. It never touches what a live run owns, nor
another host's, nor what no run made. What a run with --keep left goes only if the
run is named. Every run begins with it. Private engines that were left go, too, and
helper images of other builds that no container has, after an hour.`,
		RunE: func(cmd *cobra.Command, runs []string) error {
			id, err := hostID(e.stateDir())
			if err != nil {
				return err
			}
			return e.reap(cmd.Context(), id, runs)
		},
	}
}

// reap clears disks also where no engine answers.
func (e *env) reap(ctx context.Context, host string, runs []string) error {
	r := reaper{e: e, host: host, locks: (&climb{e: e}).locks()}
	c, _, unreachable := swarm.Connect(ctx, e.getenv)
	if unreachable == nil {
		r.client = c
	}
	if c != nil {
		defer c.Close()
	}
	engines := swarm.SweepPrivate()
	for _, dir := range engines {
		fmt.Fprintf(e.stderr, "abra-ccci: removed a private engine that was left: %s\n", runner.Printable(dir))
	}
	n, err := r.reap(ctx, runs)
	if r.client != nil {
		images, failed := r.dropImages(ctx, c)
		n, err = n+images, errors.Join(err, failed)
	}
	if err = errors.Join(unreachable, err); err == nil && n+len(engines) == 0 {
		fmt.Fprintln(e.stdout, "nothing to remove")
	}
	return err
}

// dropImages removes helper images that other builds of the tool left.
func (r *reaper) dropImages(ctx context.Context, c *client.Client) (int, error) {
	own, err := helperImage(ctx, r.e, c)
	if err != nil {
		return 0, err
	}
	images, err := swarm.DropHelperImages(ctx, c, own, swarm.HelperAge)
	for _, image := range images {
		fmt.Fprintf(r.e.stderr, "abra-ccci: removed a helper image of another build: %s\n", runner.Printable(image))
	}
	return len(images), err
}

// reapDead is reap before a run: what it can't remove, it says. What an
// earlier run of the same id left must go, too.
func reapDead(ctx context.Context, e *env, s *site, host, locks, own string) {
	r := reaper{e: e, client: s.client, host: host, locks: locks, own: own}
	if _, err := r.reap(ctx, nil); err != nil {
		fmt.Fprintf(e.stderr, "abra-ccci: dead runs: %s\n", runner.Printable(err.Error()))
	}
}

// A reaper removes what dead runs of this host left, on the engine and on disk.
type reaper struct {
	e           *env
	client      client.APIClient // nil: no engine answers, and only disks are cleared
	host, locks string
	own         string // id of the run that reaps; may be empty
}

// reap removes and says what, and counts the runs. Those that were kept must
// be named.
func (r *reaper) reap(ctx context.Context, named []string) (n int, err error) {
	objects := map[string]swarm.RunObjects{}
	if r.client != nil {
		owned, err := swarm.Owned(ctx, r.client, r.host)
		if err != nil {
			return 0, err
		}
		for _, o := range owned {
			objects[o.Run] = o
		}
	}
	runs, err := runner.Known(r.locks)
	for id := range objects {
		runs = append(runs, id)
	}
	slices.Sort(runs)
	errs := []error{err}
	for _, id := range slices.Compact(runs) {
		if len(named) > 0 && !slices.Contains(named, id) || len(named) == 0 && runner.Kept(r.locks, id) {
			continue
		}
		found, err := r.bury(ctx, id, objects[id])
		if found {
			n++
		}
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

// bury removes what one run left, unless it is alive or somebody else is at it.
func (r *reaper) bury(ctx context.Context, id string, o swarm.RunObjects) (found bool, err error) {
	left := slices.Clone(o.Objects)
	var remains *runner.Remains
	if id != r.own {
		remains, err = runner.RemainsOf(r.locks, id)
		if errors.Is(err, runner.ErrRunning) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer remains.Close()
		if remains.Work != "" {
			left = append(left, remains.Work)
		}
	}
	if len(left) > 0 {
		fmt.Fprintf(r.e.stderr, "abra-ccci: removing what run %s left: %s\n", runner.Printable(id), runner.Printable(strings.Join(left, ", ")))
	}
	if len(o.Objects) > 0 {
		if err := o.Remove(ctx); err != nil {
			return true, err
		}
	}
	if remains != nil {
		err = remains.Remove()
	}
	return len(left) > 0, err
}
