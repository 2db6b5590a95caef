package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// A made recipe is its files, by path; "LINK to" is a symlink. The last of
// several is the head, and those before it are releases.
type made map[string]string

// makeRecipe puts a recipe with these versions, and its suite, onto the bench.
func (b *bench) makeRecipe(name, suite string, versions ...made) {
	b.t.Helper()
	dir := filepath.Join(b.abra, "recipes", name)
	git := func(args ...string) {
		b.t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	git("init", "-q")
	for i, files := range versions {
		for path, text := range files {
			full := filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				b.t.Fatal(err)
			}
			os.Remove(full) // it may be another kind of file
			write := func() error { return os.WriteFile(full, []byte(text), 0o644) }
			if to, ok := strings.CutPrefix(text, "LINK "); ok {
				write = func() error { return os.Symlink(to, full) }
			}
			if err := write(); err != nil {
				b.t.Fatal(err)
			}
		}
		git("add", "-A")
		git("commit", "-q", "--allow-empty", "-m", "change")
		if i < len(versions)-1 {
			git("tag", "-a", "-m", "release", strings.Replace("X.0.0+1.0.0", "X", string(rune('1'+i)), 1))
		}
	}
	b.suite(name, suite)
}

// A shell in Debian's image is an app that does what a test needs. It is ended
// by SIGKILL: a shell that is the first process of a container ignores others.
const (
	composeHead = "version: \"3.8\"\nservices:\n"
	// still waits to be killed; beside is a service to ask from.
	beside = `  app:
    image: ccci/debian:bookworm
    command: [sleep, infinity]
    stop_signal: SIGKILL
    volumes: ["data:/data", "shared:/shared"]
    deploy: {labels: ["backupbot.backup=true", "backupbot.volumes.shared=false"]}
`
	besideVolumes = "volumes:\n  data:\n  shared:\n"
)

