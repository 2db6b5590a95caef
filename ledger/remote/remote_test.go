package remote

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/ledger"
)

// A world is a bare remote, and the people who share a ledger through it.
type world struct {
	t                  *testing.T
	bare               string
	adversary, builder *ledger.Signer
	keys               []ledger.Key
	now                time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, bare: filepath.Join(t.TempDir(), "remote.git"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
	w.git("", "init", "-q", "--bare", "-b", "main", w.bare)
	w.git(w.bare, "config", "receive.denyNonFastForwards", "true")
	w.adversary, w.builder = w.key(ledger.Adversary, "adversary"), w.key(ledger.Builder, "builder")
	return w
}

func (w *world) key(role ledger.Role, name string) *ledger.Signer {
	secret, public, err := ledger.NewKey(rand.Reader, name)
	w.must(err)
	s, err := ledger.ReadSigner(secret)
	w.must(err)
	w.keys = append(w.keys, ledger.Key{Role: role, Public: public})
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	if dir != "" {
		args = append([]string{"-C", dir}, args...)
	}
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.org", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// A clone is one machine.
type clone struct {
	*world
	dir string
	d   *ledger.Dir
	l   *ledger.Ledger
	g   *Git
}

// clone makes a clone and opens the ledger that is in it, if there is one.
func (w *world) clone() *clone {
	w.t.Helper()
	c := &clone{world: w, dir: filepath.Join(w.t.TempDir(), "clone")}
	w.git("", "clone", "-q", w.bare, c.dir)
	w.git(c.dir, "config", "user.name", "t")
	w.git(c.dir, "config", "user.email", "t@example.org")
	g, err := Open(w.t.Context(), c.dir)
	w.must(err)
	c.g = g
	w.t.Cleanup(func() { g.Close() })
	if _, err := os.Stat(filepath.Join(c.dir, "entries")); err == nil {
		w.must(c.open())
	}
	return c
}

func (c *clone) open() (err error) {
	c.t.Helper()
	if c.d, err = ledger.OpenDir(c.dir); err != nil {
		return err
	}
	c.t.Cleanup(func() { c.d.Close() })
	c.l, err = ledger.Open(c.d)
	return err
}

// first makes a ledger in an empty clone, and shares it.
func (w *world) first() *clone {
	w.t.Helper()
	c := w.clone()
	d, err := ledger.MakeDir(c.dir)
	w.must(err)
	_, err = ledger.Init(d, "example.org/ledger", w.keys, id(), w.adversary, w.now)
	w.must(err)
	w.must(c.open())
	_, err = c.l.Sync(w.t.Context(), c.g)
	w.must(err)
	return c
}

func id() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func note(phase, text string) ledger.Content {
	return ledger.Content{Kind: ledger.Orientation, Phase: phase, Prose: text, ID: id()}
}

func (c *clone) append(content ledger.Content) ledger.Receipt {
	c.t.Helper()
	r, err := c.l.AppendTo(c.t.Context(), c.g, content, c.adversary, c.now)
	c.must(err)
	return r
}

// whole checks everything in a fresh clone, and that its history is a line.
func (w *world) whole(size int64) {
	w.t.Helper()
	c := w.clone()
	l, stale, err := ledger.Verify(c.d)
	w.must(err)
	if l.Checkpoint().Size != size || len(stale) > 0 {
		w.t.Errorf("size %d, want %d; stale %v", l.Checkpoint().Size, size, stale)
	}
	if merges := w.git(c.dir, "rev-list", "--merges", "--count", "HEAD"); merges != "0" {
		w.t.Errorf("%s merges", merges)
	}
}

// Two machines append in turn, and at the same time: each entry is in the
// ledger once, on top of the other's.
func TestTwoClones(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first()
	b := w.clone()
	a.append(note("mailu", "from a"))
	if r := b.append(note("mailu", "from b")); r.Entry.Index != 2 {
		t.Errorf("b's entry has index %d", r.Entry.Index)
	}
	if came, err := a.l.Sync(t.Context(), a.g); err != nil || came != 1 {
		t.Errorf("sync: %d came, %v", came, err)
	}
	w.whole(3)
	for _, c := range []*clone{a, b} {
		if status := w.git(c.dir, "status", "--porcelain", "--untracked-files=no"); c == b && status != "" {
			t.Errorf("git status:\n%s", status)
		}
	}
}
