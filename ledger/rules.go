package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

func corrupt(where string, err error) error { return &CorruptError{Where: where, Err: err} }

// A state is what the rules need to know of the entries so far. It keeps
// about 150 bytes for each of them, and no text.
type state struct {
	origin   string
	policy   *Policy // after the last entry
	before   *Policy // before the last entry
	tree     tree
	last     time.Time
	records  []record
	findings []*finding
	names    map[string]string // one copy of each name
}

// A record is what is kept of an entry.
type record struct {
	id                   [16]byte
	kind                 Kind
	phase, claim, signer string
	keyHash              uint32
	retracted            int64 // index of the retraction, 0 if there is none
}

// A finding is where a finding was opened and closed.
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
	case s.find(e.ID) >= 0:
		return nil, fmt.Errorf("its id is that of %s", number(s.find(e.ID)))
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
	n := s.count(e.Phase)
	for i, f := range e.Opened {
		if want := findingID(e.Phase, n+i+1); f.ID != want {
			return fmt.Errorf("it opens %s, the next finding is %s", f.ID, want)
		}
	}
	for _, id := range e.Closed {
		i := slices.IndexFunc(s.findings, func(f *finding) bool { return f.id == id && f.phase == e.Phase })
		switch {
		case i < 0:
			return fmt.Errorf("it closes %s, which was never opened in %s", id, e.Phase)
		case s.findings[i].claim != e.Claim:
			return fmt.Errorf("it closes %s, which is about %s", id, s.findings[i].claim)
		case s.closer(s.findings[i], s.tree.n) != 0:
			return fmt.Errorf("it closes %s, which is closed", id)
		}
	}
	return nil
}

func (s *state) judgeRetract(e *Entry) error {
	i, err := strconv.ParseInt(e.Retracts[1:], 10, 64)
	if err != nil || i < 0 || i >= s.tree.n || number(i) != e.Retracts {
		return fmt.Errorf("there is no %s to retract", e.Retracts)
	}
	r := &s.records[i]
	switch {
	case r.kind == PolicyKind || r.kind == Retract:
		return fmt.Errorf("%s is a %s: it can't be retracted", e.Retracts, r.kind)
	case r.retracted != 0:
		return fmt.Errorf("%s is retracted already", e.Retracts)
	case r.signer != e.Signer || r.keyHash != e.keyHash:
		return fmt.Errorf("%s is by key %s: only that key retracts it", e.Retracts, r.signer)
	case r.phase != e.Phase || r.claim != e.Claim:
		return fmt.Errorf("%s is about %s %s", e.Retracts, r.phase, r.claim)
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
		s.origin, s.names = strings.Clone(e.Origin), map[string]string{}
	}
	s.last = e.Time
	r := record{kind: Kind(s.name(string(e.Kind))), phase: s.name(e.Phase), claim: s.name(e.Claim), signer: s.name(e.Signer), keyHash: e.keyHash}
	if _, err := hex.Decode(r.id[:], []byte(e.ID)); err != nil {
		return err
	}
	s.records = append(s.records, r)
	if e.Kind == Retract {
		i, _ := strconv.ParseInt(e.Retracts[1:], 10, 64)
		s.records[i].retracted = e.Index
	}
	for _, f := range e.Opened {
		s.findings = append(s.findings, &finding{id: strings.Clone(f.ID), phase: r.phase, claim: r.claim, opened: e.Index})
	}
	for _, id := range e.Closed {
		i := slices.IndexFunc(s.findings, func(f *finding) bool { return f.id == id })
		s.findings[i].closed = append(s.findings[i].closed, e.Index)
	}
	return s.tree.add(leaf)
}

// name returns s from memory of its own: an entry's fields are parts of its
// text, and would hold all of it.
func (s *state) name(text string) string {
	if own, ok := s.names[text]; ok {
		return own
	}
	own := strings.Clone(text)
	s.names[own] = own
	return own
}

// find is the index of the entry with an id, -1 if there is none.
func (s *state) find(id string) int64 {
	var want [16]byte
	if n, err := hex.Decode(want[:], []byte(id)); err != nil || n != 16 {
		return -1
	}
	for i := range s.records {
		if s.records[i].id == want {
			return int64(i)
		}
	}
	return -1
}

// About is the phase and claim of an entry, by its number.
func (s *state) About(entry string) (phase, claim string, ok bool) {
	i := indexOf(entry)
	if i < 0 || i >= s.tree.n || number(i) != entry {
		return "", "", false
	}
	return s.records[i].phase, s.records[i].claim, true
}

// count is how many findings a phase has.
func (s *state) count(phase string) (n int) {
	for _, f := range s.findings {
		if f.phase == phase {
			n++
		}
	}
	return n
}

// closer is the index of the verdict that closed a finding, as the log stood
// at a size; 0 if it was open. A verdict that was retracted closed nothing.
func (s *state) closer(f *finding, size int64) int64 {
	for _, i := range f.closed {
		if r := s.records[i].retracted; i < size && (r == 0 || r >= size) {
			return i
		}
	}
	return 0
}

func findingID(phase string, n int) string { return fmt.Sprintf("ADV-%s-%02d", phase, n) }

// number the findings that a verdict opens.
func (s *state) number(c *Content) {
	n := s.count(c.Phase)
	for i := range c.Opened {
		c.Opened[i].ID = findingID(c.Phase, n+i+1)
	}
}
