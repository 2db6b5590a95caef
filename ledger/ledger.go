package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Folder is where a ledger lies.
type Folder interface {
	Reader
	Writer
}

// A Ledger is an open log. It is for one goroutine; processes need not know
// of each other.
type Ledger struct {
	state
	folder  Folder
	note    []byte // the newest checkpoint
	claimed bool   // there was an entry that no checkpoint covers
	flushed bool   // what the state holds is on the disk
	broken  error  // the state may be ahead of the disk
	temp    func(dir string) string
}

// A Visit sees an entry while the log is read: its bytes, and the policy that
// it was held against. Its signature is not verified yet, unless it is a
// policy. What a Visit saw counts only when Open returned without an error.
type Visit func(e *Entry, raw []byte, in *Policy) error

// ErrNone is the error of a folder without a ledger.
var ErrNone = errors.New("there is no ledger here")

// ErrBroken is the error of a Ledger whose last append failed while it was
// being written: open it again.
var ErrBroken = errors.New("an append failed half way")

// Open reads a ledger: every entry is parsed, held against the rules, and
// hashed; the policies' signatures are verified, and the newest checkpoint,
// whose root has to be that of the entries. The error of a log that is not
// what it was is a *CorruptError.
func Open(f Folder, visits ...Visit) (*Ledger, error) {
	l := &Ledger{folder: f, temp: tempName}
	size, claimed, err := l.look()
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, ErrNone
	}
	l.claimed, l.state = claimed, newState(f)
	if err := l.readAll(size, visits); err != nil {
		return nil, err
	}
	l.note, err = f.Read(checkpointName(size))
	if err != nil {
		return nil, missing(checkpointName(size), err)
	}
	return l, l.checkNote()
}

// checkNote holds the newest checkpoint against the entries.
func (l *Ledger) checkNote() error {
	want, err := l.checkpoint()
	if err == nil {
		err = openCheckpoint(l.note, want, l.policy, l.before)
	}
	if err != nil {
		return corrupt(checkpointName(l.tree.n), err)
	}
	return nil
}

// Checkpoint is the size and root of the log.
func (l *Ledger) Checkpoint() Checkpoint {
	c, _ := l.checkpoint() // it was computed before
	return c
}

// Note is the newest signed checkpoint.
func (l *Ledger) Note() []byte { return slices.Clone(l.note) }

// Policy is the policy in force.
func (l *Ledger) Policy() *Policy { return l.policy }

// Claimed tells whether there was an entry that no checkpoint covers: its
// writer died, or is still at it. It does not count.
func (l *Ledger) Claimed() bool { return l.claimed }

func entryName(i int64) string         { return path.Join(entriesDir, fmt.Sprintf("%06d.md", i)) }
func checkpointName(size int64) string { return path.Join(checkpointsDir, fmt.Sprintf("%06d", size)) }

// missing is what it means that a file of the log can't be read.
func missing(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt(name, errors.New("it is missing"))
	}
	return err
}

// take reads the entry at the end of the state, and adds it.
func (l *Ledger) take(i item, visits []Visit) error {
	where := entryName(l.tree.n)
	if i.err != nil {
		return missing(where, i.err)
	}
	if i.parseErr != nil {
		return corrupt(where, i.parseErr)
	}
	in, err := l.judge(i.entry)
	if err == nil && i.entry.Kind == PolicyKind {
		err = i.entry.Verify(i.raw, in)
	}
	if err == nil {
		err = l.add(i.entry, i.leaf)
	}
	if err != nil {
		return corrupt(where, err)
	}
	for _, visit := range visits {
		if err := visit(i.entry, i.raw, in); err != nil {
			return err
		}
	}
	return nil
}

// refresh reads what others have committed since; of their checkpoints the
// newest is verified, which covers all the others' entries.
func (l *Ledger) refresh() error {
	from := l.tree.n
	for {
		note, err := l.folder.Read(checkpointName(l.tree.n + 1))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		if err := l.take(readItem(l.folder, l.tree.n), nil); err != nil {
			return err
		}
		l.note, l.flushed = note, false
	}
	if l.tree.n == from {
		return nil
	}
	return l.checkNote()
}

