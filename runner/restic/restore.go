package restic

import (
	"context"
	"fmt"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// Restore brings back paths of a snapshot, named by its full id, into the
// mounted volumes. Each path must be in the snapshot, and as much of it must
// come back as the snapshot lists.
func (e *Engine) Restore(ctx context.Context, id string, paths []labels.SavedPath) error {
	l, err := e.list(ctx, id)
	if err != nil {
		return err
	}
	places, want, err := toRestore(l, paths)
	if err != nil {
		return fmt.Errorf("restore snapshot %s: %w", id, err)
	}
	args := []string{"restore", "--target", "/"}
	for _, p := range places {
		args = append(args, "--include", p.pattern())
	}
	var sum message
	r, err := e.run(ctx, summary(&sum), append(args, "--", id)...)
	if err != nil {
		return err
	}
	if r.exit != 0 {
		return r.fault("restore snapshot " + id)
	}
	return checkRestored(id, want, sum)
}

func checkRestored(id string, want int, sum message) error {
	if sum.MessageType == "" {
		return fmt.Errorf("restore snapshot %s: restic ended with 0 and told no result", id)
	}
	// A file whose bytes are right already is skipped, and counts as back.
	if got := sum.TotalFiles + sum.FilesSkipped; got != want {
		return fmt.Errorf("restore snapshot %s: %d paths should have come back, restic restored %d", id, want, got)
	}
	return nil
}

// toRestore is what to restore, and how many paths of the snapshot that is.
func toRestore(l *listing, paths []labels.SavedPath) ([]place, int, error) {
	var places []place
	for _, s := range paths {
		p, err := newPlace(s.Volume, s.Path)
		if err != nil {
			return nil, 0, err
		}
		if l.count(p) == 0 {
			return nil, 0, fmt.Errorf("it holds nothing at %v", p)
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		return nil, 0, fmt.Errorf("no path to restore")
	}
	return places, countAny(l, places), nil
}

// countAny counts the paths at or below any of the places, each once.
func countAny(l *listing, places []place) int {
	n := 0
	for volume, m := range l.volumes {
		for _, entry := range m {
			if heldByAny(volume, entry, places) {
				n++
			}
		}
	}
	return n
}

func heldByAny(volume string, entry runner.Entry, places []place) bool {
	for _, p := range places {
		if p.volume == volume && p.holds(entry.Path) {
			return true
		}
	}
	return false
}
