package runner

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A hand is a machine that a test breaks and mends.
type hand struct {
	gone int
	down error
	gaps []string
}

func (h *hand) Gone() int                              { return h.gone }
func (h *hand) Answers(context.Context) error          { return h.down }
func (h *hand) Left(context.Context) ([]string, error) { return nil, h.down }
func (h *hand) LogGaps() []string                      { return h.gaps }

// aRun is a run that has a machine and a folder, and nothing to deploy.
func aRun(t *testing.T) (*Run, *hand) {
	t.Helper()
	folder, err := NewFolder(t.TempDir(), t.TempDir(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	h := &hand{}
	r := &Run{Config: Config{RunID: "r1", Machine: h, Folder: folder, Vault: NewVault(), Now: time.Now}, observer: &locked{}, leaks: &leaks{}, kept: &atomic.Int64{}}
	return r, h
}

// stageOf runs a stage whose tests come to the errors that are given; do is
// called during each.
func stageOf(ctx context.Context, r *Run, name string, do func(test string), tests ...error) Stage {
	return r.runStage(ctx, name, func(ctx context.Context, s *stageRun) error {
		for i, err := range tests {
			test := name + "_" + string(rune('a'+i))
			s.test(ctx, test, func(context.Context) error {
				if do != nil {
					do(test)
				}
				return err
			})
		}
		return nil
	})
}

func tells(t *testing.T, s Stage, want ...string) {
	t.Helper()
	var got []string
	for _, test := range s.Tests {
		got = append(got, string(test.Status)+" "+test.Reason)
	}
	if len(got) == 0 {
		got = []string{string(s.Status) + " " + s.Reason}
	}
	if len(got) != len(want) {
		t.Fatalf("stage %s says %q, want %q", s.Name, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("stage %s: test %d says %q, want %q", s.Name, i+1, got[i], want[i])
		}
	}
}

func noImage() error {
	return &InfraError{Op: "pull", Hint: "docker pull x", Err: errors.New("no such image")}
}

// The fault is told once; nothing is tried while it stands.
func TestOneCauseWhileItStands(t *testing.T) {
	r, h := aRun(t)
	gone := &InfraError{Op: "list tasks", Err: errors.New("no engine")}
	tried := 0
	s := stageOf(t.Context(), r, StageUpgrade, func(test string) {
		tried++
		if test == "upgrade_b" {
			h.down = gone
		}
	}, nil, gone, nil)
	tells(t, s, "pass ", "unver list tasks: no engine", "unver blocked by upgrade_b")
	tells(t, stageOf(t.Context(), r, StageBackup, func(string) { tried++ }, nil), "unver blocked by upgrade")
	if tried != 2 {
		t.Errorf("%d tests were tried, want 2", tried)
	}
	tells(t, stageOf(t.Context(), r, StageTeardown, func(string) { tried++ }, nil), "pass ")
	if want := (Fault{Stage: StageUpgrade, Reason: "upgrade_b: list tasks: no engine"}); r.results.Fault != want {
		t.Errorf("fault %+v, want %+v", r.results.Fault, want)
	}
	r.results.Finished = time.Now()
	r.results.settle()
	if err := r.results.consistent(); err != nil {
		t.Error(err)
	}
}

// One that was of one stage alone lets the others be tried, and is not
// repeated there; another one is told.
func TestOneCauseThatIsLocal(t *testing.T) {
	r, _ := aRun(t)
	tells(t, stageOf(t.Context(), r, StageUpgrade, nil, unver("the base: %w", noImage()), nil), "unver the base: pull: no such image", "pass ")
	other := &InfraError{Op: "back up", Err: errors.New("disk full")}
	tells(t, stageOf(t.Context(), r, StageBackup, nil, nil, noImage(), other), "pass ", "unver blocked by upgrade", "unver back up: disk full")
	if f := r.results.Fault; f.Stage != StageUpgrade || f.Hint != "docker pull x" {
		t.Errorf("fault %+v", f)
	}
}

// What ran while the engine went away says nothing, whatever it came to: not
// even a pass counts, and the app's state is unknown from then on.
func TestEngineGoneMeanwhile(t *testing.T) {
	for _, came := range []error{nil, note("additive"), errors.New("the check misses"), noImage()} {
		r, h := aRun(t)
		r.running = &Deployment{}
		s := stageOf(t.Context(), r, StageRestore, func(string) { h.gone++ }, came, nil)
		if s.Tests[0].Status != Unver || s.Tests[1].Reason != "blocked by restore_a" || r.running != nil || r.results.Fault.Stage != StageRestore {
			t.Errorf("came to %v: %+v, fault %+v", came, s.Tests, r.results.Fault)
		}
		if came == nil && !strings.Contains(s.Tests[0].Reason, "went away during restore_a") {
			t.Errorf("reason %q", s.Tests[0].Reason)
		}
		tells(t, stageOf(t.Context(), r, StageInstall, nil, nil), "pass ")
	}
}

// A failure is the recipe's only if the engine still answers.
func TestFailureWithoutAnEngine(t *testing.T) {
	r, h := aRun(t)
	s := stageOf(t.Context(), r, StageRestore, func(string) { h.down = errors.New("connection refused") }, errors.New("exit 137"))
	if s.Tests[0].Status != Unver || !strings.Contains(s.Tests[0].Reason, "exit 137") {
		t.Errorf("%+v", s.Tests)
	}
}

// A run folder that takes no more is a fault of the machine, told once.
func TestRunFolderIsFull(t *testing.T) {
	r, _ := aRun(t)
	blockLogs(t, r)
	s := stageOf(t.Context(), r, StageBackup, nil, nil, nil)
	if s.Tests[0].Status != Unver || !strings.HasPrefix(s.Tests[0].Reason, "writing a log: ") || s.Tests[1].Reason != "blocked by backup_a" {
		t.Errorf("%+v", s.Tests)
	}
	if s := stageOf(t.Context(), r, StageTeardown, nil, nil); s.Status != Pass {
		t.Errorf("teardown without a log: %+v", s)
	}
}

// blockLogs makes every later log of the run fail.
func blockLogs(t *testing.T, r *Run) {
	t.Helper()
	if err := r.Folder.Sweep(); err != nil {
		t.Fatal(err)
	}
	r.Folder.Path = "/proc/self/no-such-folder"
}

// An interrupt leaves what was reached, and calls a stage that it cut short unver.
func TestInterruptedStage(t *testing.T) {
	r, _ := aRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := stageOf(ctx, r, StageUpgrade, func(test string) {
		if test == "upgrade_b" {
			cancel()
		}
	}, nil, nil, nil)
	tells(t, s, "pass ", "pass ")
	if s.Status != Unver || s.Reason != "interrupted" {
		t.Errorf("the stage says %s (%s)", s.Status, s.Reason)
	}
	tells(t, stageOf(ctx, r, StageBackup, nil, nil), "unver interrupted")
	blocking, _ := aRun(t)
	ctx, cancel = context.WithCancel(t.Context())
	s = stageOf(ctx, blocking, StageBackup, func(string) { cancel() }, unver("no snapshot: %w", context.Canceled), nil)
	if s.Status != Unver || s.Reason != "interrupted; backup_a: no snapshot: context canceled" {
		t.Errorf("the stage says %s (%s)", s.Status, s.Reason)
	}
	tells(t, stageOf(ctx, r, StageTeardown, nil, nil), "pass ")
	if r.results.Fault.Stage != "" {
		t.Errorf("fault %+v", r.results.Fault)
	}
}

// A run that is made for one test ends with it, unless it passes: the rest is
// left out, and the teardown is not.
func TestUntil(t *testing.T) {
	r, _ := aRun(t)
	r.Until = "upgrade_a"
	tells(t, stageOf(t.Context(), r, StageUpgrade, nil, nil, nil), "pass ", "pass ")
	r.Until = "backup_b"
	left := "unver left out: backup_b did not pass"
	tells(t, stageOf(t.Context(), r, StageBackup, nil, nil, errors.New("lost"), nil), "pass ", "fail lost", left)
	tells(t, stageOf(t.Context(), r, StageRestore, nil, nil), left)
	tells(t, stageOf(t.Context(), r, StageTeardown, nil, nil), "pass ")
}

// An engine that goes away takes the word from every test that was going on.
func TestEngineGoneBesideAnother(t *testing.T) {
	r, h := aRun(t)
	stage := r.runStage(t.Context(), StageMutants, func(ctx context.Context, s *stageRun) error {
		began, over := make(chan bool), make(chan bool)
		var work sync.WaitGroup
		work.Go(func() {
			s.test(ctx, "beside", func(context.Context) error { close(began); <-over; return nil })
		})
		<-began
		s.test(ctx, "first", func(context.Context) error { h.gone++; return nil })
		close(over)
		work.Wait()
		return nil
	})
	for _, test := range stage.Tests {
		if test.Status != Unver {
			t.Errorf("%s is %s (%s)", test.Name, test.Status, test.Reason)
		}
	}
}

func TestOutputThatNobodyRead(t *testing.T) {
	r, h := aRun(t)
	if err := r.leaked(); err != nil {
		t.Fatal(err)
	}
	h.gaps = []string{"task x of app: EOF"}
	if status, why := statusOf(t.Context(), r.leaked()); status != Unver || !strings.Contains(why, "task x of app") {
		t.Errorf("%s (%s)", status, why)
	}
	r.leaks.add("password", "plain", "a label")
	if status, _ := statusOf(t.Context(), r.leaked()); status != Fail {
		t.Errorf("a leak that was seen is %s", status)
	}
}

// unremovable is a deployer whose engine is gone.
type unremovable struct{ Deployer }

func (unremovable) Undeploy(context.Context, Removal) error { return errors.New("no engine") }

// A teardown that nobody could look at says nothing of secrets either.
func TestTeardownWithoutAnEngine(t *testing.T) {
	r, h := aRun(t)
	r.stack = "x_test"
	r.Deployer, h.down = unremovable{}, errors.New("connection refused")
	r.teardownStage(t.Context())
	if want := (Flags{CleanTeardown: Unver, NoSecretLeak: Unver}); r.results.Flags != want {
		t.Errorf("flags %+v", r.results.Flags)
	}
	if f := r.results.Fault; !strings.Contains(f.Reason, "secrets and configs of stack x_test left") || f.Hint != "abra-ccci reap r1" {
		t.Errorf("fault %+v", f)
	}
}

// Outlast goes on after the interrupt, and ends with the patience.
func TestOutlast(t *testing.T) {
	patience, giveUp := context.WithCancel(t.Context())
	ctx, cancel := context.WithCancel(WithPatience(t.Context(), patience))
	cancel()
	late, done := Outlast(ctx, time.Hour)
	defer done()
	if late.Err() != nil {
		t.Fatal("ended with the work")
	}
	giveUp()
	select {
	case <-late.Done():
	case <-time.After(time.Minute):
		t.Error("goes on without patience")
	}
}
