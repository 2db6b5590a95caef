package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/sys/unix"
)

// A court is a place with a ledger, run at times that the test chooses.
type court struct {
	t     *testing.T
	dir   string
	state string // of one machine
	now   time.Time
}

const seedHead = "edc0201a79d36bc87696b0f93f1ee88ad7bd10ed"

func newCourt(t *testing.T) *court {
	dir := t.TempDir()
	return &court{t: t, dir: dir, state: filepath.Join(dir, "state"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
}

// run is abra-ccci ledger on the court's ledger.
func (c *court) run(stdin string, args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	var out, errs bytes.Buffer
	code = c.runOn(&out, &errs, nil, stdin, args...)
	return code, out.String(), errs.String()
}

func (c *court) runOn(stdout, stderr io.Writer, more map[string]string, stdin string, args ...string) int {
	environ := map[string]string{"ABRA_DIR": c.dir, "XDG_STATE_HOME": c.state}
	maps.Copy(environ, more)
	e := &env{stdin: strings.NewReader(stdin), stdout: stdout, stderr: stderr, now: func() time.Time { return c.now },
		getenv: func(key string) string { return environ[key] }}
	return execute(c.t.Context(), e, append([]string{"ledger"}, args...))
}

// onTerminal is what a real terminal shows, so many columns wide.
func (c *court) onTerminal(columns uint16, environ map[string]string, args ...string) string {
	c.t.Helper()
	master, tty := realTerminal(c.t)
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		c.t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		text, _ := io.ReadAll(master) // it ends with an error: nobody has the other end any more
		shown <- strings.ReplaceAll(string(text), "\r\n", "\n")
	}()
	var errs bytes.Buffer
	code := c.runOn(tty, &errs, environ, "", args...)
	tty.Close()
	if code != exitPass {
		c.t.Fatalf("ledger %v: exit %d\n%s", args, code, errs.String())
	}
	return <-shown
}

// ok is run where it has to work.
func (c *court) ok(stdin string, args ...string) string {
	c.t.Helper()
	code, stdout, stderr := c.run(stdin, args...)
	if code != exitPass {
		c.t.Fatalf("ledger %v: exit %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

func (c *court) key(name string) string {
	return filepath.Join(c.state, "abra-ccci", "keys", name+".key")
}
func (c *court) ledger() string { return filepath.Join(c.dir, "ccci", "ledger") }

func (c *court) begin() {
	c.t.Helper()
	c.ok("", "init", "--origin", "example.org/ledger", "--adversary", "ada", "--builder", "bob")
}

func (c *court) at(clock string) {
	c.t.Helper()
	t, err := time.Parse("2006-01-02T15:04Z", "2026-06-11T"+clock+"Z")
	if err != nil {
		c.t.Fatal(err)
	}
	c.now = t
}

func (c *court) gate(want int, answer string, more ...string) {
	c.t.Helper()
	code, stdout, stderr := c.run("", append([]string{"gate", "--pr", "3", "--head", seedHead, "--claim", "M1"}, more...)...)
	if code != want || !strings.Contains(stdout+stderr, answer) {
		c.t.Errorf("gate: exit %d, want %d with %q\n%s%s", code, want, answer, stdout, stderr)
	}
}

const seedFail = `{
  "kind": "verdict", "phase": "mailu", "claim": "M1", "repo": "coop-cloud/mailu", "pr": 3, "head": "` + seedHead + `",
  "run": "473", "verdict": "FAIL", "scope": "full",
  "summary": "FAIL — the backup/restore test exercises only the SQLite /data volume; the Maildir /mail is NOT tested for restoration",
  "checks": [
    {"status": "pass", "text": "PR#3 labels correct", "detail": ["` + "`admin`: `backupbot.backup.path: /data`" + `", "` + "`imap`: `backupbot.backup.path: /mail`" + `"]},
    {"status": "pass", "text": "build #473: level 5, all 5 rungs PASS"},
    {"status": "fail", "text": "every durable volume exercised", "detail": ["/mail: none"]}
  ],
  "opened": [{"title": "/mail volume restoration not tested", "text": "pre_restore only wipes the DB record.\n\nFix: seed a message, wipe the Maildir, look for the message."}]
}`

const seedPass = `{
  "kind": "verdict", "phase": "mailu", "claim": "M1", "repo": "coop-cloud/mailu", "pr": 3, "head": "` + seedHead + `",
  "run": "477", "verdict": "PASS", "scope": "full", "summary": "PASS — both durable volumes are covered. ADV-mailu-01 is closed.",
  "checks": [{"status": "pass", "text": "Maildir seeded, wiped, restored"}], "closed": ["ADV-mailu-01"],
  "prose": "Builder is cleared to proceed to M2."
}`

// The seed's review, entered by hand: it reads like the original, and the
// gate says at each step what it said.
func TestLedgerSeed(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	c.begin()
	c.ok("Mailu compose.yml analyzed. Critical durable volumes:\n\n- `mail:/mail` on `imap`: Maildir\n\nAwaiting M1 claim from Builder.", "append", "-", "--phase", "mailu")
	c.gate(exitUnknown, "INCONCLUSIVE")
	c.at("20:50")
	results := filepath.Join(c.dir, "results.json")
	writeFile(t, results, `{"run_id": "473", "head": "`+seedHead+`"}`)
	c.ok("", "claim", "M1", "--phase", "mailu", "--repo", "coop-cloud/mailu", "--pr", "3", "--head", seedHead, "--results", results, "build #473 LEVEL 5 PASS")
	c.at("20:58")
	if out := c.ok(seedFail, "append", "--kind", "verdict", "-"); !strings.Contains(out, "opened ADV-mailu-01") {
		t.Errorf("%s", out)
	}
	c.gate(exitFail, "FAIL")
	if out := c.ok("", "status"); !strings.Contains(out, "mailu  M1     FAIL     E000003  coop-cloud/mailu  3   edc0201a79d3  ADV-mailu-01  builder") {
		t.Errorf("%s", out)
	}
	c.at("20:59")
	c.ok("", "claim", "M1", "--pr", "3", "--head", seedHead, "--run", "477", "build #477, ADV-mailu-01 fix applied")
	if out := c.ok("", "status"); !strings.Contains(out, "adversary") {
		t.Errorf("%s", out)
	}
	c.at("21:00")
	c.ok(seedPass, "append", "--kind", "verdict", "-")
	c.gate(exitPass, "PASS  coop-cloud/mailu PR#3 M1 "+seedHead)
	shown := c.ok("", "show", "--phase", "mailu")
	last := 0
	for _, want := range []string{
		"# REVIEW: phase mailu", "## orientation @2026-06-11T17:59Z", "Awaiting M1 claim from Builder.",
		"## M1 claim @2026-06-11T20:50Z", "## M1 FAIL @2026-06-11T20:58Z", "run 473 · full review", "> FAIL — the backup/restore test",
		"### What was verified", "- ✓ PR#3 labels correct\n  - `admin`: `backupbot.backup.path: /data`", "- ✗ every durable volume exercised",
		"### ADV-mailu-01 (closed by E000005)", "Fix: seed a message", "## M1 PASS @2026-06-11T21:00Z", "Builder is cleared to proceed to M2.", "Closes ADV-mailu-01.",
	} {
		i := strings.Index(shown[last:], want)
		if i < 0 {
			t.Fatalf("no %q after byte %d in\n%s", want, last, shown)
		}
		last += i
	}
	if out := c.ok("", "verify"); !strings.Contains(out, "6 entries") {
		t.Errorf("%s", out)
	}
	trust := filepath.Join(c.state, "abra-ccci", "ledgers", "example.org%2Fledger", "trust")
	c.ok("", "verify", "--review", filepath.Join(c.ledger(), "REVIEW-mailu.md"), "--trust", trust)
	var rows []map[string]any
	if err := json.Unmarshal([]byte(c.ok("", "status", "--json")), &rows); err != nil || len(rows) != 1 || rows[0]["verdict"] != "PASS" {
		t.Errorf("%v, %v", rows, err)
	}
	c.ok("", "retract", "E000005", "--key", c.key("ada"), "the run was of another suite")
	c.gate(exitUnknown, "retracted")
}

// What comes from outside decides: trust, what was seen, and the key's file.
func TestLedgerOutside(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	c.begin()
	c.ok(strings.Replace(seedPass, `, "closed": ["ADV-mailu-01"]`, "", 1), "append", "--kind", "verdict", "-")
	c.gate(exitPass, "PASS")
	trust := filepath.Join(c.state, "abra-ccci", "ledgers", "example.org%2Fledger", "trust")
	home := c.state

	c.state = filepath.Join(c.dir, "another machine")
	c.gate(exitUnknown, "nothing outside it vouches")
	c.gate(exitUnknown, "hint: get the trust file", "--trust", filepath.Join(c.dir, "nowhere"))
	c.state = filepath.Join(c.dir, "a third machine")
	c.gate(exitPass, "rollback not excluded", "--trust", trust)
	seen := filepath.Join(c.dir, "seen")
	c.gate(exitPass, "rollback not excluded", "--trust", trust, "--seen", seen)
	if code, out, _ := c.run("", "gate", "--pr", "3", "--head", seedHead, "--claim", "M1", "--trust", trust, "--seen", seen); code != exitPass || strings.Contains(out, "rollback") {
		t.Errorf("exit %d: %s", code, out)
	}

	c.state = home
	c.ok("more", "append", "-", "--phase", "mailu")
	for _, name := range []string{"entries/000002.md", "checkpoints/000003", "REVIEW-mailu.md"} {
		if err := os.Remove(filepath.Join(c.ledger(), name)); err != nil {
			t.Fatal(err)
		}
	}
	c.gate(exitFail, "rolled back")
	if proofs, _ := filepath.Glob(filepath.Join(home, "abra-ccci/ledgers/*/forks/*.txt")); len(proofs) != 1 {
		t.Errorf("proofs: %v", proofs)
	}
	c.gate(exitPass, "PASS", "--trust", trust, "--seen", seen) // that machine has seen no more

	fresh := newCourt(t)
	fresh.begin()
	fresh.gate(exitFail, "another ledger is in its place", "--trust", trust)
}

func TestLedgerRefuses(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	if code, _, stderr := c.run("", "status"); code != exitUnknown || !strings.Contains(stderr, "no ledger here") || !strings.Contains(stderr, "hint: ") {
		t.Errorf("no ledger: exit %d, %s", code, stderr)
	}
	if code, _, stderr := c.run("", "init", "--origin", "x", "--adversary", "ada", "--keys", filepath.Join(c.ledger(), "keys")); code != exitUsage || !strings.Contains(stderr, "lie in the ledger") {
		t.Errorf("keys in the ledger: exit %d, %s", code, stderr)
	}
	c.begin()
	if info, err := os.Stat(c.key("ada")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info, err)
	}
	loose := filepath.Join(c.dir, "loose.key")
	secret, err := os.ReadFile(c.key("ada"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, loose, string(secret))
	results := filepath.Join(c.dir, "results.json")
	writeFile(t, results, `{"run_id": "1", "head": "`+strings.Repeat("0", 40)+`"}`)
	claim := []string{"claim", "M1", "--phase", "mailu", "--repo", "a/b", "--pr", "3", "--head", seedHead}
	tests := []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"again", []string{"init", "--origin", "x", "--adversary", "eve"}, exitUnknown, "holds a ledger already"},
		{"SHA prefix", []string{"gate", "--pr", "3", "--head", seedHead[:12], "--claim", "M1"}, exitUsage, "not a full commit id"},
		{"verdict by the builder", []string{"append", "--kind", "verdict", "--key", c.key("bob"), "-"}, exitUnknown, "can't sign a verdict"},
		{"key that others can read", []string{"append", "--kind", "verdict", "--key", loose, "-"}, exitUnknown, "can be read by others"},
		{"evidence of another commit", append(claim, "--results", results), exitUnknown, "is of commit"},
		{"claim without a phase", []string{"claim", "M1", "--pr", "3", "--head", seedHead}, exitUsage, "needs a phase"},
		{"unknown kind", []string{"append", "--kind", "opinion", "-"}, exitUsage, `unknown kind "opinion"`},
		{"no remote", []string{"sync"}, exitUnknown, "no git remote"},
		{"retracting nothing", []string{"retract", "E000009"}, exitUnknown, "there is no entry"},
	}
	for _, tt := range tests {
		code, _, stderr := c.run(strings.Replace(seedPass, `, "closed": ["ADV-mailu-01"]`, "", 1), tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.stderr) || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s: exit %d, want %d with %q and a hint:\n%s", tt.name, code, tt.code, tt.stderr, stderr)
		}
		if strings.Contains(stderr, string(secret[:40])) {
			t.Errorf("%s: a private key in the output", tt.name)
		}
	}
	if out := c.ok("", "verify"); !strings.Contains(out, "1 entries") {
		t.Errorf("something was added: %s", out)
	}
}

// Verify tells whether git may touch line ends: after all that it has to say of
// the log, and with another exit status than for that. What it hints at mends it.
func TestLedgerAttributes(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	c.begin()
	name := filepath.Join(c.ledger(), ".gitattributes")
	tests := map[string]func() error{
		"is missing": func() error { return nil },
		"is not what it was: git may": func() error {
			return os.WriteFile(name, []byte("* -text\nentries/* text eol=crlf\n"), 0o644)
		},
		"is not what it was": func() error { return os.Symlink(".gitignore", name) },
		"is not what":        func() error { return os.Mkdir(name, 0o755) },
	}
	for want, change := range tests {
		if err := errors.Join(os.RemoveAll(name), change()); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify"}, {"verify", "--json"}} {
			code, stdout, stderr := c.run("", args...)
			if code != exitUnknown || !strings.Contains(stdout, "example.org/ledger") || !strings.Contains(stderr, ".gitattributes "+want) || !strings.Contains(stderr, "hint: ") {
				t.Errorf("%q %v: exit %d, %s%s", want, args, code, stdout, stderr)
			}
		}
	}
	if err := errors.Join(os.RemoveAll(name), tests["is not what it was"]()); err != nil {
		t.Fatal(err)
	}
	_, _, stderr := c.run("", "verify")
	_, hint, _ := strings.Cut(stderr, "folder: ")
	hint, _, _ = strings.Cut(hint, "; git add")
	cmd := exec.Command("sh", "-c", hint)
	cmd.Dir = c.ledger()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", hint, err, out)
	}
	c.ok("", "verify")
}

