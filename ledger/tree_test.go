package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// Every root and every hash of a tree is what package tlog makes of all hashes,
// whether its batches lie on the shelf or are read again.
func TestTree(t *testing.T) {
	t.Parallel()
	const n = 5*batch + 3
	files := mapReader{}
	all, grown := hashes{}, tree{folder: files, shelf: new(shelf)}
	for i := range int64(n) {
		raw := fmt.Append(nil, "entry ", i)
		files[entryName(i)] = raw
		must(t, all.add(i, tlog.RecordHash(raw)))
		must(t, grown.add(tlog.RecordHash(raw)))
		want, err := tlog.TreeHash(i+1, &all)
		must(t, err)
		if got, err := grown.root(i + 1); err != nil || got != want {
			t.Fatalf("root of %d: %v, %v", i+1, got, err)
		}
	}
	bare := grown
	for i := range int64(n + 1) {
		want, err := tlog.TreeHash(i, &all)
		must(t, err)
		bare.shelf = new(shelf)
		for _, tr := range []*tree{&grown, &bare} {
			if got, err := tr.root(i); err != nil || got != want {
				t.Errorf("root of the first %d: %v, %v", i, got, err)
			}
		}
	}
	for x, want := range all {
		bare.shelf = new(shelf)
		for _, tr := range []*tree{&grown, &bare} {
			if got, err := tr.ReadHashes([]int64{int64(x)}); err != nil || got[0] != want {
				t.Errorf("hash %d: %v, %v", x, got, err)
			}
		}
	}
	for _, tr := range []*tree{&grown, {folder: files, shelf: new(shelf)}} {
		if _, err := tr.root(n + 1); err == nil {
			t.Error("a root of more entries than there are")
		}
		for _, at := range [][2]int64{{0, n}, {2, n / 4}, {batchLevel, n / batch}, {20, 0}} {
			if h, err := tr.hash(int(at[0]), at[1]); err == nil {
				t.Errorf("hash of level %d, %d: %s", at[0], at[1], h)
			}
		}
	}
}

// What an open ledger reads again is what it opened, or an error: which never
// blames the entry that is about to come.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	const n = 2*batch + 10
	b, l := grow(t, inMemory(t), n)
	whole, whose := b.read(entryName(70)), entryName(70)
	last := b.read(entryName(n - 1))
	_, of, err := l.entry(70)
	must(t, err)
	tests := []struct {
		what    string
		do      func(l *Ledger) error
		batched bool // it reads other entries of the batch
	}{
		{"the block", func(l *Ledger) error { _, err := l.tree.block(70); return err }, true},
		{"another block", func(l *Ledger) error { _, err := l.tree.block(71); return err }, true},
		{"the root before it", func(l *Ledger) error { _, err := l.tree.root(70); return err }, true},
		{"a rendering", func(l *Ledger) error { _, err := l.review("p1", n); return err }, true},
		{"a rendering beside it", func(l *Ledger) error { _, err := l.review("p2", n); return err }, true},
		{"its number", func(l *Ledger) error { _, err := l.Named("E000070"); return err }, true},
		{"its id", func(l *Ledger) error { _, err := l.Append(of.Content, b.adversary, b.now); return err }, true},
		{"its retraction", func(l *Ledger) error {
			_, err := l.Append(Content{Kind: Retract, Phase: "p1", Claim: "M1", Retracts: "E000070", ID: b.id("taken back")}, b.adversary, b.now)
			return err
		}, true},
		{"what was seen before it", func(l *Ledger) error { return l.Extends([]byte(b.read(checkpointName(70)))) }, true},
		{"a whole batch", func(l *Ledger) error { _, err := l.tree.root(64); return err }, false},
	}
	for _, tt := range tests {
		for name, text := range map[string]string{"changed": strings.Replace(whole, "backup", "backUp", 1), "another": last} {
			l, err := Open(b.folder())
			must(t, err)
			l.tree.shelf = new(shelf)
			b.write(whose, text)
			err = tt.do(l)
			var broken *CorruptError
			var refused *RefusedError
			if tt.batched != errors.As(err, &broken) || errors.As(err, &refused) {
				t.Errorf("%s of an entry that is %s: %v", tt.what, name, err)
			}
			if _, err := l.tree.block(n - 1); err != nil {
				t.Errorf("what has not changed: %v", err)
			}
			b.write(whose, whole)
			if _, err := l.tree.block(70); err != nil {
				t.Errorf("put back: %v", err)
			}
			b.write(whose, text)
			if _, err := l.tree.block(70); err == nil || err.Error() != whose+": it has changed" {
				t.Errorf("changed, while the hashes lie on the shelf: %v", err)
			}
			b.write(whose, whole)
		}
	}
	if now, err := Open(b.folder()); err != nil || now.tree.n != n {
		t.Errorf("something was added: %v", err)
	}
	// An entry that only claims the end is not to be removed for what another one has become.
	taken := b.entry(b.adversary, Content{Kind: Retract, Phase: "p1", Claim: "M1", Retracts: "E000070"})
	b.remove(whose)
	l.tree.shelf = new(shelf)
	b.write(entryName(n), string(taken))
	var claimed *ClaimedError
	if _, err := l.Append(claim("x"), b.builder, b.now); err == nil || errors.As(err, &claimed) || !strings.Contains(err.Error(), whose+": it is missing") {
		t.Errorf("rolled forward: %v", err)
	}
}

