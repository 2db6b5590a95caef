package ledger

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// grow makes a ledger of n entries of 2 KiB, 50 to a phase, without waiting
// for the disk.
func grow(b testing.TB, dir string, n int) (*bench, *Ledger) {
	b.Helper()
	t := &bench{t: b, dir: filepath.Join(dir, "ledger"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
	t.adversary = t.key(Adversary, "ci-adversary")
	t.builder = t.key(Builder, "ci-builder")
	d, err := MakeDir(t.dir)
	must(b, err)
	b.Cleanup(func() { d.Close() })
	l, err := Init(d, origin, t.keys, t.id("init"), t.adversary, t.now)
	must(b, err)
	for i := 1; i < n; i++ {
		it, err := l.build(big(t, i), t.adversary, t.now)
		must(b, err)
		must(b, l.add(it.entry, it.leaf))
		c, err := l.checkpoint()
		must(b, err)
		l.note, err = c.sign(t.adversary)
		must(b, err)
		t.write(entryName(int64(i)), string(it.raw))
		t.write(checkpointName(c.Size), string(l.note))
	}
	for _, phase := range l.Phases() {
		text, err := l.review(phase, int64(n))
		must(b, err)
		t.write(reviewName(phase), string(text))
	}
	return t, l
}

func big(t *bench, i int) Content {
	c := verdict(Pass)
	c.Phase, c.ID = fmt.Sprintf("p%d", i/50), t.id(fmt.Sprint("entry ", i))
	c.Prose = strings.TrimSpace(strings.Repeat("backup, wipe, restore, look again\n", 40))
	return c.neutral()
}

// How long things take as the ledger grows, and beside it what they can't be
// faster than. "open-ms", "verify-ms" and "append-ms" are medians of wall time;
// "floor-ms" is reading all files and verifying all signatures, by as many
// processors, and "verify/floor" the median of the pairs. The largest size takes
// a minute to make; it is left out with -short.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		if testing.Short() && n > 1_000 {
			continue
		}
		b.Run(fmt.Sprint("entries=", n), func(b *testing.B) { benchmarkSize(b, n) })
	}
}

func benchmarkSize(b *testing.B, n int) {
	t, l := grow(b, b.TempDir(), n)
	f := l.folder
	l = nil
	before := heap()
	var open, verify, floor, ratio, add, memory []float64
	for b.Loop() {
		open = append(open, timed(func() { opened, err := Open(f); must(b, err); l = opened }))
		memory = append(memory, float64(heap()-before))
		floor = append(floor, timed(func() { bare(b, f, n, l.policy) }))
		verify = append(verify, timed(func() { v, _, err := Verify(f); must(b, err); runtime.KeepAlive(v) }))
		ratio = append(ratio, verify[len(verify)-1]/floor[len(floor)-1])
		c := big(t, -len(open))
		c.Phase = "new"
		add = append(add, timed(func() { _, err := l.Append(c, t.adversary, t.now); must(b, err) }))
		t.remove(entryName(int64(n)))
		t.remove(checkpointName(int64(n) + 1))
		t.remove(reviewName("new"))
		l = nil
	}
	b.ReportMetric(median(open), "open-ms")
	b.ReportMetric(median(verify), "verify-ms")
	b.ReportMetric(median(floor), "floor-ms")
	b.ReportMetric(median(ratio), "verify/floor")
	b.ReportMetric(median(add), "append-ms")
	b.ReportMetric(median(memory)/(1<<20), "heap-MiB")
	b.ReportMetric(median(memory)/float64(n), "heap-B/entry")
	b.ReportMetric(0, "ns/op")
}

// timed is how many milliseconds f takes.
func timed(f func()) float64 {
	start := time.Now()
	f()
	return float64(time.Since(start).Microseconds()) / 1000
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bare is what a verification can't do without.
func bare(b *testing.B, f Reader, n int, p *Policy) {
	s := newSignatures()
	for i := range int64(n) {
		s.check("", func() error {
			for _, name := range []string{entryName(i), checkpointName(i + 1)} {
				raw, err := f.Read(name)
				if err != nil {
					return err
				}
				tlog.RecordHash(raw)
				if _, err := note.Open(raw, p.verifiers); err != nil {
					return err
				}
			}
			return nil
		})
	}
	must(b, s.wait())
}

// An append to a ledger of 1 000 entries that is open, one that opens it
// first, and beside them a git commit of one file in a repository of 1 000: as
// git does it by default, and "durable", which flushes what it writes as an
// append does. Ratios are medians of the rounds'.
func BenchmarkAppendOrCommit(b *testing.B) {
	const n = 1_000
	t, l := grow(b, b.TempDir(), n)
	repo := b.TempDir()
	git := func(args ...string) {
		args = append([]string{"-C", repo, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "gc.auto=0"}, args...)
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			b.Fatalf("git: %v: %s", err, out)
		}
	}
	git("init", "-q")
	text := big(t, 0).Prose
	for i := range n {
		must(b, os.WriteFile(filepath.Join(repo, fmt.Sprintf("%06d.md", i)), fmt.Appendf(nil, "%d %s", i, text), 0o644))
	}
	git("add", ".")
	git("commit", "-qm", "start")
	round := 0
	commit := func(config ...string) {
		round++
		name := fmt.Sprintf("%06d.md", n+round)
		must(b, os.WriteFile(filepath.Join(repo, name), fmt.Appendf(nil, "%d %s", round, text), 0o644))
		git(append(config, "add", name)...)
		git(append(config, "commit", "-qm", name)...)
	}
	all := map[string][]float64{}
	for b.Loop() {
		add := timed(func() { _, err := l.Append(big(t, 50_000+round), t.adversary, t.now); must(b, err) })
		cold := timed(func() {
			fresh, err := Open(l.folder)
			must(b, err)
			_, err = fresh.Append(big(t, 60_000+round), t.adversary, t.now)
			must(b, err)
		})
		plain := timed(func() { commit() })
		durable := timed(func() { commit("-c", "core.fsync=all") })
		for unit, v := range map[string]float64{"append-ms": add, "open+append-ms": cold, "git-ms": plain, "durable-git-ms": durable,
			"git/append": plain / add, "git/(open+append)": plain / cold, "durable-git/append": durable / add, "durable-git/(open+append)": durable / cold} {
			all[unit] = append(all[unit], v)
		}
	}
	for unit, v := range all {
		b.ReportMetric(median(v), unit)
	}
	b.ReportMetric(0, "ns/op")
}

// Reading one entry: parsing it, and holding it against the form.
func BenchmarkParse(b *testing.B) {
	_, l := grow(b, b.TempDir(), 2)
	raw, err := l.folder.Read(entryName(1))
	must(b, err)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		_, err := Parse(raw)
		must(b, err)
	}
}
