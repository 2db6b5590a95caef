package ledger

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A CorruptError says that the log is not what it was, or never was one.
type CorruptError struct {
	Where string // file, or number of an entry
	Err   error
}

func (e *CorruptError) Error() string { return fmt.Sprintf("%s: %v", e.Where, e.Err) }
func (e *CorruptError) Unwrap() error { return e.Err }

// ExitCode is the answer fail: a broken ledger is no weather.
func (e *CorruptError) ExitCode() int { return 3 }

// Hint is what to do.
func (e *CorruptError) Hint() string {
	return "nothing in this ledger counts until its adversaries have looked: compare with another clone, then: abra-ccci ledger verify"
}

// corrupt makes an error a *CorruptError, but for what is wrong elsewhere.
func corrupt(where string, err error) error {
	if isAgain(err) {
		return err
	}
	return &CorruptError{Where: where, Err: err}
}

// An againError says that an entry that the state holds can't be read again,
// or is another one now. It is no fault of the entry that is judged.
type againError struct{ error }

func (e againError) Unwrap() error { return e.error }

func isAgain(err error) bool { return errors.As(err, new(againError)) }

// A state is what the rules need to know of the entries so far. It keeps
// about 12 bytes for each of them: what it takes to find it, and to tell that it
// is the same one when it is read again.
type state struct {
	origin    string
	policy    *Policy // after the last entry
	before    *Policy // before the last entry
	tree      tree
	last      time.Time
	ids       ids
	phases    map[string]*places // the entries of each; policies are of none
	retracted map[int64]int64    // index of the retraction, by index
	findings  []*finding
	byID      map[string]*finding
	opened    map[string]int // number of findings, by phase
}

// newState is that of a log in a folder, before its first entry.
func newState(f Reader) state {
	return state{
		tree: tree{folder: f, shelf: new(shelf)}, ids: ids{seed: maphash.MakeSeed()}, phases: map[string]*places{},
		retracted: map[int64]int64{}, byID: map[string]*finding{}, opened: map[string]int{},
	}
}

// A finding is where a finding was opened and closed. Its strings are copies:
// an entry's fields are parts of its text, and would hold all of it.
type finding struct {
	id, phase, claim string
	opened           int64
	closed           []int64
}

// next is the root and index that the next entry has to name.
func (s *state) next() (int64, tlog.Hash, error) {
	root, err := s.tree.root(s.tree.n)
	return s.tree.n, root, err
}

// checkpoint is that of the log so far.
func (s *state) checkpoint() (Checkpoint, error) {
	root, err := s.tree.root(s.tree.n)
	return Checkpoint{s.origin, s.tree.n, root}, err
}

// judge tells what of an entry breaks a rule of the log, if it came next. It
// is the policy in force that the entry is held against; for entry 0 its own.
func (s *state) judge(e *Entry) (*Policy, error) {
	index, root, err := s.next()
	if err != nil {
		return nil, err
	}
	_, same, err := s.find(e.ID)
	if err != nil {
		return nil, err
	}
	in := s.policy
	if index == 0 {
		if e.Kind != PolicyKind {
			return nil, errors.New("entry 0 is no policy")
		}
		if in, err = newPolicy(e.Keys); err != nil {
			return nil, err
		}
	}
	switch {
	case e.Index != index:
		return nil, fmt.Errorf("it says index %d in the place of %d", e.Index, index)
	case s.origin != "" && e.Origin != s.origin:
		return nil, fmt.Errorf("it is of the log %s", e.Origin)
	case e.Previous != root:
		return nil, errors.New("it was written on top of other entries than those before it")
	case e.Time.Before(s.last):
		return nil, fmt.Errorf("it says %s, the entry before it %s: a clock ran backwards", e.Time.Format(minute), s.last.Format(minute))
	case same != nil:
		return nil, fmt.Errorf("its id is that of %s", same.Number())
	}
	role, ok := in.byID[keyID{e.Signer, e.keyHash}]
	if !ok {
		return nil, fmt.Errorf("the policy has no key %s", e.Signer)
	}
	if !role.may(e.Kind) {
		return nil, fmt.Errorf("%s is a key of role %s: it can't sign a %s", e.Signer, role, e.Kind)
	}
	return in, s.judgeContent(e)
}

func (s *state) judgeContent(e *Entry) error {
	switch e.Kind {
	case PolicyKind:
		_, err := newPolicy(e.Keys)
		return err
	case VerdictKind:
		return s.judgeFindings(e)
	case Retract:
		return s.judgeRetract(e)
	}
	return nil
}

