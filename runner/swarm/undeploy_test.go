package swarm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/runner"
)

func (r *rig) left() []string {
	r.t.Helper()
	left, err := r.Left(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return left
}

func TestUndeployLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(strings.ReplaceAll(fullStack, "LABELLED", "one"), withFiles(r))
	if _, err := r.Run(r.ctx, []string{"/app", "ps"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/"}); err != nil {
		t.Fatal(err)
	}
	if left := r.left(); len(left) < 11 {
		t.Errorf("too little is seen before: %v", left)
	}
	if err := r.Undeploy(r.ctx, runner.Removal{}); err != nil {
		t.Fatal(err)
	}
	kept := []string{"secret " + r.Stack + "_password_v1", "volume " + r.Stack + "_data", "volume " + r.Stack + "_renamed"}
	if diff := cmp.Diff(kept, r.left()); diff != "" {
		t.Errorf("after an undeploy that keeps data (-want +got):\n%s", diff)
	}
	r.deploy(strings.ReplaceAll(fullStack, "LABELLED", "one"), withFiles(r)) // the secret is kept as it was
	if err := r.Undeploy(r.ctx, runner.Removal{Volumes: true, Secrets: true}); err != nil {
		t.Fatal(err)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestUndeployCutsGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("version: '3.8'\nservices: {app: {image: IMAGE, command: [serve, -deaf], stop_grace_period: 10m}}\n")
	start := time.Now()
	if err := r.Undeploy(r.ctx, runner.Removal{Grace: time.Second}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %s", took)
	}
}

func TestToolbox(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	os.WriteFile(filepath.Join(repository, "password"), []byte("pw"), 0o600)
	r := newRig(t, func(o *Options) { o.Repository, o.Env = repository, []string{"RESTIC_X=1"} })
	compose := "version: '3.8'\nservices: {app: {image: IMAGE, command: [serve], volumes: ['data:/data']}}\nvolumes: {data: {}}\n"
	r.deploy(compose)
	run := func(want string, argv ...string) {
		t.Helper()
		out, err := r.Run(r.ctx, argv, nil)
		if err != nil || out.Exit != 0 || string(out.Stdout) != want {
			t.Errorf("%q: %v, exit %d, %q%s; want %q", argv, err, out.Exit, out.Stdout, out.Stderr, want)
		}
	}
	r.exec("app", "/app", "write", "/data/from-app", "a")
	run("a", "/app", "read", "/volumes/data/from-app")
	run("", "/app", "write", "/volumes/data/from-toolbox", "b")
	run("pw", "/app", "read", "/repository/password")
	if got := string(r.exec("app", "/app", "read", "/data/from-toolbox").Stdout); got != "b" {
		t.Errorf("the app reads %q", got)
	}
	first := r.tools.id
	r.deploy(strings.NewReplacer("['data:/data']", "['data:/data', 'more:/more']", "{data: {}}", "{data: {}, more: {}}").Replace(compose))
	r.exec("app", "/app", "write", "/more/file", "c")
	run("c", "/app", "read", "/volumes/more/file")
	if r.tools.id == first {
		t.Error("the toolbox was not made anew for a new volume")
	}

	var big bytes.Buffer
	if exit, _, err := r.Stream(r.ctx, []string{"/app", "spill"}, nil, &big); err != nil || exit != 0 || big.Len() != 3<<20 {
		t.Errorf("stream: exit %d, %d bytes, %v", exit, big.Len(), err)
	}
	if _, err := r.Run(r.ctx, []string{"/app", "spill"}, nil); err == nil {
		t.Error("Run passes a part for the whole")
	}
	if _, _, err := r.Stream(r.ctx, []string{"/app", "spill"}, nil, full{}); err == nil || err.Error() != "run /app: read output: disk is full" {
		t.Errorf("a writer that refuses: %v", err)
	}

	ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
	defer cancel()
	if _, _, err := r.Stream(ctx, []string{"/app", "spin", "a"}, nil, &big); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	out, err := r.Run(r.ctx, []string{"/app", "ps"}, strings.NewReader(""))
	if err != nil || strings.Contains(string(out.Stdout), "spin") {
		t.Errorf("processes left: %s, %v", out.Stdout, err)
	}
}

// full is a writer with no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

func TestReapTakesOneRun(t *testing.T) {
	t.Parallel()
	dead, alive := newRig(t), newRig(t)
	alive2 := newRig(t, func(o *Options) { o.HostID = dead.HostID })
	for _, r := range []*rig{dead, alive, alive2} {
		r.deploy(strings.ReplaceAll(fullStack, "LABELLED", "x"), withFiles(r))
	}
	if _, err := dead.Run(dead.ctx, []string{"/app", "ps"}, nil); err != nil {
		t.Fatal(err)
	}
	owned, err := Owned(dead.ctx, dead.cli, dead.HostID)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(owned, func(o RunObjects) bool { return o.Run == dead.RunID })
	if len(owned) != 2 || i < 0 || !owned[i].Deadline.Equal(dead.Deadline.Truncate(time.Second)) {
		t.Fatalf("owned: %+v", owned)
	}
	if diff := cmp.Diff(dead.left(), owned[i].Objects); diff != "" {
		t.Errorf("objects (-left +owned):\n%s", diff)
	}
	if err := owned[i].Remove(dead.ctx); err != nil {
		t.Fatal(err)
	}
	if left := dead.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	for _, r := range []*rig{alive, alive2} {
		if o := r.observe(); len(o.Tasks) != 2 || len(r.left()) == 0 {
			t.Errorf("another run has tasks %v", o.Tasks)
		}
	}
}
