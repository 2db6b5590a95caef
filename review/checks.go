package review

import (
	"fmt"
	"slices"

	"coopcloud.tech/abra-ccci/runner"
)

// The checks that can be made without mutants. Which of them a claim needs is
// said by its Phase.
const (
	CheckClaimOfHead      = "claim_of_head"
	CheckPullOpen         = "pull_open"
	CheckLabelsNoError    = "labels_no_error"
	CheckVolumesDecided   = "volumes_decided"
	CheckVersionBumped    = "version_bumped"
	CheckNoSecret         = "no_plaintext_secret"
	CheckNothingDangerous = "nothing_dangerous"
	CheckEvidence         = "evidence"
	CheckReproduced       = "reproduced"
	CheckSecondRun        = "second_run"
	CheckColdRun          = "cold_run"
	CheckLevels           = "levels"
	CheckLevelsReconciled = "levels_reconciled"
	CheckPathsProven      = "paths_proven"
	CheckMutantsKilled    = "mutants_killed"
	CheckCoversTrue       = "covers_true"
	CheckTeardownClean    = "teardown_clean"
	CheckNoSecretLeak     = "no_secret_leak"
	CheckSuiteNotWeakened = "suite_not_weakened"
	CheckSuiteOfClaim     = "suite_of_claim"
)

// A checking is a Check while its answer is looked for. It passes until
// something is held against it. Everything that goes into it becomes printable,
// as most of it was written by others.
type checking struct{ Check }

func newCheck(name, text string) *checking {
	return &checking{Check{Name: name, Status: runner.Pass, Text: text}}
}

// say adds a line of evidence.
func (c *checking) say(format string, args ...any) {
	c.Evidence = append(c.Evidence, runner.Printable(fmt.Sprintf(format, args...)))
}

// fail adds a finding: the check has failed.
func (c *checking) fail(f Finding) {
	c.Status, f.Check = runner.Fail, c.Name
	for _, text := range []*string{&f.Title, &f.Claimed, &f.Does, &f.Missing, &f.Fix, &f.Command} {
		*text = runner.Printable(*text)
	}
	c.Findings = append(c.Findings, f)
}

// doubt says why it could not be told; a check that has failed stays so.
func (c *checking) doubt(format string, args ...any) {
	if c.Status != runner.Fail {
		c.Status = runner.Unver
	}
	c.say("could not tell: "+format, args...)
}

// done is the finished check, with what came of it in its text.
func (c *checking) done(result string, args ...any) Check {
	if result != "" {
		c.Text += ": " + runner.Printable(fmt.Sprintf(result, args...))
	}
	return c.Check
}

// maxListed bounds how much of one list is told, in lines.
const maxListed = 100

// listed shortens a list that nobody would read to its end.
func listed(lines []string) []string {
	if len(lines) <= maxListed {
		return lines
	}
	return append(slices.Clone(lines[:maxListed]), fmt.Sprintf("and %d more", len(lines)-maxListed))
}

// count writes a number with its noun: "1 path", "3 paths".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
