package swarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/pkg/stdcopy"

	"coopcloud.tech/abra-ccci/runner"
)

// Why a command did not run or did not end, beside the end of its context and
// an *runner.InfraError.
var (
	ErrNoService = errors.New("no such service in the stack")
	ErrNoTask    = errors.New("no task of it is running")
	ErrDied      = errors.New("the task's container ended meanwhile")
)

// killTime is how long ending what overstayed may take.
const killTime = 30 * time.Second

// Exec implements runner.Tasks. Every process of the command inherits the
// variable CCCI_EXEC, by which a helper in the task's process namespace finds
// and kills them when ctx ends.
func (a *App) Exec(ctx context.Context, service string, c runner.Command) (runner.Output, error) {
	log := runner.StepLog(ctx)
	fmt.Fprintf(log, "exec in %s: %q\n", service, c.Argv)
	start := time.Now()
	out, err := a.exec(ctx, service, c)
	if err != nil {
		err = fmt.Errorf("exec %q in %s: %w", c.Argv[0], service, err)
		fmt.Fprintf(log, "error after %s: %v\n", time.Since(start).Round(time.Millisecond), err)
	} else {
		fmt.Fprintf(log, "exit %d after %s\n", out.Exit, time.Since(start).Round(time.Millisecond))
	}
	logOutput(log, "stdout", out.Stdout)
	logOutput(log, "stderr", out.Stderr)
	return out, err
}

func logOutput(w io.Writer, name string, b []byte) {
	if len(b) > 0 {
		fmt.Fprintf(w, "%s:\n%s\n", name, bytes.TrimRight(b, "\n"))
	}
}

func (a *App) exec(ctx context.Context, service string, c runner.Command) (runner.Output, error) {
	if len(c.Argv) == 0 {
		return runner.Output{}, errors.New("no command")
	}
	stdout, stderr := &head{limit: runner.MaxOutput}, &head{limit: runner.MaxOutput}
	p := &process{app: a, argv: c.Argv, mark: rand.Text(), stdout: stdout, stderr: stderr}
	if c.Stdin != "" {
		p.stdin = strings.NewReader(c.Stdin)
	}
	id, err := a.begin(ctx, service, p)
	if err != nil {
		return runner.Output{}, err
	}
	p.kill = func(ctx context.Context) error { return a.killIn(ctx, id, p.mark) }
	exit, err := p.run(ctx)
	out := runner.Output{Exit: exit, Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if errors.Is(err, ErrDied) {
		err = fmt.Errorf("%w%s", err, a.lastOf(ctx, id))
	}
	return out, err
}

// What a command's exit status is, among other reasons, when its container
// ends: not even started, as engines and runtimes call it, or killed with all
// the others as the first process ended.
var withContainer = []int{126, 128, 128 + 9}

// dies tells whether a container is about to be known as ended.
func (a *App) dies(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(ctx, deathTime)
	defer cancel()
	return a.bus.until(ctx, func() (bool, time.Duration, error) { return a.ended(ctx, id), 0, nil }) == nil
}

// deathTime is how long the engine may take to notice that a container ended.
const deathTime = 3 * time.Second

// begin waits for a current task and creates the exec in its container.
func (a *App) begin(ctx context.Context, service string, p *process) (id string, err error) {
	err = a.bus.until(ctx, func() (bool, time.Duration, error) {
		t, err := a.current(ctx, service)
		if errors.Is(err, ErrNoTask) {
			runner.Waiting(ctx, "a task of "+service)
			return false, 0, nil
		}
		if err != nil {
			return false, 0, err
		}
		id = t.Status.ContainerStatus.ContainerID
		err = p.create(ctx, id)
		if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) { // it died, and Swarm does not know yet
			return false, 0, a.elsewhere(ctx, t)
		}
		return err == nil, 0, fault(ctx, "create exec", err)
	})
	if err != nil && ctx.Err() != nil {
		err = a.lacking(ctx, service)
	}
	return id, err
}

