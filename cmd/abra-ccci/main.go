package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"coopcloud.tech/abra-ccci/canary/app"
	"coopcloud.tech/abra-ccci/canary/shell"
	"coopcloud.tech/abra-ccci/runner/inside"
)

func main() { os.Exit(run()) }

// run is main with an exit status, so that tests can be this program.
func run() int {
	// In the helper image this binary is the tool that looks into volumes.
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		return inside.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr)
	}
	if code, ok := asCanary(); ok {
		return code
	}
	// Whoever reads along may go away, as head does: what was made still has to be
	// cleared away. A write then fails, and ends nothing.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // else nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := interruptible(ends...)
	defer stop()
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now}
	return execute(ctx, e, os.Args[1:])
}

// asCanary is what the program does in a canary's stack, where it is called by
// the name of a link to it.
func asCanary() (code int, ok bool) {
	name := filepath.Base(os.Args[0])
	if name != "sh" && name != "store" {
		return 0, false
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if name == "sh" {
		return shell.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr), true
	}
	return app.Main(ctx, os.Args[1:], app.World{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}), true
}
