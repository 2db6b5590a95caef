package swarm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
)

// startPrivate starts an engine, and proves at the end that nothing of it is left.
func startPrivate(t *testing.T, dir string, runtime ...string) (*Private, *client.Client) {
	t.Helper()
	p, err := StartPrivate(t.Context(), PrivateOptions{Dir: dir, Runtime: strings.Join(runtime, ""), Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ok(t, p.Close(context.Background()))
		nothingLeft(t, p.site)
	})
	return p, clientOf(t, p.Host())
}

type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}

func clientOf(t *testing.T, host string) *client.Client {
	t.Helper()
	c, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	ok(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nothingLeft looks for processes, mounts, cgroups, the namespace and files.
func nothingLeft(t *testing.T, s site) {
	t.Helper()
	if pids := append(s.programsLeft(), s.cgroupsLeft()...); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	ok(t, err)
	for _, what := range []string{s.data, s.run, s.netns} {
		if strings.Contains(string(mounts), what) {
			t.Errorf("something of %s is still mounted", what)
		}
	}
	gone := append(s.cgroups(), s.run, s.netnsFile())
	if s.temp {
		gone = append(gone, s.data)
	}
	for _, name := range gone {
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
}

// staticTool builds a tool for helper images.
func staticTool(t *testing.T) string {
	t.Helper()
	return buildStatic(t, "../inside/testdata/tool")
}

func buildStatic(t *testing.T, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, b)
	}
	return out
}

// deployHelper runs the helper image as a service with a volume, and waits for its task.
func deployHelper(t *testing.T, c *client.Client) {
	t.Helper()
	id, err := HelperImage(t.Context(), c, staticTool(t), "../../build/restic")
	ok(t, err)
	made, err := c.ServiceCreate(t.Context(), swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: "sleeper"},
		TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{
			Image: id, Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "kept", Target: "/volumes/kept"}},
		}},
	}, swarm.ServiceCreateOptions{})
	ok(t, err)
	awaitTask(t, c, made.ID)
}

func awaitTask(t *testing.T, c *client.Client, service string) {
	t.Helper()
	ok(t, poll(t.Context(), time.Minute, func(ctx context.Context) error {
		tasks, err := c.TaskList(ctx, swarm.TaskListOptions{})
		if err != nil {
			return err
		}
		for _, task := range tasks {
			if task.ServiceID == service && task.Status.State == swarm.TaskStateRunning {
				return nil
			}
		}
		return fmt.Errorf("no task runs: %+v", tasks)
	}))
}

func TestPrivateEngine(t *testing.T) {
	t.Parallel()
	p, c := startPrivate(t, "")
	if again := siteOf(p.site.data, true); again != p.site {
		t.Errorf("site %+v is not derived from its directory: %+v", p.site, again)
	}
	deployHelper(t, c)
	if len(p.site.cgroupsLeft()) == 0 {
		t.Error("the task's processes are not where a killed engine's are looked for")
	}
	noWayToLoopback(t, p)
	ok(t, p.Close(context.Background()))
	ok(t, p.Close(context.Background())) // again is fine
	nothingLeft(t, p.site)
}

// noWayToLoopback asks this machine's loopback from the engine's network, by
// the address that slirp4netns has for it.
func noWayToLoopback(t *testing.T, p *Private) {
	t.Helper()
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	gateway := strings.TrimSuffix(slirpDNS, "3") + "2"
	request := fmt.Sprintf(`{"method":%q,"params":[{"url":%q,"hosts":[%q]}],"id":1}`, runner.AskMethod, strings.Replace(srv.URL, "127.0.0.1", gateway, 1), gateway)
	cmd := exec.CommandContext(t.Context(), "nsenter", "--net="+p.site.netnsFile(), staticTool(t), "inside", "ask")
	cmd.Stdin = strings.NewReader(request)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"error":"Get `) || !strings.Contains(string(out), "dial tcp "+gateway) {
		t.Errorf("asking the machine's loopback at %s: %v: %s, want no connection", gateway, err, out)
	}
}

