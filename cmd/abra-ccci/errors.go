package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
)

// The exit statuses, same for every command. The difference between 1 and 3
// is the most important one: a machine that broke says nothing of a recipe.
const (
	exitPass        = 0
	exitUnknown     = 1
	exitUsage       = 2
	exitFail        = 3
	exitInterrupted = 130
)

// A usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) ExitCode() int { return exitUsage }

// A codeError carries an exit status whose reason was already printed.
type codeError int

func (c codeError) Error() string { return fmt.Sprintf("exit status %d", int(c)) }
func (c codeError) ExitCode() int { return int(c) }

// report prints an error as the user sees it and returns the exit status.
func report(ctx context.Context, e *env, err error) int {
	if err == nil {
		return exitPass
	}
	if code := codeError(0); errors.As(err, &code) {
		return int(code)
	}
	infra := (*runner.InfraError)(nil)
	if ctx.Err() != nil && (!errors.As(err, &infra) || errors.Is(err, context.Canceled)) {
		fmt.Fprintln(e.stderr, "abra-ccci: interrupted")
		return exitInterrupted
	}
	// What a recipe says may hold line ends: no line of it passes for one of ours.
	fmt.Fprintf(e.stderr, "abra-ccci: error: %s\n", strings.ReplaceAll(runner.PrintableLines(err.Error()), "\n", "\n  "))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(e.stderr, "abra-ccci: hint: %s\n", runner.Printable(hint))
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if c := (interface{ ExitCode() int })(nil); errors.As(err, &c) {
		return c.ExitCode()
	}
	if unknownCommand(err) {
		return exitUsage
	}
	return exitUnknown
}

// hintOf is what an error says to type next; empty if it says nothing.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	var infra *runner.InfraError
	if errors.As(err, &infra) {
		return infra.Hint
	}
	return ""
}

// unknownCommand tells cobra's own complaints, which have no type, from the rest.
func unknownCommand(err error) bool {
	for _, prefix := range []string{"unknown command ", "accepts ", "requires at least "} {
		if strings.HasPrefix(err.Error(), prefix) {
			return true
		}
	}
	return false
}
