package main

import (
	"os"
	"syscall"
	"time"

	"coopcloud.tech/abra-ccci/runner/inside"
)

func main() { os.Exit(run()) }

// run is main with an exit status, so that tests can be this program.
func run() int {
	// In the helper image this binary is the tool that looks into volumes.
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		return inside.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr)
	}
	ctx, stop := interruptible(os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now}
	return execute(ctx, e, os.Args[1:])
}
