package swarm

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/swarm"
	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/runner"
)

func TestLayer(t *testing.T) {
	const modified, added, deleted = container.ChangeModify, container.ChangeAdd, container.ChangeDelete
	tests := []struct {
		name    string
		changes []container.FilesystemChange
		want    []runner.Outside
	}{
		{"nothing", nil, nil},
		{"changed directories are not told, files are",
			[]container.FilesystemChange{{Kind: modified, Path: "/etc"}, {Kind: modified, Path: "/etc/passwd"}, {Kind: deleted, Path: "/etc/motd"}},
			[]runner.Outside{{Kind: "layer", Path: "/etc/motd"}, {Kind: "layer", Path: "/etc/passwd"}}},
		{"an added directory counts what is in it",
			[]container.FilesystemChange{{Kind: added, Path: "/a"}, {Kind: added, Path: "/a/b"}, {Kind: added, Path: "/a/b/c"}, {Kind: added, Path: "/a-b"}},
			[]runner.Outside{{Kind: "layer", Path: "/a", Count: 2}, {Kind: "layer", Path: "/a-b"}}},
		{"mount points and what Docker makes for them",
			[]container.FilesystemChange{{Kind: added, Path: "/data"}, {Kind: added, Path: "/srv"}, {Kind: added, Path: "/srv/x"}, {Kind: added, Path: "/srv/x/mail"},
				{Kind: modified, Path: "/run"}, {Kind: added, Path: "/run/pid"}, {Kind: modified, Path: "/etc"}, {Kind: modified, Path: "/etc/hosts"}},
			nil},
		{"beside a mount point",
			[]container.FilesystemChange{{Kind: added, Path: "/srv"}, {Kind: added, Path: "/srv/x"}, {Kind: added, Path: "/srv/x/mail"}, {Kind: added, Path: "/srv/lost"}},
			[]runner.Outside{{Kind: "layer", Path: "/srv", Count: 2}}},
		{"a crowd is told by its directory",
			[]container.FilesystemChange{{Kind: modified, Path: "/var"}, {Kind: added, Path: "/var/1"}, {Kind: added, Path: "/var/2"}, {Kind: added, Path: "/var/3"}, {Kind: added, Path: "/var/4"}},
			[]runner.Outside{{Kind: "layer", Path: "/var", Count: 4}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := layer(tt.changes, append(Ignored(), "/data", "/srv/x/mail"))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestPinnedRef(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	tests := []struct{ name, ref, digests, want string }{
		{"known to its registry", "nginx:1", "nginx@" + digest, "nginx:1@" + digest},
		{"no tag", "nginx", "nginx@" + digest, "nginx:latest@" + digest},
		{"known by another name only", "mine:1", "nginx@" + digest, "id"},
		{"local", "mine:1", "", "id"},
		{"pinned by the recipe", "nginx@" + digest, "", "nginx@" + digest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			img := image.InspectResponse{ID: "id", RepoDigests: strings.Fields(tt.digests)}
			if got := pinnedRef(tt.ref, img); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckoutKeepsPathsInside(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "shadow")
	os.WriteFile(outside, []byte("secret"), 0o600)
	os.WriteFile(filepath.Join(dir, "in.txt"), []byte("in"), 0o600)
	os.Symlink(outside, filepath.Join(dir, "link"))
	os.Symlink("in.txt", filepath.Join(dir, "inner"))
	tests := []struct {
		path     string
		anywhere bool
		want     string // empty: refused
	}{
		{"in.txt", false, "in"},
		{filepath.Join(dir, "in.txt"), false, "in"},
		{"inner", false, "in"},
		{"link", false, ""},
		{outside, false, ""},
		{"../" + filepath.Base(filepath.Dir(outside)) + "/shadow", false, ""},
		{outside, true, "secret"},
	}
	for _, tt := range tests {
		got, err := checkout{dir, tt.anywhere}.read(tt.path)
		if string(got) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("read(%q, anywhere %v) is %q, %v; want %q", tt.path, tt.anywhere, got, err, tt.want)
		}
	}
}

func TestManager(t *testing.T) {
	tests := []struct {
		name string
		info swarm.Info
		hint string // empty: fine
	}{
		{"manager", swarm.Info{LocalNodeState: swarm.LocalNodeStateActive, ControlAvailable: true}, ""},
		{"no swarm", swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive}, "docker swarm init"},
		{"worker", swarm.Info{LocalNodeState: swarm.LocalNodeStateActive}, "manager"},
		{"locked", swarm.Info{LocalNodeState: swarm.LocalNodeStateLocked}, "docker info"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := manager(tt.info)
			infra := new(runner.InfraError)
			if (err == nil) != (tt.hint == "") || err != nil && (!errors.As(err, &infra) || !strings.Contains(infra.Hint, tt.hint)) {
				t.Errorf("error is %v, hint %q", err, infra.Hint)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	engine(t) // the one in use
	home := t.TempDir()
	os.MkdirAll(filepath.Join(home, ".docker"), 0o700)
	os.WriteFile(filepath.Join(home, ".docker", "config.json"), []byte(`{"currentContext": "nowhere"}`), 0o600)
	tests := []struct {
		name string
		env  map[string]string
		says string // empty: it works
	}{
		{"DOCKER_HOST", map[string]string{"DOCKER_HOST": os.Getenv("DOCKER_HOST"), "HOME": home}, ""},
		{"nobody there", map[string]string{"DOCKER_HOST": "unix:///nonexistent.sock"}, "no Docker engine answers at unix:///nonexistent.sock"},
		{"unknown context", map[string]string{"HOME": home}, `docker context "nowhere"`},
		{"nonsense", map[string]string{"DOCKER_HOST": "gopher:"}, "find the Docker engine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cli, facts, err := Connect(t.Context(), func(k string) string { return tt.env[k] })
			if tt.says == "" {
				if err != nil || facts.ID == "" || facts.Nodes < 1 || !facts.Manager || facts.Node == "" || facts.API == "" || facts.Free == 0 {
					t.Errorf("facts are %+v, %v", facts, err)
				}
				cli.Close()
				return
			}
			infra := new(runner.InfraError)
			if !errors.As(err, &infra) || infra.Hint == "" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error is %v, want %q", err, tt.says)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	const g, old = "new", "old"
	one := goal{service: "app", id: "s", spec: "spec", task: g, want: 1, once: swarm.RestartPolicyConditionAny}
	oneShot := one
	oneShot.once = swarm.RestartPolicyConditionOnFailure
	task := func(digest string, state, desired swarm.TaskState) swarm.Task {
		return swarm.Task{ID: digest + string(state), ServiceID: "s", DesiredState: desired, Status: swarm.TaskStatus{State: state},
			Spec: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Labels: map[string]string{labelTask: digest}}}}
	}
	const running, shutdown, complete, failed = swarm.TaskStateRunning, swarm.TaskStateShutdown, swarm.TaskStateComplete, swarm.TaskStateFailed
	tests := []struct {
		name   string
		goal   goal
		update swarm.UpdateState
		spec   string
		tasks  []swarm.Task
		done   bool
		back   bool // failed: rolled back
	}{
		{"no task yet", one, "", "spec", nil, false, false},
		{"running", one, "", "spec", []swarm.Task{task(g, running, running)}, true, false},
		{"running, update monitored", one, swarm.UpdateStateUpdating, "spec", []swarm.Task{task(g, running, running)}, false, false},
		{"only the old one runs", one, "", "spec", []swarm.Task{task(old, running, running)}, false, false},
		{"the old one is stopping", one, "", "spec", []swarm.Task{task(g, running, running), task(old, running, shutdown)}, false, false},
		{"the old one has stopped", one, "", "spec", []swarm.Task{task(g, running, running), task(old, complete, shutdown)}, true, false},
		{"starting, so not healthy", one, "", "spec", []swarm.Task{task(g, swarm.TaskStateStarting, running)}, false, false},
		{"ended well, but is to run for ever", one, "", "spec", []swarm.Task{task(g, complete, shutdown)}, false, false},
		{"one-shot", oneShot, "", "spec", []swarm.Task{task(g, complete, shutdown)}, true, false},
		{"one-shot of the old spec", oneShot, "", "spec", []swarm.Task{task(old, complete, shutdown)}, false, false},
		{"one-shot failed", oneShot, "", "spec", []swarm.Task{task(g, failed, shutdown)}, false, false},
		{"one-shot ended well, which Swarm calls an early termination", oneShot, swarm.UpdateStatePaused, "spec", []swarm.Task{task(g, complete, shutdown)}, true, false},
		{"rolled back", one, swarm.UpdateStateRollbackCompleted, "former", []swarm.Task{task(old, running, running)}, false, true},
		{"rolling back", one, swarm.UpdateStateRollbackStarted, "former", []swarm.Task{task(old, running, running)}, false, false},
		{"paused with an old task", one, swarm.UpdateStatePaused, "spec", []swarm.Task{task(g, failed, shutdown), task(old, running, running)}, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			svc := swarm.Service{ID: "s", Spec: swarm.ServiceSpec{Annotations: swarm.Annotations{Labels: map[string]string{labelSpec: tt.spec}}}}
			if tt.update != "" {
				svc.UpdateStatus = &swarm.UpdateStatus{State: tt.update}
			}
			w := newWatch([]goal{tt.goal}, tt.tasks, 0) // known, so settled
			got := w.judge(tt.goal, svc, tt.tasks, time.Unix(0, 0))
			if got.done != tt.done || (got.err != nil) != tt.back || got.err != nil && !got.err.back {
				t.Errorf("standing is %+v, error %+v", got, got.err)
			}
		})
	}
}

// A service that ran before its update is no one-shot service, though it may be
// started again on failure alone: what ends at once then, and well, is down.
func TestEarlyEndOfAServiceThatRan(t *testing.T) {
	task := func(digest string, state, desired swarm.TaskState) swarm.Task {
		return swarm.Task{ID: digest, ServiceID: "s", DesiredState: desired, Status: swarm.TaskStatus{State: state},
			Spec: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{Labels: map[string]string{labelTask: digest}}}}
	}
	g := goal{service: "app", id: "s", spec: "spec", task: "new", want: 1, once: swarm.RestartPolicyConditionOnFailure}
	svc := swarm.Service{ID: "s", Spec: swarm.ServiceSpec{Annotations: swarm.Annotations{Labels: map[string]string{labelSpec: "spec"}}},
		UpdateStatus: &swarm.UpdateStatus{State: swarm.UpdateStatePaused}}
	now := []swarm.Task{task("new", swarm.TaskStateComplete, swarm.TaskStateShutdown), task("old", swarm.TaskStateShutdown, swarm.TaskStateShutdown)}
	for before, fails := range map[swarm.TaskState]bool{swarm.TaskStateRunning: true, swarm.TaskStateComplete: false} {
		w := newWatch([]goal{g}, []swarm.Task{task("old", before, swarm.TaskStateRunning)}, 0)
		if got := w.judge(g, svc, now, time.Unix(0, 0)); (got.err != nil) != fails || got.done == fails {
			t.Errorf("%s before: %+v", before, got)
		}
	}
}

func TestUnsettledTasksDoNotCount(t *testing.T) {
	w := newWatch(nil, nil, time.Second)
	task := swarm.Task{ID: "t", Status: swarm.TaskStatus{State: swarm.TaskStateRunning}}
	start := time.Unix(100, 0)
	if got := w.unsettled(goal{}, task, nil, start); got != time.Second {
		t.Errorf("at first sight: %s", got)
	}
	if got := w.unsettled(goal{}, task, nil, start.Add(time.Second)); got != 0 {
		t.Errorf("a second later: %s", got)
	}
	crashed := swarm.Task{ID: "c", Status: swarm.TaskStatus{State: swarm.TaskStateFailed}}
	if got := w.unsettled(goal{}, task, []swarm.Task{crashed}, start.Add(time.Second)); got != 4*time.Second {
		t.Errorf("after a crash: %s", got)
	}
	if got := w.unsettled(goal{health: true}, swarm.Task{ID: "h"}, nil, start); got != 0 {
		t.Errorf("healthy: %s", got)
	}
}

func TestMachineFault(t *testing.T) {
	tests := map[string]bool{
		"No such image: nginx:1@sha256:…":                                      true,
		"no suitable node (scheduling constraints not satisfied on 1 node)":    true,
		"mkdir /var/lib/docker/overlay2/x: no space left on device":            true,
		"driver failed: Bind for 0.0.0.0:80 failed: port is already allocated": true,
		"task: non-zero exit (1)":                                              false,
		"task: non-zero exit (1): no space left on device":                     false,
		"starting container failed: exec: \"x\": executable file not found":    false,
	}
	for text, want := range tests {
		if got := machineFault(text); got != want {
			t.Errorf("machineFault(%q) is %v", text, got)
		}
	}
}

// A task that had a container which is gone is nothing to wait for; one that never
// had any may still get it.
func TestWithoutSpent(t *testing.T) {
	task := func(id, ran string) object { return object{kind: tasks, id: id, name: id, ran: ran} }
	all := objects{task("gone", "c1"), task("there", "c2"), task("coming", ""), {kind: volumes, id: "v", name: "v"}}
	got := strings.Join(all.withoutSpent(objects{{kind: containers, id: "c2"}}).names(), ", ")
	if got != "task there, task coming, volume v" {
		t.Error(got)
	}
}

func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		cpus         int
		memory, used int64
		want         int
	}{
		{2, 24 << 30, 1 << 30, 2},  // as many as cores
		{1, 24 << 30, 1 << 30, 1},  // and no more
		{16, 24 << 30, 4 << 30, 3}, // in half of the memory
		{16, 1 << 40, 1 << 20, maxRoom},
		{2, 24 << 30, 20 << 30, 1}, // the first one is there already
		{2, 24 << 30, 0, 1},        // nobody knows
		{2, 0, 1 << 30, 1},
	} {
		if got := room(Facts{CPUs: tt.cpus, Memory: tt.memory}, tt.used); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

// Where Swarm has not made a single task in all the time, the recipe is not to blame.
func TestOverdueWithoutATask(t *testing.T) {
	g := goalOf("app", "id", swarm.ServiceSpec{TaskTemplate: swarm.TaskSpec{ContainerSpec: &swarm.ContainerSpec{}}})
	f := newWatch([]goal{g}, nil, time.Second).overdue([]standing{{text: "app 0/1"}}, nil, time.Minute)
	if !f.infra || f.service != "app" || f.task != nil || f.reason != "not converged after 1m0s: app 0/1" {
		t.Errorf("failure is %+v", f)
	}
}

// What the runtime says at a container's end does not hide what the healthcheck said before.
func TestTellingProbe(t *testing.T) {
	const gone = "OCI runtime exec failed: crun did not terminate successfully"
	for _, tt := range []struct {
		outputs []string
		want    int
	}{
		{[]string{"no such file", "", gone, ""}, 0},
		{[]string{"first", "second", gone}, 1},
		{[]string{gone, "", gone + " again", ""}, 2}, // a healthcheck that can't be started
		{[]string{"", ""}, 1},
	} {
		var probes []*container.HealthcheckResult
		for _, output := range tt.outputs {
			probes = append(probes, &container.HealthcheckResult{Output: output})
		}
		if got := slices.Index(probes, telling(probes)); got != tt.want {
			t.Errorf("of %q, probe %d is told, want %d", tt.outputs, got, tt.want)
		}
	}
}
