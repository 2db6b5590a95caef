package restic_test

import (
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner/inside"
	"coopcloud.tech/abra-ccci/runner/restic"
)

// Output that was cut off at a line's end parses; it must be noticed all the
// same, or the files of the lost lines would be missed by nobody.
func TestCutOffListings(t *testing.T) {
	b := newBed(t, "data")
	b.write("data", "a", "a")
	b.write("data", "b", "b")
	s := b.backup(planOf("data:."))
	for _, lost := range []int{1, 3} {
		cut := cutBox{b.app, lost}
		if files, err := restic.New(cut, b.hooks).Files(t.Context(), s.ID); err == nil {
			t.Errorf("snapshot listing without its last %d lines: %v", lost, files)
		}
		if m, err := (inside.Volumes{Box: cut}).Manifest(t.Context(), "data"); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("manifest without its last %d lines: %v, %v", lost, m, err)
		}
	}
}
