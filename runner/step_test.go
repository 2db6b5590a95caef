package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted answers steps from a function: what a container would say.
type scripted func(service string, c Command) (Output, error)

func (s scripted) Exec(_ context.Context, service string, c Command) (Output, error) {
	return s(service, c)
}

func (s scripted) Ask(_ context.Context, service string, r Request) (Response, error) {
	out, err := s(service, Command{Argv: []string{"GET", r.URL}})
	return Response{Status: out.Exit, Body: out.Stdout}, err
}

func says(exit int, stdout string) scripted {
	return func(string, Command) (Output, error) { return Output{Exit: exit, Stdout: []byte(stdout)}, nil }
}

func text(s string) *string { return &s }

func TestAnswers(t *testing.T) {
	run := func(change func(*Step)) Step {
		s := Step{Service: "app", Run: []string{"get", "${TOKEN}"}}
		change(&s)
		return s
	}
	web := func(change func(*Step)) Step {
		s := Step{Service: "app", HTTP: "http://localhost/${TOKEN}"}
		change(&s)
		return s
	}
	gone := errors.New("no running task")
	tests := []struct {
		name string
		step Step
		app  scripted
		want answer
	}{
		{"exit 0", run(func(s *Step) {}), says(0, ""), holds},
		{"another exit is an error, not a miss", run(func(s *Step) { s.Contains = text("x") }), says(1, ""), broken},
		{"command not found is an error", run(func(s *Step) { s.GoneExit = []int{67} }), says(127, ""), broken},
		{"an exit that says gone", run(func(s *Step) { s.GoneExit = []int{67, 68} }), says(68, ""), misses},
		{"contains", run(func(s *Step) { s.Contains = text("${TOKEN}") }), says(0, "has tok in it"), holds},
		{"contains not", run(func(s *Step) { s.Contains = text("${TOKEN}") }), says(0, ""), misses},
		{"lacks", run(func(s *Step) { s.Lacks = text("tok") }), says(0, "tok"), misses},
		{"equals but for white space", run(func(s *Step) { s.Equals = text("tok") }), says(0, "tok\n"), holds},
		{"equals not", run(func(s *Step) { s.Equals = text("tok") }), says(0, "token"), misses},
		{"matches", run(func(s *Step) { s.Matches = text(`^t.k$`) }), says(0, "tok"), holds},
		{"matches not", run(func(s *Step) { s.Matches = text(`\S`) }), says(0, " \n"), misses},
		{"the task is gone", run(func(s *Step) { s.Contains = text("x") }), func(string, Command) (Output, error) { return Output{}, gone }, broken},
		{"expected exit", run(func(s *Step) { s.Exit = 3 }), says(3, ""), holds},
		{"http", web(func(s *Step) { s.Contains = text("tok") }), says(200, "tok"), holds},
		{"http status is an error", web(func(s *Step) { s.Contains = text("tok") }), says(502, "tok"), broken},
		{"http status that says gone", web(func(s *Step) { s.GoneStatus = []int{404} }), says(404, ""), misses},
		{"http body", web(func(s *Step) { s.Contains = text("tok") }), says(200, "welcome"), misses},
		{"http to another host", web(func(s *Step) { s.HTTP = "http://example.org/${TOKEN}" }), says(200, "tok"), broken},
		{"http to a neighbour", web(func(s *Step) { s.HTTP = "http://db:80/${TOKEN}" }), says(200, "tok"), holds},
		{"http by a host that begins like one", web(func(s *Step) { s.HTTP = "http://localhost@example.org/" }), says(200, "tok"), broken},
		{"file", web(func(s *Step) { s.HTTP = "file:///etc/passwd" }), says(200, "tok"), broken},
		{"unknown variable", run(func(s *Step) { s.Run = []string{"${NO}"} }), says(0, ""), broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := &exerciser{tasks: tt.app, services: []string{"app", "db"}, vars: vars{}}
			if got := x.once(t.Context(), tt.step, x.token("tok")); got.answer != tt.want {
				t.Errorf("%s (%s), want %s", got.answer, got.reason, tt.want)
			}
		})
	}
}

// A check that turns over after a while is waited for as long as it says, and
// an error as long as an app may take to get ready; neither is a fixed sleep.
func TestPatience(t *testing.T) {
	after := func(d time.Duration, before, then Output) scripted {
		start := time.Now()
		return func(string, Command) (Output, error) {
			if time.Since(start) < d {
				return before, nil
			}
			return then, nil
		}
	}
	there, notThere, bad := Output{Stdout: []byte("tok")}, Output{}, Output{Exit: 75}
	tests := []struct {
		name         string
		within       time.Duration
		before, then Output
		turns        time.Duration
		wantHolds    answer // of holdsWithin
	}{
		{"late data, patient check", 10 * time.Second, notThere, there, 5 * time.Second, holds},
		{"late data, impatient check", 0, notThere, there, 5 * time.Second, misses},
		{"later than its patience", 2 * time.Second, notThere, there, 30 * time.Second, misses},
		{"not ready yet", 0, bad, there, 10 * time.Second, holds},
		{"never ready", 0, bad, there, 2 * readiness, broken},
		{"not ready yet, then missing", 0, bad, notThere, 10 * time.Second, misses},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &exerciser{tasks: after(tt.turns, tt.before, tt.then), vars: vars{}}
				check := []Step{{Service: "app", Run: []string{"get"}, Contains: text("tok"), Within: Duration(tt.within)}}
				if got := x.holdsWithin(t.Context(), check, x.vars); got.answer != tt.wantHolds {
					t.Errorf("%s (%s), want %s", got.answer, got.reason, tt.wantHolds)
				}
			})
		})
	}
}

