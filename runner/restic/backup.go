package restic

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// postHookTime is what the post-hooks have after a backup that was interrupted.
const postHookTime = time.Minute

var fullID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Backup runs the backup pre-hooks, copies every saved path, and runs the
// post-hooks, also after a failure: a pre-hook may have stopped something. A
// saved path that does not exist, a file that could not be read, and a plan
// that saves nothing are errors.
func (e *Engine) Backup(ctx context.Context, p *labels.Plan) (s runner.Snapshot, err error) {
	places, err := savedPaths(p)
	if err != nil {
		return runner.Snapshot{}, err
	}
	defer func() {
		post, cancel := runner.Outlast(ctx, postHookTime)
		if err == nil {
			post = ctx
		}
		err = errors.Join(err, e.Hooks(post, p, labels.BackupPost))
		cancel()
	}()
	if err := e.Hooks(ctx, p, labels.BackupPre); err != nil {
		return runner.Snapshot{}, err
	}
	return e.save(ctx, places)
}

// save makes the snapshot.
func (e *Engine) save(ctx context.Context, places []place) (runner.Snapshot, error) {
	if err := e.Prepare(ctx); err != nil {
		return runner.Snapshot{}, err
	}
	args := []string{"backup", "--force", "--no-scan", "--host", "ccci", "--"}
	for _, p := range places {
		if err := e.exists(ctx, p); err != nil {
			return runner.Snapshot{}, err
		}
		args = append(args, p.abs())
	}
	var sum message
	r, err := e.run(ctx, summary(&sum), args...)
	if err != nil {
		return runner.Snapshot{}, err
	}
	return snapshotOf(r, sum)
}

func snapshotOf(r result, sum message) (runner.Snapshot, error) {
	switch {
	case r.exit == exitIncomplete:
		return runner.Snapshot{}, fmt.Errorf("the snapshot is incomplete: %s", r.reason())
	case r.exit != 0:
		return runner.Snapshot{}, r.fault("back up")
	case !fullID.MatchString(sum.SnapshotID):
		return runner.Snapshot{}, fmt.Errorf("restic backup ended with 0 and told no snapshot id (%q)", sum.SnapshotID)
	}
	return runner.Snapshot{ID: sum.SnapshotID, Files: sum.FilesProcessed, Bytes: sum.BytesProcessed}, nil
}

// exists is an error unless something is at p, reached through no symlink.
func (e *Engine) exists(ctx context.Context, p place) error {
	argv := []string{"/abra-ccci", "inside", "stat", p.root(), p.name}
	exit, stderr, err := e.box.Stream(ctx, argv, nil, &lineWriter{line: ignore})
	switch {
	case err != nil:
		return fmt.Errorf("look at %v: %w", p, err)
	case exit == 0:
		return nil
	case exit == 3: // the subcommand's "no"
		return fmt.Errorf("nothing to back up at %v: it does not exist", p)
	}
	return fmt.Errorf("look at %v: exit %d: %s", p, exit, strings.TrimSpace(string(stderr)))
}
