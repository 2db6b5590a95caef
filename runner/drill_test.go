package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"coopcloud.tech/abra-ccci/labels"
)

// A usedUp backup engine has hooks that fail so many times, and notes what was
// restored. No real hook can be made to fail in just one of two deployments.
type usedUp struct {
	BackupEngine
	fails    int
	restored []string
}

func (u *usedUp) Restore(_ context.Context, _ string, paths []labels.SavedPath) error {
	u.restored = append(u.restored, fmt.Sprint(len(paths)))
	return nil
}

func (u *usedUp) Hooks(context.Context, *labels.Plan, labels.HookKind) error {
	if u.fails--; u.fails >= 0 {
		return errors.New("no dump")
	}
	return nil
}

// All paths come back for a hook that has used them up, and for none that
// failed before: their effect would be credited to the path that was left out.
func TestBringBackPath(t *testing.T) {
	plan := &labels.Plan{}
	for _, v := range []string{"a", "b"} {
		plan.Volumes = append(plan.Volumes, labels.VolumePlan{Volume: v, Saved: true, Paths: []string{"."}, Mounts: []labels.MountPoint{{Service: "app", Target: "/" + v}}})
	}
	for _, tt := range []struct {
		name     string
		hooked   bool
		fails    int
		restored []string
		ok       bool
	}{
		{"hooks are content", true, 0, []string{"1"}, true},
		{"the dump was used up", true, 1, []string{"1", "2"}, true},
		{"they fail whatever there is", true, 2, []string{"1", "2"}, false},
		{"they failed before, and do not now", false, 0, []string{"1"}, true},
		{"they failed before, too", false, 1, []string{"1"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := &usedUp{fails: tt.fails}
			r, _ := aRun(t)
			r.Backups, r.snapshot = u, &Snapshot{ID: "s"}
			err := r.bringBackPath(t.Context(), plan, plan.Saved()[0], tt.hooked)
			if (err == nil) != tt.ok || !slices.Equal(u.restored, tt.restored) {
				t.Errorf("restored %v, %v", u.restored, err)
			}
		})
	}
}
