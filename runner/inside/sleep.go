package inside

import (
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// sleep is the first process of a helper container. The kernel hands it every
// orphan of an exec; unless it waits for them they stay as zombies and hold
// their pids. It must be asked to end: pid 1 ignores signals that it does not
// handle. It writes "ready" once it does.
func sleep(stdout io.Writer) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGCHLD)
	defer signal.Stop(signals)
	reap() // those that ended before it listened
	if _, err := io.WriteString(stdout, "ready\n"); err != nil {
		return err
	}
	for s := range signals {
		if s != unix.SIGCHLD {
			return nil
		}
		reap()
	}
	return nil
}

// reap collects every child that has ended; one SIGCHLD can stand for many.
func reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 && err != unix.EINTR {
			return
		}
	}
}
