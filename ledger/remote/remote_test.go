package remote

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	w := &world{t: t, bare: filepath.Join(inMemory(t), "remote.git"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
	w.git("", "init", "-q", "--bare", "-b", "main", w.bare)
	w.git(w.bare, "config", "receive.denyNonFastForwards", "true")
	w.adversary, w.builder = w.key(ledger.Adversary, "adversary"), w.key(ledger.Builder, "builder")
	return w
}

// inMemory is a folder that no disk waits for: what is flushed when is tested
// where the folder is the matter.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ccci-remote-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
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
	c := &clone{world: w, dir: filepath.Join(inMemory(w.t), "clone")}
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
	_, err = c.l.Sync(w.t.Context(), c.g, nil)
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
	if done, err := a.l.Sync(t.Context(), a.g, nil); err != nil || done.Came != 1 || done.Sent != 0 {
		t.Errorf("sync: %+v, %v", done, err)
	}
	w.whole(3)
	if status := w.git(b.dir, "status", "--porcelain"); status != "" {
		t.Errorf("git status:\n%s", status)
	}
}

// Two machines append at the same time, again and again: nothing is lost,
// nothing is forced, each entry is there once.
func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	machines := []*clone{w.first(), w.clone()}
	const each = 4
	var wg sync.WaitGroup
	errs := make([]error, len(machines))
	for i, c := range machines {
		wg.Go(func() {
			for range each {
				if _, err := c.l.AppendTo(t.Context(), c.g, note("mailu", "x"), w.adversary, w.now); err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		w.must(err)
	}
	w.whole(1 + int64(len(machines)*each))
}

// What was pushed is acknowledged only then; with the remote gone nothing
// comes into the folder, and the same append works later.
func TestRemoteGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.first()
	content := note("mailu", "x")
	w.must(os.Rename(w.bare, w.bare+".away"))
	if _, err := c.l.AppendTo(t.Context(), c.g, content, w.adversary, w.now); err == nil {
		t.Fatal("acknowledged without a remote")
	}
	if _, err := os.Stat(filepath.Join(c.dir, "entries/000001.md")); err == nil {
		t.Error("an entry that was never acknowledged is in the folder")
	}
	w.must(os.Rename(w.bare+".away", w.bare))
	c.append(content)
	if r := c.append(content); !r.Again {
		t.Error("appended twice")
	}
	w.whole(2)
}

// A writer that dies after its push, before anything came into its folder,
// finds its entry when it appends it again.
func TestDeadAfterPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.first()
	content := note("mailu", "x")
	if _, err := c.l.AppendTo(t.Context(), dying{c.g}, content, w.adversary, w.now); !errors.Is(err, errDied) {
		t.Fatalf("%v", err)
	}
	w.must(c.open())
	if r := c.append(content); !r.Again {
		t.Error("appended twice")
	}
	w.whole(2)
}

var errDied = errors.New("died")

// A dying remote takes a push, and then the writer is gone.
type dying struct{ *Git }

func (d dying) Push(ctx context.Context, message string, files map[string][]byte) error {
	return errors.Join(d.Git.Push(ctx, message, files), errDied)
}

// Somebody forces the remote back, and writes on: a fork, with both notes.
func TestForcedBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first()
	a.append(note("mailu", "one"))
	a.append(note("mailu", "two"))
	w.git(w.bare, "update-ref", "refs/heads/main", "refs/heads/main~1")
	if _, err := a.l.Sync(t.Context(), a.g, nil); err == nil {
		t.Error("a remote that was forced back is not noticed")
	}
	b := w.clone()
	b.append(note("mailu", "another two"))
	b.append(note("mailu", "another three"))
	// Without what git remembers: the ledger itself finds it.
	w.git(a.dir, "update-ref", "-d", settledRef)
	w.git(a.dir, "update-ref", "HEAD", "HEAD~1")
	_, err := a.l.Sync(t.Context(), a.g, nil)
	var fork *ledger.ForkError
	if !errors.As(err, &fork) || fork.Rollback {
		t.Fatalf("a fork: %v", err)
	}
	if !strings.Contains(string(fork.Proof()), string(fork.Now)) || len(fork.Who) == 0 {
		t.Errorf("%s", fork.Proof())
	}
	w.whole(4) // and nothing was pushed over it
}

// Files that are written once, changed in the remote under a right log.
func TestRemoteRewritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first()
	a.append(note("mailu", "one"))
	evil := w.clone()
	w.must(os.WriteFile(filepath.Join(evil.dir, "entries/000001.md"), []byte("x"), 0o644))
	w.git(evil.dir, "commit", "-qam", "quietly")
	w.git(evil.dir, "push", "-q")
	var broken *ledger.CorruptError
	if _, err := a.l.Sync(t.Context(), a.g, nil); !errors.As(err, &broken) || !strings.Contains(err.Error(), "entries/000001.md") {
		t.Errorf("%v", err)
	}
}

// Line ends are git's to leave alone, whatever its user has set.
func TestLineEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.clone()
	w.must(os.WriteFile(filepath.Join(c.dir, ".gitattributes"), []byte("* -text\n"), 0o644))
	d, err := ledger.MakeDir(c.dir)
	w.must(err)
	_, err = ledger.Init(d, "example.org/ledger", w.keys, id(), w.adversary, w.now)
	w.must(err)
	w.must(c.open())
	_, err = c.l.Sync(t.Context(), c.g, nil)
	w.must(err)
	dir := filepath.Join(inMemory(t), "windows")
	w.git("", "-c", "core.autocrlf=true", "clone", "-q", w.bare, dir)
	there, err := ledger.OpenDir(dir)
	w.must(err)
	defer there.Close()
	_, _, err = ledger.Verify(there)
	w.must(err)
}