func (s *state) judgeFindings(e *Entry) error {
	n := s.opened[e.Phase]
	for i, f := range e.Opened {
		if want := findingID(e.Phase, n+i+1); f.ID != want {
			return fmt.Errorf("it opens %s, the next finding is %s", f.ID, want)
		}
	}
	for _, id := range e.Closed {
		f := s.byID[id]
		switch {
		case f == nil || f.phase != e.Phase:
			return fmt.Errorf("it closes %s, which was never opened in %s", id, e.Phase)
		case f.claim != e.Claim:
			return fmt.Errorf("it closes %s, which is about %s", id, f.claim)
		case s.closer(f, s.tree.n) != 0:
			return fmt.Errorf("it closes %s, which is closed", id)
		}
	}
	return nil
}

func (s *state) judgeRetract(e *Entry) error {
	r, err := s.Named(e.Retracts)
	switch {
	case err != nil:
		return err
	case r == nil:
		return fmt.Errorf("there is no %s to retract", e.Retracts)
	case r.Kind == PolicyKind || r.Kind == Retract:
		return fmt.Errorf("%s is a %s: it can't be retracted", e.Retracts, r.Kind)
	case s.retracted[r.Index] != 0:
		return fmt.Errorf("%s is retracted already", e.Retracts)
	case r.Signer != e.Signer || r.keyHash != e.keyHash:
		return fmt.Errorf("%s is by key %s: only that key retracts it", e.Retracts, r.Signer)
	case r.Phase != e.Phase || r.Claim != e.Claim:
		return fmt.Errorf("%s is about %s %s", e.Retracts, r.Phase, r.Claim)
	}
	return nil
}

// add takes an entry that was judged, with the hash of its bytes.
func (s *state) add(e *Entry, leaf tlog.Hash) error {
	s.before = s.policy
	if e.Kind == PolicyKind {
		p, err := newPolicy(e.Keys)
		if err != nil {
			return err
		}
		s.policy = p
	}
	if s.origin == "" {
		s.origin = strings.Clone(e.Origin)
	}
	s.last = e.Time
	s.ids.add(e.ID, e.Index)
	if s.phases[e.Phase] == nil {
		s.phases[strings.Clone(e.Phase)] = &places{}
	}
	s.phases[e.Phase].add(e.Index)
	if e.Kind == Retract {
		s.retracted[indexOf(e.Retracts)] = e.Index
	}
	for _, opened := range e.Opened {
		f := &finding{id: strings.Clone(opened.ID), phase: strings.Clone(e.Phase), claim: strings.Clone(e.Claim), opened: e.Index}
		s.findings = append(s.findings, f)
		s.byID[f.id] = f
		s.opened[f.phase]++
	}
	for _, id := range e.Closed {
		s.byID[id].closed = append(s.byID[id].closed, e.Index)
	}
	return s.tree.add(leaf)
}

// entry reads an entry again.
func (s *state) entry(i int64) ([]byte, *Entry, error) {
	raw, err := s.tree.block(i)
	if err != nil {
		return nil, nil, againError{err}
	}
	e, err := Parse(raw)
	return raw, e, err
}

// find reads the entry with an id; there may be none, which is nil.
func (s *state) find(id string) ([]byte, *Entry, error) {
	for _, i := range s.ids.like(id) {
		if raw, e, err := s.entry(i); err != nil || e.ID == id {
			return raw, e, err
		}
	}
	return nil, nil, nil
}

// Named reads the entry with a number; there may be none, which is nil.
func (s *state) Named(entry string) (*Entry, error) {
	i := indexOf(entry)
	if i < 0 || i >= s.tree.n || number(i) != entry {
		return nil, nil
	}
	_, e, err := s.entry(i)
	return e, err
}

// closer is the index of the verdict that closed a finding, as the log stood
// at a size; 0 if it was open. A verdict that was retracted closed nothing.
func (s *state) closer(f *finding, size int64) int64 {
	for _, i := range f.closed {
		if r := s.retracted[i]; i < size && (r == 0 || r >= size) {
			return i
		}
	}
	return 0
}

func findingID(phase string, n int) string { return fmt.Sprintf("ADV-%s-%02d", phase, n) }

// number the findings that a verdict opens.
func (s *state) number(c *Content) {
	n := s.opened[c.Phase]
	for i := range c.Opened {
		c.Opened[i].ID = findingID(c.Phase, n+i+1)
	}
}
