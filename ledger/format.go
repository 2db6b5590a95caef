package ledger

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxEntry is the size of the largest entry, in bytes.
const maxEntry = 256 << 10

// minute is how times are written.
const minute = "2006-01-02T15:04Z"

// A pair is one field as it is written.
type pair struct{ key, value string }

// pairs are the fields of an entry that are not empty, in the order in which
// they are written.
func (e *Entry) pairs() []pair {
	list := make([]pair, 0, 24)
	add := func(key, value string) {
		if value != "" {
			list = append(list, pair{key, value})
		}
	}
	add("phase", e.Phase)
	add("claim", e.Claim)
	add("kind", string(e.Kind))
	add("repo", e.Repo)
	if e.PR != 0 {
		add("pr", strconv.Itoa(e.PR))
	}
	add("head", e.Head)
	add("base", e.Base)
	add("suite", e.Suite)
	add("suite_repo", e.SuiteRepo)
	add("suite_head", e.SuiteHead)
	add("suite_base", e.SuiteBase)
	add("run", e.Run)
	add("results", e.Results)
	add("verdict", string(e.Verdict))
	add("scope", string(e.Scope))
	if e.Mutants != nil {
		add("mutants", e.Mutants.String())
	}
	add("opened", strings.Join(e.opened(), " "))
	add("closed", strings.Join(e.Closed, " "))
	add("retracts", e.Retracts)
	for _, k := range e.Keys {
		add("key", string(k.Role)+" "+k.Public)
	}
	add("tool", e.Tool)
	add("id", e.ID)
	add("previous", e.Previous.String())
	add("index", strconv.FormatInt(e.Index, 10))
	add("origin", e.Origin)
	return list
}

func (m Mutants) String() string {
	return fmt.Sprintf("%d killed, %d survived, %d equivalent, %d inconclusive", m.Killed, m.Survived, m.Equivalent, m.Inconclusive)
}

func (e *Entry) opened() (ids []string) {
	for _, f := range e.Opened {
		ids = append(ids, f.ID)
	}
	return ids
}

// Number is how people call the entry: E000017.
func (e *Entry) Number() string { return number(e.Index) }

func number(i int64) string { return fmt.Sprintf("E%06d", i) }

// kinds is what each kind needs, and takes besides: names of fields, and
// "summary", "checks" and "prose". All have id, previous, index and origin,
// and may have tool.
var kinds = map[Kind]struct{ needs, takes []string }{
	PolicyKind:  {[]string{"key"}, []string{"summary", "prose"}},
	Orientation: {[]string{"phase", "prose"}, []string{"repo", "pr", "head", "summary"}},
	Claim:       {[]string{"phase", "claim", "repo", "pr", "head"}, []string{"base", "suite", "suite_repo", "suite_head", "suite_base", "run", "results", "summary", "prose"}},
	VerdictKind: {[]string{"phase", "claim", "repo", "pr", "head", "verdict", "scope"}, []string{"base", "suite", "suite_repo", "suite_head", "suite_base", "run", "results", "mutants", "opened", "closed", "summary", "checks", "prose"}},
	Response:    {[]string{"phase", "prose"}, []string{"claim", "repo", "pr", "head", "run", "results", "summary"}},
	Retract:     {[]string{"phase", "retracts"}, []string{"claim", "summary", "prose"}},
}

// fields are the names of what the entry has, as the table kinds calls it.
func (e *Entry) fields(pairs []pair) []string {
	names := make([]string, 0, 24)
	for _, p := range pairs {
		if len(names) == 0 || names[len(names)-1] != p.key {
			names = append(names, p.key)
		}
	}
	if e.Summary != "" {
		names = append(names, "summary")
	}
	if len(e.Checks) > 0 {
		names = append(names, "checks")
	}
	if e.Prose != "" {
		names = append(names, "prose")
	}
	return names
}

