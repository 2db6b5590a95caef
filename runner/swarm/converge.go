package swarm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"

	"coopcloud.tech/abra-ccci/runner"
)

// A goal is what a service has to come to.
type goal struct {
	service string // compose name
	id      string
	spec    string // digest
	task    string // digest
	force   uint64
	want    int // tasks; every eligible node has one if global
	global  bool
	job     bool // tasks have to complete
	once    swarm.RestartPolicyCondition
	health  bool // tasks are running only once they are healthy
}

func goalOf(name, id string, spec swarm.ServiceSpec) goal {
	c := spec.TaskTemplate.ContainerSpec
	g := goal{
		service: name, id: id,
		spec: spec.Labels[labelSpec], task: c.Labels[labelTask], force: spec.TaskTemplate.ForceUpdate,
		want: 1, once: swarm.RestartPolicyConditionAny,
		health: c.Healthcheck != nil && len(c.Healthcheck.Test) > 0 && c.Healthcheck.Test[0] != "NONE",
	}
	if p := spec.TaskTemplate.RestartPolicy; p != nil && p.Condition != "" {
		g.once = p.Condition
	}
	switch m := spec.Mode; {
	case m.Replicated != nil && m.Replicated.Replicas != nil:
		g.want = int(*m.Replicated.Replicas)
	case m.ReplicatedJob != nil:
		g.job = true
		if m.ReplicatedJob.TotalCompletions != nil {
			g.want = int(*m.ReplicatedJob.TotalCompletions)
		}
	case m.Global != nil:
		g.global = true
	case m.GlobalJob != nil:
		g.global, g.job = true, true
	}
	return g
}

// current tells whether a task runs what the goal asks for.
func (g goal) current(t swarm.Task) bool {
	return t.ServiceID == g.id && t.Spec.ContainerSpec != nil &&
		t.Spec.ContainerSpec.Labels[labelTask] == g.task && t.Spec.ForceUpdate == g.force
}

// A watch is what one wait for convergence has seen so far.
type watch struct {
	goals   []goal
	settle  time.Duration
	known   map[string]bool      // tasks from before: settled long ago
	ran     map[string]bool      // services that had a running task before: no one-shot ones
	running map[string]time.Time // when a task was first seen running, by our clock
	dead    map[string]time.Time // when a service was first seen with nothing coming
	stuck   map[string]time.Time // when a task was first seen unplaceable
}

func newWatch(goals []goal, before []swarm.Task, settle time.Duration) *watch {
	w := &watch{goals: goals, settle: settle, known: map[string]bool{}, ran: map[string]bool{},
		running: map[string]time.Time{}, dead: map[string]time.Time{}, stuck: map[string]time.Time{}}
	for _, t := range before {
		w.known[t.ID] = true
		if wantedAlive(t) && t.Status.State == swarm.TaskStateRunning {
			w.ran[t.ServiceID] = true
		}
	}
	return w
}

const (
	// lull is how long a service may have no task on its way: between the
	// death of one and the birth of the next Swarm needs milliseconds.
	lull = 3 * time.Second
	// patience is how long a task may wait for a place: a port or memory that
	// an old task is about to give back.
	patience = 20 * time.Second
)

// A standing is how far one service is.
type standing struct {
	done bool
	text string        // what is waited for
	soon time.Duration // when it may be otherwise without an event
	err  *failure
}

// A failure ends the wait.
type failure struct {
	service string
	reason  string
	task    *swarm.Task // whose logs tell more; may be nil
	infra   bool
	back    bool // rolled back
}

// converge waits until every goal is reached and nothing else of the stack
// runs. It fails early if one can't be reached any more.
func (a *App) converge(ctx context.Context, goals []goal, before []swarm.Task, timeout time.Duration) error {
	w := newWatch(goals, before, a.Settle)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last []standing
	var tasks []swarm.Task
	err := a.bus.until(limited, func() (bool, time.Duration, error) {
		services, err := a.services(limited)
		if err != nil {
			return false, 0, err
		}
		now, err := a.tasks(limited)
		if err != nil { // the time may be over in the middle of it: what was known before is told
			return false, 0, err
		}
		tasks = now
		last = w.look(services, tasks, time.Now())
		done, soon, err := a.progress(ctx, last)
		if done {
			done = a.reallyRun(limited, w, tasks)
			err = a.endedSick(limited, w, tasks)
		}
		return done, soon, err
	})
	if failed := new(hopeless); errors.As(err, &failed) {
		return a.deployError(ctx, failed.failure)
	}
	if err == nil {
		a.ground.settled(tasks)
	}
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return a.deployError(ctx, w.overdue(last, tasks, timeout))
}

