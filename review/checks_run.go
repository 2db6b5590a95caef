package review

import (
	"fmt"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
)

// ColdRun tells what the run from nothing came to. What is wrong with the
// machine is never the pull request's fault; what only follows from something
// else is not told again.
func ColdRun(cold *runner.Results) Check {
	c := newCheck(CheckColdRun, "the run from nothing passes")
	if cold == nil {
		c.doubt("there was none")
		return c.done("")
	}
	c.say("run %s at %s: level %d (%s)", cold.RunID, cold.Head, cold.Level, cold.LevelReason)
	if cold.Fault.Stage != "" || cold.Interrupted {
		c.doubt("%s", cutShort(cold))
	}
	for _, s := range cold.Stages {
		c.say("%s: %s, %s", s.Name, s.Status, count(len(s.Tests), "test"))
		if len(s.Tests) == 0 && (s.Status == runner.Fail || s.Status == runner.Unver) {
			c.outcome(cold, s.Name, s.Status, s.Reason)
		}
		for _, t := range s.Tests {
			c.outcome(cold, t.Name, t.Status, t.Reason)
		}
	}
	return c.done("level %d", cold.Level)
}

// outcome tells of one test that did not pass, unless something before it did not.
func (c *checking) outcome(cold *runner.Results, name string, status runner.Status, reason string) {
	if strings.HasPrefix(reason, "blocked by ") || status != runner.Fail && status != runner.Unver {
		return
	}
	if status == runner.Unver {
		c.doubt("%s: %s", name, reason)
		return
	}
	c.fail(Finding{
		About: name,
		Title: fmt.Sprintf("%s is red", name), Claimed: fmt.Sprintf("level %d of %d can be reached", len(runner.Rungs), len(runner.Rungs)),
		Does: reason, Missing: "a green " + name, Fix: "mend what its reason says; its log is in the folder of the run",
		Command: testCommand(cold.Recipe, cold.Head),
	})
}

// PathsProven checks that of every saved path a probe was measured to depend on
// it, and that every wipe removed what its check asks for: else a restore that
// brings nothing back is as green.
func PathsProven(cold *runner.Results, suite *runner.Suite) Check {
	c := newCheck(CheckPathsProven, "every saved path has proof app")
	if cold == nil {
		c.doubt("there was no run")
		return c.done("")
	}
	if suite == nil {
		suite = runner.NoSuite(cold.Recipe)
	}
	proven, saved := 0, 0
	for _, row := range cold.Coverage {
		if !row.Saved {
			c.say("%s is not saved: %s", pathName(row), row.Reason)
			continue
		}
		saved++
		c.say("%s: proof %s, probes: %s", pathName(row), row.Proof, orNone(strings.Join(row.Probes, ", ")))
		switch {
		case row.Proof == runner.ProofApp:
			proven++
		case cold.Fault.Stage != "" || cold.Interrupted:
			c.doubt("%s was not tried to its end (%s)", pathName(row), cutShort(cold))
		default:
			c.fail(unproven(cold, suite, row))
		}
	}
	for _, p := range suite.Probes {
		if t, ok := testNamed(cold, "wipe_removes_"+runner.Slug(p.Name)); ok && t.Status == runner.Fail {
			c.fail(vacuousWipe(cold, p, t.Reason))
		}
	}
	return c.done("%d of %d", proven, saved)
}

// pathName writes a path as covers does: imap:/mail.
func pathName(row runner.Coverage) string {
	if row.Path == "" || row.Path == "." {
		return row.Service + ":" + row.Mount
	}
	return row.Service + ":" + row.Mount + "/" + row.Path
}

func testNamed(r *runner.Results, name string) (runner.Test, bool) {
	for _, s := range r.Stages {
		for _, t := range s.Tests {
			if t.Name == name {
				return t, true
			}
		}
	}
	return runner.Test{}, false
}

