package review

import (
	"bytes"
	"crypto/rand"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/runner"
)

func TestVerdict(t *testing.T) {
	tests := []struct {
		statuses string
		want     ledger.Verdict
	}{
		{"pass pass", ledger.Pass}, {"pass skip", ledger.Pass}, {"pass fail unver", ledger.Fail}, {"unver fail", ledger.Fail},
		{"pass unver", ledger.Inconclusive}, {"skip", ledger.Inconclusive}, {"", ledger.Inconclusive}, {"pass green", ledger.Inconclusive}, {"unver pass", ledger.Inconclusive},
	}
	for _, tt := range tests {
		var checks []Check
		for _, s := range strings.Fields(tt.statuses) {
			checks = append(checks, Check{Status: runner.Status(s)})
		}
		if got := Verdict(checks); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.statuses, got, tt.want)
		}
	}
	if got := Verdict([]Check{{Status: ""}, {Status: runner.Pass}}); got != ledger.Inconclusive {
		t.Errorf("a check without a status: %s", got)
	}
}

// hostileTexts are what somebody could put into names, reasons and suites to
// steer a terminal or a page.
var hostileTexts = []string{
	"plain words", "` **bold** `", "a ` **b** `` c", "\x1b[2J\x1b]0;title\a", "a\r\n## E000099 · M1 · PASS", "verdict: PASS", "---\nverdict: PASS\n---", "> - ✓ all is well\n\n— ci-adversary AAAA",
	"<script>alert(1)</script>", "<img src=x onerror=y>", "[click](javascript:x)", "![x](http://evil.example/a.png)", "[x]: http://evil.example", "| a | b |\n|---|---|",
	"```\nfence\n```", "``` `` `", "**bold** _it_ ~~no~~", `\*not\* \[x\](y) \\*b*`, "# heading", "===", "\u202egnp.exe", "\u200b\ufeffzero", "\xff\xfe", "", "   ", "*", "_", "`", "\\",
	strings.Repeat("x", 100_000), "line\tTab\vv\f", "&lt;b&gt; &#42;", "1. list", "- - - item", "http://evil.example/?a=b", "@everyone #1 !2", "<!-- comment", "~~~\nx", "    code",
}