// reallyRun asks the engine itself about the containers of new tasks: Swarm
// hears of a death a little later.
func (a *App) reallyRun(ctx context.Context, w *watch, tasks []swarm.Task) bool {
	for _, t := range tasks {
		if w.known[t.ID] || !wantedAlive(t) || t.Status.State != swarm.TaskStateRunning || t.Status.ContainerStatus == nil {
			continue
		}
		if a.ended(ctx, t.Status.ContainerStatus.ContainerID) && a.elsewhere(ctx, t) == nil {
			return false
		}
	}
	return true
}

// endedSick fails for a task that Swarm ended because its healthcheck said so.
// Where the program ends well when it is told to stop, Swarm calls the task
// complete, and does not start it again under restart condition on-failure:
// else it would pass for a one-shot task that did its work.
func (a *App) endedSick(ctx context.Context, w *watch, tasks []swarm.Task) error {
	for _, g := range w.goals {
		for _, t := range tasks {
			if w.known[t.ID] || !g.current(t) || t.Status.State != swarm.TaskStateComplete || t.Status.ContainerStatus == nil {
				continue
			}
			c, err := a.cli.ContainerInspect(ctx, t.Status.ContainerStatus.ContainerID)
			if err != nil && !cerrdefs.IsNotFound(err) {
				return fault(ctx, "look at a task of "+g.service, err)
			}
			if err == nil && c.State != nil && c.State.Health != nil && c.State.Health.Status == container.Unhealthy {
				return &hopeless{&failure{service: g.service, reason: "the task was ended because it is unhealthy", task: &t}}
			}
		}
	}
	return nil
}

// hopeless carries a failure through the bus.
type hopeless struct{ *failure }

func (h *hopeless) Error() string { return h.reason }

// progress sums up standings, and says what is waited for.
func (a *App) progress(ctx context.Context, all []standing) (bool, time.Duration, error) {
	var waits []string
	var soon time.Duration
	for _, s := range all {
		if s.err != nil {
			return false, 0, &hopeless{s.err}
		}
		if s.done {
			continue
		}
		waits = append(waits, s.text)
		if s.soon > 0 && (soon == 0 || s.soon < soon) {
			soon = s.soon
		}
	}
	if len(waits) == 0 {
		return true, 0, nil
	}
	runner.Waiting(ctx, strings.Join(waits, ", "))
	return false, soon, nil
}

// look judges every goal, and what is left of other services.
func (w *watch) look(services map[string]swarm.Service, tasks []swarm.Task, now time.Time) []standing {
	var out []standing
	wanted := map[string]bool{}
	for _, s := range services {
		wanted[s.ID] = true
	}
	for _, g := range w.goals {
		svc, ok := services[g.service]
		if !ok || svc.ID != g.id {
			out = append(out, standing{err: &failure{service: g.service, reason: "the service was removed by somebody else", infra: true}})
			continue
		}
		out = append(out, w.judge(g, svc, ofService(tasks, g.id), now))
	}
	for _, t := range tasks {
		if !wanted[t.ServiceID] && alive(t) {
			out = append(out, standing{text: "a removed service to stop"})
			break
		}
	}
	return out
}

