package review

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// A Change is one thing in which two suites differ.
type Change struct {
	Kind string // "probe", "covers", "assertion", "functional", "exclude", "wipe", "step"
	Op   string // "added", "removed", "loosened", "changed"
	What string // "mail_message check[0]"
	Old  string
	New  string
	// Weaker tells that less is asked than before, as far as can be read. Only
	// the mutants show what is really noticed.
	Weaker bool
}

func (c Change) String() string {
	switch {
	case c.Old == "" && c.New == "":
		return fmt.Sprintf("%s %s: %s", c.Kind, c.What, c.Op)
	case c.Old == "":
		return fmt.Sprintf("%s %s: %s, %s", c.Kind, c.What, c.Op, c.New)
	case c.New == "":
		return fmt.Sprintf("%s %s: %s, it was %s", c.Kind, c.What, c.Op, c.Old)
	}
	return fmt.Sprintf("%s %s: %s, %s → %s", c.Kind, c.What, c.Op, c.Old, c.New)
}

// An EarlierSuite is a suite that was in force before, besides the base's.
type EarlierSuite struct {
	Name  string        // "the suite that E000012 passed"
	Suite *runner.Suite // nil: it can't be read any more
}

// SuiteNotWeakened checks that the head's suite asks all that the base's asks,
// and all that earlier ones ask.
func SuiteNotWeakened(base, head *runner.Suite, earlier ...EarlierSuite) Check {
	c := newCheck(CheckSuiteNotWeakened, "the suite asks all that it asked before")
	if base == nil && len(earlier) == 0 {
		c.say("first suite: judged by the mutants alone")
		return c.done("first suite")
	}
	if head == nil {
		head = runner.NoSuite("")
	}
	changes := 0
	if base == nil {
		c.say("the base has no suite")
	} else {
		changes = c.weaker("", base, head)
	}
	for _, e := range earlier {
		if e.Suite == nil {
			c.doubt("%s can't be read any more", e.Name)
			continue
		}
		changes += c.weaker(e.Name+": ", e.Suite, head)
	}
	return c.done("%s, %d weaker", count(changes, "change"), len(c.Findings))
}

// weaker tells what changed since a suite, and counts it. The same finding is
// not made twice.
func (c *checking) weaker(name string, base, head *runner.Suite) int {
	changes := SuiteDiff(base, head)
	if len(changes) == 0 {
		c.say("%sthe suites are the same (%s)", name, orNone(head.Digest))
	}
	var lines []string
	for _, ch := range changes {
		lines = append(lines, name+ch.String())
		title := runner.Printable(fmt.Sprintf("%s of %s is %s", ch.Kind, ch.What, ch.Op))
		if !ch.Weaker || slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Title == title }) {
			continue
		}
		c.fail(Finding{
			Title:   title,
			Claimed: "the suite proves no less than before", Does: name + ch.String(),
			Missing: "what the base's suite asks: " + orNone(ch.Old),
			Fix:     "ask it again, or show by the mutants that something else notices as much",
		})
	}
	for _, l := range listed(lines) {
		c.say("%s", l)
	}
	return len(changes)
}

// SuiteDiff explains in which ways a suite differs from the one before it.
func SuiteDiff(base, head *runner.Suite) []Change {
	d := &differ{}
	for _, was := range base.Probes {
		i := slices.IndexFunc(head.Probes, func(p runner.Probe) bool { return runner.Slug(p.Name) == runner.Slug(was.Name) })
		if i < 0 {
			d.add(Change{Kind: "probe", Op: "removed", What: was.Name, Old: "covers " + strings.Join(was.Covers, ", "), Weaker: true})
			continue
		}
		d.probe(was, head.Probes[i])
	}
	for _, now := range head.Probes {
		if !slices.ContainsFunc(base.Probes, func(p runner.Probe) bool { return runner.Slug(p.Name) == runner.Slug(now.Name) }) {
			d.add(Change{Kind: "probe", Op: "added", What: now.Name, New: "covers " + strings.Join(now.Covers, ", ")})
		}
	}
	d.functional(base.Functional, head.Functional)
	d.excludes(base.Excludes, head.Excludes)
	return d.changes
}

