package runner

import (
	"path/filepath"
	"testing"
)

// The repository of a run is mounted into containers, and engines take
// absolute paths alone.
func TestFolderIsAbsolute(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f, err := NewFolder("runs", "locks", "one")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := filepath.Join(dir, "runs", "one"); f.Path != want {
		t.Errorf("folder %q, want %q", f.Path, want)
	}
}
