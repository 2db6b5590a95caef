package swarm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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
	question, err := json.Marshal(r)
	if err != nil {
		return runner.Response{}, err
	}
	peer, err := a.reach(ctx, service)
	if err != nil {
		return runner.Response{}, err
	}
	answer := &head{limit: 2 * runner.MaxOutput} // the body is in base64
	complaint := &head{limit: runner.MaxOutput}
	p := &process{app: a, argv: a.Helper.Ask, mark: rand.Text(), stdin: bytes.NewReader(question), stdout: answer, stderr: complaint}
	p.kill = func(ctx context.Context) error { return a.removeContainer(ctx, peer) }
	if err := p.create(ctx, peer); err != nil {
		return runner.Response{}, fault(ctx, "create exec", err)
	}
	exit, err := p.run(ctx)
	if err != nil {
		return runner.Response{}, err
	}
	if exit != 0 {
		return runner.Response{}, fmt.Errorf("%s", bytes.TrimSpace(complaint.Bytes()))
	}
	var resp runner.Response
	if err := json.Unmarshal(answer.Bytes(), &resp); err != nil {
		return runner.Response{}, &runner.InfraError{Op: "read the helper's answer", Err: err}
	}
	return resp, nil
}

// reach waits for a current task and returns the helper in its network.
func (a *App) reach(ctx context.Context, service string) (peer string, err error) {
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
		peer, err = a.peer(ctx, of)
		if err != nil && ctx.Err() == nil && a.ended(ctx, of) { // it died, and Swarm does not know yet
			return false, 0, a.elsewhere(ctx, t)
		}
		return err == nil, 0, err
	})
	if err != nil && ctx.Err() != nil {
		err = a.lacking(ctx, service)
	}
	return peer, err
}
