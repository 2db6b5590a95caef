package review

import (
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

func TestForecast(t *testing.T) {
	stage := func(name string, s runner.Status, seconds float64) runner.Stage {
		return runner.Stage{Name: name, Status: s, Seconds: seconds}
	}
	run := func(stages ...runner.Stage) *runner.Results { return &runner.Results{Stages: stages} }
	whole := run(stage(runner.StageBackup, runner.Pass, 10), stage(runner.StageInstall, runner.Pass, 6), stage(runner.StageDrill, runner.Pass, 4),
		stage(runner.StageMutants, runner.Pass, 500))
	tests := []struct {
		name    string
		earlier *runner.Results
		want    time.Duration
	}{
		{"by a whole run", whole, 70 * time.Second},
		{"no run", nil, 0},
		{"a run without drill", run(stage(runner.StageBackup, runner.Pass, 10)), 0},
		{"a run that broke off", run(stage(runner.StageInstall, runner.Unver, 6), stage(runner.StageDrill, runner.Pass, 4)), 0},
	}
	for _, tt := range tests {
		if got := Forecast(tt.earlier, 5); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMutantsOf(t *testing.T) {
	plan := func(paths int, hooks ...labels.HookKind) *labels.Plan {
		p := &labels.Plan{}
		for i := range paths {
			p.Volumes = append(p.Volumes, labels.VolumePlan{Volume: string(rune('a' + i)), Saved: true, Paths: []string{"."}, Mounts: []labels.MountPoint{{Service: "app", Target: "/x"}}})
		}
		for _, k := range hooks {
			p.Hooks = append(p.Hooks, labels.Hook{Service: "app", Kind: k})
		}
		return p
	}
	for _, tt := range []struct {
		plan *labels.Plan
		want int
	}{
		{plan(0), 0},
		{plan(1), 5},
		{plan(2), 8},
		{plan(1, labels.BackupPre, labels.BackupPost, labels.RestorePre, labels.RestorePost), 8},
	} {
		if got := MutantsOf(tt.plan); got != tt.want {
			t.Errorf("%d paths, %d hooks: %d, want %d", len(tt.plan.Volumes), len(tt.plan.Hooks), got, tt.want)
		}
	}
}
