package ledger

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// grow makes a ledger of n entries of 2 KiB, 50 to a phase, without waiting
// for the disk.
func grow(b *testing.B, n int) (*bench, *Ledger) {
	b.Helper()
	t := &bench{t: b, dir: filepath.Join(b.TempDir(), "ledger"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
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
	return t, l
}

func big(t *bench, i int) Content {
	c := verdict(Pass)
	c.Phase, c.ID = fmt.Sprintf("p%d", i/50), t.id(fmt.Sprint("entry ", i))
	c.Prose = strings.TrimSpace(strings.Repeat("backup, wipe, restore, look again\n", 40))
	return c.neutral()
}

// How long things take as the ledger grows, and beside it what they can't be
// faster than. "open-ms", "verify-ms" and "append-ms" are wall time; "floor-ms"
// is reading all files and verifying all signatures, by as many processors.
// The largest size takes a minute to make; it is left out with -short.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		if testing.Short() && n > 1_000 {
			continue
		}
		b.Run(fmt.Sprint("entries=", n), func(b *testing.B) { benchmarkSize(b, n) })
	}
}

func benchmarkSize(b *testing.B, n int) {
	t, l := grow(b, n)
	f := l.folder
	var open, verify, floor, add time.Duration
	var memory uint64
	rounds := 0
	for b.Loop() {
		rounds++
		open += timed(func() { l = nil; opened, err := Open(f); must(b, err); l = opened })
		memory = heap()
		floor += timed(func() { bare(b, f, n, l.policy) })
		verify += timed(func() { v, _, err := Verify(f); must(b, err); runtime.KeepAlive(v) })
		c := big(t, -rounds)
		c.Phase = "new"
		add += timed(func() { _, err := l.Append(c, t.adversary, t.now); must(b, err) })
		t.remove(entryName(int64(n)))
		t.remove(checkpointName(int64(n) + 1))
		os.Remove(filepath.Join(t.dir, "REVIEW-new.md"))
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(rounds) }
	b.ReportMetric(ms(open), "open-ms")
	b.ReportMetric(ms(verify), "verify-ms")
	b.ReportMetric(ms(floor), "floor-ms")
	b.ReportMetric(ms(verify)/ms(floor), "verify/floor")
	b.ReportMetric(ms(add), "append-ms")
	b.ReportMetric(float64(memory)/float64(n), "heap-B/entry")
	b.ReportMetric(0, "ns/op")
}

func timed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
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
// first, and beside them a git commit of one file in a repository of 1 000.
func BenchmarkAppendOrCommit(b *testing.B) {
	const n = 1_000
	t, l := grow(b, n)
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
	var add, cold, commit time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		add += timed(func() { _, err := l.Append(big(t, 50_000+2*rounds), t.adversary, t.now); must(b, err) })
		cold += timed(func() {
			fresh, err := Open(l.folder)
			must(b, err)
			_, err = fresh.Append(big(t, 50_001+2*rounds), t.adversary, t.now)
			must(b, err)
		})
		commit += timed(func() {
			name := fmt.Sprintf("%06d.md", n+rounds)
			must(b, os.WriteFile(filepath.Join(repo, name), fmt.Appendf(nil, "%d %s", rounds, text), 0o644))
			git("add", name)
			git("commit", "-qm", name)
		})
	}
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(rounds) }
	b.ReportMetric(per(add), "append-ms")
	b.ReportMetric(per(cold), "open+append-ms")
	b.ReportMetric(per(commit), "git-commit-ms")
	b.ReportMetric(per(commit)/per(add), "git/append")
	b.ReportMetric(per(commit)/per(cold), "git/(open+append)")
	b.ReportMetric(0, "ns/op")
}

// Reading one entry: parsing it, and holding it against the form.
func BenchmarkParse(b *testing.B) {
	_, l := grow(b, 2)
	raw, err := l.folder.Read(entryName(1))
	must(b, err)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		_, err := Parse(raw)
		must(b, err)
	}
}
