package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/runner"
)

// reviewOptions are the flags of `abra-ccci review`.
type reviewOptions struct {
	pr                             int
	recipe, repo, forge, tokenFile string
	phase, phaseFile, claim        string
	suite, baseSuite, results, key string
	suiteRepo                      string
	engine, runsDir                string
	accept, allow                  []string
	post, quick                    bool
	cpus                           float64
	apps                           int
	memory                         string
	ledgerOptions
}

func reviewCommand(e *env) *cobra.Command {
	var o reviewOptions
	cmd := &cobra.Command{
		Use:   "review --pr N",
		Short: "disbelieve a pull request: clone it, run it cold, sabotage its backup, sign a verdict",
		Long: `Review clones a pull request independently, judges what changes in its labels,
climbs the ladder with it on this machine, and then sabotages the backups to see
whether the suite would have noticed: one saved path that does not come back, an
old snapshot, files that come back empty, hooks that are skipped. Every sabotage
starts from an app built from nothing.

It ends with PASS, FAIL or INCONCLUSIVE, signed and appended to the ledger. With
--post the pull request gets a comment and its head a commit status.

The forge is the origin of the recipe's clone, unless --repo and --forge name it,
or ccci.toml in $ABRA_DIR/ccci. The token is read from --token-file, or from
GITEA_TOKEN.

A suite that lives in a repository of its own is taken from there (--suite-repo), at
the commit that the claim in the ledger names, and compared with the one before.

Exit status: 0 PASS, 1 INCONCLUSIVE or could not tell, 2 usage, 3 FAIL, 130 interrupted.`,
		Example: `  abra-ccci review --pr 3 --phase mailu --claim M1 --recipe mailu
  abra-ccci review --pr 3 --repo https://git.coopcloud.tech/coop-cloud/mailu --suite ./suites/mailu`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runReview(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.pr, "pr", 0, "the pull request's `NUMBER`")
	f.StringVar(&o.recipe, "recipe", ".", "`RECIPE|DIR` whose origin is the forge's repository")
	f.StringVar(&o.repo, "repo", "", "`OWNER/NAME` or URL of the repository")
	f.StringVar(&o.forge, "forge", "", "`URL` of the forge")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` with the forge's token")
	f.StringVar(&o.phase, "phase", "", "`PHASE` of the ledger (default: the recipe's name)")
	f.StringVar(&o.phaseFile, "phase-file", "", "`FILE` that says what each claim needs (default: phase.toml beside the suite)")
	f.StringVar(&o.claim, "claim", "M1", "the `CLAIM` that is judged")
	f.StringVar(&o.suite, "suite", "", "`DIR` that holds the reviewer's suite.toml (default: as for test)")
	f.StringVar(&o.baseSuite, "base-suite", "", "`DIR` that holds the suite before this change (default: the base's ccci/)")
	f.StringVar(&o.suiteRepo, "suite-repo", "", "`URL|OWNER/NAME` of the repository that the suite is in, at the commits that the claim names")
	f.StringVar(&o.results, "results", "", "`FILE` or URL of the builder's results.json")
	f.StringVar(&o.key, "key", "", "`FILE` with the adversary's private key (default: yours that may sign a verdict)")
	f.StringVar(&o.engine, "engine", "", "private: start a throw-away Docker engine that has never seen the recipe")
	f.StringVar(&o.runsDir, "runs-dir", "", "where run folders are (default: $XDG_STATE_HOME/abra-ccci/runs)")
	f.StringSliceVar(&o.accept, "accept-exclude", nil, "take the suite's reason for not saving `VOLUME`")
	f.StringSliceVar(&o.allow, "allow", nil, "allow `WHAT` would be refused; the refusal names it")
	f.Float64Var(&o.cpus, "cpus", 0, "`CORES` that a container of the pull request may use (default: all but one)")
	f.StringVar(&o.memory, "memory", "", "memory that each may use, as `512m` or 4g (default: half of the engine's)")
	f.IntVar(&o.apps, "apps", 0, "on how many apps mutants are tried at the same time (default: one for each core, in half of the engine's memory)")
	f.BoolVar(&o.post, "post", false, "comment on the pull request, and set its head's commit status")
	f.BoolVar(&o.quick, "quick", false, "only what can be read: nothing runs, and nothing can pass")
	f.StringVar(&o.dir, "ledger", "", "the ledger's `DIR` (default $ABRA_DIR/ccci/ledger)")
	f.StringVar(&o.seen, "seen", "", "`FILE` with the last checkpoint seen of the ledger")
	f.StringVar(&o.trust, "trust", "", "`FILE` with the ledger's origin and the digest of its entry 0")
	f.BoolVar(&o.json, "json", false, "print the verdict as JSON on stdout")
	return cmd
}

var claimNames = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,15}$`)

func (o *reviewOptions) check() error {
	if _, err := repoAt(o.suiteRepo); err != nil && o.suiteRepo != "" {
		return &usageError{fmt.Errorf("--suite-repo: %w", err)}
	}
	for flag, address := range map[string]string{"--repo": o.repo, "--forge": o.forge} {
		if err := noCredentials(address); err != nil {
			return &usageError{fmt.Errorf("%s: %w", flag, err)}
		}
	}
	switch {
	case o.pr <= 0:
		return &usageError{&hintError{errors.New("which pull request?"), "abra-ccci review --pr 3"}}
	case !claimNames.MatchString(o.claim):
		return &usageError{fmt.Errorf("--claim: %q is no claim; claims are called M1, M2 …", o.claim)}
	case o.suite != "" && o.suiteRepo != "":
		return &usageError{errors.New("--suite and --suite-repo: which of them?")}
	case o.engine != "" && o.engine != "private":
		return &usageError{fmt.Errorf("--engine: %q is not an engine; leave it out, or say private", o.engine)}
	case o.cpus < 0:
		return &usageError{fmt.Errorf("--cpus: %g cores are none", o.cpus)}
	case o.apps < 0:
		return &usageError{fmt.Errorf("--apps: %d apps are none", o.apps)}
	}
	if _, err := o.bytes(); err != nil {
		return &usageError{err}
	}
	return nil
}

// bytes is what --memory says; 0: nothing.
func (o *reviewOptions) bytes() (int64, error) {
	if o.memory == "" {
		return 0, nil
	}
	n, err := units.RAMInBytes(o.memory)
	if err != nil || n < 6<<20 { // Docker takes no less
		return 0, fmt.Errorf("--memory: %q is no amount of memory of 6m or more", o.memory)
	}
	return n, nil
}

// A reviewing is one review under way.
type reviewing struct {
	e     *env
	o     reviewOptions
	dir   string // of the review's own: the clone
	forge review.Forge
	token string
	pull  review.Pull
	conf  *config
	place repoPlace // of the pull request

	claimed review.PhaseClaim
	fetched *recipe.Fetched
	suite   *runner.Suite
	pinned  *pinnedSuite // nil: the suite is not in a repository of its own
	known   reading
	sab     *review.Saboteur
	checks  []review.Check

	cold    *runner.Results // the run that is sabotaged at its end
	again   *runner.Results // a second one, if the claim needs it
	baseRun *runner.Results // the base's own, likewise
}

func runReview(ctx context.Context, e *env, o reviewOptions) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	// A verdict that nobody could keep is not worth the hour.
	l, err := open(e, &o.ledgerOptions, ledger.Open)
	if err != nil {
		return err
	}
	l.close()
	r := &reviewing{e: e, o: o, sab: &review.Saboteur{}}
	if err := os.MkdirAll(e.stateDir(), 0o700); err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp(e.stateDir(), "review-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.claimed, err = r.readPhase(); err != nil {
		return err
	}
	if err := r.pin(ctx); err != nil {
		return err
	}
	broken := r.look(ctx)
	late, cancel := runner.Outlast(ctx, closeTime)
	defer cancel()
	return r.conclude(late, ctx.Err() != nil, broken)
}

