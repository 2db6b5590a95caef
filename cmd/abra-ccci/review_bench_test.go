package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// BenchmarkReview reviews a good pull request after its own ladder was climbed by
// test, and once more for a claim that needs the base's own ladder: package bench
// compares and prints that.
func BenchmarkReview(b *testing.B) {
	for _, of := range []struct {
		recipe string
		base   int // its level
	}{{"notes", 5}, {"mailu", 4}} {
		recipe, base := of.recipe, of.base
		b.Run(recipe, func(b *testing.B) {
			for range b.N {
				h := newHearing(b, recipe)
				branch := "add-backupbot-labels"
				if recipe != "mailu" {
					branch = "bump"
					h.branch(branch, "compose.yml", ".version=1.1.0+", ".version=1.1.1+")
				}
				h.open(branch)
				began := time.Now()
				if code, _, stderr := h.run("test", recipe, "--ref", branch, "--runs-dir", filepath.Join(h.bench.dir, "tests")); code != exitPass {
					b.Fatalf("test: exit %d\n%s", code, stderr)
				}
				test := time.Since(began).Seconds()
				b.ReportMetric(test, "test-s")
				b.ReportMetric(benchReview(b, h), "review-s")
				b.ReportMetric(mutantTime(h.runs()[0]), "mutants-s")
				phase := filepath.Join(h.bench.dir, "phase.toml")
				text := fmt.Sprintf("phase = %q\n[[claim]]\nname = \"M1\"\nlevel = 5\nbase_level = %d\nchecks = [\"levels_reconciled\"]\n", recipe, base)
				if err := os.WriteFile(phase, []byte(text), 0o644); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(benchReview(b, h, "--phase-file", phase), "based-s")
			}
		})
	}
}

// benchReview is how long a review that passes takes, in seconds.
func benchReview(b *testing.B, h *hearing, args ...string) float64 {
	began := time.Now()
	args = append(args, "--suite", filepath.Join(h.abra, "ccci", "suites", h.recipe), "--accept-exclude", seedExcludes)
	if code, stdout, stderr := h.review(args...); code != exitPass {
		b.Fatalf("review: exit %d\n%s%s", code, stdout, stderr)
	}
	return time.Since(began).Seconds()
}

// mutantTime is how long the mutants of a run took, in seconds.
func mutantTime(r *runner.Results) float64 {
	for _, s := range r.Stages {
		if s.Name == runner.StageMutants {
			return s.Seconds
		}
	}
	return 0
}
