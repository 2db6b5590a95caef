package main

import (
	"context"
	"os"
	"os/signal"
	"sync"

	"coopcloud.tech/abra-ccci/runner"
)

// interruptible returns a context that the first of the signals ends: work
// stops and is cleared away. The second ends the patience with that, and only
// what is left is told. The third does what it does to any program.
func interruptible(signals ...os.Signal) (_ context.Context, stop func()) {
	patience, giveUp := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(runner.WithPatience(context.Background(), patience))
	arrived, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(arrived, signals...)
	go func() {
		for _, end := range []func(){cancel, giveUp} {
			select {
			case <-arrived:
				end()
			case <-done:
			}
		}
		signal.Stop(arrived)
	}()
	return ctx, sync.OnceFunc(func() {
		close(done)
		cancel()
		giveUp()
	})
}