// What a program reads: each command's JSON, with what it needs from it.
func TestLedgerJSON(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	c.begin()
	if text, err := os.ReadFile(filepath.Join(c.ledger(), ".gitattributes")); string(text) != "* -text\n" {
		t.Errorf(".gitattributes is %q, %v", text, err)
	}
	read := func(want int, text string, args ...string) (got map[string]any) {
		t.Helper()
		code, stdout, stderr := c.run(text, append(args, "--json")...)
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != want {
			t.Fatalf("%v: exit %d, %v\n%s%s", args, code, err, stdout, stderr)
		}
		return got
	}
	expect := func(got map[string]any, want map[string]any) {
		t.Helper()
		for key, value := range want {
			if !reflect.DeepEqual(got[key], value) {
				t.Errorf("%s is %v, want %v", key, got[key], value)
			}
		}
	}
	id := strings.Repeat("0a", 16)
	claim := []string{"claim", "M1", "--phase", "mailu", "--repo", "coop-cloud/mailu", "--pr", "3", "--head", seedHead, "--id", id}
	expect(read(exitPass, "", claim...), map[string]any{"entry": "E000001", "id": id, "again": false, "size": 2.0})
	expect(read(exitPass, "", claim...), map[string]any{"entry": "E000001", "id": id, "again": true, "size": 2.0})
	file := filepath.Join(c.dir, "verdict.json")
	writeFile(t, file, seedFail)
	expect(read(exitPass, "", "append", "--kind", "verdict", file), map[string]any{"entry": "E000002", "opened": []any{"ADV-mailu-01"}})
	writeFile(t, file, "it is seeded now")
	expect(read(exitPass, "", "append", "--kind", "response", "--phase", "mailu", "--claim", "M1", "--key", c.key("bob"), file), map[string]any{"entry": "E000003"})
	gate := []string{"gate", "--pr", "3", "--head", seedHead, "--claim", "M1"}
	expect(read(exitFail, "", gate...), map[string]any{"verdict": "FAIL", "entry": "E000002", "signer": "ada", "open": []any{"ADV-mailu-01"}, "remarks": []any{}})
	expect(read(exitPass, seedPass, "append", "--kind", "verdict", "-"), map[string]any{"entry": "E000004"})
	expect(read(exitPass, "", gate...), map[string]any{"verdict": "PASS", "entry": "E000004", "repo": "coop-cloud/mailu"})
	expect(read(exitPass, "", "retract", "--key", c.key("ada"), "E000004"), map[string]any{"entry": "E000005"})
	expect(read(exitUnknown, "", gate...), map[string]any{"verdict": "INCONCLUSIVE"})
	expect(read(exitPass, "", "verify"), map[string]any{"origin": "example.org/ledger", "size": 6.0, "claimed": false, "rendered": []any{}})

	c.ok("of another phase", "append", "--phase", "notes", "-")
	for args, want := range map[string]string{
		"show": "claim verdict response verdict retract orientation", "show --phase mailu": "claim verdict response verdict retract",
		"show --phase notes": "orientation", "show --claim M1": "claim verdict response verdict retract", "show --phase notes --claim M1": "",
	} {
		var entries []struct{ Kind, Signer string }
		if err := json.Unmarshal([]byte(c.ok("", append(strings.Fields(args), "--json")...)), &entries); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, e := range entries {
			kinds = append(kinds, e.Kind)
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}

// On a pipe show prints Markdown; on a real terminal the same words, coloured
// and folded to its width, unless the user wants neither.
func TestLedgerShowTerminal(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	c.begin()
	c.ok(seedFail, "append", "--kind", "verdict", "-")
	markdown := c.ok("", "show")
	if strings.Contains(markdown, "\x1b") || !strings.Contains(markdown, "\n> FAIL — the backup/restore test exercises only the SQLite /data volume; the Maildir /mail is NOT tested for restoration\n") {
		t.Errorf("on a pipe:\n%s", markdown)
	}
	xterm := map[string]string{"TERM": "xterm"}
	plain := c.onTerminal(60, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, "show")
	widest := 0
	for line := range strings.SplitSeq(plain, "\n") {
		widest = max(widest, runewidth.StringWidth(line))
	}
	if strings.Contains(plain, "\x1b") || widest >= 60 || widest < 45 {
		t.Errorf("folded to %d columns of 60:\n%s", widest, plain)
	}
	words := func(text string) []string { return strings.Fields(strings.ReplaceAll(text, ">", " ")) }
	if !slices.Equal(words(plain), words(markdown)) {
		t.Errorf("folding has changed the words:\n%s\n%s", plain, markdown)
	}
	coloured := c.onTerminal(60, xterm, "show")
	if stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(coloured, ""); stripped != plain {
		t.Errorf("%q\nis more than colours over\n%q", coloured, plain)
	}
	for _, want := range []string{"\n\x1b[1;31m## M1 FAIL @", "\n\x1b[32m- ✓ PR#3 labels correct", "\n\x1b[31m- ✗ every durable volume"} {
		if !strings.Contains(coloured, want) {
			t.Errorf("no %q in\n%q", want, coloured)
		}
	}
	if wide := c.onTerminal(200, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, "show"); wide == plain {
		t.Error("folded alike, however wide the terminal")
	}
	if got := c.onTerminal(60, map[string]string{"TERM": "dumb"}, "show"); got != markdown {
		t.Errorf("on a dumb terminal:\n%q", got)
	}
	if raw := c.ok("", "show", "--raw"); c.onTerminal(60, xterm, "show", "--raw") != raw || !strings.Contains(raw, "\n— ada ") {
		t.Errorf("blocks are not as they are:\n%s", raw)
	}
}

func TestFoldMarkdown(t *testing.T) {
	t.Parallel()
	got := foldMarkdown("## M1 FAIL @x\n> - ✗ one two three four five\n", 16, true)
	want := "\x1b[1;31m## M1 FAIL @x\x1b[0m\n\x1b[31m> - ✗ one two\x1b[0m\n\x1b[31m>     three four\x1b[0m\n\x1b[31m>     five\x1b[0m\n"
	if got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if got := foldMarkdown(strings.Repeat("x", 50), 20, false); strings.Count(got, "\n") != 3 {
		t.Errorf("%q", got)
	}
}
