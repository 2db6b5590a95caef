package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"coopcloud.tech/abra-ccci/runner"
)

// redrawEvery is how often a terminal's clock is seen to move.
const redrawEvery = 200 * time.Millisecond

// A progress shows a run while it goes on: on a terminal as a ladder that is
// drawn again in place, elsewhere as a line for each stage. Tests that did not
// pass are told at once, with their reasons, and stay.
type progress struct {
	now    func() time.Time
	out    io.Writer
	screen *screen // nil where there is no terminal

	mu      sync.Mutex
	title   string
	started time.Time
	stages  map[string]*stageProgress
	active  []string // stages that have started and are not done, oldest first
	step    string
	waiting string

	stop    chan struct{}
	stopped sync.WaitGroup
}

// stageProgress is what is known of one stage.
type stageProgress struct {
	started time.Time
	status  runner.Status // empty while it runs
	took    time.Duration
	told    bool // a test that explains the status was shown
}

// newProgress starts showing a run on stderr. Close ends it.
func newProgress(e *env, title string) *progress {
	p := &progress{now: e.now, out: e.stderr, title: title, started: e.now(), stages: map[string]*stageProgress{}, stop: make(chan struct{})}
	f, ok := e.stderr.(interface{ Fd() uintptr })
	if t := e.getenv("TERM"); ok && t != "" && t != "dumb" && term.IsTerminal(int(f.Fd())) {
		ticker := time.NewTicker(redrawEvery)
		p.live(&screen{out: e.stderr, colour: e.getenv("NO_COLOR") == "", size: func() (int, int, error) { return term.GetSize(int(f.Fd())) }}, ticker.C)
	}
	return p
}

// live draws on s, and again at every tick.
func (p *progress) live(s *screen, tick <-chan time.Time) {
	p.screen = s
	s.open()
	p.redraw()
	p.stopped.Go(func() {
		for {
			select {
			case <-tick:
				p.mu.Lock()
				p.redraw()
				p.mu.Unlock()
			case <-p.stop:
				return
			}
		}
	})
}

// Close draws the ladder for the last time and gives the terminal back.
func (p *progress) Close() {
	p.mu.Lock()
	select {
	case <-p.stop:
		p.mu.Unlock()
		return
	default:
		close(p.stop)
	}
	p.active, p.step, p.waiting = nil, "", ""
	p.redraw()
	if p.screen != nil {
		p.screen.close()
		p.screen = nil
	}
	p.mu.Unlock()
	p.stopped.Wait()
}

// redraw shows the ladder as it is now, where there is a terminal.
func (p *progress) redraw() {
	if p.screen != nil {
		p.screen.draw(p.ladder(p.now()))
	}
}

// tell shows a line that stays: above the ladder, or in its turn.
func (p *progress) tell(l line) {
	if p.screen != nil {
		p.screen.above(l)
	} else {
		fmt.Fprintln(p.out, l.fit(0, false))
	}
}

// say shows a line that stays.
func (p *progress) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tell(line{{"", "abra-ccci: " + text}})
	p.redraw()
}

// StageStarted implements runner.Observer, as the methods below do.
func (p *progress) StageStarted(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stages[name] = &stageProgress{started: p.now()}
	p.active = append(p.active, name)
	if name != runner.StageLint {
		p.step, p.waiting = "", ""
	}
	p.redraw()
}

func (p *progress) Step(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Lint runs beside the other stages, which are the ones that take time.
	if strings.HasPrefix(name, runner.StageLint+"_") && p.current() != runner.StageLint {
		return
	}
	p.step, p.waiting = name, ""
	p.redraw()
}

func (p *progress) Waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = what
	// The next tick shows it: waits are told many times a second.
}

