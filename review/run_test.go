package review

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

const headSHA = "edc0201a79d36bc87696b0f93f1ee88ad7bd10ed"

// record is that of a run in which everything passed; edit makes it another.
func record(edit func(*runner.Results)) *runner.Results {
	pass := func(name string, tests ...string) runner.Stage {
		s := runner.Stage{Name: name, Status: runner.Pass, Started: time.Unix(0, 0).UTC()}
		for _, t := range tests {
			s.Tests = append(s.Tests, runner.Test{Name: t, Status: runner.Pass, MS: 1})
		}
		return s
	}
	r := &runner.Results{
		Schema: runner.Schema, RunID: "r1", Recipe: "mailu", Version: "3.0.2+2024.06.52", Head: headSHA,
		Started: time.Unix(0, 0).UTC(), Finished: time.Unix(60, 0).UTC(), Suite: runner.SuiteRecord{Digest: strings.Repeat("e", 64)},
		Images: map[string]string{"admin": "mailu/admin@sha256:aa", "imap": "mailu/imap@sha256:bb"},
		Stages: []runner.Stage{
			pass("lint", "lint_r001"), pass("upgrade", "upgrade_moves_to_head"), pass("backup", "backup_snapshot_first"),
			pass("restore", "wipe_removes_mailbox", "wipe_removes_mail_message", "restore_returns_mailbox", "restore_returns_mail_message"),
			pass("install", "install_deploys_head"), pass("drill", "drill_returns_mailbox"), pass("functional", "functional_admin_answers"),
			pass("teardown", "clean_teardown", "no_secret_leak"),
		},
		Rungs: map[string]runner.Status{"install": "pass", "upgrade": "pass", "backup_restore": "pass", "functional": "pass", "lint": "pass"},
		Level: 5, LevelReason: "all five rungs passed",
		Coverage: []runner.Coverage{
			{Volume: "mailu", Path: ".", Service: "admin", Mount: "/data", Saved: true, Label: "admin backupbot.backup.path=/data", Probes: []string{"mailbox"}, Proof: runner.ProofApp},
			{Volume: "mail", Path: ".", Service: "imap", Mount: "/mail", Saved: true, Label: "imap backupbot.backup.path=/mail", Probes: []string{"mail_message"}, Proof: runner.ProofApp},
			{Volume: "redis", Path: ".", Service: "db", Mount: "/data", Reason: "the labels leave it out", Proof: runner.ProofNone},
		},
		Flags: runner.Flags{CleanTeardown: runner.Pass, NoSecretLeak: runner.Pass},
	}
	if edit != nil {
		edit(r)
	}
	return r
}

// test finds a test of a record.
func test(r *runner.Results, name string) *runner.Test {
	for i := range r.Stages {
		for j := range r.Stages[i].Tests {
			if r.Stages[i].Tests[j].Name == name {
				return &r.Stages[i].Tests[j]
			}
		}
	}
	panic("no test " + name)
}

// red makes a test and its rung fail, as a run would record it.
func red(r *runner.Results, stage, name, rung, reason string) {
	t := test(r, name)
	t.Status, t.Reason = runner.Fail, reason
	for i := range r.Stages {
		if r.Stages[i].Name == stage {
			r.Stages[i].Status, r.Stages[i].Reason = runner.Fail, name+": "+reason
		}
	}
	r.Rungs[rung] = runner.Fail
	r.Level, r.LevelReason = 0, ""
	for _, name := range runner.Rungs {
		if r.Rungs[name] != runner.Pass {
			r.LevelReason = name + ": fail"
			break
		}
		r.Level++
	}
}

