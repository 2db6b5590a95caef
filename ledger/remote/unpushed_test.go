package remote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sumnote "golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"coopcloud.tech/abra-ccci/ledger"
)

// alone appends without asking the remote, and commits it by hand.
func (c *clone) alone(key *ledger.Signer, content ledger.Content) ledger.Content {
	c.t.Helper()
	content.ID = id()
	_, err := c.l.Append(content, key, c.now)
	c.must(err)
	c.git(c.dir, "add", "-A")
	c.git(c.dir, "commit", "-qm", "by hand")
	return content
}

func verdict(v ledger.Verdict) ledger.Content {
	return ledger.Content{Kind: ledger.VerdictKind, Phase: "mailu", Claim: "M1", Verdict: v, Scope: ledger.Full, ID: id(),
		Subject: ledger.Subject{Repo: "coop-cloud/mailu", PR: 3, Head: strings.Repeat("0a", 20)}}
}

func opening(title string) ledger.Content {
	c := verdict(ledger.Fail)
	c.Opened = []ledger.Finding{{Title: title}}
	return c
}

// rebuild has the keys of both.
func (w *world) rebuild() *ledger.Rebuild {
	return &ledger.Rebuild{Now: w.now, Forget: func([]byte) error { return nil }, Key: func(e *ledger.Entry) *ledger.Signer {
		return map[string]*ledger.Signer{"adversary": w.adversary, "builder": w.builder}[e.Signer]
	}}
}

// entries are those of a fresh clone, in which everything is right.
func (w *world) entries(want int) (list []*ledger.Entry) {
	w.t.Helper()
	w.whole(int64(want))
	_, err := ledger.Open(w.clone().d, func(e *ledger.Entry, _ []byte, _ *ledger.Policy) error { list = append(list, e); return nil })
	w.must(err)
	return list
}

// tidy tells that a clone has what the remote has, and nothing else.
func (c *clone) tidy() {
	c.t.Helper()
	c.must(c.open())
	_, stale, err := ledger.Verify(c.d)
	if status := c.git(c.dir, "status", "--porcelain"); err != nil || len(stale) > 0 || status != "" {
		c.t.Errorf("verify: %v, stale %v, git status:\n%s", err, stale, status)
	}
	if here, there := c.git(c.dir, "rev-parse", "HEAD"), c.git(c.bare, "rev-parse", "main"); here != there {
		c.t.Errorf("HEAD is %s, the remote has %s", here, there)
	}
	if done, err := c.l.Sync(c.t.Context(), c.g, c.rebuild()); err != nil || done.Came+done.Sent != 0 {
		c.t.Errorf("a second sync: %+v, %v", done, err)
	}
}

// Entries that were written without the remote, which has not moved: they
// are pushed as they are, and nobody has to sign again.
func TestUnpushedOnTop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.first()
	b := w.clone()
	b.append(note("mailu", "together"))
	one := b.alone(w.adversary, note("mailu", "alone"))
	b.alone(w.builder, ledger.Content{Kind: ledger.Response, Phase: "mailu", Prose: "alone, too"})
	raw := readFile(t, b.dir, "entries/000002.md")
	done, err := b.l.Sync(t.Context(), b.g, nil)
	if err != nil || done.Sent != 2 || done.Came != 0 || len(done.Rebuilt) != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if list := w.entries(4); list[2].ID != one.ID || readFile(t, b.dir, "entries/000002.md") != raw {
		t.Errorf("entry 2 is %s", list[2].ID)
	}
	b.tidy()
}

func readFile(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Two machines wrote on, one without the remote, and its push was rejected:
// its entries are made anew on top of the other's, each once; what they say
// of each other follows; nothing that the remote had is gone.
func TestUnpushedRebuilt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first()
	b := w.clone()
	b.append(note("mailu", "together"))
	a.append(opening("seen by a"))
	theirs := w.git(w.bare, "rev-parse", "main")

	found := b.alone(w.adversary, opening("seen by b"))
	c := verdict(ledger.Fail)
	c.Closed = []string{"ADV-mailu-01"} // b's own, as b knows of no other
	closed := b.alone(w.adversary, c)
	back := b.alone(w.adversary, ledger.Content{Kind: ledger.Retract, Phase: "mailu", Claim: "M1", Retracts: "E000003"})
	if _, err := b.g.run(t.Context(), nil, "push", "--quiet", "origin", "main"); err == nil {
		t.Fatal("git pushed what is not on top")
	}
	var unpushed *ledger.UnpushedError
	if _, err := b.l.AppendTo(t.Context(), b.g, note("mailu", "x"), w.adversary, w.now); !errors.As(err, &unpushed) || !strings.Contains(unpushed.Hint(), "ledger sync") {
		t.Fatalf("append: %v", err)
	}
	done, err := b.l.Sync(t.Context(), b.g, w.rebuild())
	want := []ledger.Moved{{From: "E000002", To: "E000003"}, {From: "E000003", To: "E000004"}, {From: "E000004", To: "E000005"}}
	if err != nil || done.Sent != 3 || done.Came != 1 || !slices.Equal(done.Rebuilt, want) {
		t.Errorf("%+v, %v", done, err)
	}
	list := w.entries(6)
	for i, want := range []string{found.ID, closed.ID, back.ID} {
		if list[3+i].ID != want {
			t.Errorf("E%06d has id %s, want %s", 3+i, list[3+i].ID, want)
		}
	}
	if got := fmt.Sprint(list[3].Opened[0].ID, list[4].Closed, list[5].Retracts); got != "ADV-mailu-02[ADV-mailu-02]E000004" {
		t.Errorf("opened, closed, retracted: %s", got)
	}
	w.git(w.bare, "merge-base", "--is-ancestor", theirs, "main")
	b.tidy()
	if done, err := a.l.Sync(t.Context(), a.g, nil); err != nil || done.Came != 3 {
		t.Errorf("a: %+v, %v", done, err)
	}
	a.tidy()
}