// check tells what in an entry, whose pairs are given, is not as the format has it.
func (e *Entry) check(pairs []pair) error {
	kind, ok := kinds[e.Kind]
	if !ok {
		return fmt.Errorf("unknown kind %q", e.Kind)
	}
	has := e.fields(pairs)
	for _, name := range kind.needs {
		if !slices.Contains(has, name) {
			return fmt.Errorf("%s without %s", e.Kind, name)
		}
	}
	for _, name := range has {
		if name != "kind" && name != "tool" && name != "id" && name != "previous" && name != "index" && name != "origin" &&
			!slices.Contains(kind.needs, name) && !slices.Contains(kind.takes, name) {
			return fmt.Errorf("%s with %s", e.Kind, name)
		}
	}
	if err := e.checkForms(); err != nil {
		return err
	}
	if err := e.checkText(); err != nil {
		return err
	}
	return e.checkVerdict()
}

func (e *Entry) checkForms() error {
	forms := []struct {
		name, value string
		form        form
	}{
		{"phase", e.Phase, phaseForm}, {"claim", e.Claim, claimForm}, {"repo", e.Repo, repoForm},
		{"head", e.Head, commitForm}, {"base", e.Base, commitForm}, {"suite", e.Suite, wordForm},
		{"suite_repo", e.SuiteRepo, repoForm}, {"suite_head", e.SuiteHead, commitForm}, {"suite_base", e.SuiteBase, commitForm},
		{"run", e.Run, wordForm}, {"results", e.Results, digestForm}, {"retracts", e.Retracts, entryForm},
		{"id", e.ID, idForm}, {"origin", e.Origin, originForm},
	}
	for _, f := range forms {
		if f.value != "" && !f.form.MatchString(f.value) {
			return fmt.Errorf("%s %q is not of the form %s", f.name, f.value, f.form)
		}
	}
	switch {
	case e.ID == "" || e.Origin == "":
		return errors.New("an entry needs an id and an origin")
	case (e.SuiteRepo == "") != (e.SuiteHead == "") || (e.SuiteRepo == "") != (e.SuiteBase == ""):
		return errors.New("suite_repo, suite_head and suite_base go together")
	case e.PR < 0 || e.Index < 0:
		return errors.New("a number is negative")
	case e.Time.Location() != time.UTC || !e.Time.Equal(e.Time.Truncate(time.Minute)) || e.Time.Year() < 2000 || e.Time.Year() > 9999:
		return fmt.Errorf("time %v is not a minute in UTC", e.Time)
	case e.Tool != "" && (strings.TrimSpace(e.Tool) != e.Tool || len(e.Tool) > 200 || strings.Contains(e.Tool, "\n") || !plain(e.Tool)):
		return fmt.Errorf("tool %q is not one plain line", e.Tool)
	}
	return nil
}

// checkVerdict holds a verdict against itself: nothing may say PASS over a
// failed check.
func (e *Entry) checkVerdict() error {
	if e.Kind != VerdictKind {
		return nil
	}
	switch e.Verdict {
	case Pass, Fail, Inconclusive:
	default:
		return fmt.Errorf("unknown verdict %q", e.Verdict)
	}
	switch e.Scope {
	case Full, Quick, Partial:
	default:
		return fmt.Errorf("unknown scope %q", e.Scope)
	}
	if len(e.Closed) > 0 && (e.Scope != Full || e.Verdict == Inconclusive) {
		return errors.New("only a full review that passed or failed closes findings")
	}
	if !slices.IsSorted(e.Closed) || len(slices.Compact(slices.Clone(e.Closed))) != len(e.Closed) {
		return errors.New("closed findings are not in order")
	}
	m := e.Mutants
	if m != nil && min(m.Killed, m.Survived, m.Equivalent, m.Inconclusive) < 0 {
		return errors.New("a number of mutants is negative")
	}
	if e.Verdict != Pass {
		return nil
	}
	if m != nil && m.Survived+m.Inconclusive > 0 {
		return errors.New("a PASS over mutants that were not killed")
	}
	if len(e.Opened) > 0 {
		return errors.New("a PASS that opens findings")
	}
	for _, c := range e.Checks {
		if c.Status != "pass" {
			return fmt.Errorf("a PASS over the check %q, which did not pass", c.Text)
		}
	}
	return nil
}

