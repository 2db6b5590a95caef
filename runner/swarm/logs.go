package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/pkg/stdcopy"
)

// logs follows what the containers of the stack say, each from its start to
// its end.
type logs struct {
	app    *App
	ctx    context.Context
	cancel context.CancelFunc

	mu        sync.Mutex
	followers map[string]*follower // by container
	gaps      map[string]string    // why it was not read to its end, by container
}

// A follower reads one container's log.
type follower struct {
	id   string        // the container's
	what string        // whose log it is
	done chan struct{} // closed once all is read
	read atomic.Int64  // bytes so far
	left bool          // nobody waits for its end any more
}

func newLogs(a *App) *logs {
	ctx, cancel := context.WithCancel(context.Background())
	return &logs{app: a, ctx: ctx, cancel: cancel, followers: map[string]*follower{}, gaps: map[string]string{}}
}

// LogGaps names the tasks whose output could not be read, or not to its end:
// what was in there, nobody has seen.
func (a *App) LogGaps() []string {
	a.logs.mu.Lock()
	defer a.logs.mu.Unlock()
	gaps := maps.Clone(a.logs.gaps)
	for id, f := range a.logs.followers {
		select {
		case <-f.done:
		default:
			gaps[id] = f.what + ": it still speaks"
		}
	}
	return slices.Sorted(maps.Values(gaps))
}

// onEvent starts to follow a container; nil means that events may have been missed.
func (l *logs) onEvent(m *events.Message) {
	if l.app.LogSink == nil {
		return
	}
	if m == nil {
		l.scan()
		return
	}
	attr := m.Actor.Attributes
	// A container that was only created has no log to follow yet, but one that
	// died at once has: its start may have been missed.
	if (m.Action == events.ActionStart || m.Action == events.ActionDie) && attr[LabelRun] == l.app.RunID {
		l.follow(m.Actor.ID, attr[labelServiceName], attr[labelTaskID])
	}
}

// scan follows what is there already.
func (l *logs) scan() {
	list, err := l.app.cli.ContainerList(l.ctx, container.ListOptions{All: true, Filters: l.app.mine()})
	if err != nil {
		return // the bus comes again
	}
	for _, c := range list {
		if c.State != "created" {
			l.follow(c.ID, c.Labels[labelServiceName], c.Labels[labelTaskID])
		}
	}
}

// follow reads a container's log unless that is done already. One that broke
// off is read again, from its start, when the engine is back: what is searched
// twice does no harm.
func (l *logs) follow(id, service, task string) *follower {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.followers[id]; ok {
		return f
	}
	service = l.app.descope(service)
	f := &follower{id: id, what: fmt.Sprintf("task %s of %s", task, service), done: make(chan struct{})}
	l.followers[id] = f
	go func() {
		defer close(f.done)
		err := l.read(f, service, task)
		if err == nil {
			err = l.atEnd(id)
		}
		if l.ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if f.left {
			return // it was not waited for, so what came after may be lost
		}
		delete(l.gaps, id)
		if err != nil {
			l.gaps[id] = fmt.Sprintf("%s: %v", f.what, err)
			delete(l.followers, id)
		} else if read := f.read.Load(); l.app.Limits.lost(read) {
			l.gaps[id] = fmt.Sprintf("%s: it said more than is kept, so some may be lost; %d bytes were read", f.what, read)
		}
	}()
	return f
}

// leave notes that a follower's end is not waited for: what it has not read by
// now is a gap.
func (l *logs) leave(f *follower) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.left = true
	l.gaps[f.id] = f.what + ": its log did not come to an end"
	return fmt.Errorf("the log of %s did not end", f.what)
}

// counted passes on to a sink, and counts.
type counted struct {
	io.Writer
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// atEnd is an error if a log ended before its container: an engine that stops
// closes the stream as if all had been said.
func (l *logs) atEnd(id string) error {
	ctx, cancel := context.WithTimeout(l.ctx, deathTime)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		c, err := l.app.cli.ContainerInspect(ctx, id)
		switch {
		case cerrdefs.IsNotFound(err), err == nil && (c.State == nil || !c.State.Running):
			return nil
		case err != nil:
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return errors.New("its log ended before it did")
		}
	}
}

// read copies all that a container says to its sink.
func (l *logs) read(f *follower, service, task string) error {
	out, errs := l.app.LogSink(service, task)
	defer out.Close()
	defer errs.Close()
	stdout, stderr := counted{out, &f.read}, counted{errs, &f.read}
	c, err := l.app.cli.ContainerInspect(l.ctx, f.id)
	if err != nil {
		return err
	}
	r, err := l.app.cli.ContainerLogs(l.ctx, f.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return err
	}
	defer r.Close()
	if c.Config != nil && c.Config.Tty {
		_, err = io.Copy(stdout, r)
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, r)
	}
	return err
}

// drained waits until a container's log is read to its end. A container that
// never started has none.
func (l *logs) drained(ctx context.Context, c container.Summary) error {
	if l.app.LogSink == nil || c.State == "created" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, drainMost)
	defer cancel()
	return l.drain(ctx, l.follow(c.ID, c.Labels[labelServiceName], c.Labels[labelTaskID]))
}

// drain waits for a follower's end as long as it gets on. If it does not, the
// rest of the log is a gap.
func (l *logs) drain(ctx context.Context, f *follower) error {
	tick := time.NewTicker(drainStall)
	defer tick.Stop()
	for read := f.read.Load(); ; {
		select {
		case <-f.done:
			return nil
		case <-tick.C:
			if now := f.read.Load(); now > read {
				read = now
				continue
			}
		case <-ctx.Done():
		}
		return l.leave(f)
	}
}

// What a container has said that has ended may take drainMost to be read, and
// drainStall from one byte to the next.
const (
	drainMost  = 2 * time.Minute
	drainStall = 20 * time.Second
)

// allDrained waits for every follower: containers that Swarm removed by
// itself have said things, too.
func (l *logs) allDrained(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainMost)
	defer cancel()
	l.mu.Lock()
	all := slices.Collect(maps.Values(l.followers))
	l.mu.Unlock()
	for _, f := range all {
		l.drain(ctx, f) // what does not end is a gap
	}
}

// gone tells whether an error says that there is nothing (left) to act on.
func gone(err error) bool { return err == nil || cerrdefs.IsNotFound(err) }
