package swarm

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/cli/cli/compose/loader"
	composetypes "github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// The tests of this package need a Swarm manager at DOCKER_HOST. They build
// their own images, use random stack names, and remove only what they made.

// testImages are the names of the images that the tests deploy: the same
// program, and the second one declares a volume.
var testImages = struct {
	sync.Once
	app, volume, id string
	err             error
}{app: "ccci/test-" + short() + ":1", volume: "ccci/test-" + short() + ":1"}

func short() string { return strings.ToLower(rand.Text()[:8]) }

func TestMain(m *testing.M) {
	code := m.Run()
	if cli, _, err := Connect(context.Background(), os.Getenv); err == nil && testImages.id != "" {
		for _, ref := range []string{testImages.app, testImages.volume} {
			cli.ImageRemove(context.Background(), ref, image.RemoveOptions{Force: true})
		}
	}
	os.Exit(code)
}

// engine returns a client for the real thing, and the image names.
func engine(t testing.TB) client.APIClient {
	t.Helper()
	cli, _, err := Connect(context.Background(), os.Getenv)
	if err != nil {
		t.Fatalf("a Swarm manager is needed: %v\nhint: export DOCKER_HOST=unix://…", err)
	}
	t.Cleanup(func() { cli.Close() })
	testImages.Do(func() {
		testImages.id, testImages.err = importImage(cli, testImages.app, `ENTRYPOINT ["/app"]`)
		if testImages.err == nil {
			_, testImages.err = importImage(cli, testImages.volume, `ENTRYPOINT ["/app"]`, "VOLUME /hidden")
		}
	})
	if testImages.err != nil {
		t.Fatal(testImages.err)
	}
	return cli
}

func importImage(cli client.APIClient, ref string, changes ...string) (string, error) {
	dir, err := os.MkdirTemp("", "ccci")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the test image: %v\n%s", err, out)
	}
	content, err := os.ReadFile(bin)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777})
	w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content))})
	w.Write(content)
	w.Close()
	r, err := cli.ImageImport(context.Background(), image.ImportSource{Source: &b, SourceName: "-"}, ref, image.ImportOptions{Changes: changes})
	if err != nil {
		return "", err
	}
	defer r.Close()
	if err := pullResult(r); err != nil {
		return "", err
	}
	img, err := cli.ImageInspect(context.Background(), ref)
	return img.ID, err
}

// A rig is one App of a test with its step log.
type rig struct {
	*App
	t    testing.TB
	ctx  context.Context
	log  *syncBuffer
	logs map[string]*syncBuffer // by service
	mu   sync.Mutex
}

// newRig makes an App with a stack of its own, undeployed at the end.
func newRig(t testing.TB, change ...func(*Options)) *rig {
	t.Helper()
	cli := engine(t)
	r := &rig{t: t, log: &syncBuffer{}, logs: map[string]*syncBuffer{}}
	o := Options{
		Client: cli, RunID: "test-" + short(), HostID: "test-" + short(), Stack: "t" + short(),
		Deadline: time.Now().Add(time.Hour), NoIPVS: true, Settle: 300 * time.Millisecond,
		Helper: Helper{Image: testImages.id, Sleep: []string{"/app", "sleep"}, Kill: []string{"/app", "kill"}, Ask: []string{"/app", "ask"}},
		LogSink: func(service, task string) (stdout, stderr io.WriteCloser) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.logs[service] == nil {
				r.logs[service] = &syncBuffer{}
			}
			return r.logs[service], r.logs[service]
		},
	}
	for _, c := range change {
		c(&o)
	}
	app, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.App = app
	ctx, cancel := context.WithTimeout(runner.WithStepLog(context.Background(), r.log), 3*time.Minute)
	r.ctx = ctx
	t.Cleanup(func() {
		defer cancel()
		if err := r.Undeploy(ctx, runner.Removal{Volumes: true, Secrets: true, Grace: time.Nanosecond}); err != nil {
			t.Errorf("clean up: %v", err)
		}
		r.Close(ctx)
		if t.Failed() {
			t.Logf("step log:\n%s", r.log)
		}
	})
	return r
}

func (r *rig) said(service string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.logs[service]; b != nil {
		return b.String()
	}
	return ""
}

// deployment makes one from a compose file; IMAGE and STACK are replaced.
func (r *rig) deployment(compose string, change ...func(*runner.Deployment)) *runner.Deployment {
	r.t.Helper()
	dir := r.t.TempDir()
	d := &runner.Deployment{Dir: dir, Timeout: time.Minute}
	for _, c := range change {
		c(d)
	}
	compose = strings.NewReplacer("VOLUMEIMAGE", testImages.volume, "IMAGE", testImages.app, "STACK", r.Stack).Replace(compose)
	parsed, err := loader.ParseYAML([]byte(compose))
	if err != nil {
		r.t.Fatal(err)
	}
	cfg, err := loader.Load(composetypes.ConfigDetails{WorkingDir: d.Dir, ConfigFiles: []composetypes.ConfigFile{{Filename: "compose.yml", Config: parsed}}})
	if err != nil {
		r.t.Fatal(err)
	}
	d.Stack = &labels.Stack{Name: r.Stack, Compose: cfg}
	return d
}

func (r *rig) deploy(compose string, change ...func(*runner.Deployment)) {
	r.t.Helper()
	if err := r.Deploy(r.ctx, r.deployment(compose, change...)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) observe() *runner.Observed {
	r.t.Helper()
	o, err := r.Observe(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

func (r *rig) exec(service string, argv ...string) runner.Output {
	r.t.Helper()
	out, err := r.Exec(r.ctx, service, runner.Command{Argv: argv})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) Close() error { return nil }
