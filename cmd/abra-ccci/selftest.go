package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/canary"
	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// selftestOptions are the flags of `abra-ccci selftest`.
type selftestOptions struct {
	only   []string
	jobs   int
	engine string
	json   bool
}

// defaultJobs is how many canaries run at once: most of their time they wait.
const defaultJobs = 4

func selftestCommand(e *env) *cobra.Command {
	o := selftestOptions{}
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "prove on this engine that every rung, check and mutant can fail",
		Long: `Selftest runs canaries: recipes and suites that are known to be bad, one for
each way to fail. Each must be caught by its own test, for its own reason, and
that test must pass for the good recipe in which the canary was planted. So a
green of this tool, on this engine, is a green that could have been red. Weak
suites are among them, one for each mutant and check of a review: the mutant
must survive, or the check object.

The canaries' app is the tool's own program: nothing is pulled. Everything that
a canary makes carries its run's id and is removed. Of a canary that is not
proven the run folder stays, and is named.

Exit status: 0 all are proven, 1 could not tell, 2 usage, 3 a canary was missed,
130 interrupted.`,
		Example: `  abra-ccci selftest
  abra-ccci selftest --only dump-once,old-memory
  abra-ccci selftest --engine private --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSelftest(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.only, "only", nil, "run only these canaries")
	f.IntVar(&o.jobs, "jobs", defaultJobs, "run `N` canaries at once")
	f.StringVar(&o.engine, "engine", "", "private: start a throw-away Docker engine")
	f.BoolVar(&o.json, "json", false, "print the table as JSON on stdout")
	return cmd
}

// choose is the canaries that --only names; all if it names none.
func (o *selftestOptions) choose() ([]canary.Canary, error) {
	all := canary.All()
	switch {
	case o.jobs < 1:
		return nil, &usageError{fmt.Errorf("--jobs: %d canaries at once are none", o.jobs)}
	case o.engine != "" && o.engine != "private":
		return nil, &usageError{fmt.Errorf("--engine: %q is not an engine; leave it out, or say private", o.engine)}
	}
	for _, name := range o.only {
		if !slices.ContainsFunc(all, func(c canary.Canary) bool { return c.Name == name }) {
			return nil, &usageError{fmt.Errorf("--only: no canary %q; canaries are %s", name, strings.Join(names(all), ", "))}
		}
	}
	if o.only == nil {
		return all, nil
	}
	return slices.DeleteFunc(all, func(c canary.Canary) bool { return !slices.Contains(o.only, c.Name) }), nil
}

func names(canaries []canary.Canary) []string {
	var out []string
	for _, c := range canaries {
		out = append(out, c.Name)
	}
	return out
}

// A selftest is one run of the command.
type selftest struct {
	e     *env
	site  *site
	dir   string // everything that it writes, but what the engine has
	image string // of the canaries' app
	watch *flock
	rows  []*row // the good recipes, then the canaries
}

// A row is one line of the table, and the run behind it.
type row struct {
	canary  canary.Canary
	good    bool // a good recipe: nothing is planted
	like    *row // whose run tells of this one, too; nil: it has a run of its own
	shared  bool // its run tells of others, too
	results *runner.Results
	err     error // why there is no record
	took    time.Duration
	folder  string
	verdict canary.Verdict
}

// runSelftest runs the canaries, prints the table, and makes it an exit status.
func runSelftest(ctx context.Context, e *env, o selftestOptions) (err error) {
	canaries, err := o.choose()
	if err != nil {
		return err
	}
	t := &selftest{e: e, rows: rowsOf(canaries)}
	started := e.now()
	if t.site, err = openSite(ctx, e, o.engine); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.site.close(ctx)) }()
	t.site.facts.CPUs = max(1, t.site.facts.CPUs/o.jobs) // of each row: a second app for its mutants would take another row's
	if t.image, err = swarm.ImageName(ctx, t.site.client, t.site.helper); err != nil {
		return err
	}
	host, err := hostID(e.stateDir())
	if err != nil {
		return err
	}
	reapDead(ctx, e, t.site, host, (&climb{e: e}).locks(), "")
	if t.dir, err = os.MkdirTemp(e.stateDir(), "selftest-"); err != nil {
		return err
	}
	t.run(ctx, o.jobs)
	t.judge()
	if err := t.sweep(); err != nil {
		return err
	}
	if o.json {
		err = t.encode(e.stdout, e.now().Sub(started))
	} else {
		err = t.print(e.stdout, e.now().Sub(started))
	}
	return errors.Join(err, t.code(ctx))
}

// rowsOf puts the good recipes that canaries need before them. Where one of those
// is reviewed, the good recipe is, too.
func rowsOf(canaries []canary.Canary) []*row {
	var rows []*row
	for _, name := range canary.Goods() {
		good := canary.Good(name)
		needed := false
		for _, c := range canaries {
			needed = needed || c.Of == name
			if c.Of == name && c.Trial != canary.Climbed {
				good.Trial = canary.Reviewed
			}
		}
		if needed {
			rows = append(rows, &row{canary: good, good: true})
		}
	}
	first := map[string]*row{}
	for _, c := range canaries {
		r := &row{canary: c, like: first[c.Like]}
		first[c.Name] = r
		rows = append(rows, r)
	}
	for _, r := range rows {
		if r.like != nil {
			r.like.shared = true
		}
	}
	return rows
}

// run climbs with every row, several at once, those that take long first.
func (t *selftest) run(ctx context.Context, jobs int) {
	t.watch = newFlock(t.e, len(t.rows))
	defer t.watch.Close()
	defer t.share(ctx)
	defer context.AfterFunc(ctx, func() { t.watch.say("interrupted: removing what the runs made; once more, and it stays") })()
	queue := slices.DeleteFunc(slices.Clone(t.rows), func(r *row) bool { return r.like != nil })
	slices.SortStableFunc(queue, func(a, b *row) int { return b.length() - a.length() })
	var g errgroup.Group
	g.SetLimit(jobs)
	for _, r := range queue {
		g.Go(func() error {
			if ctx.Err() == nil {
				t.climb(ctx, r)
			} else {
				r.err = ctx.Err()
			}
			return nil
		})
	}
	g.Wait()
}

// share gives rows the record of the run that tells of them, too.
func (t *selftest) share(ctx context.Context) {
	for _, r := range t.rows {
		if r.like != nil {
			r.results, r.err, r.folder = r.like.results, r.like.err, r.like.folder
			t.watch.begin(r.canary.Name).end(r.settled(), 0)
		}
	}
}

// length tells rows that take long from others: what restores takes longest,
// and an error that is asked again and again takes longer still.
func (r *row) length() int {
	switch {
	case r.canary.Trial == canary.Reviewed:
		return 4
	case r.canary.Slow:
		return 3
	case r.canary.Rungs == nil:
		return 2
	case slices.Contains(r.canary.Rungs, runner.RungBackupRestore):
		return 1
	}
	return 0
}

// climb is the run of one row.
func (t *selftest) climb(ctx context.Context, r *row) {
	began := t.e.now()
	b := t.watch.begin(r.canary.Name)
	r.results, r.err = t.results(ctx, r, b)
	r.took = t.e.now().Sub(began)
	b.end(r.settled(), r.took)
}

// settled is what is known of a row before the good recipes are: their tests
// pass, or the table will say so.
func (r *row) settled() string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.good:
		return string(canary.JudgeGood(r.results).Outcome)
	}
	if v := r.canary.Judge(r.results, nil); !v.Caught {
		return v.Why
	}
	return "caught"
}

func (t *selftest) results(ctx context.Context, r *row, b *bird) (*runner.Results, error) {
	dir := filepath.Join(t.dir, r.canary.Name)
	w, err := r.canary.Write(dir, t.image)
	if err != nil {
		return nil, err
	}
	quiet := *t.e
	quiet.stderr = b
	rev, err := t.reviewing(ctx, r, &quiet, dir, w)
	if err != nil || r.canary.Trial == canary.Read {
		return rev.asStage(&runner.Results{}), err
	}
	c, err := newClimb(ctx, &quiet, w.Recipe, testOptions{suite: w.Suite, rungs: r.canary.Rungs,
		runID: runID("selftest-"+r.canary.Name, t.e.now()), runsDir: filepath.Join(dir, "runs")})
	if err != nil {
		return nil, err
	}
	c.sabotage, c.conf.Until = r.canary.Sabotage, r.until()
	if rev != nil {
		rev.arm(c)
	}
	r.folder = c.folder.Path
	results, err := c.on(ctx, t.site, b)
	if rev != nil && results != nil {
		rev.cold = results
		results = rev.asStage(results)
	}
	if r.canary.Sabotage != nil { // what it left on purpose
		late, cancel := runner.Outlast(ctx, closeTime)
		defer cancel()
		_, left := (&reaper{e: &quiet, client: t.site.client, host: c.hostID, locks: c.locks()}).reap(late, []string{c.o.runID})
		err = errors.Join(err, left)
	}
	return results, err
}

// until is the test after which a row's run has told what it was for.
func (r *row) until() string {
	switch {
	case r.canary.Until != "":
		return r.canary.Until
	case r.shared:
		return ""
	}
	return r.canary.Want.Test
}

// judge says what each row proves.
func (t *selftest) judge() {
	goods := map[string]*runner.Results{}
	for _, r := range t.rows {
		if r.good {
			goods[r.canary.Name] = r.results
		}
	}
	for _, r := range t.rows {
		if r.good {
			r.verdict = canary.JudgeGood(r.results)
		} else {
			r.verdict = r.canary.Judge(r.results, goods[r.canary.Of])
		}
		if r.err != nil {
			r.verdict.Outcome, r.verdict.Why = canary.Unknown, r.err.Error()
		}
	}
}

// sweep removes what was written, but for the folders of what is not proven.
func (t *selftest) sweep() error {
	var errs []error
	kept := false
	for _, r := range t.rows {
		_, err := os.Stat(r.folder)
		told := r.results != nil && !r.results.Interrupted
		if r.verdict.Outcome != canary.Proven && told && err == nil {
			kept = true
			continue
		}
		r.folder = ""
		errs = append(errs, os.RemoveAll(filepath.Join(t.dir, r.canary.Name)))
	}
	if !kept {
		errs = append(errs, os.RemoveAll(t.dir))
	}
	return errors.Join(errs...)
}

// code is the exit status: nil if every row is proven.
func (t *selftest) code(ctx context.Context) error {
	has := func(o canary.Outcome) bool {
		return slices.ContainsFunc(t.rows, func(r *row) bool { return r.verdict.Outcome == o })
	}
	switch {
	case ctx.Err() != nil:
		return codeError(exitInterrupted)
	case has(canary.Missed):
		return codeError(exitFail)
	case has(canary.Unknown):
		return codeError(exitUnknown)
	}
	return nil
}
