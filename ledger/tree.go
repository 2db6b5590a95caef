package ledger

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// A batch is a whole subtree: 64 entries.
const (
	batchLevel = 6
	batch      = 1 << batchLevel
)

// A tree is the Merkle tree over the entries of a folder (RFC 6962). It keeps
// the hashes of batches and all above them: a byte for each entry. Those below
// it computes when it is asked for them, from entries that it reads again; they
// are what they were if the batch's hash is.
type tree struct {
	folder Reader
	n      int64
	whole  hashes // the tree whose leaves are the batches
	last   hashes // the tree over the entries after them
	shelf  *shelf
	top    *tlog.Hash // the root, once it was asked for
}

// A shelf is where the hashes of the batches lie that were used last: of as many
// as 10 000 entries have, in 640 KiB. What lies there is checked by its root.
type shelf [160]atomic.Pointer[hashes]

func (s *shelf) place(b int64) *atomic.Pointer[hashes] { return &s[b%int64(len(s))] }

// add appends a leaf.
func (t *tree) add(leaf tlog.Hash) error {
	if t.last == nil {
		t.last = make(hashes, 0, tlog.StoredHashCount(batch))
	}
	if err := t.last.add(t.n%batch, leaf); err != nil {
		return err
	}
	t.n++
	t.top = nil
	if t.n%batch > 0 {
		return nil
	}
	done := t.last
	t.last = nil
	t.shelf.place(t.n/batch - 1).Store(&done)
	return t.whole.add(t.n/batch-1, done.root())
}

// root is the root of the first n leaves.
func (t *tree) root(n int64) (tlog.Hash, error) {
	if n < 0 || n > t.n {
		return tlog.Hash{}, fmt.Errorf("a tree of %d entries has no root of %d", t.n, n)
	}
	if n < t.n {
		return tlog.TreeHash(n, t)
	}
	if t.top == nil {
		root, err := tlog.TreeHash(n, t)
		if err != nil {
			return root, err
		}
		t.top = &root
	}
	return *t.top, nil
}

// ReadHashes makes a tree a tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		var err error
		if out[i], err = t.hash(tlog.SplitStoredHashIndex(x)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// hash is that of a whole subtree of 1<<level entries, the nth from the left.
func (t *tree) hash(level int, n int64) (tlog.Hash, error) {
	if level >= batchLevel {
		return t.whole.at(level-batchLevel, n)
	}
	perBatch := int64(batch >> level)
	b, err := t.batch(n / perBatch)
	if err != nil {
		return tlog.Hash{}, err
	}
	return b.at(level, n%perBatch)
}

// batch is the hashes of a batch, read again if they lie nowhere.
func (t *tree) batch(b int64) (hashes, error) {
	if b == t.n/batch {
		return t.last, nil
	}
	root, err := t.whole.at(0, b)
	if err != nil {
		return nil, err
	}
	place := t.shelf.place(b)
	if lies := place.Load(); lies != nil && lies.root() == root {
		return *lies, nil
	}
	again := make(hashes, 0, tlog.StoredHashCount(batch))
	for i := range int64(batch) {
		raw, err := t.folder.Read(entryName(b*batch + i))
		if err != nil {
			return nil, missing(entryName(b*batch+i), err)
		}
		if err := again.add(i, tlog.RecordHash(raw)); err != nil {
			return nil, err
		}
	}
	if again.root() != root {
		return nil, corrupt(entryName(b*batch)+" and the 63 after it", errors.New("one of them has changed"))
	}
	place.Store(&again)
	return again, nil
}

// block reads an entry again, and makes sure that it is the same one.
func (t *tree) block(i int64) ([]byte, error) {
	raw, err := t.folder.Read(entryName(i))
	if err != nil {
		return nil, missing(entryName(i), err)
	}
	leaf, err := t.hash(0, i)
	if err != nil {
		return nil, err
	}
	if tlog.RecordHash(raw) != leaf {
		return nil, corrupt(entryName(i), errors.New("it has changed"))
	}
	return raw, nil
}

// hashes are those of a tree, in the order in which package tlog stores them.
type hashes []tlog.Hash

// add appends leaf n.
func (h *hashes) add(n int64, leaf tlog.Hash) error {
	more, err := tlog.StoredHashesForRecordHash(n, leaf, h)
	*h = append(*h, more...)
	return err
}

// ReadHashes makes hashes a tlog.HashReader.
func (h *hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(*h)) {
			return nil, fmt.Errorf("no hash %d", x)
		}
		out[i] = (*h)[x]
	}
	return out, nil
}

func (h *hashes) at(level int, n int64) (tlog.Hash, error) {
	out, err := h.ReadHashes([]int64{tlog.StoredHashIndex(level, n)})
	if err != nil {
		return tlog.Hash{}, err
	}
	return out[0], nil
}

// root is the root of a tree of a power of two leaves.
func (h hashes) root() tlog.Hash { return h[len(h)-1] }
