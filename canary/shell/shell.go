// Package shell is the sh of images that hold nothing but the tool's own
// static program: hooks of a recipe are run as `sh -c`, steps of a suite may
// be scripts on its stdin, and an image from scratch has no shell. It is
// mvdan.cc/sh's interpreter with a command line, not a part of how the tool
// works: nothing on the host ever runs it.
//
//	sh               reads a script from stdin
//	sh -c SCRIPT [NAME [ARG…]]
//	sh FILE [ARG…]
//
// Options before these are those of set: -e, -u, -x, -o pipefail.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// Exit statuses of Main, beside those of scripts.
const (
	exitFault  = 1
	exitSyntax = 2
)

// stopTime is how long a command may take to end once the shell was told to.
const stopTime = 5 * time.Second

// A script is what a command line says to run.
type script struct {
	source io.ReadCloser
	name   string
	set    []string // options
	args   []string
}

// Main runs what argv says and returns the exit status. When ctx ends, the
// command that runs is interrupted, and killed if that does not end it.
func Main(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s, err := read(argv, stdin)
	if err != nil {
		fmt.Fprintln(stderr, "sh:", err)
		return exitSyntax
	}
	defer s.source.Close()
	prog, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(s.source, s.name)
	if err != nil {
		fmt.Fprintln(stderr, "sh:", err)
		return exitSyntax
	}
	r, err := interp.New(interp.StdIO(stdin, stdout, stderr), interp.Params(append(append(s.set, "--"), s.args...)...),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return interp.DefaultExecHandler(stopTime) }))
	if err != nil {
		fmt.Fprintln(stderr, "sh:", err)
		return exitSyntax
	}
	return status(r.Run(ctx, prog), stderr)
}

func status(err error, stderr io.Writer) int {
	var exit interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	fmt.Fprintln(stderr, "sh:", err)
	return exitFault
}

// read takes the command line apart.
func read(argv []string, stdin io.Reader) (s script, err error) {
	for len(argv) > 0 && strings.HasPrefix(argv[0], "-") && argv[0] != "-c" && argv[0] != "--" {
		s.set = append(s.set, argv[0])
		if strings.HasSuffix(argv[0], "o") && len(argv) > 1 {
			s.set = append(s.set, argv[1])
			argv = argv[1:]
		}
		argv = argv[1:]
	}
	switch {
	case len(argv) == 0:
		s.source = io.NopCloser(stdin)
	case argv[0] == "-c" && len(argv) == 1:
		return s, errors.New("-c wants a script")
	case argv[0] == "-c":
		s.source, argv = io.NopCloser(strings.NewReader(argv[1])), argv[2:]
		s.args = slices.Clone(argv[min(1, len(argv)):])
	default:
		s.name, s.args = argv[0], argv[1:]
		s.source, err = os.Open(s.name)
	}
	return s, err
}
