package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// small measures what needs no engine.
func (b *bench) small(ctx context.Context) error {
	start, err := b.start(ctx)
	if err != nil {
		return err
	}
	read, err := b.labels(ctx)
	if err != nil {
		return err
	}
	search := b.search()
	b.line("## Small things")
	rows := table{{"", "median", "goal"}}
	rows.row("`abra-ccci --help`", fmt.Sprintf("%.1f ms", 1000*start), "under 30 ms")
	rows.row("labels: plan, notices and diff of 200 recipes, on all cores", fmt.Sprintf("%.0f ms", 1000*read), "under 1 s")
	rows.row("search for 6 secrets in logs, one core", fmt.Sprintf("%.0f MB/s", search/1e6), "at least 500 MB/s")
	b.table(rows)
	b.goal(start < 0.030 && read < 1 && search >= 500e6, "all three")
	b.line("")
	return nil
}

// start is how long the program needs to say what it can do.
func (b *bench) start(ctx context.Context) (float64, error) {
	var all []float64
	for range 30 {
		m, err := b.must(ctx, b.tool(), "--help")
		if err != nil {
			return 0, err
		}
		all = append(all, m.wall.Seconds())
	}
	return median(all), nil
}

// labels reads 200 times a base and a head, as `abra-ccci labels --diff` does:
// resolved, planned, judged alone and against each other, and compared; as many
// at a time as there are cores.
func (b *bench) labels(ctx context.Context) (float64, error) {
	var sides [2]string
	for i, ref := range []string{"3.0.1+2024.06.52", "add-backupbot-labels"} {
		sides[i] = filepath.Join(b.dir, "labels", fmt.Sprint(i))
		if _, err := b.must(ctx, "git", "-C", b.clone("mailu"), "worktree", "add", "--detach", sides[i], ref); err != nil {
			return 0, err
		}
	}
	var all []float64
	for range 5 {
		begin := time.Now()
		var recipes errgroup.Group
		recipes.SetLimit(runtime.GOMAXPROCS(0))
		for range 200 {
			recipes.Go(func() error { return compare(sides[0], sides[1]) })
		}
		if err := recipes.Wait(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(begin).Seconds())
	}
	return median(all), nil
}

func compare(base, head string) error {
	was, err := subject(base)
	if err != nil {
		return err
	}
	is, err := subject(head)
	if err != nil {
		return err
	}
	labels.Check(is)
	labels.CheckAgainst(was, is)
	if len(labels.Diff(was, is)) == 0 {
		return fmt.Errorf("%s and %s do not differ", base, head)
	}
	labels.TextDiff(was.Files, is.Files, []string{"compose.yml", ".env.sample"})
	return nil
}

// subject reads a checkout of mailu.
func subject(dir string) (labels.Subject, error) {
	s := labels.Subject{Files: os.DirFS(dir)}
	data, err := os.ReadFile(filepath.Join(dir, ".env.sample"))
	if err != nil {
		return s, err
	}
	if s.Sample, err = labels.ParseEnv(".env.sample", data); err != nil {
		return s, err
	}
	env := s.Sample.Map()
	maps.Copy(env, map[string]string{"STACK_NAME": "mailu", "NGINX_CONF_VERSION": "v1"})
	s.Stack, _, err = labels.Resolve(labels.Source{Dir: dir, Files: s.Files, Env: env})
	if err == nil {
		s.Plan = labels.PlanOf(s.Stack)
	}
	return s, err
}

// search is the bytes per second that are searched for secrets and redacted,
// on one core.
func (b *bench) search() float64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	line := "2026-06-11T20:58:03Z imap: Login: user=<u4fe@example.org>, method=PLAIN, rip=10.0.3.7, lip=10.0.3.9, mpid=77, session=<abc>\n"
	data := bytes.Repeat([]byte(line), 16<<20/len(line))
	var all []float64
	for range 3 {
		r := testing.Benchmark(func(tb *testing.B) {
			v := runner.NewVault()
			for _, secret := range []string{"Zq8vT2nLx4RkWm7cPd1sYb6hGj3fUa9e", "c0ffee5ca1ab1e0ddba11feedfacebeef", "correct-horse-battery-staple",
				"x7Kp9Q", "hN5tBw2XzVr8LmJc", "A1b2C3d4E5f6G7h8I9j0"} {
				v.Add("secret", secret)
			}
			w := v.Writer(io.Discard, nil)
			tb.SetBytes(int64(len(data)))
			for tb.Loop() {
				w.Write(data)
			}
		})
		all = append(all, float64(r.Bytes)*float64(r.N)/r.T.Seconds())
	}
	return median(all)
}
