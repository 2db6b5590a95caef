package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

// labelsOptions are the flags of `abra-ccci labels`.
type labelsOptions struct {
	diff, suite string
	json        bool
}

func labelsCommand(e *env) *cobra.Command {
	var o labelsOptions
	cmd := &cobra.Command{
		Use:   "labels RECIPE|DIR",
		Short: "what a recipe's labels really save, and what is wrong with them",
		Long: `Labels reads a recipe's compose files as docker does, and says for each volume
whether a backup saves it, which paths, and by which label. It lists what is
wrong with the labels, with advice. Nothing is deployed, and no engine is needed.

Without --diff it looks at the folder as it is, uncommitted changes included.
With it, at HEAD of the two (the clone's own HEAD if that is left out), and tells
in words and as text what changes from BASE.

Volumes that the suite excludes with a reason need not be saved. The suite is
searched where "abra-ccci test" does.

Exit status: 0 no error notice, 1 could not tell (the recipe can't be read),
2 usage, 3 an error notice: data can be lost, 130 interrupted.`,
		Example: `  abra-ccci labels mailu
  abra-ccci labels . --diff main..add-backupbot-labels`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runLabels(e, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.diff, "diff", "", "compare `BASE..HEAD`, two branches, tags or commits")
	f.StringVar(&o.suite, "suite", "", "`DIR` that holds suite.toml (default: the recipe's ccci/, then $ABRA_DIR/ccci/suites/RECIPE/)")
	f.BoolVar(&o.json, "json", false, "print everything as JSON on stdout")
	return cmd
}

// runLabels prints what is found, and turns it into an exit status.
func runLabels(e *env, arg string, o labelsOptions) error {
	base, head, err := o.refs()
	if err != nil {
		return err
	}
	r, err := readLabels(e, arg, base, head, o)
	if err != nil {
		return err
	}
	if o.json {
		err = r.encode(e.stdout)
	} else {
		err = r.print(e.stdout)
	}
	if err == nil && r.failed() {
		return codeError(exitFail)
	}
	return err
}

// refs splits --diff. Both are empty without it.
func (o labelsOptions) refs() (base, head string, err error) {
	if o.diff == "" {
		return "", "", nil
	}
	base, head, ok := strings.Cut(o.diff, "..")
	if !ok || base == "" || strings.HasPrefix(head, ".") {
		return "", "", &usageError{fmt.Errorf("--diff: %q is not BASE..HEAD", o.diff)}
	}
	if head == "" {
		head = "HEAD"
	}
	return base, head, nil
}

// A labelsReport is what the command answers.
type labelsReport struct {
	Recipe  string          `json:"recipe"`
	Version string          `json:"version"`
	Head    string          `json:"head"`           // commit; without Base, the one that the folder is based on
	Base    string          `json:"base,omitempty"` // commit
	Suite   string          `json:"suite,omitempty"`
	Plan    *labels.Plan    `json:"plan"`
	Notices []labels.Notice `json:"notices"`
	Changes []labels.Change `json:"changes,omitempty"`
	Diff    string          `json:"diff,omitempty"`

	excluded map[string]string
}

// A labelsSide is one version of the recipe that is looked at.
type labelsSide struct {
	checkout *recipe.Checkout
	subject  labels.Subject
	notices  []labels.Notice // of resolving it
}

func readLabels(e *env, arg, base, head string, o labelsOptions) (*labelsReport, error) {
	rec, err := recipe.Open(e.abraDir(), arg)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "abra-ccci-labels-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	co, err := checkoutOf(rec, head, filepath.Join(tmp, "head"))
	if err != nil {
		return nil, err
	}
	quiet := *e // findSuite tells at length what a missing suite means for a run
	quiet.stderr = io.Discard
	suite, err := findSuite(&quiet, o.suite, co)
	if err != nil {
		return nil, err
	}
	domain := sampleDomain(co)
	now, err := resolveSide(co, suite, domain)
	if err != nil {
		return nil, err
	}
	r := &labelsReport{
		Recipe: co.Recipe, Version: co.Commit.Version, Head: co.Commit.SHA, Suite: suite.Source,
		Plan: now.subject.Plan, Notices: append(now.notices, labels.Check(now.subject)...), excluded: now.subject.Excluded,
	}
	if base == "" {
		return r, nil
	}
	if co, err = checkoutOf(rec, base, filepath.Join(tmp, "base")); err != nil {
		return nil, err
	}
	was, err := resolveSide(co, suite, domain)
	if err != nil {
		return nil, err
	}
	r.compare(was, now)
	return r, nil
}

// checkoutOf is a pristine clone at ref, or the folder as it is.
func checkoutOf(rec *recipe.Recipe, ref, dir string) (*recipe.Checkout, error) {
	if ref == "" {
		return rec.Working()
	}
	if ref == "HEAD" {
		ref = ""
	}
	commit, err := rec.Commit(ref)
	if err != nil {
		return nil, err
	}
	return rec.Checkout(commit, dir)
}

// sampleDomain is a domain for labels that hold it: nothing is deployed under it.
func sampleDomain(co *recipe.Checkout) string {
	if domain := co.Sample.Get("DOMAIN"); domain != "" {
		return domain
	}
	return co.Recipe + ".example.com"
}

// resolveSide resolves a version with its own sample under the suite's env.
func resolveSide(co *recipe.Checkout, suite *runner.Suite, domain string) (*labelsSide, error) {
	names := strings.NewReplacer("${DOMAIN}", domain, "${STACK_NAME}", recipe.StackName(domain), "${RECIPE}", co.Recipe)
	over := map[string]string{}
	for k, v := range suite.Deploy.Env {
		over[k] = names.Replace(v)
	}
	stack, notices, err := co.Stack(co.AppEnv(domain, over))
	if err != nil {
		return nil, err
	}
	excluded := map[string]string{}
	for _, x := range suite.Excludes {
		if x.Path == "" || x.Path == "." {
			excluded[x.Volume] = x.Reason
		}
	}
	subject := labels.Subject{Stack: stack, Plan: labels.PlanOf(stack), Sample: co.Sample, Files: co.Files(), Excluded: excluded}
	return &labelsSide{co, subject, notices}, nil
}

// compare adds what a base tells.
func (r *labelsReport) compare(was, now *labelsSide) {
	r.Base = was.checkout.Commit.SHA
	r.Notices = append(r.Notices, labels.CheckAgainst(was.subject, now.subject)...)
	r.Changes = labels.Diff(was.subject, now.subject)
	names := append(was.subject.Stack.Sources(), now.subject.Stack.Sources()...)
	for _, side := range []*labelsSide{was, now} {
		overlays, _ := fs.Glob(side.subject.Files, "compose*.yml") // the pattern is well-formed
		names = append(names, overlays...)
	}
	slices.Sort(names)
	r.Diff = labels.TextDiff(was.subject.Files, now.subject.Files, slices.Compact(names))
}

func (r *labelsReport) failed() bool {
	return slices.ContainsFunc(r.Notices, func(n labels.Notice) bool { return n.Severity == labels.Error })
}

func (r *labelsReport) encode(w io.Writer) error {
	return runner.EncodeJSON(w, r)
}

// print writes the report for people. Every word of the recipe goes through
// runner.Printable.
func (r *labelsReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%s %s\n\n", runner.Printable(r.Recipe), runner.Printable(r.Version))
	if err := r.printPlan(w); err != nil {
		return err
	}
	for _, h := range r.Plan.Hooks {
		fmt.Fprintf(w, "hook  %s %s: %s\n", runner.Printable(h.Service), h.Kind, runner.Printable(h.Command))
	}
	for _, severity := range []labels.Severity{labels.Error, labels.Warning} {
		for _, n := range r.Notices {
			if n.Severity == severity {
				printNotice(w, n)
			}
		}
	}
	if r.Base != "" {
		r.printDiff(w)
	}
	return nil
}

func (r *labelsReport) printPlan(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "VOLUME\tMOUNTED AT\tSAVED\tBY, OR WHY NOT")
	for _, v := range r.Plan.Volumes {
		cells := []string{v.Volume, mountedAt(v), savedPaths(v), r.reason(v)}
		for i := range cells {
			cells[i] = runner.Printable(cells[i])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func mountedAt(v labels.VolumePlan) string {
	var at []string
	for _, m := range v.Mounts {
		at = append(at, m.Service+":"+m.Target)
	}
	return strings.Join(at, ", ")
}

func savedPaths(v labels.VolumePlan) string {
	switch {
	case !v.Saved:
		return "no"
	case slices.Equal(v.Paths, []string{"."}):
		return "all"
	}
	return strings.Join(v.Paths, ", ")
}

func (r *labelsReport) reason(v labels.VolumePlan) string {
	why := v.Label
	if !v.Saved {
		why = v.Why
	}
	if reason, ok := r.excluded[v.Volume]; ok {
		why += "; the suite excludes it: " + reason
	}
	return why
}

func printNotice(w io.Writer, n labels.Notice) {
	fmt.Fprintf(w, "%-7s  %s  %s: %s\n         %s\n", n.Severity, n.ID,
		runner.Printable(n.Where), runner.Printable(n.Text), runner.Printable(n.Advice))
}

func (r *labelsReport) printDiff(w io.Writer) {
	fmt.Fprintf(w, "\nfrom %.12s to %.12s:\n", r.Base, r.Head)
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "  nothing changes for a backup")
	}
	for _, c := range r.Changes {
		fmt.Fprintf(w, "  %s\n", runner.Printable(c.Text))
	}
	if r.Diff != "" {
		fmt.Fprintf(w, "\n%s", runner.PrintableLines(r.Diff))
	}
}
