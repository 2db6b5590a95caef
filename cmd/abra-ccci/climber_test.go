package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// A climber is a run that goes on in a process of its own, and that a test
// does something to at a certain moment.
type climber struct {
	b              *bench
	id, runs       string
	cmd            *exec.Cmd
	stdout, stderr *bytes.Buffer // whole once it has ended
	ended          chan struct{}
}

// surviving is a bench for notes on a machine that does much at once.
func surviving(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, "notes")
	b.edit("notes", `timeout = "1m"`, `timeout = "10m"`)
	return b
}

// setOff starts a run of notes.
func (b *bench) setOff(id string, args ...string) *climber {
	b.t.Helper()
	return b.setOffIn("runs", id, args...)
}

// setOffIn has the run's folder in a directory of the bench's.
func (b *bench) setOffIn(runs, id string, args ...string) *climber {
	b.t.Helper()
	c := &climber{b: b, id: id, runs: filepath.Join(b.dir, runs), ended: make(chan struct{})}
	c.cmd, c.stdout, c.stderr = b.command(append([]string{"test", "notes", "--runs-dir", c.runs, "--run-id", id}, args...)...)
	if err := c.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		c.cmd.Wait()
		close(c.ended)
	}()
	return c
}

func (c *climber) folder() string { return filepath.Join(c.runs, c.id) }

// within is how long a run may take to get somewhere, on a machine that has
// much else to do.
const within = 8 * time.Minute

// reaches waits for the beginning of a stage's nth test: its log is there.
func (c *climber) reaches(stage string, nth int) error {
	pattern := filepath.Join(c.folder(), "logs", stage, fmt.Sprintf("%02d-*.log", nth))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-c.ended:
			return fmt.Errorf("run %s ended before test %d of stage %s: %s%s", c.id, nth, stage, c.stdout, c.stderr)
		}
	}
	return fmt.Errorf("run %s did not reach test %d of stage %s", c.id, nth, stage)
}

// mustReach is reaches for a test that is over without it.
func (c *climber) mustReach(stage string, nth int) {
	c.b.t.Helper()
	if err := c.reaches(stage, nth); err != nil {
		c.cmd.Process.Kill()
		c.b.t.Fatal(err)
	}
}

func (c *climber) signal(s os.Signal) {
	c.b.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.b.t.Errorf("signal %v: %v", s, err)
	}
}

// exit waits for the end and returns the exit status.
func (c *climber) exit() int {
	c.b.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(within):
		c.cmd.Process.Signal(syscall.SIGQUIT) // says where it hangs
		<-c.ended
		c.b.t.Fatalf("run %s does not end: %s", c.id, c.stderr)
	}
	return c.cmd.ProcessState.ExitCode()
}

// results is the run's record.
func (c *climber) results() *runner.Results {
	c.b.t.Helper()
	return c.b.resultsIn(c.runs, c.id)
}

// diskClean tells whether all is gone from disk that goes with a run.
func (c *climber) diskClean() error {
	work := filepath.Join(c.folder(), "work")
	if _, err := os.Lstat(work); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is still there (%v)", work, err)
	}
	return nil
}

// whole checks what holds of every record that a run wrote to its end: stages
// in order, all of them, and none that failed.
func whole(t *testing.T, r *runner.Results) {
	t.Helper()
	var names []string
	for _, s := range r.Stages {
		names = append(names, s.Name)
		if s.Status == runner.Fail {
			t.Errorf("stage %s failed: %s", s.Name, s.Reason)
		}
	}
	// Only a review has mutants.
	want := slices.DeleteFunc(slices.Clone(runner.Stages), func(name string) bool { return name == runner.StageMutants })
	if !slices.Equal(names, want) || r.Finished.IsZero() {
		t.Errorf("stages %v, finished %v", names, r.Finished)
	}
	if t.Failed() {
		t.Log(summary(r))
	}
}

// stageNamed is one stage of a record.
func stageNamed(t *testing.T, r *runner.Results, name string) runner.Stage {
	t.Helper()
	at := slices.IndexFunc(r.Stages, func(s runner.Stage) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("no stage %s in the record", name)
	}
	return r.Stages[at]
}