// A service that crashes again and again is not running, though it was up
// for long enough to converge. The reason names it with its last words.
func TestFlappingServiceIsNotRunning(t *testing.T) {
	t.Parallel()
	// It flaps once it is told to, and its second life tells of the first one's
	// end: by then the engine knows of it.
	const flapper = `  flapper:
    image: ccci/debian:bookworm
    command: [sh, -c, "[ ! -e /shared/go ] || touch /shared/fell; while [ ! -e /shared/go ]; do sleep 0.1; done; END"]
    stop_signal: SIGKILL
    volumes: ["shared:/shared"]
    deploy: {restart_policy: {delay: 200ms}}
`
	const healthy = "    healthcheck: {test: [CMD, test, \"!\", -e, /tmp/sick], interval: 500ms, retries: 1}\n"
	crashing := strings.Replace(flapper, "END", "sleep 1; echo cannot go on; exit 3", 1)
	steps := `[{ service = "app", run = ["touch", "/shared/go"] }, { service = "app", run = ["test", "-e", "/shared/fell"], within = "60s" }]` + "\n"
	setup, functional := "[deploy]\nsetup = "+steps, "[[functional]]\nname = \"f\"\nsteps = "+steps
	tests := []struct{ name, service, suite, test, says string }{
		{"before functional tests", crashing, setup, "install_stays_up", "cannot go on"},
		{"during functional tests", crashing, functional, "functional_stays_up", "cannot go on"},
		{"though it is healthy", crashing + healthy, functional, "functional_stays_up", "(3)"},
		{"as it becomes unhealthy", strings.Replace(flapper, "END", "touch /tmp/sick; sleep infinity", 1) + healthy, functional, "functional_stays_up", "unhealthy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.makeRecipe("flappy", "recipe = \"flappy\"\n"+tt.suite, made{"compose.yml": composeHead + beside + tt.service + besideVolumes})
			r, code := b.climb("flappy", "--rungs", "install,functional")
			wantStatus(t, r, tt.test, runner.Fail, "service flapper")
			wantStatus(t, r, tt.test, runner.Fail, tt.says)
			if code != exitFail {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// A container that ends while a command runs in it gives an error, never a
// miss, whatever the suite takes its exit status for.
func TestContainerDiesDuringACommand(t *testing.T) {
	t.Parallel()
	const compose = composeHead + `  app:
    image: ccci/debian:bookworm
    command: [sh, -c, "while [ ! -e /data/stop ]; do sleep 0.1; done; rm /data/stop; echo I was told to; exit 9"]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    deploy:
      restart_policy: {delay: 200ms}
      labels: ["backupbot.backup=true"LABEL]
volumes:
  data:
`
	const die = "touch /data/stop; sleep 60"
	suite := func(seed, missing string) string {
		return `recipe = "dying"
[[probe]]
name = "datum"
covers = ["app:/data"]
seed = [{ service = "app", sh = "` + seed + `touch /data/${TOKEN}" }]
check = [{ service = "app", sh = "test -e /data/${TOKEN} || { ` + missing + `; }", gone_exit = [4, 137] }]
wipe = [{ service = "app", run = ["rm", "/data/${TOKEN}"] }]
`
	}
	tests := []struct {
		name, label, suite, test string
		status                   runner.Status
	}{
		{"seed", "", suite(die+"; ", "exit 4"), "backup_seeds_datum", runner.Unver},
		// Only where the canaries are: in the drill it misses, or all of it would be asked for long.
		{"check", "", suite("", "ls /data/.ccci-canary-* >/dev/null 2>&1 || exit 4; "+die), "wipe_removes_datum", runner.Unver},
		{"hook", `, "backupbot.backup.pre-hook=` + die + `"`, suite("", "exit 4"), "backup_snapshot_first", runner.Fail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.makeRecipe("dying", tt.suite, made{"compose.yml": strings.Replace(compose, "LABEL", tt.label, 1)})
			r, _ := b.climb("dying", "--rungs", "backup_restore")
			wantStatus(t, r, tt.test, tt.status, "container ended meanwhile")
			wantStatus(t, r, tt.test, tt.status, "I was told to")
		})
	}
}

// A service that logs a gigabyte costs neither memory nor disk in the run
// folder, and what it says at the very end is still searched.
func TestGigabyteOfLog(t *testing.T) {
	t.Parallel()
	const compose = composeHead + `  app:
    image: ccci/debian:bookworm
    command: [sh, -c, "yes $$(head -c 6000 /dev/zero | tr '\\0' x) | head -c 1G; cat /run/secrets/token; echo; touch /data/said; exec sleep infinity"]
    stop_signal: SIGKILL
    secrets: [token]
    volumes: ["data:/data"]
volumes:
  data:
secrets:
  token: {external: true, name: "${STACK_NAME}_token_v1"}
`
	const suite = `recipe = "loud"
[deploy]
secrets = { token = "said-at-the-very-end" }
setup = [{ service = "app", run = ["test", "-e", "/data/said"], within = "5m" }]
`
	b := newBench(t)
	b.makeRecipe("loud", suite, made{"compose.yml": compose, ".env.sample": "SECRET_TOKEN_VERSION=v1\n"})
	cmd, _, stderr := b.command("test", "loud", "--runs-dir", filepath.Join(b.dir, "runs"), "--run-id", "loud", "--rungs", "install")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(b.dir, "runs", "loud", "logs", "services")
	waitFor(t, func() bool { found, _ := os.ReadDir(logs); return len(found) > 0 })
	quiet, peak := highWater(cmd.Process.Pid), 0
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-tick.C:
			peak = max(peak, highWater(cmd.Process.Pid))
		case <-done:
			running = false
		}
	}
	t.Logf("peak before %d KiB, at the end %d KiB\n%s", quiet, peak, stderr)
	if quiet == 0 || peak-quiet > 32<<10 {
		t.Errorf("the peak of memory grew from %d to %d KiB", quiet, peak)
	}
	b.nothingLeft("loud")
	r := b.results("loud")
	wantStatus(t, r, "install_deploys_head", runner.Pass, "")
	wantStatus(t, r, "no_secret_leak", runner.Fail, "token (plain) in the log of app")
	wantStatus(t, r, "clean_teardown", runner.Pass, "")
	found, _ := filepath.Glob(filepath.Join(logs, "app.*.log"))
	if len(found) != 1 {
		t.Fatalf("logs: %v", found)
	}
	data, err := os.ReadFile(found[0])
	if err != nil || len(data) > 5<<20 || !strings.HasSuffix(string(data), "but is not kept]\n") {
		t.Errorf("%d bytes of log are kept, %v; the end is %q", len(data), err, data[max(0, len(data)-100):])
	}
}

// highWater is the most memory that a process has had so far, in KiB; 0 if it is gone.
func highWater(pid int) (kib int) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscanf(after, "%d", &kib)
	return kib
}
