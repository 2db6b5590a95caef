package review

import (
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

const baseSuite = `recipe = "mailu"
[[probe]]
name   = "mailbox"
covers = ["admin:/data"]
seed   = [{ service = "admin", run = ["user", "u${TOKEN}"] }]
check  = [{ service = "admin", run = ["export"], contains = "u${TOKEN}@example.com", gone_exit = [67] },
          { service = "admin", run = ["lookup", "${TOKEN}"], equals = "${TOKEN}", within = "5s" }]
wipe   = [{ service = "admin", run = ["sqlite3", "DELETE"] }]
[[probe]]
name   = "mail"
covers = ["imap:/mail", "imap:/index"]
seed   = [{ service = "imap", run = ["send", "${TOKEN}"] }]
check  = [{ service = "imap", run = ["fetch", "${TOKEN}"], matches = "kept", lacks = "error" }]
wipe   = [{ service = "imap", run = ["rm", "/mail/x"] }]
[[functional]]
name  = "admin answers"
steps = [{ service = "admin", http = "http://localhost/", status = 200, contains = "Mailu" }]
[[functional]]
name  = "mail arrives"
steps = [{ service = "imap", run = ["arrives"] }]
[[exclude]]
volume = "redis"
reason = "rebuilt"
`

func suiteOf(t *testing.T, text string) *runner.Suite {
	t.Helper()
	s, err := runner.ParseSuite("suite.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withoutPart cuts a table out of the suite: from its header to the next one.
func withoutPart(t *testing.T, header, name string) string {
	t.Helper()
	parts := strings.SplitAfter(baseSuite, "\n[[")
	for i, p := range parts {
		if strings.HasPrefix(p, header+"]]") && strings.Contains(p, `"`+name+`"`) {
			return strings.Join(append(append([]string{}, parts[:i]...), parts[i+1:]...), "")
		}
	}
	t.Fatalf("no %s %s", header, name)
	return ""
}

func TestSuiteNotWeakened(t *testing.T) {
	edit := func(old, new string) func(*testing.T) string {
		return func(t *testing.T) string {
			if !strings.Contains(baseSuite, old) {
				t.Fatalf("the suite has no %q", old)
			}
			return strings.Replace(baseSuite, old, new, 1)
		}
	}
	without := func(header, name string) func(*testing.T) string {
		return func(t *testing.T) string { return withoutPart(t, header, name) }
	}
	tests := []struct {
		name   string
		head   func(*testing.T) string
		status runner.Status
		want   []string
	}{
		{"the same", edit("recipe", "recipe"), runner.Pass, []string{"the suites are the same"}},
		{"probe removed", without("probe", "mail"), runner.Fail, []string{"probe mail: removed, it was covers imap:/mail, imap:/index", "probe of mail is removed"}},
		{"probe added", func(*testing.T) string { return baseSuite + strings.Replace(probeOf("mail"), `"mail"`, `"new"`, 1) }, runner.Pass, []string{"probe new: added"}},
		{"covers dropped", edit(`, "imap:/index"`, ``), runner.Fail, []string{"covers mail: removed, it was imap:/index"}},
		{"covers added", edit(`["admin:/data"]`, `["admin:/data", "admin:/dkim"]`), runner.Pass, []string{"covers mailbox: added, admin:/dkim"}},
		{"contains to exit status", edit(`contains = "u${TOKEN}@example.com", `, ``), runner.Fail, []string{"mailbox check[0]: loosened", `contains "u${TOKEN}@example.com", exit 0`}},
		{"contains less of it", edit(`contains = "u${TOKEN}@example.com"`, `contains = "u${TOKEN}"`), runner.Fail, []string{"loosened"}},
		{"contains more", edit(`contains = "u${TOKEN}@example.com"`, `contains = "u${TOKEN}@example.com!"`), runner.Pass, []string{"changed"}},
		{"contains to equals", edit(`contains = "u${TOKEN}@example.com"`, `equals = "u${TOKEN}@example.com"`), runner.Pass, []string{"changed"}},
		{"equals to contains", edit(`equals = "${TOKEN}"`, `contains = "${TOKEN}"`), runner.Fail, []string{"loosened"}},
		{"lacks dropped", edit(`, lacks = "error"`, ``), runner.Fail, []string{"loosened"}},
		{"matches dropped", edit(`matches = "kept", `, ``), runner.Fail, []string{"loosened"}},
		{"check step removed", edit(",\n          { service = \"admin\", run = [\"lookup\", \"${TOKEN}\"], equals = \"${TOKEN}\", within = \"5s\" }", ``), runner.Fail, []string{"step mailbox check[1]: removed"}},
		{"check asks something else", edit(`run = ["fetch", "${TOKEN}"]`, `run = ["echo", "${TOKEN}"]`), runner.Pass, []string{`step mail check[0]: changed, "fetch ${TOKEN}" in imap → "echo ${TOKEN}" in imap`}},
		{"within raised a lot", edit(`within = "5s"`, `within = "10m"`), runner.Fail, []string{"within 5s", "within 10m0s"}},
		{"within raised a little", edit(`within = "5s"`, `within = "20s"`), runner.Pass, []string{"changed"}},
		{"gone_exit widened", edit(`[67]`, `[67, 1]`), runner.Fail, []string{"gone_exit [67 1]"}},
		{"gone_exit narrowed", edit(`, gone_exit = [67]`, ``), runner.Pass, []string{"changed"}},
		{"functional removed", without("functional", "mail arrives"), runner.Fail, []string{"functional mail arrives: removed"}},
		{"functional loosened", edit(`, contains = "Mailu"`, ``), runner.Fail, []string{"admin answers[0]: loosened"}},
		{"functional step added", edit(`run = ["arrives"] }`, `run = ["arrives"] }, { service = "imap", run = ["again"] }`), runner.Pass, []string{"step mail arrives[1]: added"}},
		{"exclude added", func(*testing.T) string { return baseSuite + "[[exclude]]\nvolume = \"dkim\"\nreason = \"x\"\n" }, runner.Pass, []string{`exclude dkim: added, "x"`}},
		{"exclude reworded", edit(`"rebuilt"`, `"because"`), runner.Pass, []string{`"rebuilt" → "because"`}},
		{"wipe changed", edit(`["rm", "/mail/x"]`, `["true"]`), runner.Pass, []string{`wipe mail: changed, "rm /mail/x" in imap → "true" in imap`}},
		{"seed changed", edit(`["send", "${TOKEN}"]`, `["sendmail", "${TOKEN}"]`), runner.Pass, []string{"step mail seed[0]: changed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkIs(t, SuiteNotWeakened(suiteOf(t, baseSuite), suiteOf(t, tt.head(t))), tt.status, tt.want...)
		})
	}
	checkIs(t, SuiteNotWeakened(nil, suiteOf(t, baseSuite)), runner.Pass, "first suite: judged by the mutants alone")
	checkIs(t, SuiteNotWeakened(suiteOf(t, baseSuite), nil), runner.Fail, "probe mailbox: removed", "functional admin answers: removed")
}

func probeOf(name string) string {
	for _, p := range strings.Split(baseSuite, "[[") {
		if strings.HasPrefix(p, "probe]]") && strings.Contains(p, `"`+name+`"`) {
			return "[[" + p
		}
	}
	return ""
}

// The order of steps is no weakening.
func TestSuiteDiffOfReorderedSteps(t *testing.T) {
	s := suiteOf(t, baseSuite)
	other := suiteOf(t, baseSuite)
	check := other.Probes[0].Check
	check[0], check[1] = check[1], check[0]
	if changes := SuiteDiff(s, other); len(changes) != 0 {
		t.Errorf("changes %v", changes)
	}
}

// Only what the head's suite no longer asks as it did is asked of the suite before.
func TestElders(t *testing.T) {
	base := suiteOf(t, baseSuite)
	if got := Elders(base, suiteOf(t, baseSuite)); len(got) > 0 {
		t.Errorf("of the same suite: %v", got)
	}
	if got := Elders(nil, base); len(got) > 0 {
		t.Errorf("of none: %v", got)
	}
	last := base.Probes[len(base.Probes)-1]
	for what, change := range map[string]func(*runner.Suite){
		"gone":             func(s *runner.Suite) { s.Probes = s.Probes[:len(s.Probes)-1] },
		"another check":    func(s *runner.Suite) { s.Probes[len(s.Probes)-1].Check = s.Probes[0].Check },
		"another seed":     func(s *runner.Suite) { s.Probes[len(s.Probes)-1].Seed = s.Probes[0].Seed },
		"no probe is left": func(s *runner.Suite) { s.Probes = nil },
	} {
		head := suiteOf(t, baseSuite)
		change(head)
		got := Elders(base, head)
		if len(got) != len(base.Probes) && len(got) != 1 || got[len(got)-1].Name != last.Name {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// What a suite says reaches nobody's terminal.
func TestWeakeningIsPrintable(t *testing.T) {
	hostile := suiteOf(t, strings.NewReplacer(`"rebuilt"`, `"\u001b[2Jgone\u202e"`, `"mail arrives"`, `"\u001b[2Jarrives"`, `["imap:/mail", `, `["imap:/mail", "imap:/\u202e", `).Replace(baseSuite))
	if c := SuiteNotWeakened(suiteOf(t, baseSuite), hostile); strings.ContainsAny(told(c), "\x1b\u202e") {
		t.Errorf("%q", told(c))
	}
}
