package runner

import "sync"

// An Observer watches a run. The calls come one at a time. What it is given
// has no secrets in it, but may hold what a recipe says: whoever shows it
// makes it Printable.
type Observer interface {
	// StageStarted tells that a stage begins. The lint stage runs beside the others.
	StageStarted(name string)
	// Step tells what is done now.
	Step(name string)
	// Waiting tells what the current step waits for; "" says that it no longer does.
	Waiting(what string)
	// TestDone tells what a test of a stage came to.
	TestDone(stage string, t Test)
	// StageDone tells what a stage came to.
	StageDone(s Stage)
}

// RungOf names the rung that a stage belongs to; "" for one that decides flags
// alone.
func RungOf(stage string) string {
	for rung, stages := range rungStages {
		for _, s := range stages {
			if s == stage {
				return rung
			}
		}
	}
	return ""
}

// RungSoFar is what a rung comes to as far as its stages are done, and whether
// that can still change: one stage that fails settles it.
func RungSoFar(rung string, done map[string]Status) (status Status, settled bool) {
	var parts []Status
	settled = true
	for _, s := range rungStages[rung] {
		if status, ok := done[s]; ok {
			parts = append(parts, status)
		} else {
			settled = false
		}
	}
	status = combine(parts)
	return status, settled || status == Fail
}

// locked makes calls from several goroutines come one at a time.
type locked struct {
	mu sync.Mutex
	o  Observer
}

func (l *locked) call(f func(Observer)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.o != nil {
		f(l.o)
	}
}

func (l *locked) StageStarted(name string)      { l.call(func(o Observer) { o.StageStarted(name) }) }
func (l *locked) Step(name string)              { l.call(func(o Observer) { o.Step(name) }) }
func (l *locked) Waiting(what string)           { l.call(func(o Observer) { o.Waiting(what) }) }
func (l *locked) TestDone(stage string, t Test) { l.call(func(o Observer) { o.TestDone(stage, t) }) }
func (l *locked) StageDone(s Stage)             { l.call(func(o Observer) { o.StageDone(s) }) }
