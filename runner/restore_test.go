package runner

import (
	"strings"
	"testing"
	"testing/synctest"

	"coopcloud.tech/abra-ccci/labels"
)

// A wipe that removes nothing is told from a check that looks at nothing.
func TestWipeProven(t *testing.T) {
	step := func(argv ...string) []Step { return []Step{{Service: "app", Run: argv}} }
	check := func(argv ...string) []Step {
		return []Step{{Service: "app", Run: argv, Contains: text("kept ${TOKEN}"), GoneExit: []int{4}}}
	}
	tests := []struct {
		name        string
		check, wipe []Step
		want        Status
		reason      string
	}{
		{"data that is gone", check("get", "${TOKEN}"), step("rm", "${TOKEN}"), Pass, ""},
		{"a wipe of something else", check("get", "${TOKEN}"), step("rm", "other"), Fail, "the wipe removed nothing that the check looks at: the check still holds for seeding 1 of 2"},
		{"a check of itself", check("echo", "${TOKEN}"), step("rm", "${TOKEN}"), Fail, "holds for a token that was never seeded"},
		{"a wipe that fails", check("get", "${TOKEN}"), step("false"), Unver, "could not wipe"},
		{"a check that can't be asked", check("get", "${TOKEN}"), step("break", "${TOKEN}"), Unver, "the check of seeding 1 of 2 gives an error, which proves nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &Run{ex: &exerciser{tasks: keeper(map[string]bool{"a": true, "b": true}), vars: vars{}}}
				p := &tracked{Probe: Probe{Name: "p", Check: tt.check, Wipe: tt.wipe}, slug: "p", tokens: []string{"a", "b"}}
				status, reason := statusOf(t.Context(), r.wipeProven(t.Context(), &labels.Plan{}, p, map[string]bool{}))
				if status != tt.want || !strings.Contains(reason, tt.reason) || tt.want == Unver && strings.Contains(reason, "removed nothing") {
					t.Errorf("%s (%s), want %s (%s)", status, reason, tt.want, tt.reason)
				}
			})
		})
	}
}

// keeper is an app that keeps names until they are removed.
func keeper(kept map[string]bool) scripted {
	down := false
	return func(_ string, c Command) (Output, error) {
		switch verb, name := c.Argv[0], c.Argv[len(c.Argv)-1]; {
		case verb == "break":
			down = true
		case verb == "false" || down:
			return Output{Exit: 1}, nil
		case verb == "rm":
			delete(kept, name)
		case verb == "echo" || verb == "get" && kept[name]:
			return Output{Stdout: []byte("kept " + name)}, nil
		case verb == "get":
			return Output{Exit: 4}, nil
		}
		return Output{}, nil
	}
}
