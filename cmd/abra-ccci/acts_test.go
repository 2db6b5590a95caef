package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// The phase of the seed: what M1 and M2 need.
const seedPhase = `phase = "mailu"

[[claim]]
name   = "M1"
level  = 5
checks = ["version_bumped"]

[[claim]]
name       = "M2"
level      = 5
base_level = 4
checks     = ["second_run", "levels_reconciled"]
`

// The excludes that the adversary of the seed has looked at.
const seedExcludes = "dkim,redis,mailqueue"

// An act is one review of the seed: what it judges, and what must come of it.
type act struct {
	number int
	title  string
	claim  string
	suite  func(t testing.TB, right string) string // what the suite is then
	exit   int
	want   []string // what must be told
	record func(t testing.TB, c *hearing, cold *runner.Results)
}

var acts = []act{
	{1, "a suite that looks only at the accounts", "M1", accountsOnly, exitFail,
		[]string{"mailu M1 FAIL", "ADV-mailu-01 mutants_killed: the loss of imap:/mail goes unnoticed"}, mailIsUnproven},
	{2, "a message is seeded too, and the wipe removes nothing", "M1", wipesNothing, exitFail,
		[]string{"mailu M1 FAIL", "ADV-mailu-02 paths_proven: the wipe of mail_message removes nothing", "closed: ADV-mailu-01"}, wipeRemovedNothing},
	{3, "the right suite", "M1", rightSuite, exitPass,
		[]string{"mailu M1 PASS", "closed: ADV-mailu-", "dkim is excluded: "}, mailIsProven},
	{4, "the levels of base and head, and a second run", "M2", rightSuite, exitPass,
		[]string{"mailu M2 PASS", "level 4 → 5", "reproduced: two independent runs at the same head"}, mainIsLevelFour},
}

