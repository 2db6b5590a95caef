package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

func initCommand(e *env) *cobra.Command {
	var out, ref string
	cmd := &cobra.Command{
		Use:   "init RECIPE|DIR",
		Short: "write a first suite from the compose files",
		Long: `Init writes a suite.toml with a probe to fill in for each volume that the recipe
mounts. It never overwrites one.`,
		Example: "  abra-ccci init mailu\n  abra-ccci init . --out ccci",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return scaffold(e, args[0], ref, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`DIR` to write suite.toml into (default: $ABRA_DIR/ccci/suites/RECIPE)")
	cmd.Flags().StringVar(&ref, "ref", "", "branch, tag or commit to read (default: HEAD of the clone)")
	return cmd
}

func scaffold(e *env, arg, ref, out string) error {
	rec, err := recipe.Open(e.abraDir(), arg)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "abra-ccci-init-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	stack, err := resolve(rec, ref, filepath.Join(tmp, "head"))
	if err != nil {
		return err
	}
	if out == "" {
		out = filepath.Join(e.abraDir(), "ccci", "suites", rec.Name)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	path := filepath.Join(out, runner.SuiteFile)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return &hinted{fmt.Errorf("%s is there already", path), "choose another folder: --out DIR"}
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(runner.Scaffold(rec.Name, stack, labels.PlanOf(stack))); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s\n", path)
	fmt.Fprintf(e.stderr, "abra-ccci: fill in every FILL-IN, then: abra-ccci test %s --suite %s\n", runner.Printable(arg), runner.Printable(out))
	return nil
}

// resolve is the stack of a recipe at a ref, with the env of its sample.
func resolve(rec *recipe.Recipe, ref, dir string) (*labels.Stack, error) {
	commit, err := rec.Commit(ref)
	if err != nil {
		return nil, err
	}
	checkout, err := rec.Checkout(commit, dir)
	if err != nil {
		return nil, err
	}
	stack, _, err := checkout.Stack(checkout.AppEnv(recipe.Domain(rand.Reader), nil))
	return stack, err
}