func (p *progress) TestDone(stage string, t runner.Test) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.Name == p.step {
		p.waiting = ""
	}
	if t.Status == runner.Pass || t.Status == runner.Skip || strings.HasPrefix(t.Reason, "blocked by ") {
		return // what blocks it was told
	}
	if s := p.stages[stage]; s != nil {
		s.told = true
	}
	p.tell(line{{styleOf(t.Status), "  " + t.Status.Mark() + " " + string(t.Status)}, {"", "  " + t.Name + ": " + t.Reason}})
	p.redraw()
}

func (p *progress) StageDone(s runner.Stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := time.Duration(s.Seconds * float64(time.Second))
	done := p.stages[s.Name]
	if done == nil {
		done = &stageProgress{}
		p.stages[s.Name] = done
	}
	done.status, done.took = s.Status, took
	p.active = slices.DeleteFunc(p.active, func(name string) bool { return name == s.Name })
	p.tellStage(s, took, done.told)
	p.redraw()
}

// tellStage shows what a stage came to: always where lines are all there is;
// on a terminal, where the ladder shows it, only a reason that was not told.
func (p *progress) tellStage(s runner.Stage, took time.Duration, told bool) {
	reason := ""
	if s.Status != runner.Pass && !told {
		reason = s.Reason
	}
	switch {
	case p.screen == nil:
		l := line{{"", fmt.Sprintf("%-10s  %-5s  %6s", s.Name, s.Status, clock(took))}}
		if reason != "" {
			l = append(l, span{"", "  " + reason})
		}
		p.tell(l)
	case reason != "" && s.Status != runner.Skip && !strings.HasPrefix(reason, "blocked by "):
		p.tell(line{{styleOf(s.Status), "  " + s.Status.Mark() + " " + string(s.Status)}, {"", "  " + s.Name + ": " + reason}})
	}
}

// current is the stage whose steps are shown: the youngest, lint last.
func (p *progress) current() string {
	for _, name := range slices.Backward(p.active) {
		if name != runner.StageLint {
			return name
		}
	}
	if len(p.active) > 0 {
		return p.active[0]
	}
	return ""
}

// ladder is what a terminal shows: a head, the rungs, and what is done now.
func (p *progress) ladder(now time.Time) []line {
	lines := []line{{{bold, p.title}, {dim, "  " + clock(now.Sub(p.started))}}}
	for _, rung := range runner.Rungs {
		lines = append(lines, p.rung(rung, now))
	}
	if stage := p.current(); stage != "" {
		doing := stage
		if p.step != "" {
			doing += " · " + p.step
		}
		lines = append(lines, line{{"", "  " + doing}})
		if p.waiting != "" {
			lines = append(lines, line{{dim, "  waiting: " + p.waiting}})
		}
	}
	return lines
}

// rung is one rung's line: a mark, its name, and the time that its stages took so far.
func (p *progress) rung(rung string, now time.Time) line {
	done := map[string]runner.Status{}
	running, took := false, time.Duration(0)
	for name, s := range p.stages {
		if runner.RungOf(name) != rung {
			continue
		}
		if took += s.took; s.status != "" {
			done[name] = s.status
		} else if running = slices.Contains(p.active, name); running {
			took += now.Sub(s.started)
		}
	}
	status, settled := runner.RungSoFar(rung, done)
	mark := span{dim, "·"}
	switch {
	case settled:
		mark = span{styleOf(status), status.Mark()}
	case running:
		mark = span{bold, "▸"}
	}
	l := line{{"", "  "}, mark, {"", " " + rung}}
	if took > 0 || settled {
		l = append(l, span{dim, fmt.Sprintf("%*s", 22-len(rung), clock(took))})
	}
	return l
}

// clock writes a duration as people read it on a stop-watch: 12.3s, 4m05s, 1h02m03s.
func clock(d time.Duration) string {
	d = max(d, 0)
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	}
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if h > 0 {
		return fmt.Sprintf("%dh%02dm%02ds", h, m, s)
	}
	return fmt.Sprintf("%dm%02ds", m, s)
}
