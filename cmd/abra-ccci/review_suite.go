package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/runner"
)

// A pinnedSuite is a suite from a repository of its own.
type pinnedSuite struct {
	review.PinnedSuite
	dir     string // where the head's suite.toml is
	mirror  *recipe.Mirror
	earlier []review.EarlierSuite
}

// suiteRepo is the repository of the suite, as the flag or the operator's file
// says it; empty if it is not said, or a suite is at hand.
func (r *reviewing) suiteRepo() (p repoPlace, err error) {
	said := r.o.suiteRepo
	if said == "" && r.o.suite == "" {
		said = r.configured().SuiteRepo
	}
	if said == "" {
		return p, nil
	}
	if p, err = repoAt(said); err != nil {
		return p, fmt.Errorf("--suite-repo: %w", err)
	}
	return p.or(repoPlace{forge: r.place.forge}), nil
}

// pinSuite clones the suite's repository, and reads the suite at the commits that
// the claim names. From then on it is the reviewer's --suite.
func (r *reviewing) pinSuite(ctx context.Context) error {
	at, err := r.suiteRepo()
	if err != nil {
		return err
	}
	known, err := r.lookBack()
	if err != nil {
		return err
	}
	claim := known.claim
	switch {
	case at == (repoPlace{}) && claim.SuiteRepo != "" && r.o.suite == "":
		r.say("the claim names a suite in %s, which is not looked at (--suite-repo)", claim.SuiteRepo)
		fallthrough
	case at == (repoPlace{}):
		return nil
	case claim.SuiteRepo == "":
		return &hintError{fmt.Errorf("no claim %s on %s #%d names a commit of the suite in %s", r.o.claim, r.pull.Repo, r.pull.PR, at.repo),
			fmt.Sprintf("abra-ccci ledger claim %s --pr %d --head SHA --suite-repo %s --suite-head SHA --suite-base SHA", r.o.claim, r.pull.PR, at.repo)}
	case claim.SuiteRepo != at.long() && (claim.SuiteRepo != at.repo || at.forge != r.place.forge):
		return &hintError{fmt.Errorf("the claim names a suite in %s, and not in %s", claim.SuiteRepo, at.long()), "review with the one that is claimed with, or have it claimed again: --suite-repo " + claim.SuiteRepo}
	}
	pin := &pinnedSuite{PinnedSuite: review.PinnedSuite{SuiteSource: claim.SuiteSource, Claimed: claim.Suite}}
	r.say("cloning %s, suite at %.12s", at.long(), claim.SuiteHead)
	if pin.mirror, err = recipe.FetchMirror(ctx, r.mirrorSource(at), filepath.Join(r.dir, "suite.git")); err != nil {
		return err
	}
	r.pinned = pin
	return r.readPinned(known.passed)
}

// mirrorSource is where the suite's repository is cloned from. The token is for the
// forge of the pull request, and goes to no other.
func (r *reviewing) mirrorSource(at repoPlace) recipe.MirrorSource {
	src := recipe.MirrorSource{URL: at.cloneURL()}
	if at.forge == r.place.forge {
		src.Token = r.token
	}
	return src
}

// readPinned reads the suites at the head and the base of the claim, and that of
// the last verdict that passed: a claim alone could name as its base whatever
// asks for little.
func (r *reviewing) readPinned(passed passedSuite) (err error) {
	p, name := r.pinned, r.fetched.Recipe.Name
	if p.Head, p.dir, err = r.suiteAt(p.SuiteHead, "suite-head", name); err != nil {
		return err
	}
	if p.Head == nil {
		return &hintError{fmt.Errorf("commit %s of %s holds no suite of %s", p.SuiteHead, p.SuiteRepo, name), fmt.Sprintf("it is looked for as %s", strings.Join(suitePlaces(name), ", "))}
	}
	if p.Head, err = forRecipe(p.Head, name, nil); err != nil {
		return err
	}
	base, err := r.nameAtBase()
	if err != nil {
		return err
	}
	if p.Base, _, err = r.suiteAt(p.SuiteBase, "suite-base", base); err != nil {
		return err
	}
	if p.Before, err = p.mirror.Contains(p.SuiteHead, p.SuiteBase); err != nil {
		return err
	}
	if passed.commit != "" && passed.commit != p.SuiteBase {
		earlier := review.EarlierSuite{Name: fmt.Sprintf("the suite that %s passed, at %.12s", passed.entry, passed.commit)}
		earlier.Suite, _, err = r.suiteAt(passed.commit, "suite-passed", base)
		if err != nil {
			r.say("%s: %v", earlier.Name, err)
		}
		p.earlier = append(p.earlier, earlier)
	}
	r.o.suite = p.dir
	return nil
}

