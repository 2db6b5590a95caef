package swarm

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"coopcloud.tech/abra-ccci/runner"
)

const serveOnly = "version: '3.8'\nservices: {app: {image: IMAGE, command: [serve, -say, hello, -body, BODY]}}\n"

func TestExec(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	t.Run("split output, stdin, exit status", func(t *testing.T) {
		out, err := r.Exec(r.ctx, "app", runner.Command{Argv: []string{"/app", "both", "3", "to", "stderr"}, Stdin: "in\n"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(runner.Output{Exit: 3, Stdout: []byte("in\n"), Stderr: []byte("to stderr")}, out); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		for _, want := range []string{`exec in app: ["/app" "both" "3"`, "exit 3", "to stderr"} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("step log lacks %q", want)
			}
		}
	})
	t.Run("output is bounded", func(t *testing.T) {
		if out := r.exec("app", "/app", "spill"); len(out.Stdout) != runner.MaxOutput || out.Exit != 0 {
			t.Errorf("%d bytes, exit %d", len(out.Stdout), out.Exit)
		}
	})
	t.Run("not executable", func(t *testing.T) {
		if out := r.exec("app", "/nothing"); out.Exit != 127 && out.Exit != 126 {
			t.Errorf("exit %d, want 126 or 127", out.Exit)
		}
	})
	t.Run("no such service", func(t *testing.T) {
		if _, err := r.Exec(r.ctx, "nobody", runner.Command{Argv: []string{"x"}}); !errors.Is(err, ErrNoService) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("killed with its children when the context ends", func(t *testing.T) {
		// The context ends as soon as the command's grandchild is there.
		ctx, cancel := context.WithCancel(r.ctx)
		failed := make(chan error, 1)
		go func() {
			_, err := r.Exec(ctx, "app", runner.Command{Argv: []string{"/app", "spin", "a"}})
			failed <- err
		}()
		r.until(func() bool { return strings.Count(string(r.exec("app", "/app", "ps").Stdout), "spin") == 3 })
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "killed") {
			t.Errorf("error is %v", err)
		}
		if ps := string(r.exec("app", "/app", "ps").Stdout); strings.Contains(ps, "spin") || !strings.Contains(ps, "serve") {
			t.Errorf("processes left:\n%s", ps)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
		defer cancel()
		_, err := r.Exec(ctx, "app", runner.Command{Argv: []string{"/app", "spin", "a"}})
		if infra := new(runner.InfraError); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &infra) {
			t.Errorf("error is %v", err)
		}
	})
}

// until asks after every event of the engine.
func (r *rig) until(holds func() bool) {
	r.t.Helper()
	if err := r.bus.until(r.ctx, func() (bool, time.Duration, error) { return holds(), 0, nil }); err != nil {
		r.t.Fatal(err)
	}
}

func TestExecWithoutTask(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("version: '3.8'\nservices: {app: {image: IMAGE, command: [serve], deploy: {replicas: 0}}}\n")
	ctx, cancel := context.WithTimeout(r.ctx, 200*time.Millisecond)
	defer cancel()
	_, err := r.Exec(ctx, "app", runner.Command{Argv: []string{"/app", "ps"}})
	if !errors.Is(err, ErrNoTask) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	if _, err := r.Ask(ctx, "app", runner.Request{URL: "http://localhost:8080/"}); !errors.Is(err, ErrNoTask) {
		t.Errorf("error is %v", err)
	}
}

func TestExecWhenTheContainerDies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(`
version: "3.8"
services: {app: {image: IMAGE, command: [serve], deploy: {restart_policy: {delay: 500ms}}}}
`)
	first := r.observe().Tasks[0].ID
	if _, err := r.Exec(r.ctx, "app", runner.Command{Argv: []string{"/app", "stop"}}); !errors.Is(err, ErrDied) {
		t.Fatalf("error is %v, want ErrDied", err)
	}
	r.exec("app", "/app", "ps") // waits for the next task
	if o := r.observe(); len(o.Tasks) != 1 || o.Tasks[0].ID == first {
		t.Errorf("tasks are %v", o.Tasks)
	}
}

// The container may also end between the making of an exec and its start.
func TestExecWhenTheContainerHasDied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	p := &process{app: r.App, argv: []string{"/app", "ps"}, stdout: io.Discard, stderr: io.Discard}
	id, err := r.begin(r.ctx, "app", p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Exec(r.ctx, "app", runner.Command{Argv: []string{"/app", "stop"}}); !errors.Is(err, ErrDied) {
		t.Fatalf("error is %v, want ErrDied", err)
	}
	r.until(func() bool { return r.ended(r.ctx, id) })
	if _, err := p.run(r.ctx); !errors.Is(err, ErrDied) {
		t.Errorf("error is %v, want ErrDied", err)
	}
}

// So may it have ended though the engine does not know yet, and tries to start it.
func TestExecBeforeTheEngineKnows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	p := &process{app: r.App, argv: []string{"/app", "ps"}, stdout: io.Discard, stderr: io.Discard}
	if _, err := r.begin(r.ctx, "app", p); err != nil {
		t.Fatal(err)
	}
	r.kill("app")
	if exit, err := p.run(r.ctx); !errors.Is(err, ErrDied) {
		t.Errorf("exit %d, error %v; want ErrDied", exit, err)
	}
}

// kill kills the first process of a service's container behind the engine's
// back, and returns once it is dead.
func (r *rig) kill(service string) {
	r.t.Helper()
	task, err := r.current(r.ctx, service)
	if err != nil {
		r.t.Fatal(err)
	}
	pid := task.Status.ContainerStatus.PID
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		r.t.Fatalf("process %d of the engine's: %v", pid, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		r.t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
		r.t.Fatal(err)
	}
}

