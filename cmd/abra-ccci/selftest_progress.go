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

// A flock shows many runs while they go on: on a terminal a line for each that
// runs now, drawn again in place; elsewhere a line for each that is done.
type flock struct {
	now    func() time.Time
	out    io.Writer
	screen *screen // nil where there is no terminal

	mu      sync.Mutex
	started time.Time
	total   int
	done    int
	birds   []*bird // that run now, oldest first

	stop    chan struct{}
	stopped sync.WaitGroup
}

// newFlock starts showing total runs on stderr. Close ends it.
func newFlock(e *env, total int) *flock {
	f := &flock{now: e.now, out: e.stderr, started: e.now(), total: total, stop: make(chan struct{})}
	file, ok := e.stderr.(interface{ Fd() uintptr })
	if t := e.getenv("TERM"); ok && t != "" && t != "dumb" && term.IsTerminal(int(file.Fd())) {
		ticker := time.NewTicker(redrawEvery)
		f.live(&screen{out: e.stderr, colour: e.getenv("NO_COLOR") == "", size: func() (int, int, error) { return term.GetSize(int(file.Fd())) }}, ticker.C)
	}
	return f
}

// live draws on s, and again at every tick.
func (f *flock) live(s *screen, tick <-chan time.Time) {
	f.screen = s
	s.open()
	f.stopped.Go(func() {
		for {
			select {
			case <-tick:
				f.mu.Lock()
				f.screen.draw(f.lines(f.now()))
				f.mu.Unlock()
			case <-f.stop:
				return
			}
		}
	})
}

// Close gives the terminal back.
func (f *flock) Close() {
	close(f.stop)
	f.stopped.Wait()
	if f.screen != nil {
		f.screen.draw(f.lines(f.now()))
		f.screen.close()
	}
}

// lines are what a terminal shows.
func (f *flock) lines(now time.Time) []line {
	lines := []line{{{bold, "selftest"}, {"", fmt.Sprintf("  %d of %d done", f.done, f.total)}, {dim, "  " + clock(now.Sub(f.started))}}}
	for _, b := range f.birds {
		l := line{{"", "  ▸ "}, {"", fmt.Sprintf("%-22s", b.name)}, {dim, fmt.Sprintf("%8s", clock(now.Sub(b.began)))}, {"", "  " + b.step}}
		if b.waiting != "" {
			l = append(l, span{dim, "  waiting: " + b.waiting})
		}
		lines = append(lines, l)
	}
	return lines
}

// A bird watches one run of a flock.
type bird struct {
	flock         *flock
	name          string
	began         time.Time
	step, waiting string
}

func (f *flock) begin(name string) *bird {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := &bird{flock: f, name: name, began: f.now()}
	f.birds = append(f.birds, b)
	return b
}

// end takes the bird away, and tells what became of it.
func (b *bird) end(what string, took time.Duration) {
	f := b.flock
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done++
	f.birds = slices.DeleteFunc(f.birds, func(o *bird) bool { return o == b })
	f.tell(line{{"", fmt.Sprintf("%-22s", b.name)}, {dim, fmt.Sprintf("%8s", clock(took))}, {"", "  " + what}})
}

// say shows a line that stays.
func (f *flock) say(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell(line{{"", text}})
}

// tell is say for who holds the lock.
func (f *flock) tell(l line) {
	if f.screen != nil {
		f.screen.above(l)
		f.screen.draw(f.lines(f.now()))
	} else {
		fmt.Fprintln(f.out, l.fit(0, false))
	}
}

// Write tells what a run would have printed on stderr.
func (b *bird) Write(p []byte) (int, error) {
	b.flock.mu.Lock()
	defer b.flock.mu.Unlock()
	for _, text := range strings.Split(strings.TrimRight(string(p), "\n"), "\n") {
		b.flock.tell(line{{"", b.name + ": " + text}})
	}
	return len(p), nil
}

func (b *bird) set(step, waiting string) {
	b.flock.mu.Lock()
	defer b.flock.mu.Unlock()
	b.step, b.waiting = step, waiting
}

// StageStarted implements runner.Observer, as the methods below do.
func (b *bird) StageStarted(string)          {}
func (b *bird) Step(name string)             { b.set(name, "") }
func (b *bird) Waiting(what string)          { b.set(b.step, what) }
func (b *bird) TestDone(string, runner.Test) {}
func (b *bird) StageDone(runner.Stage)       {}
