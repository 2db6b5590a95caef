package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"

	"coopcloud.tech/abra-ccci/runner"
)

// deployError makes what Deploy returns of a failure, with what the task said last.
func (a *App) deployError(ctx context.Context, f *failure) error {
	reason := f.reason
	if f.task != nil {
		reason += a.lastWords(ctx, *f.task)
	}
	reason = a.Redact(reason)
	if f.infra {
		return &runner.InfraError{Op: "deploy service " + f.service, Err: errors.New(reason)}
	}
	return &runner.DeployError{Service: f.service, Reason: reason, RolledBack: f.back}
}

// lastWords are a task's error, its healthcheck's last answer and its last log
// lines, each after a line feed or colon; empty if there are none.
func (a *App) lastWords(ctx context.Context, t swarm.Task) string {
	var b strings.Builder
	if t.Status.Err != "" {
		fmt.Fprintf(&b, ": %s", t.Status.Err)
	}
	if t.Status.ContainerStatus == nil || t.Status.ContainerStatus.ContainerID == "" {
		return b.String()
	}
	return b.String() + a.lastOf(ctx, t.Status.ContainerStatus.ContainerID)
}

// lastOf are the last words of a container, without its task's error.
func (a *App) lastOf(ctx context.Context, id string) string {
	var b strings.Builder
	if said := a.lastHealth(ctx, id); said != "" {
		fmt.Fprintf(&b, "\nhealthcheck: %s", said)
	}
	if lines := a.tail(ctx, id); lines != "" {
		fmt.Fprintf(&b, "\nlast log lines:\n%s", lines)
	}
	return b.String()
}

func (a *App) lastHealth(ctx context.Context, id string) string {
	c, err := a.cli.ContainerInspect(ctx, id)
	if err != nil || c.State == nil || c.State.Health == nil || len(c.State.Health.Log) == 0 {
		return ""
	}
	last := telling(c.State.Health.Log)
	return fmt.Sprintf("exit %d: %s", last.ExitCode, strings.TrimSpace(last.Output))
}

// telling is the last probe that says something. One that was killed with its container
// does not, and one that came when that ended tells of the runtime alone; those before
// them may.
func telling(probes []*container.HealthcheckResult) *container.HealthcheckResult {
	best := probes[len(probes)-1]
	for _, probe := range slices.Backward(probes) {
		switch said := strings.TrimSpace(probe.Output); {
		case said == "":
		case !strings.HasPrefix(said, "OCI runtime exec failed"):
			return probe
		case strings.TrimSpace(best.Output) == "":
			best = probe
		}
	}
	return best
}

// An error quotes so many log lines, and so much of them in bytes.
const (
	lastLines = 20
	lastBytes = 4 << 10
)

// tail returns a container's last log lines, redacted; none if they can't be read.
func (a *App) tail(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	r, err := a.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lastLines)})
	if err != nil {
		return ""
	}
	defer r.Close()
	b := &tailBuffer{limit: 16 * lastBytes}             // redacted before it is cut: half a secret would not be known
	if _, err := stdcopy.StdCopy(b, b, r); err != nil { // a TTY's stream has no headers
		io.Copy(b, r)
	}
	said := a.Redact(strings.TrimRight(string(b.last()), "\n"))
	return said[max(0, len(said)-lastBytes):]
}

// updateFailed reads what Swarm says of the update in flight.
func (w *watch) updateFailed(g goal, svc swarm.Service, tasks []swarm.Task) *failure {
	f := &failure{service: g.service, task: newest(tasks, failedTask)}
	if svc.Spec.Labels[labelSpec] != g.spec {
		f.back = true // the service has its former spec again
	}
	if svc.UpdateStatus == nil {
		if f.back {
			f.reason = "somebody else changed the service"
			f.infra = true
			return f
		}
		return nil
	}
	switch svc.UpdateStatus.State {
	case swarm.UpdateStatePaused:
		if !w.ran[g.id] && g.finished(tasks) {
			return nil // Swarm takes any end while it watches an update for a failure
		}
		f.back = f.back || slices.ContainsFunc(tasks, func(t swarm.Task) bool { return alive(t) && !g.current(t) })
		f.reason = "update paused"
	case swarm.UpdateStateRollbackPaused:
		f.back, f.reason = true, "rollback paused"
	case swarm.UpdateStateRollbackCompleted:
		f.back, f.reason = true, "rolled back"
	default:
		return nil // also rollback_started: it is on its way to one of the above
	}
	if svc.UpdateStatus.Message != "" {
		f.reason += " (" + svc.UpdateStatus.Message + ")"
	}
	return f
}

