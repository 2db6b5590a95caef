package swarm

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/pkg/stdcopy"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// A helper is what a container from the helper image is to be.
type helper struct {
	role      string // what it is there for, as its label says
	argv, env []string
	stdin     bool // it reads what is attached, and hears of its end
	host      *container.HostConfig
}

// createHelper makes a container from the helper image. It is no part of the
// stack, but carries the run's labels.
func (a *App) createHelper(ctx context.Context, h helper) (string, error) {
	if a.Helper.Image == "" {
		return "", &runner.InfraError{Op: "start a helper container", Err: fmt.Errorf("there is no helper image")}
	}
	h.host.LogConfig = container.LogConfig{Type: "none"}
	config := &container.Config{
		Image: a.Helper.Image, Entrypoint: h.argv[:1], Cmd: h.argv[1:], Env: h.env,
		User: "0:0", WorkingDir: "/", AttachStdout: true, AttachStderr: true,
		AttachStdin: h.stdin, OpenStdin: h.stdin, StdinOnce: h.stdin,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels:      a.mark(map[string]string{labelStack: a.Stack, labelRole: h.role}),
	}
	made, err := a.cli.ContainerCreate(ctx, config, h.host, nil, nil, "")
	if cerrdefs.IsNotFound(err) && strings.Contains(err.Error(), "image") && a.Helper.Again != nil {
		if config.Image, err = a.Helper.Again(ctx); err == nil {
			made, err = a.cli.ContainerCreate(ctx, config, h.host, nil, nil, "")
		}
	}
	return made.ID, fault(ctx, "create a helper container", err)
}

// startHelper starts a helper that stays up until it is removed.
func (a *App) startHelper(ctx context.Context, h helper) (string, error) {
	id, err := a.createHelper(ctx, h)
	if err != nil {
		return "", err
	}
	if err := a.cli.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		a.discard(ctx, id)
		return "", fault(ctx, "start a helper container", err)
	}
	return id, nil
}

// discard removes a helper, whether or not ctx has ended.
func (a *App) discard(ctx context.Context, id string) error {
	late, cancel := runner.Outlast(ctx, killTime)
	defer cancel()
	return a.removeContainer(late, id)
}

// runHelper runs one command in a helper of its own.
func (a *App) runHelper(ctx context.Context, role string, argv []string, host *container.HostConfig) (runner.Output, error) {
	id, err := a.createHelper(ctx, helper{role: role, argv: argv, host: host})
	if err != nil {
		return runner.Output{}, err
	}
	defer a.discard(ctx, id)
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