// checkText holds all free text to be neutral.
func (e *Entry) checkText() error {
	var lines []string
	for _, c := range e.Checks {
		if _, ok := marks[c.Status]; !ok {
			return fmt.Errorf("unknown status %q of a check", c.Status)
		}
		lines = append(append(lines, c.Text), c.Detail...)
	}
	texts := []string{e.Prose}
	for _, f := range e.Opened {
		lines, texts = append(lines, f.Title), append(texts, f.Text)
	}
	if slices.Contains(lines, "") {
		return errors.New("an empty line where a text belongs")
	}
	for _, line := range append(lines, e.Summary) {
		if !isNeutralLine(line) {
			return fmt.Errorf("text %q is not neutral", line)
		}
	}
	for _, text := range texts {
		if Neutral(text) != text {
			return fmt.Errorf("text %.40q is not neutral", text)
		}
	}
	return nil
}

// marks is how the status of a check is written.
var marks = map[string]string{"pass": "✓", "fail": "✗", "unver": "?"}

// heading is the first line of an entry.
func (e *Entry) heading() string {
	about, what := e.Claim, string(e.Verdict)
	if about == "" {
		about = e.Phase
	}
	if about == "" {
		about = "ledger"
	}
	if what == "" {
		what = string(e.Kind)
	}
	return fmt.Sprintf("## %s · %s · %s · %s", e.Number(), about, what, e.Time.Format(minute))
}

// text is the entry, whose pairs are given, without its signature.
func (e *Entry) text(pairs []pair) string {
	var b strings.Builder
	b.Grow(2048 + len(e.Prose))
	e.write(&b, pairs)
	return b.String()
}

// reads tells whether text is the entry's, without making that.
func (e *Entry) reads(text string, pairs []pair) bool {
	m := matcher{rest: text}
	e.write(&m, pairs)
	return !m.differs && m.rest == ""
}

// A matcher holds what is written against a text.
type matcher struct {
	rest    string
	differs bool
}

// WriteString makes a matcher an io.StringWriter.
func (m *matcher) WriteString(part string) (int, error) {
	rest, ok := strings.CutPrefix(m.rest, part)
	m.rest, m.differs = rest, m.differs || !ok
	return len(part), nil
}

// write writes the entry without its signature.
func (e *Entry) write(w io.StringWriter, pairs []pair) {
	put := func(parts ...string) {
		for _, part := range parts {
			w.WriteString(part)
		}
	}
	put(e.heading(), "\n\n```\n")
	for _, p := range pairs {
		put(p.key, ": ", p.value, "\n")
	}
	put("```\n")
	if e.Summary != "" {
		put("\n> ", e.Summary, "\n")
	}
	if len(e.Checks) > 0 {
		put("\n", checkedHeading, "\n\n")
	}
	for _, c := range e.Checks {
		put("> - ", marks[c.Status], " ", c.Text, "\n")
		for _, d := range c.Detail {
			put(">   - ", d, "\n")
		}
	}
	for _, f := range e.Opened {
		put("\n### ", f.ID, "\n\n> ", f.Title, "\n")
		if f.Text != "" {
			put(">\n")
			quote(w, f.Text)
		}
	}
	if e.Prose != "" {
		put("\n", notesHeading, "\n\n")
		quote(w, e.Prose)
	}
}

const (
	checkedHeading = "### Checked"
	notesHeading   = "### Notes"
)

func quote(w io.StringWriter, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			w.WriteString(">\n")
		} else {
			w.WriteString("> ")
			w.WriteString(line)
			w.WriteString("\n")
		}
	}
}

// neutral makes all free text of the content neutral.
func (c Content) neutral() Content {
	c.Summary, c.Prose = NeutralLine(c.Summary), Neutral(c.Prose)
	c.Checks, c.Opened = slices.Clone(c.Checks), slices.Clone(c.Opened)
	for i := range c.Checks {
		check := &c.Checks[i]
		check.Text, check.Detail = NeutralLine(check.Text), slices.Clone(check.Detail)
		for j := range check.Detail {
			check.Detail[j] = NeutralLine(check.Detail[j])
		}
	}
	for i := range c.Opened {
		c.Opened[i].Title, c.Opened[i].Text = NeutralLine(c.Opened[i].Title), Neutral(c.Opened[i].Text)
	}
	return c
}
