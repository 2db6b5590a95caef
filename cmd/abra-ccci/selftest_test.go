package main

import (
	"context"
	"encoding/json"
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

// canaries is the table of what must be found out, and where. Package canary
// has it too; written down twice, neither can quietly ask for less.
var canaries = []struct {
	name, rung, test string
	status           runner.Status
	reason           string
}{
	{"does-not-start", "install", "install_deploys_head", "fail", `"sreve" is no command`},
	{"never-healthy", "install", "install_deploys_head", "fail", "unhealthy"},
	{"image-missing", "install", "install_deploys_head", "unver", "image not to be had"},
	{"upgrade-loses-data", "upgrade", "upgrade_keeps_text", "fail", "exit 4 says that it is gone"},
	{"upgrade-rolled-back", "upgrade", "upgrade_moves_to_head", "fail", "rolled back"},
	{"labels-never-reach", "backup_restore", "backup_labels", "fail", "existing-apps-unsaved"},
	{"path-outside-volumes", "backup_restore", "backup_labels", "fail", "path-outside-mount"},
	{"partial-volume", "backup_restore", "volume_complete_data", "fail", "journal is missing"},
	{"writable-layer", "backup_restore", "restore_returns_text", "fail", "the app writes to /store of service app (the container's writable layer)"},
	{"data-volume-excluded", "backup_restore", "restore_returns_text", "fail", "no label saves app:/data, which it covers"},
	{"dump-once", "backup_restore", "backup_captures_app_data_dump", "fail", "the pre-hook did not write it"},
	{"dump-nowhere", "backup_restore", "backup_snapshot_first", "fail", `nothing to back up at "dump" in volume "data"`},
	{"restore-hook-swallows", "backup_restore", "restore_returns_text", "fail", "exit 4 says that it is gone"},
	{"wipe-removes-nothing", "backup_restore", "wipe_removes_text", "fail", "the wipe removed nothing that the check looks at"},
	{"wipe-stops-service", "backup_restore", "wipe_removes_text", "unver", "gives an error, which proves nothing"},
	{"check-never-looks", "backup_restore", "wipe_removes_text", "fail", "holds for a token that was never seeded"},
	{"content-recreated", "backup_restore", "drill_starts_empty_text", "fail", "something else satisfies it"},
	{"covers-untrue", "backup_restore", "drill_proves_app_media", "unver", "is green without it"},
	{"old-memory", "backup_restore", "restore_survives_restart_text", "fail", "exit 4 says that it is gone"},
	{"wrong-owner", "backup_restore", "restore_returns_text", "fail", "permission denied"},
	{"secret-in-log", "no_secret_leak", "no_secret_leak", "fail", "key (plain) in the log of app"},
	{"secret-in-env", "no_secret_leak", "no_secret_leak", "fail", "key (plain) in"},
	{"volume-left-behind", "clean_teardown", "clean_teardown", "fail", "left on the engine: volume"},
	{"lint-rule-broken", "lint", "lint_r010", "fail", "traefik.enable=true"},
}

// Every canary is caught at its own test for its own reason, and that test
// passes for the recipe that it was planted in.
func TestSelftest(t *testing.T) { // not parallel: it has runs of its own at once
	b := newBench(t)
	code, stdout, stderr := b.run("selftest", "--json")
	t.Logf("exit %d\n%s", code, stderr)
	var got selftestRecord
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	rows := got.Rows
	for _, good := range canary.Goods() {
		if len(rows) == 0 || rows[0].Canary != good || rows[0].Outcome != canary.Proven {
			t.Fatalf("good recipe %s: %+v", good, rows)
		}
		rows = rows[1:]
	}
	if code != exitPass || len(rows) != len(canaries) {
		t.Fatalf("exit %d, %d rows, %d canaries", code, len(rows), len(canaries))
	}
	for i, want := range canaries {
		r := rows[i]
		if r.Canary != want.name || r.Rung != want.rung || r.Test != want.test || r.Status != want.status || !strings.Contains(r.Reason, want.reason) || r.Outcome != canary.Proven {
			t.Errorf("%+v\nwant %+v, proven", r, want)
		}
	}
	b.selftestLeftNothing()
}

// selftestLeftNothing looks for anything that the bench's host made, and for
// files beside those that every command leaves.
func (b *bench) selftestLeftNothing() {
	b.t.Helper()
	state := filepath.Join(b.dir, "state", "abra-ccci")
	id, err := os.ReadFile(filepath.Join(state, "host-id"))
	if err != nil {
		b.t.Fatal(err)
	}
	if left := labelled(b.t, engine(b.t), "ccci.host="+strings.TrimSpace(string(id))); len(left) > 0 {
		b.t.Errorf("left on the engine: %v", left)
	}
	if dirs, err := filepath.Glob(filepath.Join(state, "selftest-*")); err != nil || len(dirs) > 0 {
		b.t.Errorf("left in the state folder: %v, %v", dirs, err)
	}
	if locks, err := filepath.Glob(filepath.Join(state, "locks", "*.lock")); err != nil || len(locks) > 0 {
		b.t.Errorf("locks left: %v, %v", locks, err)
	}
}

// An interrupted selftest says so, and leaves nothing.
func TestSelftestInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cmd, _, stderr := b.command("selftest", "--only", "wipe-stops-service")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := engine(t)
	host := filepath.Join(b.dir, "state", "abra-ccci", "host-id")
	waitFor(t, func() bool {
		id, err := os.ReadFile(host)
		return err == nil && len(labelled(t, c, "ccci.host="+strings.TrimSpace(string(id)))) > 0
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	b.selftestLeftNothing()
}

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
