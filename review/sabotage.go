package review

import (
	"context"
	"errors"
	"fmt"
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

	rig       *runner.Rig
	plan      *labels.Plan
	paths     []labels.SavedPath
	witnesses []runner.Witness

	reference, older runner.Snapshot
	stored, before   map[string]runner.Manifest // what the two hold
	green            time.Duration              // how long a whole restore takes to be seen
	unsound          string                     // why nothing can be told from any mutant
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
// nothing and proven empty; a placebo comes first and last, as none of the
// others tells anything if it is not green.
func (s *Saboteur) Sabotage(ctx context.Context, rig *runner.Rig) error {
	s.rig, s.plan, s.paths, s.witnesses = rig, rig.Plan(), rig.Paths(), rig.Witnesses()
	if len(s.witnesses) == 0 {
		return runner.Undecided(runner.Unver, "the suite has no probe: nobody could notice a mutant")
	}
	var hooked []sabotage
	if !rig.Test(ctx, "mutants_reference", func(ctx context.Context) (err error) { hooked, err = s.prepare(ctx); return err }) {
		return runner.Undecided(runner.Unver, "blocked by mutants_reference")
	}
	s.placebo(ctx, "first")
	paths := s.ofPaths()
	s.estimate(len(paths) + len(hooked) + 1)
	for _, m := range paths {
		if lost := s.unwatched(m); lost != nil {
			s.like(*lost, m.op, m.on)
			continue
		}
		s.try(ctx, m)
	}
	for _, m := range hooked {
		s.try(ctx, m)
	}
	s.labels(ctx)
	s.placebo(ctx, "last")
	return nil
}

// estimate says how long the rest takes: a mutant takes a placebo and a cure.
func (s *Saboteur) estimate(n int) {
	if s.Estimate != nil && s.unsound == "" {
		one := time.Duration(s.Mutants[0].Seconds * float64(time.Second))
		s.Estimate(n, (time.Duration(n) * one * 5 / 4).Round(10*time.Second))
	}
}

// unwatched finds the mutant that says already that nobody looks at a path: then
// nobody sees that files in it are empty, either.
func (s *Saboteur) unwatched(m sabotage) *Mutant {
	if m.op != Truncated {
		return nil
	}
	for _, done := range s.Mutants {
		if done.Op == DropPath && done.On == m.on && done.Outcome == Survived {
			return &done
		}
	}
	return nil
}

// like files a mutant that comes to the same as one that was tried.
func (s *Saboteur) like(m Mutant, op Operator, on string) {
	m.As, m.Op, m.On, m.Seconds = m.Name(), op, on, 0
	s.Mutants = append(s.Mutants, m)
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

// placebo restores everything as it should be: whatever is red then, no mutant
// has made it red.
func (s *Saboteur) placebo(ctx context.Context, when string) {
	m := Mutant{Op: Placebo, On: when, Outcome: Inconclusive}
	began := s.rig.Now()
	ok := s.rig.Test(ctx, "mutant_placebo_"+when, func(ctx context.Context) error {
		err := s.rig.Fresh(ctx)
		if err == nil {
			err = s.restore(ctx, sabotage{snapshot: s.reference, paths: s.paths, plan: s.plan})
		}
		if err != nil {
			return unverUnlessInfra(err)
		}
		restored := s.rig.Now()
		var reasons map[string]string
		if m.Sights, reasons, err = s.rig.Look(ctx); err != nil {
			return err
		}
		for probe, sight := range m.Sights {
			if sight != runner.SightGreen {
				return runner.Undecided(runner.Unver, "probe %s is red after a restore as it should be: %s", probe, reasons[probe])
			}
		}
		s.green = s.rig.Now().Sub(restored)
		return nil
	})
	m.Seconds = s.rig.Now().Sub(began).Seconds()
	if ok {
		m.Outcome = Equivalent
	} else {
		s.unsound = "the placebo that came " + when + " was not green"
	}
	s.Mutants = append(s.Mutants, m)
}

// unverUnlessInfra is for what kept a mutant from being tried.
func unverUnlessInfra(err error) error {
	if infra := (*runner.InfraError)(nil); errors.As(err, &infra) {
		return err
	}
	return runner.Undecided(runner.Unver, "%w", err)
}

// try tries one mutant and judges it.
func (s *Saboteur) try(ctx context.Context, m sabotage) {
	done := Mutant{Op: m.op, On: m.on, Outcome: Inconclusive, Changed: m.changed, paths: m.lost}
	began := s.rig.Now()
	s.rig.Test(ctx, "mutant_"+runner.Slug(done.Name()), func(ctx context.Context) error {
		switch {
		case s.unsound != "":
			done.Reason = s.unsound
			return runner.Undecided(runner.Unver, "%s", s.unsound)
		case m.changed == "":
			done.Outcome, done.Reason = Equivalent, "there is nothing in the snapshot that it could change"
			return runner.Undecided(runner.Skip, "%s", done.Reason)
		}
		t, err := s.attempt(ctx, m)
		if err != nil {
			done.Reason = err.Error()
			return unverUnlessInfra(err)
		}
		done.Sights = t.sights
		done.Outcome, done.Reason = t.judge()
		return verdictOf(done)
	})
	done.Seconds = s.rig.Now().Sub(began).Seconds()
	s.Mutants = append(s.Mutants, done)
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

// attempt restores sabotaged onto a fresh app, asks, cures, and asks again.
func (s *Saboteur) attempt(ctx context.Context, m sabotage) (t trial, err error) {
	t = trial{every: m.every, named: s.claimants(m.lost), changed: true}
	if err := s.rig.Fresh(ctx); err != nil {
		return t, err
	}
	if err := s.restore(ctx, m); err != nil {
		if infra := (*runner.InfraError)(nil); errors.As(err, &infra) || ctx.Err() != nil {
			return t, err
		}
		t.loud = err
		fmt.Fprintf(runner.StepLog(ctx), "# the sabotaged restore fails, as it may: %v\n", err)
	}
	if m.wait {
		if err := s.rig.Pause(ctx, s.green+s.patience()); err != nil {
			return t, err
		}
	}
	var reasons map[string]string
	if t.sights, reasons, err = s.rig.Look(ctx); err != nil {
		return t, err
	}
	for probe, why := range reasons {
		fmt.Fprintf(runner.StepLog(ctx), "# %s: %s: %s\n", probe, t.sights[probe], why)
	}
	if len(reasons) > 0 {
		t.cured, err = s.cure(ctx, m, t.loud == nil)
	}
	return t, err
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

// restore does what a restore does, as far as the sabotage lets it.
func (s *Saboteur) restore(ctx context.Context, m sabotage) error {
	if m.plan == nil {
		return nil
	}
	if err := s.rig.Hooks(ctx, m.plan, labels.RestorePre); err != nil {
		return err
	}
	if err := s.rig.Restore(ctx, m.snapshot.ID, m.paths); err != nil {
		return err
	}
	for path, files := range m.empty {
		if err := s.rig.Truncate(ctx, path.Volume, files); err != nil {
			return err
		}
	}
	return s.rig.Hooks(ctx, m.plan, labels.RestorePost)
}

// cure brings back what was missing, into the same app. If that does not turn
// all green, all is brought back, and then every task is replaced: what is red
// after that was not made so by the sabotage alone.
func (s *Saboteur) cure(ctx context.Context, m sabotage, hooked bool) (sights map[string]runner.Sight, err error) {
	lost := m.lost
	if m.snapshot.ID != s.reference.ID || !hooked {
		lost = s.paths
	}
	for _, again := range []func() error{
		func() error { return s.bring(ctx, lost) },
		func() error { return s.bring(ctx, s.paths) },
		func() error { return s.rig.Restart(ctx) },
	} {
		if err := again(); err != nil {
			if infra := (*runner.InfraError)(nil); errors.As(err, &infra) || ctx.Err() != nil {
				return nil, err
			}
			fmt.Fprintf(runner.StepLog(ctx), "# the cure: %v\n", err)
			continue
		}
		if sights, _, err = s.rig.Look(ctx); err != nil || allGreen(sights) {
			return sights, err
		}
	}
	return sights, nil
}

func (s *Saboteur) bring(ctx context.Context, paths []labels.SavedPath) error {
	if err := s.rig.Restore(ctx, s.reference.ID, paths); err != nil {
		return err
	}
	return s.rig.Hooks(ctx, s.plan, labels.RestorePost)
}

func allGreen(sights map[string]runner.Sight) bool {
	for _, s := range sights {
		if s != runner.SightGreen {
			return false
		}
	}
	return len(sights) > 0
}
