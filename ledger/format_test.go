package ledger

import (
	"strings"
	"testing"
)

func TestNeutral(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "a *b* `c` [x] done", "a *b* `c` [x] done"},
		{"heading", "## E000018 · M1 · PASS", `\## E000018 · M1 · PASS`},
		{"heading in a list", "- # x", `- \# x`},
		{"line below a heading", "PASS\n====\n----", "PASS\n\\====\n\\----"},
		{"row of a table", "| M1 | PASS |\n|---|---|", "\\| M1 | PASS |\n\\|---|---|"},
		{"comment", "<!-- x -->", `\<!-- x -->`},
		{"tag", "<b>x</b>", `\<b>x\</b>`},
		{"tag in code", "`<domain>`", "`<domain>`"},
		{"half a code span", "a ` <b>", "a \\` \\<b>"},
		{"link", "[PASS](http://x)", `[PASS]\(http://x)`},
		{"link definition", "[x]: http://x", `[x]\: http://x`},
		{"fence", "```\n<b> # x\n```", "```\n<b> # x\n```"},
		{"fence without end", "```\n<b>", "\\`\\`\\`\n\\<b>"},
		{"field", "verdict: PASS", "verdict: PASS"}, // quoted, it is none
		{"signature", "— ci-adversary AAAA", "— ci-adversary AAAA"},
		{"control", "a\x1b[2Jb\x00\r", `a\x1b[2Jb\x00\x0d`},
		{"bidi", "a\u202eb\u2066", `a\u202eb\u2066`},
		{"not UTF-8", "a\xff", `a\xff`},
		{"line ends", "a\r\nb\t", "a\nb"},
	}
	for _, tt := range tests {
		if got := Neutral(tt.in); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Whatever text is hostile, the entry that holds it says what was meant.
func TestHostileProse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"```\nverdict: PASS\n```", "verdict: PASS", "\n— ci-adversary AAAA\n", "## E000009 · M1 · PASS · 2026-06-11T21:00Z",
		"### Checked\n\n> - ✓ all", "### ADV-mailu-02", "<!--", "\n---\n\nRendered from the log x at size 1, root\n", "x\r\n\r\n— a b", "> > x", "|a|\n|-|\n|b|",
	} {
		b := newBench(t)
		c := verdict(Fail)
		c.Prose, c.Summary = text, text
		c.Checks = []Check{{Status: "fail", Text: text, Detail: []string{text}}}
		c.Opened = []Finding{{Title: text, Text: text}}
		b.append(b.adversary, c)
		must(t, b.verify())
		disagrees(t, b, false)
		raw := b.read(entryName(1))
		e, err := Parse([]byte(raw))
		must(t, err)
		if e.Verdict != Fail || len(e.Opened) != 1 || len(e.Checks) != 1 {
			t.Errorf("%q: %+v", text, e)
		}
		_, body, _ := strings.Cut(raw, "\n```\n\n")
		for line := range strings.SplitSeq(strings.TrimSuffix(body[:strings.LastIndex(body, "\n— ")], "\n"), "\n") {
			if line != "" && !strings.HasPrefix(line, ">") && line != "### Checked" && line != "### Notes" && line != "### ADV-mailu-01" {
				t.Errorf("%q: unquoted line %q", text, line)
			}
		}
	}
}

// What is not written as the format has it is no entry.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := verdict(Fail)
	opening(&c)
	c.Mutants, c.Prose, c.SuiteSource = &Mutants{Killed: 3}, "in words", suiteSource()
	b.append(b.adversary, c)
	good := b.read(entryName(1))
	_, err := Parse([]byte(good))
	must(t, err)
	tests := []struct{ name, old, new string }{
		{"order of fields", "phase: mailu\nclaim: M1\n", "claim: M1\nphase: mailu\n"},
		{"field twice", "claim: M1\n", "claim: M1\nclaim: M1\n"},
		{"suite fields in another order", "suite_head: " + suiteSource().SuiteHead + "\nsuite_base: " + suiteSource().SuiteBase + "\n", "suite_base: " + suiteSource().SuiteBase + "\nsuite_head: " + suiteSource().SuiteHead + "\n"},
		{"suite without its base", "suite_base: " + suiteSource().SuiteBase + "\n", ""},
		{"suite at a prefix", "suite_head: " + suiteSource().SuiteHead, "suite_head: aaaaaaaaaaaa"},
		{"unknown field", "claim: M1\n", "claim: M1\nnote: x\n"},
		{"no space", "claim: M1\n", "claim:M1\n"},
		{"two spaces", "claim: M1\n", "claim:  M1\n"},
		{"number with a zero", "pr: 3\n", "pr: 03\n"},
		{"number with a sign", "pr: 3\n", "pr: +3\n"},
		{"index with zeros", "index: 1\n", "index: 01\n"},
		{"heading of another entry", "## E000001", "## E000002"},
		{"heading of another verdict", "· FAIL ·", "· PASS ·"},
		{"heading of another claim", "· M1 ·", "· M2 ·"},
		{"time with seconds", "Z\n\n```", ":00Z\n\n```"},
		{"mutants", "3 killed, ", "3 killed,"},
		{"unquoted prose", "> in words", "in words"},
		{"prose with a heading", "> in words", "> # in words"},
		{"prose with a tab", "> in words", "> in\twords"},
		{"prose with bidi", "> in words", "> in\u202ewords"},
		{"trailing space", "> in words", "> in words "},
		{"section twice", "### Notes\n", "### Notes\n\n> x\n\n### Notes\n"},
		{"section twice, alike", "### Notes\n\n> in words\n", "### Notes\n\n> in words\n\n### Notes\n\n> in words\n"},
		{"unknown section", "### Notes\n", "### PASS\n"},
		{"unknown mark", "> - ✓", "> - x"},
		{"no fence", "\n```\n\n### Checked", "\n\n### Checked"},
		{"signature with another dash", "\n— ", "\n- "},
	}
	for _, tt := range tests {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("%s: no %q in\n%s", tt.name, tt.old, good)
		}
		if _, err := Parse([]byte(strings.Replace(good, tt.old, tt.new, 1))); err == nil {
			t.Errorf("%s: it is an entry", tt.name)
		}
	}
}

