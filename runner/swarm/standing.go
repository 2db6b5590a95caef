package swarm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// A ground is what the stack stood on when it last converged: against it one
// sees which tasks have ended since though nobody told them to.
type ground struct {
	mu    sync.Mutex
	stood map[string]bool      // tasks that ran then, or whose steadiness was seen since
	ended map[string]bool      // tasks that had ended by then
	fell  map[string]fallen    // tasks that have ended by themselves since
	seen  map[string]time.Time // when a later task was first seen running, by our clock
}

type fallen struct {
	service string
	task    swarm.Task
}

// settled takes a converged stack's tasks as the new ground. A restart or an
// update ends tasks on purpose: those are among what had ended.
func (g *ground) settled(tasks []swarm.Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stood, g.ended = map[string]bool{}, map[string]bool{}
	g.fell, g.seen = map[string]fallen{}, map[string]time.Time{}
	for _, t := range tasks {
		if terminal(t) || !wantedAlive(t) {
			g.ended[t.ID] = true
		} else {
			g.stood[t.ID] = true
		}
	}
}

// Standing tells how the stack's tasks are now, and which have ended by
// themselves since it last converged. A task that came after such an end
// counts only once it has stayed up as long as Deploy would ask of it, so
// until then its service is down: it may run, and still be without its data.
func (a *App) Standing(ctx context.Context) (runner.Standing, error) {
	services, err := a.services(ctx)
	if err != nil {
		return runner.Standing{}, err
	}
	tasks, err := a.tasks(ctx)
	if err != nil {
		return runner.Standing{}, err
	}
	up, err := a.upContainers(ctx)
	if err != nil {
		return runner.Standing{}, err
	}
	var st runner.Standing
	for _, name := range slices.Sorted(maps.Keys(services)) {
		g := goalOf(name, services[name].ID, services[name].Spec)
		own := ofService(tasks, g.id)
		running, why := a.ground.stands(g, own, up, a.Settle, time.Now())
		if running {
			st.Running = append(st.Running, name)
		}
		if why != "" {
			if last := newest(own, died); last != nil {
				why += a.Redact(a.lastWords(ctx, *last))
			}
			st.Down = append(st.Down, runner.Fall{Service: name, Reason: why})
		}
	}
	st.Fallen = a.fallen(ctx)
	return st, nil
}

// upContainers are the containers of the stack that run. Swarm hears of a death
// late, and the engine itself a tenth of a second late, in which a check asks
// what is left of the app: so the runtime is asked for each one's processes.
func (a *App) upContainers(ctx context.Context) (map[string]bool, error) {
	list, err := a.cli.ContainerList(ctx, container.ListOptions{Filters: a.mine()})
	if err != nil {
		return nil, fault(ctx, "list containers", err)
	}
	up := make([]bool, len(list))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, c := range list {
		g.Go(func() (err error) {
			up[i], err = a.lives(gctx, c.ID)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for i, c := range list {
		out[c.ID] = up[i]
	}
	return out, nil
}

// lives tells whether a container has processes. An engine without ps can't
// list them: there its own word, that the container runs, must do.
func (a *App) lives(ctx context.Context, id string) (bool, error) {
	top, err := a.cli.ContainerTop(ctx, id, []string{"-o", "pid"}) // no command lines: they may hold secrets
	switch {
	case err == nil:
		return len(top.Processes) > 0, nil
	case ctx.Err() != nil || client.IsErrConnectionFailed(err):
		return false, fault(ctx, "list processes", err)
	}
	return strings.Contains(err.Error(), "executable file not found"), nil
}

// stands judges one service: whether a task of it runs, and what it lacks. It
// notes what has fallen since the last look.
func (g *ground) stands(want goal, tasks []swarm.Task, up map[string]bool, settle time.Duration, now time.Time) (running bool, lacks string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	ready, complete, wanted := 0, 0, want.want
	if want.global {
		wanted = 0
	}
	for _, t := range tasks {
		if died(t) && !g.ended[t.ID] && !(t.Status.State == swarm.TaskStateComplete && want.completes()) {
			g.fell[t.ID] = fallen{want.service, t}
		}
		switch {
		case t.Status.State == swarm.TaskStateComplete && want.completes() && want.current(t):
			complete++
		case terminal(t) || !wantedAlive(t):
			continue
		case runs(t, up):
			running = true
			if g.steady(want, t, settle, now) {
				ready++
			}
		}
		if want.global {
			wanted++
		}
	}
	if want.global && len(tasks) > 0 {
		wanted = max(wanted, 1) // also in the moment between one task and the next
	}
	if want.job {
		ready = 0
	}
	if have := ready + min(complete, wanted); have < wanted {
		return running, fmt.Sprintf("%d of its %d tasks stand", have, wanted)
	}
	return running, ""
}

func runs(t swarm.Task, up map[string]bool) bool {
	return t.Status.State == swarm.TaskStateRunning && t.Status.ContainerStatus != nil && up[t.Status.ContainerStatus.ContainerID]
}

// steady tells whether a running task has proven that it stays: it stood when
// the stack converged, or has run since then for as long as Deploy asks of a
// task after a death. Healthy ones have to be seen twice, that long apart as
// any task has to stay up.
func (g *ground) steady(want goal, t swarm.Task, settle time.Duration, now time.Time) bool {
	if g.stood[t.ID] {
		return true
	}
	since, ok := g.seen[t.ID]
	if !ok {
		g.seen[t.ID] = now
		return false
	}
	need := 5 * settle
	if want.health {
		need = settle
	}
	g.stood[t.ID] = now.Sub(since) >= need
	return g.stood[t.ID]
}

// fallen counts what has fallen, service by service, with the last one's last words.
func (a *App) fallen(ctx context.Context) []runner.Fall {
	a.ground.mu.Lock()
	byService := map[string][]swarm.Task{}
	for _, f := range a.ground.fell {
		byService[f.service] = append(byService[f.service], f.task)
	}
	a.ground.mu.Unlock()
	var out []runner.Fall
	for _, name := range slices.Sorted(maps.Keys(byService)) {
		tasks := byService[name]
		last := slices.MaxFunc(tasks, func(x, y swarm.Task) int { return x.CreatedAt.Compare(y.CreatedAt) })
		out = append(out, runner.Fall{Service: name, Count: len(tasks), Reason: a.Redact(string(last.Status.State) + a.lastWords(ctx, last))})
	}
	return out
}
