package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// A Review is a phase as people read it: shorter than the blocks, nothing
// left out but what only programs need. Its Visit goes to Open.
type Review struct {
	Phase, Claim string // empty: all
	entries      []*Entry
	raws         [][]byte
	Raw          bool // the blocks as they are
}

// Visit takes the entries that are shown, and verifies their signatures.
func (r *Review) Visit(e *Entry, raw []byte, in *Policy) error {
	if e.Phase == "" || r.Phase != "" && e.Phase != r.Phase || r.Claim != "" && e.Claim != r.Claim {
		return nil
	}
	if err := e.Verify(raw, in); err != nil {
		return corrupt(entryName(e.Index), err)
	}
	r.entries, r.raws = append(r.entries, e), append(r.raws, raw)
	return nil
}

// Markdown is what was taken, phase by phase.
func (r *Review) Markdown(l *Ledger) string {
	var b strings.Builder
	var phases []string
	for _, e := range r.entries {
		if !slices.Contains(phases, e.Phase) {
			phases = append(phases, e.Phase)
		}
	}
	for i, phase := range phases {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "# REVIEW: phase %s\n", phase)
		for j, e := range r.entries {
			switch {
			case e.Phase != phase:
			case r.Raw:
				fmt.Fprintf(&b, "\n%s", r.raws[j])
			default:
				b.WriteString("\n" + l.people(e))
			}
		}
	}
	return b.String()
}

// Entries are what was taken.
func (r *Review) Entries() []*Entry { return r.entries }

// people is an entry as people read it. Free text that is not part of a list
// stays quoted: it can't be taken for what the ledger says.
func (l *Ledger) people(e *Entry) string {
	var b strings.Builder
	what := string(e.Verdict)
	if what == "" {
		what = string(e.Kind)
	}
	fmt.Fprintf(&b, "## %s @%s\n\n", strings.TrimSpace(e.Claim+" "+what), e.Time.Format(minute))
	by, _ := l.retractedBy(e.Index)
	b.WriteString(l.byline(e) + "\n")
	if by != 0 {
		fmt.Fprintf(&b, "\n**Retracted by %s: it counts no more.**\n", number(by))
	}
	if e.Summary != "" {
		fmt.Fprintf(&b, "\n> %s\n", e.Summary)
	}
	if len(e.Checks) > 0 {
		b.WriteString("\n### What was verified\n\n")
	}
	for _, c := range e.Checks {
		fmt.Fprintf(&b, "- %s %s\n", marks[c.Status], c.Text)
		for _, d := range c.Detail {
			fmt.Fprintf(&b, "  - %s\n", d)
		}
	}
	for _, f := range e.Opened {
		fmt.Fprintf(&b, "\n### %s (%s)\n\n> %s\n", f.ID, l.standing(f.ID), f.Title)
		if f.Text != "" {
			b.WriteString(">\n")
			quote(&b, f.Text)
		}
	}
	if e.Prose != "" {
		b.WriteString("\n")
		quote(&b, e.Prose)
	}
	if len(e.Closed) > 0 {
		fmt.Fprintf(&b, "\nCloses %s.\n", strings.Join(e.Closed, ", "))
	}
	return b.String()
}

// byline is who said it, and of what.
func (l *Ledger) byline(e *Entry) string {
	parts := []string{e.Number() + " by " + e.Signer}
	if e.Repo != "" && e.PR != 0 {
		parts = append(parts, fmt.Sprintf("%s PR#%d", e.Repo, e.PR))
	}
	for _, p := range []pair{{"head", e.Head}, {"base", e.Base}, {"suite", e.Suite}, {"suite_repo", e.SuiteRepo}, {"suite_head", e.SuiteHead}, {"suite_base", e.SuiteBase}, {"run", e.Run}, {"retracts", e.Retracts}} {
		if p.value != "" {
			parts = append(parts, p.key+" "+p.value)
		}
	}
	if e.Scope != "" {
		parts = append(parts, string(e.Scope)+" review")
	}
	if e.Mutants != nil {
		parts = append(parts, "mutants: "+e.Mutants.String())
	}
	return strings.Join(parts, " · ")
}

// standing tells whether a finding is open.
func (l *Ledger) standing(id string) string {
	for _, f := range l.findings {
		if f.id == id {
			if c := l.closer(f, l.tree.n); c != 0 {
				return "closed by " + number(c)
			}
		}
	}
	return "open"
}

func (l *Ledger) retractedBy(i int64) (int64, bool) {
	by, ok := l.retracted[i]
	return by, ok
}
