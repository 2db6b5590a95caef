package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
)

// Undeploy implements runner.Deployer.
func (a *App) Undeploy(ctx context.Context, r runner.Removal) error {
	err := a.bus.until(ctx, func() (bool, time.Duration, error) {
		err := a.dropHelpers(ctx) // they hold the volumes
		if r.Await && passing(err) {
			runner.Waiting(ctx, "the engine to answer")
			return false, 0, nil
		}
		return true, 0, err
	})
	if err != nil {
		return err
	}
	c := &clearing{
		cli: a.cli, bus: a.bus, grace: r.Grace, await: r.Await,
		list: func(ctx context.Context) (objects, error) {
			// Once more each time: the engine may still be making one whose
			// request was cut off.
			if err := a.dropHelpers(ctx); err != nil {
				return nil, err
			}
			all, err := collect(ctx, a.cli, a.mine())
			if err != nil || !r.KeepNetworks {
				return all, err
			}
			now, err := listContainers(ctx, a.cli, a.mine())
			return all.withoutSpent(now), fault(ctx, "list containers", err)
		},
		keep: map[kind]bool{volumes: !r.Volumes, secrets: !r.Secrets, networks: r.KeepNetworks},
		last: a.logs.drained,
	}
	err = c.run(ctx)
	a.logs.allDrained(ctx)
	return err
}

// passing tells an error that may be over once the engine is back: it takes
// no connection, broke one, or has no swarm yet.
func passing(err error) bool {
	var broken net.Error
	return err != nil && (client.IsErrConnectionFailed(err) || errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		cerrdefs.IsUnavailable(err) || cerrdefs.IsInternal(err) || strings.Contains(err.Error(), "EOF"))
}

