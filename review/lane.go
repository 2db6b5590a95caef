package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// A lane is an app on which mutants are tried, one after another.
type lane struct {
	*Saboteur
	rig     *runner.Rig
	number  int                 // from 1
	green   time.Duration       // how long a whole restore takes to be seen
	unsound string              // why nothing can be told from any mutant
	red     map[string]redElder // after the first placebo, by name
}

// perLane is how many mutants make a lane of its own worth its two placebos.
const perLane = 2

// open makes lanes for n mutants, as many as there is room for, and tries a placebo
// in each. A lane beside the first one in which it is not green is not used.
func (s *Saboteur) open(ctx context.Context, n int) {
	s.lanes, s.red = []*lane{{Saboteur: s, rig: s.rig, number: 1}}, map[string]redElder{}
	want := 1
	if s.Room != nil {
		want = min(s.Room(ctx), n/perLane)
	}
	for len(s.lanes) < want {
		twin, err := s.rig.Twin()
		if err != nil {
			fmt.Fprintf(runner.StepLog(ctx), "# no second app: %v\n", err)
			break
		}
		s.lanes = append(s.lanes, &lane{Saboteur: s, rig: twin, number: len(s.lanes) + 1})
	}
	came := make([]Mutant, len(s.lanes))
	s.inAll(func(i int, l *lane) { came[i] = l.placebo(ctx, "first") })
	for i, l := range s.lanes {
		if i == 0 || l.unsound == "" {
			s.Mutants = append(s.Mutants, came[i])
			maps.Copy(s.red, l.red)
		} else {
			s.unused = append(s.unused, fmt.Sprintf("app %d was not used: %s", l.number, l.unsound))
		}
	}
	s.lanes = slices.DeleteFunc(s.lanes, func(l *lane) bool { return l.number > 1 && l.unsound != "" })
}

// Apps is on how many apps mutants were tried at the same time; 0: on none.
func (s *Saboteur) Apps() int { return len(s.lanes) }

// close tries a placebo in each lane once more, and new secrets in the first one.
func (s *Saboteur) close(ctx context.Context) {
	came := make([][]Mutant, len(s.lanes))
	s.inAll(func(i int, l *lane) {
		if l.number == 1 {
			came[i] = l.last(ctx)
		} else {
			came[i] = []Mutant{l.placebo(ctx, "last")}
		}
	})
	s.Mutants = append(s.Mutants, slices.Concat(came...)...)
}

// inAll does something in all lanes at once. A panic in one is passed on when all
// have ended, so that the run's teardown still happens.
func (s *Saboteur) inAll(do func(i int, l *lane)) {
	panics := make([]any, len(s.lanes))
	var work sync.WaitGroup
	for i, l := range s.lanes {
		work.Go(func() {
			defer func() { panics[i] = recover() }()
			do(i, l)
		})
	}
	work.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
}

// tryAll tries mutants in all lanes at once; what came of them is kept in their order.
func (s *Saboteur) tryAll(ctx context.Context, mutants []sabotage) {
	done := make([]Mutant, len(mutants))
	over := make([]chan struct{}, len(mutants))
	for i := range over {
		over[i] = make(chan struct{})
	}
	queue := make(chan int, len(mutants))
	for _, i := range inTurn(mutants) {
		queue <- i
	}
	close(queue)
	s.inAll(func(_ int, l *lane) {
		for i := range queue {
			done[i] = func() Mutant {
				defer close(over[i])
				if lost := theLoss(mutants, i); lost >= 0 {
					<-over[lost] // begun before this one, perhaps in another lane
					if done[lost].Outcome == Survived {
						// Who does not notice that all of a path is lost does not
						// notice either that its files are empty.
						return done[lost].as(mutants[i].op, mutants[i].on)
					}
				}
				return l.try(ctx, mutants[i])
			}()
		}
	})
	s.Mutants = append(s.Mutants, done...)
}

// inTurn is the order in which mutants begin. Empty files come early: an app that
// cannot read them is given the time to get ready, and that takes longest.
func inTurn(mutants []sabotage) []int {
	rank := map[Operator]int{DropPath: -2, Truncated: -1}
	out := make([]int, len(mutants))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return rank[mutants[a].op] - rank[mutants[b].op] })
	return out
}

