package restic

import (
	"context"
	"errors"
	"fmt"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// Hooks runs the plan's hooks of one kind, each as `sh -c` in a current task
// of its service, in the plan's order. Of the two kinds that run before
// something, the first failure stops the rest; of those that run after, all
// run, for each may put its own service back.
func (e *Engine) Hooks(ctx context.Context, p *labels.Plan, kind labels.HookKind) error {
	var failed error
	for _, h := range p.Hooks {
		if h.Kind != kind {
			continue
		}
		err := e.hook(ctx, h)
		if err != nil && (kind == labels.BackupPre || kind == labels.RestorePre) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// hookLines is how many of its last lines an error quotes of a hook.
const hookLines = 5

// hook runs one hook. Exit 126 and 127 are what Docker and shells say for a
// command, here the shell itself, that is not there.
func (e *Engine) hook(ctx context.Context, h labels.Hook) error {
	fmt.Fprintf(runner.StepLog(ctx), "%s of service %s: %s\n", h.Kind, h.Service, h.Command)
	out, err := e.tasks.Exec(ctx, h.Service, runner.Command{Argv: []string{"sh", "-c", h.Command}})
	if err != nil {
		return fmt.Errorf("service %q: %s: %w", h.Service, h.Kind, err)
	}
	fmt.Fprintf(runner.StepLog(ctx), "exit %d\n%s%s", out.Exit, out.Stdout, out.Stderr)
	if out.Exit == 0 {
		return nil
	}
	said := lastLines(append(append([]byte{}, out.Stdout...), out.Stderr...), hookLines)
	return fmt.Errorf("service %q: %s: exit %d: %s", h.Service, h.Kind, out.Exit, said)
}