// lacking is the error of a wait for a task that ctx ended, with why there is
// none as far as the last one tells.
func (a *App) lacking(ctx context.Context, service string) error {
	cause := ctx.Err()
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	tasks, err := a.tasks(late)
	services, err2 := a.services(late)
	if errors.Join(err, err2) == nil {
		if last := newest(ofService(tasks, services[service].ID), died); last != nil {
			return fmt.Errorf("%w: %w; the last one%s", ErrNoTask, cause, a.Redact(a.lastWords(late, *last)))
		}
	}
	return fmt.Errorf("%w: %w", ErrNoTask, cause)
}

// askTime is how long finding out why something failed may take.
const askTime = 5 * time.Second

// current is the newest running task of a service that runs its present spec.
func (a *App) current(ctx context.Context, service string) (swarm.Task, error) {
	services, err := a.services(ctx)
	if err != nil {
		return swarm.Task{}, err
	}
	svc, ok := services[service]
	if !ok {
		return swarm.Task{}, ErrNoService
	}
	list, err := a.cli.TaskList(ctx, swarm.TaskListOptions{Filters: filters.NewArgs(
		filters.Arg("service", svc.ID), filters.Arg("desired-state", "running"))})
	if err != nil {
		return swarm.Task{}, fault(ctx, "list tasks", err)
	}
	g := goalOf(service, svc.ID, svc.Spec)
	var best swarm.Task
	for _, t := range list {
		if t.Status.State == swarm.TaskStateRunning && t.Status.ContainerStatus != nil && g.current(t) && t.CreatedAt.After(best.CreatedAt) {
			best = t
		}
	}
	if best.ID == "" {
		return best, ErrNoTask
	}
	return best, nil
}

// elsewhere says so if a task runs on another node, where nobody can reach it.
func (a *App) elsewhere(ctx context.Context, t swarm.Task) error {
	info, err := a.cli.Info(ctx)
	if err != nil {
		return fault(ctx, "ask the engine who it is", err)
	}
	if info.Swarm.NodeID != t.NodeID {
		return &runner.InfraError{Op: "reach a task", Err: fmt.Errorf("it runs on node %s, and this engine is node %s", t.NodeID, info.Swarm.NodeID)}
	}
	return nil
}

// ended tells whether a container is known not to run any more.
func (a *App) ended(ctx context.Context, id string) bool {
	c, err := a.cli.ContainerInspect(ctx, id)
	return cerrdefs.IsNotFound(err) || err == nil && c.State != nil && !c.State.Running
}

// killIn ends marked processes from a helper in a container's process
// namespace. Nothing is left to kill if the container has gone.
func (a *App) killIn(ctx context.Context, id, mark string) error {
	out, err := a.runHelper(ctx, "kill", slices.Concat(a.Helper.Kill, []string{mark}), &container.HostConfig{
		PidMode: container.PidMode("container:" + id),
		CapAdd:  []string{"SYS_PTRACE", "KILL"}, // to read the environment of any user's process
	})
	if a.ended(ctx, id) {
		return nil
	}
	if err == nil && out.Exit != 0 {
		err = fmt.Errorf("exit %d: %s", out.Exit, bytes.TrimSpace(out.Stderr))
	}
	return err
}

// markVariable marks the processes of one exec.
const markVariable = "CCCI_EXEC"

// A process is one exec in a container.
type process struct {
	app            *App
	argv, env      []string
	mark           string
	stdin          io.Reader
	stdout, stderr io.Writer
	kill           func(context.Context) error

	container, exec string // their ids
}

func (p *process) create(ctx context.Context, id string) error {
	made, err := p.app.cli.ContainerExecCreate(ctx, id, container.ExecOptions{
		Cmd: p.argv, Env: append([]string{markVariable + "=" + p.mark}, p.env...),
		AttachStdin: p.stdin != nil, AttachStdout: true, AttachStderr: true,
	})
	p.container, p.exec = id, made.ID
	return err
}

