package runner

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The rungs of the ladder, from the lowest.
const (
	RungInstall       = "install"
	RungUpgrade       = "upgrade"
	RungBackupRestore = "backup_restore"
	RungFunctional    = "functional"
	RungLint          = "lint"
)

// Rungs lists the ladder's rungs from the lowest. A level counts them in this order.
var Rungs = []string{RungInstall, RungUpgrade, RungBackupRestore, RungFunctional, RungLint}

// The stages of a run, in the order in which they are recorded.
const (
	StageLint       = "lint"
	StageUpgrade    = "upgrade"
	StageBackup     = "backup"
	StageRestore    = "restore"
	StageInstall    = "install"
	StageDrill      = "drill"
	StageFunctional = "functional"
	StageMutants    = "mutants" // of a review alone; it decides no rung
	StageTeardown   = "teardown"
)

// Stages lists a run's stages in the order in which they are recorded.
var Stages = []string{StageLint, StageUpgrade, StageBackup, StageRestore, StageInstall, StageDrill, StageFunctional, StageMutants, StageTeardown}

// rungStages says which stages decide a rung. Teardown decides flags alone, and
// mutants say something about the suite, not about the recipe.
var rungStages = map[string][]string{
	RungInstall:       {StageInstall},
	RungUpgrade:       {StageUpgrade},
	RungBackupRestore: {StageBackup, StageRestore, StageDrill},
	RungFunctional:    {StageFunctional},
	RungLint:          {StageLint},
}

// combine is the status of a whole from its parts: one fail fails it, one
// unver leaves it unver, and it passes only if every part did. Parts that
// all do not apply make a whole that does not apply; nothing, or some parts
// skipped beside others that passed, is unver: half of a proof is none.
func combine(parts []Status) Status {
	if len(parts) == 0 {
		return Unver
	}
	seen := map[Status]bool{}
	for _, p := range parts {
		seen[p] = true
	}
	switch {
	case seen[Fail]:
		return Fail
	case len(seen) == 1 && seen[Pass]:
		return Pass
	case len(seen) == 1 && seen[Skip]:
		return Skip
	default: // unver, a mixture, or a word we do not know
		return Unver
	}
}

// worse orders statuses by how much they block: pass and skip do not.
func worse(a, b Status) bool {
	weight := map[Status]int{Pass: 0, Skip: 0, Unver: 1, Fail: 2}
	return weight[a] > weight[b]
}

// rungsOf computes every rung's status and reason from the stages. A stage
// that is not there makes its rung unver.
func rungsOf(stages []Stage) (map[string]Status, map[string]string) {
	byName := map[string]Stage{}
	for _, s := range stages {
		byName[s.Name] = s
	}
	rungs, reasons := map[string]Status{}, map[string]string{}
	for _, rung := range Rungs {
		var parts []Status
		reason := ""
		for _, name := range rungStages[rung] {
			s, ok := byName[name]
			if !ok {
				s = Stage{Name: name, Status: Unver, Reason: "stage " + name + " was not reached"}
			}
			if s.Status != Pass && (reason == "" || worse(s.Status, combine(parts))) {
				reason = s.Reason
			}
			parts = append(parts, s.Status)
		}
		rungs[rung] = combine(parts)
		if rungs[rung] != Pass {
			reasons[rung] = reason
		}
	}
	return rungs, reasons
}

// LevelOf counts the rungs that passed before the first one that is fail or
// unver; a skip neither counts nor blocks. The reason names what stopped the
// climb, or what was skipped.
func LevelOf(rungs map[string]Status, reasons map[string]string) (int, string) {
	level := 0
	var skipped []string
	for _, rung := range Rungs {
		switch rungs[rung] {
		case Pass:
			level++
		case Skip:
			skipped = append(skipped, explain(rung, Skip, reasons[rung]))
		default:
			status := rungs[rung]
			if status != Fail {
				status = Unver
			}
			return level, explain(rung, status, reasons[rung])
		}
	}
	if len(skipped) > 0 {
		return level, strings.Join(skipped, "; ")
	}
	return level, "all five rungs passed"
}

func explain(rung string, s Status, reason string) string {
	if reason == "" {
		return fmt.Sprintf("%s: %s", rung, s)
	}
	return fmt.Sprintf("%s: %s (%s)", rung, s, reason)
}