// A text is an entry's if it is that from the first byte to the last.
func TestReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := verdict(Fail)
	opening(&c)
	c.Prose, c.Summary = "in words\n\nand more", "one line"
	e := b.append(b.adversary, c).Entry
	pairs := e.pairs()
	text := e.text(pairs)
	if !e.reads(text, pairs) {
		t.Errorf("its own text is not the entry's:\n%s", text)
	}
	for i := range len(text) {
		for _, other := range []string{text[:i], text[:i] + "x" + text[i:], text[:i] + text[i+1:], text + text[i:]} {
			if other != text && e.reads(other, pairs) {
				t.Errorf("a text is the entry's:\n%s", other)
			}
		}
	}
}

// What an entry says of a suite in another repository is read back.
func TestParseSuiteSource(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := claim("done")
	c.SuiteSource = suiteSource()
	b.append(b.builder, c)
	raw := b.read(entryName(1))
	e, err := Parse([]byte(raw))
	must(t, err)
	if e.SuiteSource != suiteSource() || !strings.Contains(raw, "\nsuite_repo: git.example.org:3000/coop-cloud/suites\nsuite_head: aaaa") {
		t.Errorf("%+v of\n%s", e.SuiteSource, raw)
	}
	disagrees(t, b, false)
}

// Base64 may hold line ends for some readers, Go's among them.
func TestSignatureOnTwoLines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.read(entryName(0))
	i := len(good) - 10
	for _, end := range []string{"\n", "\r", "\r\n"} {
		if _, err := Parse([]byte(good[:i] + end + good[i:])); err == nil {
			t.Errorf("with %q in its signature it is an entry", end)
		}
	}
}

func FuzzParse(f *testing.F) {
	b := newBench(f)
	b.seed()
	for i := range int64(6) {
		f.Add([]byte(b.read(entryName(i))))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Parse(raw)
		if err != nil {
			return
		}
		if text := e.text(e.pairs()); !strings.HasPrefix(string(raw), text) || len(raw)-len(text) > 200 {
			t.Errorf("it does not format back:\n%s", raw)
		}
	})
}

func FuzzNeutral(f *testing.F) {
	for _, s := range []string{"# x", "```\nx\n```", "a ` b `` c", "<!--", "[a](b)", "\\`x", "- | a\n|-|", "a\u202e\xff", "~~~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{Neutral(s), NeutralLine(s)} {
			if Neutral(got) != got || !plain(got) {
				t.Errorf("%q of %q is not neutral: %q", got, s, Neutral(got))
			}
		}
		if line := NeutralLine(s); NeutralLine(line) != line || strings.Contains(line, "\n") {
			t.Errorf("line %q", line)
		}
	})
}

// Hostile text in every place, rendered and verified.
func FuzzRender(f *testing.F) {
	f.Add("## E000001 · M1 · PASS\n\n— a b", "---")
	b := newBench(f)
	f.Fuzz(func(t *testing.T, text, line string) {
		d := newDisk(nil)
		l, err := Init(d, origin, b.keys, b.id("init"), b.adversary, b.now)
		must(t, err)
		c := verdict(Fail)
		c.ID, c.Prose, c.Summary = b.id("x"), text, line
		c.Opened = []Finding{{Title: "x" + line, Text: text}}
		c.Checks = []Check{{Status: "unver", Text: "x" + line, Detail: []string{"x" + line}}}
		if _, err := l.Append(c, b.adversary, b.now); err != nil {
			if strings.Contains(err.Error(), "at most") {
				return
			}
			t.Fatal(err)
		}
		if _, stale, err := Verify(newDisk(d.files())); err != nil || len(stale) > 0 {
			t.Fatal(stale, err)
		}
	})
}
