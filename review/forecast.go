package review

import (
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// MutantsOf is how many mutants a plan makes a review try, placebos among them, as
// far as that can be read: how many apps there is room for, and which labels must
// be tried by themselves, a run finds out.
func MutantsOf(p *labels.Plan) int {
	paths := len(p.Saved())
	if paths == 0 {
		return 0
	}
	n := 4 + paths // placebo twice, nothing, an older snapshot; empty files of each path
	if paths > 1 {
		n += paths
	}
	for _, h := range p.Hooks {
		switch h.Kind {
		case labels.BackupPre:
			n += 2
		case labels.RestorePost:
			n++
		}
	}
	return n
}

// Forecast is how long a cold run and so many mutants, one after another, may take
// by what another run of the recipe took; 0 if that says nothing of it. A mutant is
// an app built from nothing and a restore, as the stages install and drill are.
func Forecast(earlier *runner.Results, mutants int) time.Duration {
	if earlier == nil {
		return 0
	}
	var ladder, one float64
	for _, s := range earlier.Stages {
		if s.Name == runner.StageMutants {
			continue
		}
		if s.Name == runner.StageInstall || s.Name == runner.StageDrill {
			if s.Status != runner.Pass {
				return 0
			}
			one += s.Seconds
		}
		ladder += s.Seconds
	}
	if one == 0 {
		return 0
	}
	return time.Duration((ladder + float64(mutants)*one) * float64(time.Second)).Round(10 * time.Second)
}