// stageStatus is the status that a stage's tests add up to.
func stageStatus(tests []Test) (Status, string) {
	var parts []Status
	reason, reasonStatus := "", Pass
	for _, t := range tests {
		parts = append(parts, t.Status)
		if worse(t.Status, reasonStatus) || (t.Status == Skip && reason == "") {
			reason, reasonStatus = t.Name+": "+t.Reason, t.Status
		}
	}
	// A test that does not apply leaves its stage to the others.
	parts = slices.DeleteFunc(parts, func(s Status) bool { return s == Skip && len(tests) > 1 })
	if len(parts) == 0 {
		return Skip, tests[0].Reason
	}
	return combine(parts), reason
}

// settle fills in what follows from the stages: rungs, skips and level.
func (r *Results) settle() {
	rungs, reasons := rungsOf(r.Stages)
	r.Rungs = rungs
	r.Skips = Skips{Intentional: map[string]string{}, Unintentional: []string{}}
	for _, rung := range Rungs {
		switch rungs[rung] {
		case Skip:
			r.Skips.Intentional[rung] = reasons[rung]
		case Unver:
			r.Skips.Unintentional = append(r.Skips.Unintentional, rung)
		}
	}
	r.Level, r.LevelReason = LevelOf(rungs, reasons)
}

// consistent tells where a record says more than its stages do. A stage may
// understate its tests, never overstate them.
func (r *Results) consistent() error {
	names := map[string]bool{}
	for _, s := range r.Stages {
		if names[s.Name] {
			return fmt.Errorf("stage %q is there twice", s.Name)
		}
		names[s.Name] = true
		if !slices.Contains([]Status{Pass, Fail, Skip, Unver}, s.Status) {
			return fmt.Errorf("stage %q has status %q", s.Name, s.Status)
		}
		if len(s.Tests) == 0 && s.Status == Pass {
			return fmt.Errorf("stage %q passed without a test", s.Name)
		}
		if len(s.Tests) == 0 {
			continue
		}
		if got, _ := stageStatus(s.Tests); worse(got, s.Status) || (s.Status == Pass && got != Pass) {
			return fmt.Errorf("stage %q says %s, its tests say %s", s.Name, s.Status, got)
		}
	}
	if err := r.consistentFault(); err != nil {
		return err
	}
	rungs, reasons := rungsOf(r.Stages)
	if !maps.Equal(rungs, r.Rungs) {
		return fmt.Errorf("rungs are %v, the stages say %v", r.Rungs, rungs)
	}
	if level, _ := LevelOf(rungs, reasons); level != r.Level {
		return fmt.Errorf("level is %d, the rungs say %d", r.Level, level)
	}
	return r.consistentProof(rungs)
}

// consistentFault refuses a fault that no stage had, or one that did no harm.
func (r *Results) consistentFault() error {
	f := r.Fault
	if (f.Stage == "") != (f.Reason == "") {
		return fmt.Errorf("the fault %q has stage %q", f.Reason, f.Stage)
	}
	at := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.Name == f.Stage })
	switch {
	case f.Stage == "" || at < 0 && r.Finished.IsZero(): // none, or its stage goes on
		return nil
	case at < 0:
		return fmt.Errorf("the fault is of stage %q, which was not reached", f.Stage)
	case r.Stages[at].Status == Pass || r.Stages[at].Status == Skip:
		return fmt.Errorf("the fault is of stage %q, which says %s", f.Stage, r.Stages[at].Status)
	}
	return nil
}

// consistentProof refuses a passed backup_restore over a saved path without
// proof, or over an error notice.
func (r *Results) consistentProof(rungs map[string]Status) error {
	if rungs[RungBackupRestore] != Pass {
		return nil
	}
	for _, c := range r.Coverage {
		if c.Saved && c.Proof != ProofApp {
			return fmt.Errorf("backup_restore passed, but %s:%s has proof %q", c.Service, c.Mount, c.Proof)
		}
	}
	for _, n := range r.Notices {
		if n.Severity == "error" {
			return fmt.Errorf("backup_restore passed, but there is an error notice %q", n.ID)
		}
	}
	return nil
}
