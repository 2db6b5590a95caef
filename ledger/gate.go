package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Question is what a gate is asked about: one claim on one commit.
type Question struct {
	Repo  string // may be empty if the ledger knows the pull request of one repo only
	PR    int
	Head  string // full commit id
	Claim string
	Phase string // may be empty: any
}

// Check tells what is wrong with a question. A prefix of a commit id is not
// one: two commits may begin alike.
func (q Question) Check() error {
	switch {
	case !commitForm.MatchString(q.Head):
		return fmt.Errorf("head %q is not a full commit id of 40 or 64 hex digits", q.Head)
	case q.PR <= 0:
		return fmt.Errorf("%d is no pull request", q.PR)
	case !claimForm.MatchString(q.Claim):
		return fmt.Errorf("claim %q is not M1, M2 …", q.Claim)
	case q.Repo != "" && !repoForm.MatchString(q.Repo):
		return fmt.Errorf("repo %q is not OWNER/NAME", q.Repo)
	case q.Phase != "" && !phaseForm.MatchString(q.Phase):
		return fmt.Errorf("phase %q is not of lower-case letters, digits and dashes", q.Phase)
	}
	return nil
}

// An Answer is what the gate says.
type Answer struct {
	Verdict    Verdict   `json:"verdict"`
	Reason     string    `json:"reason"`
	Entry      string    `json:"entry,omitempty"` // the deciding verdict
	Signer     string    `json:"signer,omitempty"`
	Time       time.Time `json:"time,omitzero"`
	Repo       string    `json:"repo,omitempty"`
	Phase      string    `json:"phase,omitempty"`
	Open       []string  `json:"open,omitempty"` // findings on the claim
	Checkpoint string    `json:"checkpoint"`     // signed, as it is in the ledger
}

// A decision is what verdicts on one subject add up to.
type decision struct {
	fails []int64 // those that no PASS came after
	last  int64   // the last one that counts; 0 is none, as entry 0 is a policy
	pass  bool    // what the last one says
	scope Scope
}

// add takes the next verdict. A FAIL stays until a later PASS; what could not
// tell, and a PASS of less than a full review, takes a PASS away and never a FAIL.
func (d *decision) add(e *Entry) {
	full := e.Verdict == Pass && e.Scope == Full
	switch {
	case e.Verdict == Fail:
		d.fails = append(d.fails, e.Index)
	case full:
		d.fails = nil
	case len(d.fails) > 0:
		return
	}
	d.last, d.pass, d.scope = e.Index, full, e.Scope
}

// answer is the verdict and the entry that decides. A verdict that was
// retracted answers INCONCLUSIVE, never what was before it.
func (d *decision) answer(retracted func(int64) bool) (Verdict, int64, string) {
	for _, i := range slices.Backward(d.fails) {
		if !retracted(i) {
			return Fail, i, "the verdict is FAIL"
		}
	}
	switch {
	case d.last == 0:
		return Inconclusive, 0, "there is no verdict on this"
	case len(d.fails) > 0 || retracted(d.last):
		return Inconclusive, d.last, "the deciding verdict was retracted"
	case d.pass:
		return Pass, d.last, "the verdict is PASS, from a full review"
	case d.scope != Full:
		return Inconclusive, d.last, fmt.Sprintf("the last review was %s", d.scope)
	}
	return Inconclusive, d.last, "the last review could not tell"
}

// A Gate answers a question. Its Visit goes to Open, and then it is asked.
type Gate struct {
	q         Question
	decisions map[string]*decision // by repo
	phases    map[string][]string  // where the repo's pull request was judged
	deciding  map[int64]brief
	counted   map[int64]bool
}

// A brief is what an answer says of an entry.
type brief struct {
	signer, phase string
	time          time.Time
}

// NewGate makes a gate for a question that was checked.
func NewGate(q Question) *Gate {
	return &Gate{q: q, decisions: map[string]*decision{}, phases: map[string][]string{}, deciding: map[int64]brief{}, counted: map[int64]bool{}}
}