func encoded(t *testing.T, r *runner.Results) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEvidence(t *testing.T) {
	tests := []struct {
		name   string
		edit   func(*runner.Results)
		status runner.Status
		want   []string
	}{
		{"good", nil, runner.Pass, []string{"sha256:", "run r1 of mailu", "level 5", "backup_restore: pass"}},
		{"another head", func(r *runner.Results) { r.Head = strings.Repeat("a", 40) }, runner.Fail, []string{"evidence of another head", "the record is of aaaa", "--ref " + headSHA}},
		{"another recipe", func(r *runner.Results) { r.Recipe = "mail" }, runner.Fail, []string{"another recipe"}},
		{"interrupted", func(r *runner.Results) { r.Interrupted = true }, runner.Fail, []string{"was interrupted"}},
		{"goes on", func(r *runner.Results) { r.Finished = time.Time{} }, runner.Fail, []string{"goes on"}},
		{"level edited by hand", func(r *runner.Results) { r.Rungs["functional"] = runner.Fail }, runner.Fail, []string{"is refused", "contradicts itself"}},
		{"proof edited by hand", func(r *runner.Results) { r.Coverage[1].Proof = runner.ProofFile }, runner.Fail, []string{"is refused"}},
		{"other schema", func(r *runner.Results) { r.Schema = 2 }, runner.Fail, []string{"schema 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, r := Evidence(encoded(t, record(tt.edit)), "mailu", headSHA)
			checkIs(t, c, tt.status, tt.want...)
			if (r == nil) != strings.Contains(told(c), "is refused") && tt.name != "other schema" {
				t.Errorf("record %v", r)
			}
		})
	}
	c, _ := Evidence([]byte("{\"\x1b[2J"), "mailu", headSHA)
	checkIs(t, c, runner.Fail, "is refused")
	if strings.Contains(told(c), "\x1b") {
		t.Error("a control character came through")
	}
}

func TestReproduced(t *testing.T) {
	tests := []struct {
		name   string
		edit   func(*runner.Results)
		status runner.Status
		want   []string
	}{
		{"the same", func(r *runner.Results) { r.RunID, r.Finished = "r2", time.Unix(999, 0) }, runner.Pass, []string{"reproduced: two independent runs at the same head", "run r2: level 5, 12 tests"}},
		{"another suite", func(r *runner.Results) { r.Suite.Digest = strings.Repeat("f", 64) }, runner.Fail, []string{"a record of another suite", "suite: eeee"}},
		{"no suite recorded then", func(r *runner.Results) { r.Suite.Digest = "" }, runner.Fail, []string{"suite: eeee", "and none"}},
		{"another head", func(r *runner.Results) { r.Head = strings.Repeat("a", 40) }, runner.Fail, []string{"a record of another head", "head: " + headSHA}},
		{"another image under the same tag", func(r *runner.Results) { r.Images["imap"] = "mailu/imap@sha256:cc" }, runner.Fail, []string{"other images under the same names", "image of imap: mailu/imap@sha256:bb and mailu/imap@sha256:cc"}},
		{"a service more", func(r *runner.Results) { r.Images["db"] = "x" }, runner.Fail, []string{"image of db: none and x"}},
		{"a test less", func(r *runner.Results) { r.Stages[3].Tests = r.Stages[3].Tests[:3] }, runner.Fail, []string{"test restore restore_returns_mail_message: pass and none"}},
		{"a test red", func(r *runner.Results) { red(r, "restore", "restore_returns_mail_message", "backup_restore", "gone") }, runner.Fail,
			[]string{"test restore restore_returns_mail_message: pass and fail", "level: 5 and 2"}},
		{"a leak", func(r *runner.Results) { r.Flags.NoSecretLeak = runner.Fail }, runner.Fail, []string{"no_secret_leak: pass and fail"}},
		{"the machine", func(r *runner.Results) {
			r.Fault = runner.Fault{Stage: "restore", Reason: "the engine has gone away"}
			test(r, "restore_returns_mail_message").Status = runner.Unver
		}, runner.Unver, []string{"the engine has gone away", "restore_returns_mail_message: pass and unver"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkIs(t, Reproduced(record(nil), record(tt.edit)), tt.status, tt.want...)
			if c := SecondRun(record(nil), record(tt.edit)); c.Status != tt.status || c.Name != CheckSecondRun {
				t.Errorf("second run: %s %s", c.Name, c.Status)
			}
		})
	}
	checkIs(t, Reproduced(nil, record(nil)), runner.Unver)
	// Several differences are told together.
	c := Reproduced(record(nil), record(func(r *runner.Results) { r.Images["imap"], r.Head = "x", "y" }))
	if len(c.Findings) != 1 || !strings.Contains(c.Findings[0].Does, "image of imap") || !strings.Contains(c.Findings[0].Does, "head:") {
		t.Errorf("findings %+v", c.Findings)
	}
	// A record from before suites were recorded says nothing of them.
	old := record(func(r *runner.Results) { r.Suite.Digest = "" })
	checkIs(t, Reproduced(old, record(nil)), runner.Pass)
}

