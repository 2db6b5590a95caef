package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An answer is what asking the app for something came to.
type answer int

const (
	holds  answer = iota // every assertion is true
	misses               // asked properly, and it is not there
	broken               // anything else: a timeout, a stopped service, status 127
)

func (a answer) String() string { return [...]string{"holds", "misses", "error"}[a] }

// reply is an answer and, unless it holds, why.
type reply struct {
	answer answer
	reason string
	infra  error // an *InfraError, if the machine is to blame
}

const (
	// readiness is how long errors are asked again: a task that Swarm calls
	// running may still be opening its database.
	readiness = 30 * time.Second
	// stepTimeout bounds one attempt of a step that names no timeout.
	stepTimeout = 60 * time.Second
)

// An exerciser does a suite's steps in the tasks of one stack.
type exerciser struct {
	tasks    Tasks
	meter    *meter
	standing func(context.Context) (Standing, error) // nil: misses are believed
	services []string                                // the only hosts that an http step may ask
	vars     vars
	redact   func(string) string // may be nil
}

// once makes one attempt at a step.
func (x *exerciser) once(ctx context.Context, st Step, v vars) reply {
	st, err := v.expandStep(st)
	if err != nil {
		return reply{answer: broken, reason: err.Error()}
	}
	timeout := time.Duration(st.Timeout)
	if timeout == 0 {
		timeout = stepTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if st.HTTP != "" {
		return x.ask(ctx, st)
	}
	return x.exec(ctx, st)
}

func (x *exerciser) exec(ctx context.Context, st Step) reply {
	c := Command{Argv: st.Run, Stdin: st.Stdin}
	if st.Sh != "" {
		c = Command{Argv: []string{"sh"}, Stdin: st.Sh}
	}
	out, err := x.tasks.Exec(ctx, st.Service, c)
	if err != nil {
		return failed(err)
	}
	if slices.Contains(st.GoneExit, out.Exit) {
		return reply{answer: misses, reason: fmt.Sprintf("exit %d says that it is gone", out.Exit)}
	}
	if out.Exit != st.Exit {
		return reply{answer: broken, reason: fmt.Sprintf("%s in %s: exit %d, not %d: %s", c.Argv[0], st.Service, out.Exit, st.Exit, x.tail(out.Stderr, out.Stdout))}
	}
	return x.assert(st, out.Stdout)
}

func (x *exerciser) ask(ctx context.Context, st Step) reply {
	hosts := append([]string{"localhost", "127.0.0.1", "[::1]"}, x.services...)
	u, err := url.Parse(st.HTTP)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !slices.Contains(hosts, u.Hostname()) {
		return reply{answer: broken, reason: fmt.Sprintf("%q is not an address of the stack's own services", st.HTTP)}
	}
	res, err := x.tasks.Ask(ctx, st.Service, Request{URL: st.HTTP, Hosts: hosts})
	if err != nil {
		return failed(err)
	}
	want := st.Status
	if want == 0 {
		want = 200
	}
	if slices.Contains(st.GoneStatus, res.Status) {
		return reply{answer: misses, reason: fmt.Sprintf("status %d says that it is gone", res.Status)}
	}
	if res.Status != want {
		return reply{answer: broken, reason: fmt.Sprintf("%s: status %d, not %d", st.HTTP, res.Status, want)}
	}
	return x.assert(st, res.Body)
}

// failed is the reply to something that could not be asked.
func failed(err error) reply {
	r := reply{answer: broken, reason: err.Error()}
	if infra := (*InfraError)(nil); errors.As(err, &infra) {
		r.infra = err
	}
	return r
}

// assert compares what came out with what a step says of it.
func (x *exerciser) assert(st Step, out []byte) reply {
	text := string(out)
	miss := func(format string, args ...any) reply {
		return reply{answer: misses, reason: fmt.Sprintf(format, args...) + ": " + x.tail(out)}
	}
	switch {
	case st.Contains != nil && !strings.Contains(text, *st.Contains):
		return miss("does not contain %q", *st.Contains)
	case st.Lacks != nil && strings.Contains(text, *st.Lacks):
		return miss("contains %q", *st.Lacks)
	case st.Equals != nil && strings.TrimSpace(text) != strings.TrimSpace(*st.Equals):
		return miss("is not %q", *st.Equals)
	}
	if st.Matches != nil {
		re, err := regexp.Compile(*st.Matches)
		if err != nil {
			return reply{answer: broken, reason: fmt.Sprintf("matches: %v", err)}
		}
		if !re.Match(out) {
			return miss("does not match %q", *st.Matches)
		}
	}
	return reply{answer: holds}
}

// tail is the last line of the first output that has one, for a reason. It is
// redacted while it is whole: half of a secret would not be known for one.
func (x *exerciser) tail(outputs ...[]byte) string {
	for _, out := range outputs {
		if x.redact != nil {
			out = []byte(x.redact(string(out)))
		}
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		last := lines[len(lines)-1]
		if len(last) > 200 {
			last = append(slices.Clone(last[:200]), "…"...)
		}
		if len(last) > 0 {
			return Printable(string(last))
		}
	}
	return "no output"
}

// all asks a sequence of steps once: it holds if every step does; the first
// that does not gives the answer.
func (x *exerciser) all(ctx context.Context, steps []Step, v vars) reply {
	for _, st := range steps {
		if r := x.once(ctx, st, v); r.answer != holds {
			return x.trusted(ctx, r)
		}
	}
	return reply{answer: holds}
}

// do carries out steps that change something, in order. A step is tried again
// only if it names within, until its own assertions hold.
func (x *exerciser) do(ctx context.Context, steps []Step, v vars) reply {
	for _, st := range steps {
		r := x.poll(ctx, func() (reply, bool) {
			r := x.once(ctx, st, v)
			return r, r.answer == holds || r.infra != nil
		}, func(reply) time.Duration { return time.Duration(st.Within) })
		if r.answer != holds {
			return r
		}
	}
	return reply{answer: holds}
}

// holdsWithin asks a check until it holds. A miss is final once the longest
// within of its steps has passed, an error once the app has had time to get ready.
func (x *exerciser) holdsWithin(ctx context.Context, steps []Step, v vars) reply {
	patience := longest(steps)
	return x.poll(ctx, func() (reply, bool) {
		r := x.all(ctx, steps, v)
		return r, r.answer == holds || r.infra != nil
	}, func(r reply) time.Duration {
		if r.answer == broken {
			return max(patience, readiness)
		}
		return patience
	})
}

// missesWithin asks a check until it misses, and at once again: data that
// flickers is not gone. An error after a miss proves as little as one before
// it, as where a service falls between the two: it is asked anew.
func (x *exerciser) missesWithin(ctx context.Context, steps []Step, v vars) reply {
	patience := longest(steps)
	return x.poll(ctx, func() (reply, bool) {
		r := x.all(ctx, steps, v)
		if r.answer != misses {
			return r, r.infra != nil
		}
		r = x.all(ctx, steps, v)
		return r, r.answer != broken || r.infra != nil
	}, func(r reply) time.Duration {
		if r.answer == broken {
			return max(patience, readiness)
		}
		return patience
	})
}

// longest is the longest within of the steps.
func longest(steps []Step) time.Duration {
	var d time.Duration
	for _, st := range steps {
		d = max(d, time.Duration(st.Within))
	}
	return d
}

// poll tries until done, or until the patience that the last reply deserves
// has passed since the first try, or ctx ends. Pauses grow from 50 ms to 1 s.
func (x *exerciser) poll(ctx context.Context, try func() (reply, bool), patience func(reply) time.Duration) reply {
	start := time.Now()
	pause := 50 * time.Millisecond
	for {
		r, done := try()
		if done || time.Since(start) >= patience(r) {
			return r
		}
		Waiting(ctx, r.reason)
		if !x.pause(ctx, pause) {
			return reply{answer: broken, reason: "interrupted: " + r.reason}
		}
		pause = min(2*pause, time.Second)
	}
}

// pause lets d pass before the next try; it is false if ctx ended first.
func (x *exerciser) pause(ctx context.Context, d time.Duration) bool {
	defer x.meter.begin(waiting)()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
