package canary

import (
	"fmt"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
)

// An Outcome says what a run of a canary proves of the tool.
type Outcome string

const (
	// Proven: the canary was caught at its own test for its own reason, and
	// that test passes without it.
	Proven Outcome = "proven"
	// Missed: the tool would have let it pass, or was red for another reason.
	Missed Outcome = "missed"
	// Unknown: it could not be told.
	Unknown Outcome = "unknown"
)

// A Verdict is what became of one canary, or of a good recipe.
type Verdict struct {
	Outcome Outcome
	Caught  bool    // at its own test, for its own reason; half of a proof
	Got     Finding // of the test that it was to be caught at
	Why     string  // unless it is proven
}

// Judge compares a canary's record, and that of the good recipe in which it
// was planted, with what it wants. A record that is nil is Unknown.
func (c Canary) Judge(r, good *runner.Results) Verdict {
	v := Verdict{Got: Finding{Rung: c.Want.Rung, Test: c.Want.Test}}
	if r == nil {
		return v.because(Unknown, "it did not run")
	}
	test, there := testOf(r, c.Want.Test)
	v.Got.Status, v.Got.Reason = test.Status, test.Reason
	switch rung := rungOf(r, c.Want.Rung); {
	case r.Interrupted:
		return v.because(Unknown, "it was interrupted")
	case rung == runner.Pass || rung == runner.Skip:
		return v.because(Missed, "%s is %s", c.Want.Rung, rung)
	case !there:
		return v.because(Unknown, "the run did not get as far as %s: %s", c.Want.Test, firstTrouble(r))
	case test.Status == runner.Unver && c.Want.Status == runner.Fail:
		return v.because(Unknown, "%s is unver, not fail: %s", c.Want.Test, test.Reason)
	case test.Status != c.Want.Status:
		return v.because(Missed, "%s is %s, not %s", c.Want.Test, test.Status, c.Want.Status)
	case !strings.Contains(test.Reason, c.Want.Reason):
		return v.because(Missed, "%s gives another reason than %q: %s", c.Want.Test, c.Want.Reason, test.Reason)
	}
	v.Caught = true
	return c.mended(v, good)
}

// mended makes a caught canary proven, if its test passes without it.
func (c Canary) mended(v Verdict, good *runner.Results) Verdict {
	if good == nil {
		return v.because(Unknown, "caught, but %s, in which it was planted, did not run", c.Of)
	}
	switch test, there := testOf(good, c.Want.Test); {
	case !there:
		return v.because(Unknown, "caught, but %s has no test %s to pass", c.Of, c.Want.Test)
	case test.Status == runner.Fail:
		return v.because(Missed, "%s is fail without it, too: %s", c.Want.Test, test.Reason)
	case test.Status != runner.Pass:
		return v.because(Unknown, "%s is %s without it, too: %s", c.Want.Test, test.Status, test.Reason)
	}
	v.Outcome = Proven
	return v
}

// JudgeGood says whether a good recipe climbs to the top, with both flags up.
func JudgeGood(r *runner.Results) Verdict {
	v := Verdict{}
	if r == nil {
		return v.because(Unknown, "it did not run")
	}
	statuses := []runner.Status{r.Flags.CleanTeardown, r.Flags.NoSecretLeak}
	for _, rung := range runner.Rungs {
		statuses = append(statuses, r.Rungs[rung])
	}
	for _, s := range r.Stages {
		if s.Name == runner.StageMutants || s.Name == StageReview {
			statuses = append(statuses, s.Status)
		}
	}
	others := slices.DeleteFunc(statuses, func(s runner.Status) bool { return s == runner.Pass })
	switch {
	case r.Interrupted:
		return v.because(Unknown, "it was interrupted")
	case slices.Contains(others, runner.Fail):
		return v.because(Missed, "a good recipe fails: %s", firstTrouble(r))
	case len(others) > 0:
		return v.because(Unknown, "a good recipe does not pass: %s", firstTrouble(r))
	}
	v.Outcome = Proven
	return v
}

func (v Verdict) because(o Outcome, format string, args ...any) Verdict {
	v.Outcome, v.Why = o, fmt.Sprintf(format, args...)
	return v
}

// rungOf is the status of a rung, a flag, or what a review added.
func rungOf(r *runner.Results, rung string) runner.Status {
	switch rung {
	case FlagCleanTeardown:
		return r.Flags.CleanTeardown
	case FlagNoSecretLeak:
		return r.Flags.NoSecretLeak
	}
	for _, s := range r.Stages {
		if s.Name == rung && (rung == runner.StageMutants || rung == StageReview) {
			return s.Status
		}
	}
	return r.Rungs[rung]
}

func testOf(r *runner.Results, name string) (runner.Test, bool) {
	for _, s := range r.Stages {
		for _, t := range s.Tests {
			if t.Name == name {
				return t, true
			}
		}
	}
	return runner.Test{}, false
}

// firstTrouble is what first went wrong in a record.
func firstTrouble(r *runner.Results) string {
	for _, s := range r.Stages {
		for _, t := range s.Tests {
			if t.Status == runner.Fail || t.Status == runner.Unver {
				return t.Name + ": " + t.Reason
			}
		}
	}
	return r.LevelReason
}
