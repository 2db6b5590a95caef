package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// MutantsKilled is the check on what the mutants came to. recipe and head are
// for the commands that findings name.
func (s *Saboteur) MutantsKilled(recipe, head string) Check {
	c := Check{Name: CheckMutantsKilled, Status: runner.Pass}
	count := map[Outcome]int{}
	for _, m := range s.Mutants {
		if m.Op == Placebo {
			c.Evidence = append(c.Evidence, m.line())
			if m.Outcome != Equivalent {
				c.Status = worst(c.Status, runner.Unver)
			}
			continue
		}
		if m.Op == NewSecrets {
			c.Evidence = append(c.Evidence, m.line())
			continue // a warning, whatever came of it
		}
		count[m.Outcome]++
		c.Evidence = append(c.Evidence, m.line())
		c.Status = worst(c.Status, m.status())
		switch {
		case m.As != "":
		case m.Outcome == Survived:
			c.Findings = append(c.Findings, s.survivor(m, recipe, head))
		case m.weaker():
			c.Findings = append(c.Findings, s.weakened(m, recipe, head))
		}
	}
	c.Evidence = append(c.Evidence, s.unused...)
	c.Evidence = append(c.Evidence, s.elderless...)
	for _, name := range slices.Sorted(maps.Keys(s.red)) {
		red := s.red[name]
		c.Evidence = append(c.Evidence, fmt.Sprintf("probe %s of the suite before, after a whole restore: %s, %s", name, red.sight, red.why))
		if red.sight != runner.SightMiss {
			c.Status = worst(c.Status, runner.Unver) // it was green when it was seeded
			continue
		}
		c.Status = runner.Fail
		c.Findings = append(c.Findings, s.forsaken(name, recipe, head))
	}
	if len(count) == 0 || count[Killed] == 0 && c.Status == runner.Pass {
		c.Status = runner.Unver // nobody was seen to notice anything
	}
	c.Text = fmt.Sprintf("mutants: %d killed, %d only loud, %d survived, %d equivalent, %d inconclusive",
		count[Killed], count[Detected], count[Survived], count[Equivalent], count[Inconclusive])
	return c
}

// status is what a mutant makes of the check. Data that was withheld has to be
// missed; that the app broke over it is no coverage.
func (m Mutant) status() runner.Status {
	switch {
	case m.Outcome == Survived || m.weaker():
		return runner.Fail
	case m.Outcome == Inconclusive:
		return runner.Unver
	case m.Outcome == Detected && (m.Op == DropPath || m.Op == RestoreNone || m.Op == OlderSnapshot):
		return runner.Unver
	}
	return runner.Pass
}

// weaker tells whether the suite before kills the mutant, and the suite does not.
// Where nothing can be told of the suite, nothing is held against it.
func (m Mutant) weaker() bool {
	return m.Noticed != "" && (m.Outcome == Survived || m.Outcome == Detected)
}

// line is the mutant's row of the table probe x mutant, as a sentence.
func (m Mutant) line() string {
	text := m.Name()
	if m.Changed != "" {
		text += " (" + m.Changed + ")"
	}
	if m.Op == Placebo {
		if m.Outcome == Equivalent && m.As != "" {
			return text + ": all green, as with " + m.As
		}
		if m.Outcome == Equivalent {
			return text + ": all green"
		}
		return text + ": not green"
	}
	text += ": " + string(m.Outcome)
	if m.Reason != "" {
		text += ", " + m.Reason
	}
	if m.As != "" {
		text += " (comes to the same as " + m.As + ")"
	}
	var seen []string
	for _, p := range slices.Sorted(maps.Keys(m.Sights)) {
		seen = append(seen, p+" "+string(m.Sights[p]))
	}
	if len(seen) > 0 && m.As == "" {
		text += " [" + list(seen) + "]"
	}
	if m.weaker() && m.As == "" {
		text += "; with the suite before: killed, " + m.Noticed
	}
	return text
}

// survivor is the finding about a mutant that nobody noticed.
func (s *Saboteur) survivor(m Mutant, recipe, head string) Finding {
	what := m.On
	if what == "" {
		what = list(s.named(m.paths))
	}
	f := Finding{Check: CheckMutantsKilled, Command: fmt.Sprintf("abra-ccci test %s --ref %s", recipe, head)}
	green := Mutant{Sights: m.Sights}.greens()
	f.Claimed = fmt.Sprintf("the suite proves that %s comes back", list(s.named(m.paths)))
	switch m.Op {
	case DropPath:
		f.About = what
		f.Title = fmt.Sprintf("the loss of %s goes unnoticed", what)
		f.Does = fmt.Sprintf("with everything restored but %s (%s kept away) every check stayed green: %s", what, m.Changed, list(green))
		f.Missing = fmt.Sprintf("no probe seeds data that lives in %s, removes it there before the restore, and asks for it afterwards; if %s silently did not come back, every test would still pass", what, what)
		f.Fix = fmt.Sprintf("a probe with covers = [%q]: seed something tagged with ${TOKEN} that the app keeps there, wipe that, and check that the app shows it again", what)
	case RestoreNone:
		f.Title = "the loss of everything goes unnoticed"
		f.Does = fmt.Sprintf("nothing was restored onto an app built from nothing, and %s", m.Reason)
		f.Missing = "an assertion on the data itself"
		f.Fix = "make the check ask for what was seeded, by its ${TOKEN}, with contains or equals"
	case OlderSnapshot:
		f.Title = "an old backup passes for the newest"
		f.Does = fmt.Sprintf("a snapshot from before the last seeding was restored (%s are other in it), and %s", m.Changed, m.Reason)
		f.Missing = "an assertion on the newest data: each seeding has a ${TOKEN} of its own"
		f.Fix = "make the check ask for ${TOKEN} in what the app shows"
	case Truncated:
		f.Title = fmt.Sprintf("files of %s that come back empty go unnoticed", what)
		f.Does = fmt.Sprintf("the files in %s that seeding had changed (%s) were cut to no bytes after the restore, and %s", what, m.Changed, m.Reason)
		f.Missing = "an assertion on the content; that a file or a name is there says little"
		f.Fix = "seed content with ${TOKEN} in it, and make the check read it"
	case LabelRemoved:
		f.Title = fmt.Sprintf("without the label %s nothing goes red", what)
		f.Does = fmt.Sprintf("without it, %s is not saved (%s), and %s", list(s.named(m.paths)), m.Changed, m.Reason)
		f.Missing = fmt.Sprintf("a probe for %s", list(s.named(m.paths)))
		f.Fix = "a probe whose data lives there"
	default:
		f.Title = fmt.Sprintf("nothing goes red when %s: %s", strings.ReplaceAll(string(m.Op), "_", " "), what)
		f.Does = fmt.Sprintf("the hook did not do its work (%s), and %s", m.Changed, m.Reason)
		f.Missing = "a probe whose data passes through the hook, seeded after the hook ran last"
		f.Fix = "a probe that is red without the hook; or no hook, if nothing depends on it"
	}
	if m.weaker() {
		f.Missing += "; the suite before notices: " + m.Noticed
	}
	return f
}

