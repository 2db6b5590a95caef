package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"
)

// SignedBy tells whether the key is that of the entry's author.
func (e *Entry) SignedBy(key *Signer) bool {
	return key.Name() == e.Signer && key.KeyHash() == e.keyHash
}

// A Rebuild is what it takes to make entries anew that were written here
// while the remote moved on without them. They are signed again, as they get
// another place in the log.
type Rebuild struct {
	// Key is the private key of who signed an entry; nil if it is not to be had.
	Key func(*Entry) *Signer
	Now time.Time
	// Forget is called when the remote has them, before those here give way:
	// with the signed checkpoint over what stays. Who remembers a later one
	// must remember this one now.
	Forget func(stays []byte) error
}

// Moved is an entry that was made anew.
type Moved struct {
	From string `json:"from"` // E000002
	To   string `json:"to"`
}

// An UnpushedError says that entries were written here without the remote,
// and why they are not brought there.
type UnpushedError struct {
	Entry string // the first
	Why   string
	hint  string
}

func (e *UnpushedError) Error() string {
	return fmt.Sprintf("%s was written here without the remote, which has moved on: %s", e.Entry, e.Why)
}

// Hint is what to do.
func (e *UnpushedError) Hint() string { return e.hint }

// pushOwn gives the remote what is here on top of all that it has.
func (l *Ledger) pushOwn(ctx context.Context, r Remote, from int64) error {
	if _, _, err := Verify(l.folder); err != nil {
		return err
	}
	files := map[string][]byte{}
	for i := from; i < l.tree.n; i++ {
		for _, name := range []string{entryName(i), checkpointName(i + 1)} {
			data, err := l.folder.Read(name)
			if err != nil {
				return missing(name, err)
			}
			files[name] = data
		}
	}
	for _, phase := range l.Phases() {
		for _, d := range l.derived(phase) {
			text, err := l.folder.Read(d.name)
			switch {
			case err == nil:
				files[d.name] = text
			case !errors.Is(err, fs.ErrNotExist):
				return err
			}
		}
	}
	return r.Push(ctx, fmt.Sprintf("ledger: %s to %s", number(from), number(l.tree.n-1)), files)
}

// rebuild makes the entries from an index on anew on top of what the remote
// has, pushes them, and takes those here away: what the remote has now comes
// in their place. It is done with only when the remote has them, and may be
// done again at any point, as an id is never added twice.
func (l *Ledger) rebuild(ctx context.Context, r Remote, state Reader, from int64, b *Rebuild) (Reader, []Moved, error) {
	if b == nil {
		return nil, nil, &UnpushedError{number(from), "it has to be made anew on top", "abra-ccci ledger sync"}
	}
	own, err := l.unpushed(from, b)
	if err != nil {
		return nil, nil, err
	}
	over := &overlay{Folder: readOnly{state}, files: map[string][]byte{}}
	judged := map[[2]string]int64{} // by phase and claim: the last verdict of theirs
	draft, _, err := Verify(over, func(e *Entry, _ []byte, _ *Policy) error {
		if e.Index >= from && e.Kind == VerdictKind {
			judged[[2]string{e.Phase, e.Claim}] = e.Index
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	moved, err := draft.appendAnew(own, judged, b)
	if err != nil {
		return nil, nil, err
	}
	if len(over.files) > 0 {
		if err := r.Push(ctx, fmt.Sprintf("ledger: %d entries anew", len(moved)), over.files); err != nil {
			return nil, nil, err
		}
	}
	if err := l.giveWay(from, b); err != nil {
		return nil, nil, err
	}
	return over, moved, nil
}

// unpushed are the entries from an index on. Their signatures are verified:
// nothing is signed again that its author has not signed before.
func (l *Ledger) unpushed(from int64, b *Rebuild) (own []*Entry, err error) {
	if i := readItem(l.folder, l.tree.n); i.err == nil && i.parseErr == nil { // claimed by a writer that died
		if key := b.Key(i.entry); key != nil {
			if err := l.settle(key); err != nil {
				return nil, err
			}
		}
	}
	if _, err := l.folder.Read(entryName(l.tree.n)); !errors.Is(err, fs.ErrNotExist) {
		return nil, &ClaimedError{Where: entryName(l.tree.n), Err: errors.Join(err, errors.New("nobody here can commit it"))}
	}
	_, _, err = Verify(l.folder, func(e *Entry, _ []byte, _ *Policy) error {
		if e.Index >= from {
			own = append(own, e)
		}
		return nil
	})
	return own, err
}

// appendAnew appends entries that had another place in the log. Numbers of
// entries and findings that they name move with them. A PASS does not move
// over a verdict that its author did not know: it could lift a FAIL.
func (l *Ledger) appendAnew(own []*Entry, judged map[[2]string]int64, b *Rebuild) (moved []Moved, err error) {
	names := map[string]string{}
	renamed := func(name string) string {
		if now, ok := names[name]; ok {
			return now
		}
		return name
	}
	for _, e := range own {
		key := b.Key(e)
		_, there, err := l.find(e.ID)
		if err != nil {
			return nil, err
		}
		if i, ok := judged[[2]string{e.Phase, e.Claim}]; ok && e.Verdict == Pass && there == nil {
			return nil, &UnpushedError{e.Number(), fmt.Sprintf("it is a PASS, and %s judged the same claim meanwhile", number(i)),
				"review it again, with both in view; what was written here is in " + entryName(e.Index)}
		}
		if key == nil || !e.SignedBy(key) {
			return nil, &UnpushedError{e.Number(), "only " + e.Signer + " can sign it anew", "with that key: abra-ccci ledger sync --key FILE"}
		}
		c := e.Content
		c.Retracts, c.Closed = renamed(c.Retracts), slices.Clone(c.Closed)
		for i := range c.Closed {
			c.Closed[i] = renamed(c.Closed[i])
		}
		slices.Sort(c.Closed)
		r, err := l.Append(c, key, b.Now)
		if err != nil {
			return nil, err
		}
		names[e.Number()] = r.Entry.Number()
		for i := range e.Opened {
			names[e.Opened[i].ID] = r.Entry.Opened[i].ID
		}
		moved = append(moved, Moved{e.Number(), r.Entry.Number()})
	}
	return moved, nil
}

// giveWay takes the entries from an index on away, the last one first: at
// every moment the folder holds a whole log.
func (l *Ledger) giveWay(from int64, b *Rebuild) error {
	stays, err := l.folder.Read(checkpointName(from))
	if err != nil {
		return missing(checkpointName(from), err)
	}
	if err := b.Forget(stays); err != nil {
		return err
	}
	for _, phase := range l.Phases() {
		for _, d := range l.derived(phase) {
			if err := l.folder.Remove(d.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if err := l.folder.Sync("."); err != nil {
		return err
	}
	for size := l.tree.n; size > from; size-- {
		for _, name := range []string{checkpointName(size), entryName(size - 1)} {
			if err := errors.Join(l.folder.Remove(name), l.folder.Sync(path.Dir(name))); err != nil {
				return err
			}
		}
	}
	now, err := Open(l.folder)
	if err != nil {
		return err
	}
	now.temp = l.temp
	*l = *now
	for _, phase := range l.Phases() {
		if _, err := l.Render(phase); err != nil {
			return &RenderError{err}
		}
	}
	return nil
}
