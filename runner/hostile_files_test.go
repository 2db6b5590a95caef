package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What results.json, junit.xml, report.md and locks make of hostile texts. The
// texts by themselves, in a report, are in hostile_test.go.

// unprintables are all control characters, what else does not print, and what
// XML forbids.
func unprintables() []string {
	var all []string
	for r := rune(0); r < 0x20; r++ {
		all = append(all, string(r))
	}
	for r := rune(0x7f); r < 0xa0; r++ {
		all = append(all, string(r))
	}
	for _, r := range []rune{0xad, 0x200b, 0x200e, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0xfeff, 0xfffe, 0xffff, 0xe0041, 0x10ffff} {
		all = append(all, string(r))
	}
	return append(all, "\xff", "\xc3(", "\xed\xa0\x80" /* half a surrogate pair */, "\xf4\x90\x80\x80" /* beyond Unicode */)
}

// everywhere is a record whose foreign texts are all s.
func everywhere(t *testing.T, s string) *Results {
	t.Helper()
	r := fullResults(t)
	r.foreign(func(was string) string {
		if was == "" {
			return ""
		}
		return s
	})
	r.LevelReason = s
	return r
}

// JUnit XML holds the characters that XML 1.0 has, no element that the record
// does not mean, no end of a CDATA section, and every text as Printable writes it.
func TestJUnitOfUnprintables(t *testing.T) {
	plain := xmlElements(t, everywhere(t, "x"))
	for _, bad := range append(unprintables(), "]]>", "<![CDATA[", "<!-- ", "-->", "<?x ?>", "<!DOCTYPE x [", "&lol;", "&#x1b;", "</testcase>", `" x="`, "' x='") {
		r := everywhere(t, "a"+bad+"b")
		text, doc := renderJUnit(t, r)
		if d := cmp.Diff(plain, xmlElements(t, r)); d != "" {
			t.Errorf("%q makes other elements:\n%s", bad, d)
		}
		for _, c := range text {
			if c != '\n' && c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0xfffd || c == 0xfffe || c == 0xffff {
				t.Fatalf("%q is in it as %q", bad, c)
			}
		}
		if strings.Contains(text, "]]>") {
			t.Errorf("%q: the end of a CDATA section is in it", bad)
		}
		if got, want := doc.Suites[0].Properties.All[1], (junitProperty{"recipe", Printable("a" + bad + "b")}); got != want {
			t.Errorf("recipe is %+v, want %+v", got, want)
		}
		if got, want := reasonsOf(doc), Printable("a"+bad+"b"); len(got) == 0 || strings.Trim(strings.Join(got, ""), want) != "" {
			t.Errorf("%q: reasons are %q, want %q alone", bad, got, want)
		}
	}
}

// xmlElements reads strictly, and counts by name and attributes.
func xmlElements(t *testing.T, r *Results) map[string]int {
	t.Helper()
	text, _ := renderJUnit(t, r)
	dec := xml.NewDecoder(strings.NewReader(text))
	n := map[string]int{}
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			for _, a := range token.Attr {
				name += " " + a.Name.Local
			}
			n[name]++
		case xml.Comment, xml.ProcInst, xml.Directive:
			n[fmt.Sprintf("%T", token)]++
		}
	}
}

func reasonsOf(doc junitSuites) (reasons []string) {
	for _, s := range doc.Suites[1:] {
		for _, c := range s.Cases {
			if c.Failure != nil && c.Failure.Message != "" {
				reasons = append(reasons, c.Failure.Message)
			}
		}
	}
	return reasons
}

