package swarm

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// Ask implements runner.Tasks, with a helper container in the task's network:
// whatever the app's image holds, and although the stack's networks can't be
// attached to.
func (a *App) Ask(ctx context.Context, service string, r runner.Request) (runner.Response, error) {
	log := runner.StepLog(ctx)
	fmt.Fprintf(log, "ask in the network of %s: %s\n", service, r.URL)
	resp, err := a.ask(ctx, service, r)
	if err != nil {
		err = fmt.Errorf("ask %s in %s: %w", r.URL, service, err)
		fmt.Fprintf(log, "error: %v\n", err)
		return resp, err
	}
	fmt.Fprintf(log, "status %d\n", resp.Status)
	logOutput(log, "body", resp.Body)
	return resp, nil
}

func (a *App) ask(ctx context.Context, service string, r runner.Request) (runner.Response, error) {
	p, err := a.reach(ctx, service)
	if err != nil {
		return runner.Response{}, err
	}
	var resp runner.Response // the goroutine's until it has answered
	answered := make(chan error, 1)
	go func() { answered <- p.client.Call(runner.AskMethod, r, &resp) }()
	select {
	case err = <-answered:
	case <-ctx.Done():
		if err := a.drop(ctx, p); err != nil {
			return runner.Response{}, &runner.InfraError{Op: "end a request that overstayed", Err: errors.Join(err, ctx.Err())}
		}
		<-answered
		return runner.Response{}, killed(ctx.Err())
	}
	var refusal rpc.ServerError
	if err == nil || errors.As(err, &refusal) {
		return resp, err
	}
	return runner.Response{}, a.unanswered(ctx, p, err)
}

// unanswered is why a helper did not answer: it has gone, or nobody can tell.
func (a *App) unanswered(ctx context.Context, p *peer, cause error) error {
	if a.dies(ctx, p.id) {
		return ErrDied
	}
	if _, err := a.cli.ContainerInspect(ctx, p.id); err != nil {
		cause = err
	}
	return fault(ctx, "ask a helper container", cause)
}

// reach waits for a current task and returns the helper in its network.
func (a *App) reach(ctx context.Context, service string) (p *peer, err error) {
	err = a.bus.until(ctx, func() (bool, time.Duration, error) {
		t, err := a.current(ctx, service)
		if errors.Is(err, ErrNoTask) {
			runner.Waiting(ctx, "a task of "+service)
			return false, 0, nil
		}
		if err != nil {
			return false, 0, err
		}
		of := t.Status.ContainerStatus.ContainerID
		p, err = a.peer(ctx, of)
		if err != nil && ctx.Err() == nil && a.ended(ctx, of) { // it died, and Swarm does not know yet
			return false, 0, a.elsewhere(ctx, t)
		}
		return err == nil, 0, err
	})
	if err != nil && ctx.Err() != nil {
		err = a.lacking(ctx, service)
	}
	return p, err
}