// In the moment in which a container has ended and the engine does not know
// yet, its service does not stand: a miss is not believed then.
func TestStandingBeforeTheEngineKnows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	if st, err := r.Standing(r.ctx); err != nil || len(st.Down) > 0 {
		t.Fatalf("%v, %v", st.Down, err)
	}
	r.kill("app")
	if st, err := r.Standing(r.ctx); err != nil || len(st.Down) != 1 {
		t.Errorf("down: %v, %v", st.Down, err)
	}
}

func TestStacksDoNotAnswerForEachOther(t *testing.T) {
	t.Parallel()
	one, two := newRig(t), newRig(t)
	one.deploy(strings.Replace(serveOnly, "BODY", "one", 1))
	two.deploy(strings.Replace(serveOnly, "BODY", "two", 1))
	for want, r := range map[string]*rig{"one": one, "two": two} {
		for _, url := range []string{"http://localhost:8080/", "http://app:8080/", "http://tasks.app:8080/"} {
			resp, err := r.Ask(r.ctx, "app", runner.Request{URL: url})
			if err != nil || resp.Status != 200 || string(resp.Body) != want {
				t.Errorf("%s answers %d %q, %v; want %q", url, resp.Status, resp.Body, err, want)
			}
		}
	}
	if err := one.Undeploy(one.ctx, runner.Removal{Volumes: true, Secrets: true}); err != nil {
		t.Fatal(err)
	}
	if o := two.observe(); len(o.Tasks) != 1 || o.Tasks[0].State != "running" {
		t.Errorf("the other stack has tasks %v", o.Tasks)
	}
	two.exec("app", "/app", "ps")
}

func TestAskSaysWhatFailed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	_, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:1/"})
	if infra := new(runner.InfraError); err == nil || errors.As(err, &infra) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error is %v", err)
	}
	if err := r.Restart(r.ctx); err != nil {
		t.Fatal(err)
	}
	if resp, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/"}); err != nil || resp.Status != 200 {
		t.Errorf("after a restart: %v, %v", resp, err)
	}
}

// What is not answered in time is ended, and with it the helper that asked.
func TestAskThatOverstays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
	defer cancel()
	_, err := r.Ask(ctx, "app", runner.Request{URL: "http://localhost:8080/never"})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("error is %v", err)
	}
	if left := r.askers(); len(left) > 0 {
		t.Errorf("helpers %v are left", left)
	}
	if resp, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/"}); err != nil || resp.Status != 200 {
		t.Errorf("after it: %v, %v", resp, err)
	}
}

// Somebody may remove a helper while it asks. The next question gets another.
func TestAskWhenTheHelperDies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	asked := make(chan error, 1)
	go func() {
		_, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/never"})
		asked <- err
	}()
	r.until(func() bool { return len(r.askers()) == 1 })
	if err := r.removeContainer(r.ctx, r.askers()[0]); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; !errors.Is(err, ErrDied) {
		t.Errorf("error is %v, want ErrDied", err)
	}
	if resp, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/"}); err != nil || resp.Status != 200 {
		t.Errorf("after it: %v, %v", resp, err)
	}
}

// A helper ends by itself when nobody can ask it any more, as when the tool was killed.
func TestAskerEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	if _, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/"}); err != nil {
		t.Fatal(err)
	}
	if n := len(r.askers()); n != 1 {
		t.Fatalf("%d helpers ask", n)
	}
	r.peers.forget()
	r.until(func() bool { return len(r.askers()) == 0 })
}

// askers are the helpers that run and ask.
func (r *rig) askers() (ids []string) {
	r.t.Helper()
	list, err := r.cli.ContainerList(r.ctx, container.ListOptions{Filters: filters.NewArgs(
		filters.Arg("label", LabelRun+"="+r.RunID), filters.Arg("label", labelRole+"=ask"))})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestLogsReachTheSinkWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(`
version: "3.8"
services:
  app: {image: IMAGE, command: [serve, -say, hello]}
  brief: {image: IMAGE, command: [serve, -say, "here and gone", -exit, "0"], deploy: {restart_policy: {condition: none}}}
`)
	if err := r.Undeploy(r.ctx, runner.Removal{}); err != nil {
		t.Fatal(err)
	}
	if got := r.said("app"); got != "hello\ngood bye\n" {
		t.Errorf("app said %q", got)
	}
	if got := r.said("brief"); got != "here and gone\n" {
		t.Errorf("brief said %q", got)
	}
	if gaps := r.LogGaps(); len(gaps) > 0 {
		t.Errorf("gaps: %v", gaps)
	}
}

func TestOutsideVolumes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(`
version: "3.8"
services:
  app:
    image: VOLUMEIMAGE
    command: [serve, -write, "/data/kept,/state/db/a,/state/db/b,/tmp/scratch,/run/pid"]
    volumes: ["data:/data", {type: tmpfs, target: /cache}, {type: tmpfs, target: /run/x}, {type: volume, target: /anon}]
volumes: {data: {}}
`)
	want := []runner.Outside{
		{Service: "app", Kind: "anonymous volume", Path: "/anon"},
		{Service: "app", Kind: "anonymous volume", Path: "/hidden"},
		{Service: "app", Kind: "layer", Path: "/state", Count: 3},
		{Service: "app", Kind: "tmpfs", Path: "/cache"},
	}
	got, err := r.Outside(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