// unproven is the finding of a path that is saved, and that no probe shows to
// come back.
func unproven(cold *runner.Results, suite *runner.Suite, row runner.Coverage) Finding {
	name := pathName(row)
	f := Finding{
		About:   name,
		Title:   fmt.Sprintf("%s is saved and not proven to come back", name),
		Claimed: fmt.Sprintf("labels save %s (%s), and the run comes to level %d", name, row.Label, cold.Level),
		Does:    "no probe of the suite lives anywhere",
		Missing: fmt.Sprintf("nothing seeds data in %s, wipes it, and checks that it is back: if a backup lost all of it, the run would be as green", name),
		Fix:     fmt.Sprintf("add a [[probe]] with covers = [%q]: seed a datum there the way the app does, check for its token, and wipe it where the app keeps it", name),
		Command: testCommand(cold.Recipe, cold.Head),
	}
	var covering, elsewhere []string
	for _, p := range suite.Probes {
		if coversPath(p, row) {
			covering = append(covering, p.Name)
		}
		elsewhere = append(elsewhere, fmt.Sprintf("%s in %s", p.Name, strings.Join(p.Covers, ", ")))
	}
	switch {
	case len(covering) > 0:
		f.Does = fmt.Sprintf("%s says that it covers %s, and was not measured to depend on it: %s", strings.Join(covering, ", "), name, orNone(row.Reason))
		f.Missing = fmt.Sprintf("a check that misses while %s is not restored, and holds once it is", name)
		f.Fix = fmt.Sprintf("let %s check for what is kept in %s itself, or take that out of its covers and add a probe that does", covering[0], name)
	case len(elsewhere) > 0:
		f.Does = "every probe lives elsewhere: " + strings.Join(elsewhere, "; ")
	}
	return f
}

// coversPath tells whether a probe claims a path, or one above or below it.
func coversPath(p runner.Probe, row runner.Coverage) bool {
	name := strings.TrimSuffix(pathName(row), "/")
	for _, claimed := range p.Covers {
		claimed = strings.TrimSuffix(claimed, "/")
		if claimed == name || strings.HasPrefix(name, claimed+"/") || strings.HasPrefix(claimed, name+"/") {
			return true
		}
	}
	return false
}

// vacuousWipe is the finding of a wipe after which the data is still there.
func vacuousWipe(cold *runner.Results, p runner.Probe, reason string) Finding {
	var runs []string
	for _, st := range p.Wipe {
		runs = append(runs, stepLine(st))
	}
	return Finding{
		About:   "wipe_removes_" + runner.Slug(p.Name),
		Title:   fmt.Sprintf("the wipe of %s removes nothing", p.Name),
		Claimed: fmt.Sprintf("the data of %s is wiped, and comes back by the restore", p.Name),
		Does:    fmt.Sprintf("the wipe runs %s; afterwards the check still answers that all is there (%s)", strings.Join(runs, ", then "), reason),
		Missing: "a wipe that the check notices: as it is, restore_returns would be green without a restore",
		Fix:     fmt.Sprintf("wipe where the app keeps it (%s), and look with the check that it is gone", strings.Join(p.Covers, ", ")),
		Command: testCommand(cold.Recipe, cold.Head),
	}
}

// stepLine tells a step in one line.
func stepLine(st runner.Step) string {
	switch {
	case len(st.Run) > 0:
		return fmt.Sprintf("%q in %s", strings.Join(st.Run, " "), st.Service)
	case st.HTTP != "":
		return fmt.Sprintf("a request for %q in %s", st.HTTP, st.Service)
	}
	return fmt.Sprintf("the script %q in %s", st.Sh, st.Service)
}

// TeardownClean checks that the cold run left nothing behind.
func TeardownClean(cold *runner.Results) Check {
	return flagCheck(CheckTeardownClean, "the run leaves nothing behind", "clean_teardown", cold, func(f runner.Flags) runner.Status { return f.CleanTeardown })
}

// NoSecretLeak checks that no secret of the cold run was seen anywhere.
func NoSecretLeak(cold *runner.Results) Check {
	return flagCheck(CheckNoSecretLeak, "no secret is seen in logs, results, labels or envs", "no_secret_leak", cold, func(f runner.Flags) runner.Status { return f.NoSecretLeak })
}

func flagCheck(name, text, flag string, cold *runner.Results, of func(runner.Flags) runner.Status) Check {
	c := newCheck(name, text)
	if cold == nil {
		c.doubt("there was no run")
		return c.done("")
	}
	status := of(cold.Flags)
	c.say("%s: %s", flag, status)
	t, _ := testNamed(cold, flag)
	switch status {
	case runner.Pass:
		if t.Reason != "" {
			c.say("%s", t.Reason)
		}
	case runner.Fail:
		c.fail(Finding{
			Title: flag + " is red", Claimed: text, Does: orNone(t.Reason), Missing: "a run that keeps its promise",
			Fix: "mend what its reason says", Command: testCommand(cold.Recipe, cold.Head),
		})
	default:
		c.doubt("%s", orNone(t.Reason))
	}
	return c.done("")
}
