package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// reviewGoals are how many times the wall time of test a review may take, and one
// for which the base's own ladder is climbed, too.
var reviewGoals = map[string][2]float64{"notes": {3, 4}, "mailu": {2.5, 3.5}}

// A hearing is one test, a review, and one with the base's ladder, in seconds.
type hearing struct{ test, review, mutants, based float64 }

// review compares `review` with `test` of the same head. The forge that it needs
// lives in the tests of the command, so that its benchmark does the work.
func (b *bench) review(ctx context.Context) error {
	b.line("## A review\n")
	b.line("`abra-ccci review` of a good pull request, with every mutant, beside `abra-ccci test` of")
	b.line("the same head. The clone, the checks, the ladder and the signature are part of it; the")
	b.line("forge is a Gitea on the same machine. A claim that needs the level of the base has its")
	b.line("ladder climbed, too.")
	args := []string{"test", "-run", "^$", "-bench", "^BenchmarkReview$", "-benchtime", "1x", "-count", strconv.Itoa(b.pairs), "-timeout", "4h", "./cmd/abra-ccci"}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stderr = b.root, os.Stderr
	cmd.Env = append(os.Environ(), "CCCI_RESTIC="+filepath.Join(b.root, "build", "restic"), "CCCI_GITEA="+filepath.Join(b.root, "build", "gitea"))
	b.progress("reviews, %d of each", b.pairs)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	t := table{{"recipe", "pairs", "test", "review", "of it, mutants", "ratio", "with the base's ladder", "ratio"}}
	reached, based := true, true
	for _, recipe := range []string{"notes", "mailu"} {
		all := hearings(string(out), recipe)
		if len(all) == 0 {
			return fmt.Errorf("no figures of %s in %q", recipe, out)
		}
		of := func(f func(hearing) float64) float64 { return median(each(all, f)) }
		seconds := func(f func(hearing) float64) string { return fmt.Sprintf("%.1f s", of(f)) }
		ratio, whole := of(func(h hearing) float64 { return h.review / h.test }), of(func(h hearing) float64 { return h.based / h.test })
		goals := reviewGoals[recipe]
		reached, based = reached && ratio <= goals[0], based && whole <= goals[1]
		t.row(recipe, strconv.Itoa(len(all)), seconds(func(h hearing) float64 { return h.test }),
			seconds(func(h hearing) float64 { return h.review }), seconds(func(h hearing) float64 { return h.mutants }), fmt.Sprintf("%.2f", ratio),
			seconds(func(h hearing) float64 { return h.based }), fmt.Sprintf("%.2f", whole))
	}
	b.table(t)
	b.goal(reached, "a review of notes takes at most 3 times its test, one of mailu 2.5 times")
	b.goal(based, "with the base's own ladder, at most 4 and 3.5 times")
	b.line("")
	return nil
}

var metric = regexp.MustCompile(`([0-9.]+) (test|review|mutants|based)-s`)

// hearings reads what the benchmark printed of a recipe.
func hearings(out, recipe string) (all []hearing) {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "BenchmarkReview/"+recipe) {
			continue
		}
		var h hearing
		for _, m := range metric.FindAllStringSubmatch(line, -1) {
			v, _ := strconv.ParseFloat(m[1], 64)
			*map[string]*float64{"test": &h.test, "review": &h.review, "mutants": &h.mutants, "based": &h.based}[m[2]] = v
		}
		if h.test > 0 && h.review > 0 && h.based > 0 {
			all = append(all, h)
		}
	}
	return all
}
