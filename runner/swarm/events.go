package swarm

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// A bus turns the engine's events into wake-ups. Waiters look at the engine's
// state themselves: an event only says that it is time to.
type bus struct {
	cli    client.APIClient
	stack  string                // whose events wake; all of them if empty
	each   func(*events.Message) // called for every event of the stack; with nil after a reconnection
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	waiters map[chan struct{}]bool
	broken  int // times that the stream ended and was not told to
}

func listen(cli client.APIClient, stack string, each func(*events.Message)) *bus {
	ctx, cancel := context.WithCancel(context.Background())
	b := &bus{cli: cli, stack: stack, each: each, cancel: cancel, done: make(chan struct{}), waiters: map[chan struct{}]bool{}}
	first := make(chan struct{})
	go b.run(ctx, first)
	<-first
	return b
}

func (b *bus) close() {
	b.cancel()
	<-b.done
}

// interesting leaves out what healthchecks and our own execs make in heaps.
func interesting() filters.Args {
	f := filters.NewArgs()
	for _, t := range []events.Type{events.ContainerEventType, events.ServiceEventType, events.NetworkEventType, events.VolumeEventType} {
		f.Add("type", string(t))
	}
	for _, a := range []events.Action{events.ActionCreate, events.ActionStart, events.ActionDie, events.ActionDestroy,
		events.ActionUpdate, events.ActionRemove, events.ActionHealthStatus, events.ActionDisconnect} {
		f.Add("event", string(a))
	}
	return f
}

// run keeps a stream of events open until it is told to stop.
func (b *bus) run(ctx context.Context, first chan struct{}) {
	defer close(b.done)
	for ctx.Err() == nil {
		messages, errs := b.cli.Events(ctx, events.ListOptions{Filters: interesting()})
		if first != nil {
			close(first) // Events returns once the engine listens
			first = nil
		}
		b.each(nil) // what happened while nobody listened
		b.wake()
		if err := b.pump(ctx, messages, errs); ctx.Err() == nil && !client.IsErrConnectionFailed(err) {
			b.mu.Lock()
			b.broken++ // it was there: an engine that is still gone takes no connection
			b.mu.Unlock()
		}
		b.wake() // the stream broke: waiters will see that the engine is gone
		select {
		case <-ctx.Done():
		case <-time.After(reconnect):
		}
	}
}

// reconnect is how long to leave an engine alone that closed the stream.
const reconnect = 250 * time.Millisecond

// pump passes on what happens until the stream ends, and returns why.
func (b *bus) pump(ctx context.Context, messages <-chan events.Message, errs <-chan error) error {
	for {
		select {
		case m := <-messages:
			if m.Type == events.ContainerEventType && m.Actor.Attributes[labelNamespace] == b.stack {
				b.each(&m)
			}
			if b.concerns(m) {
				b.wake()
			}
		case err := <-errs:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// concerns tells the stack's events from those of everything else that may run
// on the engine. What it can't tell by its name is found at the next look.
func (b *bus) concerns(m events.Message) bool {
	attr := m.Actor.Attributes
	return b.stack == "" || attr[labelNamespace] == b.stack || attr[labelStack] == b.stack ||
		strings.HasPrefix(attr["name"], b.stack+"_") || strings.HasPrefix(m.Actor.ID, b.stack+"_")
}

// breaks counts how often the engine closed the stream: it does so when it
// ends, and at no other time.
func (b *bus) breaks() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

func (b *bus) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.waiters {
		select {
		case w <- struct{}{}:
		default: // it has been told already
		}
	}
}

// until calls look at once, after every event and now and then, until it
// reports true or an error, or ctx ends. look may return how soon it wants to
// be asked again; 0 leaves that to the bus.
func (b *bus) until(ctx context.Context, look func() (done bool, soon time.Duration, err error)) error {
	w := make(chan struct{}, 1)
	b.mu.Lock()
	b.waiters[w] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.waiters, w)
		b.mu.Unlock()
	}()
	pause := shortest
	for {
		done, soon, err := look()
		if done || err != nil {
			return err
		}
		wait := pause
		if soon > 0 && soon < wait {
			wait = soon
		}
		timer := time.NewTimer(wait)
		select {
		case <-w:
			pause = shortest
		case <-timer.C:
			pause = min(2*pause, longest)
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// Swarm tells tasks' states to its managers some ten milliseconds after the
// container's event, so the looks after an event start close together.
const (
	shortest = 20 * time.Millisecond
	longest  = time.Second
)