// A signal in any stage ends the run; what was reached is recorded, all is
// torn down, and that is proven.
func TestSignalInEveryStage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		stage  string
		nth    int
		signal os.Signal
		rungs  string
	}{
		{runner.StageLint, 3, syscall.SIGTERM, "lint,install"},
		{runner.StageUpgrade, 3, os.Interrupt, "upgrade"},
		{runner.StageBackup, 5, syscall.SIGTERM, "backup_restore"},
		{runner.StageRestore, 2, os.Interrupt, "backup_restore"},
		{runner.StageInstall, 1, syscall.SIGTERM, "install"},
		{runner.StageDrill, 2, os.Interrupt, "backup_restore"},
		{runner.StageFunctional, 1, syscall.SIGTERM, "functional"},
		{runner.StageTeardown, 1, os.Interrupt, "install"},
	}
	for _, tt := range tests {
		t.Run(tt.stage, func(t *testing.T) {
			t.Parallel()
			b := surviving(t)
			c := b.setOff("signal-"+tt.stage, "--rungs", tt.rungs)
			c.mustReach(tt.stage, tt.nth)
			c.signal(tt.signal)
			if code := c.exit(); code != exitInterrupted {
				t.Errorf("exit %d\n%s", code, c.stderr)
			}
			b.nothingLeft(c.id)
			if err := c.diskClean(); err != nil {
				t.Error(err)
			}
			r := b.results(c.id)
			whole(t, r)
			if !r.Interrupted || r.Flags.CleanTeardown != runner.Pass || r.Fault.Stage != "" {
				t.Errorf("interrupted %v, flags %+v, fault %+v\n%s", r.Interrupted, r.Flags, r.Fault, summary(r))
			}
			s := stageNamed(t, r, tt.stage)
			if n := len(s.Tests); n < tt.nth {
				t.Errorf("%d tests of the stage are recorded, %d were reached", n, tt.nth)
			}
			switch tt.stage {
			case runner.StageLint: // the signal may come after its end
			case runner.StageTeardown:
				if install := stageNamed(t, r, runner.StageInstall); s.Status != runner.Pass || install.Status != runner.Pass {
					t.Errorf("an interrupt of the teardown left\n%s", summary(r))
				}
			default:
				if s.Status != runner.Unver || !strings.Contains(s.Reason, "interrupted") {
					t.Errorf("the stage is %s (%s)", s.Status, s.Reason)
				}
			}
		})
	}
}

// The second signal ends the waiting. The record is written all the same, and
// what is left is named, with the command that removes it.
// Whoever reads what a run says may go away, and with a terminal everything ends:
// what the run has made is cleared away all the same.
func TestNobodyReadsAlong(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*exec.Cmd) error{
		"unread":  func(*exec.Cmd) error { return nil },
		"hung-up": func(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := surviving(t)
			cmd, _, _ := b.command("test", "notes", "--runs-dir", filepath.Join(b.dir, "runs"), "--run-id", name, "--rungs", "install,lint")
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout, cmd.Stderr = write, write
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			write.Close()
			read.Close()
			waitFor(t, func() bool { return slices.ContainsFunc(ofRun(t, engine(t), name), isServices) })
			if err := end(cmd); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			want := map[string]int{"unread": exitUnknown, "hung-up": exitInterrupted}[name]
			r := b.results(name)
			whole(t, r)
			if code := cmd.ProcessState.ExitCode(); code != want || r.Flags.CleanTeardown != runner.Pass {
				t.Errorf("%v, flags %+v", cmd.ProcessState, r.Flags)
			}
			b.nothingLeft(name)
		})
	}
}

func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	b := surviving(t)
	c := b.setOff("twice", "--rungs", "install")
	c.mustReach(runner.StageInstall, 1)
	waitFor(t, func() bool { return slices.ContainsFunc(ofRun(t, engine(t), c.id), isServices) })
	c.signal(os.Interrupt)
	c.mustReach(runner.StageTeardown, 1)
	c.signal(os.Interrupt)
	if code := c.exit(); code != exitInterrupted || !strings.Contains(c.stderr.String(), "hint: abra-ccci reap twice") {
		t.Errorf("exit %d\n%s", code, c.stderr)
	}
	r := b.results(c.id)
	whole(t, r)
	if !r.Interrupted || r.Flags.CleanTeardown != runner.Unver || r.Flags.NoSecretLeak == runner.Fail {
		t.Errorf("interrupted %v, flags %+v", r.Interrupted, r.Flags)
	}
	left := ofRun(t, engine(t), c.id)
	if len(left) == 0 {
		t.Fatal("all was removed: there is nothing to test")
	}
	wantStatus(t, r, "clean_teardown", runner.Unver, "left on the engine: ")
	if err := c.diskClean(); err != nil {
		t.Error(err)
	}
	if code, _, stderr := b.run("reap", c.id); code != exitPass || !strings.Contains(stderr, "removing what run twice left") {
		t.Errorf("reap: exit %d, %q", code, stderr)
	}
	b.nothingLeft(c.id)
}
