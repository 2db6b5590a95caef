package runner

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// killed is the folder of a run whose process died: the lock's file is there,
// and nobody holds it.
func killed(t *testing.T, runs, locks, id string) *Folder {
	t.Helper()
	f, err := NewFolder(runs, locks, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Work("password"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.lock.Close()
	return f
}

func TestRemains(t *testing.T) {
	runs, locks := t.TempDir(), t.TempDir()
	live, err := NewFolder(runs, locks, "live")
	if err != nil {
		t.Fatal(err)
	}
	dead := killed(t, runs, locks, "dead")
	if known, err := Known(locks); err != nil || !slices.Equal(known, []string{"dead", "live"}) {
		t.Errorf("known %v, %v", known, err)
	}
	if _, err := RemainsOf(locks, "live"); !errors.Is(err, ErrRunning) {
		t.Errorf("remains of a live run: %v", err)
	}
	m, err := RemainsOf(locks, "dead")
	if err != nil || m.Work != dead.Work() {
		t.Fatalf("remains %+v, %v", m, err)
	}
	if _, err := RemainsOf(locks, "dead"); !errors.Is(err, ErrRunning) {
		t.Errorf("two reapers have the same run: %v", err)
	}
	if err := m.Remove(); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{dead.Path, lockName(locks, "dead")} {
		if _, err := os.Lstat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", gone, err)
		}
	}
	if _, err := os.Lstat(live.Work()); err != nil {
		t.Errorf("the live run lost its files: %v", err)
	}
	if err := errors.Join(live.Sweep(), live.Close()); err != nil {
		t.Fatal(err)
	}
	if known, _ := Known(locks); len(known) > 0 {
		t.Errorf("still known: %v", known)
	}
}

// What could not be removed is found again; the record stays.
func TestRemainsKeepRecord(t *testing.T) {
	runs, locks := t.TempDir(), t.TempDir()
	f := killed(t, runs, locks, "dead")
	record := filepath.Join(f.Path, "results.json")
	if err := os.WriteFile(record, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a reaper that gave up changes nothing
		m, err := RemainsOf(locks, "dead")
		if err != nil || m.Work == "" {
			t.Fatalf("remains %+v, %v", m, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m, err := RemainsOf(locks, "dead")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(record); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(f.Work()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("working files are still there (%v)", err)
	}
}

// A lock's file that says something else names nothing to remove.
func TestRemainsOfAForeignPath(t *testing.T) {
	locks, elsewhere := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(elsewhere, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{elsewhere, "relative/dead", ""} {
		if err := os.WriteFile(lockName(locks, "dead"), []byte(says), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := RemainsOf(locks, "dead")
		if err != nil || m.Work != "" {
			t.Errorf("%q: remains %+v, %v", says, m, err)
		}
		m.Close()
	}
}