// The data root outlasts the engine: volumes, images, and the swarm. The next one
// may start containers with another runtime.
func TestPrivateEngineKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data root") // blanks are fine
	p, c := startPrivate(t, dir)
	deployHelper(t, c)
	before, err := c.Info(t.Context())
	ok(t, err)
	ok(t, p.Close(context.Background()))
	nothingLeft(t, p.site)

	p, c = startPrivate(t, dir, "crun")
	after, err := c.Info(t.Context())
	ok(t, err)
	if runtime := after.Runtimes[after.DefaultRuntime]; before.DefaultRuntime != "runc" || !strings.HasSuffix(runtime.Path, "/crun") {
		t.Errorf("containers were started with %s, and are now with %+v", before.DefaultRuntime, runtime)
	}
	if before.Swarm.NodeID != after.Swarm.NodeID {
		t.Errorf("node %s became %s", before.Swarm.NodeID, after.Swarm.NodeID)
	}
	if _, err := c.VolumeInspect(t.Context(), "kept"); err != nil {
		t.Error(err)
	}
	services, err := c.ServiceList(t.Context(), swarm.ServiceListOptions{})
	ok(t, err)
	awaitTask(t, c, services[0].ID)
	ok(t, p.Close(context.Background()))
	nothingLeft(t, p.site)
}

func TestPrivateEngineInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	startPrivate(t, dir)
	_, err := StartPrivate(t.Context(), PrivateOptions{Dir: dir})
	if want := fmt.Sprintf("%q is in use by process %d", dir, os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second engine on the same directory: %v, want %q", err, want)
	}
}

// An engine ends with the process that started it, also by SIGKILL, and the
// next start on its directory clears what no process could.
func TestPrivateEngineEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	parent := exec.Command(buildStatic(t, "./testdata/private"), dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	ok(t, err)
	ok(t, parent.Start())
	t.Cleanup(func() { parent.Process.Kill() })
	host, err := bufio.NewReader(out).ReadString('\n')
	ok(t, err)
	deployHelper(t, clientOf(t, strings.TrimSpace(host)))
	s := siteOf(dir, false)
	running := s.programsLeft()
	if len(running) < 3 {
		t.Fatalf("only processes %v of a running engine were found", running)
	}

	ok(t, parent.Process.Kill())
	parent.Wait()
	ok(t, poll(t.Context(), 40*time.Second, func(context.Context) error {
		if left := append(s.programsLeft(), s.cgroupsLeft()...); len(left) > 0 {
			return fmt.Errorf("processes %v are left; dockerd's last lines:\n%s", left, tail(s.log(), 30))
		}
		return nil
	}))
	if _, err := os.Stat(s.netnsFile()); err != nil {
		t.Errorf("no leftover to clear: %v", err)
	}
	_, c := startPrivate(t, dir)
	if _, err := c.VolumeInspect(t.Context(), "kept"); err != nil {
		t.Error(err)
	}
}

// The kernel may tell the engine many times that its parent is gone: once for each
// thread. dockerd hears it once, and ends its containers.
func TestPrivateEngineToldOftenToEnd(t *testing.T) {
	t.Parallel()
	p, c := startPrivate(t, "")
	deployHelper(t, c)
	engine := p.procs.find("dockerd")
	for ended := false; !ended; {
		engine.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-engine.done:
			ended = true
		case <-time.After(time.Millisecond): // two at once would be one
		}
	}
	if left := p.site.cgroupsLeft(); len(left) > 0 {
		t.Errorf("containers' processes %v outlived dockerd; its last lines:\n%s", left, tail(p.site.log(), 5))
	}
}

