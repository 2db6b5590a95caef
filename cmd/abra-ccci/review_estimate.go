package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/runner"
)

// estimate says how long the cold run may take, by the builder's record or else by
// the last run of this recipe here.
func (r *reviewing) estimate(runs string) string {
	mutants := review.MutantsOf(r.known.head.subject.Plan)
	earlier, whose := r.known.builder, "the builder's run"
	if review.Forecast(earlier, mutants) == 0 {
		earlier, whose = lastRun(runs, r.fetched.Recipe.Name), "the last run here"
	}
	takes := review.Forecast(earlier, mutants)
	if takes == 0 {
		return fmt.Sprintf("the ladder, and then about %d mutants, each an app built from nothing and a restore", mutants)
	}
	return fmt.Sprintf("about %v by %s, %d mutants among it; less if several apps find room", takes, whose, mutants)
}

// lastRun is the record of the newest run of a recipe below runs, among the last
// hundred of all; nil if there is none.
func lastRun(runs, recipe string) *runner.Results {
	folders, err := os.ReadDir(runs)
	if err != nil {
		return nil
	}
	written := map[string]time.Time{}
	var records []string
	for _, folder := range folders {
		path := filepath.Join(runs, folder.Name(), "results.json")
		if info, err := os.Stat(path); err == nil {
			records, written[path] = append(records, path), info.ModTime()
		}
	}
	slices.SortFunc(records, func(a, b string) int { return written[b].Compare(written[a]) })
	for _, path := range records[:min(len(records), 100)] {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if r, err := runner.ReadResults(data); err == nil && r.Recipe == recipe {
			return r
		}
	}
	return nil
}