func TestColdRun(t *testing.T) {
	checkIs(t, ColdRun(record(nil)), runner.Pass, "run r1 at "+headSHA, "restore: pass, 4 tests")
	checkIs(t, ColdRun(nil), runner.Unver)
	c := ColdRun(record(func(r *runner.Results) {
		red(r, "restore", "restore_returns_mailbox", "backup_restore", "the check misses")
		test(r, "restore_returns_mail_message").Status, test(r, "restore_returns_mail_message").Reason = runner.Unver, "blocked by restore_returns_mailbox"
	}))
	checkIs(t, c, runner.Fail, "restore_returns_mailbox is red", "the check misses", "abra-ccci test mailu --ref "+headSHA)
	if len(c.Findings) != 1 || strings.Contains(told(c), "blocked by") {
		t.Errorf("what follows is told again:\n%s", told(c))
	}
	c = ColdRun(record(func(r *runner.Results) {
		r.Fault = runner.Fault{Stage: "drill", Reason: "no space left on the disk"}
		r.Stages[5].Status, r.Stages[5].Reason, r.Stages[5].Tests = runner.Unver, "blocked by drill", nil
		test(r, "functional_admin_answers").Status, test(r, "functional_admin_answers").Reason = runner.Unver, "blocked by drill"
	}))
	checkIs(t, c, runner.Unver, "no space left on the disk")
	if strings.Count(told(c), "could not tell") != 1 {
		t.Errorf("the cause is not told once:\n%s", told(c))
	}
	c = ColdRun(record(func(r *runner.Results) {
		r.Stages[6].Status, r.Stages[6].Reason, r.Stages[6].Tests = runner.Unver, "the suite has no functional tests", nil
	}))
	checkIs(t, c, runner.Unver, "the suite has no functional tests")
}

var mailuSuite = &runner.Suite{Recipe: "mailu", Probes: []runner.Probe{
	{Name: "mailbox", Covers: []string{"admin:/data"}, Wipe: []runner.Step{{Service: "admin", Run: []string{"sqlite3", "/data/main.db", "DELETE"}}}},
	{Name: "mail message", Covers: []string{"imap:/mail"}, Wipe: []runner.Step{{Service: "imap", Run: []string{"rm", "-rf", "/mail/${DOMAIN}/m${TOKEN}"}}}},
}}

func TestPathsProven(t *testing.T) {
	checkIs(t, PathsProven(record(nil), mailuSuite), runner.Pass, "imap:/mail: proof app, probes: mail_message", "2 of 2", "db:/data is not saved")
	unproven := func(r *runner.Results) {
		r.Coverage[1].Proof, r.Coverage[1].Probes, r.Coverage[1].Reason = runner.ProofFile, nil, "no probe covers it"
		r.Level = 2
	}
	// ADV-mailu-01.
	one := &runner.Suite{Recipe: "mailu", Probes: mailuSuite.Probes[:1]}
	c := PathsProven(record(unproven), one)
	checkIs(t, c, runner.Fail, "labels save imap:/mail (imap backupbot.backup.path=/mail), and the run comes to level 2", "every probe lives elsewhere: mailbox in admin:/data",
		"nothing seeds data in imap:/mail, wipes it, and checks that it is back", `covers = ["imap:/mail"]`, "abra-ccci test mailu --ref "+headSHA)
	if len(c.Findings) != 1 {
		t.Errorf("%d findings of one path", len(c.Findings))
	}
	checkIs(t, PathsProven(record(unproven), nil), runner.Fail, "no probe of the suite lives anywhere")
	checkIs(t, PathsProven(record(unproven), mailuSuite), runner.Fail, "mail message says that it covers imap:/mail, and was not measured to depend on it: no probe covers it")
	checkIs(t, PathsProven(record(func(r *runner.Results) {
		unproven(r)
		r.Fault = runner.Fault{Stage: "drill", Reason: "engine gone"}
	}), mailuSuite), runner.Unver, "engine gone")
	// A path below, one above, and one that only begins alike.
	row := runner.Coverage{Service: "db", Mount: "/data", Path: "dump"}
	for covers, want := range map[string]bool{"db:/data": true, "db:/data/dump": true, "db:/data/dump/x": true, "db:/data/dumpling": false, "db:/dat": false} {
		if got := coversPath(runner.Probe{Covers: []string{covers}}, row); got != want {
			t.Errorf("%s covers db:/data/dump: %v", covers, got)
		}
	}
}

// ADV-mailu-02: the wipe removes a path that the app does not use.
func TestVacuousWipe(t *testing.T) {
	c := PathsProven(record(func(r *runner.Results) {
		red(r, "restore", "wipe_removes_mail_message", "backup_restore", "the check still holds")
	}), mailuSuite)
	checkIs(t, c, runner.Fail, "the wipe of mail message removes nothing", `the wipe runs "rm -rf /mail/${DOMAIN}/m${TOKEN}" in imap`, "the check still answers that all is there (the check still holds)",
		"wipe where the app keeps it (imap:/mail)")
}