// dockerd is killed under its containers: Close ends those as well.
func TestPrivateEngineWhoseDockerdDied(t *testing.T) {
	t.Parallel()
	p, c := startPrivate(t, "")
	deployHelper(t, c)
	pid, err := os.ReadFile(filepath.Join(p.site.run, "dockerd.pid"))
	ok(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	ok(t, err)
	ok(t, syscall.Kill(n, syscall.SIGKILL))
	<-p.procs.find("dockerd").done
	if len(p.site.cgroupsLeft()) == 0 {
		t.Fatal("the container died with dockerd: nothing is tested")
	}
	ok(t, p.Close(context.Background()))
	nothingLeft(t, p.site)
}

// A start that fails tells what dockerd said, and leaves nothing.
func TestPrivateEngineThatCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ok(t, os.WriteFile(filepath.Join(dir, "docker"), nil, 0o600)) // in the place of the data root
	_, err := StartPrivate(t.Context(), PrivateOptions{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "canonical path points to a file") {
		t.Errorf("got %v, want dockerd's last lines", err)
	}
	nothingLeft(t, siteOf(dir, false))
}

func TestPrivateEngineInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := StartPrivate(ctx, PrivateOptions{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	nothingLeft(t, siteOf(dir, false))
}

// The throw-away engines of dead processes go when the next one starts, those
// of living ones stay.
func TestSweep(t *testing.T) {
	dead, err := os.MkdirTemp(privateVar, tempPrefix)
	ok(t, err)
	alive, err := os.MkdirTemp(privateVar, tempPrefix)
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(alive) })
	lock, err := siteOf(alive, true).lock()
	ok(t, err)
	defer lock.Close()
	startPrivate(t, "")
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s of nobody is still there (%v)", dead, err)
	}
	if _, err := os.Stat(alive); err != nil {
		t.Errorf("the directory of a living engine: %v", err)
	}
}

func TestPrivateRequirements(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := StartPrivate(t.Context(), PrivateOptions{})
	missing := new(RequirementError)
	if !errors.As(err, &missing) || !slices.Contains(missing.Missing, "nsenter") {
		t.Fatalf("got %v, want a RequirementError that names nsenter", err)
	}
	if !strings.HasPrefix(missing.Hint(), "apt-get install docker.io") {
		t.Errorf("hint %q", missing.Hint())
	}
	_, err = StartPrivate(t.Context(), PrivateOptions{Runtime: "crun"})
	if !errors.As(err, &missing) || !slices.Contains(missing.Missing, "crun") || !strings.HasSuffix(missing.Hint(), " crun") {
		t.Errorf("without its runtime: %v, hint %q", err, missing.Hint())
	}
	if hint := (&RequirementError{[]string{"root"}}).Hint(); hint != "run it as root" {
		t.Errorf("hint %q", hint)
	}
}

func TestCopyImage(t *testing.T) {
	t.Parallel()
	_, from := startPrivate(t, "")
	_, to := startPrivate(t, "")
	id, err := HelperImage(t.Context(), from, staticTool(t), "../../build/restic")
	ok(t, err)
	img, err := from.ImageInspect(t.Context(), id)
	ok(t, err)
	ok(t, CopyImage(t.Context(), from, to, img.RepoTags[0]))
	copied, err := to.ImageInspect(t.Context(), img.RepoTags[0])
	ok(t, err)
	if copied.ID != id {
		t.Errorf("image %s became %s", id, copied.ID)
	}
	err = CopyImage(t.Context(), from, to, "ccci/none:1")
	if err == nil || !strings.Contains(err.Error(), `"ccci/none:1"`) {
		t.Errorf("copy of no image: %v", err)
	}
}