// Elders are the probes of the suite before that the head's does not have as they were.
func Elders(base, head *runner.Suite) (out []runner.Probe) {
	if base == nil {
		return nil
	}
	for _, was := range base.Probes {
		if !slices.ContainsFunc(head.Probes, func(now runner.Probe) bool {
			return sameSteps(was.Seed, now.Seed) && sameSteps(was.Check, now.Check) && sameSteps(was.Wipe, now.Wipe)
		}) {
			out = append(out, was)
		}
	}
	return out
}

type differ struct{ changes []Change }

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

func (d *differ) probe(was, now runner.Probe) {
	for _, p := range was.Covers {
		if !slices.Contains(now.Covers, p) {
			d.add(Change{Kind: "covers", Op: "removed", What: was.Name, Old: p, Weaker: true})
		}
	}
	for _, p := range now.Covers {
		if !slices.Contains(was.Covers, p) {
			d.add(Change{Kind: "covers", Op: "added", What: was.Name, New: p})
		}
	}
	d.steps(was.Name+" check", was.Check, now.Check, true)
	d.steps(was.Name+" seed", was.Seed, now.Seed, false)
	if !sameSteps(was.Wipe, now.Wipe) {
		d.add(Change{Kind: "wipe", Op: "changed", What: was.Name, Old: stepLines(was.Wipe), New: stepLines(now.Wipe)})
	}
}

func (d *differ) functional(was, now []runner.Functional) {
	find := func(list []runner.Functional, name string) int {
		return slices.IndexFunc(list, func(f runner.Functional) bool { return runner.Slug(f.Name) == runner.Slug(name) })
	}
	for _, f := range was {
		i := find(now, f.Name)
		if i < 0 {
			d.add(Change{Kind: "functional", Op: "removed", What: f.Name, Old: stepLines(f.Steps), Weaker: true})
			continue
		}
		d.steps(f.Name, f.Steps, now[i].Steps, true)
	}
	for _, f := range now {
		if find(was, f.Name) < 0 {
			d.add(Change{Kind: "functional", Op: "added", What: f.Name, New: stepLines(f.Steps)})
		}
	}
}

func (d *differ) excludes(was, now []runner.Exclude) {
	for _, x := range now {
		i := slices.IndexFunc(was, func(y runner.Exclude) bool { return excludeName(x) == excludeName(y) })
		switch {
		case i < 0:
			d.add(Change{Kind: "exclude", Op: "added", What: excludeName(x), New: fmt.Sprintf("%q", x.Reason)})
		case was[i].Reason != x.Reason:
			d.add(Change{Kind: "exclude", Op: "changed", What: excludeName(x), Old: fmt.Sprintf("%q", was[i].Reason), New: fmt.Sprintf("%q", x.Reason)})
		}
	}
	for _, y := range was {
		if !slices.ContainsFunc(now, func(x runner.Exclude) bool { return excludeName(x) == excludeName(y) }) {
			d.add(Change{Kind: "exclude", Op: "removed", What: excludeName(y), Old: fmt.Sprintf("%q", y.Reason)})
		}
	}
}

// steps compares steps that assert something. A step of before is looked for by
// what it does; one that does something else now stands in for the one at its
// place. It counts only once.
func (d *differ) steps(what string, was, now []runner.Step, judged bool) {
	used := map[int]bool{}
	for i, old := range was {
		at := slices.IndexFunc(now, func(st runner.Step) bool { return action(st) == action(old) })
		if at >= 0 && used[at] || at < 0 && i < len(now) && !used[i] && !slices.ContainsFunc(was, func(st runner.Step) bool { return action(st) == action(now[i]) }) {
			at = i
		}
		place := fmt.Sprintf("%s[%d]", what, i)
		if at < 0 || at >= len(now) || used[at] {
			d.add(Change{Kind: "step", Op: "removed", What: place, Old: stepLine(old) + ", " + assertions(old), Weaker: judged})
			continue
		}
		used[at] = true
		if action(now[at]) != action(old) {
			d.add(Change{Kind: "step", Op: "changed", What: place, Old: stepLine(old), New: stepLine(now[at])})
		}
		d.asserts(place, old, now[at], judged)
	}
	for i, st := range now {
		if !used[i] {
			d.add(Change{Kind: "step", Op: "added", What: fmt.Sprintf("%s[%d]", what, i), New: stepLine(st) + ", " + assertions(st)})
		}
	}
}

