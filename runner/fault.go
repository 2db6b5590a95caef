package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Machine is what a run stands on: the engine, asked about itself and not
// about the recipe.
type Machine interface {
	// Gone counts how often the engine has gone away since the run began. What
	// ran on it then was cut short, whatever it came to.
	Gone() int
	// Answers is an *InfraError unless the engine answers.
	Answers(ctx context.Context) error
	// Left lists what is left of the run on the engine.
	Left(ctx context.Context) ([]string, error)
	// LogGaps names the tasks whose output nobody has read to its end.
	LogGaps() []string
}

// A Fault is the first thing that was wrong with the machine under a run, and
// not with the recipe. It is told once: what could not be tried because of it
// is unver, "blocked by" the stage or test in which it came up.
type Fault struct {
	Stage  string `json:"stage"`  // in which it came up; empty if there was none
	Reason string `json:"reason"` // in full
	Hint   string `json:"hint"`   // the next command to type; may be empty
}

// A blame is the run's fault, and what is needed to know it again.
type blame struct {
	test string // in which it came up; empty if the stage itself had it
	text string // of the InfraError alone
}

// askTime bounds one question whether the machine is well.
const askTime = 5 * time.Second

// infraOf is the machine's part in an error; nil if it has none.
func infraOf(err error) *InfraError {
	var infra *InfraError
	if errors.As(err, &infra) {
		return infra
	}
	return nil
}

// obstacle tells why nothing of a stage needs to be tried: the run was
// interrupted, it was to end with a test that has ended it, the engine went
// away earlier in the stage, or the run's fault still stands. The teardown is
// always tried.
func (s *stageRun) obstacle(ctx context.Context) error {
	switch {
	case s.stage.Name == StageTeardown:
		return nil
	case ctx.Err() != nil:
		return errInterrupted
	case s.run.decided.Load():
		return unver("left out: %s did not pass", s.run.Until)
	case s.lostBy() != "":
		return blocked(s.lostBy())
	case s.stage.Name == StageLint: // it needs no engine
		return nil
	}
	by := s.run.blockedBy(s.stage.Name)
	if by == "" || s.run.wellAgain(ctx) {
		return nil
	}
	return blocked(by)
}

// lostBy is the test during which the engine went away; empty: none.
func (s *stageRun) lostBy() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

var errInterrupted = unver("interrupted")

// blockedBy is what the run's fault is called in a stage; empty without one.
func (r *Run) blockedBy(stage string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.results.Fault; f.Stage != stage || r.blame.test == "" {
		return f.Stage
	}
	return r.blame.test
}

// wellAgain asks engine and run folder whether they work. That is asked only
// once something did not.
func (r *Run) wellAgain(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return r.Machine.Answers(ctx) == nil && r.Folder.Writable() == nil
}

// survived makes a fault of the machine of whatever a test came to while the
// engine went away: also of a pass, for the app was started anew behind its
// back. What the app's state is now nobody knows, so the rest of the stage is
// blocked, and later ones must build the app from nothing.
func (s *stageRun) survived(ctx context.Context, name string, err error) error {
	r := s.run
	if s.stage.Name == StageLint || s.stage.Name == StageTeardown || ctx.Err() != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	passed := err == nil || isNote(err)
	gone := r.Machine.Gone()
	if gone == r.gone && s.lost == "" { // what ran beside a test that lost the engine has lost it, too
		if passed {
			return err
		}
		ask, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		if r.Machine.Answers(ask) == nil && r.Machine.Gone() == r.gone {
			return err
		}
	}
	r.gone = r.Machine.Gone()
	if s.lost == "" {
		s.lost = name
	}
	if s.stage.Name != StageMutants { // there, others may be at it, and nothing follows
		r.running = nil
	}
	if !passed && infraOf(err) != nil {
		return err
	}
	infra := &InfraError{Op: "the Docker engine went away during " + name, Hint: "docker info", Err: errors.New("what the test came to says nothing")}
	if !passed {
		infra.Err = err
	}
	return infra
}

func isNote(err error) bool {
	var n note
	return errors.As(err, &n) && infraOf(err) == nil
}

// tell is the reason of a test or, with an empty name, of a stage whose err
// is the machine's: in full where it is told for the first time.
func (s *stageRun) tell(name, reason string, infra *InfraError) string {
	r := s.run
	r.mu.Lock()
	known := r.results.Fault.Stage != ""
	if !known {
		full := reason
		if name != "" {
			full = name + ": " + reason
		}
		r.results.Fault = Fault{Stage: s.stage.Name, Reason: Printable(r.Vault.Redact(full)), Hint: Printable(infra.Hint)}
		r.blame = blame{test: name, text: infra.Error()}
	}
	same := r.blame.text == infra.Error()
	r.mu.Unlock()
	if known && same {
		return fmt.Sprintf("blocked by %s", r.blockedBy(s.stage.Name))
	}
	return reason
}