// Left lists what the engine still holds of the run or of the stack's name;
// empty after a clean Undeploy that removed volumes and secrets, too.
func (a *App) Left(ctx context.Context) ([]string, error) {
	of, err := collect(ctx, a.cli, a.ofStack())
	if err != nil {
		return nil, err
	}
	run, err := collect(ctx, a.cli, ofRun(a.RunID))
	if err != nil {
		return nil, err
	}
	names := append(of.names(), run.names()...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// A clearing removes objects until none is listed any more. Whatever the
// engine refuses for now is tried again when it has got on.
type clearing struct {
	cli   client.APIClient
	bus   *bus
	list  func(context.Context) (objects, error)
	keep  map[kind]bool
	grace time.Duration                                  // 0: what services say
	await bool                                           // go on when the engine does not answer
	last  func(context.Context, container.Summary) error // done between a container's end and its removal; may be nil

	mu     sync.Mutex
	busy   map[string]bool          // objects that something is being done about
	graces map[string]time.Duration // grace of services, by id
	errs   map[string]error         // what last went wrong, by object
	work   sync.WaitGroup
}

// clearTime bounds a clearing, beside the graces of its services.
const clearTime = 5 * time.Minute

func (c *clearing) run(ctx context.Context) error {
	c.busy, c.graces, c.errs = map[string]bool{}, map[string]time.Duration{}, map[string]error{}
	ctx, cancel := context.WithTimeout(ctx, clearTime+c.grace)
	defer cancel()
	defer c.work.Wait()
	var left objects
	err := c.bus.until(ctx, func() (bool, time.Duration, error) {
		all, err := c.list(ctx)
		if c.await && passing(err) {
			runner.Waiting(ctx, "the engine to answer")
			return false, 0, nil
		}
		if err != nil {
			return false, 0, err
		}
		left = slices.DeleteFunc(all, func(o object) bool { return c.keep[o.kind] })
		if len(left) == 0 {
			return true, 0, nil
		}
		runner.Waiting(ctx, "removal of "+summary(left))
		c.advance(ctx, left)
		return false, 0, nil
	})
	if err == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return c.stuck(left, err)
}

// advance begins what can be done now about each object that is left.
func (c *clearing) advance(ctx context.Context, left objects) {
	for _, o := range left.of(services) {
		c.mu.Lock()
		c.graces[o.id] = stopGrace(o)
		c.mu.Unlock()
		if err := c.cli.ServiceRemove(ctx, o.id); !gone(err) {
			c.note(o, err)
		}
	}
	for _, o := range left.of(containers) {
		c.begin(o, func() error { return c.retire(ctx, o) })
	}
	quiet := len(left.of(services)) == 0
	still := quiet && len(left.of(containers)) == 0
	for _, o := range left {
		switch {
		case o.kind == configs && quiet:
			c.begin(o, func() error { return c.cli.ConfigRemove(ctx, o.id) })
		case o.kind == secrets && quiet:
			c.begin(o, func() error { return c.cli.SecretRemove(ctx, o.id) })
		case o.kind == volumes && still:
			c.begin(o, func() error { return c.cli.VolumeRemove(ctx, o.id, false) })
		case o.kind == networks && still && len(left.of(tasks)) == 0:
			c.begin(o, func() error { return c.cli.NetworkRemove(ctx, o.id) })
		}
	}
}

// begin does one thing at a time about an object, in the background.
func (c *clearing) begin(o object, do func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy[o.id] {
		return
	}
	c.busy[o.id] = true
	c.work.Go(func() {
		err := do()
		c.note(o, err)
		c.mu.Lock()
		delete(c.busy, o.id)
		c.mu.Unlock()
		c.bus.wake()
	})
}

func (c *clearing) note(o object, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gone(err) {
		delete(c.errs, o.String())
		return
	}
	c.errs[o.String()] = err
}

// retire stops a container as its service would have it, without Swarm's
// delay, and removes it: exited containers hold their volumes.
func (c *clearing) retire(ctx context.Context, o object) error {
	if o.container.State == "running" {
		seconds := int(math.Ceil(c.graceOf(o).Seconds()))
		err := c.cli.ContainerStop(ctx, o.id, container.StopOptions{Timeout: &seconds})
		if !gone(err) && !cerrdefs.IsConflict(err) {
			return err
		}
	}
	if c.last != nil && o.labels[labelTaskID] != "" {
		if err := c.last(ctx, o.container); err != nil {
			c.note(o, err) // told if the removal fails, too
		}
	}
	return removeContainer(ctx, c.cli, o.id)
}

func (c *clearing) graceOf(o object) time.Duration {
	if o.labels[labelTaskID] == "" {
		return 0 // a helper: it has nothing to lose
	}
	c.mu.Lock()
	grace, ok := c.graces[o.labels["com.docker.swarm.service.id"]]
	c.mu.Unlock()
	if !ok {
		grace = defaultGrace
	}
	if c.grace > 0 {
		grace = min(grace, c.grace)
	}
	return grace
}

// defaultGrace is Docker's, for services that name none.
const defaultGrace = 10 * time.Second

func stopGrace(o object) time.Duration {
	if s := o.service.Spec.TaskTemplate.ContainerSpec; s != nil && s.StopGracePeriod != nil {
		return *s.StopGracePeriod
	}
	return defaultGrace
}

// stuck says what could not be removed, and why.
func (c *clearing) stuck(left objects, cause error) error {
	if len(left) == 0 { // never listed
		return &runner.InfraError{Op: "see what there is to remove", Hint: "abra-ccci reap", Err: cause}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var why []string
	for _, o := range left {
		text := o.String()
		if err := c.errs[text]; err != nil {
			text += " (" + err.Error() + ")"
		}
		why = append(why, text)
	}
	return &runner.InfraError{
		Op:   "remove " + summary(left),
		Hint: "abra-ccci reap",
		Err:  fmt.Errorf("%w: still there: %s", cause, strings.Join(why, ", ")),
	}
}

// summary counts objects: "2 containers, 1 network".
func summary(all objects) string {
	var parts []string
	for _, k := range []kind{services, tasks, containers, networks, volumes, secrets, configs} {
		switch n := len(all.of(k)); n {
		case 0:
		case 1:
			parts = append(parts, "1 "+string(k))
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, k))
		}
	}
	return strings.Join(parts, ", ")
}

// removeContainer kills and removes a container with its anonymous volumes; it
// is no error if somebody else is at it, or was faster.
func removeContainer(ctx context.Context, cli client.APIClient, id string) error {
	err := cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if gone(err) || cerrdefs.IsConflict(err) && strings.Contains(err.Error(), "already in progress") {
		return nil
	}
	return fault(ctx, "remove a container", err)
}
