package restic_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/restic"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// fill makes one of everything that a volume can hold, owned by nobody in
// particular.
func (b *bed) fill(volume string) {
	t := b.t
	t.Helper()
	dir := b.dirs[volume]
	b.write(volume, "cur/1:2,S", "mail")
	b.write(volume, "cur/empty", "")
	b.write(volume, "cur/big", strings.Repeat("0123456789abcdef", 200_000))
	b.write(volume, "ünïcödé/\U0001f4e7", "post")
	b.write(volume, "bad\xff\xfe", "not UTF-8")
	b.write(volume, "new\nline", "two")
	must(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	must(t, os.Link(filepath.Join(dir, "cur/1:2,S"), filepath.Join(dir, "cur/hard")))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o622))
	must(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(name, 8, 12))
	}))
	must(t, os.Chmod(filepath.Join(dir, "cur"), 0o750|os.ModeSetgid))
	must(t, os.Chmod(dir, 0o770|os.ModeSticky))
}

// bare is a manifest as a snapshot has it.
func bare(m runner.Manifest) runner.Manifest {
	m = slices.Clone(m)
	for i := range m {
		m[i].Hash = ""
	}
	return m
}

// undated is a manifest without the times of directories: restoring into one changes them.
func undated(m runner.Manifest) runner.Manifest {
	m = slices.Clone(m)
	for i := range m {
		if m[i].Type == "dir" {
			m[i].MTime = m[0].MTime
		}
	}
	return m
}

func TestWholeVolumeComesBack(t *testing.T) {
	b := newBed(t, "mail", "other")
	b.fill("mail")
	before := b.manifest("mail")

	s := b.backup(planOf("mail:."))
	if s.Files != 7 || s.Bytes < 3_200_000 {
		t.Errorf("snapshot %+v, want 7 files and the bytes of big", s)
	}
	files, err := b.engine.Files(t.Context(), s.ID)
	must(t, err)
	if diff := cmp.Diff(map[string]runner.Manifest{"mail": bare(before)}, files); diff != "" {
		t.Errorf("the snapshot's listing is not the volume's manifest (-volume +snapshot):\n%s", diff)
	}

	b.wipe("mail")
	if m := b.manifest("mail"); len(m) != 1 {
		t.Fatalf("wiped volume holds %v", m)
	}
	must(t, b.engine.Restore(t.Context(), s.ID, pathsOf("mail:.")))
	if diff := cmp.Diff(before, b.manifest("mail")); diff != "" {
		t.Errorf("restored volume (-before +after):\n%s", diff)
	}
}

