package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// closeTime is what a private engine has to end; what runs in it then is killed.
const closeTime = 30 * time.Second

// engineCommand starts private engines for other programs.
func engineCommand(e *env) *cobra.Command {
	parent := &cobra.Command{
		Use:   "engine",
		Short: "a private Docker engine with a swarm, for one command",
	}
	var data, runtime string
	run := &cobra.Command{
		Use:   "run [--data DIR] -- COMMAND [ARG...]",
		Short: "run a command with DOCKER_HOST set to a private engine",
		Long: `run starts a Docker engine of its own beside whatever else is on the machine
(own dockerd and containerd, own network namespace, a swarm of one node), runs
COMMAND with DOCKER_HOST set to it, and exits with the status of COMMAND. The
engine and all that runs in it end with COMMAND, whatever happens. Needs root.`,
		Example: "  abra-ccci engine run -- docker node ls",
		Args:    commandAfterDash,
		RunE: func(cmd *cobra.Command, argv []string) error {
			return e.runInEngine(cmd.Context(), swarm.PrivateOptions{Dir: data, Runtime: runtime, Log: e.stderr}, argv)
		},
	}
	run.Flags().StringVar(&data, "data", "", "keep images, volumes and the swarm in this `directory` (default: a temporary one)")
	run.Flags().StringVar(&runtime, "runtime", "", "start containers with this OCI runtime `PROGRAM`, as crun (default: the engine's own)")
	run.Flags().SetInterspersed(false)
	parent.AddCommand(run)
	return parent
}

func commandAfterDash(_ *cobra.Command, argv []string) error {
	if len(argv) == 0 {
		return &usageError{errors.New("engine run: no command after --")}
	}
	return nil
}

func (e *env) runInEngine(ctx context.Context, o swarm.PrivateOptions, argv []string) (err error) {
	p, err := swarm.StartPrivate(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if closeErr := p.Close(end); closeErr != nil {
			fmt.Fprintf(e.stderr, "abra-ccci: warning: %s\n", runner.Printable(closeErr.Error()))
		}
	}()
	return e.runForwarding(argv, append(withoutDocker(os.Environ()), "DOCKER_HOST="+p.Host()))
}

// withoutDocker drops what would lead a Docker client to another engine.
func withoutDocker(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION"}, name)
	})
}

// runForwarding runs a command, passes on the signals that come meanwhile,
// and ends with its status.
func (e *env) runForwarding(argv, environ []string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, forwarded(e.stdin)...)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			cmd.Process.Signal(s)
		case err := <-ended:
			return statusOf(cmd, err)
		}
	}
}

// forwarded are the signals to pass on. At a terminal Ctrl-C reaches the
// command by itself, and twice would mean "at once" to many.
func forwarded(stdin io.Reader) []os.Signal {
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return []os.Signal{syscall.SIGTERM, syscall.SIGHUP}
	}
	return []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT}
}

// statusOf is a command's exit status as a shell tells it, also for one that
// a signal ended.
func statusOf(cmd *exec.Cmd, err error) error {
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		return err
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return codeError(128 + int(ws.Signal()))
	}
	return codeError(exit.ExitCode())
}