// run starts the process, waits for its end, and returns its exit status. If
// ctx ends or an output takes no more, the process is killed first.
func (p *process) run(ctx context.Context) (int, error) {
	conn, err := p.app.cli.ContainerExecAttach(ctx, p.exec, container.ExecAttachOptions{})
	if err != nil {
		if ctx.Err() != nil {
			return 0, p.end(ctx, nil) // it may have started all the same
		}
		if p.app.ended(ctx, p.container) { // the engine's client keeps to itself what it was refused for
			return 0, ErrDied
		}
		return 0, fault(ctx, "start exec", err)
	}
	defer conn.Close()
	copied := make(chan error, 1)
	go func() {
		_, err := stdcopy.StdCopy(p.stdout, p.stderr, conn.Reader)
		copied <- err
	}()
	if p.stdin != nil {
		go func() {
			io.Copy(conn.Conn, p.stdin)
			conn.CloseWrite()
		}()
	}
	select {
	case err := <-copied:
		if err != nil && ctx.Err() == nil {
			conn.Close() // an engine that can't get rid of output hears of no end in this container
			return 0, p.broken(ctx, err)
		}
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return 0, p.end(ctx, copied)
	}
	exit, err := p.status(ctx)
	if err == nil && slices.Contains(withContainer, exit) && p.app.dies(ctx, p.container) {
		err = ErrDied
	}
	return exit, err
}

// end kills the process and waits until it is gone.
func (p *process) end(ctx context.Context, copied <-chan error) error {
	cause := ctx.Err()
	late, cancel := runner.Outlast(ctx, killTime)
	defer cancel()
	if err := p.kill(late); err != nil {
		return &runner.InfraError{Op: "end a command that overstayed", Err: errors.Join(err, cause)}
	}
	if _, err := p.status(late); err != nil && !errors.Is(err, ErrDied) {
		return &runner.InfraError{Op: "end a command that overstayed", Err: errors.Join(err, cause)}
	}
	if copied != nil {
		select {
		case <-copied:
		case <-late.Done():
		}
	}
	return killed(cause)
}

// killed is the error of what was ended because its context had.
func killed(cause error) error {
	if errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("did not end in time and was killed: %w", cause)
	}
	return fmt.Errorf("killed: %w", cause)
}

// broken handles a stream that did not end well: the writer refused, the
// container died, or the engine went away.
func (p *process) broken(ctx context.Context, cause error) error {
	state, err := p.app.cli.ContainerExecInspect(ctx, p.exec)
	switch {
	case cerrdefs.IsNotFound(err):
		return ErrDied
	case err != nil:
		return fault(ctx, "read output", err)
	case state.Running:
		late, cancel := runner.Outlast(ctx, killTime)
		defer cancel()
		return errors.Join(fmt.Errorf("read output: %w", cause), p.kill(late))
	}
	return fmt.Errorf("read output: %w", cause)
}

// status waits for the engine to know the exit status: it closes the output
// a moment before.
func (p *process) status(ctx context.Context) (int, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		state, err := p.app.cli.ContainerExecInspect(ctx, p.exec)
		switch {
		case cerrdefs.IsNotFound(err):
			return 0, ErrDied
		case err != nil:
			return 0, fault(ctx, "read exit status", err)
		case !state.Running:
			return state.ExitCode, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// head keeps the first bytes written to it.
type head struct {
	bytes.Buffer
	limit int
	cut   bool
}

func (h *head) Write(p []byte) (int, error) {
	keep := min(len(p), h.limit-h.Len())
	h.Buffer.Write(p[:keep])
	h.cut = h.cut || keep < len(p)
	return len(p), nil
}

// tailBuffer keeps the last bytes written to it.
type tailBuffer struct {
	buf   []byte
	limit int
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*t.limit {
		t.buf = append([]byte(nil), t.last()...)
	}
	return len(p), nil
}

func (t *tailBuffer) last() []byte { return t.buf[max(0, len(t.buf)-t.limit):] }