// Visit takes what counts for the question, and verifies its signature.
func (g *Gate) Visit(e *Entry, raw []byte, in *Policy) error {
	switch {
	case e.Kind == VerdictKind && e.Claim == g.q.Claim && (g.q.Phase == "" || e.Phase == g.q.Phase):
	case e.Kind == Retract && g.counted[indexOf(e.Retracts)]:
	default:
		return nil
	}
	if err := e.Verify(raw, in); err != nil {
		return corrupt(entryName(e.Index), err)
	}
	g.counted[e.Index] = true
	if e.Kind == VerdictKind && e.PR == g.q.PR && (g.q.Repo == "" || e.Repo == g.q.Repo) {
		g.count(e)
	}
	return nil
}

func (g *Gate) count(e *Entry) {
	repo := strings.Clone(e.Repo)
	g.phases[repo] = append(g.phases[repo], strings.Clone(e.Phase))
	if e.Head != g.q.Head {
		return
	}
	if g.decisions[repo] == nil {
		g.decisions[repo] = &decision{}
	}
	g.decisions[repo].add(e)
	g.deciding[e.Index] = brief{strings.Clone(e.Signer), strings.Clone(e.Phase), e.Time}
}

// Answer answers from a ledger that was opened with the gate's Visit.
func (g *Gate) Answer(l *Ledger) Answer {
	a := Answer{Verdict: Inconclusive, Checkpoint: string(l.note), Reason: "there is no verdict on this"}
	if len(g.decisions) > 1 {
		a.Reason = "there are verdicts on this in more than one repo"
		return a
	}
	for repo, d := range g.decisions {
		v, i, reason := d.answer(func(i int64) bool { return l.retracted[i] != 0 })
		b := g.deciding[i]
		a.Verdict, a.Reason, a.Repo = v, reason, repo
		a.Entry, a.Signer, a.Phase, a.Time = number(i), b.signer, b.phase, b.time
	}
	for _, f := range l.findings {
		if f.claim == g.q.Claim && g.concerns(f.phase, a.Repo) && l.closer(f, l.tree.n) == 0 {
			a.Open = append(a.Open, f.id)
		}
	}
	if a.Verdict == Pass && len(a.Open) > 0 {
		a.Verdict, a.Reason = Fail, "the verdict is PASS, but findings on the claim are open"
	}
	return a
}

// concerns tells whether findings of a phase are about what was asked.
func (g *Gate) concerns(phase, repo string) bool {
	for r, phases := range g.phases {
		if (repo == "" || r == repo) && slices.Contains(phases, phase) {
			return true
		}
	}
	return false
}

// indexOf is the index that a number such as E000017 names, -1 if none.
func indexOf(number string) int64 {
	i, err := strconv.ParseInt(strings.TrimPrefix(number, "E"), 10, 64)
	if err != nil {
		return -1
	}
	return i
}

// A Trust is the root of trust: which log, and the digest of its entry 0. It
// comes from outside the ledger, else whoever can replace the ledger is trusted.
type Trust struct {
	Origin string
	Digest string // sha256:<hex>
}

// Trust is what to hand to those who shall trust this ledger.
func (l *Ledger) Trust() (Trust, error) {
	raw, err := l.tree.block(0)
	if err != nil {
		return Trust{}, err
	}
	return Trust{l.origin, digest(raw)}, nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// String is the trust as a file holds it: two lines.
func (t Trust) String() string { return t.Origin + "\n" + t.Digest + "\n" }

// ParseTrust reads a trust file.
func ParseTrust(text []byte) (Trust, error) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 3 || lines[2] != "" || !originForm.MatchString(lines[0]) || !digestForm.MatchString(lines[1]) {
		return Trust{}, errors.New("no trust file: it has two lines, the log's origin and sha256:<digest of entry 0>")
	}
	return Trust{lines[0], lines[1]}, nil
}

// Visit refuses a log that begins otherwise.
func (t Trust) Visit(e *Entry, raw []byte, _ *Policy) error {
	switch {
	case e.Index != 0:
		return nil
	case e.Origin != t.Origin:
		return corrupt(entryName(0), fmt.Errorf("it is of the log %s, trusted is %s", e.Origin, t.Origin))
	case digest(raw) != t.Digest:
		return corrupt(entryName(0), fmt.Errorf("it is not the first entry that is trusted: another ledger is in its place"))
	}
	return nil
}