// weakened is the finding about a mutant that is only loud, and that the suite
// before kills.
func (s *Saboteur) weakened(m Mutant, recipe, head string) Finding {
	return Finding{Check: CheckMutantsKilled, Title: fmt.Sprintf("the suite before kills %s, and this one does not", m.Name()),
		Claimed: "the suite proves no less than before",
		Does:    fmt.Sprintf("%s (%s): %s, %s; with the suite before: killed, %s", m.Name(), m.Changed, m.Outcome, m.Reason, m.Noticed),
		Missing: "what the probes of the suite before ask, seeded and asked in the same app",
		Fix:     "ask it again",
		Command: fmt.Sprintf("abra-ccci test %s --ref %s", recipe, head)}
}

// forsaken is the finding about data that the suite before proves, and that does not
// come back though nothing was sabotaged: what saved it is gone.
func (s *Saboteur) forsaken(probe, recipe, head string) Finding {
	return Finding{Check: CheckMutantsKilled, Title: fmt.Sprintf("what probe %s of the suite before seeds does not come back", probe),
		Claimed: "a backup brings back no less than before",
		Does:    fmt.Sprintf("its data was seeded and all that is saved was restored as it should be; its check misses it: %s", s.red[probe].why),
		Missing: "what saved that data before, or a probe that takes this one's place",
		Fix:     "save it again",
		Command: fmt.Sprintf("abra-ccci labels %s --ref %s", recipe, head)}
}

func (m Mutant) greens() []string {
	return trial{sights: m.Sights}.with(runner.SightGreen)
}

func (s *Saboteur) named(paths []labels.SavedPath) []string {
	var out []string
	for _, p := range paths {
		out = append(out, p.String())
	}
	return out
}

// CoversTrue is the check on what probes promise: without a path that it
// covers, a probe has to go red.
func (s *Saboteur) CoversTrue(recipe, head string) Check {
	c := Check{Name: CheckCoversTrue, Status: runner.Pass, Text: "every probe is red without each path that it covers"}
	tried := false
	for _, m := range s.Mutants {
		if m.Op != DropPath && m.Op != RestoreNone || len(m.Sights) == 0 {
			continue
		}
		tried = true
		for _, w := range s.witnesses {
			promised := slices.ContainsFunc(w.Claims, func(p labels.SavedPath) bool { return slices.Contains(m.paths, p) })
			if !promised || m.Op == RestoreNone && len(s.paths) > 1 {
				continue
			}
			switch what := list(s.named(m.paths)); m.Sights[w.Name] {
			case runner.SightGreen:
				c.Status = runner.Fail
				c.Findings = append(c.Findings, Finding{Check: c.Name, Title: fmt.Sprintf("probe %s covers %s, and is green without it", w.Name, what),
					Claimed: fmt.Sprintf("covers of probe %s names %s", w.Name, what),
					Does:    fmt.Sprintf("with everything restored but %s (%s kept away) its check held", what, m.Changed),
					Missing: "what the check asks for does not live there",
					Fix:     fmt.Sprintf("seed and check something that lives in %s, or leave it out of covers", what),
					Command: fmt.Sprintf("abra-ccci test %s --ref %s", recipe, head)})
				c.Evidence = append(c.Evidence, fmt.Sprintf("%s without %s: green", w.Name, what))
			case runner.SightMiss:
				c.Evidence = append(c.Evidence, fmt.Sprintf("%s without %s: misses", w.Name, what))
			default:
				c.Status = worst(c.Status, runner.Unver)
				c.Evidence = append(c.Evidence, fmt.Sprintf("%s without %s: could not be asked", w.Name, what))
			}
		}
	}
	if !tried {
		c.Status, c.Text = runner.Unver, "covers: nothing was measured"
	}
	return c
}

// worst is the status that blocks more.
func worst(a, b runner.Status) runner.Status {
	weight := map[runner.Status]int{runner.Pass: 0, runner.Skip: 0, runner.Unver: 1, runner.Fail: 2}
	if weight[b] > weight[a] {
		return b
	}
	return a
}
