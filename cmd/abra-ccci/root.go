package main

import (
	"context"
	"io"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/runner"
)

// env is the world as commands see it. Nothing below this package reads the
// environment, the clock or the terminal.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
}

// execute runs the command line and returns its exit status.
func execute(ctx context.Context, e *env, args []string) int {
	root := rootCommand(e)
	root.SetArgs(args)
	return report(ctx, e, root.ExecuteContext(ctx))
}

func rootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "abra-ccci",
		Short: "the recipe CI with an adversary in it, for Co-op Cloud",
		Long: `abra-ccci proves that a Co-op Cloud recipe's backups bring the data back.

It climbs a ladder of five rungs (install, upgrade, backup_restore, functional,
lint) on a real Docker Swarm: data is seeded, backed up, wiped (and the wipe
proven), restored, and restored again onto an app built from nothing.

Exit status, same for every command:
  0    pass
  1    could not tell (tool, network, engine)
  2    usage
  3    the answer is fail
  130  interrupted`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       build().Version,
	}
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetIn(e.stdin)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(testCommand(e), labelsCommand(e), ledgerCommand(e), initCommand(e), doctorCommand(e), reapCommand(e), reviewCommand(e), selftestCommand(e), engineCommand(e), shellinitCommand(e))
	return root
}

// build says which build of the tool this is.
func build() runner.Tool {
	t := runner.Tool{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		t.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			t.Commit = s.Value
		}
	}
	return t
}

// abraDir is where abra keeps recipes and servers.
func (e *env) abraDir() string {
	if dir := e.getenv("ABRA_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(e.getenv("HOME"), ".abra")
}

// stateDir is where the tool keeps its own files.
func (e *env) stateDir() string {
	if dir := e.getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "abra-ccci")
	}
	return filepath.Join(e.getenv("HOME"), ".local", "state", "abra-ccci")
}
