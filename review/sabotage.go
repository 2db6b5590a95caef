package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// A Saboteur tries mutants on the app of a run, and keeps what came of them.
// Its method Sabotage is for runner.Config.
type Saboteur struct {
	Mutants []Mutant
	// Measured is what each volume held when everything had been seeded.
	Measured map[string]Amount
	// Estimate is told, once the first placebo is over, how many mutants are left
	// and how long they may take; nil: nobody asks.
	Estimate func(mutants int, takes time.Duration)
	// Elders are probes of the suite before that the suite no longer has as they were.
	// They are seeded and asked, too: what they notice, the suite must.
	Elders []runner.Probe
	// Room is asked, once all has been seeded, for how many apps there is room: so
	// many mutants are tried at the same time. nil: one after another.
	Room func(context.Context) int
	// Only names the tests of the mutants that are tried; nil: all are. The placebos are
	// tried in any case.
	Only []string

	rig       *runner.Rig
	lanes     []*lane
	unused    []string            // apps that were to have a lane, and why they have none
	elderless []string            // elders that can't be seeded, and why
	red       map[string]redElder // elders that are not green after a whole restore, by name
	plan      *labels.Plan
	paths     []labels.SavedPath
	witnesses []runner.Witness

	reference, older runner.Snapshot
	stored, before   map[string]runner.Manifest // what the two hold
}

// A sabotage is a restore that is not as it should be.
type sabotage struct {
	op       Operator
	on       string
	snapshot runner.Snapshot
	paths    []labels.SavedPath            // that come back
	lost     []labels.SavedPath            // that the sabotage is about: the cure brings them
	empty    map[labels.SavedPath][]string // files that come back empty
	plan     *labels.Plan                  // whose restore hooks run; nil: none
	wait     bool                          // for what might come by itself
	every    bool                          // every probe must notice
	changed  string                        // the bytes that it changes, in words; "" for none
}

// Sabotage tries every mutant. Each starts from an app that was built from
// nothing and proven empty; a placebo comes first and last in each lane, as none
// of the others tells anything if it is not green.
func (s *Saboteur) Sabotage(ctx context.Context, rig *runner.Rig) error {
	s.rig, s.plan, s.paths, s.witnesses = rig, rig.Plan(), rig.Paths(), rig.Witnesses()
	if len(s.witnesses) == 0 {
		return runner.Undecided(runner.Unver, "the suite has no probe: nobody could notice a mutant")
	}
	var hooked []sabotage
	if !rig.Test(ctx, "mutants_reference", func(ctx context.Context) (err error) { hooked, err = s.prepare(ctx); return err }) {
		return runner.Undecided(runner.Unver, "blocked by mutants_reference")
	}
	mutants := s.sought(slices.Concat(s.ofPaths(), hooked))
	s.open(ctx, len(mutants))
	s.estimate(len(mutants) + 2)
	s.tryAll(ctx, mutants)
	s.tryAll(ctx, s.sought(s.labels()))
	s.close(ctx)
	return nil
}

// sought is what is left of mutants when those that nobody asks for are not tried.
func (s *Saboteur) sought(mutants []sabotage) []sabotage {
	return slices.DeleteFunc(mutants, func(m sabotage) bool { return !s.seeks(m.op, m.on) })
}

func (s *Saboteur) seeks(op Operator, on string) bool {
	return s.Only == nil || slices.Contains(s.Only, Mutant{Op: op, On: on}.test())
}

// estimate says how long the rest takes: a mutant takes a placebo and a cure.
func (s *Saboteur) estimate(n int) {
	if s.Estimate != nil && s.lanes[0].unsound == "" {
		one := time.Duration(s.Mutants[0].Seconds * float64(time.Second))
		s.Estimate(n, (time.Duration(n) * one * 5 / 4 / time.Duration(len(s.lanes))).Round(10*time.Second))
	}
}

