package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"coopcloud.tech/abra-ccci/examples"
	"coopcloud.tech/abra-ccci/runner"
)

// A bench is one run of this program.
type bench struct {
	pairs                 int
	recipes               []string
	quick, write, verbose bool

	root string // of the repository
	dir  string // of what is made here; removed at the end
	report
}

// open makes the folder with the example recipes, laid out as $ABRA_DIR.
func (b *bench) open(ctx context.Context) (err error) {
	for _, program := range []string{b.tool(), b.restic()} {
		if _, err := os.Stat(program); err != nil {
			return fmt.Errorf("%w\nhint: scripts/prepare", err)
		}
	}
	if b.dir, err = os.MkdirTemp(filepath.Join(b.root, "build"), "bench."); err != nil {
		return err
	}
	if err := examples.WriteTree(b.abraDir()); err != nil {
		return errors.Join(err, b.close())
	}
	return b.head(ctx)
}

func (b *bench) close() error { return os.RemoveAll(b.dir) }

func (b *bench) tool() string    { return filepath.Join(b.root, "build", "abra-ccci") }
func (b *bench) restic() string  { return filepath.Join(b.root, "build", "restic") }
func (b *bench) abraDir() string { return filepath.Join(b.dir, "abra") }

// clone is where a recipe's git repository is.
func (b *bench) clone(recipe string) string { return filepath.Join(b.abraDir(), "recipes", recipe) }

// environ is what the measured programs see: nothing of the user's own abra.
func (b *bench) environ() []string {
	return append(os.Environ(), "ABRA_DIR="+b.abraDir(), "XDG_STATE_HOME="+filepath.Join(b.dir, "state"), "CCCI_RESTIC="+b.restic(),
		"PATH="+filepath.Dir(b.restic())+":"+os.Getenv("PATH"))
}

// A measured program has ended.
type measured struct {
	wall   time.Duration
	cpu    time.Duration // user and system, of the process and its children
	peak   int64         // resident memory at its highest, in bytes
	exit   int
	stdout []byte
	stderr []byte
}

// measure runs a program to its end. The error tells only that it could not run.
func (b *bench) measure(ctx context.Context, argv ...string) (measured, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it tears down what it made
	cmd.Env = b.environ()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if b.verbose {
		cmd.Stderr = io.MultiWriter(&complaint, os.Stderr)
	}
	start := time.Now()
	err := cmd.Run()
	m := measured{wall: time.Since(start), stdout: out.Bytes(), stderr: complaint.Bytes()}
	if exited := new(exec.ExitError); errors.As(err, &exited) {
		err = nil
	}
	if err != nil {
		return m, err
	}
	m.exit = cmd.ProcessState.ExitCode()
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.peak = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024
	return m, ctx.Err()
}

// must is measure for a program that has to end with 0, or else the figures
// would be of something else.
func (b *bench) must(ctx context.Context, argv ...string) (measured, error) {
	m, err := b.measure(ctx, argv...)
	if err == nil && m.exit != 0 {
		err = fmt.Errorf("%s: exit %d\n%s", strings.Join(argv, " "), m.exit, tail(m.stderr))
	}
	return m, err
}

func tail(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// A climb is one run of abra-ccci test.
type climb struct {
	measured
	results *runner.Results
}

// climb runs the ladder of a recipe. Its exit status must be among allowed.
func (b *bench) climb(ctx context.Context, recipe string, allowed int, flags ...string) (climb, error) {
	b.progress("climbing %s %s", recipe, strings.Join(flags, " "))
	m, err := b.measure(ctx, append([]string{b.tool(), "test", recipe, "--json"}, flags...)...)
	c := climb{measured: m}
	if err != nil {
		return c, err
	}
	if m.exit > allowed {
		return c, fmt.Errorf("%s: exit %d\n%s%s", recipe, m.exit, tail(m.stderr), failures(m.stdout))
	}
	c.results, err = runner.ReadResults(m.stdout)
	return c, err
}

// failures names what did not pass.
func failures(record []byte) string {
	r, err := runner.ReadResults(record)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, s := range r.Stages {
		for _, t := range s.Tests {
			if t.Status == runner.Fail || t.Status == runner.Unver {
				fmt.Fprintf(&b, "\n%s %s: %s", t.Status, t.Name, t.Reason)
			}
		}
	}
	return b.String()
}

// stage is the seconds of one stage.
func (c climb) stage(name string) float64 {
	for _, s := range c.results.Stages {
		if s.Name == name {
			return s.Seconds
		}
	}
	return 0
}

// own is the share of wall time in which nothing went on but the tool itself,
// from the start of the process to its end.
func (c climb) own() float64 {
	sp := c.results.Spent
	return (c.wall.Seconds() - (sp.Total - sp.Own)) / c.wall.Seconds()
}
