package swarm

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// restartTimeout is for an App that was never deployed by this process.
const restartTimeout = 10 * time.Minute

// Restart implements runner.Deployer. It has Swarm replace every task and then
// stops the containers itself, as their services would have it: told alone,
// Swarm takes 3 s before it begins to. (The other way round, Swarm would see a
// task that ended by itself, and wait for the service's restart delay.) The
// update_config of a recipe is about updates, so for a restart all tasks of a
// service go at once; it is put back afterwards. Jobs and completed one-shot
// tasks have nothing to replace.
func (a *App) Restart(ctx context.Context) error {
	services, err := a.services(ctx)
	if err != nil {
		return err
	}
	before, err := a.tasks(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(services, func(_ string, s swarm.Service) bool { return !slices.ContainsFunc(before, runsIn(s)) })
	var goals []goal
	var g errgroup.Group
	for _, name := range slices.Sorted(maps.Keys(services)) {
		fmt.Fprintf(runner.StepLog(ctx), "replace the tasks of service %s\n", name)
		svc := services[name]
		svc.Spec.TaskTemplate.ForceUpdate++
		goals = append(goals, goalOf(name, svc.ID, svc.Spec))
		g.Go(func() error { return a.replace(ctx, name, svc, before) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	a.mu.Lock()
	timeout := a.timeout
	a.mu.Unlock()
	if err := a.converge(ctx, goals, before, timeout); err != nil {
		return err
	}
	for name, svc := range services {
		svc.Spec.TaskTemplate.ForceUpdate++
		if err := a.update(ctx, name, svc, svc.Spec); err != nil {
			return err
		}
	}
	return nil
}

// replace updates a service to what svc says, and stops its tasks.
func (a *App) replace(ctx context.Context, name string, svc swarm.Service, tasks []swarm.Task) error {
	if err := a.update(ctx, name, svc, atOnce(svc.Spec)); err != nil {
		return err
	}
	return a.stopTasks(ctx, svc, tasks)
}

// runsIn selects the tasks of a service that a restart replaces.
func runsIn(s swarm.Service) func(swarm.Task) bool {
	return func(t swarm.Task) bool {
		return t.ServiceID == s.ID && wantedAlive(t) && !terminal(t) && s.Spec.Mode.ReplicatedJob == nil && s.Spec.Mode.GlobalJob == nil
	}
}

// atOnce is spec with an update that replaces all tasks together and does not
// linger to watch them: converge watches.
func atOnce(spec swarm.ServiceSpec) swarm.ServiceSpec {
	spec.UpdateConfig = &swarm.UpdateConfig{
		FailureAction: swarm.UpdateFailureActionContinue,
		Order:         swarm.UpdateOrderStopFirst,
		Monitor:       time.Millisecond, // 0 would mean 5 s
	}
	return spec
}

// stopTasks stops the containers of a service's tasks, all at the same time.
func (a *App) stopTasks(ctx context.Context, svc swarm.Service, tasks []swarm.Task) error {
	var g errgroup.Group
	seconds := int(math.Ceil(stopGrace(object{service: svc}).Seconds()))
	for _, t := range tasks {
		if !runsIn(svc)(t) || t.Status.ContainerStatus == nil || t.Status.ContainerStatus.ContainerID == "" {
			continue
		}
		g.Go(func() error {
			err := a.cli.ContainerStop(ctx, t.Status.ContainerStatus.ContainerID, container.StopOptions{Timeout: &seconds})
			if gone(err) || cerrdefs.IsConflict(err) {
				return nil
			}
			return fault(ctx, "stop a task of "+svc.Spec.Name, err)
		})
	}
	runner.Waiting(ctx, "tasks to stop")
	return g.Wait()
}
