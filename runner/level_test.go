package runner

import (
	"strings"
	"testing"
	"time"
)

// climbed makes stages with the given status for each rung, from the lowest.
func climbed(statuses ...Status) []Stage {
	var stages []Stage
	for i, rung := range Rungs {
		for _, name := range rungStages[rung] {
			stages = append(stages, Stage{Name: name, Status: statuses[i], Reason: "because", Tests: []Test{{Name: name, Status: statuses[i], Reason: "because"}}})
		}
	}
	return stages
}

func TestLevel(t *testing.T) {
	tests := []struct {
		name     string
		statuses []Status // install, upgrade, backup_restore, functional, lint
		want     int
		reason   string
	}{
		{"all pass", []Status{Pass, Pass, Pass, Pass, Pass}, 5, "all five"},
		{"no labels, the rest passes", []Status{Pass, Pass, Skip, Pass, Pass}, 4, "backup_restore: skip (because)"},
		{"upgrade fails, the rest passes", []Status{Pass, Fail, Pass, Pass, Pass}, 1, "upgrade: fail"},
		{"lint could not be told", []Status{Pass, Pass, Pass, Pass, Unver}, 4, "lint: unver"},
		{"install fails", []Status{Fail, Pass, Pass, Pass, Pass}, 0, "install: fail"},
		{"a skip does not block", []Status{Pass, Skip, Skip, Pass, Pass}, 3, "upgrade: skip"},
		{"unver blocks like fail", []Status{Pass, Unver, Pass, Pass, Pass}, 1, "upgrade: unver"},
		{"a fail above an unver does not show", []Status{Pass, Unver, Fail, Pass, Pass}, 1, "upgrade: unver"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			level, reason := LevelOf(rungsOf(climbed(tt.statuses...)))
			if level != tt.want || !strings.Contains(reason, tt.reason) {
				t.Errorf("level %d (%s), want %d (… %s …)", level, reason, tt.want, tt.reason)
			}
		})
	}
}

func TestCombine(t *testing.T) {
	tests := []struct {
		parts []Status
		want  Status
	}{
		{nil, Unver},
		{[]Status{Pass, Pass}, Pass},
		{[]Status{Skip, Skip}, Skip},
		{[]Status{Pass, Skip}, Unver}, // half of a proof is none
		{[]Status{Pass, Unver}, Unver},
		{[]Status{Unver, Fail}, Fail},
		{[]Status{Skip, Fail}, Fail},
		{[]Status{"passed"}, Unver}, // a word we do not know is no pass
	}
	for _, tt := range tests {
		if got := combine(tt.parts); got != tt.want {
			t.Errorf("combine(%v) = %s, want %s", tt.parts, got, tt.want)
		}
	}
}

func TestMissingStageIsUnver(t *testing.T) {
	for i, rung := range Rungs {
		stages := climbed(Pass, Pass, Pass, Pass, Pass)
		var kept []Stage
		for _, s := range stages {
			if s.Name != rungStages[rung][0] {
				kept = append(kept, s)
			}
		}
		rungs, reasons := rungsOf(kept)
		if level, _ := LevelOf(rungs, reasons); rungs[rung] != Unver || level != i {
			t.Errorf("without stage %s: rung %s is %s, level %d", rungStages[rung][0], rung, rungs[rung], level)
		}
	}
}

func TestReadResultsRefusesOverstatement(t *testing.T) {
	good := func() *Results {
		r := &Results{Schema: Schema, Stages: climbed(Pass, Pass, Pass, Pass, Pass)}
		r.settle()
		return r
	}
	tests := []struct {
		name   string
		change func(*Results)
		want   string
	}{
		{"as it was", func(*Results) {}, ""},
		{"level raised", func(r *Results) { r.Stages = climbed(Pass, Fail, Pass, Pass, Pass); r.settle(); r.Level = 5 }, "level is 5"},
		{"rung raised", func(r *Results) {
			r.Stages = climbed(Pass, Fail, Pass, Pass, Pass)
			r.settle()
			r.Rungs[RungUpgrade] = Pass
		}, "rungs are"},
		{"stage raised over its tests", func(r *Results) { r.Stages[0].Tests[0].Status = Fail }, "its tests say fail"},
		{"stage passed without a test", func(r *Results) { r.Stages[0].Tests = nil }, "without a test"},
		{"stage twice", func(r *Results) { r.Stages = append(r.Stages, r.Stages[0]) }, "twice"},
		{"saved path without app proof", func(r *Results) {
			r.Coverage = []Coverage{{Service: "imap", Mount: "/mail", Saved: true, Proof: ProofFile}}
		}, `proof "file"`},
		{"unknown status", func(r *Results) { r.Stages[0].Status = "green" }, `status "green"`},
		{"fault of a stage that passed", func(r *Results) { r.Fault = Fault{Stage: StageUpgrade, Reason: "engine gone"} }, "which says pass"},
		{"fault of no stage", func(r *Results) { r.Fault.Reason = "engine gone" }, `has stage ""`},
		{"fault of a stage that never was", func(r *Results) {
			r.Stages = r.Stages[:1]
			r.settle()
			r.Finished, r.Fault = time.Now(), Fault{Stage: StageTeardown, Reason: "engine gone"}
		}, "was not reached"},
		{"other schema", func(r *Results) { r.Schema = 2 }, "schema 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.change(r)
			var b strings.Builder
			if err := r.Encode(&b); err != nil {
				t.Fatal(err)
			}
			_, err := ReadResults([]byte(b.String()))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
