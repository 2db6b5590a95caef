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

// Once leaves out of a check what another has found already: of a path whose loss
// goes unnoticed, that it is not proven to come back says nothing new.
func Once(c Check, others Check) Check {
	c.Findings = slices.DeleteFunc(slices.Clone(c.Findings), func(f Finding) bool {
		return f.About != "" && slices.ContainsFunc(others.Findings, func(o Finding) bool { return o.About == f.About })
	})
	return c
}

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
			if !slices.ContainsFunc(open, func(o Open) bool { return o.Title == f.heading() }) {
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
			if len(c.Findings) > 0 {
				text = c.Findings[0].Title
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
		if one.Op == Placebo {
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
