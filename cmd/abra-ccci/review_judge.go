package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/runner"
)

// A reading is what can be known of the two versions without running anything.
type reading struct {
	sides      review.Sides
	danger     review.Check
	secret     review.Check
	tags       []recipe.Tag
	builder    *runner.Results
	evidence   *review.Check
	digest     string
	head, base *labelsSide
}

// read makes all the checks for which nothing has to run. A finding among them
// is no error.
func (r *reviewing) read(ctx context.Context) error {
	rec := r.fetched.Recipe
	head, err := rec.Checkout(r.fetched.Head, filepath.Join(r.dir, "head"))
	if err != nil {
		return err
	}
	base, err := rec.Checkout(r.fetched.Base, filepath.Join(r.dir, "base"))
	if err != nil {
		return err
	}
	merge, err := rec.Checkout(r.fetched.MergeBase, filepath.Join(r.dir, "merge-base"))
	if err != nil {
		return err
	}
	if r.suite, err = findSuite(r.e, r.o.suite, head); err != nil {
		return err
	}
	if r.known.tags, err = rec.Tags(); err != nil {
		return err
	}
	r.known.secret = review.NoPlaintextSecret(merge.Files(), head.Files(), review.ReadPast(rec, r.fetched.MergeBase, r.fetched.Head, merge.Files()))
	if err := r.readSides(head, base); err != nil {
		return err
	}
	return r.readEvidence(ctx, head.Recipe)
}

// readSides resolves both versions, with the suite's env and without.
func (r *reviewing) readSides(head, base *recipe.Checkout) (err error) {
	domain := sampleDomain(head)
	if r.known.head, err = resolveSide(head, r.suite, domain); err != nil {
		return err
	}
	var before *runner.Suite
	if before, err = r.suiteBefore(base); err != nil {
		return err
	}
	sides := review.Sides{Head: r.known.head.subject, Notices: r.known.head.notices, HeadSuite: r.suite, BaseSuite: before, Accepted: r.o.accept,
		Command: fmt.Sprintf("abra-ccci labels %s --diff %s..%s", head.Recipe, base.Commit.SHA, head.Commit.SHA)}
	resolutions := []review.Resolution{{Name: "head with the suite's env", Refusals: recipe.Refusals(r.known.head.subject.Stack, head.Dir)}}
	if side, err := resolveSide(base, r.suiteOfBase(before), domain); err == nil {
		r.known.base, sides.Base = side, side.subject
	} else {
		sides.BaseUnread = err.Error()
	}
	for _, co := range []*recipe.Checkout{base, head} {
		if stack, _, err := co.Stack(co.AppEnv(domain, nil)); err == nil {
			resolutions = append(resolutions, review.Resolution{Name: fmt.Sprintf("%.12s with its own .env.sample", co.Commit.SHA), Refusals: recipe.Refusals(stack, co.Dir)})
		} else {
			r.say("%.12s does not resolve with its own .env.sample, and is not deployed so: %v", co.Commit.SHA, err)
		}
	}
	r.known.sides, r.known.danger = sides, review.NothingDangerous(resolutions, r.o.allow)
	return nil
}

// suiteOfBase is the suite whose env the base is read with. The head's own is
// none: its env could switch off what the base saves, so that nothing is missed.
func (r *reviewing) suiteOfBase(before *runner.Suite) *runner.Suite {
	switch {
	case before != nil:
		return before
	case strings.HasPrefix(r.suite.Source, "ccci/"), r.pinned != nil: // the builder's
		return runner.NoSuite(r.suite.Recipe)
	}
	return r.suite
}

