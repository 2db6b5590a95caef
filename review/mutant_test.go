package review

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/runner"
)

type sights = map[string]runner.Sight

func TestJudge(t *testing.T) {
	const green, miss, broken = runner.SightGreen, runner.SightMiss, runner.SightError
	tests := []struct {
		name string
		trial
		want Outcome
		why  string
	}{
		{"the one that covers it misses", trial{named: []string{"mail"}, changed: true, sights: sights{"mail": miss, "box": green}, cured: sights{"mail": green, "box": green}}, Killed, "missed by mail"},
		{"only another misses", trial{named: []string{"mail"}, changed: true, sights: sights{"mail": green, "box": miss}, cured: sights{"mail": green, "box": green}}, Killed, "does not claim to cover it"},
		{"all stay green", trial{named: []string{"mail"}, changed: true, sights: sights{"mail": green, "box": green}}, Survived, "box, mail stayed green"},
		{"the cure does not help", trial{changed: true, sights: sights{"mail": miss}, cured: sights{"mail": miss}}, Inconclusive, "stayed red"},
		{"the cure was not tried", trial{changed: true, sights: sights{"mail": miss}}, Inconclusive, "stayed red"},
		{"a flaky check is no kill", trial{changed: true, sights: sights{"mail": miss, "box": miss}, cured: sights{"mail": green, "box": broken}}, Inconclusive, "box stayed red"},
		{"the app only breaks", trial{changed: true, sights: sights{"mail": broken}, cured: sights{"mail": green}}, Detected, "nothing was missed"},
		{"a hook fails, and nobody else notices", trial{changed: true, loud: errors.New("exit 1"), sights: sights{"mail": green}}, Detected, "exit 1"},
		{"nothing was changed", trial{sights: sights{"mail": green}}, Equivalent, "no byte"},
		{"nothing was changed, and yet it is red", trial{sights: sights{"mail": miss}, cured: sights{"mail": green}}, Inconclusive, "no byte"},
		{"every one must notice, and does", trial{every: true, changed: true, sights: sights{"mail": miss, "box": miss}, cured: sights{"mail": green, "box": green}}, Killed, "missed by box, mail"},
		{"every one must notice, and one does not", trial{every: true, changed: true, sights: sights{"mail": miss, "box": green}, cured: sights{"mail": green, "box": green}}, Survived, "box stayed green"},
		{"every one must notice, and one can't be asked", trial{every: true, changed: true, sights: sights{"mail": miss, "box": broken}, cured: sights{"mail": green, "box": green}}, Detected, "box gave no clear answer"},
		{"nobody was asked", trial{changed: true}, Inconclusive, "no probe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, why := tt.judge()
			if got != tt.want || !strings.Contains(why, tt.why) {
				t.Errorf("%s (%s), want %s (%s)", got, why, tt.want, tt.why)
			}
		})
	}
}

// What the check says of some mutants: only a survivor fails it, and what could
// not be told never passes it.
func TestMutantsKilled(t *testing.T) {
	mail := labels.SavedPath{Volume: "mail", Path: ".", Service: "imap", Mount: "/mail"}
	placebo := Mutant{Op: Placebo, On: "first", Outcome: Equivalent}
	drop := func(o Outcome) Mutant {
		return Mutant{Op: DropPath, On: "imap:/mail", Outcome: o, paths: []labels.SavedPath{mail}}
	}
	noticed := func(m Mutant) Mutant {
		m.Noticed = "missed by box"
		return m
	}
	tests := []struct {
		name     string
		mutants  []Mutant
		want     runner.Status
		findings int
	}{
		{"killed", []Mutant{placebo, drop(Killed), placebo}, runner.Pass, 0},
		{"survived", []Mutant{placebo, drop(Survived), placebo}, runner.Fail, 1},
		{"inconclusive", []Mutant{placebo, drop(Inconclusive), placebo}, runner.Unver, 0},
		{"data withheld, and the app only broke", []Mutant{placebo, drop(Detected), placebo}, runner.Unver, 0},
		{"the suite before notices what this one only breaks over", []Mutant{placebo, noticed(drop(Detected)), placebo}, runner.Fail, 1},
		{"the suite before notices a survivor: one finding", []Mutant{placebo, noticed(drop(Survived)), placebo}, runner.Fail, 1},
		{"the suite before notices what nothing can be told of", []Mutant{placebo, noticed(drop(Inconclusive)), placebo}, runner.Unver, 0},
		{"both notice", []Mutant{placebo, noticed(drop(Killed)), placebo}, runner.Pass, 0},
		{"a hook skipped, and loud", []Mutant{placebo, drop(Killed), {Op: PreHookGone, On: "db", Outcome: Detected}}, runner.Pass, 0},
		{"a placebo that is not green", []Mutant{{Op: Placebo, On: "first", Outcome: Inconclusive}, drop(Killed)}, runner.Unver, 0},
		{"all equivalent", []Mutant{placebo, drop(Equivalent)}, runner.Unver, 0},
		{"a secret is needed", []Mutant{placebo, drop(Killed), {Op: NewSecrets, On: "key", Outcome: Detected}}, runner.Pass, 0},
		{"nothing but a secret is needed", []Mutant{placebo, {Op: NewSecrets, Outcome: Detected}}, runner.Unver, 0},
		{"no mutant", nil, runner.Unver, 0},
		{"a survivor under two names is one finding", []Mutant{placebo, drop(Survived), {Op: LabelRemoved, On: "imap backupbot.backup", Outcome: Survived, As: "drop_path imap:/mail"}}, runner.Fail, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := (&Saboteur{Mutants: tt.mutants}).MutantsKilled("mailu", headSHA)
			if c.Status != tt.want || len(c.Findings) != tt.findings {
				t.Errorf("%s with %d findings, want %s with %d\n%+v", c.Status, len(c.Findings), tt.want, tt.findings, c)
			}
		})
	}
}

