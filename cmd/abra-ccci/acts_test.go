package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
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

// TestSeed replays a review that people made once: pull request 3 of mailu, with a
// suite that looked only at the accounts, then with a wipe that removed nothing,
// then with the right one. It takes longest of all tests, and this file is the
// first by name, so that it begins first.
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
	head := c.git("rev-parse", "add-backupbot-labels")
	claim := func(name string) {
		c.must("ledger", "claim", name, "--phase", "mailu", "--repo", c.repo, "--pr", "3", "--head", head)
	}
	act := func(name, suite string, want int) string {
		t.Helper()
		dir := filepath.Join(c.bench.dir, "suite")
		write := func(file, text string) {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("suite.toml", suite)
		write("phase.toml", seedPhase)
		claim(name)
		code, stdout, stderr := c.review("--claim", name, "--suite", dir, "--accept-exclude", seedExcludes)
		if code != want {
			t.Fatalf("%s: exit %d, want %d\n%s%s", name, code, want, stdout, stderr)
		}
		t.Log(stdout)
		return stdout
	}
	gate := func(name string, want int) {
		t.Helper()
		code, stdout, stderr := c.run("ledger", "gate", "--repo", c.repo, "--pr", strconv.Itoa(c.pr), "--head", head, "--claim", name)
		if code != want {
			t.Errorf("gate of %s: exit %d, want %d\n%s%s", name, code, want, stdout, stderr)
		}
	}
	right, err := os.ReadFile(filepath.Join(c.abra, "ccci", "suites", "mailu", "suite.toml"))
	if err != nil {
		t.Fatal(err)
	}

	told(t, act("M1", accountsOnly(t, string(right)), exitFail), "mailu M1 FAIL", "ADV-mailu-01 mutants_killed: the loss of imap:/mail goes unnoticed")
	gate("M1", exitFail)
	told(t, act("M1", wipesNothing(t, string(right)), exitFail), "mailu M1 FAIL", "ADV-mailu-02 paths_proven: the wipe of mail_message removes nothing", "closed: ADV-mailu-01")
	gate("M1", exitFail)
	told(t, act("M1", string(right), exitPass), "mailu M1 PASS", "closed: ADV-mailu-02")
	gate("M1", exitPass)
	told(t, act("M2", string(right), exitPass), "mailu M2 PASS")
	gate("M2", exitPass)

	// One byte of the ledger is changed, and nothing in it counts any more.
	entry := filepath.Join(c.abra, "ccci", "ledger", "entries", "000002.md")
	text, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "verdict: FAIL", "verdict: FAIl", 1))
	if err := os.WriteFile(entry, text, 0o644); err != nil {
		t.Fatal(err)
	}
	gate("M2", exitFail)
}

// accountsOnly is the suite without the probe for mail.
func accountsOnly(t *testing.T, suite string) string {
	t.Helper()
	from, to := strings.Index(suite, "# A message, which is"), strings.Index(suite, "[[functional]]")
	if from < 0 || to < from {
		t.Fatal("the suite has no probe for mail")
	}
	return suite[:from] + suite[to:]
}

// wipesNothing is the suite that wipes where Mailu keeps no mail.
func wipesNothing(t *testing.T, suite string) string {
	t.Helper()
	const where = `"/mail/m${TOKEN}@${DOMAIN}"]`
	if !strings.Contains(suite, where) {
		t.Fatal("the suite does not wipe mail")
	}
	return strings.Replace(suite, where, `"/mail/${DOMAIN}/m${TOKEN}"]`, 1)
}

// told checks that a text holds words.
func told(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not said\n%s", w, text)
		}
	}
}
