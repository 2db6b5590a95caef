package main

import (
	"context"
	"fmt"
	"sync"

	"coopcloud.tech/abra-ccci/runner"
)

// A point is one measurement of how something grows.
type point struct {
	n       int
	seconds float64
}

// A chart is one panel of the picture.
type chart struct {
	title, axis string
	points      []point
}

// grow measures how wall time grows with services, probes, and runs at once.
func (b *bench) grow(ctx context.Context) error {
	services, probes, atOnce := []int{1, 5, 20, 40}, []int{1, 5, 10, 20}, []int{1, 2, 4, 8}
	if b.quick {
		services, probes, atOnce = []int{1, 3}, []int{1, 3}, []int{1, 2}
	}
	b.line("## How it grows\n")
	b.line("Wall time of whole ladders of a made recipe without a base: the app `notes` with one")
	b.line("saved volume, and services beside it that only run; then of `notes` itself, several")
	b.line("runs at once, until the last has ended.")
	one := b.made(func(n int) made { return made{fmt.Sprintf("made-s%d", n), n, 1} })
	many := b.made(func(n int) made { return made{fmt.Sprintf("made-p%d", n), 1, n} })
	for _, g := range []struct {
		chart
		sizes []int
		once  func(context.Context, int) (float64, error)
	}{
		{chart{title: "services of a recipe", axis: "services"}, services, one},
		{chart{title: "probes of a suite", axis: "probes"}, probes, many},
		{chart{title: "runs at once", axis: "runs"}, atOnce, b.together},
	} {
		rows := table{{g.axis, "wall time", "for each"}}
		for _, n := range g.sizes {
			s, err := g.once(ctx, n)
			if err != nil {
				return err
			}
			b.progress("%d %s: %.1f s", n, g.axis, s)
			g.points = append(g.points, point{n, s})
			rows.row(fmt.Sprint(n), seconds(s), seconds(s/float64(n)))
		}
		b.table(rows)
		b.charts = append(b.charts, g.chart)
	}
	b.line("![Wall time over services, probes, and runs at once](%s)\n", picture)
	return nil
}

// made returns what measures one climb of a made recipe of size n.
func (b *bench) made(of func(n int) made) func(context.Context, int) (float64, error) {
	return func(ctx context.Context, n int) (float64, error) {
		m := of(n)
		if err := b.make(ctx, m); err != nil {
			return 0, err
		}
		c, err := b.climb(ctx, m.name, 0)
		if err == nil && c.results.Rungs[runner.RungBackupRestore] != runner.Pass {
			err = fmt.Errorf("%s: backup_restore is %s", m.name, c.results.Rungs[runner.RungBackupRestore])
		}
		return c.wall.Seconds(), err
	}
}

// together climbs notes n times at once, and returns how long the last one took.
func (b *bench) together(ctx context.Context, n int) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	walls := make([]float64, n)
	var runs sync.WaitGroup
	for i := range n {
		runs.Go(func() {
			c, err := b.climb(ctx, "notes", 0)
			if err != nil {
				cancel(err)
			}
			walls[i] = c.wall.Seconds()
		})
	}
	runs.Wait()
	last := 0.0
	for _, w := range walls {
		last = max(last, w)
	}
	return last, context.Cause(ctx)
}
