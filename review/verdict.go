package review

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/runner"
)

// Verdict is FAIL if any check failed, INCONCLUSIVE if none did and one could
// not tell, else PASS. No checks at all tell nothing. What does not apply is
// neither here nor there; a word that nobody knows could not tell.
func Verdict(checks []Check) ledger.Verdict {
	verdict, looked := ledger.Pass, false
	for _, c := range checks {
		switch c.Status {
		case runner.Fail:
			return ledger.Fail
		case runner.Pass:
			looked = true
		case runner.Skip:
		default:
			verdict, looked = ledger.Inconclusive, true
		}
	}
	if !looked {
		return ledger.Inconclusive
	}
	return verdict
}

// LedgerChecks are checks as a ledger holds them. It knows no skip: what does
// not apply passes, and says so.
func LedgerChecks(checks []Check) []ledger.Check {
	var out []ledger.Check
	for _, c := range checks {
		l := ledger.Check{Status: string(c.Status), Text: line(c.Name + ": " + c.Text)}
		switch c.Status {
		case runner.Pass, runner.Fail, runner.Unver:
		case runner.Skip:
			l.Status, l.Text = string(runner.Pass), line(c.Name+": does not apply: "+c.Text)
		default:
			l.Status, l.Text = string(runner.Unver), line(fmt.Sprintf("%s: status %q: %s", c.Name, c.Status, c.Text))
		}
		for _, e := range listed(c.Evidence) {
			if text := line(e); text != "" {
				l.Detail = append(l.Detail, text)
			}
		}
		out = append(out, l)
	}
	return out
}

// prose tells a finding in the manner of ADV-mailu-01: what is claimed, what the
// test does, what is missing, what would mend it.
func (f Finding) prose() string {
	var paragraphs []string
	for _, p := range []struct{ head, text string }{
		{"Claimed", f.Claimed}, {"What it does", f.Does}, {"What is missing", f.Missing}, {"Fix required", f.Fix},
	} {
		if text := line(p.text); text != "" {
			paragraphs = append(paragraphs, "**"+p.head+":** "+text)
		}
	}
	if c := line(f.Command); c != "" {
		paragraphs = append(paragraphs, "To see it: "+code(runner.Printable(f.Command)))
	}
	if f.Check != "" {
		paragraphs = append(paragraphs, "Found by: "+code(f.Check))
	}
	return ledger.Neutral(strings.Join(paragraphs, "\n\n"))
}

// maxLine bounds one line of others' words in a ledger, in runes.
const maxLine = 2000

// line is others' text as one line that can be nothing else: no control
// characters, no markup, no mention and no end of its quote.
func line(s string) string {
	s = runner.Printable(strings.TrimSpace(s))
	if r := []rune(s); len(r) > maxLine {
		s = string(r[:maxLine]) + "…"
	}
	return strings.TrimSpace(ledger.NeutralLine(blockStart.ReplaceAllString(literal(s), `$1\$2`)))
}

// blockStart is what would make a quote or a list of a line: the last character
// of it is escaped.
var blockStart = regexp.MustCompile(`^([0-9]{0,9})([.)+-] |[.)+-]$|>)`)

// literal takes emphasis, code and strike-through from others' words, which a
// ledger leaves to the author of an entry. A _ inside a word is none.
func literal(s string) string {
	runes := []rune(s)
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	var b strings.Builder
	for i, r := range runes {
		if strings.ContainsRune("\\`*~", r) || r == '_' && !(word(i-1) && word(i+1)) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// code writes a text as Markdown code, which nothing in it ends.
func code(s string) string {
	return "`" + strings.ReplaceAll(s, "`", "'") + "`"
}
