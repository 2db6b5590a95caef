package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	id := t.Status.ContainerStatus.ContainerID
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
	last := c.State.Health.Log[len(c.State.Health.Log)-1]
	return fmt.Sprintf("exit %d: %s", last.ExitCode, strings.TrimSpace(last.Output))
}

// lastLines is how many log lines an error quotes.
const lastLines = 20

// tail returns a container's last log lines; none if they can't be read.
func (a *App) tail(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := a.cli.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lastLines)})
	if err != nil {
		return ""
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := stdcopy.StdCopy(&b, &b, r); err != nil { // a TTY's stream has no headers
		io.Copy(&b, r)
	}
	return strings.TrimRight(b.String(), "\n")
}
