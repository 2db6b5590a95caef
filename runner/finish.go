package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/lint"
)

// lintStage judges the head's files. It needs no engine and runs beside the rest.
func (r *Run) lintStage(ctx context.Context) {
	r.runStage(ctx, StageLint, func(ctx context.Context, s *stageRun) error {
		if !r.wants(RungLint) {
			return leftOut
		}
		results := r.Lint(ctx)
		r.mu.Lock()
		r.results.Lint.Rules = results
		r.mu.Unlock()
		for _, rule := range results {
			s.found(ctx, "lint_"+Slug(rule.ID), lintError(rule))
		}
		return nil
	})
}

// lintError is what a rule's result makes of its test: only error rules block.
func lintError(rule lint.Result) error {
	text := strings.TrimSpace(rule.Where + " " + rule.Reason)
	switch {
	case rule.Outcome == lint.Satisfied:
		return nil
	case rule.Outcome == lint.Skipped:
		return skip("%s", text)
	case rule.Severity != labels.Error:
		return note(fmt.Sprintf("warning, %s: %s", rule.Outcome, text))
	case rule.Outcome == lint.Violated:
		return fmt.Errorf("%s: %s", rule.Rule, text)
	default:
		return unver("%s was not evaluated: %s", rule.Rule, text)
	}
}

// functionalStage asks the freshly recovered app to do its work.
func (r *Run) functionalStage(ctx context.Context, installed bool) {
	r.runStage(ctx, StageFunctional, func(ctx context.Context, s *stageRun) error {
		switch {
		case !r.wants(RungFunctional):
			return leftOut
		case len(r.Suite.Functional) == 0:
			return unver("the suite has no functional test")
		case !installed || r.running == nil:
			return blocked(StageInstall)
		}
		for _, f := range r.Suite.Functional {
			s.test(ctx, "functional_"+Slug(f.Name), func(ctx context.Context) error {
				return r.ex.works(ctx, f.Steps)
			})
		}
		if !r.looked { // nothing was seeded; what the app writes by itself is told all the same
			s.test(ctx, "state_outside_volumes", r.outsideTest)
		}
		s.test(ctx, "functional_stays_up", r.staysUp)
		return nil
	})
}

// works does a functional test's steps in order, with a token of its own.
func (x *exerciser) works(ctx context.Context, steps []Step) error {
	return x.do(ctx, steps, x.token(newToken())).asError()
}

// teardownStage removes all that the run made, proves it, and tells whether
// any of the run's secrets was seen.
func (r *Run) teardownStage(ctx context.Context) {
	stage := r.runStage(ctx, StageTeardown, func(ctx context.Context, s *stageRun) error {
		if r.Keep {
			s.found(ctx, "clean_teardown", unver("app and data were kept, as --keep says"))
			s.found(ctx, "no_secret_leak", r.leaked())
			return nil
		}
		s.test(ctx, "clean_teardown", r.clearAway)
		// Logs are complete only now that every task is gone.
		err := r.leaked()
		if err == nil && s.stage.Tests[0].Status == Unver {
			err = unver("nobody knows what tasks have said that may still be there")
		}
		s.found(ctx, "no_secret_leak", err)
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range stage.Tests {
		switch t.Name {
		case "clean_teardown":
			r.results.Flags.CleanTeardown = t.Status
		case "no_secret_leak":
			r.results.Flags.NoSecretLeak = t.Status
		}
	}
}

// clearAway removes all that the run made and proves it. Whatever comes of
// that, nothing of the run's own stays on disk but its record and logs.
func (r *Run) clearAway(ctx context.Context) error {
	err := r.undeployAll(ctx)
	left, unseen := r.left(ctx)
	switch {
	case unseen != nil:
		err = &InfraError{Op: "remove what the run made", Hint: "abra-ccci reap " + r.RunID,
			Err: fmt.Errorf("%w; there may be services, containers, networks, volumes, secrets and configs of stack %s left", errors.Join(err, unseen), r.stack)}
	case len(left) == 0:
		err = nil // however that came about
	case err == nil:
		err = fmt.Errorf("left on the engine: %s", strings.Join(left, ", "))
	default:
		err = &InfraError{Op: "remove what the run made", Hint: "abra-ccci reap " + r.RunID, Err: fmt.Errorf("%w; left on the engine: %s", err, strings.Join(left, ", "))}
	}
	return errors.Join(err, infraIf("remove the run's working files", r.Folder.Sweep()))
}

// undeployAll removes the app and its twins.
func (r *Run) undeployAll(ctx context.Context) error {
	all := append([]*Run{r}, r.twins...)
	errs := make([]error, len(all))
	var work sync.WaitGroup
	for i, app := range all {
		work.Go(func() {
			errs[i] = app.Deployer.Undeploy(ctx, Removal{Volumes: true, Secrets: true, Grace: teardownGrace, Await: true})
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// left asks what is left, also when there is no time any more to remove it.
func (r *Run) left(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	return r.Machine.Left(ctx)
}

// leaked tells which secrets were seen or, if none was, whose output nobody
// has read: they may be in there.
func (r *Run) leaked() error {
	if err := r.leaks.err(); err != nil {
		return err
	}
	gaps := r.Machine.LogGaps()
	for _, twin := range r.twins {
		gaps = append(gaps, twin.Machine.LogGaps()...)
	}
	if len(gaps) > 0 {
		return unver("not all output was read: %s", strings.Join(gaps, "; "))
	}
	return nil
}

// coverage writes one row for each volume and saved path.
func (r *Run) coverage(d *drill) {
	rows := []Coverage{}
	excluded := r.Suite.excludedVolumes()
	for _, p := range d.paths {
		proof := d.proof(p)
		row := Coverage{Volume: p.Volume, Path: p.Path, Service: p.Service, Mount: p.Mount, Saved: true, Label: p.Label,
			Probes: d.proven[p.String()], Proof: proof}
		if row.Probes == nil {
			row.Probes = []string{}
		}
		if proof != ProofApp {
			row.Reason = d.lacks(p, proof)
		}
		rows = append(rows, row)
	}
	for _, v := range d.plan.Volumes {
		if v.Saved || len(v.Mounts) == 0 {
			continue
		}
		reason := v.Why
		if x, ok := excluded[v.Volume]; ok {
			reason = x
		}
		rows = append(rows, Coverage{Volume: v.Volume, Path: ".", Service: v.Mounts[0].Service, Mount: v.Mounts[0].Target,
			Label: v.Label, Reason: reason, Probes: []string{}, Proof: ProofNone})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results.Coverage = rows
}