func TestFlags(t *testing.T) {
	leak := record(func(r *runner.Results) {
		r.Flags.NoSecretLeak, test(r, "no_secret_leak").Reason = runner.Fail, "db_password (base64) in the log of app"
	})
	checkIs(t, NoSecretLeak(record(nil)), runner.Pass, "no_secret_leak: pass")
	checkIs(t, NoSecretLeak(leak), runner.Fail, "db_password (base64) in the log of app")
	checkIs(t, TeardownClean(leak), runner.Pass)
	checkIs(t, TeardownClean(record(func(r *runner.Results) { r.Flags.CleanTeardown = runner.Fail })), runner.Fail, "clean_teardown is red")
	checkIs(t, TeardownClean(record(func(r *runner.Results) { r.Flags.CleanTeardown = runner.Unver })), runner.Unver)
	checkIs(t, TeardownClean(nil), runner.Unver)
	checkIs(t, TeardownClean(record(func(r *runner.Results) { r.Flags.CleanTeardown = "" })), runner.Unver)
}

func TestLevels(t *testing.T) {
	base := record(func(r *runner.Results) { r.Rungs["backup_restore"], r.Level = runner.Skip, 4 })
	skipped := record(func(r *runner.Results) {
		r.Rungs["backup_restore"], r.Level, r.LevelReason = runner.Skip, 4, "backup_restore: skip (no labels)"
	})
	failed := record(func(r *runner.Results) {
		red(r, "functional", "functional_admin_answers", "functional", "404")
	})
	unver := record(func(r *runner.Results) { r.Rungs["functional"], r.Level = runner.Unver, 3 })
	tests := []struct {
		name   string
		in     Ladders
		status runner.Status
		want   []string
	}{
		{"reached, base not measured", Ladders{Cold: record(nil), Level: 5}, runner.Pass, []string{"base: not measured", "head: level 5"}},
		{"reached, base known", Ladders{Cold: record(nil), Base: base, Level: 5}, runner.Pass, []string{"backup_restore: base skip, head pass", "level 4 → 5"}},
		{"nothing claimed", Ladders{Cold: failed}, runner.Pass, nil},
		{"too low", Ladders{Cold: failed, Level: 5}, runner.Fail, []string{"level 3 instead of 5"}},
		{"an innocent 4", Ladders{Cold: skipped, Level: 5}, runner.Fail, []string{"level 4 instead of 5", "no labels"}},
		{"could not be tried", Ladders{Cold: unver, Level: 5}, runner.Unver, []string{"functional is unver"}},
		{"labels deleted", Ladders{Cold: skipped, Base: record(nil), Level: 4}, runner.Fail, []string{"backup_restore is worse than at the base"}},
		{"rung worse", Ladders{Cold: failed, Base: base}, runner.Fail, []string{"the head has functional: fail"}},
		{"rung unver", Ladders{Cold: unver, Base: base}, runner.Unver, nil},
		{"no run", Ladders{Level: 5}, runner.Unver, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { checkIs(t, Levels(tt.in), tt.status, tt.want...) })
	}
	reconciled := []struct {
		name   string
		in     Ladders
		status runner.Status
		want   []string
	}{
		{"both as claimed", Ladders{Cold: record(nil), Base: base, Level: 5, BaseLevel: 4}, runner.Pass, []string{"base: level 4", "head: level 5"}},
		{"base not measured", Ladders{Cold: record(nil), Level: 5, BaseLevel: 4}, runner.Unver, []string{"the level of the base was not measured"}},
		{"another base", Ladders{Cold: record(nil), Base: base, Level: 5, BaseLevel: 5}, runner.Fail, []string{"the base is at level 4, not 5"}},
		{"nothing claimed of the base", Ladders{Cold: record(nil), Base: base, Level: 5, BaseLevel: -1}, runner.Pass, nil},
		{"head lower", Ladders{Cold: failed, Base: base, Level: 5, BaseLevel: 4}, runner.Fail, []string{"the head is at level 3, not 5"}},
	}
	for _, tt := range reconciled {
		t.Run(tt.name, func(t *testing.T) { checkIs(t, LevelsReconciled(tt.in), tt.status, tt.want...) })
	}
}
