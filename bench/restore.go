package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// bulk is a recipe with one service and as much data as is asked for. It is
// written with the first seeding; each seeding also writes its token. The setup has
// the disk write what earlier stages have written, so that the drill does not wait for that.
func (b *bench) bulk(ctx context.Context, files int, bytes int64) error {
	compose := head + "volumes:\n  data:\nservices:\n" + fmt.Sprintf(service, "app", idleImage) + `        - "backupbot.backup=true"
    command: [sleep, infinity]
    init: true
    volumes: ["data:/data"]
`
	suite := fmt.Sprintf(`recipe = "bulk"

[deploy]
setup = [{ service = "app", timeout = "10m", run = ["sync"] }]

[[probe]]
name   = "bulk"
covers = ["app:/data"]
seed   = [{ service = "app", timeout = "10m", sh = '''
set -e
if [ ! -e /data/bulk ]; then
	mkdir /data/bulk.new
	cd /data/bulk.new
	head -c %d /dev/urandom | split -a 4 -b %d - f
	mv /data/bulk.new /data/bulk
fi
echo kept >/data/${TOKEN}
''' }]
check  = [{ service = "app", sh = "ls /data/bulk/faaaa && cat /data/${TOKEN}", contains = "kept", gone_exit = [1, 2] }]
wipe   = [{ service = "app", sh = "rm -rf /data/bulk /data/${TOKEN}" }]
`, bytes, bytes/int64(files))
	return b.recipe(ctx, "bulk", compose, suite)
}

// A recovery is one drill, and the same snapshot restored on the host: into a volume of
// the engine's that is new, and again into one that is new after all of it was removed
// twice. Before the drill, too, the data was wiped, restored and removed. ext4 gives no
// new file the inode of one that was deleted in the last minutes, and looks past each
// of them for every file (recently_deleted in fs/ext4/ialloc.c): with some 10 000 that is
// most of the time, whoever restores. And a virtual machine gives memory back some
// seconds after it was freed, and has to ask for it again: so the last one begins as
// long after the removal as the drill does.
type recovery struct {
	climb
	host, removed time.Duration
}

// drill is how long recovery took once the app had started.
func (r recovery) drill() float64 { return r.stage(runner.StageDrill) }
func (r recovery) ratio() float64 { return r.drill() / r.removed.Seconds() }

// part is how long restic and the hooks took of the drill.
func (r recovery) part(test string) float64 {
	for _, s := range r.results.Stages {
		for _, t := range s.Tests {
			if t.Name == test {
				return float64(t.MS) / 1000
			}
		}
	}
	return 0
}

// restore compares the drill of a large volume with restic alone.
func (b *bench) restore(ctx context.Context) error {
	files, bytes := 10_000, int64(1<<30)
	if b.quick {
		files, bytes = 1_000, 100<<20
	}
	if err := b.bulk(ctx, files, bytes); err != nil {
		return err
	}
	var all []recovery
	for i := range b.pairs {
		r, err := b.recover(ctx, fmt.Sprintf("bench-bulk-%d-%d", os.Getpid(), i))
		if err != nil {
			return err
		}
		b.progress("drill %.1f s, on the host %.1f s, and %.1f s after removals", r.drill(), r.host.Seconds(), r.removed.Seconds())
		all = append(all, r)
	}
	b.line("## Restore drill of %s in %d files\n", mebi(float64(bytes)), files)
	b.line("What the drill does once the app has started, which is to prove it empty twice,")
	b.line("restore, compare every file with what was saved, and ask for the data, beside")
	b.line("`restic restore` of the same snapshot on the host: into a new volume, and after it")
	b.line("was removed, restored and removed again. Before the drill, too, the data was wiped, restored")
	b.line("and removed: ext4 looks past the inodes of deleted files for some minutes, and a virtual")
	b.line("machine has given back the memory that was free. The second begins as long after the removal")
	b.line("as the drill, and the ratio is to it. The disk has written all that came before when any")
	b.line("of them begins.")
	rows := table{{"", "median", "least", "greatest"}}
	show := func(name string, figure func(recovery) float64, format string) {
		v := each(all, figure)
		rows.row(name, fmt.Sprintf(format, median(v)), fmt.Sprintf(format, slices.Min(v)), fmt.Sprintf(format, slices.Max(v)))
	}
	show("app's start, from nothing", func(r recovery) float64 { return r.part("install_deploys_head") }, "%.1f s")
	show("drill", recovery.drill, "%.1f s")
	show("of it, restored and compared", func(r recovery) float64 { return r.part("drill_restores_app_data") }, "%.1f s")
	show("`restic restore` on the host, new volume", func(r recovery) float64 { return r.host.Seconds() }, "%.1f s")
	show("`restic restore` on the host, after removals", func(r recovery) float64 { return r.removed.Seconds() }, "%.1f s")
	show("ratio", recovery.ratio, "%.2f")
	show("peak memory", func(r recovery) float64 { return float64(r.peak) / (1 << 20) }, "%.0f MiB")
	b.table(rows)
	b.goal(median(each(all, recovery.ratio)) <= 1.3, "at most 1.3 times the restore on the host, beside the app's start")
	b.line("")
	return nil
}

