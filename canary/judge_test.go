package canary

import (
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// record is one of a run whose restore stage came to a test of that name.
func record(name string, status runner.Status, reason string) *runner.Results {
	r := &runner.Results{Rungs: map[string]runner.Status{}, Flags: runner.Flags{CleanTeardown: runner.Pass, NoSecretLeak: runner.Pass}}
	for _, rung := range runner.Rungs {
		r.Rungs[rung] = runner.Pass
	}
	r.Rungs[runner.RungBackupRestore] = status
	r.Stages = []runner.Stage{{Name: runner.StageRestore, Status: status, Tests: []runner.Test{{Name: name, Status: status, Reason: reason}}}}
	return r
}

func TestJudge(t *testing.T) {
	const test = "restore_returns_text"
	c := Canary{Name: "c", Of: "files", Want: Finding{runner.RungBackupRestore, test, runner.Fail, "it is gone"}}
	unver := c
	unver.Want.Status = runner.Unver
	flag := c
	flag.Want.Rung = FlagNoSecretLeak
	leaked := record(test, runner.Fail, "it is gone")
	leaked.Flags.NoSecretLeak = runner.Fail
	passingRung := record(test, runner.Fail, "it is gone")
	passingRung.Rungs[runner.RungBackupRestore] = runner.Pass
	skippedRung := record(test, runner.Fail, "it is gone")
	skippedRung.Rungs[runner.RungBackupRestore] = runner.Skip
	interrupted := record(test, runner.Fail, "it is gone")
	interrupted.Interrupted = true
	good := record(test, runner.Pass, "")
	caught := record(test, runner.Fail, "misses: it is gone")
	tests := []struct {
		name      string
		canary    Canary
		got, good *runner.Results
		want      Outcome
		why       string
	}{
		{"caught, and green when mended", c, caught, good, Proven, ""},
		{"could not tell, as it should", unver, record(test, runner.Unver, "it is gone"), good, Proven, ""},
		{"a flag", flag, leaked, good, Proven, ""},
		{"a flag that is up", flag, caught, good, Missed, "no_secret_leak is pass"},
		{"green", c, record(test, runner.Pass, ""), good, Missed, "backup_restore is pass"},
		{"the rung passes all the same", c, passingRung, good, Missed, "backup_restore is pass"},
		{"the rung is skipped", c, skippedRung, good, Missed, "backup_restore is skip"},
		{"another reason", c, record(test, runner.Fail, "exit 127"), good, Missed, `another reason than "it is gone": exit 127`},
		{"another test", c, record("wipe_removes_text", runner.Fail, "it is gone"), good, Unknown, "did not get as far as restore_returns_text: wipe_removes_text: it is gone"},
		{"a test whose name begins alike", c, record(test+"s", runner.Fail, "it is gone"), good, Unknown, "did not get as far"},
		{"unver where it is to fail", c, record(test, runner.Unver, "it is gone"), good, Unknown, "is unver, not fail"},
		{"fail where it is to be unver", unver, caught, good, Missed, "is fail, not unver"},
		{"no record", c, nil, good, Unknown, "did not run"},
		{"interrupted", c, interrupted, good, Unknown, "interrupted"},
		{"red without it, too", c, caught, caught, Missed, "fail without it"},
		{"not told without it", c, caught, record(test, runner.Unver, "blocked"), Unknown, "unver without it"},
		{"the good recipe has no such test", c, caught, record("wipe_removes_text", runner.Pass, ""), Unknown, "has no test"},
		{"the good recipe did not run", c, caught, nil, Unknown, "did not run"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if v := tt.canary.Judge(tt.got, tt.good); v.Outcome != tt.want || !strings.Contains(v.Why, tt.why) || (v.Why == "") != (tt.why == "") {
				t.Errorf("%s (%s), want %s (%s)", v.Outcome, v.Why, tt.want, tt.why)
			}
		})
	}
}

func TestJudgeGood(t *testing.T) {
	leaks := record("t", runner.Pass, "")
	leaks.Flags.NoSecretLeak = runner.Fail
	flat := record("t", runner.Pass, "")
	flat.Rungs[runner.RungUpgrade] = runner.Skip
	for name, tt := range map[string]struct {
		got  *runner.Results
		want Outcome
	}{
		"all five":        {record("t", runner.Pass, ""), Proven},
		"a rung fails":    {record("t", runner.Fail, "x"), Missed},
		"a rung is unver": {record("t", runner.Unver, "x"), Unknown},
		"a rung skipped":  {flat, Unknown},
		"a flag is down":  {leaks, Missed},
		"no record":       {nil, Unknown},
	} {
		if v := JudgeGood(tt.got); v.Outcome != tt.want {
			t.Errorf("%s: %s (%s), want %s", name, v.Outcome, v.Why, tt.want)
		}
	}
}