// theLoss is the mutant that loses all of the path of which one only empties files;
// -1: there is none.
func theLoss(mutants []sabotage, i int) int {
	if mutants[i].op != Truncated {
		return -1
	}
	return slices.IndexFunc(mutants, func(m sabotage) bool { return m.op == DropPath && m.on == mutants[i].on })
}

// placebo restores everything as it should be: whatever is red then, no mutant
// has made it red.
func (l *lane) placebo(ctx context.Context, when string) Mutant {
	if l.number > 1 {
		when = fmt.Sprintf("%s, app %d", when, l.number)
	}
	m := Mutant{Op: Placebo, On: when, Outcome: Inconclusive}
	began := l.rig.Now()
	passed := l.rig.Test(ctx, m.test(), func(ctx context.Context) error {
		why := l.healthy(ctx, &m)
		infra := (*runner.InfraError)(nil)
		switch {
		case why == nil:
			m.Outcome = Equivalent
			return nil
		case l.number > 1 && l.green == 0 && !errors.As(why, &infra):
			l.unsound = why.Error()
			return runner.Remark("this app is not used: " + why.Error())
		}
		l.unsound = "the placebo that came " + when + " was not green"
		return unverUnlessInfra(why)
	})
	m.Seconds = l.rig.Now().Sub(began).Seconds()
	m = m.held(passed)
	if m.Outcome != Equivalent && l.unsound == "" { // not tried, or in vain
		l.unsound = "the placebo that came " + when + " says nothing"
	}
	return m
}

// healthy restores everything as it should be and tells what is wrong then.
func (l *lane) healthy(ctx context.Context, m *Mutant) error {
	if err := l.rig.Fresh(ctx); err != nil {
		return err
	}
	if !l.rig.Saves(l.plan) {
		return errors.New("its backup plan is another one than the first app's: the name of the stack is in a hook")
	}
	if err := l.restore(ctx, sabotage{snapshot: l.reference, paths: l.paths, plan: l.plan}); err != nil {
		return err
	}
	restored := l.rig.Now()
	var reasons map[string]string
	var err error
	if m.Sights, reasons, err = l.rig.Look(ctx); err != nil {
		return err
	}
	for probe, sight := range m.Sights {
		if sight != runner.SightGreen {
			return fmt.Errorf("probe %s is red after a restore as it should be: %s", probe, reasons[probe])
		}
	}
	l.green = l.rig.Now().Sub(restored)
	return l.elders(ctx)
}

// A redElder is a probe of the suite before that was green when it was seeded, and is
// not after a restore as it should be.
type redElder struct {
	sight runner.Sight
	why   string
}

// elders asks the probes of the suite before. Those that are not green after a whole
// restore are not asked again; what they miss then, the labels before had saved.
func (l *lane) elders(ctx context.Context) error {
	sights, reasons, err := l.rig.LookElders(ctx)
	if err != nil {
		return err
	}
	l.red = map[string]redElder{}
	for name, why := range reasons {
		l.red[name] = redElder{sights[name], why}
	}
	l.rig.Dismiss(slices.Collect(maps.Keys(reasons)))
	return nil
}

// try tries one mutant and judges it.
func (l *lane) try(ctx context.Context, m sabotage) Mutant {
	done := Mutant{Op: m.op, On: m.on, Outcome: Inconclusive, Changed: m.changed, paths: m.lost}
	began := l.rig.Now()
	passed := l.rig.Test(ctx, done.test(), func(ctx context.Context) error {
		switch {
		case l.unsound != "":
			done.Reason = l.unsound
			return runner.Undecided(runner.Unver, "%s", l.unsound)
		case m.changed == "":
			done.Outcome, done.Reason = Equivalent, "there is nothing in the snapshot that it could change"
			return runner.Undecided(runner.Skip, "%s", done.Reason)
		}
		t, err := l.attempt(ctx, m)
		if err != nil {
			done.Reason = err.Error()
			return unverUnlessInfra(err)
		}
		done.Sights, done.Elders = t.sights, t.elders.sights
		done.Outcome, done.Reason = t.judge()
		if came, why := t.elders.judge(); came == Killed {
			done.Noticed = why
		}
		return verdictOf(done)
	})
	done.Seconds = l.rig.Now().Sub(began).Seconds()
	return done.held(passed)
}

