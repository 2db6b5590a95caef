package review

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
)

// PhaseFile is the name of a phase's file.
const PhaseFile = "phase.toml"

// A Phase is one piece of work under review: which claims there are, and what
// each of them needs. docs/review.md teaches the format.
type Phase struct {
	Name   string       `toml:"phase"` // "mailu"
	Claims []PhaseClaim `toml:"claim"`
}

// A PhaseClaim is what a claim of a phase says, and what is checked of it.
type PhaseClaim struct {
	Name      string   `toml:"name"`       // "M1"
	Level     int      `toml:"level"`      // of the head; 0: what the builder's evidence says
	BaseLevel *int     `toml:"base_level"` // of the base; nil: none is claimed
	Checks    []string `toml:"checks"`     // on top of those that every review makes
}

// always are the checks that every review makes, in the order in which they
// are told.
var always = []string{
	CheckPullOpen, CheckLabelsNoError, CheckVolumesDecided, CheckNoSecret, CheckNothingDangerous, CheckSuiteNotWeakened,
	CheckColdRun, CheckLevels, CheckPathsProven, CheckMutantsKilled, CheckCoversTrue, CheckTeardownClean, CheckNoSecretLeak,
}

// more are the checks that a claim asks for.
var more = []string{CheckVersionBumped, CheckEvidence, CheckReproduced, CheckLevelsReconciled, CheckSecondRun}

// DefaultPhase is that of a review without a phase.toml: whatever is claimed
// needs what every review checks.
func DefaultPhase(name string) *Phase { return &Phase{Name: name} }

// ReadPhase reads phase.toml from fsys. An absent file is an error that is
// fs.ErrNotExist.
func ReadPhase(fsys fs.FS, source string) (*Phase, error) {
	data, err := fs.ReadFile(fsys, PhaseFile)
	if err != nil {
		return nil, err
	}
	return ParsePhase(source, data)
}

// ParsePhase reads a phase strictly. An error says file and line, as far as
// that is known, and has a Hint.
func ParsePhase(source string, data []byte) (*Phase, error) {
	var p Phase
	if err := runner.DecodeTOML(source, data, &p, []string{"phase", "claim", "name", "level", "base_level", "checks"}); err != nil {
		return nil, err
	}
	if err := p.validate(source); err != nil {
		return nil, err
	}
	return &p, nil
}

var (
	phaseName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	claimName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)
)

// maxName bounds the names of phases and claims: they become names of files
// and contexts of commit statuses.
const maxName = 40

func (p *Phase) validate(source string) error {
	wrong := func(key, tip, msg string, args ...any) error {
		return &runner.SuiteError{File: source, Key: key, Msg: fmt.Sprintf(msg, args...), Tip: tip}
	}
	if len(p.Name) > maxName || !phaseName.MatchString(p.Name) {
		return wrong("phase", `add: phase = "NAME"`, "%q is not the name of a phase: lower-case letters, digits and dashes, %d at most", p.Name, maxName)
	}
	if len(p.Claims) == 0 {
		return wrong("", "add a [[claim]]", "no claim")
	}
	names := map[string]bool{}
	for i, c := range p.Claims {
		key := fmt.Sprintf("claim[%d]", i)
		switch {
		case len(c.Name) > maxName || !claimName.MatchString(c.Name):
			return wrong(key+".name", `add: name = "M1"`, "%q is not the name of a claim: letters, digits and dashes, %d at most", c.Name, maxName)
		case names[c.Name]:
			return wrong(key+".name", "give each claim a name of its own", "there is a claim %q already", c.Name)
		case c.Level < 0 || c.Level > len(runner.Rungs):
			return wrong(key+".level", "", "%d is not a level from 0 to %d", c.Level, len(runner.Rungs))
		case c.BaseLevel != nil && (*c.BaseLevel < 0 || *c.BaseLevel > len(runner.Rungs)):
			return wrong(key+".base_level", "", "%d is not a level from 0 to %d", *c.BaseLevel, len(runner.Rungs))
		}
		names[c.Name] = true
		for _, name := range c.Checks {
			if !slices.Contains(more, name) && !slices.Contains(always, name) {
				return wrong(key+".checks", "checks are "+strings.Join(more, ", "), "no check %q", name)
			}
		}
	}
	return nil
}

// Claim is the claim of that name. A phase that lists none takes any; the
// error of one that does names those that there are.
func (p *Phase) Claim(name string) (PhaseClaim, error) {
	var names []string
	for _, c := range p.Claims {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	if len(names) > 0 {
		return PhaseClaim{}, fmt.Errorf("phase %s has no claim %q; it has %s", p.Name, name, strings.Join(names, ", "))
	}
	if len(name) > maxName || !claimName.MatchString(name) {
		return PhaseClaim{}, fmt.Errorf("%q is not the name of a claim: letters, digits and dashes, %d at most", name, maxName)
	}
	return PhaseClaim{Name: name}, nil
}

// Needs are the checks that the claim needs, in the order in which they are
// told. A claim that needs the evidence reproduced needs the evidence itself.
func (c PhaseClaim) Needs() []string {
	needs := slices.Clone(always)
	for _, name := range more {
		if slices.Contains(c.Checks, name) || name == CheckEvidence && slices.Contains(c.Checks, CheckReproduced) ||
			name == CheckReproduced && slices.Contains(c.Checks, CheckEvidence) {
			needs = append(needs, name)
		}
	}
	if c.BaseLevel != nil && !slices.Contains(needs, CheckLevelsReconciled) {
		needs = append(needs, CheckLevelsReconciled)
	}
	return needs
}

// ClaimedBaseLevel is the claimed level of the base, -1 if none is claimed.
func (c PhaseClaim) ClaimedBaseLevel() int {
	if c.BaseLevel == nil {
		return -1
	}
	return *c.BaseLevel
}