func TestHelperImage(t *testing.T) {
	_, c := startPrivate(t, "")
	tool := staticTool(t)
	id, err := HelperImage(t.Context(), c, tool, "../../build/restic")
	ok(t, err)
	again, err := HelperImage(t.Context(), c, tool, "../../build/restic")
	ok(t, err)
	if again != id {
		t.Errorf("image %s was not used again: %s", id, again)
	}
	for _, argv := range [][]string{{"/restic", "version"}, {"/abra-ccci", "inside", "stat", "/", "tmp"}, {"/abra-ccci", "inside", "stat", "/", "volumes"}} {
		out, err := RunOnce(t.Context(), c, id, argv)
		if err != nil || out.Exit != 0 {
			t.Errorf("%q in the image: %+v, %v", argv, out, err)
		}
	}
	t.Run("another tool, another image", func(t *testing.T) {
		b, err := os.ReadFile(tool)
		ok(t, err)
		other := filepath.Join(t.TempDir(), "tool")
		ok(t, os.WriteFile(other, append(b, 0), 0o755))
		id2, err := HelperImage(t.Context(), c, other, "../../build/restic")
		if err != nil || id2 == id {
			t.Errorf("image %s, %v for another tool than %s", id2, err, id)
		}
	})
	t.Run("other builds", func(t *testing.T) { dropsOtherBuilds(t, c, tool, id) })
	t.Run("removed meanwhile", func(t *testing.T) { buildsItAgain(t, c, id) })
	t.Run("restic", func(t *testing.T) { helperFindsRestic(t, c, tool) })
}

// helperFindsRestic tries the places one by one; the tool stands alone.
func helperFindsRestic(t *testing.T, c *client.Client, tool string) {
	t.Setenv("PATH", t.TempDir())
	_, err := HelperImage(t.Context(), c, tool, "")
	wantHint(t, err, "make build/restic")

	ok(t, os.Symlink("/bin/ls", filepath.Join(os.Getenv("PATH"), "restic")))
	_, err = HelperImage(t.Context(), c, tool, "")
	wantHint(t, err, "make build/restic")
	if err != nil && !strings.Contains(err.Error(), "dynamically linked") {
		t.Errorf("%v does not say why the one in PATH will not do", err)
	}

	importFile(t, c, "restic/restic:test", "usr/bin/restic", "../../build/restic")
	fromImage, err := HelperImage(t.Context(), c, tool, "")
	ok(t, err)
	given, err := HelperImage(t.Context(), c, tool, "../../build/restic")
	ok(t, err)
	if fromImage != given {
		t.Error("the restic out of the image is another one")
	}
	left, err := c.ContainerList(t.Context(), container.ListOptions{All: true})
	ok(t, err)
	if len(left) > 0 {
		t.Errorf("containers are left: %+v", left)
	}

	_, err = c.ImageRemove(t.Context(), "restic/restic:test", image.RemoveOptions{Force: true})
	ok(t, err)
	content, err := os.ReadFile("../../build/restic")
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(filepath.Dir(tool), "restic"), content, 0o755))
	beside, err := HelperImage(t.Context(), c, tool, "")
	if err != nil || beside != given {
		t.Errorf("restic beside the tool: %s, %v", beside, err)
	}
}

func wantHint(t *testing.T, err error, hint string) {
	t.Helper()
	infra := new(runner.InfraError)
	if !errors.As(err, &infra) || infra.Hint != hint {
		t.Errorf("got %v, want the hint %q", err, hint)
	}
}

// importFile imports an image that holds one file.
func importFile(t *testing.T, c *client.Client, ref, name, file string) {
	t.Helper()
	dir := t.TempDir()
	ok(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
	b, err := os.ReadFile(file)
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(dir, name), b, 0o755))
	cmd := exec.Command("/bin/tar", "-C", dir, "-c", ".")
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	r, err := c.ImageImport(t.Context(), image.ImportSource{Source: out, SourceName: "-"}, ref, image.ImportOptions{})
	ok(t, err)
	_, err = io.Copy(io.Discard, r)
	ok(t, errors.Join(err, r.Close(), cmd.Wait()))
}

func TestDynamicToolIsRefused(t *testing.T) {
	_, err := HelperImage(t.Context(), clientOf(t, "unix:///nowhere"), "/bin/ls", "")
	if err == nil || !strings.Contains(err.Error(), "dynamically linked") {
		t.Errorf("got %v", err)
	}
	wantHint(t, err, "build it static: CGO_ENABLED=0 go build -o build/abra-ccci ./cmd/abra-ccci")
	_, err = HelperImage(t.Context(), clientOf(t, "unix:///nowhere"), "private_test.go", "")
	if err == nil || !strings.Contains(err.Error(), "not a Linux program") {
		t.Errorf("got %v", err)
	}
}
