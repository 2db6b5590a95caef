package ledger

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"time"
)

// A Remote is where machines that share a ledger meet. It holds the same
// files, in a line of states of which each is on top of the one before.
type Remote interface {
	// Fetch reads the newest state. It is empty, with nil, if the remote
	// never had one.
	Fetch(ctx context.Context) (Reader, error)
	// Push offers files on top of the state that Fetch read last. If somebody
	// was faster nothing happens, and the error is ErrBehind.
	Push(ctx context.Context, message string, files map[string][]byte) error
	// Settle notes that the folder holds all of the state that was fetched or
	// pushed last.
	Settle(ctx context.Context) error
	// Settled is the state that was settled last; nil if nobody knows.
	Settled(ctx context.Context) (Reader, error)
}

// ErrBehind is the error of a push that somebody else was faster than.
var ErrBehind = errors.New("the remote has moved on")

// Synced is what a Sync did.
type Synced struct {
	Came    int64   // entries of others that are new here
	Sent    int64   // entries that the remote did not have
	Rebuilt []Moved // those of them that were made anew
}

// Sync brings the folder and the remote together: what the remote has is
// verified entry by entry and added here; a remote that has nothing yet is
// given everything; what was written here without the remote is pushed, and
// made anew on top if the remote has moved on, with what b has for that (nil:
// it is refused). Nothing that the remote ever had is taken back on either
// side: if it does not contain what it is known to have had, the error is a
// *ForkError.
func (l *Ledger) Sync(ctx context.Context, r Remote, b *Rebuild) (Synced, error) {
	for {
		done, err := l.sync(ctx, r, b)
		if !errors.Is(err, ErrBehind) || ctx.Err() != nil {
			return done, err
		}
	}
}

func (l *Ledger) sync(ctx context.Context, r Remote, b *Rebuild) (done Synced, err error) {
	if err := l.refresh(); err != nil {
		return done, err
	}
	state, err := r.Fetch(ctx)
	if err != nil {
		return done, err
	}
	if state == nil {
		if err := l.pushAll(ctx, r); err != nil {
			return done, err
		}
		return Synced{Sent: l.tree.n}, r.Settle(ctx)
	}
	at, err := l.meet(ctx, r, state)
	if err != nil {
		return done, err
	}
	other, err := l.claimsOther(state, at)
	switch {
	case err != nil:
		return done, err
	case at.common == l.tree.n && !other:
	case at.common == at.there:
		done.Sent = l.tree.n - at.common
		if err := l.pushOwn(ctx, r, at.common); err != nil {
			return Synced{}, err
		}
		return done, r.Settle(ctx)
	default:
		if state, done.Rebuilt, err = l.rebuild(ctx, r, state, at.common, b); err != nil {
			return Synced{}, err
		}
		done.Sent = int64(len(done.Rebuilt))
	}
	if err := l.pull(state); err != nil {
		return done, err
	}
	done.Came = l.tree.n - at.common - done.Sent
	return done, r.Settle(ctx)
}

// A meeting is how far the log here and the one there are the same.
type meeting struct {
	common, there int64
}

// meet compares the logs. What the remote is known to have had has to be there still.
func (l *Ledger) meet(ctx context.Context, r Remote, state Reader) (at meeting, err error) {
	if at.there, _, err = (&Ledger{folder: readOnly{state}}).look(); err != nil {
		return at, err
	}
	if at.common = min(at.there, l.tree.n); at.common > 0 {
		same, err := l.sameRoot(state, at.common)
		if err != nil {
			return at, err
		}
		if !same {
			at.common, err = l.lastCommon(state, at.common)
			if err != nil {
				return at, err
			}
		}
	}
	if at.common == l.tree.n {
		return at, nil
	}
	had := l.tree.n // nobody knows: all of it, then
	settled, err := r.Settled(ctx)
	if err != nil {
		return at, err
	}
	if settled != nil {
		if had, _, err = (&Ledger{folder: readOnly{settled}}).look(); err != nil {
			return at, err
		}
	}
	if at.common < had || at.common == 0 {
		return at, l.fork(state, at, settled == nil)
	}
	return at, nil
}