func TestCoversTrue(t *testing.T) {
	mail := labels.SavedPath{Volume: "mail", Path: ".", Service: "imap", Mount: "/mail"}
	data := labels.SavedPath{Volume: "data", Path: ".", Service: "admin", Mount: "/data"}
	witnesses := []runner.Witness{{Name: "box", Claims: []labels.SavedPath{data, mail}}, {Name: "mail", Claims: []labels.SavedPath{mail}}}
	trial := func(box runner.Sight) *Saboteur {
		return &Saboteur{witnesses: witnesses, paths: []labels.SavedPath{data, mail}, Mutants: []Mutant{
			{Op: DropPath, Outcome: Killed, paths: []labels.SavedPath{mail}, Sights: sights{"box": box, "mail": runner.SightMiss}}}}
	}
	if c := trial(runner.SightGreen).CoversTrue("mailu", headSHA); c.Status != runner.Fail || len(c.Findings) != 1 || !strings.Contains(c.Findings[0].Title, "probe box covers imap:/mail") {
		t.Errorf("%+v", c)
	}
	if c := trial(runner.SightMiss).CoversTrue("mailu", headSHA); c.Status != runner.Pass {
		t.Errorf("%+v", c)
	}
	if c := trial(runner.SightError).CoversTrue("mailu", headSHA); c.Status != runner.Unver {
		t.Errorf("%+v", c)
	}
	if c := (&Saboteur{}).CoversTrue("mailu", headSHA); c.Status != runner.Unver {
		t.Errorf("%+v", c)
	}
}

// A finding stays one from review to review, and only a review that tested it
// again closes it.
func TestSort(t *testing.T) {
	mail, old := Finding{Check: CheckMutantsKilled, Title: "the loss of imap:/mail goes unnoticed"}, Finding{Check: CheckMutantsKilled, Title: "an old backup passes for the newest"}
	open := []Open{{"ADV-mailu-01", mail.heading()}, {"ADV-mailu-02", old.heading()}, {"ADV-mailu-03", "in somebody's own words"}, {"ADV-mailu-04", "cold_run: install_deploys_head is red"}}
	tests := []struct {
		name   string
		checks []Check
		news   int
		closed []string
	}{
		{"found again", []Check{{Name: CheckMutantsKilled, Status: runner.Fail, Findings: []Finding{mail}}}, 0, []string{"ADV-mailu-02"}},
		{"gone", []Check{{Name: CheckMutantsKilled, Status: runner.Pass}}, 0, []string{"ADV-mailu-01", "ADV-mailu-02"}},
		{"not tested", []Check{{Name: CheckMutantsKilled, Status: runner.Unver}}, 0, nil},
		{"found again, and follows from another", []Check{{Name: CheckColdRun, Status: runner.Fail, Findings: []Finding{{Check: CheckColdRun, Title: "install_deploys_head is red", Follows: true}}}}, 0, nil},
		{"new, and follows from another", []Check{{Name: CheckLevels, Status: runner.Fail, Findings: []Finding{{Check: CheckLevels, Title: "x", Follows: true}}}}, 0, nil},
		{"new, and told twice", []Check{{Name: CheckColdRun, Status: runner.Fail, Findings: []Finding{{Check: CheckColdRun, Title: "x"}, {Check: CheckColdRun, Title: "x"}}}}, 1, []string{"ADV-mailu-04"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			news, closed := Sort(tt.checks, open)
			if len(news) != tt.news || !slices.Equal(closed, tt.closed) {
				t.Errorf("%d new, closed %v; want %d, %v", len(news), closed, tt.news, tt.closed)
			}
		})
	}
}

func TestSeededFiles(t *testing.T) {
	older := runner.Manifest{{Path: "a", Type: "file", Size: 3}, {Path: "d", Type: "dir"}, {Path: "d/b", Type: "file", Size: 1}}
	newer := runner.Manifest{{Path: "a", Type: "file", Size: 3}, {Path: "d", Type: "dir"}, {Path: "d/b", Type: "file", Size: 2}, {Path: "d/c", Type: "file", Size: 5}, {Path: "d/empty", Type: "file"}, {Path: "dx", Type: "file", Size: 9}}
	files, bytes := seeded(older, newer, "d")
	if !slices.Equal(files, []string{"d/b", "d/c"}) || bytes != 7 {
		t.Errorf("%v, %d bytes", files, bytes)
	}
}

