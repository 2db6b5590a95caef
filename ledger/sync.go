package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
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
}

// ErrBehind is the error of a push that somebody else was faster than.
var ErrBehind = errors.New("the remote has moved on")

// Sync brings the folder and the remote together: what the remote has is
// verified entry by entry and added here; a remote that has nothing yet is
// given everything. Nothing is ever taken back on either side: if the remote
// does not contain what is here, the error is a *ForkError. It returns how
// many entries came.
func (l *Ledger) Sync(ctx context.Context, r Remote) (came int64, err error) {
	if err := l.refresh(); err != nil {
		return 0, err
	}
	before := l.tree.n
	state, err := r.Fetch(ctx)
	if err != nil {
		return 0, err
	}
	if state == nil {
		err = l.pushAll(ctx, r)
	} else {
		err = l.pull(state, before)
	}
	if err != nil {
		return 0, err
	}
	if err := r.Settle(ctx); err != nil {
		return 0, err
	}
	return l.tree.n - before, nil
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
			if _, ours := isDerived(name); dir == "." && !ours && name != ".gitattributes" && name != ".gitignore" || isTemp(name) {
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

// pull adds what a remote has beyond what is here; before is the size that
// this folder had before the remote was asked.
func (l *Ledger) pull(remote Reader, before int64) error {
	there := &Ledger{folder: readOnly{remote}}
	size, _, err := there.look()
	if err != nil {
		return err
	}
	if size < before {
		note, err := remote.Read(checkpointName(max(size, 1)))
		if err != nil && size > 0 {
			return missing(checkpointName(size), err)
		}
		return &ForkError{Size: before, Rollback: true, Seen: l.note, Now: note, Who: l.policy.Names(Adversary)}
	}
	if err := l.sameRoot(remote, min(before, size)); err != nil {
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

// sameRoot holds the remote's checkpoint for what both have against the entries here.
func (l *Ledger) sameRoot(remote Reader, size int64) error {
	note, err := remote.Read(checkpointName(size))
	if err != nil {
		return missing(checkpointName(size), err)
	}
	c, err := parseCheckpoint(note)
	if err != nil {
		return corrupt("the remote's "+checkpointName(size), err)
	}
	root, err := l.tree.root(size)
	if err != nil || c.Root == root && c.Origin == l.origin && c.Size == size {
		return err
	}
	mine, err := l.folder.Read(checkpointName(size))
	if err != nil {
		return err
	}
	return &ForkError{Size: size, Seen: mine, Now: note, Who: l.policy.Names(Adversary)}
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
		if _, err := l.Sync(ctx, r); err != nil {
			return Receipt{}, err
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
	d := &Ledger{state: l.state.clone(), note: l.note, flushed: l.flushed, temp: l.temp}
	d.folder = &overlay{Folder: l.folder, files: map[string][]byte{}}
	return d
}

func (s *state) clone() state {
	c := *s
	c.tree.hashes, c.records = slices.Clone(s.tree.hashes), slices.Clone(s.records)
	c.findings, c.names = make([]*finding, len(s.findings)), maps.Clone(s.names)
	for i, f := range s.findings {
		own := *f
		own.closed = slices.Clone(f.closed)
		c.findings[i] = &own
	}
	return c
}

// An overlay keeps what is written over a folder.
type overlay struct {
	Folder
	files map[string][]byte
}

func (o *overlay) Read(name string) ([]byte, error) {
	if data, ok := o.files[name]; ok {
		return data, nil
	}
	return o.Folder.Read(name)
}

func (o *overlay) Write(name string, data []byte) error {
	o.files[name] = data
	return nil
}

func (o *overlay) Sync(string) error { return nil }

func (o *overlay) Link(old, new string) error {
	if _, err := o.Read(new); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", new, errors.Join(err, fs.ErrExist))
	}
	o.files[new] = o.files[old]
	return nil
}

func (o *overlay) Rename(old, new string) error {
	o.files[new] = o.files[old]
	return o.Remove(old)
}

func (o *overlay) Remove(name string) error {
	delete(o.files, name)
	return nil
}

// A mapReader reads files in memory.
type mapReader map[string][]byte

func (m mapReader) Read(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (m mapReader) List(dir string) (names []string, err error) {
	for name := range m {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

// readOnly makes a Folder of a Reader that nobody writes to.
type readOnly struct{ Reader }

var errReadOnly = errors.New("this is only read")

func (readOnly) Write(string, []byte) error  { return errReadOnly }
func (readOnly) Sync(string) error           { return nil }
func (readOnly) Link(string, string) error   { return errReadOnly }
func (readOnly) Rename(string, string) error { return errReadOnly }
func (readOnly) Remove(string) error         { return errReadOnly }