// claimsOther tells whether the place of the remote's next entry is claimed
// here by another one: who wrote that died, or a sync did while it gave way.
func (l *Ledger) claimsOther(state Reader, at meeting) (bool, error) {
	if at.common != l.tree.n || at.there == at.common {
		return false, nil
	}
	ours, err := l.folder.Read(entryName(at.common))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	theirs, err := state.Read(entryName(at.common))
	if err != nil {
		return false, missing(entryName(at.common), err)
	}
	return !bytes.Equal(ours, theirs), nil
}

// fork is the error of a remote that does not contain what it had, as far as
// anybody knows.
func (l *Ledger) fork(state Reader, at meeting, unknown bool) error {
	e := &ForkError{Size: l.tree.n, Rollback: at.there < l.tree.n && at.common == at.there, Seen: l.note, Who: l.policy.Names(Adversary)}
	e.Unknown = unknown && e.Rollback && at.common > 0
	size := at.there
	if !e.Rollback {
		e.Size = min(at.there, l.tree.n)
		size = e.Size
		var err error
		if e.Seen, err = l.folder.Read(checkpointName(size)); err != nil {
			return err
		}
	}
	note, err := state.Read(checkpointName(max(size, 1)))
	if err != nil && size > 0 {
		return missing(checkpointName(size), err)
	}
	e.Now = note
	return e
}

// lastCommon is the largest size below one at which both logs have the same root.
func (l *Ledger) lastCommon(state Reader, below int64) (int64, error) {
	var failed error
	n := sort.Search(int(below), func(i int) bool {
		if i == 0 || failed != nil {
			return failed != nil
		}
		same, err := l.sameRoot(state, int64(i))
		failed = err
		return !same
	})
	return int64(max(n-1, 0)), failed
}

// pushAll gives an empty remote all that is here.
func (l *Ledger) pushAll(ctx context.Context, r Remote) error {
	files := map[string][]byte{}
	for _, dir := range []string{".", entriesDir, checkpointsDir} {
		names, err := l.folder.List(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, ours := isDerived(name); dir == "." && !ours && name != attributesName && name != ".gitignore" || isTemp(name) {
				continue
			}
			file := path.Join(dir, name)
			if files[file], err = l.folder.Read(file); err != nil {
				return err
			}
		}
	}
	delete(files, entryName(l.tree.n)) // claimed, and not committed
	return r.Push(ctx, "ledger: the log so far", files)
}

// pull adds what a remote has beyond what is here.
func (l *Ledger) pull(remote Reader) error {
	size, _, err := (&Ledger{folder: readOnly{remote}}).look()
	if err != nil {
		return err
	}
	came := map[string]bool{}
	for l.tree.n < size {
		phase, err := l.pullEntry(remote)
		if err != nil {
			return err
		}
		came[phase] = true
	}
	if came[""] {
		for _, phase := range l.Phases() {
			came[phase] = true
		}
		delete(came, "")
	}
	for _, phase := range slices.Sorted(maps.Keys(came)) {
		if _, err := l.Render(phase); err != nil {
			return &RenderError{err}
		}
	}
	return nil
}

// sameRoot holds the remote's checkpoint for a size against the entries here.
func (l *Ledger) sameRoot(remote Reader, size int64) (bool, error) {
	note, err := remote.Read(checkpointName(size))
	if err != nil {
		return false, missing(checkpointName(size), err)
	}
	c, err := parseCheckpoint(note)
	if err != nil {
		return false, corrupt("the remote's "+checkpointName(size), err)
	}
	root, err := l.tree.root(size)
	return c == Checkpoint{l.origin, size, root}, err
}

