package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
)

// A moment to kill a run at: some time after the beginning of a stage's nth
// test, or after the process started.
type moment struct {
	stage string
	nth   int
	after time.Duration
	rungs string
}

// killStages says how often to kill in which stage, of how many tests, and
// which rungs lead there without a detour. 25 in all.
var killStages = []struct {
	stage        string
	times, tests int
	rungs        string
}{
	{"", 3, 0, "install"},
	{runner.StageLint, 2, 15, "lint,install"},
	{runner.StageUpgrade, 4, 4, "upgrade"},
	{runner.StageBackup, 4, 10, "backup_restore"},
	{runner.StageRestore, 2, 7, "backup_restore"},
	{runner.StageInstall, 4, 1, "install"},
	{runner.StageDrill, 2, 5, "backup_restore"},
	{runner.StageFunctional, 2, 1, "functional"},
	{runner.StageTeardown, 2, 1, "install"},
}

func killMoments(rng *rand.Rand) []moment {
	var all []moment
	for _, k := range killStages {
		for range k.times {
			m := moment{stage: k.stage, rungs: k.rungs, after: time.Duration(rng.Int64N(int64(time.Second)))}
			if k.tests > 0 {
				m.nth = 1 + rng.IntN(k.tests)
			}
			all = append(all, m)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// killsAtOnce is how many runs go on beside the live one.
const killsAtOnce = 2

// A run that is killed at any moment leaves nothing that reap, or the next
// run, does not remove and name. A live run beside it is not touched.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("CCCI_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("CCCI_TEST_SEED=%d kills at the same moments", seed)
	b := surviving(t)
	// Helper images of other builds, which the engine may have, go first.
	if code, stdout, stderr := b.run("reap"); code != exitPass {
		t.Fatalf("reap: exit %d, %q, %q", code, stdout, stderr)
	}
	live := b.setOff("live")
	live.mustReach(runner.StageUpgrade, 1)
	if code, stdout, stderr := b.run("reap"); code != exitPass || !strings.Contains(stdout, "nothing to remove") {
		t.Errorf("reap beside a live run: exit %d, %q, %q", code, stdout, stderr)
	}
	k := &killing{b: b, engine: engine(t)}
	moments := make(chan int)
	var workers sync.WaitGroup
	all := killMoments(rand.New(rand.NewPCG(seed, 0)))
	for range killsAtOnce {
		workers.Go(func() {
			for i := range moments {
				k.kill(t, fmt.Sprintf("killed-%d", i), all[i])
			}
		})
	}
	for i := range all {
		moments <- i
	}
	close(moments)
	workers.Wait()
	for _, id := range k.runs {
		if !strings.Contains(k.said.String(), "removing what run "+id+" left: ") {
			t.Errorf("nobody said what run %s left", id)
		}
	}
	if code := live.exit(); code != exitPass || b.results("live").Level != 5 {
		t.Errorf("the live run: exit %d\n%s\n%s", code, live.stderr, summary(b.results("live")))
	}
	if locks, _ := filepath.Glob(filepath.Join(b.dir, "state", "abra-ccci", "locks", "*")); len(locks) > 0 {
		t.Errorf("left in the state folder: %v", locks)
	}
}

// killing is what several kills at once have come to.
type killing struct {
	b      *bench
	engine *client.Client

	mu   sync.Mutex
	said strings.Builder // by all that may have reaped
	runs []string        // that were killed
}

// kill kills one run, reaps, and looks whether anything is left.
func (k *killing) kill(t *testing.T, id string, m moment) {
	c := k.b.setOff(id, "--rungs", m.rungs)
	if m.stage != "" {
		if err := c.reaches(m.stage, m.nth); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-time.After(m.after):
	case <-c.ended:
	}
	died := c.cmd.Process.Kill() == nil
	<-c.ended
	_, err := os.Stat(c.folder())
	code, _, stderr := k.b.run("reap")
	if code != exitPass {
		t.Errorf("reap after %s (%+v): exit %d, %q", id, m, code, stderr)
	}
	k.mu.Lock()
	if died && err == nil {
		k.runs = append(k.runs, id)
	}
	k.said.WriteString(c.stderr.String() + stderr)
	k.mu.Unlock()
	// Another reaper may be at it, who holds the run's lock.
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		left, disk := ofRun(t, k.engine, id), c.diskClean()
		if len(left) == 0 && disk == nil {
			return
		}
		if time.Now().After(end) {
			t.Errorf("run %s (%+v) left %v, %v", id, m, left, disk)
			return
		}
	}
}

// A private engine goes, with all that is in it, when its run is killed: what
// the kernel does not end, reap removes.
func TestKilledWithItsEngine(t *testing.T) {
	t.Parallel()
	b := surviving(t)
	c := b.setOff("killed-engine", "--engine", "private", "--rungs", "install")
	c.mustReach(runner.StageInstall, 1)
	data := engineOf(t, c.cmd.Process.Pid)
	sum := sha256.Sum256([]byte(data))
	name := "ccci-" + hex.EncodeToString(sum[:])[:10]
	if left := engineLeft(t, data, name); len(left) < 4 {
		t.Fatalf("too little is seen of a live engine: %v", left)
	}
	c.signal(os.Kill)
	c.exit()
	if code, _, stderr := b.run("reap"); code != exitPass || !strings.Contains(stderr, data) {
		t.Errorf("reap: exit %d, %q does not name %s", code, stderr, data)
	}
	if left := engineLeft(t, data, name); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if err := c.diskClean(); err != nil {
		t.Error(err)
	}
}

// engineOf finds the throw-away engine of a process by its lock.
func engineOf(t *testing.T, pid int) string {
	t.Helper()
	locks, _ := filepath.Glob("/var/tmp/abra-ccci-engine-*/lock")
	for _, lock := range locks {
		if holder, err := os.ReadFile(lock); err == nil && strings.TrimSpace(string(holder)) == strconv.Itoa(pid) {
			return filepath.Dir(lock)
		}
	}
	t.Fatalf("no engine of process %d among %v", pid, locks)
	return ""
}

// engineLeft looks for an engine's processes, mounts, namespace and files.
func engineLeft(t *testing.T, data, name string) []string {
	t.Helper()
	var left []string
	for _, path := range []string{data, "/run/abra-ccci/" + name, "/run/netns/" + name} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			left = append(left, path)
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		if args, err := os.ReadFile(path); err == nil && strings.Contains(string(args), name) {
			left = append(left, strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, name) || strings.Contains(line, data) {
			left = append(left, line)
		}
	}
	return left
}
