package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// The estimate goes by the newest run of the same recipe.
func TestLastRun(t *testing.T) {
	runs := t.TempDir()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	add := func(recipe string, age time.Duration) {
		id := fmt.Sprintf("%s-%d", recipe, age)
		path := filepath.Join(runs, id, "results.json")
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := &runner.Results{Schema: runner.Schema, RunID: id, Recipe: recipe, Rungs: map[string]runner.Status{}}
		for _, rung := range runner.Rungs {
			r.Rungs[rung] = runner.Unver
		}
		if err := r.Encode(f); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	add("notes", 3)
	add("notes", 2)
	add("wiki", 1)
	if err := os.Mkdir(filepath.Join(runs, "none"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := lastRun(runs, "notes"); r == nil || r.RunID != "notes-2" {
		t.Errorf("%+v", r)
	}
	if r := lastRun(runs, "forum"); r != nil {
		t.Errorf("a run of forum: %+v", r)
	}
	if r := lastRun(filepath.Join(runs, "nowhere"), "notes"); r != nil {
		t.Errorf("a run in no folder: %+v", r)
	}
}
