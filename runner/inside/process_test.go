package inside

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"coopcloud.tech/abra-ccci/runner"
)

// The marked shell has a child that hides its environment's mark; an
// unmarked one must live.
func TestKill(t *testing.T) {
	mark := fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano())
	marked := exec.Command("sh", "-c", "env -i sleep 1000 & sleep 1000 & wait")
	marked.Env = append(os.Environ(), MarkVariable+"="+mark)
	other := exec.Command("sleep", "1000")
	other.Env = append(os.Environ(), MarkVariable+"="+mark+"0")
	must(t, marked.Start())
	must(t, other.Start())
	t.Cleanup(func() { other.Process.Kill(); other.Wait() })
	ended := make(chan error)
	go func() { ended <- marked.Wait() }()
	awaitFamily(t, mark, 3)

	if got := runMain("", "kill", mark); got.exit != exitDone {
		t.Fatalf("kill: %+v", got)
	}
	<-ended
	if left := familyOf(t, mark); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process with another mark: %v", err)
	}
	if got := runMain("", "kill", mark); got.exit != exitDone {
		t.Errorf("kill with nothing to kill: %+v", got)
	}
	if got := runMain("", "kill", ""); got.exit != exitFault {
		t.Errorf("kill without a mark: %+v", got)
	}
}

func familyOf(t *testing.T, mark string) []int {
	t.Helper()
	all, err := processes("/proc", MarkVariable+"="+mark)
	must(t, err)
	return family(all, os.Getpid())
}

// awaitFamily waits until the shell has started its children.
func awaitFamily(t *testing.T, mark string, n int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(familyOf(t, mark)) != n {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes never came", n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFamily(t *testing.T) {
	all := []process{{1, 0, false}, {5, 4, false}, {4, 3, false}, {3, 1, true}, {6, 1, false}, {7, 3, true}}
	if diff := cmp.Diff([]int{5, 4, 3}, family(all, 7)); diff != "" {
		t.Errorf("family (-want +got):\n%s", diff)
	}
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, line string
		state      string
		parent     int
		ok         bool
	}{
		{"plain", "42 (sh) S 7 42 42 0", "S", 7, true},
		{"name that looks like the rest", "42 (x) Z 1 (y)) R 7 1", "R", 7, true},
		{"cut off", "42 (sh) S", "", 0, false},
		{"empty", "", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, parent, ok := parseStat(tt.line)
			if state != tt.state || parent != tt.parent || ok != tt.ok {
				t.Errorf("got %q %d %v, want %q %d %v", state, parent, ok, tt.state, tt.parent, tt.ok)
			}
		})
	}
}

// sleep is tried as the first process of a pid namespace, as in a container:
// an orphan that ends must not stay as a zombie, and SIGTERM must end it.
func TestSleepReapsAndEnds(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	cmd := exec.Command("sh", "-c", `(sh -c 'read x <&3' &); exec "$0" inside sleep 3<&-`, os.Args[0])
	cmd.ExtraFiles = []*os.File{r}
	out, err := cmd.StdoutPipe()
	must(t, err)
	startFirst(t, cmd)
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, ready); err != nil || string(ready) != "ready\n" {
		t.Fatalf("sleep wrote %q, %v", ready, err)
	}
	awaitChildren(t, cmd.Process.Pid, 1)
	must(t, errors.Join(r.Close(), w.Close())) // the orphan's read ends, and so does it
	awaitChildren(t, cmd.Process.Pid, 0)
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("sleep after SIGTERM: %v", err)
	}
}

// startFirst starts a command as the first process of a pid namespace, and kills it
// after a minute.
func startFirst(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (hint: run the tests as root)", err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); cmd.Process.Kill() })
}

// ask, too, is a first process, and ends at SIGTERM though its stdin does not.
func TestAskEnds(t *testing.T) {
	cmd := exec.Command(os.Args[0], "inside", "ask")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	startFirst(t, cmd)
	client := jsonrpc.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{out, in})
	err = client.Call(runner.AskMethod, runner.Request{URL: "http://nobody.invalid/"}, &runner.Response{})
	if refusal := rpc.ServerError(""); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "may not be asked") {
		t.Errorf("%T %[1]v", err)
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("ask after SIGTERM: %v", err)
	}
}

// awaitChildren waits until pid has n children, dead or alive.
func awaitChildren(t *testing.T, pid, n int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var got int
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, name := range tasks {
			b, _ := os.ReadFile(name)
			got += len(strings.Fields(string(b)))
		}
		if got == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d has %d children, want %d", pid, got, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// The kernel is asked by another way too: /proc/net/ip_vs is there with IPVS.
func TestIPVS(t *testing.T) {
	got := runMain("", "ipvs")
	want := exitDone
	if _, err := os.Stat("/proc/net/ip_vs"); errors.Is(err, os.ErrNotExist) {
		want = exitNo
	}
	if got.exit != want {
		t.Errorf("ipvs: %+v, want exit %d", got, want)
	}
}
