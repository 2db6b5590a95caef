package ledger

import (
	"strings"
)

// A Row is where a claim stands.
type Row struct {
	Phase   string   `json:"phase"`
	Claim   string   `json:"claim"`
	Repo    string   `json:"repo"`
	PR      int      `json:"pr"`
	Head    string   `json:"head"` // that was claimed or judged last
	Verdict Verdict  `json:"verdict,omitempty"`
	Entry   string   `json:"entry,omitempty"` // the deciding verdict
	Open    []string `json:"open,omitempty"`
	Next    string   `json:"next,omitempty"` // builder or adversary: who must move
}

// A Status collects where all claims stand. Its Visit goes to Open.
type Status struct {
	claims  []*claimStatus
	counted map[int64]bool
}

type claimStatus struct {
	Row
	subject   Subject
	decision  *decision
	decisions map[Subject]*decision
	claimed   bool // said since the last verdict
}

// NewStatus makes an empty one.
func NewStatus() *Status { return &Status{counted: map[int64]bool{}} }

// Visit takes claims, verdicts and retractions, and verifies their signatures.
func (s *Status) Visit(e *Entry, raw []byte, in *Policy) error {
	switch {
	case e.Kind == Claim, e.Kind == VerdictKind:
	case e.Kind == Retract && s.counted[indexOf(e.Retracts)]:
	default:
		return nil
	}
	if err := e.Verify(raw, in); err != nil {
		return corrupt(entryName(e.Index), err)
	}
	s.counted[e.Index] = true
	if e.Kind == Retract {
		return nil
	}
	c := s.claim(e)
	c.subject = Subject{Repo: strings.Clone(e.Repo), PR: e.PR, Head: strings.Clone(e.Head)}
	c.decision = c.decisions[c.subject]
	if c.decision == nil {
		c.decision = &decision{}
		c.decisions[c.subject] = c.decision
	}
	if c.claimed = e.Kind == Claim; !c.claimed {
		c.decision.add(e)
	}
	return nil
}

func (s *Status) claim(e *Entry) *claimStatus {
	for _, c := range s.claims {
		if c.Phase == e.Phase && c.Claim == e.Claim {
			return c
		}
	}
	c := &claimStatus{Row: Row{Phase: strings.Clone(e.Phase), Claim: strings.Clone(e.Claim)}, decisions: map[Subject]*decision{}}
	s.claims = append(s.claims, c)
	return c
}

// Rows are the claims in the order in which they were first made.
func (s *Status) Rows(l *Ledger) []Row {
	rows := []Row{}
	for _, c := range s.claims {
		row := c.Row
		row.Repo, row.PR, row.Head = c.subject.Repo, c.subject.PR, c.subject.Head
		verdict, i, _ := c.decision.answer(func(i int64) bool { return l.retracted[i] != 0 })
		if i != 0 {
			row.Verdict, row.Entry = verdict, number(i)
		}
		for _, f := range l.findings {
			if f.phase == c.Phase && f.claim == c.Claim && l.closer(f, l.tree.n) == 0 {
				row.Open = append(row.Open, f.id)
			}
		}
		row.Next = next(c.claimed, row)
		rows = append(rows, row)
	}
	return rows
}

// next is who must move: nobody if a claim passed and no finding is open.
func next(claimed bool, r Row) string {
	switch {
	case claimed:
		return string(Adversary)
	case r.Verdict == Fail, len(r.Open) > 0:
		return string(Builder)
	case r.Verdict == Pass:
		return ""
	}
	return string(Adversary)
}