// A comment calls nobody, and holds nothing of the pull request's as markup.
func TestComment(t *testing.T) {
	c := Content(Subject{Repo: "a/b", PR: 3, Head: headSHA}, []Check{{Name: CheckPullOpen, Status: runner.Fail, Text: "@everyone <b>", Findings: []Finding{{Check: CheckPullOpen, Title: "@bob ![x](http://x)"}}}}, nil)
	c.Claim = "M1"
	text := Comment(c, ledger.Receipt{Entry: &ledger.Entry{Content: c}}, true)
	for _, bad := range []string{"@everyone", "@bob", "<b>", "](http"} {
		if strings.Contains(strings.ReplaceAll(text, `\`+bad[:1], ""), bad) {
			t.Errorf("%q stands in\n%s", bad, text)
		}
	}
	if !strings.Contains(text, "### M1 FAIL") || !strings.Contains(text, "no longer the head") {
		t.Error(text)
	}
}

// What was seen while the engine went away is no kill and no green placebo.
func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		m      Mutant
		passed bool
		want   Outcome
	}{
		{Mutant{Op: Placebo, Outcome: Equivalent}, true, Equivalent},
		{Mutant{Op: Placebo, Outcome: Equivalent}, false, Inconclusive},
		{Mutant{Op: NewSecrets, Outcome: Equivalent}, false, Inconclusive},
		{Mutant{Op: DropPath, Outcome: Killed}, true, Killed},
		{Mutant{Op: DropPath, Outcome: Killed}, false, Inconclusive},
		{Mutant{Op: DropPath, Outcome: Detected}, false, Inconclusive},
		{Mutant{Op: DropPath, Outcome: Survived}, false, Survived},
		{Mutant{Op: DropPath, Outcome: Equivalent}, false, Equivalent}, // its test is skipped
	} {
		if got := tt.m.held(tt.passed).Outcome; got != tt.want {
			t.Errorf("%s %s, test passed %v: %s, want %s", tt.m.Op, tt.m.Outcome, tt.passed, got, tt.want)
		}
	}
}

// An app that was not used is told of: a restore as it should be was not green there.
func TestUnusedAppIsTold(t *testing.T) {
	c := (&Saboteur{unused: []string{"app 2 was not used: probe mail is red"}}).MutantsKilled("mailu", headSHA)
	if !slices.Contains(c.Evidence, "app 2 was not used: probe mail is red") {
		t.Errorf("%q", c.Evidence)
	}
}

// A panic in a lane reaches whoever tears down.
func TestWhatTheSuiteBeforeMisses(t *testing.T) {
	killed := Mutant{Op: DropPath, On: "imap:/mail", Outcome: Killed}
	for sight, want := range map[runner.Sight]runner.Status{runner.SightMiss: runner.Fail, runner.SightError: runner.Unver} {
		s := &Saboteur{Mutants: []Mutant{killed}, red: map[string]redElder{"box": {sight, "exit 4"}}, elderless: []string{"probe old of the suite before is not asked: no such table"}}
		c := s.MutantsKilled("mailu", headSHA)
		if c.Status != want || (len(c.Findings) == 1) != (want == runner.Fail) || !strings.Contains(told(c), "no such table") || !strings.Contains(told(c), "probe box of the suite before, after a whole restore: "+string(sight)+", exit 4") {
			t.Errorf("%s: %+v", sight, c)
		}
	}
	s := &Saboteur{Mutants: []Mutant{killed}, elderless: []string{"probe old of the suite before is not asked"}}
	if c := s.MutantsKilled("mailu", headSHA); c.Status != runner.Pass {
		t.Errorf("a probe that this app does not take: %+v", c)
	}
}

func TestPanicInALane(t *testing.T) {
	s := &Saboteur{lanes: []*lane{{number: 1}, {number: 2}}}
	ended := false
	defer func() {
		if p := recover(); p != "lane 2" || !ended {
			t.Errorf("recovered %v, the other lane has ended: %v", p, ended)
		}
	}()
	s.inAll(func(_ int, l *lane) {
		if l.number == 2 {
			panic("lane 2")
		}
		ended = true
	})
}

// Which mutants are tried: all, or those that are named.
func TestOnly(t *testing.T) {
	tried := func(s *Saboteur) (out []Operator) {
		s.paths = []labels.SavedPath{{Volume: "data", Path: ".", Service: "app", Mount: "/data"}, {Volume: "mail", Path: ".", Service: "imap", Mount: "/mail"}}
		for _, m := range s.sought(s.ofPaths()) {
			out = append(out, m.op)
		}
		return out
	}
	for _, tt := range []struct {
		only []string
		want []Operator
	}{
		{nil, []Operator{RestoreNone, DropPath, DropPath, Truncated, Truncated, OlderSnapshot}},
		{[]string{"mutant_drop_path_imap_mail"}, []Operator{DropPath}},
		{[]string{}, nil},
	} {
		if got := tried(&Saboteur{Only: tt.only}); !slices.Equal(got, tt.want) {
			t.Errorf("only %q: tried %q, want %q", tt.only, got, tt.want)
		}
	}
}
