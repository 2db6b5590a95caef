package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
)

// decoyPrefix begins the name of every decoy.
const decoyPrefix = ".ccci-decoy-"

// restore wipes every probe, proves the wipe, restores the pinned snapshot
// into the running app as backup-bot-two does, and looks again after every
// task was replaced.
func (r *Run) restore(ctx context.Context, s *stageRun) error {
	plan := labels.PlanOf(r.running.Stack)
	decoy := decoyPrefix + newToken()
	var placed []labels.SavedPath
	s.test(ctx, "restore_places_decoys", func(ctx context.Context) (err error) { placed, err = r.placeDecoys(ctx, plan, decoy); return err })
	early := map[string]bool{} // probes that an earlier restore brought back
	for _, p := range slices.Backward(r.probes) {
		s.test(ctx, "wipe_removes_"+p.slug, func(ctx context.Context) error { return r.wipeProven(ctx, plan, p, early) })
	}
	if !s.test(ctx, "restore_runs", func(ctx context.Context) error { return r.bringBack(ctx, plan) }) {
		return blocked("restore_runs")
	}
	first := map[*tracked]error{}
	for _, p := range r.probes {
		s.test(ctx, "restore_returns_"+p.slug, func(ctx context.Context) error {
			if !s.passed("wipe_removes_" + p.slug) {
				return blocked("wipe_removes_" + p.slug)
			}
			first[p] = r.lost(plan, p, r.ex.present(ctx, p).asError())
			return first[p]
		})
	}
	s.test(ctx, "restore_keeps_or_removes_decoys", func(ctx context.Context) error { return r.decoysNow(ctx, placed, decoy) })
	s.test(ctx, "restore_leaves_tasks", r.mayFall)
	if !s.test(ctx, "restore_restarts", r.restart) {
		return blocked("restore_restarts")
	}
	for _, p := range r.probes {
		ok := s.test(ctx, "restore_survives_restart_"+p.slug, func(ctx context.Context) error { return r.survives(ctx, p) })
		if ok && first[p] != nil {
			s.explain("restore_returns_"+p.slug, "needs a restart after restore: ")
		}
	}
	s.test(ctx, "restore_stays_up", r.staysUp)
	return nil
}

// restart replaces every task; what falls is counted anew.
func (r *Run) restart(ctx context.Context) error {
	err := r.Deployer.Restart(ctx)
	r.told = map[string]int{}
	return err
}

// explain puts a cause before the reason of a test of this stage.
func (s *stageRun) explain(name, cause string) {
	for i := range s.stage.Tests {
		if t := &s.stage.Tests[i]; t.Name == name && t.Status != Pass {
			t.Reason = cause + t.Reason
		}
	}
}

// wipeProven wipes one probe and proves that nothing of it is left. It must
// be green just before: if another's wipe took it along, it is restored first.
func (r *Run) wipeProven(ctx context.Context, plan *labels.Plan, p *tracked, early map[string]bool) error {
	if len(p.tokens) == 0 {
		return unver("nothing was seeded")
	}
	if reply := r.ex.present(ctx, p); reply.answer != holds {
		if reply.infra != nil {
			return reply.infra
		}
		fmt.Fprintf(StepLog(ctx), "# not green before its own wipe (%s): restoring in between\n", reply.reason)
		if err := r.bringBack(ctx, plan); err != nil {
			return unver("not green before its own wipe, and a restore in between failed: %w", err)
		}
		if reply := r.ex.present(ctx, p); reply.answer != holds {
			return unver("not green before its own wipe, nor after a restore in between: %s", reply.reason)
		}
		early[p.slug] = true
	}
	before, err := r.stood(ctx)
	if err != nil {
		return err
	}
	if err := r.ex.wipe(ctx, p); err != nil {
		return err
	}
	err = r.ex.absent(ctx, p)
	switch {
	case err == nil:
		return r.wipedFrom(ctx, before, p)
	case !errors.Is(err, errStillHolds):
		return fmt.Errorf("after the wipe: %w", err)
	case r.ex.blind(ctx, p):
		return fmt.Errorf("the check does not look at the data: it holds for a token that was never seeded, too (%w)", err)
	}
	return fmt.Errorf("the wipe removed nothing that the check looks at: %w", err)
}

// bringBack restores the pinned snapshot into the running app, hooks included.
func (r *Run) bringBack(ctx context.Context, plan *labels.Plan) error {
	if err := r.Backups.Hooks(ctx, plan, labels.RestorePre); err != nil {
		return err
	}
	if err := r.Backups.Restore(ctx, r.snapshot.ID, plan.Saved()); err != nil {
		return err
	}
	return r.Backups.Hooks(ctx, plan, labels.RestorePost)
}

// survives looks at a probe after every task was replaced, and whether the
// app still takes new data.
func (r *Run) survives(ctx context.Context, p *tracked) error {
	if len(p.tokens) == 0 {
		return unver("nothing was seeded")
	}
	if err := r.ex.present(ctx, p).asError(); err != nil {
		return err
	}
	kept := p.tokens
	defer func() { p.tokens = kept }() // the new one is in no snapshot
	err := r.ex.seed(ctx, p)
	var u *undecided
	if errors.As(err, &u) {
		return fmt.Errorf("after restore and restart the app takes no new data: %w", u.err)
	}
	return err
}

// savedDirs lists the saved paths that are directories in the snapshot.
func (r *Run) savedDirs(plan *labels.Plan) []labels.SavedPath {
	var out []labels.SavedPath
	for _, p := range plan.Saved() {
		isFile := slices.ContainsFunc(r.stored[p.Volume], func(e Entry) bool { return e.Path == p.Path && e.Type != "dir" })
		if !isFile {
			out = append(out, p)
		}
	}
	return out
}

// placeDecoys puts a file that no snapshot has into every saved directory, and
// returns those: one that a post-hook of the backup has removed gets none.
func (r *Run) placeDecoys(ctx context.Context, plan *labels.Plan, name string) (placed []labels.SavedPath, err error) {
	for _, p := range r.savedDirs(plan) {
		err := r.Volumes.Decoy(ctx, p.Volume, p.Path, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(StepLog(ctx), "# %s is not there now\n", p)
		case err != nil:
			return nil, fmt.Errorf("decoy in %s: %w", p, err)
		default:
			placed = append(placed, p)
		}
	}
	return placed, nil
}

// decoysNow says whether the restore was additive or exact. Both are right;
// who relies on one should know.
func (r *Run) decoysNow(ctx context.Context, placed []labels.SavedPath, name string) error {
	var kept, gone []string
	for _, p := range placed {
		m, err := r.Volumes.Manifest(ctx, p.Volume)
		if err != nil {
			return err
		}
		at := path.Join(p.Path, name)
		if slices.ContainsFunc(m, func(e Entry) bool { return e.Path == at }) {
			kept = append(kept, p.String())
		} else {
			gone = append(gone, p.String())
		}
	}
	switch {
	case len(placed) == 0:
		return note("no saved directory was there to put a decoy into")
	case len(gone) == 0:
		return note("additive: files that the snapshot lacks stay")
	case len(kept) == 0:
		return note("exact: files that the snapshot lacks are removed")
	default:
		return note("mixed: additive in " + strings.Join(kept, ", ") + ", exact in " + strings.Join(gone, ", "))
	}
}
