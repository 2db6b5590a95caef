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
containers. It never touches what a live run owns, nor another host's, nor what
no run made. What a run with --keep left goes only if the run is named. Every run
begins with it.`,
		RunE: func(cmd *cobra.Command, runs []string) error {
			id, err := hostID(e.stateDir())
			if err != nil {
				return err
			}
			c, _, err := swarm.Connect(cmd.Context(), e.getenv)
			if err != nil {
				return err
			}
			defer c.Close()
			n, err := reap(cmd.Context(), e, c, id, (&climb{e: e}).locks(), runs)
			if err == nil && n == 0 {
				fmt.Fprintln(e.stdout, "nothing to remove")
			}
			return err
		},
	}
}

// reapDead is reap before a run: what it can't remove, it says.
func reapDead(ctx context.Context, e *env, s *site, host, locks string) {
	if _, err := reap(ctx, e, s.client, host, locks, nil); err != nil {
		fmt.Fprintf(e.stderr, "abra-ccci: dead runs: %s\n", runner.Printable(err.Error()))
	}
}

// reap removes what dead runs of this host own, says what, and counts the
// runs. Those that were kept must be named.
func reap(ctx context.Context, e *env, c client.APIClient, host, locks string, named []string) (int, error) {
	owned, err := swarm.Owned(ctx, c, host)
	if err != nil {
		return 0, err
	}
	n := 0
	var errs []error
	for _, o := range owned {
		wanted := len(named) == 0 && !runner.Kept(locks, o.Run) || slices.Contains(named, o.Run)
		if !wanted || runner.Alive(locks, o.Run) {
			continue
		}
		n++
		fmt.Fprintf(e.stderr, "abra-ccci: removing what run %s left: %s\n", runner.Printable(o.Run), runner.Printable(strings.Join(o.Objects, ", ")))
		err := o.Remove(ctx)
		if err == nil {
			err = runner.Forget(locks, o.Run)
		}
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}