// judge says how far a service is; tasks are its own, newest first.
func (w *watch) judge(g goal, svc swarm.Service, tasks []swarm.Task, now time.Time) standing {
	if f := w.updateFailed(g, svc, tasks); f != nil {
		return standing{err: f}
	}
	if f := w.unplaceable(g, tasks, now); f != nil {
		return standing{err: f}
	}
	ready, complete, old, coming := 0, 0, 0, 0
	var soon time.Duration
	for _, t := range tasks {
		switch {
		case !g.current(t) || !wantedAlive(t) && !terminal(t):
			if alive(t) {
				old++
			}
		case t.Status.State == swarm.TaskStateComplete && g.completes():
			complete++
		case terminal(t):
		case t.Status.State == swarm.TaskStateRunning:
			if wait := w.unsettled(g, t, tasks, now); wait > 0 {
				coming++
				soon = wait
			} else {
				ready++
			}
		default:
			coming++
		}
	}
	if g.job {
		ready = 0
	}
	want := g.want
	if g.global && ready+complete+coming > want {
		want = ready + complete + coming
	}
	updating := svc.UpdateStatus != nil && (svc.UpdateStatus.State == swarm.UpdateStateUpdating || svc.UpdateStatus.State == swarm.UpdateStateRollbackStarted)
	if min(complete, want)+ready >= want && old == 0 && coming == 0 && !updating {
		return standing{done: true}
	}
	if f := w.nothingComing(g, ready+complete, coming, old, updating, tasks, now); f != nil {
		return standing{err: f}
	}
	return standing{text: waitingFor(g, ready+complete, want, old, updating, tasks), soon: soon}
}

// completes tells whether a task that ended well is done for good.
func (g goal) completes() bool { return g.job || g.once != swarm.RestartPolicyConditionAny }

// finished tells whether all tasks of a one-shot service have ended well.
func (g goal) finished(tasks []swarm.Task) bool {
	complete := 0
	for _, t := range tasks {
		switch {
		case alive(t):
			return false
		case g.current(t) && t.Status.State == swarm.TaskStateComplete:
			complete++
		}
	}
	return g.completes() && complete >= max(1, g.want)
}

func wantedAlive(t swarm.Task) bool {
	switch t.DesiredState {
	case swarm.TaskStateShutdown, swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return false
	}
	return true
}

func terminal(t swarm.Task) bool {
	switch t.Status.State {
	case swarm.TaskStateComplete, swarm.TaskStateShutdown, swarm.TaskStateFailed, swarm.TaskStateRejected,
		swarm.TaskStateRemove, swarm.TaskStateOrphaned:
		return true
	}
	return false
}

// alive tells whether a task's container may be there and running.
func alive(t swarm.Task) bool {
	return !terminal(t) && (wantedAlive(t) || t.Status.State == swarm.TaskStateRunning || t.Status.State == swarm.TaskStateStarting)
}

// unsettled is how long a running task still has to prove that it stays up. A
// healthcheck proves it without waiting.
func (w *watch) unsettled(g goal, t swarm.Task, tasks []swarm.Task, now time.Time) time.Duration {
	if w.known[t.ID] || g.health {
		return 0
	}
	since, ok := w.running[t.ID]
	if !ok {
		since = now
		w.running[t.ID] = now
	}
	need := w.settle
	if slices.ContainsFunc(tasks, func(o swarm.Task) bool { return !w.known[o.ID] && died(o) }) {
		need *= 5
	}
	return max(0, need-now.Sub(since))
}

// died tells a task that ended by itself from one that was told to stop.
func died(t swarm.Task) bool {
	return t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateRejected ||
		t.Status.State == swarm.TaskStateComplete
}

// waitingFor puts a standing into words.
func waitingFor(g goal, ready, want, old int, updating bool, tasks []swarm.Task) string {
	text := fmt.Sprintf("%s %d/%d", g.service, ready, want)
	for _, t := range tasks {
		if g.current(t) && !terminal(t) && t.Status.State != swarm.TaskStateRunning {
			text += " " + string(t.Status.State)
			if t.Status.State == swarm.TaskStateStarting && g.health {
				text += " (until healthy)"
			}
			break
		}
	}
	switch {
	case old > 0:
		text += ", old task stopping"
	case updating && ready >= want:
		text += ", update being monitored"
	}
	return text
}

// ofService are a service's tasks, newest first.
func ofService(tasks []swarm.Task, id string) []swarm.Task {
	var own []swarm.Task
	for _, t := range tasks {
		if t.ServiceID == id {
			own = append(own, t)
		}
	}
	slices.SortFunc(own, func(x, y swarm.Task) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return own
}