// Whatever a pull request says, what is made of it comes into a ledger, and out
// of it as it went in.
func TestHostileTextInLedger(t *testing.T) {
	for _, text := range hostileTexts {
		c := newCheck("labels_no_error", text)
		c.say("%s", text)
		c.fail(Finding{Title: "T " + text, Claimed: text, Does: text, Missing: text, Fix: text, Command: text})
		checks := []Check{c.done("%s", text)}
		content := Content(Subject{Repo: "coop-cloud/mailu", PR: 3, Head: headSHA, Base: headSHA}, checks, nil)
		content.Phase, content.Claim, content.ID = "mailu", "M1", strings.Repeat("a", 32)
		if s := content.Summary; ledger.NeutralLine(s) != s || len(s) > 5*maxLine {
			t.Errorf("%.80q: summary %.200q", text, s)
		}
		for _, l := range content.Checks {
			for _, line := range append([]string{l.Text}, l.Detail...) {
				if ledger.NeutralLine(line) != line {
					t.Errorf("%.80q: not neutral: %.200q", text, line)
				}
			}
		}
		for _, f := range content.Opened {
			if ledger.Neutral(f.Text) != f.Text || ledger.NeutralLine(f.Title) != f.Title {
				t.Errorf("%.80q: not neutral: %.200q", text, f.Text)
			}
			prose := regexp.MustCompile("`[^`]*`").ReplaceAllString(f.Text, "") // code shows as it is
			for _, bad := range []string{"<script", "<img", "](javascript", "](http", "\x1b", "\u202e", "\n#", "\n|", "\n---", "\n==="} {
				if strings.Contains(prose, bad) && !strings.Contains(prose, `\`+bad) {
					t.Errorf("%.80q: %q came through: %.300q", text, bad, f.Text)
				}
			}
		}
		appendTo(t, content, text)
	}
}

// Nothing that a pull request says becomes an element of the page.
func TestHostileTextIsNoMarkup(t *testing.T) {
	for _, text := range hostileTexts {
		f := Finding{Title: text, Claimed: text, Does: text, Missing: text, Fix: text, Command: text}
		content := Content(Subject{}, []Check{{Status: runner.Fail, Text: text, Findings: []Finding{f}}}, nil)
		l := content.Opened[0]
		var page bytes.Buffer
		if err := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(html.WithUnsafe())).Convert([]byte(l.Text+"\n\n"+l.Title+"\n\n"+content.Summary), &page); err != nil {
			t.Fatal(err)
		}
		rest := page.String()
		for _, head := range []string{"Claimed", "What it does", "What is missing", "Fix required"} {
			rest = strings.Replace(rest, "<strong>"+head+":</strong>", "", 1)
		}
		rest = regexp.MustCompile(`<a href="[^"]*">[^<]*</a>`).ReplaceAllString(rest, "") // a bare URL is shown as one
		if rest = regexp.MustCompile(`</?p>|<code>[^<]*</code>`).ReplaceAllString(rest, ""); strings.ContainsAny(rest, "<>") {
			t.Errorf("%.80q became %.300q", text, rest)
		}
	}
}

// appendTo appends a verdict to a fresh ledger, which verifies.
func appendTo(t *testing.T, c ledger.Content, name string) {
	t.Helper()
	secret, public, err := ledger.NewKey(rand.Reader, "ci-adversary")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ReadSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := ledger.MakeDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	now := time.Date(2026, 6, 11, 20, 58, 0, 0, time.UTC)
	l, err := ledger.Init(dir, "example.org/ledger", []ledger.Key{{Role: ledger.Adversary, Public: public}}, strings.Repeat("b", 32), key, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(c, key, now); err != nil {
		t.Errorf("%.80q: %v", name, err)
	}
	if _, _, err := ledger.Verify(dir); err != nil {
		t.Errorf("%.80q: %v", name, err)
	}
}

// A terminal gets nothing of a check as others wrote it.
func TestChecksArePrintable(t *testing.T) {
	for _, text := range hostileTexts {
		c := newCheck("x", "looked at")
		c.say("%s", text)
		c.doubt("%s", text)
		c.fail(Finding{Title: text, Claimed: text, Does: text, Missing: text, Fix: text, Command: text})
		if got := told(c.done("%s", text)); strings.ContainsAny(got, "\x1b\a\r\v\f\u202e\u200b\ufeff") || !utf8.ValidString(got) || strings.Count(got, "\n") != 3 {
			t.Errorf("%.80q is told as %.300q", text, got)
		}
	}
}

func TestLedgerChecks(t *testing.T) {
	got := LedgerChecks([]Check{
		{Name: "pull_open", Status: runner.Pass, Text: "open", Evidence: []string{"state: open", ""}},
		{Name: "version_bumped", Status: runner.Skip, Text: "no release"},
		{Name: "levels", Status: "green", Text: "x"},
	})
	if len(got) != 3 || got[0].Status != "pass" || got[0].Text != "pull_open: open" || len(got[0].Detail) != 1 {
		t.Errorf("%+v", got)
	}
	if got[1].Status != "pass" || !strings.Contains(got[1].Text, "does not apply") {
		t.Errorf("%+v", got[1])
	}
	if got[2].Status != "unver" || !strings.Contains(got[2].Text, "green") {
		t.Errorf("%+v", got[2])
	}
}

func TestFindingReadsLikeTheSeed(t *testing.T) {
	f := Finding{Check: "paths_proven", Title: "imap:/mail is saved and not proven", Claimed: "labels save imap:/mail", Does: "every probe lives in admin:/data",
		Missing: "nothing seeds data there", Fix: "add a probe", Command: "abra-ccci test mailu --ref edc0201a"}
	got := Content(Subject{}, []Check{{Status: runner.Fail, Findings: []Finding{f}}}, nil).Opened
	want := "**Claimed:** labels save imap:/mail\n\n**What it does:** every probe lives in admin:/data\n\n**What is missing:** nothing seeds data there\n\n" +
		"**Fix required:** add a probe\n\nTo see it: `abra-ccci test mailu --ref edc0201a`\n\nFound by: `paths_proven`"
	if len(got) != 1 || got[0].Text != want || got[0].Title != "paths_proven: "+f.Title {
		t.Errorf("got:\n%s\nwant:\n%s", got[0].Text, want)
	}
}
