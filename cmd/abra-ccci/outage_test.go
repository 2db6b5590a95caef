package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// An outage is a bench with an engine of its own, which a test may end and
// start again.
type outage struct {
	*bench
	engine *swarm.Private
	client *client.Client
}

// It has two small disks, disk and tight, in the bench's directory: mounted
// before the engine starts, or it would not see them.
func newOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{bench: surviving(t)}
	small(t, filepath.Join(o.dir, "disk"), "16k")
	small(t, filepath.Join(o.dir, "tight"), "8m")
	p, err := swarm.StartPrivate(t.Context(), swarm.PrivateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	c, err := client.NewClientWithOpts(client.WithHost(p.Host()), client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, ref := range []string{"ccci/notes:1.0.0", "ccci/notes:1.1.0"} {
		if err := swarm.CopyImage(t.Context(), engine(t), c, ref); err != nil {
			t.Fatal(err)
		}
	}
	o.engine, o.client = p, c
	o.env = append(withoutDocker(o.env), "DOCKER_HOST="+p.Host())
	return o
}

// dockerd signals the engine's process.
func (o *outage) dockerd(s syscall.Signal) {
	o.t.Helper()
	file := filepath.Join(filepath.Dir(strings.TrimPrefix(o.engine.Host(), "unix://")), "dockerd.pid")
	text, err := os.ReadFile(file)
	if err != nil {
		o.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		o.t.Fatal(err)
	}
	if err := syscall.Kill(pid, s); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outage) halt() {
	o.t.Helper()
	if err := o.engine.Halt(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

func (o *outage) resume() {
	o.t.Helper()
	if err := o.engine.Resume(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

// oneCause checks a record of a run whose engine went away in a stage: told
// there, once, and nothing of it is the recipe's fault.
func oneCause(t *testing.T, r *runner.Results, stage, reason string) {
	t.Helper()
	whole(t, r)
	if r.Fault.Stage != stage || !strings.Contains(r.Fault.Reason, reason) {
		t.Errorf("fault %+v, want one of stage %s with %q", r.Fault, stage, reason)
	}
	told := 0
	for _, s := range r.Stages {
		for _, test := range s.Tests {
			if test.Name+": "+test.Reason == r.Fault.Reason {
				told++
			}
		}
	}
	if told != 1 {
		t.Errorf("the cause is told %d times\n%s", told, summary(r))
	}
}

// One engine, which goes away in one run after the other.
func TestEngineOutage(t *testing.T) {
	t.Parallel()
	o := newOutage(t)

	// Ended and started again: the run ends by itself, and tears down.
	again := []struct {
		id, stage, rungs string
		nth              int
		end              func()
	}{
		{"ended", runner.StageUpgrade, "upgrade,install", 2, o.halt},
		{"killed", runner.StageRestore, "backup_restore", 2, func() { o.dockerd(syscall.SIGKILL) }},
	}
	for _, a := range again {
		c := o.setOff(a.id, "--rungs", a.rungs)
		c.mustReach(a.stage, a.nth)
		a.end()
		o.resume()
		code, r := c.exit(), c.results()
		oneCause(t, r, a.stage, "")
		o.tornDown(t, c, code, r)
		t.Logf("%s: fault %+v, flags %+v", a.id, r.Fault, r.Flags)
		if first := strings.SplitN(c.stdout.String(), "\n", 3); !strings.HasPrefix(first[1], "the machine, not the recipe: "+a.stage+": ") {
			t.Errorf("the cause is not told first: %q", first)
		}
	}

	o.neverBack(t)
	o.hung(t)
	o.folderFull(t)
	o.repositoryFull(t)
}

// neverBack ends the engine for good: what may be left is told, and removed
// once there is an engine.
func (o *outage) neverBack(t *testing.T) {
	c := o.setOff("never", "--rungs", "install", "--teardown-timeout", "3s")
	c.mustReach(runner.StageInstall, 1)
	waitFor(t, func() bool { return slices.ContainsFunc(ofRun(t, o.client, c.id), isServices) })
	o.halt()
	code, r := c.exit(), o.results(c.id)
	oneCause(t, r, runner.StageInstall, "")
	wantStatus(t, r, "clean_teardown", runner.Unver, "there may be services, containers, networks, volumes, secrets and configs of stack ")
	wantStatus(t, r, "no_secret_leak", runner.Unver, "")
	if code != exitUnknown || !strings.Contains(c.stderr.String(), "hint: abra-ccci reap never") {
		t.Errorf("exit %d\n%s%s", code, c.stdout, c.stderr)
	}
	if err := c.diskClean(); err != nil {
		t.Error(err)
	}
	o.resume()
	o.reaps(t, c)
}

// hung stops the engine in the middle of everything: it takes connections and
// never answers. Two signals end the run all the same.
func (o *outage) hung(t *testing.T) {
	c := o.setOff("hung", "--rungs", "install")
	c.mustReach(runner.StageInstall, 1)
	waitFor(t, func() bool { return slices.ContainsFunc(ofRun(t, o.client, c.id), isServices) })
	o.dockerd(syscall.SIGSTOP)
	defer o.dockerd(syscall.SIGCONT)
	c.signal(os.Interrupt)
	c.mustReach(runner.StageTeardown, 1)
	c.signal(os.Interrupt)
	code, r := c.exit(), o.results(c.id)
	whole(t, r)
	if code != exitInterrupted || r.Flags.CleanTeardown != runner.Unver || !strings.Contains(c.stderr.String(), "hint: abra-ccci reap hung") {
		t.Errorf("exit %d, flags %+v\n%s%s", code, r.Flags, c.stdout, c.stderr)
	}
	o.dockerd(syscall.SIGCONT)
	o.reaps(t, c)
}

// reaps checks that reap removes what a run left, which is something.
func (o *outage) reaps(t *testing.T, c *climber) {
	t.Helper()
	if len(ofRun(t, o.client, c.id)) == 0 {
		t.Errorf("run %s left nothing: there is nothing to test", c.id)
	}
	if code, _, stderr := o.run("reap", c.id); code != exitPass || !strings.Contains(stderr, "removing what run "+c.id+" left: ") {
		t.Errorf("reap: exit %d, %q", code, stderr)
	}
	if left := ofRun(t, o.client, c.id); len(left) > 0 {
		t.Errorf("after reap there is %v", left)
	}
}

// small mounts a file system of a few pages at dir.
func small(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "ccci-test", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
}

// fill writes until there is no room at all.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); ; {
		if _, err := f.Write(page); err != nil {
			return
		}
	}
}

// folderFull leaves no room in the run folder, from the middle of a stage on.
func (o *outage) folderFull(t *testing.T) {
	c := o.setOffIn("tight", "full", "--rungs", "backup_restore")
	c.mustReach(runner.StageBackup, 2)
	fill(t, filepath.Join(o.dir, "tight", "filler"))
	code := c.exit()
	r := c.results() // whole: the working files made room for it
	oneCause(t, r, runner.StageBackup, "no space left on device")
	o.tornDown(t, c, code, r)
}

// repositoryFull leaves no room where nothing but the backup repository is.
func (o *outage) repositoryFull(t *testing.T) {
	work := filepath.Join(o.dir, "runs", "norepo", "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(o.dir, "disk"), filepath.Join(work, "repository")); err != nil {
		t.Fatal(err)
	}
	c := o.setOff("norepo", "--rungs", "backup_restore")
	code, r := c.exit(), c.results()
	oneCause(t, r, runner.StageBackup, "no space left on device")
	wantStatus(t, r, "install_deploys_head", runner.Pass, "") // it needs no repository
	o.tornDown(t, c, code, r)
}

// tornDown checks that a run could not tell, and left nothing.
func (o *outage) tornDown(t *testing.T, c *climber, code int, r *runner.Results) {
	t.Helper()
	if code != exitUnknown || r.Flags.CleanTeardown != runner.Pass {
		t.Errorf("run %s: exit %d, flags %+v\n%s%s", c.id, code, r.Flags, c.stdout, c.stderr)
	}
	if left := ofRun(t, o.client, c.id); len(left) > 0 {
		t.Errorf("run %s left %v", c.id, left)
	}
	if err := c.diskClean(); err != nil {
		t.Error(err)
	}
}

// A record that can't be kept at the end is an error, not a result.
func TestRecordCannotBeKept(t *testing.T) {
	t.Parallel()
	b := surviving(t)
	c := b.setOff("norecord", "--rungs", "install")
	c.mustReach(runner.StageInstall, 1)
	record := filepath.Join(c.folder(), "results.json")
	os.Remove(record)
	if err := os.MkdirAll(filepath.Join(record, "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	code := c.exit()
	if said := c.stderr.String(); code != exitUnknown || !strings.Contains(said, "error: keeping the record: ") || !strings.Contains(said, "hint: df -h "+c.folder()) {
		t.Errorf("exit %d\n%s", code, said)
	}
	if !strings.Contains(c.stdout.String(), "level 1 of 5") {
		t.Errorf("the results are not even printed: %q", c.stdout)
	}
	b.nothingLeft(c.id)
}