// as files a mutant that comes to the same as one that was tried.
func (m Mutant) as(op Operator, on string) Mutant {
	m.As, m.Op, m.On, m.Seconds = m.Name(), op, on, 0
	return m
}

// prepare seeds once more and takes the snapshots that mutants restore: one
// as it should be, and one for each that sabotages the backup itself.
func (s *Saboteur) prepare(ctx context.Context) ([]sabotage, error) {
	sights, reasons, err := s.rig.Look(ctx)
	if err != nil {
		return nil, err
	}
	for probe, sight := range sights {
		if sight != runner.SightGreen {
			return nil, runner.Undecided(runner.Unver, "probe %s is not green before anything was sabotaged: %s", probe, reasons[probe])
		}
	}
	if err := s.rig.Seed(ctx); err != nil {
		return nil, err
	}
	left, err := s.rig.SeedElders(ctx, s.Elders)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		s.elderless = append(s.elderless, fmt.Sprintf("probe %s of the suite before is not asked: %s", name, left[name]))
	}
	if err := s.measure(ctx); err != nil {
		return nil, err
	}
	s.older = s.rig.Pinned()
	hooked, err := s.ofHooks(ctx)
	if err != nil {
		return nil, err
	}
	if s.reference, err = s.rig.Backup(ctx, s.plan); err != nil {
		return nil, runner.Undecided(runner.Unver, "the reference backup: %w", err)
	}
	for i := range hooked {
		if hooked[i].snapshot.ID == "" { // the backup is as it should be
			hooked[i].snapshot = s.reference
		}
	}
	if s.stored, err = s.rig.Files(ctx, s.reference.ID); err != nil {
		return nil, err
	}
	s.before, err = s.rig.Files(ctx, s.older.ID)
	return hooked, err
}

func (s *Saboteur) measure(ctx context.Context) error {
	volumes, err := s.rig.Volumes(ctx)
	s.Measured = map[string]Amount{}
	for name, m := range volumes {
		files, bytes := amount(m, ".")
		s.Measured[name] = Amount{Files: files, Bytes: bytes}
	}
	return err
}

// unverUnlessInfra is for what kept a mutant from being tried.
func unverUnlessInfra(err error) error {
	if infra := (*runner.InfraError)(nil); errors.As(err, &infra) {
		return err
	}
	return runner.Undecided(runner.Unver, "%w", err)
}

// held is the mutant as its test leaves it: what makes a test pass and did not was
// seen on an engine that went away meanwhile, and is worth nothing.
func (m Mutant) held(passed bool) Mutant {
	control := m.Op == Placebo || m.Op == NewSecrets
	if !passed && (m.Outcome == Killed || m.Outcome == Detected || m.Outcome == Equivalent && control) {
		m.Outcome, m.Reason = Inconclusive, "the machine gave way while it was tried"
	}
	return m
}

// verdictOf is what an outcome makes of a mutant's test.
func verdictOf(m Mutant) error {
	switch m.Outcome {
	case Killed, Detected:
		return runner.Remark(string(m.Outcome) + ": " + m.Reason)
	case Survived:
		return fmt.Errorf("survived: %s", m.Reason)
	case Equivalent:
		return runner.Undecided(runner.Skip, "equivalent: %s", m.Reason)
	}
	return runner.Undecided(runner.Unver, "inconclusive: %s", m.Reason)
}

// claimants are the probes that promise to depend on one of the paths.
func (s *Saboteur) claimants(paths []labels.SavedPath) []string {
	var out []string
	for _, w := range s.witnesses {
		if slices.ContainsFunc(w.Claims, func(p labels.SavedPath) bool { return slices.Contains(paths, p) }) {
			out = append(out, w.Name)
		}
	}
	return out
}

// patience is the longest that any check waits for its data.
func (s *Saboteur) patience() (d time.Duration) {
	for _, w := range s.witnesses {
		d = max(d, w.Patience)
	}
	return d
}