// nameAtBase is what the recipe calls itself before the pull request, which could
// take another name, and so lose its old suite.
func (r *reviewing) nameAtBase() (string, error) {
	head := r.fetched.Recipe
	base, err := head.Checkout(r.fetched.Base, filepath.Join(r.dir, "named", head.Name)) // a recipe without a name is called as its folder
	if err != nil {
		return "", err
	}
	before, err := recipe.Open(r.e.abraDir(), base.Dir)
	if err != nil {
		return head.Name, nil // it was no recipe yet
	}
	return before.Name, nil
}

// suitePlaces is where a recipe's suite is looked for in a repository of suites.
func suitePlaces(recipe string) []string {
	return []string{path.Join(recipe, runner.SuiteFile), path.Join("suites", recipe, runner.SuiteFile), runner.SuiteFile}
}

// suiteAt writes the files of a commit of the suite's repository into a folder and
// reads the recipe's suite there: nil if there is none. dir is where it lies.
func (r *reviewing) suiteAt(sha, folder, recipe string) (s *runner.Suite, dir string, err error) {
	root := filepath.Join(r.dir, folder)
	files, err := r.pinned.mirror.Files(sha, root)
	if err != nil {
		return nil, "", err
	}
	for _, place := range suitePlaces(recipe) {
		sub, err := fs.Sub(files, path.Dir(place))
		if err != nil {
			return nil, "", err
		}
		s, err := runner.ReadSuite(sub, fmt.Sprintf("%s@%.12s:%s", r.pinned.SuiteRepo, sha, place))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && place == runner.SuiteFile && s.Recipe != recipe {
			continue // the one suite of another recipe
		}
		return s, filepath.Join(root, filepath.Dir(place)), err
	}
	return nil, "", nil
}

// pinnedStill tells whether the claim still says what was reviewed.
func (r *reviewing) pinnedStill(now ledger.Content) []review.Check {
	if r.pinned == nil || now.SuiteSource == r.pinned.SuiteSource && now.Suite == r.pinned.Claimed {
		return nil
	}
	return []review.Check{{Name: review.CheckSuiteOfClaim, Status: runner.Unver, Text: "the suite is the one of the claim: another was claimed during the review"}}
}

// A standing is what the ledger says before the verdict.
type standing struct {
	open   []review.Open  // findings on the claim
	claim  ledger.Content // the last claim of that name on this pull request; zero if there is none
	passed passedSuite
}

// A passedSuite is the suite of the last full review of the recipe that passed,
// where that came from a repository of its own. commit is empty if there is none.
type passedSuite struct{ entry, commit string }

// lookBack reads it from the ledger.
func (r *reviewing) lookBack() (standing, error) {
	l, err := open(r.e, &r.o.ledgerOptions, ledger.Open)
	if err != nil {
		return standing{}, err
	}
	defer l.close()
	return r.standing(l, r.phase())
}

// standing collects what is open on the claim, what was claimed last, and with
// which suite the recipe passed.
func (r *reviewing) standing(l *openLedger, phase string) (now standing, err error) {
	titles := map[string]string{}
	var passes []passedSuite
	status := ledger.NewStatus()
	collect := func(e *ledger.Entry, _ []byte, _ *ledger.Policy) error {
		for _, f := range e.Opened {
			titles[f.ID] = strings.Clone(f.Title)
		}
		switch {
		case e.Kind == ledger.Claim && e.Phase == phase && e.Claim == r.o.claim && e.Repo == r.pull.Repo && e.PR == r.pull.PR:
			now.claim = e.Content
		case e.Kind == ledger.VerdictKind && e.Verdict == ledger.Pass && e.Scope == ledger.Full && e.Repo == r.pull.Repo && e.SuiteHead != "":
			passes = append(passes, passedSuite{e.Number(), strings.Clone(e.SuiteHead)})
		case e.Kind == ledger.Retract:
			passes = slices.DeleteFunc(passes, func(p passedSuite) bool { return p.entry == e.Retracts })
		}
		return nil
	}
	if _, err := ledger.Open(l.dir, status.Visit, collect); err != nil {
		return now, err
	}
	for _, row := range status.Rows(l.Ledger) {
		if row.Phase != phase || row.Claim != r.o.claim {
			continue
		}
		for _, id := range row.Open {
			now.open = append(now.open, review.Open{ID: id, Title: titles[id]})
		}
	}
	if len(passes) > 0 {
		now.passed = passes[len(passes)-1]
	}
	return now, nil
}
