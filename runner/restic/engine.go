// Package restic saves and restores what a plan says with restic, which runs
// in the helper container beside the stack's volumes.
//
// # Where things are
//
// In the helper container the volumes are at /volumes/<name>, restic is
// /restic, and one directory of the run is mounted at /repository: it holds
// the repository itself (/repository/restic) and the password for it
// (/repository/password). Prepare makes that directory; nothing of it is ever
// in a volume of the stack. No cache is kept.
//
// # What restic says and does not say
//
// restic 0.18 exits with 0 when one of several paths to save does not exist,
// and with 0 when a restore matches nothing. Neither is success here: paths
// are looked at before the backup, every listing is counted against what the
// backup said it saved, and every restore against the listing. Snapshots are
// named by their full id; "latest" belongs to whoever was last.
//
// A backup reads every file again instead of trusting that an unchanged
// ctime means unchanged content: a false "unchanged" would restore old data.
//
// A restore overwrites files in place and leaves what the snapshot lacks. It
// gives owner and mode back to every restored path, and to the directories
// that lead to it, up to the volume's root.
package restic

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// A Box runs programs in the helper container.
type Box interface {
	// Stream runs argv with stdin (which may be nil) and copies its stdout as
	// it comes. A program that ended is no error, whatever its exit status;
	// stderr is the last runner.MaxOutput bytes of it. The error tells that
	// it could not be run, or that stdout took no more. When ctx ends, the
	// program is killed before Stream returns.
	Stream(ctx context.Context, argv []string, stdin io.Reader, stdout io.Writer) (exit int, stderr []byte, err error)
}

// Tasks reaches into the running tasks of the stack, as runner.Tasks does.
type Tasks interface {
	Exec(ctx context.Context, service string, c runner.Command) (runner.Output, error)
}

// An Engine implements runner.BackupEngine. It may be used by several
// goroutines, but restores into one volume should not overlap.
type Engine struct {
	box   Box
	tasks Tasks
	*repo
}

// A repo is what is known of the repository.
type repo struct {
	mu       sync.Mutex
	ready    bool                // it exists, and restic is new enough
	listings map[string]*listing // by snapshot id; snapshots never change
}

var _ runner.BackupEngine = (*Engine)(nil)

// New returns an engine that works in box and runs hooks through tasks. The
// repository is made at the first use.
func New(box Box, tasks Tasks) *Engine {
	return &Engine{box, tasks, &repo{listings: map[string]*listing{}}}
}

// Beside returns an engine for another app with the same repository.
func (e *Engine) Beside(box Box, tasks Tasks) *Engine { return &Engine{box, tasks, e.repo} }

// Files lists a snapshot volume by volume, sorted, without hashes. A volume
// of which only a path was saved has the directories that lead to it too.
func (e *Engine) Files(ctx context.Context, id string) (map[string]runner.Manifest, error) {
	l, err := e.list(ctx, id)
	if err != nil {
		return nil, err
	}
	volumes := map[string]runner.Manifest{}
	for name, m := range l.volumes {
		volumes[name] = slices.Clone(m)
	}
	return volumes, nil
}

// savedPaths is what the plan saves, as absolute paths in the helper
// container, in the plan's order.
func savedPaths(p *labels.Plan) ([]place, error) {
	var places []place
	for _, v := range p.Volumes {
		if !v.Saved {
			continue
		}
		for _, name := range v.Paths {
			pl, err := newPlace(v.Volume, name)
			if err != nil {
				return nil, err
			}
			places = append(places, pl)
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("the plan saves nothing")
	}
	return places, nil
}
