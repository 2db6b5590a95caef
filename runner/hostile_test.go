package runner

import (
	"bytes"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	marktext "github.com/yuin/goldmark/text"

	"coopcloud.tech/abra-ccci/labels"
)

// What a recipe may write to become something else in a report.
var hostileTexts = []string{
	"<script>alert(1)</script>", "<!-- x", "]]>", "<b", "&lt;b&gt;", "![i](http://x/i.png)", "[l](javascript:alert(1))", "[r]: http://x", "<http://x.example>",
	"http://x.example/a", "https://x.example", "www.x.example", "a@x.example", "mailto:a@x.example", "xmpp:a@x.example", "@admin", "org/repo#12", "#12", "!12",
	"`code`", "``", "**b**", "_e_", "~~s~~", "$x$", "a|b", `a\|b`, `\`, "- item", "1. item", "# head", "\n# head", "\r\n\r\n<div>\r\n", "> quote", "---", "\x1b[2J", "\u202e\u2066", "\x00", "\xff",
}

// forgeLinks is what forges make links of in a rendered text.
var forgeLinks = regexp.MustCompile(`(?i)(^|[^\w])@\w|\w@\w+\.\w|#\d|![0-9]|[a-z]://\w|www\.\w|(mailto|xmpp):\w`)

// A renderer finds no element in a hostile report that the same report of
// harmless texts has not, and no text that a forge would link.
func TestReportIsRenderedAsText(t *testing.T) {
	plain, _ := elements(t, render(t, fullResults(t)))
	for _, bad := range hostileTexts {
		r := fullResults(t)
		r.foreign(func(s string) string {
			if s == "" {
				return "" // an empty text may leave out a part of the report
			}
			return bad
		})
		r.LevelReason = bad
		got, rendered := elements(t, render(t, r))
		for kind, n := range got {
			if n > 0 && plain[kind] == 0 || kind != "Text" && kind != "String" && n > plain[kind] {
				t.Errorf("%q makes %d %s, of %d", bad, n, kind, plain[kind])
			}
		}
		for _, line := range strings.Split(rendered, "\n") {
			if !strings.Contains(line, "sha256:") && forgeLinks.MatchString(line) {
				t.Errorf("%q may become a link: %s", bad, line)
			}
		}
	}
}

// elements counts the nodes of a Markdown document by kind, and returns its text.
func elements(t *testing.T, page string) (map[string]int, string) {
	t.Helper()
	source := []byte(page)
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote))
	kinds := map[string]int{}
	var plain bytes.Buffer
	err := ast.Walk(md.Parser().Parse(marktext.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			if n.Type() == ast.TypeBlock {
				plain.WriteByte('\n')
			}
			return ast.WalkContinue, nil
		}
		kinds[n.Kind().String()]++
		if leaf, ok := n.(*ast.Text); ok {
			plain.Write(bytes.ReplaceAll(leaf.Segment.Value(source), []byte(`\`), nil))
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kinds, html.UnescapeString(plain.String())
}

// A suite is read, or refused with where it is wrong; never with a path that
// leaves a volume, or a check that could not miss.
func FuzzSuite(f *testing.F) {
	f.Add(validSuiteForFuzz)
	f.Add("recipe = \"x\"\n[[exclude]]\nvolume = \"v\"\npath = \"../..\"\nreason = \"r\"\n")
	f.Add("recipe = \"x\"\n[[probe]]\nname = \"\x1b[2J\"\n")
	f.Fuzz(func(t *testing.T, source string) {
		s, err := ParseSuite("suite.toml", []byte(source))
		if err != nil {
			var wrong *SuiteError
			if w, ok := err.(*SuiteError); ok {
				wrong = w
			}
			if wrong == nil || !strings.HasPrefix(wrong.Error(), "suite.toml") || wrong.Line < 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		for _, x := range s.Excludes {
			if strings.HasPrefix(x.Path, "/") || strings.Contains("/"+x.Path+"/", "/../") || x.Reason == "" {
				t.Fatalf("excludes %+v", x)
			}
		}
		for _, p := range s.Probes {
			if slug := Slug(p.Name); slug == "" || strings.Trim(slug, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || len(p.Seed)*len(p.Check)*len(p.Wipe) == 0 {
				t.Fatalf("probe %+v", p)
			}
		}
	})
}

const validSuiteForFuzz = `recipe = "x"
[[probe]]
name = "p"
covers = ["app:/data"]
seed = [{ service = "app", run = ["a", "${TOKEN}"] }]
check = [{ service = "app", sh = "cat", contains = "${TOKEN}", within = "2s" }]
wipe = [{ service = "app", run = ["rm"] }]
`

// Whatever a recipe is called, its scaffold is a suite of that name.
func FuzzScaffold(f *testing.F) {
	f.Add("notes")
	f.Add("a\"\n\x1b\\x\u202e\"\"\"")
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" {
			return
		}
		stack, plan := stackForScaffold(name)
		s, err := ParseSuite("suite.toml", Scaffold(name, stack, plan))
		if err != nil {
			t.Fatal(err)
		}
		if s.Recipe != Printable(name) {
			t.Fatalf("recipe %q became %q", name, s.Recipe)
		}
	})
}

// stackForScaffold has a service and a volume of that name, too.
func stackForScaffold(name string) (*labels.Stack, *labels.Plan) {
	stack := &labels.Stack{Name: "s", Volumes: []string{name, "data"}, Services: []labels.Service{
		{Name: name, Labels: map[string]string{"backupbot.backup": "true"}, Mounts: []labels.Mount{{Volume: "data", Target: "/" + name}}},
	}}
	return stack, labels.PlanOf(stack)
}
