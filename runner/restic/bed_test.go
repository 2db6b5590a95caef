package restic_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/inside"
	"coopcloud.tech/abra-ccci/runner/restic"
	"coopcloud.tech/abra-ccci/runner/swarm"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// A bed is real volumes on the real engine, a real helper container with real
// restic beside them, and hooks that are only noted.
type bed struct {
	t       *testing.T
	app     *swarm.App
	engine  *restic.Engine
	volumes inside.Volumes
	repo    string
	dirs    map[string]string // volume -> its directory on this machine
	hooks   *hooks
}

// hooks notes what should be run in tasks, and answers as told.
type hooks struct {
	ran    []string // "service: command"
	answer func(service, command string) (runner.Output, error)
}

func (h *hooks) Exec(_ context.Context, service string, c runner.Command) (runner.Output, error) {
	if len(c.Argv) != 3 || c.Argv[0] != "sh" || c.Argv[1] != "-c" {
		return runner.Output{}, fmt.Errorf("not sh -c: %q", c.Argv)
	}
	h.ran = append(h.ran, service+": "+c.Argv[2])
	if h.answer == nil {
		return runner.Output{}, nil
	}
	return h.answer(service, c.Argv[2])
}

// helper is the image, built once.
var helper struct {
	sync.Once
	id  string
	err error
}

func helperImage(t *testing.T, c *client.Client) string {
	t.Helper()
	helper.Do(func() {
		dir, err := os.MkdirTemp("", "ccci-tool")
		if err != nil {
			helper.err = err
			return
		}
		defer os.RemoveAll(dir)
		tool := filepath.Join(dir, "abra-ccci")
		cmd := exec.Command("go", "build", "-o", tool, "../inside/testdata/tool")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			helper.err = fmt.Errorf("%w\n%s", err, out)
			return
		}
		helper.id, helper.err = swarm.HelperImage(context.Background(), c, tool, "../../build/restic")
	})
	if helper.err != nil {
		t.Fatalf("%v\nhint: make build/restic", helper.err)
	}
	return helper.id
}

// template is a repository that was made once: making one costs seconds of
// key derivation.
var template struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.RemoveAll(template.dir)
	os.Exit(code)
}

func copyRepository(t *testing.T, to string) {
	t.Helper()
	template.Do(func() {
		if template.dir, template.err = os.MkdirTemp("", "ccci-repository"); template.err != nil {
			return
		}
		if template.err = restic.Prepare(template.dir); template.err != nil {
			return
		}
		out, err := exec.Command("../../build/restic", "--repo", template.dir+"/restic", "--password-file", template.dir+"/password", "init").CombinedOutput()
		if err != nil {
			template.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if template.err != nil {
		t.Fatalf("%v\nhint: make build/restic", template.err)
	}
	must(t, os.CopyFS(to, os.DirFS(template.dir)))
}

func newBed(t *testing.T, volumes ...string) *bed {
	t.Helper()
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	must(t, err)
	t.Cleanup(func() { c.Close() })
	if _, err := c.Ping(t.Context()); err != nil {
		t.Fatalf("%v\nhint: export DOCKER_HOST=unix://…", err)
	}
	stack := "restic-" + strings.ToLower(rand.Text()[:8])
	b := &bed{t: t, repo: filepath.Join(t.TempDir(), "repository"), dirs: map[string]string{}, hooks: &hooks{}}
	copyRepository(t, b.repo)
	b.app, err = swarm.New(swarm.Options{
		Client: c, RunID: stack, HostID: "test", Stack: stack, Deadline: time.Now().Add(time.Hour),
		Helper: swarm.Helper{Image: helperImage(t, c)}, Repository: b.repo,
	})
	must(t, err)
	for _, name := range volumes {
		b.makeVolume(c, stack, name)
	}
	t.Cleanup(func() { must(t, b.app.Close(context.Background())) })
	b.engine, b.volumes = restic.New(b.app, b.hooks), inside.Volumes{Box: b.app}
	return b
}

// makeVolume makes a volume labelled as those of a run are.
func (b *bed) makeVolume(c *client.Client, stack, name string) {
	b.t.Helper()
	v, err := c.VolumeCreate(b.t.Context(), volume.CreateOptions{
		Name:   stack + "_" + name,
		Labels: map[string]string{"com.docker.stack.namespace": stack, swarm.LabelRun: stack, "ccci.volume": name},
	})
	must(b.t, err)
	b.dirs[name] = v.Mountpoint
	b.t.Cleanup(func() { must(b.t, c.VolumeRemove(context.Background(), v.Name, true)) })
}

func (b *bed) write(volume, name, content string) {
	b.t.Helper()
	full := filepath.Join(b.dirs[volume], name)
	must(b.t, os.MkdirAll(filepath.Dir(full), 0o755))
	must(b.t, os.WriteFile(full, []byte(content), 0o644))
}

// wipe empties a volume, and makes its root nobody's.
func (b *bed) wipe(volume string) {
	b.t.Helper()
	dir := b.dirs[volume]
	entries, err := os.ReadDir(dir)
	must(b.t, err)
	for _, e := range entries {
		must(b.t, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	must(b.t, os.Chown(dir, 0, 0))
	must(b.t, os.Chmod(dir, 0o755))
}

func (b *bed) manifest(volume string) runner.Manifest {
	b.t.Helper()
	m, err := b.volumes.Manifest(b.t.Context(), volume)
	must(b.t, err)
	return m
}

func (b *bed) backup(p *labels.Plan) runner.Snapshot {
	b.t.Helper()
	s, err := b.engine.Backup(b.t.Context(), p)
	must(b.t, err)
	return s
}

// planOf saves "volume:path"s, each volume with all its paths.
func planOf(saved ...string) *labels.Plan {
	p := &labels.Plan{Enabled: true}
	for _, s := range saved {
		volume, name, _ := strings.Cut(s, ":")
		if n := len(p.Volumes); n > 0 && p.Volumes[n-1].Volume == volume {
			p.Volumes[n-1].Paths = append(p.Volumes[n-1].Paths, name)
			continue
		}
		p.Volumes = append(p.Volumes, labels.VolumePlan{Volume: volume, Saved: true, Paths: []string{name}})
	}
	return p
}

func pathsOf(saved ...string) []labels.SavedPath {
	var paths []labels.SavedPath
	for _, s := range saved {
		volume, name, _ := strings.Cut(s, ":")
		paths = append(paths, labels.SavedPath{Volume: volume, Path: name})
	}
	return paths
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