// settle brings the state to the end of the log. Nothing is built on what a
// power cut could take away: what others wrote is flushed first. An entry
// whose writer died before its checkpoint is rolled forward.
func (l *Ledger) settle(key *Signer) error {
	for {
		if err := l.refresh(); err != nil {
			return err
		}
		if err := l.flush(); err != nil {
			return err
		}
		i := readItem(l.folder, l.tree.n)
		if errors.Is(i.err, fs.ErrNotExist) {
			l.claimed = false
			return nil
		}
		if err := l.rollForward(i, key); err != nil {
			return err
		}
	}
}

func (l *Ledger) flush() error {
	if l.flushed {
		return nil
	}
	for _, dir := range []string{entriesDir, checkpointsDir} {
		if err := l.folder.Sync(dir); err != nil {
			return err
		}
	}
	l.flushed = true
	return nil
}

// rollForward commits an entry that somebody else claimed the end of the log with.
func (l *Ledger) rollForward(i item, key *Signer) error {
	where := entryName(l.tree.n)
	if i.err != nil {
		return i.err
	}
	err := i.parseErr
	var in *Policy
	if err == nil {
		in, err = l.judge(i.entry)
	}
	if err == nil {
		err = i.entry.Verify(i.raw, in)
	}
	if isAgain(err) {
		return err
	}
	if err != nil {
		return &ClaimedError{Where: where, Err: err}
	}
	if err := l.folder.Sync(entriesDir); err != nil {
		return err
	}
	if err := l.commit(i, key); err != nil {
		return err
	}
	return l.renderAfter(i.entry)
}

// A ClaimedError says that the next place in the log is held by something
// that is no entry. It was never acknowledged.
type ClaimedError struct {
	Where string
	Err   error
}

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("%s holds the end of the log and is no valid entry: %v", e.Where, e.Err)
}
func (e *ClaimedError) Unwrap() error { return e.Err }

// Hint is what to do.
func (e *ClaimedError) Hint() string {
	return "no checkpoint covers it, so it was never part of the log: look at it, then: rm " + e.Where
}

// commit writes the checkpoint that makes the entry at the end count.
func (l *Ledger) commit(i item, key *Signer) error {
	if err := l.add(i.entry, i.leaf); err != nil {
		return err
	}
	err := l.writeCheckpoint(key)
	if err != nil {
		l.broken = ErrBroken
	}
	return err
}

func (l *Ledger) writeCheckpoint(key *Signer) error {
	c, err := l.checkpoint()
	if err != nil {
		return err
	}
	if l.note, err = c.sign(key); err != nil {
		return err
	}
	if err := openCheckpoint(l.note, c, l.policy, l.before); err != nil {
		return fmt.Errorf("key %s can't sign checkpoints: %w", key.Name(), err)
	}
	name := checkpointName(c.Size)
	err = createOnce(l.folder, l.temp(checkpointsDir), name, l.note)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Somebody else did it: its body is the same, or one of us is wrong.
	if l.note, err = l.folder.Read(name); err != nil {
		return err
	}
	if err := l.checkNote(); err != nil {
		return err
	}
	return l.folder.Sync(checkpointsDir)
}

// A Receipt is what an append acknowledges.
type Receipt struct {
	Entry      *Entry
	Checkpoint Checkpoint
	Again      bool // it was in the ledger before
}

// Append adds an entry, and returns when it is on the disk to stay. An entry
// whose id is in the ledger is not added again; the error of one with other
// content is an *IDError. With an error of type *RenderError the entry is in
// the ledger.
func (l *Ledger) Append(c Content, key *Signer, now time.Time) (Receipt, error) {
	if l.broken != nil {
		return Receipt{}, l.broken
	}
	c = c.neutral()
	for {
		if err := l.settle(key); err != nil {
			return Receipt{}, err
		}
		if r, err := l.again(c); err != nil || r.Again {
			return r, err
		}
		i, err := l.build(c, key, now)
		if err != nil {
			return Receipt{}, err
		}
		err = createOnce(l.folder, l.temp(entriesDir), entryName(i.entry.Index), i.raw)
		if errors.Is(err, fs.ErrExist) {
			continue // somebody was faster: on top of that one, then
		}
		if err == nil {
			err = l.commit(i, key)
		}
		if err != nil {
			l.broken = ErrBroken
			return Receipt{}, err
		}
		return Receipt{Entry: i.entry, Checkpoint: l.Checkpoint()}, l.renderAfter(i.entry)
	}
}

