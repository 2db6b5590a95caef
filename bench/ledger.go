package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// ledger measures the log: its benchmarks are its own, as they look inside.
func (b *bench) ledger(ctx context.Context) error {
	sizes := []int{100, 1_000, 10_000, 100_000}
	if b.quick {
		sizes = sizes[:2]
	}
	b.line("## The ledger\n")
	b.line("Entries of 2 KiB, 50 to a phase. To open is to parse and hash every entry and to verify")
	b.line("the newest checkpoint; to verify is to check every signature and every rendering, too.")
	b.line("Beside it, what reading all files and verifying all signatures costs alone. An append")
	b.line("is one to a ledger that is open. Memory is what an open ledger holds: about 12 bytes for")
	b.line("each entry, and in at most 640 KiB the hashes of those that were used last.")
	rows := table{{"entries", "open", "verify", "files and signatures", "ratio", "append", "memory", "for each"}}
	last, most, held := map[string]float64{}, 0, 0.0
	for _, n := range sizes {
		m, err := b.benchmark(ctx, fmt.Sprintf("^BenchmarkGrowth$/^entries=%d$", n))
		if err != nil {
			return err
		}
		rows.row(fmt.Sprint(n), millis(m["open-ms"]), millis(m["verify-ms"]), millis(m["floor-ms"]), fmt.Sprintf("%.2f", m["verify/floor"]),
			millis(m["append-ms"]), fmt.Sprintf("%.1f MiB", m["heap-MiB"]), fmt.Sprintf("%.0f B", m["heap-B/entry"]))
		if n <= 10_000 {
			last, most = m, n
		}
		held = m["heap-MiB"]
	}
	b.table(rows)
	m, err := b.benchmark(ctx, "^BenchmarkAppendOrCommit$")
	if err != nil {
		return err
	}
	b.line("An append at 1 000 entries, beside `git add` and `git commit` of one file of the same")
	b.line("size in a repository of 1 000; durable is git with `core.fsync=all`, as an append")
	b.line("flushes what it writes, and git by default does not. A command that appends opens the")
	b.line("ledger first, which means to read and hash all of it; git reads no more than its index.")
	versus := table{{"", "median", "git takes", "durable git takes"}}
	for _, row := range [][2]string{{"append to an open ledger", "append"}, {"open, then append", "open+append"}} {
		name := row[1]
		if name != "append" {
			name = "(" + name + ")"
		}
		versus.row(row[0], millis(m[row[1]+"-ms"]), times(m["git/"+name]), times(m["durable-git/"+name]))
	}
	versus.row("git", millis(m["git-ms"]), "", "")
	versus.row("durable git", millis(m["durable-git-ms"]), "", "")
	b.table(versus)
	b.goal(last["open-ms"] < 400 && most == 10_000, "open of 10 000 entries under 0.4 s (here: %d)", most)
	b.goal(last["verify/floor"] <= 1.5, "to verify %d takes at most 1.5 times what files and signatures take alone", most)
	b.goal(m["git/append"] >= 3, "an append to an open ledger of 1 000 entries at least 3 times faster than git")
	b.goal(held <= 2 && !b.quick, "100 000 entries held in at most 2 MiB (here: %d)", sizes[len(sizes)-1])
	b.line("")
	return nil
}

func millis(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }
func times(x float64) string   { return fmt.Sprintf("%.1f times that", x) }

// benchmark runs one of the ledger's benchmarks, and returns its metrics.
func (b *bench) benchmark(ctx context.Context, name string) (map[string]float64, error) {
	b.progress("ledger: %s", name)
	rounds := fmt.Sprintf("%dx", 2*b.pairs+1)
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", name, "-benchtime", rounds, "-timeout", "30m", "./ledger")
	cmd.Dir = b.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s: %w\n%s", name, err, tail(out))
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		metrics := map[string]float64{}
		fields := strings.Fields(line)
		for i := 2; i+1 < len(fields); i += 2 {
			if metrics[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
		}
		return metrics, nil
	}
	return nil, fmt.Errorf("go test -bench %s printed no figures:\n%s", name, tail(out))
}
