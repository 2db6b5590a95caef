package runner

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

// recorded is a deployer that only notes what it is to remove.
type recorded struct {
	Deployer
	mu   sync.Mutex
	what []Removal
}

func (d *recorded) Undeploy(_ context.Context, what Removal) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.what = append(d.what, what)
	return nil
}

// aTwin is the rig of a run and that of its twin.
func aTwin(t *testing.T) (first, twin *Rig, sink LogSink, h *hand) {
	t.Helper()
	r, _ := aRun(t)
	r.Deployer, r.stack = &recorded{}, "first_test"
	r.secrets = map[string]Secret{"first_test_key_v1": {Name: "first_test_key_v1", Short: "key", Value: "very secret indeed"}}
	r.search("key", "very secret indeed", true)
	h = &hand{}
	r.NewTwin = func(stack string, log LogSink) (*Twin, error) {
		if stack == "" || stack == r.stack {
			t.Errorf("the twin is called %q", stack)
		}
		sink = log
		return &Twin{Deployer: &recorded{}, Machine: h}, nil
	}
	first = &Rig{r: r, s: &stageRun{run: r, stage: Stage{Name: StageMutants}}}
	twin, err := first.Twin()
	if err != nil {
		t.Fatal(err)
	}
	return first, twin, sink, h
}

func TestTwinHasTheSameSecrets(t *testing.T) {
	first, twin, _, _ := aTwin(t)
	name := twin.r.stack + "_key_v1"
	if got := twin.r.secrets[name]; len(twin.r.secrets) != 1 || got.Name != name || got.Value != "very secret indeed" {
		t.Errorf("%+v", twin.r.secrets)
	}
	if first.r.secrets["first_test_key_v1"].Name != "first_test_key_v1" {
		t.Error("the first one's have changed")
	}
}

// What a twin leaks, or leaves unread, is held against the run.
func TestTwinIsSearched(t *testing.T) {
	first, _, sink, h := aTwin(t)
	h.gaps = []string{"task 1 of twin's app: EOF"}
	if status, why := statusOf(t.Context(), first.r.leaked()); status != Unver || !strings.Contains(why, "twin's app") {
		t.Errorf("with a gap: %s (%s)", status, why)
	}
	out, errs := sink("app", "1")
	if _, err := out.Write([]byte("it is very secret indeed\n")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(out.Close(), errs.Close()); err != nil {
		t.Fatal(err)
	}
	if status, why := statusOf(t.Context(), first.r.leaked()); status != Fail || !strings.Contains(why, "the log of app") {
		t.Errorf("with a leak: %s (%s)", status, why)
	}
}

func TestTwinIsRemoved(t *testing.T) {
	first, twin, _, _ := aTwin(t)
	if err := first.r.clearAway(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Run{first.r, twin.r} {
		d := r.Deployer
		for {
			m, ok := d.(meteredDeployer)
			if !ok {
				break
			}
			d = m.Deployer
		}
		if what := d.(*recorded).what; len(what) != 1 || !what[0].Volumes || !what[0].Secrets {
			t.Errorf("of %s was removed: %+v", r.stack, what)
		}
	}
}

// Tests that go on at the same time stand in the order in which they began, each
// with a log of its own.
func TestTestsAtTheSameTime(t *testing.T) {
	r, _ := aRun(t)
	stage := r.runStage(t.Context(), StageMutants, func(ctx context.Context, s *stageRun) error {
		began, last := make(chan bool), make(chan bool)
		var work sync.WaitGroup
		work.Go(func() {
			s.test(ctx, "slow", func(context.Context) error { close(began); <-last; return errors.New("survived") })
		})
		<-began
		s.test(ctx, "quick", func(context.Context) error { return nil })
		close(last)
		work.Wait()
		return nil
	})
	tells(t, stage, "fail survived", "pass ")
	if a, b := stage.Tests[0], stage.Tests[1]; a.Name != "slow" || a.Log != "logs/mutants/01-slow.log" || b.Log != "logs/mutants/02-quick.log" {
		t.Errorf("%+v", stage.Tests)
	}
}