// say tells whoever waits what goes on.
func (r *reviewing) say(format string, args ...any) {
	fmt.Fprintf(r.e.stderr, "abra-ccci: review: %s\n", runner.Printable(fmt.Sprintf(format, args...)))
}

// look runs every check. The error is why it did not come to its end.
func (r *reviewing) look(ctx context.Context) error {
	if err := r.fetch(ctx); err != nil {
		return err
	}
	if err := r.pinSuite(ctx); err != nil {
		return err
	}
	if err := r.read(ctx); err != nil {
		return err
	}
	if r.o.quick || r.known.danger.Status != runner.Pass {
		return nil // nothing of it runs
	}
	if err := r.coldRun(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	return r.moreRuns(ctx)
}

// moreRuns climbs once more where the claim asks for that: with the head, to see
// whether it comes to the same, and with the base.
func (r *reviewing) moreRuns(ctx context.Context) (err error) {
	if r.needs(review.CheckSecondRun) {
		if r.again, err = r.plainRun(ctx, "second run of the head", r.pull.Head); err != nil || ctx.Err() != nil {
			return err
		}
	}
	if r.needs(review.CheckLevelsReconciled) {
		r.baseRun, err = r.plainRun(ctx, "run of the base", r.pull.Base)
	}
	return err
}

func (r *reviewing) plainRun(ctx context.Context, what, sha string) (*runner.Results, error) {
	c, err := r.climbOf(ctx, sha)
	if err != nil {
		return nil, err
	}
	r.say("%s: %s", what, c.o.runID)
	return c.run(ctx)
}

// readPhase is what the claim needs: of --phase-file, else of phase.toml beside
// the reviewer's suite, else what every review checks.
func (r *reviewing) readPhase() (review.PhaseClaim, error) {
	phase := review.DefaultPhase(r.o.phase)
	dir, name := filepath.Split(r.o.phaseFile)
	if r.o.phaseFile == "" && r.o.suite != "" {
		dir, name = r.o.suite, review.PhaseFile
	}
	if name != "" {
		text, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case err == nil:
			if phase, err = review.ParsePhase(filepath.Join(dir, name), text); err != nil {
				return review.PhaseClaim{}, err
			}
		case r.o.phaseFile != "" || !errors.Is(err, os.ErrNotExist):
			return review.PhaseClaim{}, err
		}
	}
	if r.o.phase == "" {
		r.o.phase = phase.Name
	}
	claim, err := phase.Claim(r.o.claim)
	if err != nil {
		return claim, &usageError{&hintError{err, "abra-ccci review --pr N --claim CLAIM"}}
	}
	return claim, nil
}