// What is in the way of making entries anew: nothing changes on either side.
func TestUnpushedRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(a, b *clone, r *ledger.Rebuild)
		want string
	}{
		{"a PASS whose author did not know of a FAIL", func(a, b *clone, _ *ledger.Rebuild) {
			b.alone(b.adversary, verdict(ledger.Pass))
			a.append(verdict(ledger.Fail))
		}, "E000001 judged the same claim meanwhile"},
		{"an entry of somebody else", func(a, b *clone, r *ledger.Rebuild) {
			b.alone(b.builder, ledger.Content{Kind: ledger.Response, Phase: "mailu", Prose: "x"})
			r.Key = func(*ledger.Entry) *ledger.Signer { return nil }
			a.append(note("mailu", "x"))
		}, "only builder can sign it anew"},
		{"an entry that its author never signed", func(a, b *clone, _ *ledger.Rebuild) {
			b.alone(b.adversary, note("mailu", "planted"))
			name := filepath.Join(b.dir, "entries/000001.md")
			text := readFile(b.t, b.dir, "entries/000001.md")
			at := strings.LastIndex(text, "=") - 20
			flipped := map[bool]string{true: "B", false: "A"}[text[at] == 'A']
			b.must(os.WriteFile(name, []byte(text[:at]+flipped+text[at+1:]), 0o644))
			b.forgeCheckpoint()
			a.append(note("mailu", "x"))
		}, "signature of key adversary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.first()
			b := w.clone()
			_, err := b.l.Sync(t.Context(), b.g, nil)
			w.must(err)
			r := w.rebuild()
			tt.do(a, b, r)
			w.must(b.open())
			here, there := readFile(t, b.dir, "entries/000001.md"), w.git(w.bare, "rev-parse", "main")
			if _, err := b.l.Sync(t.Context(), b.g, r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if readFile(t, b.dir, "entries/000001.md") != here || w.git(w.bare, "rev-parse", "main") != there {
				t.Error("something changed")
			}
		})
	}
}

// forgeCheckpoint signs what two entries are now, with a builder's key: who
// can write here can do that, if a builder is not careful.
func (c *clone) forgeCheckpoint() {
	c.t.Helper()
	leaf := func(name string) tlog.Hash { return tlog.RecordHash([]byte(readFile(c.t, c.dir, name))) }
	root := tlog.NodeHash(leaf("entries/000000.md"), leaf("entries/000001.md"))
	signed, err := sumnote.Sign(&sumnote.Note{Text: fmt.Sprintf("example.org/ledger\n2\n%s\n", root)}, c.builder)
	c.must(err)
	c.must(os.WriteFile(filepath.Join(c.dir, "checkpoints/000002"), signed, 0o644))
	c.must(os.Remove(filepath.Join(c.dir, "REVIEW-mailu.md")))
}

// A sync that dies after its push, before or after anything gave way, is done
// again: each entry is there once.
func TestUnpushedDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first()
	b := w.clone()
	b.append(note("mailu", "together"))
	a.append(note("mailu", "by a"))
	b.alone(w.adversary, note("mailu", "one"))
	b.alone(w.adversary, note("mailu", "two"))
	r := w.rebuild()
	r.Forget = func(stays []byte) error {
		if !strings.HasPrefix(string(stays), "example.org/ledger\n2\n") {
			t.Errorf("what stays is %q", stays)
		}
		return errDied
	}
	if _, err := b.l.Sync(t.Context(), b.g, r); !errors.Is(err, errDied) {
		t.Fatalf("%v", err)
	}
	w.whole(5)
	for _, name := range []string{"REVIEW-mailu.md", "checkpoints/000004", "entries/000003.md"} { // and a part of it is done
		w.must(os.Remove(filepath.Join(b.dir, name)))
	}
	w.must(b.open())
	if _, err := b.l.Sync(t.Context(), b.g, w.rebuild()); err != nil {
		t.Fatal(err)
	}
	w.whole(5)
	b.tidy()
}

// Commits of one's own beside the ledger are brought along, on top of what
// others pushed; what both changed is not decided here.
func TestBeside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.first()
	b := w.clone()
	commit := func(c *clone, name, text string) {
		w.must(os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644))
		w.git(c.dir, "add", "--", name)
		w.git(c.dir, "commit", "-qm", "about "+name)
	}
	commit(b, "README.md", "x\n")
	commit(b, "with space é", "y\n")
	a.append(note("mailu", "meanwhile"))
	b.append(note("mailu", "x"))
	b.tidy()
	if _, err := a.l.Sync(t.Context(), a.g, nil); err != nil {
		t.Fatal(err)
	}
	a.tidy()
	if readFile(t, a.dir, "README.md") != "x\n" || readFile(t, a.dir, "with space é") != "y\n" {
		t.Error("what lies beside did not come along")
	}
	if log := w.git(w.bare, "log", "--format=%B", "main"); !strings.Contains(log, "about README.md") {
		t.Errorf("the words of the commit are lost:\n%s", log)
	}
	commit(a, "README.md", "by a\n")
	commit(b, "README.md", "by b\n")
	if _, err := a.l.Sync(t.Context(), a.g, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.l.Sync(t.Context(), b.g, nil); err == nil || !strings.Contains(err.Error(), `"README.md" was changed here and in the remote`) {
		t.Errorf("%v", err)
	}
	if readFile(t, b.dir, "README.md") != "by b\n" {
		t.Error("what was written here is gone")
	}
	w.whole(3)
}