// unplaceable fails for what no waiting mends: Swarm or the engine can't run a
// task, whatever is in its image.
func (w *watch) unplaceable(g goal, tasks []swarm.Task, now time.Time) *failure {
	if len(tasks) == 0 {
		return nil
	}
	t := tasks[0]
	if !g.current(t) {
		return nil
	}
	if died(t) && machineFault(t.Status.Err) {
		return &failure{service: g.service, reason: t.Status.Err, infra: true, task: &t}
	}
	if t.Status.State != swarm.TaskStatePending || t.Status.Err == "" {
		return nil
	}
	since, ok := w.stuck[t.ID]
	if !ok {
		w.stuck[t.ID] = now
		return nil
	}
	if now.Sub(since) < patience {
		return nil
	}
	return &failure{service: g.service, reason: "task has no place: " + t.Status.Err, infra: true}
}

// machineFault tells errors of the engine from those of a program: they are
// all that Docker gives.
func machineFault(text string) bool {
	text = strings.ToLower(text)
	for _, s := range []string{
		"no such image", "no space left on device", "port is already allocated", "address already in use",
		"no suitable node", "non-overlapping", "could not find an available", "cannot allocate memory",
		"disk quota exceeded", "too many open files", "read-only file system", "error creating overlay mount",
		"network sandbox", "cannot connect to the docker daemon", "no such network",
	} {
		if strings.Contains(text, s) && !strings.Contains(text, "non-zero exit") {
			return true
		}
	}
	return false
}

// nothingComing fails once Swarm has given up on a service: fewer tasks than
// wanted, and none on its way, for longer than it needs to make one.
func (w *watch) nothingComing(g goal, ready, coming, old int, updating bool, tasks []swarm.Task, now time.Time) *failure {
	last := newest(tasks, failedTask)
	if coming > 0 || old > 0 || updating || ready >= g.want || last == nil || !g.current(*last) {
		delete(w.dead, g.id)
		return nil
	}
	since, ok := w.dead[g.id]
	if !ok {
		w.dead[g.id] = now
		return nil
	}
	if now.Sub(since) < lull {
		return nil
	}
	return &failure{service: g.service, reason: "task failed and is not started again", task: last}
}

func failedTask(t swarm.Task) bool {
	return t.Status.State == swarm.TaskStateFailed || t.Status.State == swarm.TaskStateRejected
}

func newest(tasks []swarm.Task, is func(swarm.Task) bool) *swarm.Task {
	for i := range tasks {
		if is(tasks[i]) {
			return &tasks[i]
		}
	}
	return nil
}

// overdue makes the failure of a wait that ended with its time.
func (w *watch) overdue(all []standing, tasks []swarm.Task, timeout time.Duration) *failure {
	for i, s := range all {
		if s.done || i >= len(w.goals) {
			continue
		}
		f := &failure{service: w.goals[i].service, reason: fmt.Sprintf("not converged after %s: %s", timeout, s.text)}
		own := ofService(tasks, w.goals[i].id)
		if len(own) == 0 { // Swarm has not come to it
			f.infra = true
			return f
		}
		f.task, f.infra = w.blame(own)
		return f
	}
	return &failure{reason: fmt.Sprintf("not converged after %s: a removed service has not stopped", timeout), infra: true}
}

// blame picks the task that explains a wait without end: the last that failed
// since it began, else the newest. One that never got as far as running
// anything of the recipe's is the machine's fault.
func (w *watch) blame(own []swarm.Task) (*swarm.Task, bool) {
	if t := newest(own, func(t swarm.Task) bool { return failedTask(t) && !w.known[t.ID] }); t != nil {
		return t, machineFault(t.Status.Err)
	}
	switch own[0].Status.State {
	case swarm.TaskStateRunning, swarm.TaskStateStarting:
		return &own[0], false
	}
	return &own[0], !terminal(own[0])
}
