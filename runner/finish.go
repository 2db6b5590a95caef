package runner

import (
	"context"
	"fmt"
	"strings"

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
			s.found(ctx, "no_secret_leak", r.leaks.err())
			return nil
		}
		s.test(ctx, "clean_teardown", func(ctx context.Context) error {
			if err := r.Deployer.Undeploy(ctx, Removal{Volumes: true, Secrets: true, Grace: teardownGrace}); err != nil {
				return err
			}
			left, err := r.Left(ctx)
			if err != nil {
				return err
			}
			if len(left) > 0 {
				return fmt.Errorf("left on the engine: %s", strings.Join(left, ", "))
			}
			return r.Folder.Sweep()
		})
		// Logs are complete only now that every task is gone.
		s.found(ctx, "no_secret_leak", r.leaks.err())
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