// action is what a step does, without what it asserts.
func action(st runner.Step) string {
	return strings.Join([]string{st.Service, strings.Join(st.Run, "\x00"), st.Sh, st.HTTP, st.Stdin}, "\x01")
}

func sameSteps(a, b []runner.Step) bool {
	return slices.EqualFunc(a, b, func(x, y runner.Step) bool { return action(x) == action(y) && assertions(x) == assertions(y) })
}

func stepLines(steps []runner.Step) string {
	lines := make([]string, len(steps))
	for i, st := range steps {
		lines[i] = stepLine(st)
	}
	return strings.Join(lines, ", then ")
}

// longer is how much patience may grow before it is told: twice as much, and
// half a minute at least.
func longer(was, now runner.Duration) bool {
	return time.Duration(now) > 2*time.Duration(was) && time.Duration(now-was) > 30*time.Second
}

// asserts compares what two steps assert.
func (d *differ) asserts(place string, was, now runner.Step, judged bool) {
	change := Change{Kind: "assertion", What: place, Old: assertions(was), New: assertions(now)}
	switch {
	case change.Old == change.New:
		return
	case weakerContent(was, now):
		change.Op = "loosened"
	case widened(was.GoneExit, now.GoneExit), widened(was.GoneStatus, now.GoneStatus), longer(was.Within, now.Within):
		change.Op = "loosened"
	default:
		change.Op = "changed"
	}
	change.Weaker = judged && change.Op == "loosened"
	d.add(change)
}

func widened(was, now []int) bool {
	return slices.ContainsFunc(now, func(n int) bool { return !slices.Contains(was, n) })
}

// weakerContent tells whether a text assertion is gone, asks for less of the
// same text, or became one of a weaker kind.
func weakerContent(was, now runner.Step) bool {
	if was.Lacks != nil && (now.Lacks == nil || *now.Lacks != *was.Lacks && strings.Contains(*now.Lacks, *was.Lacks)) {
		return true
	}
	for _, kind := range []struct {
		was    *string
		now    []*string // kinds that ask as much
		weaker *string   // of the same kind
	}{
		{was.Equals, []*string{now.Equals}, nil},
		{was.Matches, []*string{now.Matches, now.Equals}, nil},
		{was.Contains, []*string{now.Contains, now.Equals}, now.Contains},
	} {
		if kind.was == nil {
			continue
		}
		if !slices.ContainsFunc(kind.now, func(s *string) bool { return s != nil }) {
			return true
		}
		if w := kind.weaker; w != nil && *w != *kind.was && strings.Contains(*kind.was, *w) {
			return true
		}
	}
	return false
}

// assertions tells what a step asserts, in one line.
func assertions(st runner.Step) string {
	var parts []string
	for _, text := range []struct {
		name string
		is   *string
	}{{"equals", st.Equals}, {"contains", st.Contains}, {"matches", st.Matches}, {"lacks", st.Lacks}} {
		if text.is != nil {
			parts = append(parts, fmt.Sprintf("%s %q", text.name, *text.is))
		}
	}
	switch {
	case st.HTTP == "":
		parts = append(parts, fmt.Sprintf("exit %d", st.Exit))
	case st.Status != 0:
		parts = append(parts, fmt.Sprintf("status %d", st.Status))
	}
	if len(st.GoneExit) > 0 {
		parts = append(parts, fmt.Sprintf("gone_exit %v", st.GoneExit))
	}
	if len(st.GoneStatus) > 0 {
		parts = append(parts, fmt.Sprintf("gone_status %v", st.GoneStatus))
	}
	if st.Within > 0 {
		parts = append(parts, "within "+time.Duration(st.Within).String())
	}
	return orNone(strings.Join(parts, ", "))
}
