package ledger

import (
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// A Kind says what an entry does.
type Kind string

// The kinds of entries.
const (
	PolicyKind  Kind = "policy"      // entry 0, and every later change: roles and keys
	Orientation Kind = "orientation" // what the adversary knows before the first claim
	Claim       Kind = "claim"       // the builder says that something is done
	VerdictKind Kind = "verdict"     // the adversary's answer to a claim
	Response    Kind = "response"    // a word on a finding or a verdict
	Retract     Kind = "retract"     // the author of an earlier entry takes it back
)

// A Verdict is what an adversary says of a claim.
type Verdict string

// The verdicts. Inconclusive means that it could not be told: never a pass.
const (
	Pass         Verdict = "PASS"
	Fail         Verdict = "FAIL"
	Inconclusive Verdict = "INCONCLUSIVE"
)

// A Scope says how much of a review a verdict comes from.
type Scope string

// The scopes. Only a full review can pass a claim or close a finding.
const (
	Full    Scope = "full"
	Quick   Scope = "quick"
	Partial Scope = "partial"
)

// A Subject is what a claim or a verdict speaks of.
type Subject struct {
	Repo string `json:"repo"` // owner/name, or host/owner/name
	PR   int    `json:"pr"`
	Head string `json:"head"`           // full commit id
	Base string `json:"base,omitempty"` // full commit id
}

// A SuiteSource says where a suite is that lives in another repository than the
// recipe: which of its commits is spoken of, and which one was in force before.
// All three are given, or none.
type SuiteSource struct {
	SuiteRepo string `json:"suite_repo,omitempty"` // owner/name, or host/owner/name
	SuiteHead string `json:"suite_head,omitempty"` // full commit id
	SuiteBase string `json:"suite_base,omitempty"` // full commit id
}

// Mutants counts what became of the sabotages of a review.
type Mutants struct {
	Killed       int `json:"killed"`
	Survived     int `json:"survived"`
	Equivalent   int `json:"equivalent"`
	Inconclusive int `json:"inconclusive"`
}

// A Check is one thing that was looked at, with its answer.
type Check struct {
	Status string   `json:"status"` // pass, fail, unver
	Text   string   `json:"text"`
	Detail []string `json:"detail,omitempty"`
}

// A Finding is what the adversary holds against a claim.
type Finding struct {
	ID    string `json:"id,omitempty"` // ADV-<phase>-NN; numbered by the ledger
	Title string `json:"title"`
	Text  string `json:"text,omitempty"`
}

// A Content is what an author says: all of an entry that the ledger does not
// add itself. Which fields a kind needs and takes is in the table kinds.
type Content struct {
	Kind  Kind   `json:"kind"`
	Phase string `json:"phase,omitempty"`
	Claim string `json:"claim,omitempty"` // M1, M2 …
	Subject
	Suite string `json:"suite,omitempty"` // what the review was done with: a commit or a digest
	SuiteSource
	Run     string   `json:"run,omitempty"`     // id of the run that is spoken of
	Results string   `json:"results,omitempty"` // sha256:<hex> of its results.json
	Verdict Verdict  `json:"verdict,omitempty"`
	Scope   Scope    `json:"scope,omitempty"`
	Mutants *Mutants `json:"mutants,omitempty"`
	// Opened are findings that this verdict opens; the ledger numbers them.
	Opened []Finding `json:"opened,omitempty"`
	// Closed are ids of findings that this verdict tested again.
	Closed   []string `json:"closed,omitempty"`
	Retracts string   `json:"retracts,omitempty"` // E000017
	Keys     []Key    `json:"keys,omitempty"`     // of a policy, all of them
	Tool     string   `json:"tool,omitempty"`     // the program that wrote it
	// ID makes appending idempotent: 32 hex digits, chosen by the author.
	ID      string  `json:"id"`
	Summary string  `json:"summary,omitempty"` // one line
	Checks  []Check `json:"checks,omitempty"`
	Prose   string  `json:"prose,omitempty"`
}

// An Entry is one record of the log.
type Entry struct {
	Content
	Time     time.Time `json:"time"`     // to the minute, UTC; never before the entry before it
	Previous tlog.Hash `json:"previous"` // root of the log before this entry
	Index    int64     `json:"index"`
	Origin   string    `json:"origin"`
	Signer   string    `json:"signer"` // name of the key that signed it
	keyHash  uint32    // of that key; names alone can be given twice
}