// A service that falls between two misses is waited for: what it held may be
// there again.
func TestErrorAfterAMissIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		falls := scripted(func(string, Command) (Output, error) {
			calls++
			switch calls {
			case 1:
				return Output{Stdout: []byte("nothing")}, nil
			case 2, 3:
				return Output{Exit: 1, Stderr: []byte("database is down")}, nil
			}
			return Output{Stdout: []byte("tok")}, nil
		})
		x := &exerciser{tasks: falls, vars: vars{}}
		check := []Step{{Service: "app", Run: []string{"get"}, Contains: text("tok")}}
		if got := x.missesWithin(t.Context(), check, x.vars); got.answer != holds {
			t.Errorf("%s (%s) after %d calls, want holds", got.answer, got.reason, calls)
		}
	})
}

// Data that flickers is not gone.
func TestMissAskedTwice(t *testing.T) {
	calls := 0
	flicker := scripted(func(string, Command) (Output, error) {
		calls++
		if calls == 1 {
			return Output{}, nil
		}
		return Output{Stdout: []byte("tok")}, nil
	})
	x := &exerciser{tasks: flicker, vars: vars{}}
	check := []Step{{Service: "app", Run: []string{"get"}, Contains: text("tok")}}
	if got := x.missesWithin(t.Context(), check, x.vars); got.answer != holds || calls != 2 {
		t.Errorf("%s after %d calls, want holds after 2", got.answer, calls)
	}
}

// A check that misses now and then kills no mutant, however the misses fall.
func TestFlickeringCheckIsNoMiss(t *testing.T) {
	there, gone := Output{Stdout: []byte("tok")}, Output{}
	for _, tt := range []struct {
		said []Output
		want Sight
	}{
		{[]Output{there}, SightGreen},
		{[]Output{gone, there}, SightError},
		{[]Output{gone, gone, there}, SightError},
		{[]Output{gone, gone, {Exit: 1}}, SightError},
		{[]Output{gone, gone, gone}, SightMiss},
	} {
		calls := 0
		x := &exerciser{vars: vars{}, tasks: scripted(func(string, Command) (Output, error) {
			calls++
			return tt.said[calls-1], nil
		})}
		p := &tracked{Probe: Probe{Check: []Step{{Service: "app", Run: []string{"get"}, Contains: text("tok")}}}, tokens: []string{"t"}}
		if got := x.firstLook(t.Context(), p); got.sight() != tt.want || calls != len(tt.said) {
			t.Errorf("%v: %s (%s) after %d calls, want %s", tt.said, got.sight(), got.reason, calls, tt.want)
		}
	}
}

// A step without within changes something exactly once, whatever comes of it.
func TestDoDoesNotRepeat(t *testing.T) {
	calls := 0
	x := &exerciser{tasks: scripted(func(string, Command) (Output, error) { calls++; return Output{Exit: 1}, nil }), vars: vars{}}
	got := x.do(t.Context(), []Step{{Service: "app", Run: []string{"put"}}}, x.vars)
	if calls != 1 || got.answer != broken {
		t.Errorf("%d calls, %s", calls, got.answer)
	}
}

func TestAbsentNeedsAMiss(t *testing.T) {
	tests := []struct {
		name string
		app  scripted
		want Status
		text string
	}{
		{"gone", says(0, ""), Pass, ""},
		{"still there", says(0, "tok"), Fail, "still holds"},
		{"machine gone", func(string, Command) (Output, error) {
			return Output{}, &InfraError{Op: "exec", Err: errors.New("engine gone")}
		}, Unver, "engine gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := &exerciser{tasks: tt.app, vars: vars{}}
			p := &tracked{Probe: Probe{Check: []Step{{Service: "app", Run: []string{"get"}, Contains: text("tok")}}}, tokens: []string{"tok"}}
			status, reason := statusOf(t.Context(), x.absent(t.Context(), p))
			if status != tt.want || !strings.Contains(reason, tt.text) {
				t.Errorf("%s (%s), want %s (%s)", status, reason, tt.want, tt.text)
			}
		})
	}
	t.Run("an error proves nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &exerciser{tasks: says(127, ""), vars: vars{}}
			p := &tracked{Probe: Probe{Check: []Step{{Service: "app", Run: []string{"get"}, Contains: text("tok")}}}, tokens: []string{"tok"}}
			if status, reason := statusOf(t.Context(), x.absent(t.Context(), p)); status != Unver {
				t.Errorf("%s (%s), want unver", status, reason)
			}
		})
	})
}