// recover climbs as far as the drill, keeps the repository, restores from it
// on the host, and removes all of it.
func (b *bench) recover(ctx context.Context, id string) (r recovery, err error) {
	runs := filepath.Join(b.dir, "runs")
	defer func() { err = firstOf(err, b.reap(context.WithoutCancel(ctx), id, filepath.Join(runs, id))) }()
	// With --keep the teardown is unver, and so is the exit status.
	if r.climb, err = b.climb(ctx, "bulk", 1, "--rungs", "backup_restore", "--keep", "--run-id", id, "--runs-dir", runs); err != nil {
		return r, err
	}
	if status := r.results.Rungs[runner.RungBackupRestore]; status != runner.Pass {
		return r, fmt.Errorf("backup_restore is %s%s", status, failures(r.stdout))
	}
	snapshot, repository := r.results.Snapshots[len(r.results.Snapshots)-1].ID, filepath.Join(runs, id, "work", "repository")
	if r.host, err = b.restoreOnHost(ctx, id, repository, snapshot, 0); err != nil {
		return r, err
	}
	if _, err = b.restoreOnHost(ctx, id, repository, snapshot, 0); err != nil { // only to be removed
		return r, err
	}
	start := time.Duration(r.stage(runner.StageInstall) * float64(time.Second))
	r.removed, err = b.restoreOnHost(ctx, id, repository, snapshot, start)
	return r, err
}

// restoreOnHost is how long restic takes for a snapshot into a new volume of the
// engine's, which is removed again. It begins some time after what came before.
func (b *bench) restoreOnHost(ctx context.Context, volume, repository, snapshot string, after time.Duration) (took time.Duration, err error) {
	if _, err := b.must(ctx, "docker", "volume", "create", volume); err != nil {
		return 0, err
	}
	defer func() {
		_, gone := b.must(context.WithoutCancel(ctx), "docker", "volume", "rm", volume)
		err = firstOf(err, gone)
	}()
	at, err := b.must(ctx, "docker", "volume", "inspect", "--format", "{{.Mountpoint}}", volume)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	syscall.Sync()
	m, err := b.must(ctx, b.restic(), "--repo", filepath.Join(repository, "restic"), "--password-file", filepath.Join(repository, "password"),
		"--no-cache", "--quiet", "restore", snapshot, "--target", strings.TrimSpace(string(at.stdout)))
	return m.wall, err
}

// reap removes what a kept run left, on the engine and on disk.
func (b *bench) reap(ctx context.Context, id, folder string) error {
	_, err := b.must(ctx, b.tool(), "reap", id)
	return firstOf(err, os.RemoveAll(folder))
}

// firstOf is the first error there is: later ones follow from it.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