// results.json is printable ASCII-safe JSON that a reader decodes to the very
// texts, but for bytes that are none; it can be shown in a page or a terminal.
func TestResultsOfUnprintables(t *testing.T) {
	for _, bad := range append(unprintables(), hostileTexts...) {
		r := everywhere(t, bad+`"}, {"level": 5, "`)
		var out bytes.Buffer
		if err := r.Encode(&out); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); PrintableLines(text) != text || strings.ContainsAny(text, "\t\u2028\u2029") {
			t.Errorf("%q is in it: %q", bad, text)
		}
		var back Results
		dec := json.NewDecoder(&out)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&back); err != nil {
			t.Fatalf("%q: %v", bad, err)
		}
		if want := strings.ToValidUTF8(r.Recipe, "\ufffd"); len([]rune(bad)) == 1 && back.Recipe != want || back.Level != r.Level || len(back.Stages) != len(r.Stages) {
			t.Errorf("%q came back as %q, level %d", r.Recipe, back.Recipe, back.Level)
		}
	}
}

// Markup that begins in one field and ends in another is none: a renderer finds
// no other elements, and all of the text: none is in a cell too many, which is
// dropped, or in where a link leads.
func TestReportOfMarkupInPieces(t *testing.T) {
	const mark = "qzq"
	plain, all := elements(t, render(t, everywhere(t, mark)))
	for _, pieces := range [][]string{
		{"[a", "](http://x)"}, {"[a](", ")"}, {"![a", "](x)"}, {"[a][", "]", "[b]: http://x"}, {"<b", ">"}, {"<a href='", "'>"}, {"<!--", "-->"}, {"<script>", "</script>"},
		{"<![CDATA[", "]]>"}, {"<?", "?>"}, {"`", "`"}, {"```", "```"}, {"~~~", "~~~"}, {"**a", "b**"}, {"_a", "b_"}, {"~~", "~~"}, {"$", "$"}, {"[^1]", "[^1]: x"}, {"|", `\|`, `\\|`}, {`\`, `\`},
		{"&", "lt;"}, {"&#", "60;"}, {"===", "---"}, {"|---|", "|-|"}, {"- [ ] a", "- [x] b"}, {"a  ", "b\\"}, {"    code", "\tcode"}, {"# a #", "## b"}, {"> a", "+ b"}, {"\nlog: x\n", "\r\n\r\n| a | b |\n|---|---|\n| c | d |\n"},
		{"log: 12:00 <b>ERROR</b> | \x1b[31m[see](http://x)\x1b[0m\n", "# all restored\n"}, {"x](", "y"}, {"http:", "//x"}, {"!", "[a](b)"}, {"<", "http://x>"},
	} {
		r := everywhere(t, "x")
		next := 0
		r.foreign(func(was string) string {
			if was == "" {
				return ""
			}
			next++
			return pieces[next%len(pieces)] + mark
		})
		r.LevelReason = strings.Join(pieces, "") + mark
		got, text := elements(t, render(t, r))
		for kind, n := range got {
			if n != plain[kind] && kind != "Text" && kind != "String" {
				t.Errorf("%q makes %d %s, not %d:\n%s", pieces, n, kind, plain[kind], text)
			}
		}
		// more are there where the record's images, a map, have two keys
		if n, want := strings.Count(text, mark), strings.Count(all, mark); n < want {
			t.Errorf("%q: %d of %d texts are there", pieces, n, want)
		}
	}
}

// What the tool calls its own (names of stages and tests, advice, ids) is
// rendered as text, too, should anything foreign ever get into it.
func TestReportOfPoison(t *testing.T) {
	plain, _ := elements(t, render(t, poisonWith(t, fullResults(t), "x")))
	got, _ := elements(t, render(t, poison(t, fullResults(t))))
	for kind, n := range got {
		if n != plain[kind] && kind != "Text" && kind != "String" {
			t.Errorf("%d %s, not %d", n, kind, plain[kind])
		}
	}
}

// removed is a deployer that removes all that there is: nothing.
type removed struct{ Deployer }

func (removed) Undeploy(context.Context, Removal) error { return nil }

// What is told of a leak is one printable line that has the secret's name and
// where it was, and never the secret: not where a label's key or a service is it.
func TestLeakIsToldInOneLine(t *testing.T) {
	const secret = "s3cret-Value|*_<b>"
	r, _ := aRun(t)
	r.Deployer = removed{}
	r.Vault = vaultOf(t, "db\x1b[2J\n\u202e", secret)
	told := &lastTest{Observer: r.observer}
	r.observer = told
	r.observed(&Observed{Public: []string{"service app label " + secret + "\x1b]0;x\a\n](http://x)\tx=" + secret}})
	r.teardownStage(t.Context())
	if r.results.Flags.NoSecretLeak != Fail {
		t.Fatalf("flags %+v", r.results.Flags)
	}
	reason := told.test.Reason
	if told.test.Name != "no_secret_leak" || Printable(reason) != reason || !strings.Contains(reason, "[redacted:db") || !strings.Contains(reason, `\x1b]0;x\x07\n](http://x)`) {
		t.Errorf("%s is told: %q", told.test.Name, reason)
	}
	files := []string{reason}
	for _, name := range []string{"results.json", "junit.xml", "report.md", told.test.Log} {
		data, err := os.ReadFile(filepath.Join(r.Folder.Path, name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(data))
	}
	for _, text := range files {
		if strings.Contains(text, "s3cret-Value") || strings.ContainsRune(text, '\x1b') {
			t.Errorf("the secret, or an escape, is in:\n%s", text)
		}
	}
}

// lastTest keeps what was told last.
type lastTest struct {
	Observer
	test Test
}

func (o *lastTest) TestDone(stage string, t Test) {
	o.test = t
	o.Observer.TestDone(stage, t)
}

// Run ids come from labels on the engine, too. Whatever they are, a lock lies
// in the folder of locks, and no two ids share one: a dead id that looks like a
// path to another's lock must not take that away.
func TestLocksOfHostileRuns(t *testing.T) {
	dir := t.TempDir()
	locks := filepath.Join(dir, "locks")
	alive, err := NewFolder(filepath.Join(dir, "runs"), locks, "alive-1")
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	left, err := NewFolder(filepath.Join(dir, "runs"), locks, "left-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := left.Close(); err != nil { // its work stays, and its lock says where
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, id := range []string{"alive-1", "left-1", "x/left-1", "../left-1", "../../alive-1", "/left-1", "left-1/", "left-1/.", "a/../left-1", "..", ".", "/", "//", "../..", "left-1\x00", "left-1\n", "%2e%2e", "x%2Fleft-1",
		"\x1b[2J", "\u202e", "$(touch x)", "`x`", "; rm -rf .", "*", "~", "-rf", "left-1.lock", "left-1.kept"} {
		for kind, path := range map[string]string{"lock": lockName(locks, id), "kept": keptName(locks, id)} {
			if filepath.Dir(path) != locks || filepath.Clean(path) != path {
				t.Errorf("the %s of %q is %q", kind, id, path)
			}
			if other, twice := seen[path]; twice {
				t.Errorf("%q and %s share %q", id, other, path)
			}
			seen[path] = fmt.Sprintf("%q (%s)", id, kind)
		}
		if id == "left-1" || id == "alive-1" {
			continue
		}
		remains, err := RemainsOf(locks, id)
		if err != nil {
			t.Errorf("%q: %v", id, err)
			continue
		}
		if known, err := Known(locks); remains.Work != "" || err != nil || !slices.Contains(known, id) {
			t.Errorf("%q left %q; known are %q, %v", id, remains.Work, known, err)
		}
		if err := remains.Remove(); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := RemainsOf(locks, "alive-1"); !errors.Is(err, ErrRunning) {
		t.Errorf("the live run: %v", err)
	}
	remains, err := RemainsOf(locks, "left-1")
	if err != nil || remains.Work != left.Work() {
		t.Fatalf("what was left is forgotten: %+v, %v", remains, err)
	}
	if err := remains.Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("beside locks and runs: %v, %v", entries, err)
	}
}
