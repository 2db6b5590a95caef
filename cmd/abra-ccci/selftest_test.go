package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/canary"
	"coopcloud.tech/abra-ccci/runner"
)

func TestSelftestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--only dump-twice":  `no canary "dump-twice"; canaries are does-not-start, never-healthy`,
		"--jobs 0":           "0 canaries at once are none",
		"--engine elsewhere": `"elsewhere" is not an engine`,
		"mailu":              "unknown command",
	} {
		var stderr strings.Builder
		e := &env{stdout: &stderr, stderr: &stderr, getenv: func(string) string { return "" }, now: time.Now}
		code := execute(context.Background(), e, append([]string{"selftest"}, strings.Fields(args)...))
		if code != exitUsage || !strings.Contains(stderr.String(), want) {
			t.Errorf("selftest %s: exit %d, %q; want %q", args, code, stderr.String(), want)
		}
	}
}

// The exit status tells what was missed from what could not be told.
func TestSelftestCode(t *testing.T) {
	rows := func(outcomes ...canary.Outcome) *selftest {
		s := &selftest{}
		for _, o := range outcomes {
			s.rows = append(s.rows, &row{verdict: canary.Verdict{Outcome: o}})
		}
		return s
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		ctx  context.Context
		test *selftest
		want int
	}{
		{t.Context(), rows(canary.Proven, canary.Proven), exitPass},
		{t.Context(), rows(canary.Proven, canary.Unknown), exitUnknown},
		{t.Context(), rows(canary.Unknown, canary.Missed, canary.Proven), exitFail},
		{stopped, rows(canary.Proven, canary.Missed), exitInterrupted},
	} {
		var code codeError
		if err := tt.test.code(tt.ctx); err != nil && !errors.As(err, &code) {
			t.Error(err)
		}
		if int(code) != tt.want {
			t.Errorf("exit %d, want %d", code, tt.want)
		}
	}
}

// A row that could not run is unknown, whatever else is known of it; the
// folder of what was missed stays, and is named.
func TestSelftestTable(t *testing.T) {
	dir := t.TempDir()
	c := canary.All()[0]
	record := func(name string, status runner.Status, reason string) *runner.Results {
		return &runner.Results{Rungs: map[string]runner.Status{"install": status},
			Stages: []runner.Stage{{Name: "install", Tests: []runner.Test{{Name: name, Status: status, Reason: reason}}}}}
	}
	missed := filepath.Join(dir, "missed", "runs", "1")
	s := &selftest{dir: dir, rows: []*row{
		{canary: canary.Good(c.Of), good: true, results: record("install_deploys_head", runner.Pass, "")},
		{canary: c, results: record("install_deploys_head", runner.Fail, `the app said: "sreve" is no command`)},
		{canary: canary.Canary{Name: "missed", Of: c.Of, Want: c.Want}, results: record("install_deploys_head", runner.Pass, ""), folder: missed},
		{canary: canary.Canary{Name: "broken", Of: c.Of, Want: c.Want}, err: errors.New("engine gone\x1b[2J")},
	}}
	for _, d := range []string{missed, filepath.Join(dir, c.Name, "runs", "1")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.judge()
	if err := s.sweep(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := s.print(&out, 61*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"does-not-start  install   install_deploys_head  fail    yes     the app said: \"sreve\" is no command\n",
		"missed: missed: install is pass\n  its run: " + missed + "\n",
		`unknown: broken: engine gone\x1b[2J` + "\n",
		"1 of 4 proven in 1m01s\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "missed" {
		t.Errorf("left %v, %v; want the folder of what was missed alone", entries, err)
	}
}

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("x", 100) + " the words " + strings.Repeat("y", 100)
	for _, tt := range []struct{ text, words, want string }{
		{"short", "short", "short"},
		{strings.Repeat("x", reasonWidth), "", strings.Repeat("x", reasonWidth)},
		{long, "xx", strings.Repeat("x", reasonWidth-1) + "…"},
		{long, "the words", "…the words " + strings.Repeat("y", reasonWidth-12) + "…"},
		{strings.Repeat("x", 100) + " end", "end", "…" + strings.Repeat("x", reasonWidth-6) + " end"},
		{long, "not there", strings.Repeat("x", reasonWidth-1) + "…"},
	} {
		if got := excerpt(tt.text, tt.words); got != tt.want {
			t.Errorf("%q in %q: %q, want %q", tt.words, tt.text, got, tt.want)
		}
	}
}

// On a terminal every run that goes on has a line; elsewhere one is written
// when it is done.
func TestFlock(t *testing.T) {
	var out strings.Builder
	clockAt := time.Unix(0, 0)
	e := &env{stderr: &out, getenv: func(string) string { return "" }, now: func() time.Time { return clockAt }}
	f := newFlock(e, 2)
	a, b := f.begin("old-memory"), f.begin("dump-once")
	a.Step("restore_runs")
	a.Waiting("app 0/1")
	clockAt = clockAt.Add(3 * time.Second)
	var shown []string
	for _, l := range f.lines(clockAt) {
		shown = append(shown, strings.TrimRight(l.fit(0, false), " "))
	}
	want := []string{"selftest  0 of 2 done  3.0s", "  ▸ old-memory                3.0s  restore_runs  waiting: app 0/1", "  ▸ dump-once                 3.0s"}
	if strings.Join(shown, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q, want %q", shown, want)
	}
	b.end("caught", 3*time.Second)
	if len(f.lines(clockAt)) != 2 || !strings.Contains(out.String(), "dump-once                 3.0s  caught\n") {
		t.Errorf("%q", out.String())
	}
	f.Close()
}

// The table in docs/selftest.md is made from the canaries.
func TestSelftestDoc(t *testing.T) {
	const path, begin, end = "../../docs/selftest.md", "<!-- canaries -->\n", "<!-- end of canaries -->\n"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(doc), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", path)
	}
	var b strings.Builder
	b.WriteString(before + begin + "| canary | what is wrong | caught by | as | because |\n|---|---|---|---|---|\n")
	for _, c := range canary.All() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | … %s … |\n", c.Name, cell(c.Wrong), c.Want.Test, c.Want.Status, cell(c.Want.Reason))
	}
	b.WriteString(end + after)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if b.String() != string(doc) {
		t.Errorf("%s is not what the canaries say: run with -update-docs", path)
	}
}
