package review

import (
	"fmt"

	"coopcloud.tech/abra-ccci/runner"
)

// Ladders are what is known of the levels of head and base.
type Ladders struct {
	Cold      *runner.Results // of the head
	Base      *runner.Results // of the base; nil if it was not measured
	Level     int             // that the claim says, 0 if it says none
	BaseLevel int             // that the claim says of the base, -1 if it says none
}

// rank orders statuses of a rung from the worst.
var rank = map[runner.Status]int{runner.Fail: 0, runner.Unver: 1, runner.Skip: 2, runner.Pass: 3}

// Levels checks that the cold run reaches the claimed level, and that no rung is
// worse than the base's, where that is known.
func Levels(l Ladders) Check {
	c := newCheck(CheckLevels, "the cold run reaches the claimed level, and no rung is worse than the base's")
	if l.Cold == nil {
		c.doubt("there was no run")
		return c.done("")
	}
	c.say("head: level %d (%s); claimed: %d", l.Cold.Level, l.Cold.LevelReason, l.Level)
	if l.Cold.Level < l.Level {
		c.tooLow(l)
	}
	if l.Base == nil {
		c.say("base: not measured")
		return c.done("level %d", l.Cold.Level)
	}
	c.say("base: level %d (%s)", l.Base.Level, l.Base.LevelReason)
	for _, rung := range runner.Rungs {
		was, now := l.Base.Rungs[rung], l.Cold.Rungs[rung]
		c.say("%s: base %s, head %s", rung, orNone(string(was)), orNone(string(now)))
		switch {
		case rank[now] >= rank[was]:
		case now == runner.Unver:
			c.doubt("%s was %s at the base, and is unver at the head", rung, was)
		default:
			c.fail(Finding{
				Title: fmt.Sprintf("%s is worse than at the base", rung), Claimed: fmt.Sprintf("the base has %s: %s", rung, was),
				Does: fmt.Sprintf("the head has %s: %s", rung, now), Missing: "what the base could do",
				Fix: "bring the rung back to what it was", Command: testCommand(l.Cold.Recipe, l.Cold.Head),
			})
		}
	}
	return c.done("level %d → %d", l.Base.Level, l.Cold.Level)
}

// tooLow tells what keeps a run below the claim. What could not be tried is
// no one's fault yet.
func (c *checking) tooLow(l Ladders) {
	for _, rung := range runner.Rungs {
		if s := l.Cold.Rungs[rung]; s == runner.Fail || s == runner.Skip {
			break
		} else if s != runner.Pass {
			c.doubt("level %d is claimed, and %s is %s", l.Level, rung, orNone(string(s)))
			return
		}
	}
	c.fail(Finding{
		About: aboutLevel, Title: "the claimed level is not reached", Claimed: fmt.Sprintf("level %d", l.Level),
		Does:    fmt.Sprintf("the cold run comes to level %d instead of %d: %s", l.Cold.Level, l.Level, l.Cold.LevelReason),
		Missing: "the rungs up to the claimed level", Fix: "mend what stops the climb, or claim what is reached",
		Command: testCommand(l.Cold.Recipe, l.Cold.Head),
	})
}

// LevelsReconciled checks that base and head are at the levels that the claim
// says of them, both measured.
func LevelsReconciled(l Ladders) Check {
	c := newCheck(CheckLevelsReconciled, "the levels of base and head are what the claim says")
	for _, side := range []struct {
		name    string
		r       *runner.Results
		claimed int
		says    bool
	}{{"base", l.Base, l.BaseLevel, l.BaseLevel >= 0}, {"head", l.Cold, l.Level, l.Level > 0}} {
		if side.r == nil {
			c.doubt("the level of the %s was not measured", side.name)
			continue
		}
		c.say("%s: level %d (%s)", side.name, side.r.Level, side.r.LevelReason)
		if !side.says || side.r.Level == side.claimed {
			continue
		}
		if side.r.Fault.Stage != "" || side.r.Interrupted {
			c.doubt("the run of the %s was cut short (%s)", side.name, cutShort(side.r))
			continue
		}
		c.fail(Finding{
			Title: fmt.Sprintf("the %s is not at the level that the claim says", side.name), Claimed: fmt.Sprintf("%s: level %d", side.name, side.claimed),
			Does: fmt.Sprintf("the %s is at level %d, not %d: %s", side.name, side.r.Level, side.claimed, side.r.LevelReason), Missing: "a claim that fits what is measured",
			Fix: "correct the claim, or what keeps the level from it", Command: testCommand(side.r.Recipe, side.r.Head),
		})
	}
	return c.done("")
}