// build makes the next entry, signed and held against the rules.
func (l *Ledger) build(c Content, key *Signer, now time.Time) (item, error) {
	c.Opened = slices.Clone(c.Opened)
	l.number(&c)
	index, root, err := l.next()
	if err != nil {
		return item{}, err
	}
	at, err := l.clock(now)
	if err != nil {
		return item{}, err
	}
	e := &Entry{Content: c, Time: at, Previous: root, Index: index, Origin: l.origin, Signer: key.Name(), keyHash: key.KeyHash()}
	if err := e.check(e.pairs()); err != nil {
		return item{}, &RefusedError{err}
	}
	in, err := l.judge(e)
	if isAgain(err) {
		return item{}, err
	}
	if err != nil {
		return item{}, &RefusedError{err}
	}
	raw, err := Sign(e, key)
	if err != nil {
		return item{}, &RefusedError{err}
	}
	if err := e.Verify(raw, in); err != nil {
		return item{}, err
	}
	return item{raw: raw, entry: e, leaf: tlog.RecordHash(raw)}, nil
}

// A RefusedError says why an entry may not come into the ledger.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return "the ledger refuses the entry: " + e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// Hint is what to do.
func (e *RefusedError) Hint() string {
	return "mend what it says, or sign with a key of the right role; to see who may do what: abra-ccci ledger show --policy"
}

// skew is how far a clock may be behind the last entry's.
const skew = 5 * time.Minute

// clock is the time of the next entry. Clocks of machines differ a little:
// an entry is then as old as the one before it. A clock that runs backwards
// is an error, as nobody could tell what "later" means.
func (l *Ledger) clock(now time.Time) (time.Time, error) {
	now = now.UTC().Truncate(time.Minute)
	switch {
	case !now.Before(l.last):
		return now, nil
	case l.last.Sub(now) <= skew:
		return l.last, nil
	}
	return now, &ClockError{Now: now, Last: l.last}
}

// A ClockError says that the clock is behind the ledger.
type ClockError struct{ Now, Last time.Time }

func (e *ClockError) Error() string {
	return fmt.Sprintf("the clock says %s, and the last entry was written at %s", e.Now.Format(minute), e.Last.Format(minute))
}

// Hint is what to do.
func (e *ClockError) Hint() string {
	return "set this machine's clock: date -u; if it is right, the last entry was written on a machine whose clock is wrong"
}

// again looks for an entry that was appended before.
func (l *Ledger) again(c Content) (Receipt, error) {
	raw, e, err := l.find(c.ID)
	if e == nil || err != nil {
		return Receipt{}, err
	}
	same := *e
	same.Content = c
	same.Opened = slices.Clone(c.Opened)
	for j := range min(len(same.Opened), len(e.Opened)) {
		same.Opened[j].ID = e.Opened[j].ID
	}
	if !strings.HasPrefix(string(raw), same.text(same.pairs())) {
		return Receipt{}, &IDError{ID: c.ID, Entry: e.Number()}
	}
	r := Receipt{Entry: e, Checkpoint: l.Checkpoint(), Again: true}
	return r, l.renderAfter(e)
}

// An IDError says that an id is taken.
type IDError struct{ ID, Entry string }

func (e *IDError) Error() string {
	return fmt.Sprintf("id %s is that of %s, which says something else", e.ID, e.Entry)
}

// Hint is what to do.
func (e *IDError) Hint() string { return "give the new entry an id of its own" }

// Init makes a ledger whose first policy is made of the keys. The signer is
// one of their adversaries.
func Init(f Folder, origin string, keys []Key, id string, signer *Signer, now time.Time) (*Ledger, error) {
	l := &Ledger{folder: f, temp: tempName}
	size, claimed, err := l.look()
	if err != nil {
		return nil, err
	}
	if size > 0 || claimed {
		return nil, fmt.Errorf("%w: there is a ledger here", fs.ErrExist)
	}
	l.state = newState(f)
	l.origin = origin
	i, err := l.build(Content{Kind: PolicyKind, Keys: keys, ID: id}, signer, now)
	if err != nil {
		return nil, err
	}
	l.origin = ""
	if err := createOnce(f, l.temp(entriesDir), entryName(0), i.raw); err != nil {
		return nil, err
	}
	return l, l.commit(i, signer)
}