// A folder whose file can be read once.
type readOnce struct {
	Folder
	name string
	read bool
}

func (f *readOnce) Read(name string) ([]byte, error) {
	if name == f.name && f.read {
		return nil, syscall.EIO
	}
	f.read = f.read || name == f.name
	return f.Folder.Read(name)
}

// An entry that can't be read again has not been changed, for all that is known.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.append(b.builder, claim("x"))
	b.append(b.builder, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000001"})
	_, err := Open(&readOnce{Folder: b.folder(), name: entryName(1)})
	var broken *CorruptError
	if !errors.Is(err, syscall.EIO) || errors.As(err, &broken) {
		t.Errorf("open: %v", err)
	}
}

// Only a rendering is told to be removed.
func TestRenderHint(t *testing.T) {
	t.Parallel()
	for name, removed := range map[string]bool{reviewName("mailu"): true, backlogName("mailu"): true, entryName(3): false} {
		if hint := (&RenderError{corrupt(name, errors.New("x"))}).Hint(); strings.Contains(hint, "remove it") != removed {
			t.Errorf("%s: %s", name, hint)
		}
	}
}

// A draft that fills a batch otherwise than the log does not lend it its hashes.
func TestDraftOfABatch(t *testing.T) {
	t.Parallel()
	for _, n := range []int{batch - 1, 5*batch - 1, 5*batch + 2} {
		b, l := grow(t, inMemory(t), n)
		draft := l.draft()
		for i, log := range []*Ledger{draft, l} {
			_, err := log.Append(big(b, 900+i), b.adversary, b.now)
			must(t, err)
		}
		for _, log := range []*Ledger{l, draft, l} {
			for i := range log.tree.n {
				if _, err := log.tree.block(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		for phase, p := range draft.phases {
			if own := l.phases[phase]; own == p {
				t.Errorf("both have the places of %s", phase)
			}
		}
		if has(l, b.id("entry 900")) || has(draft, b.id("entry 901")) {
			t.Error("one has the other's entry")
		}
	}
}

// An open ledger of 100 000 entries holds less than 2 MiB. It is alone while
// it is measured: tests that run in parallel wait.
func TestMemory(t *testing.T) {
	const n = 100_000
	files := mapReader{}
	before := heap()
	s := newState(files)
	for i := range int64(n) {
		e := &Entry{Content: Content{Kind: Claim, Phase: fmt.Sprint("p", i/50), ID: fmt.Sprintf("%032x", i)}, Index: i}
		must(t, s.add(e, tlog.RecordHash([]byte(e.ID))))
	}
	if held := heap() - before; held > 2<<20 {
		t.Errorf("%d entries are held in %d bytes, %d for each", n, held, held/n)
	}
	if got := s.phases["p7"].below(n); !slices.Equal(got[:2], []int64{350, 351}) {
		t.Errorf("phase p7 has %v", got)
	}
}
