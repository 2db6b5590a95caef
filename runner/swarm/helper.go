package swarm

import (
	"context"
	"fmt"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/pkg/stdcopy"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// createHelper makes a container from the helper image. It is no part of the
// stack, but carries the run's labels.
func (a *App) createHelper(ctx context.Context, role string, argv, env []string, host *container.HostConfig) (string, error) {
	if a.Helper.Image == "" {
		return "", &runner.InfraError{Op: "start a helper container", Err: fmt.Errorf("there is no helper image")}
	}
	host.LogConfig = container.LogConfig{Type: "none"}
	config := &container.Config{
		Image: a.Helper.Image, Entrypoint: argv[:1], Cmd: argv[1:], Env: env,
		User: "0:0", WorkingDir: "/", AttachStdout: true, AttachStderr: true,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels:      a.mark(map[string]string{labelStack: a.Stack, labelRole: role}),
	}
	made, err := a.cli.ContainerCreate(ctx, config, host, nil, nil, "")
	if cerrdefs.IsNotFound(err) && strings.Contains(err.Error(), "image") && a.Helper.Again != nil {
		if config.Image, err = a.Helper.Again(ctx); err == nil {
			made, err = a.cli.ContainerCreate(ctx, config, host, nil, nil, "")
		}
	}
	return made.ID, fault(ctx, "create a helper container", err)
}

// startHelper starts a helper that stays up until it is removed.
func (a *App) startHelper(ctx context.Context, role string, env []string, host *container.HostConfig) (string, error) {
	id, err := a.createHelper(ctx, role, a.Helper.Sleep, env, host)
	if err != nil {
		return "", err
	}
	if err := a.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		late, cancel := runner.Outlast(ctx, killTime)
		defer cancel()
		a.removeContainer(late, id)
		return "", fault(ctx, "start a helper container", err)
	}
	return id, nil
}

// runHelper runs one command in a helper of its own.
func (a *App) runHelper(ctx context.Context, role string, argv []string, host *container.HostConfig) (runner.Output, error) {
	id, err := a.createHelper(ctx, role, argv, nil, host)
	if err != nil {
		return runner.Output{}, err
	}
	defer func() {
		late, cancel := runner.Outlast(ctx, killTime)
		defer cancel()
		a.removeContainer(late, id)
	}()
	conn, err := a.cli.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return runner.Output{}, fault(ctx, "attach to a helper container", err)
	}
	defer conn.Close()
	ended, failed := a.cli.ContainerWait(ctx, id, container.WaitConditionNextExit)
	if err := a.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		return runner.Output{}, fault(ctx, "start a helper container", err)
	}
	stdout, stderr := &head{limit: runner.MaxOutput}, &head{limit: runner.MaxOutput}
	copied := make(chan struct{})
	go func() {
		stdcopy.StdCopy(stdout, stderr, conn.Reader)
		close(copied)
	}()
	select {
	case e := <-ended:
		<-copied
		return runner.Output{Exit: int(e.StatusCode), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, nil
	case err := <-failed:
		return runner.Output{}, fault(ctx, "wait for a helper container", err)
	}
}

// removeContainer kills and removes a container with its anonymous volumes; it
// is no error if somebody else was faster.
func (a *App) removeContainer(ctx context.Context, id string) error {
	return removeContainer(ctx, a.cli, id)
}

// dropHelpers removes every helper container of this app.
func (a *App) dropHelpers(ctx context.Context) error {
	a.tools.forget()
	a.peers.forget()
	list, err := a.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("label", LabelRun+"="+a.RunID), filters.Arg("label", labelStack+"="+a.Stack))})
	if err != nil {
		return fault(ctx, "list helper containers", err)
	}
	var g errgroup.Group
	for _, c := range list {
		g.Go(func() error { return a.removeContainer(ctx, c.ID) })
	}
	return g.Wait()
}

// peers are helpers that live in the networks of tasks, by the task's container.
type peers struct {
	mu   sync.Mutex
	byID map[string]string
}

func (p *peers) forget() {
	p.mu.Lock()
	p.byID = nil
	p.mu.Unlock()
}

// peer returns a helper in the network of a task's container, and removes
// those of containers that have ended.
func (a *App) peer(ctx context.Context, of string) (string, error) {
	a.peers.mu.Lock()
	defer a.peers.mu.Unlock()
	if id := a.peers.byID[of]; id != "" && !a.ended(ctx, id) {
		return id, nil
	}
	for other, id := range a.peers.byID {
		if a.ended(ctx, other) {
			a.removeContainer(ctx, id)
			delete(a.peers.byID, other)
		}
	}
	id, err := a.startHelper(ctx, "ask", nil, &container.HostConfig{NetworkMode: container.NetworkMode("container:" + of)})
	if err != nil {
		return "", err
	}
	if a.peers.byID == nil {
		a.peers.byID = map[string]string{}
	}
	a.peers.byID[of] = id
	return id, nil
}
