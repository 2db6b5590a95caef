package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A stageRun records the tests of one stage while it runs.
type stageRun struct {
	run *Run

	mu    sync.Mutex // tests of the stage mutants may go on at the same time
	begun int        // tests that have a log
	stage Stage
	order []int  // of each recorded test: when it began
	lost  string // the test during which the engine went away
}

// An undecided error is a test that does not simply fail.
type undecided struct {
	status Status
	err    error
}

func (e *undecided) Error() string { return e.err.Error() }
func (e *undecided) Unwrap() error { return e.err }

func unver(format string, args ...any) error { return &undecided{Unver, fmt.Errorf(format, args...)} }
func skip(format string, args ...any) error  { return &undecided{Skip, fmt.Errorf(format, args...)} }

// blocked is the error of what could not be tried because of a stage or test before it.
func blocked(by string) error { return unver("blocked by %s", by) }

// statusOf is what an error makes of a test: nothing wrong passes, a fault of
// the machine or an interrupt leaves it unver, anything else is the recipe's.
func statusOf(ctx context.Context, err error) (Status, string) {
	var u *undecided
	var infra *InfraError
	switch {
	case err == nil:
		return Pass, ""
	case errors.As(err, &u):
		return u.status, err.Error()
	case errors.As(err, &infra):
		return Unver, err.Error()
	case ctx.Err() != nil:
		return Unver, "interrupted: " + err.Error()
	default:
		return Fail, err.Error()
	}
}

// maxTest bounds one test, whatever the limits of the steps in it: what takes
// longer hangs, and says nothing of the recipe.
const maxTest = time.Hour

// bounded runs body with that limit.
func bounded(ctx context.Context, body func(context.Context) error) error {
	inner, cancel := context.WithTimeout(ctx, maxTest)
	defer cancel()
	err := body(inner)
	if err != nil && inner.Err() != nil && ctx.Err() == nil {
		return unver("took longer than %v: %w", maxTest, err)
	}
	return err
}

// A note is a remark on a test that passes.
type note string

func (n note) Error() string { return string(n) }

// test runs one test of the stage with a log of its own, and records it. A
// test that an interrupt kept from beginning is not recorded: it was not reached.
func (s *stageRun) test(ctx context.Context, name string, body func(context.Context) error) bool {
	r := s.run
	switch err := s.obstacle(ctx); {
	case err == errInterrupted:
		return false
	case err != nil:
		s.record(s.begin(), Test{Name: name, Status: Unver, Reason: err.Error()})
		return false
	}
	r.observer.Step(name)
	number := s.begin()
	log := filepath.Join("logs", s.stage.Name, fmt.Sprintf("%02d-%s.log", number, name))
	start := r.Now()
	err := s.survived(ctx, name, s.logged(ctx, log, body))
	t := Test{Name: name, MS: r.Now().Sub(start).Milliseconds(), Log: log}
	t.Status, t.Reason = s.judge(ctx, name, err)
	s.record(number, t)
	if name == r.Until && t.Status != Pass {
		r.decided.Store(true)
	}
	return t.Status == Pass
}

// judge is what an error makes of a test or, with an empty name, of the stage.
func (s *stageRun) judge(ctx context.Context, name string, err error) (Status, string) {
	if isNote(err) {
		return Pass, err.Error()
	}
	status, reason := statusOf(ctx, err)
	if infra := infraOf(err); infra != nil && (ctx.Err() == nil || s.stage.Name == StageTeardown) {
		reason = s.tell(name, reason, infra)
	}
	return status, reason
}

// logged runs body with its log going to a file of the run folder, redacted.
// What is torn down stays torn down though its log can't be written.
func (s *stageRun) logged(ctx context.Context, log string, body func(context.Context) error) error {
	r := s.run
	f, fault := r.Folder.Log(log)
	w := r.Vault.Writer(io.Discard, nil)
	if fault == nil {
		w = r.Vault.Stored(f, nil)
	}
	err := bounded(WithWaiting(WithStepLog(ctx, w), r.observer.Waiting), body)
	if err != nil {
		fmt.Fprintf(w, "=> %v\n", err)
	}
	if fault == nil {
		fault = w.Close()
	}
	if s.stage.Name == StageTeardown {
		return err
	}
	return errors.Join(err, infraIf("writing a log", fault))
}

// infraIf makes an error of the machine's; nil stays nil.
func infraIf(op string, err error) error {
	if err == nil {
		return nil
	}
	return &InfraError{Op: op, Err: err}
}

// begin numbers a test of the stage.
func (s *stageRun) begin() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	return s.begun
}

// record adds a finished test. Those that went on at the same time stand in the
// order in which they began.
func (s *stageRun) record(number int, t Test) {
	t.Reason = Printable(s.run.Vault.Redact(t.Reason))
	s.mu.Lock()
	at, _ := slices.BinarySearch(s.order, number)
	s.order = slices.Insert(s.order, at, number)
	s.stage.Tests = slices.Insert(s.stage.Tests, at, t)
	s.mu.Unlock()
	s.run.observer.TestDone(s.stage.Name, t)
}

// found records a test that needed no doing: what err says of it.
func (s *stageRun) found(ctx context.Context, name string, err error) {
	s.test(ctx, name, func(context.Context) error { return err })
}

// passed tells whether a test of this stage passed.
func (s *stageRun) passed(name string) bool {
	for _, t := range s.stage.Tests {
		if t.Name == name {
			return t.Status == Pass
		}
	}
	return false
}

// runStage runs a stage and adds it to the results, which are written at once.
func (r *Run) runStage(ctx context.Context, name string, body func(context.Context, *stageRun) error) Stage {
	s := &stageRun{run: r, stage: Stage{Name: name, Started: r.Now().UTC(), Tests: []Test{}}}
	r.observer.StageStarted(name)
	err := s.obstacle(ctx)
	if err == nil {
		err = body(ctx, s)
	}
	s.stage.Seconds = r.Now().Sub(s.stage.Started).Round(time.Millisecond).Seconds()
	s.close(ctx, err)
	r.observer.StageDone(s.stage)
	r.addStage(s.stage)
	return s.stage
}

// close settles the stage's status: its tests', or what ended it early if
// that is worse.
func (s *stageRun) close(ctx context.Context, err error) {
	if len(s.stage.Tests) > 0 {
		s.stage.Status, s.stage.Reason = stageStatus(s.stage.Tests)
	} else {
		s.stage.Status, s.stage.Reason = Unver, "nothing was tested"
	}
	if err != nil {
		status, reason := s.judge(ctx, "", err)
		if len(s.stage.Tests) == 0 || worse(status, s.stage.Status) || (status == Unver && s.stage.Status == Skip) {
			s.stage.Status, s.stage.Reason = status, Printable(s.run.Vault.Redact(reason))
		}
	}
	if ctx.Err() != nil && s.stage.Name != StageTeardown {
		s.cutShort()
	}
}

// cutShort says of an interrupted stage that it was: what its tests came to
// before may not be all that they would have come to. A failure stays one.
func (s *stageRun) cutShort() {
	switch {
	case s.stage.Status == Fail:
	case s.stage.Status != Unver:
		s.stage.Status, s.stage.Reason = Unver, errInterrupted.Error()
	case !strings.HasPrefix(s.stage.Reason, errInterrupted.Error()):
		s.stage.Reason = errInterrupted.Error() + "; " + s.stage.Reason
	}
}