// A restore into a living volume: what changed goes back, what the snapshot
// lacks stays.
func TestRestoreIsAdditive(t *testing.T) {
	b := newBed(t, "data")
	b.write("data", "main.db", "rows")
	b.write("data", "sub/x", "x")
	s := b.backup(planOf("data:."))

	b.write("data", "main.db", "lost")
	must(t, os.Chown(filepath.Join(b.dirs["data"], "main.db"), 33, 33))
	must(t, os.RemoveAll(filepath.Join(b.dirs["data"], "sub")))
	must(t, b.volumes.Decoy(t.Context(), "data", ".", "decoy"))
	must(t, b.engine.Restore(t.Context(), s.ID, pathsOf("data:.")))

	got := map[string]string{}
	for _, e := range b.manifest("data") {
		if e.Type == "file" {
			content, err := os.ReadFile(filepath.Join(b.dirs["data"], e.Path))
			must(t, err)
			got[e.Path] = string(content)
		}
		if e.UID != 0 {
			t.Errorf("owner did not come back: %+v", e)
		}
	}
	want := map[string]string{"main.db": "rows", "sub/x": "x", "decoy": "abra-ccci: no backup holds this file\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// Names that restic would read as patterns are names.
func TestOnePathOfMany(t *testing.T) {
	b := newBed(t, "data", "logs")
	for _, name := range []string{"a*", "ab", "[x]", "x", "q?/deep", "qq/deep", `back\slash`, "!not", "-dash", "$HOME", "**/in", "plain"} {
		b.write("data", name, name)
	}
	b.write("logs", "plain", "another volume")
	s := b.backup(planOf("data:!not", "data:$HOME", "data:**", "data:-dash", "data:[x]", "data:a*", `data:back\slash`, "data:plain", "data:q?", "logs:."))

	files, err := b.engine.Files(t.Context(), s.ID)
	must(t, err)
	var listed []string
	for _, e := range files["data"] {
		listed = append(listed, e.Path)
	}
	want := []string{"!not", "$HOME", "**", "**/in", "-dash", ".", "[x]", "a*", `back\slash`, "plain", "q?", "q?/deep"}
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	for _, name := range []string{"**", "[x]", "a*", `back\slash`, "q?"} {
		b.wipe("data")
		b.wipe("logs")
		must(t, b.engine.Restore(t.Context(), s.ID, pathsOf("data:"+name)))
		for _, e := range append(b.manifest("data"), b.manifest("logs")...) {
			if e.Path != "." && e.Path != name && !strings.HasPrefix(e.Path, name+"/") {
				t.Errorf("restoring %q brought %q", name, e.Path)
			}
		}
		if m := b.manifest("data"); len(m) < 2 {
			t.Errorf("restoring %q brought nothing", name)
		}
	}
}

// The directories that lead to a path get owner and mode back as well.
func TestDirectoriesOnTheWay(t *testing.T) {
	b := newBed(t, "db")
	b.write("db", "dumps/today/backup.sql", "dump")
	for _, name := range []string{"", "dumps", "dumps/today"} {
		must(t, os.Chown(filepath.Join(b.dirs["db"], name), 999, 998))
		must(t, os.Chmod(filepath.Join(b.dirs["db"], name), 0o700))
	}
	before := b.manifest("db")
	s := b.backup(planOf("db:dumps/today/backup.sql"))
	b.wipe("db")
	must(t, b.engine.Restore(t.Context(), s.ID, pathsOf("db:dumps/today/backup.sql")))
	if diff := cmp.Diff(undated(before), undated(b.manifest("db"))); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestBackupRefuses(t *testing.T) {
	b := newBed(t, "data")
	b.write("data", "here/x", "x")
	must(t, os.Symlink("here", filepath.Join(b.dirs["data"], "link")))
	tests := []struct {
		name string
		plan *labels.Plan
		want string
	}{
		{"missing beside existing", planOf("data:here", "data:gone"), `"gone" in volume "data": it does not exist`},
		{"through a symlink", planOf("data:link/x"), "leads through the symlink"},
		{"up", planOf("data:../../repository"), "not inside"},
		{"volume with a slash", planOf("../repository:."), "not the name of a volume"},
		{"volume not mounted", planOf("nope:."), "nope"},
		{"nothing", planOf(), "saves nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := b.engine.Backup(t.Context(), tt.plan)
			if err == nil || !strings.Contains(err.Error(), tt.want) || s != (runner.Snapshot{}) {
				t.Errorf("got %+v, %v, want %q", s, err, tt.want)
			}
		})
	}
	snapshots, err := os.ReadDir(filepath.Join(b.repo, "restic", "snapshots"))
	must(t, err)
	if len(snapshots) > 0 {
		t.Errorf("%d snapshots were made all the same", len(snapshots))
	}
}

func TestRestoreRefuses(t *testing.T) {
	b := newBed(t, "data", "other")
	b.write("data", "here", "x")
	b.write("data", "unsaved", "y")
	s := b.backup(planOf("data:here"))
	tests := []struct {
		name, id string
		paths    []labels.SavedPath
		want     string
	}{
		{"not in the snapshot", s.ID, pathsOf("data:unsaved"), `holds nothing at "unsaved" in volume "data"`},
		{"one of two not in it", s.ID, pathsOf("data:here", "other:."), `holds nothing at "." in volume "other"`},
		{"no path", s.ID, nil, "no path"},
		{"latest", "latest", pathsOf("data:here"), "not a full snapshot id"},
		{"short id", s.ID[:8], pathsOf("data:here"), "not a full snapshot id"},
		{"unknown id", strings.Repeat("0", 64), pathsOf("data:here"), "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := b.engine.Restore(t.Context(), tt.id, tt.paths)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// A repository that lost data must not restore in silence, and is no fault of
// the recipe.
func TestDamagedRepository(t *testing.T) {
	b := newBed(t, "data")
	b.write("data", "big", strings.Repeat("precious ", 100_000))
	s := b.backup(planOf("data:."))
	_, err := b.engine.Files(t.Context(), s.ID)
	must(t, err)
	must(t, filepath.WalkDir(filepath.Join(b.repo, "restic", "data"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Remove(name)
	}))
	b.wipe("data")
	if err := b.engine.Restore(t.Context(), s.ID, pathsOf("data:.")); err == nil {
		t.Error("restored from a repository without data")
	}
}

// The repository is made at the first use, and used as it is by a later engine.
func TestRepositoryIsMadeOnce(t *testing.T) {
	b := newBed(t, "data")
	must(t, os.RemoveAll(filepath.Join(b.repo, "restic")))
	b.write("data", "x", "x")
	s := b.backup(planOf("data:."))
	must(t, restic.New(b.app, b.hooks).Restore(t.Context(), s.ID, pathsOf("data:x")))
}

func TestNoPassword(t *testing.T) {
	b := newBed(t, "data")
	b.write("data", "x", "x")
	must(t, os.Remove(filepath.Join(b.repo, "password")))
	_, err := b.engine.Backup(t.Context(), planOf("data:."))
	infra := new(runner.InfraError)
	if !errors.As(err, &infra) {
		t.Errorf("backup without a password: %v, want an InfraError", err)
	}
}

func TestEverySnapshotIsItsOwn(t *testing.T) {
	b := newBed(t, "data")
	b.write("data", "token", "one")
	first := b.backup(planOf("data:."))
	b.write("data", "token", "two") // same size, perhaps the same tick of the clock
	second := b.backup(planOf("data:."))
	for _, tt := range []struct{ id, want string }{{first.ID, "one"}, {second.ID, "two"}} {
		b.wipe("data")
		must(t, b.engine.Restore(t.Context(), tt.id, pathsOf("data:.")))
		got, err := os.ReadFile(filepath.Join(b.dirs["data"], "token"))
		must(t, err)
		if string(got) != tt.want {
			t.Errorf("snapshot %s brought %q, want %q", tt.id, got, tt.want)
		}
	}
}

func hooked(p *labels.Plan) *labels.Plan {
	p.Hooks = []labels.Hook{
		{Service: "app", Kind: labels.BackupPost, Command: "unlock"},
		{Service: "app", Kind: labels.BackupPre, Command: "lock"},
		{Service: "db", Kind: labels.BackupPost, Command: "tidy"},
		{Service: "db", Kind: labels.BackupPre, Command: "dump | gzip"},
		{Service: "db", Kind: labels.RestorePost, Command: "load"},
		{Service: "db", Kind: labels.RestorePre, Command: "stop"},
	}
	return p
}

func TestHooks(t *testing.T) {
	failing := func(what string, out runner.Output, err error) func(string, string) (runner.Output, error) {
		return func(_, command string) (runner.Output, error) {
			if command == what {
				return out, err
			}
			return runner.Output{}, nil
		}
	}
	gone := &runner.InfraError{Op: "exec", Err: errors.New("engine gone")}
	tests := []struct {
		name   string
		plan   *labels.Plan
		answer func(string, string) (runner.Output, error)
		ran    []string
		want   []string // parts of the error; none: no error
	}{
		{"all", planOf("data:."), nil, []string{"app: lock", "db: dump | gzip", "app: unlock", "db: tidy"}, nil},
		{"pre fails", planOf("data:."), failing("lock", runner.Output{Exit: 4, Stderr: []byte("1\n2\n3\n4\n5\n6\nbusy\n")}, nil),
			[]string{"app: lock", "app: unlock", "db: tidy"}, []string{`service "app"`, "backup.pre-hook", "exit 4", "3 / 4 / 5 / 6 / busy"}},
		{"no task", planOf("data:."), failing("lock", runner.Output{}, gone),
			[]string{"app: lock", "app: unlock", "db: tidy"}, []string{`service "app"`, "backup.pre-hook", "engine gone"}},
		{"backup fails", planOf("data:gone"), nil,
			[]string{"app: lock", "db: dump | gzip", "app: unlock", "db: tidy"}, []string{`"gone"`}},
		{"post fails", planOf("data:."), failing("unlock", runner.Output{Exit: 127}, nil),
			[]string{"app: lock", "db: dump | gzip", "app: unlock", "db: tidy"}, []string{"backup.post-hook", "exit 127"}},
		{"backup and post fail", planOf("data:gone"), failing("tidy", runner.Output{Exit: 1}, nil),
			[]string{"app: lock", "db: dump | gzip", "app: unlock", "db: tidy"}, []string{`"gone"`, "backup.post-hook"}},
	}
	b := newBed(t, "data")
	b.write("data", "x", "x")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.hooks.ran, b.hooks.answer = nil, tt.answer
			_, err := b.engine.Backup(t.Context(), hooked(tt.plan))
			if diff := cmp.Diff(tt.ran, b.hooks.ran); diff != "" {
				t.Errorf("hooks (-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.want != nil) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
	b.hooks.ran, b.hooks.answer = nil, nil
	must(t, b.engine.Hooks(t.Context(), hooked(planOf()), labels.RestorePost))
	if diff := cmp.Diff([]string{"db: load"}, b.hooks.ran); diff != "" {
		t.Errorf("restore hooks (-want +got):\n%s", diff)
	}
}

// A pre-hook writes the dump; the snapshot must hold what it wrote.
func TestPreHookRunsBeforeTheCopy(t *testing.T) {
	b := newBed(t, "db")
	b.hooks.answer = func(_, command string) (runner.Output, error) {
		if command == "dump | gzip" {
			b.write("db", "backup.sql", "fresh")
		}
		if command == "tidy" {
			must(t, os.Remove(filepath.Join(b.dirs["db"], "backup.sql")))
		}
		return runner.Output{}, nil
	}
	s := b.backup(hooked(planOf("db:backup.sql")))
	must(t, b.engine.Restore(t.Context(), s.ID, pathsOf("db:backup.sql")))
	got, err := os.ReadFile(filepath.Join(b.dirs["db"], "backup.sql"))
	if err != nil || string(got) != "fresh" {
		t.Errorf("restored %q, %v", got, err)
	}
}

// A box that dies while restic lists: a shorter listing must never come out.
type cutBox struct {
	inner interface {
		Stream(context.Context, []string, io.Reader, io.Writer) (int, []byte, error)
	}
	keep int // bytes of each output
}

func (c cutBox) Stream(ctx context.Context, argv []string, stdin io.Reader, stdout io.Writer) (int, []byte, error) {
	var all strings.Builder
	exit, stderr, err := c.inner.Stream(ctx, argv, stdin, &all)
	text := all.String()
	if slices.Contains(argv, "ls") || slices.Contains(argv, "manifest") {
		for range c.keep { // whole lines are lost, as the worst case is
			text = text[:strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1]
		}
	}
	if _, werr := io.WriteString(stdout, text); werr != nil {
		return 0, nil, werr
	}
	return exit, stderr, err
}