// fetch clones the pull request, and nothing of the builder's.
func (r *reviewing) fetch(ctx context.Context) (err error) {
	s := r.pull.Subject
	r.say("cloning %s, pull request %d at %.12s", s.Repo, s.PR, s.Head)
	r.fetched, err = recipe.Fetch(ctx, recipe.PullSource{URL: r.pull.CloneURL, Token: r.token, PR: s.PR, Head: s.Head, BaseRef: r.pull.BaseRef, Base: s.Base}, filepath.Join(r.dir, "clone"))
	return err
}

// climbOf prepares a run of one commit of the clone.
func (r *reviewing) climbOf(ctx context.Context, sha string) (*climb, error) {
	memory, err := r.o.bytes()
	if err != nil {
		return nil, err
	}
	return newClimb(ctx, r.e, r.fetched.Recipe.Dir, testOptions{ref: sha, suite: r.o.suite, engine: r.o.engine, runsDir: r.o.runsDir, allow: r.o.allow,
		teardownTimeout: runner.DefaultTeardownTimeout, distrusted: true, cpus: r.o.cpus, memory: memory})
}

// coldRun climbs the ladder with the head and sabotages what it has saved.
func (r *reviewing) coldRun(ctx context.Context) error {
	c, err := r.climbOf(ctx, r.pull.Head)
	if err != nil {
		return err
	}
	r.arm(c)
	r.say("cold run %s, mutants included: %s", c.o.runID, r.estimate(c.o.runsDir))
	r.cold, err = c.run(ctx)
	return err
}

// arm has a run sabotaged at its end.
func (r *reviewing) arm(c *climb) {
	c.conf.PR = r.pull.PR
	r.suite = c.conf.Suite
	r.sab.Elders = review.Elders(r.known.sides.BaseSuite, r.suite)
	c.conf.Sabotage = func(ctx context.Context, rig *runner.Rig) error {
		err := r.sab.Sabotage(ctx, rig)
		kept := c.folder.Write("mutants.json", func(w io.Writer) error { return runner.EncodeJSON(w, r.sab.Mutants) })
		return errors.Join(err, kept)
	}
	r.sab.Room = func(ctx context.Context) int {
		if r.o.apps > 0 {
			return r.o.apps
		}
		return c.room(ctx)
	}
	r.sab.Estimate = func(mutants int, takes time.Duration) { r.say("%d mutants to try, about %v", mutants, takes) }
}

// conclude comes to the verdict, appends it, and tells.
func (r *reviewing) conclude(ctx context.Context, interrupted bool, broken error) error {
	r.weigh(interrupted, broken)
	content, receipt, err := r.append(ctx)
	if err != nil {
		return err
	}
	if err := r.print(content, receipt); err != nil {
		return err
	}
	if r.o.post {
		if err := r.publish(ctx, content, receipt); err != nil {
			return err
		}
	}
	switch {
	case interrupted:
		return codeError(exitInterrupted)
	case content.Verdict == ledger.Pass:
		return nil
	case content.Verdict == ledger.Fail:
		return codeError(exitFail)
	}
	if broken != nil {
		return broken
	}
	return codeError(exitUnknown)
}

