package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"coopcloud.tech/abra-ccci/examples"
	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// The tests in this file climb the real ladder with the real tool as its own
// process: a Docker Swarm at DOCKER_HOST, restic, and the images that
// scripts/images builds.

// tool is this program, built static as make does.
var tool = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "abra-ccci-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "abra-ccci")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	closeForge()
	if path, err := tool(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// A bench is a place of its own to run the tool in: recipes, suites, state.
type bench struct {
	t    testing.TB
	dir  string
	abra string
	env  []string
}

func newBench(t testing.TB, recipes ...string) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, dir: dir, abra: filepath.Join(dir, "abra")}
	for _, name := range recipes {
		if err := examples.Build(name, filepath.Join(b.abra, "recipes", name)); err != nil {
			t.Fatal(err)
		}
		suite, err := examples.Suite(name)
		if err != nil {
			t.Fatal(err)
		}
		b.suite(name, string(suite))
	}
	restic := os.Getenv("CCCI_RESTIC")
	if restic == "" {
		restic, _ = filepath.Abs("../../build/restic")
	}
	b.env = append(os.Environ(), "ABRA_DIR="+b.abra, "XDG_STATE_HOME="+filepath.Join(dir, "state"), "CCCI_RESTIC="+restic, "TERM=dumb", "LC_ALL=C")
	return b
}

// suite replaces a recipe's suite.
func (b *bench) suite(name, text string) {
	b.t.Helper()
	dir := filepath.Join(b.abra, "ccci", "suites", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "suite.toml"), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// edit replaces text in a recipe's suite; the text must be there.
func (b *bench) edit(name, old, new string) {
	b.t.Helper()
	path := filepath.Join(b.abra, "ccci", "suites", name, "suite.toml")
	data, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		b.t.Fatalf("%s has no %q", path, old)
	}
	b.suite(name, strings.ReplaceAll(string(data), old, new))
}

// start runs the tool and returns its command, with its output in two buffers.
func (b *bench) command(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	b.t.Helper()
	path, err := tool()
	if err != nil {
		b.t.Fatal(err)
	}
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd = exec.Command(path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = b.env, stdout, stderr, b.dir
	return cmd, stdout, stderr
}

// run runs the tool to its end and returns its exit status.
func (b *bench) run(args ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	cmd, out, errs := b.command(args...)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// climb runs one whole test and returns its record, which must keep to the
// schema; nothing of the run may be left on the engine, and no secret in its folder.
func (b *bench) climb(args ...string) (*runner.Results, int) {
	b.t.Helper()
	id := fmt.Sprintf("%.40s-%d", strings.ReplaceAll(runner.Slug(b.t.Name()), "_", "-"), time.Now().UnixNano()%1e6)
	code, _, stderr := b.run(append([]string{"test", "--runs-dir", filepath.Join(b.dir, "runs"), "--run-id", id}, args...)...)
	b.t.Logf("exit %d\n%s", code, stderr)
	r := b.results(id)
	b.nothingLeft(id)
	return r, code
}

// results reads a run's record as any other reader would.
func (b *bench) results(id string) *runner.Results {
	b.t.Helper()
	return b.resultsIn(filepath.Join(b.dir, "runs"), id)
}

func (b *bench) resultsIn(runs, id string) *runner.Results {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(runs, id, "results.json"))
	if err != nil {
		b.t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile("../../docs/results.schema.json")
	if err != nil {
		b.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		b.t.Errorf("results.json does not keep to its schema: %v", err)
	}
	r, err := runner.ReadResults(data)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// engine is a client for the engine in use.
func engine(t testing.TB) *client.Client {
	t.Helper()
	c, _, err := swarm.Connect(t.Context(), os.Getenv)
	if err != nil {
		t.Fatalf("%v\nthe tests need an engine that is a swarm manager: make test brings one", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// nothingLeft asks the engine for anything that carries the run's label.
func (b *bench) nothingLeft(id string) {
	b.t.Helper()
	if left := ofRun(b.t, engine(b.t), id); len(left) > 0 {
		b.t.Errorf("run %s left %v", id, left)
	}
}

// ofRun lists what carries a run's label.
func ofRun(t testing.TB, c *client.Client, id string) []string {
	t.Helper()
	return labelled(t, c, "ccci.run="+id)
}

// labelled lists what carries a label, asked of Docker itself and not of our own code.
func labelled(t testing.TB, c *client.Client, label string) []string {
	t.Helper()
	ctx := context.Background()
	f := filters.NewArgs(filters.Arg("label", label))
	var left []string
	note := func(kind string, n int, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			left = append(left, fmt.Sprintf("%d %s", n, kind))
		}
	}
	services, err := c.ServiceList(ctx, dockerswarm.ServiceListOptions{Filters: f})
	note("services", len(services), err)
	containers, err := c.ContainerList(ctx, container.ListOptions{All: true, Filters: f})
	note("containers", len(containers), err)
	networks, err := c.NetworkList(ctx, network.ListOptions{Filters: f})
	note("networks", len(networks), err)
	volumes, err := c.VolumeList(ctx, volume.ListOptions{Filters: f})
	note("volumes", len(volumes.Volumes), err)
	secrets, err := c.SecretList(ctx, dockerswarm.SecretListOptions{Filters: f})
	note("secrets", len(secrets), err)
	configs, err := c.ConfigList(ctx, dockerswarm.ConfigListOptions{Filters: f})
	note("configs", len(configs), err)
	return left
}

// testOf is the status and reason of one test of a record.
func testOf(t testing.TB, r *runner.Results, name string) (runner.Status, string) {
	t.Helper()
	for _, s := range r.Stages {
		for _, test := range s.Tests {
			if test.Name == name {
				return test.Status, test.Reason
			}
		}
	}
	t.Fatalf("no test %s in the record; stages: %s", name, summary(r))
	return "", ""
}

// summary is what went wrong in a record, for a failing test's output.
func summary(r *runner.Results) string {
	var b strings.Builder
	fmt.Fprintf(&b, "level %d: %s\n", r.Level, r.LevelReason)
	for _, s := range r.Stages {
		fmt.Fprintf(&b, "%s %s %s\n", s.Name, s.Status, s.Reason)
		for _, test := range s.Tests {
			if test.Status != runner.Pass {
				fmt.Fprintf(&b, "  %s %s %s\n", test.Name, test.Status, test.Reason)
			}
		}
	}
	return b.String()
}

func wantStatus(t testing.TB, r *runner.Results, name string, want runner.Status, reason string) {
	t.Helper()
	if got, why := testOf(t, r, name); got != want || !strings.Contains(why, reason) {
		t.Errorf("%s: %s (%s), want %s (… %s …)\n%s", name, got, why, want, reason, summary(r))
	}
}

// proofs maps each saved path to its proof.
func proofs(r *runner.Results) map[string]runner.Proof {
	out := map[string]runner.Proof{}
	for _, c := range r.Coverage {
		if c.Saved {
			out[c.Service+":"+c.Mount] = c.Proof
		}
	}
	return out
}

// noValueIn searches every file of a folder for a secret's value.
func noValueIn(t testing.TB, dir, value string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(value)) {
			t.Errorf("%s holds a secret's value", path)
		}
		return err
	})
	if err != nil || files == 0 && strings.HasSuffix(dir, "runs") {
		t.Errorf("%s: %d files searched: %v", dir, files, err)
	}
}

// A secret that stands in a service's label is seen, and the run fails.
func TestSecretLeakIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	b.edit("notes", "[deploy]\n", "[deploy]\nsecrets = { write_token = \"leaked-into-a-label\" }\nenv = { LETS_ENCRYPT_ENV = \"leaked-into-a-label\" }\n")
	r, code := b.climb("notes", "--rungs", "install")
	wantStatus(t, r, "no_secret_leak", runner.Fail, "write_token")
	if code != exitFail || r.Flags.NoSecretLeak != runner.Fail {
		t.Errorf("exit %d, flags %+v", code, r.Flags)
	}
	noValueIn(t, filepath.Join(b.dir, "runs"), "leaked-into-a-label")
}

// Without a suite everything still runs, and proves files alone.
func TestNoSuite(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	if err := os.RemoveAll(filepath.Join(b.abra, "ccci")); err != nil {
		t.Fatal(err)
	}
	r, code := b.climb("notes")
	if code != exitUnknown || r.Rungs[runner.RungBackupRestore] != runner.Unver || r.Rungs[runner.RungInstall] != runner.Pass {
		t.Errorf("exit %d\n%s", code, summary(r))
	}
	if got := proofs(r)["app:/data"]; got != runner.ProofFile {
		t.Errorf("app:/data has proof %q", got)
	}
}

func isServices(s string) bool { return strings.HasSuffix(s, "services") }

// waitFor waits for a condition on the engine, for a minute at most.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(3 * time.Minute); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the condition did not come about")
		}
	}
}

