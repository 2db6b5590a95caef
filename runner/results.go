package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/lint"
)

// Schema is the version of results.json that this package writes and reads.
const Schema = 3

// Status of a rung, a stage or a test.
type Status string

// The four statuses. Unver is never a pass: it should have run, and could not.
const (
	Pass  Status = "pass"
	Fail  Status = "fail"
	Skip  Status = "skip"
	Unver Status = "unver"
)

// Results is the record of one run: results.json. docs/results.schema.json
// describes it for other programs.
type Results struct {
	Schema       int               `json:"schema"`
	Tool         Tool              `json:"tool"`
	RunID        string            `json:"run_id"`
	Recipe       string            `json:"recipe"`
	Version      string            `json:"version"`      // of the head, as abra names it
	Head         string            `json:"head"`         // commit, 40 hex digits
	UpgradeFrom  string            `json:"upgrade_from"` // version of the base; empty without one
	PR           int               `json:"pr"`           // 0 without one
	Started      time.Time         `json:"started"`
	Finished     time.Time         `json:"finished"` // zero while the run goes on
	Interrupted  bool              `json:"interrupted"`
	Fault        Fault             `json:"fault"`
	Deployer     string            `json:"deployer"`
	BackupEngine string            `json:"backup_engine"`
	Engine       EngineInfo        `json:"engine"`
	Suite        SuiteRecord       `json:"suite"`
	Images       map[string]string `json:"images"` // service -> digest, or id of a local-only image
	Stages       []Stage           `json:"stages"`
	Rungs        map[string]Status `json:"rungs"`
	Skips        Skips             `json:"skips"`
	Level        int               `json:"level"`
	LevelReason  string            `json:"level_reason"`
	Coverage     []Coverage        `json:"coverage"`
	Notices      []labels.Notice   `json:"notices"`
	Snapshots    []Snapshot        `json:"snapshots"`
	Drill        Drill             `json:"drill"`
	Spent        Spent             `json:"spent"` // zero while the run goes on
	Flags        Flags             `json:"flags"`
	Lint         LintRecord        `json:"lint"`
	Deviations   []string          `json:"deviations"`
}

// Tool says which build of this tool wrote the record.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// EngineInfo says which Docker engine the run used.
type EngineInfo struct {
	Version string `json:"version"`
}

// SuiteRecord says which suite the run had.
type SuiteRecord struct {
	Digest string `json:"digest"` // sha256 of suite.toml in hex; empty for a recipe without one
}

// Stage is a timed part of a run that holds tests.
type Stage struct {
	Name    string    `json:"name"`
	Status  Status    `json:"status"`
	Reason  string    `json:"reason"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Tests   []Test    `json:"tests"`
}

// Test is one thing that a stage found out.
type Test struct {
	Name   string `json:"name"` // <stage>_<verb>_<probe>, [a-z0-9_]
	Status Status `json:"status"`
	MS     int64  `json:"ms"`
	Reason string `json:"reason"`
	Log    string `json:"log"` // relative to the run folder; may be empty
}

// Skips tells rungs that do not apply, with the reason, from those that
// should have run.
type Skips struct {
	Intentional   map[string]string `json:"intentional"`
	Unintentional []string          `json:"unintentional"`
}

// Proof of a saved path.
type Proof string

// What is known of a saved path: a probe was measured to depend on it; its
// bytes came back; neither.
const (
	ProofApp  Proof = "app"
	ProofFile Proof = "file"
	ProofNone Proof = "none"
)

// Coverage is one row of what is saved and what proves it.
type Coverage struct {
	Volume  string   `json:"volume"`
	Path    string   `json:"path"` // relative to the volume's root
	Service string   `json:"service"`
	Mount   string   `json:"mount"`
	Saved   bool     `json:"saved"`
	Label   string   `json:"label"`
	Reason  string   `json:"reason"` // why it is not saved, or not proven
	Probes  []string `json:"probes"` // those that were measured to depend on it
	Proof   Proof    `json:"proof"`
}

// Drill is what the drill measured: how long recovery took, of how much.
type Drill struct {
	Seconds float64 `json:"seconds"` // from the empty machine to the last green check
	Bytes   int64   `json:"bytes"`
}

// Flags are the two promises that hold for the whole run.
type Flags struct {
	CleanTeardown Status `json:"clean_teardown"`
	NoSecretLeak  Status `json:"no_secret_leak"`
}

// LintRecord is the lint rung's detail.
type LintRecord struct {
	Tool  string        `json:"tool"`
	Rules []lint.Result `json:"rules"`
}

// Encode writes r as indented JSON with a final newline.
func (r *Results) Encode(w io.Writer) error {
	return EncodeJSON(w, r)
}

// ReadResults decodes results.json and refuses a record that says more than
// its own stages do: rungs and level are computed again.
func ReadResults(data []byte) (*Results, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var r Results
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("results.json: %w", err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("results.json has schema %d, this tool reads %d", r.Schema, Schema)
	}
	if err := r.consistent(); err != nil {
		return nil, fmt.Errorf("results.json contradicts itself: %w", err)
	}
	return &r, nil
}
