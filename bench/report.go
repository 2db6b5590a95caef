package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report is the Markdown that is printed, and its picture.
type report struct {
	text   strings.Builder
	charts []chart
}

func (r *report) line(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

func (r *report) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// A table's cells are formatted already.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// table writes t, whose first row is the heading; all but the first column are figures.
func (r *report) table(t table) {
	r.line("")
	for i, row := range t {
		r.line("| %s |", strings.Join(row, " | "))
		if i == 0 {
			r.line("|---%s|", strings.Repeat("|--:", len(row)-1))
		}
	}
	r.line("")
}

// goal says what was wanted, and whether it was reached.
func (r *report) goal(reached bool, format string, args ...any) {
	word := "reached"
	if !reached {
		word = "**missed**"
	}
	r.line("- Goal: %s: %s.", fmt.Sprintf(format, args...), word)
}

// head says what was measured on.
func (b *bench) head(ctx context.Context) error {
	engine, err := exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Output()
	if err != nil {
		return fmt.Errorf("docker version: %w", err)
	}
	commit, _ := exec.CommandContext(ctx, "git", "-C", b.root, "rev-parse", "--short=12", "HEAD").Output() // a source archive has none
	b.line("# What it costs\n")
	b.line("Everything below was printed by one run of `make bench` (`bench/`), which measures")
	b.line("side by side, in turns, on one machine; ratios are medians of the pairs' ratios.")
	b.line("Of commit %s, on %s, with %d cores, Docker %s, %s.\n", strings.TrimSpace(string(commit)), time.Now().UTC().Format(time.DateOnly),
		runtime.NumCPU(), strings.TrimSpace(string(engine)), runtime.Version())
	if b.quick {
		b.line("**Quick: the sizes are too small to say anything.**\n")
	}
	return nil
}

// finish prints the report, and writes it if that was wanted.
func (b *bench) finish() error {
	text := b.text.String()
	fmt.Print(text)
	if !b.write {
		return nil
	}
	docs := filepath.Join(b.root, "docs")
	if err := os.WriteFile(filepath.Join(docs, picture), []byte(draw(b.charts)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(docs, "performance.md"), []byte(text), 0o644)
}

const picture = "performance.svg"

// median of at least one value.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// each makes a list of one figure of each of many.
func each[T any](list []T, figure func(T) float64) []float64 {
	var out []float64
	for _, x := range list {
		out = append(out, figure(x))
	}
	return out
}

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }
func percent(p float64) string { return fmt.Sprintf("%.1f %%", 100*p) }
func mebi(n float64) string    { return fmt.Sprintf("%.0f MiB", n/(1<<20)) }

// spread is a median with the least and the greatest.
func spread(values []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(values), slices.Min(values), slices.Max(values))
}
