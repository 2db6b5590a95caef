package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

// testOptions are the flags of `abra-ccci test`.
type testOptions struct {
	ref, base, suite, engine, runID, runsDir string
	pr, minLevel                             int
	rungs, allow                             []string
	publish, keep, json                      bool
	teardownTimeout                          time.Duration

	distrusted bool    // by a review: its containers are limited
	cpus       float64 // of each; 0: swarm.DefaultLimits
	memory     int64   // likewise, in bytes
}

func testCommand(e *env) *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test RECIPE|DIR",
		Short: "climb the ladder with one recipe on a real Swarm",
		Long: `Test deploys a recipe on the Docker Swarm in use, and climbs the ladder: it
upgrades it from the last release, seeds data, backs it up, wipes and restores
it, builds the app again from nothing and recovers the data from the repository
alone. It ends with a level from 0 to 5.

Only the committed state is tested: HEAD of the recipe's clone, or --ref. The run
has a domain, a stack and a network of its own, touches nothing that it did not
create, and removes everything at the end.

Exit status: 0 pass, 1 could not tell, 2 usage, 3 a rung or flag failed or the
level is below --min-level, 130 interrupted.`,
		Example: `  abra-ccci test mailu
  abra-ccci test mailu --ref add-backupbot-labels
  abra-ccci test . --suite ./ccci --min-level 4`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runTest(cmd.Context(), e, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.ref, "ref", "", "branch, tag or commit to test (default: HEAD of the clone)")
	f.IntVar(&o.pr, "pr", 0, "test pull request `N`, as fetched into refs/pull/N/head")
	f.StringVar(&o.base, "base", "", "branch, tag or commit to upgrade from (default: the last release before)")
	f.StringVar(&o.suite, "suite", "", "`DIR` that holds suite.toml (default: the recipe's ccci/, then $ABRA_DIR/ccci/suites/RECIPE/)")
	f.StringVar(&o.engine, "engine", "", "private: start a throw-away Docker engine for this run")
	f.StringSliceVar(&o.rungs, "rungs", nil, "climb only these rungs; the others are unver ("+strings.Join(runner.Rungs, ", ")+")")
	f.IntVar(&o.minLevel, "min-level", 0, "exit 3 if the level is below `N`")
	f.StringVar(&o.runID, "run-id", "", "name of the run and of its folder (default: made up)")
	f.StringVar(&o.runsDir, "runs-dir", "", "where run folders are (default: $XDG_STATE_HOME/abra-ccci/runs)")
	f.StringSliceVar(&o.allow, "allow", nil, "allow `WHAT` would be refused; the refusal names it")
	f.BoolVar(&o.publish, "publish", false, "keep published ports")
	f.BoolVar(&o.keep, "keep", false, "leave app and data, and put the app's env into $ABRA_DIR")
	f.DurationVar(&o.teardownTimeout, "teardown-timeout", runner.DefaultTeardownTimeout, "how long the end may take, also if the engine has gone away")
	f.BoolVar(&o.json, "json", false, "print results.json on stdout")
	cmd.MarkFlagsMutuallyExclusive("ref", "pr")
	return cmd
}

// check refuses flags that make no sense.
func (o *testOptions) check() error {
	for _, rung := range o.rungs {
		if !slices.Contains(runner.Rungs, rung) {
			return &usageError{fmt.Errorf("--rungs: no rung %q; rungs are %s", rung, strings.Join(runner.Rungs, ", "))}
		}
	}
	switch {
	case o.minLevel < 0 || o.minLevel > len(runner.Rungs):
		return &usageError{fmt.Errorf("--min-level: %d is not a level from 0 to %d", o.minLevel, len(runner.Rungs))}
	case o.engine != "" && o.engine != "private":
		return &usageError{fmt.Errorf("--engine: %q is not an engine; leave it out, or say private", o.engine)}
	case o.runID != "" && (len(o.runID) > maxRunID || !runIDs.MatchString(o.runID)):
		return &usageError{fmt.Errorf("--run-id: %q is not made of letters, digits, dots and dashes, %d at most", o.runID, maxRunID)}
	case o.teardownTimeout <= 0:
		return &usageError{fmt.Errorf("--teardown-timeout: %v is no time", o.teardownTimeout)}
	case o.pr < 0:
		return &usageError{fmt.Errorf("--pr: %d is not a pull request", o.pr)}
	case o.engine == "private" && o.keep:
		return &usageError{errors.New("--keep: nothing can be kept on a private engine, which is thrown away")}
	}
	if o.pr > 0 {
		o.ref = fmt.Sprintf("refs/pull/%d/head", o.pr)
	}
	return nil
}

// A run's id has at most maxRunID of these characters.
var runIDs = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

const maxRunID = 63

