package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/canary"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/runner"
)

// reviewing prepares the review of a row, as if its head were a pull request
// against its base, with the good recipe's suite as the one before. nil: the row
// is not reviewed.
func (t *selftest) reviewing(ctx context.Context, r *row, e *env, dir string, w canary.Written) (*reviewing, error) {
	if r.canary.Trial == canary.Climbed {
		return nil, nil
	}
	good, err := canary.Good(r.canary.Of).Write(filepath.Join(dir, "good"), t.image)
	if err != nil {
		return nil, err
	}
	rev := &reviewing{e: e, o: reviewOptions{suite: w.Suite, baseSuite: good.Suite}, dir: filepath.Join(dir, "review"), sab: &review.Saboteur{Only: r.canary.Mutants},
		claimed: review.PhaseClaim{Level: len(runner.Rungs), Checks: []string{review.CheckVersionBumped}}}
	if err := os.Mkdir(rev.dir, 0o700); err != nil {
		return nil, err
	}
	rec, err := recipe.Open(e.abraDir(), w.Recipe)
	if err != nil {
		return nil, err
	}
	rev.fetched = &recipe.Fetched{Recipe: rec}
	if rev.fetched.Head, err = rec.Commit(""); err != nil {
		return nil, err
	}
	if rev.fetched.Base, _, _, err = rec.Base(rev.fetched.Head); err != nil {
		return nil, err
	}
	rev.fetched.MergeBase = rev.fetched.Base
	rev.pull = review.Pull{Open: true, Subject: review.Subject{Repo: "selftest/" + r.canary.Name, PR: 1, Head: rev.fetched.Head.SHA, Base: rev.fetched.Base.SHA, MergeBase: rev.fetched.Base.SHA}}
	err = rev.read(ctx)
	rev.known.tags = nil // a pull request's version has none yet, and its recipe needs one to have a base
	return rev, err
}

// asStage makes the checks, and adds them to a record as tests of a stage.
func (r *reviewing) asStage(results *runner.Results) *runner.Results {
	if r == nil {
		return nil
	}
	if r.cold == nil {
		r.checks = r.readable()
	} else {
		r.judge()
	}
	stage := runner.Stage{Name: canary.StageReview, Status: runner.Pass}
	for _, c := range r.checks {
		parts := []string{c.Text}
		for _, f := range c.Findings {
			parts = append(parts, f.Title)
		}
		stage.Tests = append(stage.Tests, runner.Test{Name: c.Name, Status: c.Status, Reason: strings.Join(append(parts, c.Evidence...), "; ")})
		if c.Status == runner.Fail || c.Status == runner.Unver && stage.Status != runner.Fail {
			stage.Status, stage.Reason = c.Status, c.Text
		}
	}
	out := *results
	out.Stages = append(slices.Clone(results.Stages), stage)
	return &out
}