// pullEntry adds the remote's next entry, once it and the checkpoint over it
// are verified, and returns its phase.
func (l *Ledger) pullEntry(remote Reader) (string, error) {
	index := l.tree.n
	i := readItem(remote, index)
	if i.err != nil {
		return "", missing(entryName(index), i.err)
	}
	err := i.parseErr
	if err == nil {
		var in *Policy
		if in, err = l.judge(i.entry); err == nil {
			err = i.entry.Verify(i.raw, in)
		}
	}
	if err != nil {
		return "", corrupt("the remote's "+entryName(index), err)
	}
	note, err := remote.Read(checkpointName(index + 1))
	if err != nil {
		return "", missing(checkpointName(index+1), err)
	}
	l.broken = ErrBroken // until it is written
	if err := l.add(i.entry, i.leaf); err != nil {
		return "", err
	}
	l.note = note
	if err := l.checkNote(); err != nil {
		return "", err
	}
	if err := l.install(entryName(index), i.raw); err != nil {
		return "", err
	}
	if err := l.install(checkpointName(index+1), note); err != nil {
		return "", err
	}
	l.broken = nil
	return i.entry.Phase, nil
}

// install writes a file of the log that the remote has. Another process may
// have done so already.
func (l *Ledger) install(name string, data []byte) error {
	err := createOnce(l.folder, l.temp(path.Dir(name)), name, data)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	have, err := l.folder.Read(name)
	switch {
	case err != nil:
		return err
	case bytes.Equal(have, data):
		return l.folder.Sync(path.Dir(name))
	case path.Dir(name) == checkpointsDir: // the same body, signed by somebody else
		return l.checkNote()
	}
	return &ClaimedError{Where: name, Err: errors.New("the remote has another entry there")}
}

// AppendTo is Append for a ledger with a remote: the entry is acknowledged
// once the remote has it, and comes into the folder only then. If somebody
// was faster, it is made anew on top of theirs. After any other error nobody
// knows whether the remote has it: append it again, with the same id.
func (l *Ledger) AppendTo(ctx context.Context, r Remote, c Content, key *Signer, now time.Time) (Receipt, error) {
	for {
		if _, err := l.Sync(ctx, r, nil); err != nil {
			return Receipt{}, err
		}
		// An entry that was claimed here is committed here, and pushed whole.
		size := l.tree.n
		if err := l.settle(key); err != nil {
			return Receipt{}, err
		}
		if l.tree.n > size {
			continue
		}
		draft := l.draft()
		receipt, err := draft.Append(c, key, now)
		if err != nil {
			return Receipt{}, err
		}
		files := draft.folder.(*overlay).files
		if len(files) == 0 {
			return receipt, nil // it was there
		}
		err = r.Push(ctx, "ledger: "+strings.TrimPrefix(receipt.Entry.heading(), "## "), files)
		if errors.Is(err, ErrBehind) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return Receipt{}, err
		}
		return receipt, l.settleOn(ctx, r, files)
	}
}

// settleOn brings into the folder what the remote has taken.
func (l *Ledger) settleOn(ctx context.Context, r Remote, files map[string][]byte) error {
	for l.tree.n >= 0 {
		if _, ok := files[entryName(l.tree.n)]; !ok {
			break
		}
		if _, err := l.pullEntry(mapReader(files)); err != nil {
			return &RenderError{err}
		}
	}
	for name, data := range files {
		if _, ok := isDerived(name); ok {
			if err := replace(l.folder, l.temp("."), name, data); err != nil {
				return &RenderError{err}
			}
		}
	}
	return r.Settle(ctx)
}

// draft is a copy of the ledger whose writes stay in memory.
func (l *Ledger) draft() *Ledger {
	over := &overlay{Folder: l.folder, files: map[string][]byte{}}
	d := &Ledger{state: l.state.clone(), folder: over, note: l.note, flushed: l.flushed, temp: l.temp}
	d.tree.folder = over
	return d
}

func (s *state) clone() state {
	c := *s
	c.tree.whole, c.tree.last, c.ids.runs = slices.Clone(s.tree.whole), slices.Clone(s.tree.last), slices.Clone(s.ids.runs)
	c.retracted, c.opened, c.phases = maps.Clone(s.retracted), maps.Clone(s.opened), make(map[string]*places, len(s.phases))
	for phase, p := range s.phases {
		c.phases[phase] = p.clone()
	}
	c.findings, c.byID = make([]*finding, len(s.findings)), make(map[string]*finding, len(s.findings))
	for i, f := range s.findings {
		own := *f
		own.closed = slices.Clone(f.closed)
		c.findings[i], c.byID[own.id] = &own, &own
	}
	return c
}
