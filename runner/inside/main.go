package inside

import (
	"errors"
	"fmt"
	"io"
)

// Exit statuses of Main.
const (
	exitDone  = 0
	exitFault = 1
	exitUsage = 2
	exitNo    = 3
)

// errNo makes Main exit with 3: asked properly, and the answer is no.
var errNo = errors.New("no")

// A command is one subcommand: its arguments by name, and what it does.
type command struct {
	args []string
	run  func(c call) error
}

// call is what a subcommand gets.
type call struct {
	args   []string
	stdin  io.Reader
	stdout io.Writer
}

var commands = map[string]command{
	"sleep":      {nil, func(c call) error { return sleep(c.stdout) }},
	"manifest":   {[]string{"DIR"}, func(c call) error { return writeManifest(c.stdout, c.args[0]) }},
	"stat":       {[]string{"DIR", "PATH"}, func(c call) error { return stat(c.stdout, c.args[0], c.args[1]) }},
	"decoy":      {[]string{"DIR", "PATH", "NAME"}, func(c call) error { return decoy(c.args[0], c.args[1], c.args[2]) }},
	"repository": {[]string{"DIR", "PASSWORD"}, func(c call) error { return makeRepository(c.args[0], c.args[1]) }},
	"spoil":      {[]string{"DIR", "HOW"}, func(c call) error { return spoil(c.args[0], c.args[1], c.stdin) }},
	"ask":        {nil, func(c call) error { return ask(c.stdin, c.stdout) }},
	"kill":       {[]string{"MARK"}, func(c call) error { return killMarked(c.args[0]) }},
	"ipvs":       {nil, func(call) error { return ipvs() }},
}

// Main runs one subcommand, argv[0], and returns the exit status for it.
func Main(argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(argv) == 0 {
		fmt.Fprintln(stderr, "inside: no subcommand")
		return exitUsage
	}
	cmd, ok := commands[argv[0]]
	if !ok {
		fmt.Fprintf(stderr, "inside: unknown subcommand %q\n", argv[0])
		return exitUsage
	}
	if len(argv)-1 != len(cmd.args) {
		fmt.Fprintf(stderr, "inside %s: want %d arguments %v, got %d\n", argv[0], len(cmd.args), cmd.args, len(argv)-1)
		return exitUsage
	}
	err := cmd.run(call{argv[1:], stdin, stdout})
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNo):
		return exitNo
	}
	fmt.Fprintln(stderr, err)
	return exitFault
}
