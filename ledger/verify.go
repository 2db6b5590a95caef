package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// Verify opens a ledger and checks everything: every signature, every
// checkpoint, and all that is rendered. It names the renderings that are not
// up to date, or not there; both are made anew by Render.
func Verify(f Folder, visits ...Visit) (l *Ledger, staleFiles []string, err error) {
	var before *Policy // that the entry before was held against
	s := newSignatures()
	l, err = Open(f, append(slices.Clone(visits), func(e *Entry, raw []byte, p *Policy) error {
		if e.Kind != PolicyKind { // those are verified already
			s.check(entryName(e.Index), func() error { return e.Verify(raw, p) })
		}
		if e.Index > 0 {
			// What the entry says it is on top of was held against the entries.
			// The newest checkpoint has no entry on top; Open verifies that one.
			want, by := Checkpoint{e.Origin, e.Index, e.Previous}, []*Policy{before, p}
			s.check(checkpointName(want.Size), func() error { return verifyCheckpoint(f, want, by) })
		}
		before = p
		return nil
	})...)
	if err := cmp.Or(s.wait(), err); err != nil {
		return nil, nil, err
	}
	staleFiles, err = l.verifyRenderings()
	return l, staleFiles, err
}

func verifyCheckpoint(f Reader, want Checkpoint, by []*Policy) error {
	note, err := f.Read(checkpointName(want.Size))
	if err != nil {
		return missing(checkpointName(want.Size), err)
	}
	return openCheckpoint(note, want, by...)
}

func (l *Ledger) verifyRenderings() (staleFiles []string, err error) {
	names, err := l.folder.List(".")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var files []derived
	known := map[string]bool{}
	for _, phase := range l.Phases() {
		for _, d := range l.derived(phase) {
			files, known[d.name] = append(files, d), true
		}
	}
	s, states := newSignatures(), make([]freshness, len(files))
	for i, d := range files {
		s.check(d.name, func() (err error) { states[i], err = l.compare(d); return err })
	}
	if err := s.wait(); err != nil {
		return nil, err
	}
	for i, d := range files {
		if states[i] == stale {
			staleFiles = append(staleFiles, d.name)
		}
	}
	for _, name := range names {
		if _, ok := isDerived(name); ok && !known[name] {
			return nil, corrupt(name, errors.New("the log renders no such file"))
		}
	}
	return staleFiles, nil
}

// signatures, and what else can be looked at apart, are checked by all
// processors, a few at a time.
type signatures struct {
	slots chan struct{}
	wg    sync.WaitGroup
	mu    sync.Mutex
	where string // the first by name
	err   error
}

func newSignatures() *signatures {
	return &signatures{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
}

func (s *signatures) check(where string, verify func() error) {
	s.slots <- struct{}{}
	s.wg.Go(func() {
		defer func() { <-s.slots }()
		err := verify()
		if err == nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil || where < s.where {
			s.where, s.err = where, err
		}
	})
}

func (s *signatures) wait() error {
	s.wg.Wait()
	if c := (*CorruptError)(nil); s.err == nil || errors.As(s.err, &c) {
		return s.err
	}
	return corrupt(s.where, fmt.Errorf("%w", s.err))
}
