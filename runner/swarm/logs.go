package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
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
	followers map[string]chan struct{} // by container; closed once all is read
	gaps      map[string]string        // why it was not read to its end, by container
}

func newLogs(a *App) *logs {
	ctx, cancel := context.WithCancel(context.Background())
	return &logs{app: a, ctx: ctx, cancel: cancel, followers: map[string]chan struct{}{}, gaps: map[string]string{}}
}

// LogGaps names the tasks whose output could not be read, or not to its end:
// what was in there, nobody has seen.
func (a *App) LogGaps() []string {
	a.logs.mu.Lock()
	defer a.logs.mu.Unlock()
	gaps := maps.Clone(a.logs.gaps)
	for id, done := range a.logs.followers {
		select {
		case <-done:
		default:
			gaps[id] = fmt.Sprintf("container %.12s still speaks", id)
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
func (l *logs) follow(id, service, task string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if done, ok := l.followers[id]; ok {
		return done
	}
	done := make(chan struct{})
	l.followers[id] = done
	go func() {
		defer close(done)
		service := l.app.descope(service)
		err := l.read(id, service, task)
		if err == nil {
			err = l.atEnd(id)
		}
		if l.ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.gaps, id)
		if err != nil {
			l.gaps[id] = fmt.Sprintf("task %s of %s: %v", task, service, err)
			delete(l.followers, id)
		}
	}()
	return done
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
func (l *logs) read(id, service, task string) error {
	sink := l.app.LogSink(service, task)
	defer sink.Close()
	c, err := l.app.cli.ContainerInspect(l.ctx, id)
	if err != nil {
		return err
	}
	r, err := l.app.cli.ContainerLogs(l.ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return err
	}
	defer r.Close()
	if c.Config != nil && c.Config.Tty {
		_, err = io.Copy(sink, r)
	} else {
		_, err = stdcopy.StdCopy(sink, sink, r)
	}
	return err
}

// drained waits until a container's log is read to its end. A container that
// never started has none.
func (l *logs) drained(ctx context.Context, c container.Summary) error {
	if l.app.LogSink == nil || c.State == "created" {
		return nil
	}
	done := l.follow(c.ID, c.Labels[labelServiceName], c.Labels[labelTaskID])
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the log of %s did not end", strings.Join(c.Names, " "))
	}
}

// drainTime is how long the log of a container that has ended may take to be read.
const drainTime = 20 * time.Second

// allDrained waits for every follower: containers that Swarm removed by
// itself have said things, too.
func (l *logs) allDrained(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	l.mu.Lock()
	var all []chan struct{}
	for _, done := range l.followers {
		all = append(all, done)
	}
	l.mu.Unlock()
	for _, done := range all {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// gone tells whether an error says that there is nothing (left) to act on.
func gone(err error) bool { return err == nil || cerrdefs.IsNotFound(err) }