// findSuite looks for a recipe's suite where design §5 says. A recipe without
// one gets an empty suite, with which no rung about data can pass.
func findSuite(e *env, dir string, head *recipe.Checkout) (*runner.Suite, error) {
	if dir != "" {
		s, err := runner.ReadSuite(os.DirFS(dir), filepath.Join(dir, runner.SuiteFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &hinted{fmt.Errorf("no %s in %s", runner.SuiteFile, dir), "write one: abra-ccci init " + head.Recipe}
		}
		return forRecipe(s, head.Recipe, err)
	}
	if own, err := fs.Sub(head.Files(), "ccci"); err == nil {
		s, err := runner.ReadSuite(own, "ccci/"+runner.SuiteFile)
		if !errors.Is(err, fs.ErrNotExist) {
			return forRecipe(s, head.Recipe, err)
		}
	}
	at := filepath.Join(e.abraDir(), "ccci", "suites", head.Recipe)
	s, err := runner.ReadSuite(os.DirFS(at), filepath.Join(at, runner.SuiteFile))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(e.stderr, "abra-ccci: %s has no suite: only files are looked at, which proves little\nabra-ccci: hint: abra-ccci init %s\n",
			runner.Printable(head.Recipe), runner.Printable(head.Recipe))
		return runner.NoSuite(head.Recipe), nil
	}
	return forRecipe(s, head.Recipe, err)
}

// forRecipe refuses the suite of another recipe.
func forRecipe(s *runner.Suite, name string, err error) (*runner.Suite, error) {
	if err != nil {
		return nil, err
	}
	if s.Recipe != name {
		return nil, &hinted{fmt.Errorf("%s is the suite of %q, not of %q", s.Source, s.Recipe, name), fmt.Sprintf("write: recipe = %q", name)}
	}
	return s, nil
}

// A hinted error says what to type next.
type hinted struct {
	error
	hint string
}

func (h *hinted) Hint() string  { return h.hint }
func (h *hinted) Unwrap() error { return h.error }

// runTest climbs, prints, and turns the record into an exit status.
func runTest(ctx context.Context, e *env, arg string, o testOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	c, err := newClimb(ctx, e, arg, o)
	if err != nil {
		return err
	}
	results, err := c.run(ctx)
	if results == nil {
		return err
	}
	if o.json {
		err = errors.Join(err, results.Encode(e.stdout))
	} else {
		printResults(e.stdout, results, c.folder.Path)
	}
	if results.Flags.CleanTeardown != runner.Pass && o.engine != "private" {
		fmt.Fprintf(e.stderr, "abra-ccci: hint: abra-ccci reap %s\n", results.RunID)
	}
	if err != nil {
		return err
	}
	return codeOf(results, o.minLevel)
}

// codeOf is the exit status of a record: nil for pass.
func codeOf(r *runner.Results, minLevel int) error {
	statuses := []runner.Status{r.Flags.CleanTeardown, r.Flags.NoSecretLeak}
	for _, rung := range runner.Rungs {
		statuses = append(statuses, r.Rungs[rung])
	}
	switch {
	case r.Interrupted:
		return codeError(exitInterrupted)
	case slices.Contains(statuses, runner.Fail) || r.Level < minLevel:
		return codeError(exitFail)
	case slices.Contains(statuses, runner.Unver):
		return codeError(exitUnknown)
	}
	return nil
}

// printFault tells the one cause before all that it caused.
func printFault(w io.Writer, f runner.Fault) {
	if f.Stage == "" {
		return
	}
	fmt.Fprintf(w, "the machine, not the recipe: %s: %s\n", f.Stage, runner.Printable(f.Reason))
	if f.Hint != "" {
		fmt.Fprintf(w, "hint: %s\n", runner.Printable(f.Hint))
	}
}

// printResults is what a person reads at the end.
func printResults(w io.Writer, r *runner.Results, folder string) {
	fmt.Fprintf(w, "%s %s (%.12s): level %d of %d\n", runner.Printable(r.Recipe), runner.Printable(r.Version), r.Head, r.Level, len(runner.Rungs))
	printFault(w, r.Fault)
	for _, rung := range runner.Rungs {
		fmt.Fprintf(w, "  %-15s %s\n", rung, r.Rungs[rung])
	}
	for _, s := range r.Stages {
		for _, t := range s.Tests {
			failed := (t.Status == runner.Fail || t.Status == runner.Unver) && t.Name+": "+t.Reason != r.Fault.Reason
			// What was not searched for secrets is said even where nothing was found.
			if failed || t.Name == "no_secret_leak" && t.Reason != "" {
				fmt.Fprintf(w, "  %-5s %s: %s\n", t.Status, runner.Printable(t.Name), runner.Printable(t.Reason))
			}
		}
	}
	if r.Level < len(runner.Rungs) {
		fmt.Fprintf(w, "why this level: %s\n", runner.Printable(r.LevelReason))
	}
	for _, c := range r.Coverage {
		if c.Saved {
			fmt.Fprintf(w, "proof %-5s %s:%s %s\n", c.Proof, runner.Printable(c.Service), runner.Printable(filepath.Join(c.Mount, c.Path)), runner.Printable(strings.Join(c.Probes, ", ")))
		}
	}
	fmt.Fprintf(w, "report: %s\n", runner.Printable(filepath.Join(folder, "report.md")))
}