// attempt restores sabotaged onto a fresh app, asks, cures, and asks again.
func (l *lane) attempt(ctx context.Context, m sabotage) (t trial, err error) {
	t = trial{every: m.every, named: l.claimants(m.lost), changed: true, elders: &trial{every: m.every, changed: true}}
	if err := l.rig.Fresh(ctx); err != nil {
		return t, err
	}
	if err := l.restore(ctx, m); err != nil {
		if infra := (*runner.InfraError)(nil); errors.As(err, &infra) || ctx.Err() != nil {
			return t, err
		}
		t.loud = err
		fmt.Fprintf(runner.StepLog(ctx), "# the sabotaged restore fails, as it may: %v\n", err)
	}
	if m.wait {
		if err := l.rig.Pause(ctx, l.green+l.patience()); err != nil {
			return t, err
		}
	}
	reasons, err := l.look(ctx, &t)
	if err != nil {
		return t, err
	}
	for probe, why := range reasons {
		fmt.Fprintf(runner.StepLog(ctx), "# %s: %s\n", probe, why)
	}
	if len(reasons) > 0 {
		err = l.cure(ctx, m, &t)
	}
	return t, err
}

// look asks the suite's probes, and those of the suite before. The reasons are of
// those that are not green.
func (l *lane) look(ctx context.Context, t *trial) (reasons map[string]string, err error) {
	if t.sights, reasons, err = l.rig.Look(ctx); err != nil {
		return nil, err
	}
	var older map[string]string
	if t.elders.sights, older, err = l.rig.LookElders(ctx); err != nil {
		return nil, err
	}
	for probe, why := range older {
		reasons[probe+" of the suite before"] = why
	}
	return reasons, nil
}

// restore does what a restore does, as far as the sabotage lets it.
func (l *lane) restore(ctx context.Context, m sabotage) error {
	if m.plan == nil {
		return nil
	}
	if err := l.rig.Hooks(ctx, m.plan, labels.RestorePre); err != nil {
		return err
	}
	if err := l.rig.Restore(ctx, m.snapshot.ID, m.paths); err != nil {
		return err
	}
	for path, files := range m.empty {
		if err := l.rig.Truncate(ctx, path.Volume, files); err != nil {
			return err
		}
	}
	return l.rig.Hooks(ctx, m.plan, labels.RestorePost)
}

// cure brings back what was missing, into the same app. If that does not turn
// all green, all is brought back, and then every task is replaced: what is red
// after that was not made so by the sabotage alone.
func (l *lane) cure(ctx context.Context, m sabotage, t *trial) error {
	lost := m.lost
	if m.snapshot.ID != l.reference.ID || t.loud != nil {
		lost = l.paths
	}
	for _, again := range []func() error{
		func() error { return l.bring(ctx, lost) },
		func() error { return l.bring(ctx, l.paths) },
		func() error { return l.rig.Restart(ctx) },
	} {
		if err := again(); err != nil {
			if infra := (*runner.InfraError)(nil); errors.As(err, &infra) || ctx.Err() != nil {
				return err
			}
			fmt.Fprintf(runner.StepLog(ctx), "# the cure: %v\n", err)
			continue
		}
		cured := trial{elders: &trial{}}
		red, err := l.look(ctx, &cured)
		if err != nil {
			return err
		}
		t.cured, t.elders.cured = cured.sights, cured.elders.sights
		if len(red) == 0 {
			return nil
		}
	}
	return nil
}

func (l *lane) bring(ctx context.Context, paths []labels.SavedPath) error {
	if err := l.rig.Restore(ctx, l.reference.ID, paths); err != nil {
		return err
	}
	return l.rig.Hooks(ctx, l.plan, labels.RestorePost)
}
