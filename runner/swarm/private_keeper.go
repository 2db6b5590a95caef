package swarm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A keeper starts processes that must not outlive this one, and holds a lock
// as long as they run.
//
// The kernel sends a process its parent-death signal when the thread that
// started it ends, and Go ends threads as it likes. So one goroutine, bound
// to its thread until close, starts them all.
type keeper struct {
	lock  *os.File
	work  chan func()
	mu    sync.Mutex
	procs map[string]*kept
}

type kept struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

func newKeeper(lock *os.File) *keeper {
	k := &keeper{lock: lock, work: make(chan func()), procs: map[string]*kept{}}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range k.work {
			f()
		}
	}()
	return k
}

// start starts cmd as name, with its output in the file log.
func (k *keeper) start(name string, cmd *exec.Cmd, log string) error {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Env = append(slices.DeleteFunc(os.Environ(), foreign), thrift)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGTERM, // dockerd ends its containers at that
		Setpgid:   true,            // else Ctrl-C reaches it before the command that uses it
	}
	started := make(chan error)
	k.work <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p := &kept{cmd, make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.procs[name] = p
	return nil
}

// thrift makes dockerd, and what it starts anew for each container, collect garbage
// less often: this engine starts and removes containers all day long, for which
// a processor is scarce, and some 100 MB of memory are not (300 MB under full load).
const thrift = "GOGC=400"

// foreign tells what of our environment is meant for us alone: dockerd would
// report to our service manager, use our temporary directory, and so on.
func foreign(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == "NOTIFY_SOCKET" || name == "TMPDIR" || name == "GOGC" || strings.HasPrefix(name, "LISTEN_") || strings.HasPrefix(name, "DOCKER_")
}

func (k *keeper) find(name string) *kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.procs[name]
}

// ended tells whether name was started and has ended.
func (k *keeper) ended(name string) bool {
	p := k.find(name)
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (k *keeper) running(name string) bool { return k.find(name) != nil && !k.ended(name) }

// endTime is how long a process may take to end once asked.
const endTime = 30 * time.Second

// end asks the process to end, waits for it, and kills it when ctx or the
// time for it is over.
func (k *keeper) end(ctx context.Context, name string) error {
	p := k.find(name)
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	timer := time.NewTimer(endTime)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s did not end when asked and was killed", name)
}

// close gives the lock back; nothing is started after it.
func (k *keeper) close() {
	close(k.work)
	k.lock.Close()
}
