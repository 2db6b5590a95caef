package review

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
)

// Digest is how a ledger names the bytes of a results.json.
func Digest(results []byte) string {
	sum := sha256.Sum256(results)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Evidence checks that a builder's results.json is of this head and recipe, of
// a run that came to its end, and says no more than its own stages do. The
// record is nil unless it can be read; whether it is true, Reproduced tells.
func Evidence(data []byte, recipe, head string) (Check, *runner.Results) {
	c := newCheck(CheckEvidence, "the builder's results.json is of this head")
	c.say("%s", Digest(data))
	finding := Finding{Claimed: "results.json shows what this head does", Missing: "a record of a whole run at this head", Fix: "run the ladder at this head, and hand in the results.json that it wrote", Command: testCommand(recipe, head)}
	r, err := runner.ReadResults(data)
	if err != nil {
		finding.Title, finding.Does = "the builder's results.json is refused", err.Error()
		c.fail(finding)
		return c.done("refused"), nil
	}
	c.say("run %s of %s %s at %s: level %d", r.RunID, r.Recipe, r.Version, r.Head, r.Level)
	for _, rung := range runner.Rungs {
		c.say("%s: %s", rung, r.Rungs[rung])
	}
	for _, wrong := range []struct {
		is          bool
		title, does string
	}{
		{r.Head != head, "evidence of another head", fmt.Sprintf("the record is of %s, the pull request's head is %s", r.Head, head)},
		{r.Recipe != recipe, "evidence of another recipe", fmt.Sprintf("the record is of %q", r.Recipe)},
		{r.Interrupted, "evidence of a run that was interrupted", "the run did not come to its end"},
		{!r.Interrupted && r.Finished.IsZero(), "evidence of a run that goes on", "the record was taken before the run ended"},
	} {
		if wrong.is {
			f := finding
			f.Title, f.Does = wrong.title, wrong.does
			c.fail(f)
		}
	}
	return c.done("level %d", r.Level), r
}

func testCommand(recipe, head string) string {
	return fmt.Sprintf("abra-ccci test %s --ref %s", recipe, head)
}

// Reproduced checks that the cold run found what the builder's record says.
func Reproduced(builder, cold *runner.Results) Check {
	return sameRun(CheckReproduced, "the cold run finds what the builder's record says", builder, cold)
}

// SecondRun checks that two runs of the reviewer's own find the same.
func SecondRun(first, second *runner.Results) Check {
	return sameRun(CheckSecondRun, "a second run finds the same", first, second)
}

func sameRun(name, text string, told, cold *runner.Results) Check {
	c := newCheck(name, text)
	if told == nil || cold == nil {
		c.doubt("there are no two records to compare")
		return c.done("")
	}
	c.say("run %s: level %d, %s", told.RunID, told.Level, count(testsOf(told), "test"))
	c.say("run %s: level %d, %s", cold.RunID, cold.Level, count(testsOf(cold), "test"))
	differences := differences(told, cold)
	if len(differences) == 0 {
		return c.done("reproduced: two independent runs at the same head")
	}
	if cold.Fault.Stage != "" || cold.Interrupted {
		c.doubt("the second of them was cut short (%s)", cutShort(cold))
		for _, d := range listed(differences) {
			c.say("%s", d)
		}
		return c.done("")
	}
	c.fail(Finding{
		Title:   differenceTitle(told, cold),
		Claimed: fmt.Sprintf("run %s: level %d at %s", told.RunID, told.Level, told.Head),
		Does:    fmt.Sprintf("run %s differs: %s", cold.RunID, strings.Join(listed(differences), "; ")),
		Missing: "a record that an independent run comes to, too",
		Fix:     "hand in results.json as the tool wrote it, of this head and these images; an app or a test that answers now so and now so must be made to answer the same",
		Command: testCommand(cold.Recipe, cold.Head),
	})
	return c.done("%s", count(len(differences), "difference"))
}

// differenceTitle is what two records differ in first of all, in words that
// stay the same from one review to the next.
func differenceTitle(a, b *runner.Results) string {
	switch {
	case a.Recipe != b.Recipe || a.Head != b.Head:
		return "a record of another head"
	case a.Suite.Digest != "" && a.Suite.Digest != b.Suite.Digest:
		return "a record of another suite"
	case !maps.Equal(a.Images, b.Images):
		return "other images under the same names"
	}
	return "tests come to something else"
}

func cutShort(r *runner.Results) string {
	if r.Fault.Stage != "" {
		return r.Fault.Stage + ": " + r.Fault.Reason
	}
	return "interrupted"
}

func testsOf(r *runner.Results) (n int) {
	for _, s := range r.Stages {
		n += len(s.Tests)
	}
	return n
}

// differences are what two records of one head must not differ in.
func differences(a, b *runner.Results) (out []string) {
	differ := func(what, x, y string) {
		if x != y {
			out = append(out, fmt.Sprintf("%s: %s and %s", what, orNone(x), orNone(y)))
		}
	}
	differ("recipe", a.Recipe, b.Recipe)
	differ("head", a.Head, b.Head)
	if a.Suite.Digest != "" { // older records have none
		differ("suite", a.Suite.Digest, b.Suite.Digest)
	}
	out = append(out, mapDifferences("image of ", a.Images, b.Images)...)
	out = append(out, mapDifferences("", outcomes(a), outcomes(b))...)
	differ("level", fmt.Sprint(a.Level), fmt.Sprint(b.Level))
	differ("clean_teardown", string(a.Flags.CleanTeardown), string(b.Flags.CleanTeardown))
	differ("no_secret_leak", string(a.Flags.NoSecretLeak), string(b.Flags.NoSecretLeak))
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// outcomes are the statuses of tests and stages by name.
func outcomes(r *runner.Results) map[string]string {
	m := map[string]string{}
	for _, s := range r.Stages {
		m["stage "+s.Name] = string(s.Status)
		for _, t := range s.Tests {
			m["test "+s.Name+" "+t.Name] = string(t.Status)
		}
	}
	return m
}

func mapDifferences(prefix string, a, b map[string]string) (out []string) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if a[k] != b[k] {
			out = append(out, fmt.Sprintf("%s%s: %s and %s", prefix, k, orNone(a[k]), orNone(b[k])))
		}
	}
	return out
}
