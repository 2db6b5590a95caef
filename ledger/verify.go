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
	var in []*Policy // by index; few are different
	s := newSignatures()
	l, err = Open(f, append(slices.Clone(visits), func(e *Entry, raw []byte, p *Policy) error {
		in = append(in, p)
		if e.Kind != PolicyKind { // those are verified already
			s.check(entryName(e.Index), func() error { return e.Verify(raw, p) })
		}
		return nil
	})...)
	if err := cmp.Or(s.wait(), err); err != nil {
		return nil, nil, err
	}
	if err := l.verifyCheckpoints(append(in, l.policy)); err != nil {
		return nil, nil, err
	}
	staleFiles, err = l.verifyRenderings()
	return l, staleFiles, err
}

// verifyCheckpoints checks all checkpoints; in is the policy that each entry
// was held against, and the one in force now.
func (l *Ledger) verifyCheckpoints(in []*Policy) error {
	s := newSignatures()
	for size := int64(1); size <= l.tree.n; size++ {
		root, err := l.tree.root(size)
		if err != nil {
			return err
		}
		want := Checkpoint{l.origin, size, root}
		s.check(checkpointName(size), func() error {
			note, err := l.folder.Read(checkpointName(size))
			if err != nil {
				return missing(checkpointName(size), err)
			}
			return openCheckpoint(note, want, in[size-1], in[size])
		})
	}
	return s.wait()
}

func (l *Ledger) verifyRenderings() (staleFiles []string, err error) {
	names, err := l.folder.List(".")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	phases := l.Phases()
	var known []string
	for _, phase := range phases {
		for _, d := range l.derived(phase) {
			known = append(known, d.name)
			state, _, err := l.compare(d)
			if err != nil {
				return nil, err
			}
			if state == stale {
				staleFiles = append(staleFiles, d.name)
			}
		}
	}
	for _, name := range names {
		if _, ok := isDerived(name); ok && !slices.Contains(known, name) {
			return nil, corrupt(name, errors.New("the log renders no such file"))
		}
	}
	return staleFiles, nil
}

// signatures are checked by all processors, a few at a time.
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