// TestSeed replays a review that people made once: pull request 3 of mailu, with a
// suite that looked only at the accounts, then with a wipe that removed nothing,
// then with the right one. This file is the first by name, so that it begins first.
// Without the build tag acts only the first act and the third are played: a FAIL,
// and the PASS that closes its finding.
func TestSeed(t *testing.T) {
	t.Parallel()
	c := newHearing(t, "mailu")
	for range 2 { // issues and pull requests share their numbers
		c.forge.API(t, "builder", "POST", "/repos/"+c.repo+"/issues", map[string]string{"title": "something else"}, nil)
	}
	c.open("add-backupbot-labels")
	if c.pr != 3 {
		t.Fatalf("pull request %d, not 3", c.pr)
	}
	right, err := os.ReadFile(filepath.Join(c.abra, "ccci", "suites", "mailu", "suite.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := &staging{hearing: c, head: c.git("rev-parse", "add-backupbot-labels"), right: string(right)}
	for _, a := range acts {
		if everyAct || a.number == 1 || a.number == 3 {
			s.play(a)
		}
	}
	s.changeOneByte()
	if path := os.Getenv("CCCI_ACTS"); path != "" {
		if err := os.WriteFile(path, []byte(s.script.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A staging plays the acts, and keeps what was typed and printed.
type staging struct {
	*hearing
	head, right string
	script      strings.Builder
	last        string // claim of the last act
	seen        int    // runs that acts before had
}

// play claims, reviews, and asks the gate.
func (s *staging) play(a act) {
	s.t.Helper()
	dir := filepath.Join(s.bench.dir, "suite")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string]string{"suite.toml": a.suite(s.t, s.right), "phase.toml": seedPhase} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	fmt.Fprintf(&s.script, "## Act %d: %s\n\n", a.number, a.title)
	s.last = a.claim
	s.must("ledger", "claim", a.claim, "--phase", "mailu", "--repo", s.repo, "--pr", "3", "--head", s.head)
	code, stdout, stderr := s.review("--claim", a.claim, "--suite", dir, "--accept-exclude", seedExcludes)
	s.write("review --pr 3 --phase mailu --claim "+a.claim+" --suite ./suite --accept-exclude "+seedExcludes, code, stdout)
	if code != a.exit {
		s.t.Fatalf("act %d: exit %d, want %d\n%s%s", a.number, code, a.exit, stdout, stderr)
	}
	told(s.t, stdout, a.want...)
	for _, r := range s.runs() {
		s.nothingLeft(r.RunID)
	}
	a.record(s.t, s.hearing, s.runs()[s.seen])
	s.seen = len(s.runs())
	s.gate(a.claim, a.exit)
}

func (s *staging) gate(claim string, want int) {
	s.t.Helper()
	code, stdout, stderr := s.run("ledger", "gate", "--repo", s.repo, "--pr", strconv.Itoa(s.pr), "--head", s.head, "--claim", claim)
	s.write(fmt.Sprintf("ledger gate --repo %s --pr 3 --head %s --claim %s", s.repo, s.head, claim), code, stdout+stderr)
	if code != want {
		s.t.Errorf("gate of %s: exit %d, want %d\n%s%s", claim, code, want, stdout, stderr)
	}
}

// changeOneByte changes one of the ledger: nothing in it counts any more.
func (s *staging) changeOneByte() {
	s.t.Helper()
	name := filepath.Join(s.abra, "ccci", "ledger", "entries", "000002.md")
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	changed := strings.Replace(string(text), "verdict: FAIL", "verdict: FAIl", 1)
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil || changed == string(text) {
		s.t.Fatalf("nothing was changed: %v", err)
	}
	fmt.Fprintf(&s.script, "## One byte of the ledger is changed\n\nIn `entries/000002.md`, `verdict: FAIL` is now `verdict: FAIl`.\n\n")
	s.gate(s.last, exitFail)
}

// write adds a command and what it printed to the script.
func (s *staging) write(command string, code int, output string) {
	output = strings.ReplaceAll(output, s.bench.dir+"/", "")
	fmt.Fprintf(&s.script, "```console\n$ abra-ccci %s\n%s```\n\nExit status %d.\n\n", command, output, code)
}

// runs are the records of all runs so far, oldest first.
func (c *hearing) runs() []*runner.Results {
	c.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(c.bench.dir, "runs", "*", "results.json"))
	if err != nil || len(dirs) == 0 {
		c.t.Fatalf("no run: %v", err)
	}
	var all []*runner.Results
	for _, d := range dirs {
		all = append(all, c.results(filepath.Base(filepath.Dir(d))))
	}
	slices.SortFunc(all, func(a, b *runner.Results) int { return a.Started.Compare(b.Started) })
	return all
}

// The mail is saved and comes back, and nobody would notice if it did not.
func mailIsUnproven(t testing.TB, _ *hearing, cold *runner.Results) {
	if cold.Rungs[runner.RungBackupRestore] != runner.Unver {
		t.Errorf("backup_restore %s\n%s", cold.Rungs[runner.RungBackupRestore], summary(cold))
	}
	if p := proofs(cold); p["imap:/mail"] != runner.ProofFile || p["admin:/data"] != runner.ProofApp {
		t.Errorf("proofs %v", p)
	}
	wantStatus(t, cold, "drill_proves_imap_mail", runner.Unver, "imap:/mail has proof file only")
}

// The wipe ends well, at a path that Mailu does not use.
func wipeRemovedNothing(t testing.TB, _ *hearing, cold *runner.Results) {
	wantStatus(t, cold, "wipe_removes_mail_message", runner.Fail, "the wipe removed nothing")
	wantStatus(t, cold, "restore_returns_mail_message", runner.Unver, "blocked by wipe_removes_mail_message")
}

func mailIsProven(t testing.TB, _ *hearing, cold *runner.Results) {
	if cold.Level != 5 || cold.Version != "3.0.2+2024.06.52" || cold.UpgradeFrom != "3.0.1+2024.06.52" {
		t.Errorf("version %q, upgraded from %q, level %d\n%s", cold.Version, cold.UpgradeFrom, cold.Level, summary(cold))
	}
	for _, path := range []string{"admin:/data", "imap:/mail"} {
		if got := proofs(cold)[path]; got != runner.ProofApp {
			t.Errorf("%s has proof %q", path, got)
		}
	}
	for _, c := range cold.Coverage {
		if c.Volume == "mail" && !slices.Equal(c.Probes, []string{"mail_message"}) {
			t.Errorf("imap:/mail is proven by %v", c.Probes)
		}
	}
}

// The base has no labels: it is at level 4, and says why.
func mainIsLevelFour(t testing.TB, c *hearing, cold *runner.Results) {
	mailIsProven(t, c, cold)
	all := c.runs()
	base := all[len(all)-1]
	if base.Level != 4 || base.UpgradeFrom != "3.0.0+2024.06.50" || base.Rungs[runner.RungUpgrade] != runner.Pass {
		t.Errorf("the base: level %d, upgraded from %q\n%s", base.Level, base.UpgradeFrom, summary(base))
	}
	if base.Rungs[runner.RungBackupRestore] != runner.Skip || !strings.Contains(base.Skips.Intentional[runner.RungBackupRestore], "backupbot.backup=true") {
		t.Errorf("backup_restore of the base is %s: %v", base.Rungs[runner.RungBackupRestore], base.Skips)
	}
}

func rightSuite(_ testing.TB, suite string) string { return suite }

// accountsOnly is the suite without the probe for mail.
func accountsOnly(t testing.TB, suite string) string {
	t.Helper()
	from, to := strings.Index(suite, "# A message, which is"), strings.Index(suite, "[[functional]]")
	if from < 0 || to < from {
		t.Fatal("the suite has no probe for mail")
	}
	return suite[:from] + suite[to:]
}

// wipesNothing is the suite that wipes where Mailu keeps no mail.
func wipesNothing(t testing.TB, suite string) string {
	t.Helper()
	const where = `"/mail/m${TOKEN}@${DOMAIN}"]`
	if !strings.Contains(suite, where) {
		t.Fatal("the suite does not wipe mail")
	}
	return strings.Replace(suite, where, `"/mail/${DOMAIN}/m${TOKEN}"]`, 1)
}

// told checks that a text holds words.
func told(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not said\n%s", w, text)
		}
	}
}
