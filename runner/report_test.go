package runner

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func render(t *testing.T, r *Results) string {
	t.Helper()
	var b strings.Builder
	if err := Report(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReport(t *testing.T) { golden(t, render(t, fullResults(t)), "full.md") }

func TestReportOfAnUnfinishedRun(t *testing.T) {
	got := render(t, &Results{Recipe: "notes", Interrupted: true, LevelReason: "install: unver"})
	for _, want := range []string{"was interrupted", "has not finished", "level 0 of 5", "| 1 | install | ? unver |", "No volume was looked at", "**clean_teardown: **"} {
		if !strings.Contains(got, want) {
			t.Errorf("report lacks %q:\n%s", want, got)
		}
	}
}

// What stops the climb comes before what is fine.
func TestReportWorstFirst(t *testing.T) {
	got := render(t, fullResults(t))
	last := -1
	for _, part := range []string{"**Level 2 of 5**: backup_restore: fail", "## Rungs", "## Failed", "- **wipe_removes_mail_message**: the check still holds", "## Could not be told", "stage drill", "## Remarks", "## What is saved", "## Notices", "## Snapshots", "differs from a plain one", "## The run"} {
		at := strings.Index(got, part)
		if at <= last {
			t.Errorf("%q is at %d, after %d", part, at, last)
		}
		last = at
	}
}

// Hostile text adds no line, no cell and no markup.
func TestReportWithHostileText(t *testing.T) {
	got := render(t, poison(t, fullResults(t)))
	start := regexp.MustCompile(`^(# mailu|## [A-Z][a-z, ]+|\*\*(Level|The machine|hint)|- \*\*|- deviation: app|The drill|\|.*\|$)`)
	columns := 0
	for i, line := range strings.Split(got, "\n") {
		if line != "" && !start.MatchString(line) {
			t.Errorf("line %d is none of ours: %s", i, line)
		}
		switch n := strings.Count(line, "|"); {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = n
		case n != columns:
			t.Errorf("line %d has %d columns, want %d: %s", i, n, columns, line)
		}
		if line := strings.ReplaceAll(line, wordJoiner, ""); Printable(line) != line {
			t.Errorf("line %d does not print: %q", i, line)
		}
		for _, bad := range []string{"<", "http://", " @", " `", "!["} {
			if strings.Contains(strings.ReplaceAll(line, `\`+strings.TrimSpace(bad), ""), bad) {
				t.Errorf("line %d holds %q: %s", i, bad, line)
			}
		}
	}
}

// A secret that Markdown, JSON or XML would write differently is in none of them.
func TestRedactedResults(t *testing.T) {
	const secret = `_p|a*s"s<\w_`
	v := vaultOf(t, "db", secret)
	r := fullResults(t)
	r.Deviations = append(r.Deviations, "password is "+secret+".")
	r.Notices[0].Where = "app DB_PASSWORD=" + secret
	r.Images[secret] = r.Images["imap"]
	clean, err := r.redacted(v)
	if err != nil {
		t.Fatal(err)
	}
	var doc, page bytes.Buffer
	if err := errors.Join(JUnit(&doc, clean), Report(&page, clean)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{doc.String(), page.String()} {
		if strings.Contains(text, "a*s") || strings.Contains(text, `a\*s`) {
			t.Errorf("the secret is in:\n%s", text)
		}
	}
	if n := strings.Count(page.String(), `\[redacted:db\]`); n != 3 {
		t.Errorf("%d marks, want 3:\n%s", n, page.String())
	}
	if clean.Level != r.Level || len(clean.Stages) != len(r.Stages) || !strings.Contains(strings.Join(r.Deviations, ""), secret) {
		t.Error("something else has changed")
	}
}

func TestMarkdownText(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "3.0.2+2024.06.52, 12 s: it's fine (really)", "3.0.2+2024.06.52, 12 s: it's fine (really)"},
		{"words with _", "wipe_removes_mail _em_ __", `wipe_removes_mail \_em\_ \_\_`},
		{"markup", "*b* `c` [l](u) ~s~ # @m $x$", "\\*b\\* \\`c\\` \\[l\\](u) \\~s\\~ \\# \\@\u2060m \\$x\\$"},
		{"html", `<b>&amp;`, `\<b\>\&amp;`},
		{"links", "http://x WWW.x", "http\\:\u2060//x WWW\\.\u2060x"},
		{"cells", `a|b \| c`, `a&#124;b \\&#124; c`},
		{"lines", " a\n# b\r\n", `a\\n\# b\\r\\n`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := markdownText(tt.in); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