// suiteBefore is the suite that was in force before the pull request: the
// reviewer's word, or that of the suite's own repository, or the base's own. nil:
// there was none.
func (r *reviewing) suiteBefore(base *recipe.Checkout) (*runner.Suite, error) {
	if r.o.baseSuite != "" {
		s, err := runner.ReadSuite(os.DirFS(r.o.baseSuite), filepath.Join(r.o.baseSuite, runner.SuiteFile))
		return s, err
	}
	if r.pinned != nil && r.pinned.Base != nil {
		return r.pinned.Base, nil
	}
	own, err := fs.Sub(base.Files(), "ccci")
	if err != nil {
		return nil, err
	}
	s, err := runner.ReadSuite(own, "ccci/"+runner.SuiteFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return s, err
}

func (r *reviewing) readEvidence(ctx context.Context, name string) error {
	text, err := r.evidence(ctx)
	if err != nil || text == nil {
		return err
	}
	check, builder := review.Evidence(text, name, r.pull.Head)
	r.known.evidence, r.known.builder, r.known.digest = &check, builder, review.Digest(text)
	return nil
}

// readable are the checks for which nothing has run.
func (r *reviewing) readable() []review.Check {
	k := r.known
	k.sides.Measured = r.sab.Measured
	checks := []review.Check{review.PullOpen(r.pull), review.LabelsNoError(k.sides), review.VolumesDecided(k.sides)}
	if r.needs(review.CheckVersionBumped) {
		checks = append(checks, review.VersionBumped(k.sides.Base.Stack, k.head.subject.Stack, k.tags))
	}
	var earlier []review.EarlierSuite
	if r.pinned != nil && r.o.baseSuite == "" {
		earlier = r.pinned.earlier
	}
	if r.pinned != nil {
		checks = append(checks, review.SuiteOfClaim(r.pinned.PinnedSuite))
	}
	return append(checks, k.secret, k.danger, review.SuiteNotWeakened(k.sides.BaseSuite, r.suite, earlier...))
}

// claimedLevel is the level that the phase says, else the builder's record.
func (r *reviewing) claimedLevel() int {
	if r.claimed.Level == 0 && r.known.builder != nil {
		return r.known.builder.Level
	}
	return r.claimed.Level
}

// judge makes the checks in the order in which people read them.
func (r *reviewing) judge() {
	ladders := review.Ladders{Cold: ladderOf(r.cold), Base: ladderOf(r.baseRun), Level: r.claimedLevel(), BaseLevel: r.claimed.ClaimedBaseLevel()}
	cold := ladderOf(r.cold)
	name, head := r.cold.Recipe, r.pull.Head
	mutants := r.sab.MutantsKilled(name, head)
	proven := review.Once(review.PathsProven(cold, r.suite), mutants)
	ran := review.Once(review.ColdRun(cold), proven)
	r.checks = append(r.readable(), r.evidenceChecks(cold)...)
	r.checks = append(r.checks,
		ran, review.Because(review.Levels(ladders), ran, proven, mutants),
		proven, mutants, r.sab.CoversTrue(name, head),
		review.TeardownClean(r.cold), review.NoSecretLeak(r.cold))
	if r.needs(review.CheckSecondRun) {
		r.checks = append(r.checks, review.SecondRun(cold, ladderOf(r.again)))
	}
	if r.needs(review.CheckLevelsReconciled) {
		r.checks = append(r.checks, review.LevelsReconciled(ladders))
	}
}

// evidenceChecks hold the builder's record against itself and the cold run, if
// there was one. A claim that needs a record and has none could not be told.
func (r *reviewing) evidenceChecks(cold *runner.Results) []review.Check {
	if r.known.evidence != nil {
		return []review.Check{*r.known.evidence, review.Reproduced(r.known.builder, cold)}
	}
	if !r.needs(review.CheckEvidence) && !r.needs(review.CheckReproduced) {
		return nil
	}
	return []review.Check{{Name: review.CheckEvidence, Status: runner.Unver, Text: "the builder's results.json is of this head: none was given (--results FILE)"}}
}

// needs tells whether the claim asks for a check that not every review makes.
func (r *reviewing) needs(check string) bool { return slices.Contains(r.claimed.Needs(), check) }

// ladderOf is a record without the stage that sabotaged it: mutants are judged
// by themselves.
func ladderOf(results *runner.Results) *runner.Results {
	if results == nil {
		return nil
	}
	ladder := *results
	ladder.Stages = slices.DeleteFunc(slices.Clone(results.Stages), func(s runner.Stage) bool { return s.Name == runner.StageMutants })
	return &ladder
}

// atOnce says of mutants that they were tried at the same time.
func atOnce(apps int) string {
	if apps < 2 {
		return ""
	}
	return fmt.Sprintf(" on %d apps", apps)
}

// timing says where the time of a review went.
func (r *reviewing) timing() string {
	var parts []string
	for _, run := range []struct {
		what    string
		results *runner.Results
	}{{"cold run", r.cold}, {"second run", r.again}, {"run of the base", r.baseRun}} {
		if run.results == nil {
			continue
		}
		mutants := 0.0
		for _, s := range run.results.Stages {
			if s.Name == runner.StageMutants {
				mutants = s.Seconds
			}
		}
		total := run.results.Finished.Sub(run.results.Started).Seconds()
		parts = append(parts, fmt.Sprintf("%s %.0f s", run.what, total-mutants))
		if mutants > 0 {
			parts = append(parts, fmt.Sprintf("mutants %.0f s%s", mutants, atOnce(r.sab.Apps())))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Where the time went: " + strings.Join(parts, ", ") + "."
}
