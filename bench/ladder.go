package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"coopcloud.tech/abra-ccci/examples"
	"coopcloud.tech/abra-ccci/runner"
)

// A pair is one climb and the same in a straight line.
type pair struct {
	climb
	straight measured
	phases   map[string]float64 // of the straight line, in seconds
}

func (p pair) ratio() float64 { return p.wall.Seconds() / p.straight.wall.Seconds() }

// ladder climbs each recipe beside ladder.sh.
func (b *bench) ladder(ctx context.Context) error {
	b.line("## The ladder\n")
	b.line("`abra-ccci test RECIPE` beside `bench/ladder.sh`, which does the same deployments,")
	b.line("seedings, restic calls, restarts and teardowns with the docker and restic commands,")
	b.line("in a straight line and without a check: no look whether data is there or gone, no")
	b.line("manifest, no listing, no lint, no functional test, no search for secrets. restic")
	b.line("stretches the password there as usual, about two seconds for a new repository and")
	b.line("half a second for each call; the tool makes a repository in which it need not.")
	rows := table{{"recipe", "pairs", "abra-ccci test", "ladder.sh", "ratio", "own share", "peak memory"}}
	stages := table{{"stage"}}
	var ratios, own, peak []float64
	for _, recipe := range b.recipes {
		if !slices.Contains(examples.Names(), recipe) {
			b.progress("there is no example %s", recipe)
			continue
		}
		pairs, err := b.climbPairs(ctx, recipe)
		if err != nil {
			return err
		}
		r := each(pairs, pair.ratio)
		o := each(pairs, func(p pair) float64 { return p.own() })
		m := each(pairs, func(p pair) float64 { return float64(p.peak) })
		ratios, own, peak = append(ratios, median(r)), append(own, median(o)), append(peak, slices.Max(m))
		rows.row(recipe, strconv.Itoa(len(pairs)), seconds(median(each(pairs, func(p pair) float64 { return p.wall.Seconds() }))),
			seconds(median(each(pairs, func(p pair) float64 { return p.straight.wall.Seconds() }))), spread(r, "%.2f"), percent(median(o)), mebi(slices.Max(m)))
		stages.column(recipe, pairs)
	}
	b.table(rows)
	b.line("The own share is the wall time from the start of the process to its end in which")
	b.line("nothing was being deployed, restarted, removed, executed in the app, waited for,")
	b.line("saved or restored (`spent` in results.json); looking into volumes counts as own.\n")
	b.goal(slices.Max(ratios) <= 1.1, "at most 1.1 times the straight line")
	b.goal(slices.Max(own) <= 0.05, "at most 5 %% of a run for the tool itself")
	b.goal(slices.Max(peak) <= 64<<20, "a run's peak memory under 64 MiB")
	b.line("\nWhere the time goes, tool / straight line, medians in seconds:")
	b.table(stages)
	return nil
}

// climbPairs measures in turns; who is first alternates.
func (b *bench) climbPairs(ctx context.Context, recipe string) ([]pair, error) {
	var pairs []pair
	for i := range b.pairs {
		var p pair
		first, second := b.climbOnce, b.straightOnce
		if i%2 == 1 {
			first, second = second, first
		}
		if err := first(ctx, recipe, i, &p); err != nil {
			return nil, err
		}
		if err := second(ctx, recipe, i, &p); err != nil {
			return nil, err
		}
		b.progress("%s: %.1f s, straight %.1f s, own share %.1f %%", recipe, p.wall.Seconds(), p.straight.wall.Seconds(), 100*p.own())
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func (b *bench) climbOnce(ctx context.Context, recipe string, _ int, p *pair) (err error) {
	p.climb, err = b.climb(ctx, recipe, 0)
	return err
}

func (b *bench) straightOnce(ctx context.Context, recipe string, i int, p *pair) (err error) {
	b.progress("straight line of %s", recipe)
	work := filepath.Join(b.dir, fmt.Sprintf("straight-%s-%d", recipe, i))
	if p.straight, err = b.must(ctx, filepath.Join(b.root, "bench", "ladder.sh"), recipe, b.clone(recipe), work); err != nil {
		return err
	}
	p.phases, err = phases(p.straight.stderr)
	return err
}

// phases reads the lines "<unix time> <phase>" that ladder.sh prints: each
// phase goes on until the next begins.
func phases(stderr []byte) (map[string]float64, error) {
	out := map[string]float64{}
	last, from := "", 0.0
	for line := range bytes.Lines(stderr) {
		at, name, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		t, err := strconv.ParseFloat(at, 64)
		if !ok || err != nil {
			continue // what docker says
		}
		if last != "" {
			out[last] = t - from
		}
		last, from = name, t
	}
	if last != "end" {
		return nil, fmt.Errorf("ladder.sh did not come to its end:\n%s", tail(stderr))
	}
	return out, nil
}

// column adds a recipe's medians to the table of stages.
func (t *table) column(recipe string, pairs []pair) {
	names := slices.DeleteFunc(slices.Clone(runner.Stages), func(s string) bool { return s == runner.StageLint })
	if len(*t) == 1 {
		for _, s := range append(names, "beside the stages") {
			t.row(s)
		}
	}
	(*t)[0] = append((*t)[0], recipe)
	for i, s := range names {
		tool := median(each(pairs, func(p pair) float64 { return p.stage(s) }))
		straight := "-"
		if _, ok := pairs[0].phases[s]; ok {
			straight = fmt.Sprintf("%.1f", median(each(pairs, func(p pair) float64 { return p.phases[s] })))
		}
		(*t)[i+1] = append((*t)[i+1], fmt.Sprintf("%.1f / %s", tool, straight))
	}
	rest := median(each(pairs, func(p pair) float64 {
		sum := 0.0
		for _, s := range names {
			sum += p.stage(s)
		}
		return p.wall.Seconds() - sum
	}))
	(*t)[len(names)+1] = append((*t)[len(names)+1], fmt.Sprintf("%.1f / -", rest))
}
