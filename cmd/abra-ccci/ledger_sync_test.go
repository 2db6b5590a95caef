package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// git runs git in a folder.
func (c *court) git(dir string, args ...string) string {
	c.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// identity is who makes commits in the court's clone.
func (c *court) identity() {
	c.t.Helper()
	c.git(c.ledger(), "config", "user.name", "t")
	c.git(c.ledger(), "config", "user.email", "t@example.org")
}

// shared begins a ledger and shares it through a bare repository.
func shared(t *testing.T) (c *court, bare string) {
	c = newCourt(t)
	c.begin()
	bare = filepath.Join(c.dir, "remote.git")
	c.git(c.dir, "init", "-q", "--bare", "-b", "main", bare)
	c.git(c.ledger(), "init", "-q", "-b", "main")
	c.identity()
	c.git(c.ledger(), "remote", "add", "origin", bare)
	c.ok("", "sync")
	return c, bare
}

// cloned is another machine, with a clone of the remote.
func cloned(t *testing.T, bare string) *court {
	c := newCourt(t)
	c.git(c.dir, "clone", "-q", bare, c.ledger())
	c.identity()
	return c
}

// Two machines, one of which wrote on without the remote: a sync makes its
// entries anew on top, and what it remembers having seen goes along.
func TestLedgerSync(t *testing.T) {
	t.Parallel()
	a, bare := shared(t)
	b := cloned(t, bare)
	secret, err := os.ReadFile(a.key("ada"))
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(b.dir, "ada.key")
	if err := os.WriteFile(key, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := b.ok("", "sync"); out != "0 new, 0 sent, size 1\n" {
		t.Errorf("%s", out)
	}
	b.git(b.ledger(), "remote", "remove", "origin")
	b.ok("written on a train", "append", "--phase", "mailu", "--key", key, "-")
	b.git(b.ledger(), "remote", "add", "origin", bare)
	a.ok("written meanwhile", "append", "--phase", "mailu", "-")

	for name, want := range map[string]string{"sync": "only ada can sign it anew", "append": "ledger sync"} {
		args := map[string][]string{"sync": {"sync"}, "append": {"append", "--phase", "mailu", "--key", key, "-"}}[name]
		if code, _, stderr := b.run("more", args...); code != exitUnknown || !strings.Contains(stderr, want) || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s: exit %d\n%s", name, code, stderr)
		}
	}
	if out := b.ok("", "sync", "--key", key); out != "1 new, 1 sent, size 3\nE000001 is E000002 now\n" {
		t.Errorf("%s", out)
	}
	if out := b.ok("", "show"); strings.Index(out, "written meanwhile") > strings.Index(out, "written on a train") || !strings.Contains(out, "written meanwhile") {
		t.Errorf("%s", out)
	}
	if out := a.ok("", "sync"); out != "1 new, 0 sent, size 3\n" {
		t.Errorf("%s", out)
	}
	for _, c := range []*court{a, b} {
		if out := c.ok("", "verify"); !strings.Contains(out, "3 entries") {
			t.Errorf("%s", out)
		}
	}
}

// A clone that is behind another one on the same machine is told so, and a
// sync mends it; a remote that was taken back is still found by it.
func TestLedgerBehind(t *testing.T) {
	t.Parallel()
	a, bare := shared(t)
	b := cloned(t, bare)
	b.state = a.state
	c := newCourt(t)
	c.state = a.state
	c.git(c.dir, "clone", "-q", bare, c.ledger())
	a.ok("one more", "append", "--phase", "mailu", "-")
	for _, args := range [][]string{{"gate", "--pr", "3", "--head", seedHead, "--claim", "M1"}, {"show"}, {"append", "--phase", "mailu", "-"}} {
		if code, _, stderr := b.run("x", args...); code != exitFail || !strings.Contains(stderr, "was rolled back") || !strings.Contains(stderr, "hint: another clone on this machine may be ahead of this one: abra-ccci ledger sync; if that does not mend it, the adversaries must look") {
			t.Errorf("%s: exit %d\n%s", args[0], code, stderr)
		}
	}
	if out := b.ok("", "sync"); out != "1 new, 0 sent, size 2\n" {
		t.Errorf("%s", out)
	}
	b.gate(exitUnknown, "INCONCLUSIVE")

	b.git(bare, "update-ref", "refs/heads/main", "refs/heads/main~1")
	for _, court := range []*court{a, b, c} {
		if code, stdout, stderr := court.run("", "sync"); code != exitFail || !strings.Contains(stderr, "hint: ") {
			t.Errorf("a remote that was taken back: exit %d\n%s%s", code, stdout, stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(c.ledger(), "entries/000001.md")); err == nil {
		t.Error("where did the clone that never had it get it from?")
	}
}

// What was written in a clone that was never synced may have been taken back in
// the remote, for all that anybody knows: its user has to say.
func TestLedgerNeverSynced(t *testing.T) {
	t.Parallel()
	a, bare := shared(t)
	b := cloned(t, bare)
	b.git(b.ledger(), "config", "--rename-section", "remote.origin", "nothing.away")
	b.ok("on a train", "append", "--phase", "mailu", "--key", a.key("ada"), "-")
	b.git(b.ledger(), "config", "--rename-section", "nothing.away", "remote.origin")
	for _, args := range [][]string{{"sync"}, {"append", "--phase", "mailu", "--key", a.key("ada"), "-"}} {
		if code, _, stderr := b.run("x", args...); code != exitUnknown || !strings.Contains(stderr, "was never synced: were they written here, or taken back there?") || !strings.Contains(stderr, "abra-ccci ledger sync") {
			t.Errorf("%s: exit %d\n%s", args[0], code, stderr)
		}
	}
	_, _, stderr := b.run("", "sync")
	command := "update-ref refs/ccci/settled @{upstream}"
	if !strings.Contains(stderr, "hint: if they were written here: git -C "+b.ledger()+" "+command+"; then: abra-ccci ledger sync; if the remote had them, the adversaries must look: ada") {
		t.Errorf("%s", stderr)
	}
	b.git(b.ledger(), strings.Fields(command)...)
	if out := b.ok("", "sync"); out != "0 new, 1 sent, size 2\n" {
		t.Errorf("%s", out)
	}
	if out := a.ok("", "sync"); out != "1 new, 0 sent, size 2\n" {
		t.Errorf("%s", out)
	}
}
