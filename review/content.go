package review

import (
	"fmt"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/runner"
)

// An Open is a finding that is open in the ledger.
type Open struct{ ID, Title string }

// heading is a finding's title in the ledger. It names the check first, so that a
// later review knows whether it has tested it again.
func (f Finding) heading() string { return f.Check + ": " + line(f.Title) }

// Once marks what another check has found already: of a path whose loss goes
// unnoticed, that it is not proven to come back says nothing new.
func Once(c Check, other Check) Check {
	return following(c, func(f Finding) bool {
		return f.About != "" && slices.ContainsFunc(other.Findings, func(o Finding) bool { return o.About == f.About })
	})
}

// Because marks what only follows from findings of others: a level that is not
// reached because a test is red is one thing to mend, not two.
func Because(c Check, causes ...Check) Check {
	caused := slices.ContainsFunc(causes, func(cause Check) bool { return len(cause.Findings) > 0 })
	return following(c, func(f Finding) bool { return caused && f.About == aboutLevel })
}

func following(c Check, follows func(Finding) bool) Check {
	c.Findings = slices.Clone(c.Findings)
	for i, f := range c.Findings {
		c.Findings[i].Follows = f.Follows || follows(f)
	}
	return c
}

// aboutLevel is what a finding is about that tells a level which was not reached.
const aboutLevel = "level"

// Sort tells which findings are new, and which of those that are open a review
// has tested again without finding them: it closes them. What it did not test, or
// what people filed in their own words, stays open.
func Sort(checks []Check, open []Open) (news []Finding, closed []string) {
	tested := map[string]bool{}
	var found []string
	for _, c := range checks {
		tested[c.Name] = c.Status == runner.Pass || c.Status == runner.Fail
		for _, f := range c.Findings {
			if slices.Contains(found, f.heading()) {
				continue
			}
			found = append(found, f.heading())
			if !f.Follows && !slices.ContainsFunc(open, func(o Open) bool { return o.Title == f.heading() }) {
				news = append(news, f)
			}
		}
	}
	for _, o := range open {
		check, _, _ := strings.Cut(o.Title, ": ")
		if tested[check] && !slices.Contains(found, o.Title) {
			closed = append(closed, o.ID)
		}
	}
	return news, closed
}

// Content is the verdict as an entry of the ledger: what was looked at, in the
// order in which it was looked at, each with what it rests on.
func Content(subject Subject, checks []Check, open []Open) ledger.Content {
	news, closed := Sort(checks, open)
	c := ledger.Content{Kind: ledger.VerdictKind, Subject: ledger.Subject{Repo: subject.Repo, PR: subject.PR, Head: subject.Head, Base: subject.Base},
		Verdict: Verdict(checks), Scope: ledger.Full, Closed: closed}
	c.Checks = LedgerChecks(checks)
	for _, f := range news {
		c.Opened = append(c.Opened, ledger.Finding{Title: f.heading(), Text: f.prose()})
	}
	c.Summary = line(summary(checks, c.Verdict, closed))
	return c
}

// summary is the verdict's one line: the first thing that is wrong.
func summary(checks []Check, v ledger.Verdict, closed []string) string {
	for _, want := range []runner.Status{runner.Fail, runner.Unver} {
		for _, c := range checks {
			if c.Status != want {
				continue
			}
			text := c.Text
			if i := slices.IndexFunc(c.Findings, func(f Finding) bool { return !f.Follows }); i >= 0 {
				text = c.Findings[i].Title
			} else if len(c.Findings) > 0 {
				continue // what it follows from is told
			}
			if want == runner.Unver {
				return "could not tell: " + text
			}
			return text
		}
	}
	if len(closed) > 0 {
		return fmt.Sprintf("everything was verified independently; closed: %s", list(closed))
	}
	return "everything was verified independently"
}

// Count sums up the mutants for the ledger. Those that were only loud count
// with the killed: somebody would have noticed.
func (s *Saboteur) Count() *ledger.Mutants {
	m := &ledger.Mutants{}
	for _, one := range s.Mutants {
		if one.Op == Placebo || one.Op == NewSecrets {
			continue
		}
		switch one.Outcome {
		case Killed, Detected:
			m.Killed++
		case Survived:
			m.Survived++
		case Equivalent:
			m.Equivalent++
		default:
			m.Inconclusive++
		}
	}
	return m
}