// weigh makes the checks. Of a review that did not come to its end nothing is
// told but why: half of it could look like more than it is.
func (r *reviewing) weigh(interrupted bool, broken error) {
	why := "it was interrupted"
	if broken != nil {
		why = broken.Error()
	}
	switch {
	case interrupted || broken != nil:
		r.cold = nil
		r.checks = []review.Check{{Name: review.CheckColdRun, Status: runner.Unver, Text: "the review did not come to its end: " + why}}
	case r.cold == nil:
		r.checks = slices.Concat(r.readable(), r.evidenceChecks(nil), []review.Check{review.ColdRun(nil)})
	default:
		r.judge()
	}
}

// append signs the verdict and appends it. The key is read here: by now every
// container of the pull request is gone.
func (r *reviewing) append(ctx context.Context) (ledger.Content, ledger.Receipt, error) {
	l, err := open(r.e, &r.o.ledgerOptions, ledger.Open)
	if err != nil {
		return ledger.Content{}, ledger.Receipt{}, err
	}
	defer l.close()
	phase := r.phase()
	now, err := r.standing(l, phase)
	if err != nil {
		return ledger.Content{}, ledger.Receipt{}, err
	}
	checks := slices.Concat([]review.Check{review.ClaimOfHead(r.pull.Subject, now.claim.Head)}, r.checks, r.pinnedStill(now.claim))
	c := review.Content(r.pull.Subject, checks, now.open)
	c.Phase, c.Claim = phase, r.o.claim
	c.Results = r.known.digest
	if r.cold != nil {
		c.Run, c.Mutants = r.cold.RunID, r.sab.Count()
	} else {
		c.Scope = ledger.Partial
		if r.o.quick {
			c.Scope = ledger.Quick
		}
	}
	c.Prose = ledger.Neutral(r.timing())
	if r.suite != nil && r.suite.Digest != "" {
		c.Suite = "sha256:" + r.suite.Digest
	}
	if r.pinned != nil {
		c.SuiteSource = r.pinned.SuiteSource
	}
	p := pen{key: r.o.key, content: c}
	receipt, err := p.add(ctx, r.e, l)
	return c, receipt, err
}

// phase is the ledger's name for the work: the recipe's, unless one is given.
func (r *reviewing) phase() string {
	if r.o.phase != "" {
		return r.o.phase
	}
	_, name, _ := strings.Cut(r.pull.Repo, "/")
	return name
}

// print tells the verdict.
func (r *reviewing) print(c ledger.Content, receipt ledger.Receipt) error {
	if r.o.json {
		out := json.NewEncoder(r.e.stdout)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"verdict": c.Verdict, "entry": receipt.Entry, "size": receipt.Checkpoint.Size, "root": receipt.Checkpoint.Root, "mutants": r.sab.Mutants, "results": r.cold})
	}
	w := r.e.stdout
	fmt.Fprintf(w, "%s %s %s: %s\n%s\n\n", r.phase(), r.o.claim, c.Verdict, subjectLine(r.pull.Subject), runner.Printable(c.Summary))
	for _, check := range c.Checks {
		fmt.Fprintf(w, "%s %s\n", runner.Status(check.Status).Mark(), runner.Printable(check.Text))
		for _, line := range check.Detail {
			fmt.Fprintf(w, "    %s\n", runner.Printable(line))
		}
	}
	for _, f := range receipt.Entry.Opened {
		fmt.Fprintf(w, "\n%s %s\n  %s\n", f.ID, runner.Printable(f.Title), strings.ReplaceAll(runner.PrintableLines(f.Text), "\n", "\n  "))
	}
	if len(c.Closed) > 0 {
		fmt.Fprintf(w, "\nclosed: %s\n", strings.Join(c.Closed, ", "))
	}
	fmt.Fprintf(w, "\nledger entry %s, size %d, root %s\n", receipt.Entry.Number(), receipt.Checkpoint.Size, receipt.Checkpoint.Root)
	return nil
}

func subjectLine(s review.Subject) string {
	return runner.Printable(fmt.Sprintf("%s #%d at %.12s", s.Repo, s.PR, s.Head))
}