// --keep leaves app, data and env, which later runs and reap leave alone until
// the run is named.
func TestKeep(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	c := engine(t)
	code, _, stderr := b.run("test", "notes", "--runs-dir", filepath.Join(b.dir, "runs"), "--run-id", "kept", "--keep", "--rungs", "install")
	r := b.results("kept")
	if code != exitUnknown || r.Rungs[runner.RungInstall] != runner.Pass || r.Flags.CleanTeardown != runner.Unver {
		t.Fatalf("exit %d, %s\n%s", code, stderr, summary(r))
	}
	for _, pattern := range []string{"abra/servers/default/*.ccci.test.env", "runs/kept/*.ccci.test.env"} {
		found, _ := filepath.Glob(filepath.Join(b.dir, pattern))
		if len(found) != 1 {
			t.Fatalf("%s: %v", pattern, found)
		}
		data, err := os.ReadFile(found[0])
		if err != nil || !strings.Contains(string(data), "TYPE=notes:1.1.0+1.1.0\n") {
			t.Errorf("%s does not name the version: %v\n%s", found[0], err, data)
		}
	}
	// Old helper images it may take.
	if code, stdout, stderr := b.run("reap"); code != exitPass || strings.Contains(stderr, "run ") {
		t.Errorf("reap took what was kept: exit %d, %q, %q", code, stdout, stderr)
	}
	if !slices.ContainsFunc(ofRun(t, c, "kept"), isServices) {
		t.Error("the kept app is gone")
	}
	if code, _, stderr := b.run("reap", "kept"); code != exitPass || !strings.Contains(stderr, "kept_") && !strings.Contains(stderr, "run kept") {
		t.Errorf("reap kept: exit %d, %q", code, stderr)
	}
	b.nothingLeft("kept")
}

// On a private engine, with images copied from the engine in use.
func TestPrivateEngine(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	r, code := b.climb("notes", "--engine", "private", "--rungs", "install")
	if code != exitUnknown || r.Rungs[runner.RungInstall] != runner.Pass || r.Flags.CleanTeardown != runner.Pass {
		t.Errorf("exit %d\n%s", code, summary(r))
	}
}

func TestJSONIsTheRecord(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	code, stdout, _ := b.run("test", "notes", "--rungs", "lint", "--json", "--min-level", "1")
	var r runner.Results
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	if code != exitFail || r.Rungs[runner.RungLint] != runner.Pass || r.Rungs[runner.RungInstall] != runner.Unver {
		t.Errorf("exit %d, rungs %v", code, r.Rungs)
	}
}
