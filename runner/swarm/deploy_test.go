package swarm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

const fullStack = `
version: "3.8"
services:
  app:
    image: IMAGE
    command: [serve, -say, hello, -body, LABELLED]
    environment: [COLOUR=red]
    labels: {inner: "1"}
    networks: [proxy, internal]
    ports: ["18080:8080"]
    configs: [{source: motd, target: /motd}, other]
    secrets: [password]
    volumes: ["data:/data/", "logs:/logs:ro"]
    deploy: {labels: ["backupbot.backup=true", "version=LABELLED"]}
  db:
    image: IMAGE
    command: [serve]
    networks: [internal]
networks: {proxy: {external: true}, internal: {}}
volumes: {data: {}, logs: {name: STACK_renamed}, unused: {}}
configs:
  motd: {file: motd.txt, name: STACK_motd_v1}
  other: {file: sub/other.txt}
secrets: {password: {external: true, name: STACK_password_v1}}
`

// withFiles writes the files that fullStack refers to.
func withFiles(r *rig) func(*runner.Deployment) {
	return func(d *runner.Deployment) {
		os.MkdirAll(filepath.Join(d.Dir, "sub"), 0o755)
		os.WriteFile(filepath.Join(d.Dir, "motd.txt"), []byte("welcome"), 0o644)
		os.WriteFile(filepath.Join(d.Dir, "sub", "other.txt"), []byte("other"), 0o644)
		d.Secrets = []runner.Secret{{Name: r.Stack + "_password_v1", Short: "password", Value: "s3cret"}}
	}
}

func TestDeployIsReadBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.deployment(strings.ReplaceAll(fullStack, "LABELLED", "one"), withFiles(r))
	before := digestOf(d.Stack.Compose)
	if err := r.Deploy(r.ctx, d); err != nil {
		t.Fatal(err)
	}
	if digestOf(d.Stack.Compose) != before {
		t.Error("Deploy changed the deployment's compose configuration")
	}
	o := r.observe()
	want := []labels.Service{{
		Name: "app", Image: testImages.app,
		Labels:          map[string]string{"backupbot.backup": "true", "version": "one"},
		ContainerLabels: map[string]string{"inner": "1"},
		Mounts:          []labels.Mount{{Volume: "data", Target: "/data"}, {Volume: "logs", Target: "/logs", ReadOnly: true}},
		Targets:         []string{"/motd", "/other", "/run/secrets/password"},
	}, {Name: "db", Image: testImages.app, Labels: map[string]string{}, ContainerLabels: map[string]string{}}}
	if diff := cmp.Diff(want, o.Stack.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	converted, err := r.Convert(d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(converted, o.Specs); diff != "" {
		t.Errorf("specs differ from Convert (-want +got):\n%s", diff)
	}
	if o.Images["app"] != testImages.id {
		t.Errorf("image is %q, want the local id %q", o.Images["app"], testImages.id)
	}
	deviations := []string{
		"network proxy: replaced by " + r.Stack + "_proxy",
		"service app: endpoint mode forced to dnsrr (no IPVS)",
		"service app: published ports dropped (18080->8080/tcp)",
		"service db: endpoint mode forced to dnsrr (no IPVS)",
	}
	slices.Sort(o.Deviations)
	if diff := cmp.Diff(deviations, o.Deviations); diff != "" {
		t.Errorf("deviations (-want +got):\n%s", diff)
	}
	for _, want := range []string{"service app env\tCOLOUR=red", "service app label\tversion=one", "service app container label\tinner=1"} {
		if !slices.Contains(o.Public, want) {
			t.Errorf("public lacks %q", want)
		}
	}
	for path, want := range map[string]string{"/motd": "welcome", "/other": "other", "/run/secrets/password": "s3cret"} {
		if got := string(r.exec("app", "/app", "read", path).Stdout); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	vol, err := r.cli.VolumeInspect(r.ctx, r.Stack+"_renamed")
	if err != nil || vol.Labels[LabelRun] != r.RunID || vol.Labels[labelVolume] != "logs" {
		t.Errorf("volume %v has labels %v", err, vol.Labels)
	}
}

func TestDeployLabelsAloneDoNotRestartTasks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	compose := "version: '3.8'\nservices: {app: {image: IMAGE, command: [serve, -say, COMMAND], deploy: {labels: {v: LABEL}, update_config: {monitor: 10ms}}}}\n"
	with := func(label, command string) *runner.Observed {
		r.deploy(strings.NewReplacer("LABEL", label, "COMMAND", command).Replace(compose))
		return r.observe()
	}
	first, relabelled, changed := with("a", "x"), with("b", "x"), with("b", "y")
	if first.Tasks[0].ID != relabelled.Tasks[0].ID || first.TaskSpecs["app"] != relabelled.TaskSpecs["app"] {
		t.Errorf("a label replaced the task: %v, %v", first.Tasks, relabelled.Tasks)
	}
	if first.Specs["app"] == relabelled.Specs["app"] || relabelled.Stack.Services[0].Labels["v"] != "b" {
		t.Errorf("the label did not arrive: %v", relabelled.Stack.Services[0].Labels)
	}
	if len(changed.Tasks) != 1 || changed.Tasks[0].ID == first.Tasks[0].ID || changed.Tasks[0].Spec != changed.TaskSpecs["app"] || changed.TaskSpecs["app"] == first.TaskSpecs["app"] {
		t.Errorf("a new command did not replace the task: %v", changed.Tasks)
	}
}

func TestRestartReplacesEveryTask(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(`
version: "3.8"
services:
  app: {image: IMAGE, command: [serve], deploy: {replicas: 2, update_config: {parallelism: 1, delay: 1h}}}
  once: {image: IMAGE, command: [serve, -exit, "0"], deploy: {restart_policy: {condition: none}}}
`)
	before := r.observe()
	if err := r.Restart(r.ctx); err != nil {
		t.Fatal(err)
	}
	after := r.observe()
	for _, b := range before.Tasks {
		kept := slices.ContainsFunc(after.Tasks, func(a runner.Task) bool { return a.ID == b.ID })
		if kept != (b.Service == "once") {
			t.Errorf("task of %s kept: %v", b.Service, kept)
		}
	}
	svc, err := r.services(r.ctx)
	if err != nil || svc["app"].Spec.UpdateConfig.Delay != time.Hour {
		t.Errorf("the recipe's update_config was not put back: %+v, %v", svc["app"].Spec.UpdateConfig, err)
	}
	if diff := cmp.Diff(before.Specs, after.Specs); diff != "" {
		t.Errorf("a restart changed specs:\n%s", diff)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, action, replicas, delay string
		rolledBack                    bool
	}{
		{"rolled back", "rollback", "1", "0s", true},
		{"paused with an old task", "pause", "2", "1m", true},
		{"paused with none", "pause", "1", "0s", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			compose := strings.NewReplacer("ACTION", tt.action, "REPLICAS", tt.replicas, "DELAY", tt.delay).Replace(
				"version: '3.8'\nservices: {app: {image: IMAGE, command: [serve, -say, WORD, -exit, 'EXIT'], deploy: {replicas: REPLICAS, update_config: {failure_action: ACTION, monitor: 3s, delay: DELAY}}}}\n")
			r.deploy(strings.NewReplacer("WORD", "fine", "EXIT", "-1").Replace(compose))
			good := r.observe()
			err := r.Deploy(r.ctx, r.deployment(strings.NewReplacer("WORD", "boom", "EXIT", "7").Replace(compose)))
			failed := new(runner.DeployError)
			if !errors.As(err, &failed) {
				t.Fatalf("error is %T %v, want a DeployError", err, err)
			}
			if failed.RolledBack != tt.rolledBack || failed.Service != "app" || !strings.Contains(failed.Reason, "boom") || !strings.Contains(failed.Reason, "(7)") {
				t.Errorf("error is %+v", failed)
			}
			if tt.action == "rollback" {
				if diff := cmp.Diff(good.Specs, r.observe().Specs); diff != "" {
					t.Errorf("specs after the rollback (-good +now):\n%s", diff)
				}
			}
		})
	}
}

func TestOneShotTasksComplete(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(`
version: "3.8"
services:
  app: {image: IMAGE, command: [serve]}
  none: {image: IMAGE, command: [serve, -exit, "0"], deploy: {restart_policy: {condition: none}}}
  onfailure: {image: IMAGE, command: [serve, -exit, "0"], deploy: {restart_policy: {condition: on-failure}}}
  job: {image: IMAGE, command: [serve, -say, "job done", -exit, "0"], deploy: {mode: replicated-job, replicas: 2}}
`)
	states := map[string][]string{}
	for _, task := range r.observe().Tasks {
		states[task.Service] = append(states[task.Service], task.State)
	}
	want := map[string][]string{"app": {"running"}, "none": {"complete"}, "onfailure": {"complete"}, "job": {"complete", "complete"}}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if err := r.Undeploy(r.ctx, runner.Removal{}); err != nil {
		t.Error(err)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A failing is a deploy that fails.
type failing struct {
	compose string
	timeout time.Duration
	infra   bool     // the machine is to blame
	early   bool     // known to be hopeless long before its time is over
	says    []string // what the error says
}

func (f failing) test(t *testing.T) { f.on(t, func(*Options) {}) }

func (f failing) on(t *testing.T, change func(*Options)) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Settle = 4 * time.Second }, change) // also on a machine with much else to do
	start := time.Now()
	err := r.Deploy(r.ctx, r.deployment("version: '3.8'\n"+f.compose, func(d *runner.Deployment) { d.Timeout = f.timeout }))
	infra, failed := new(runner.InfraError), new(runner.DeployError)
	if err == nil || errors.As(err, &infra) != f.infra || errors.As(err, &failed) == f.infra {
		t.Fatalf("error is %T %v", err, err)
	}
	for _, s := range f.says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error lacks %q: %v", s, err)
		}
	}
	if took := time.Since(start); f.early && took > f.timeout/2 {
		t.Errorf("hopeless, but it took %s", took)
	}
}

// What waits for the end of its time must have run by then, also on a machine with
// much else to do. Such tests stand by themselves, as subtests would begin after all
// others.
const waits = 30 * time.Second

// The time of a deploy may end in the middle of a listing: then it says what the
// one before said.
func TestDeployThatCrashesForEver(t *testing.T) {
	failing{"services: {app: {image: IMAGE, command: [serve, -say, boom, -exit, '3'], deploy: {restart_policy: {delay: 4s}}}}",
		waits, false, false, []string{"not converged after " + waits.String(), "boom", "(3)"}}.on(t, func(o *Options) { o.Client = cutShort{o.Client} })
}

// A cutShort is an engine's client that is slow for those in a hurry: who has
// three seconds left gets no listing of tasks in them.
type cutShort struct{ client.APIClient }

func (c cutShort) TaskList(ctx context.Context, o swarm.TaskListOptions) ([]swarm.Task, error) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < 3*time.Second {
		<-ctx.Done()
	}
	return c.APIClient.TaskList(ctx, o)
}

func TestDeployThatIsNeverHealthy(t *testing.T) {
	failing{"services: {app: {image: IMAGE, command: [serve, -say, up], healthcheck: {test: [CMD, /app, exists, /nowhere], interval: 500ms, retries: 100}}}",
		waits, false, false, []string{"until healthy", "nowhere", "up"}}.test(t)
}

func TestDeployFails(t *testing.T) {
	t.Parallel()
	tests := map[string]failing{
		"attempts exhausted": {"services: {app: {image: IMAGE, command: [serve, -say, boom, -exit, '3'], deploy: {restart_policy: {condition: none}}}}",
			time.Minute, false, true, []string{"(3)", "boom", "not started again"}},
		"ended as unhealthy, and well": {"services: {app: {image: IMAGE, command: [serve, -say, up], healthcheck: {test: [CMD, /app, exists, /nowhere], interval: 500ms, retries: 2}, deploy: {restart_policy: {condition: on-failure}}}}",
			4 * time.Minute, false, false, []string{"unhealthy", "nowhere", "good bye"}},
		"unplaceable": {"services: {app: {image: IMAGE, command: [serve], deploy: {placement: {constraints: [node.labels.no == such]}}}}",
			4 * time.Second, true, false, []string{"no suitable node"}},
		"images missing": {"services: {app: {image: 'localhost:1/absent:1'}, db: {image: 'localhost:1/absent:2'}}",
			time.Minute, true, true, []string{`image not to be had: "localhost:1/absent:1", "localhost:1/absent:2"`}},
		"invalid for the engine": {"services: {app: {image: IMAGE, command: [serve], deploy: {resources: {limits: {memory: 1k}}}}}",
			time.Minute, false, true, []string{"memory"}},
	}
	for name, f := range tests {
		t.Run(name, f.test)
	}
}

func TestDeployRefusesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	name := r.Stack + "_data"
	if _, err := r.cli.VolumeCreate(r.ctx, volume.CreateOptions{Name: name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cli.VolumeRemove(t.Context(), name, true) })
	err := r.Deploy(r.ctx, r.deployment("version: '3.8'\nservices: {app: {image: IMAGE, command: [serve], volumes: ['data:/data']}}\nvolumes: {data: {}}\n"))
	infra := new(runner.InfraError)
	if !errors.As(err, &infra) || !strings.Contains(err.Error(), "volume "+name) {
		t.Errorf("error is %v, want an InfraError about the volume", err)
	}
	if err := r.Undeploy(r.ctx, runner.Removal{Volumes: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.cli.VolumeInspect(r.ctx, name); err != nil {
		t.Errorf("somebody else's volume is gone: %v", err)
	}
	if err := r.cli.VolumeRemove(r.ctx, name, false); err != nil {
		t.Error(err)
	}
}

func TestConfigChangedUnderItsName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	compose := "version: '3.8'\nservices: {app: {image: IMAGE, command: [serve], configs: [c]}}\nconfigs: {c: {file: c.txt}}\n"
	content := func(s string) func(*runner.Deployment) {
		return func(d *runner.Deployment) { os.WriteFile(filepath.Join(d.Dir, "c.txt"), []byte(s), 0o644) }
	}
	one, two := r.deployment(compose, content("one")), r.deployment(compose, content("two"))
	x, _ := r.Convert(one)
	y, _ := r.Convert(two)
	if x["app"] == y["app"] {
		t.Error("the content of a config is not part of the digest")
	}
	if err := r.Deploy(r.ctx, one); err != nil {
		t.Fatal(err)
	}
	failed := new(runner.DeployError)
	if err := r.Deploy(r.ctx, two); !errors.As(err, &failed) || !strings.Contains(failed.Reason, "version was not bumped") {
		t.Errorf("error is %v", err)
	}
}

func TestServicesNoLongerInTheSpecAreRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy("version: '3.8'\nservices: {app: {image: IMAGE, command: [serve]}, old: {image: IMAGE, command: [serve]}}\n")
	r.deploy("version: '3.8'\nservices: {app: {image: IMAGE, command: [serve]}}\n")
	o := r.observe()
	if len(o.Stack.Services) != 1 || len(o.Tasks) != 1 {
		t.Errorf("services are %v, tasks %v", o.Stack.Services, o.Tasks)
	}
	tasks, err := r.tasks(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	services, err := r.services(r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if alive(task) && task.ServiceID != services["app"].ID {
			t.Errorf("a task of the removed service is %s", task.Status.State)
		}
	}
}

// Swarm remembers a task for some seconds after its service is gone. One that
// it forgets while the engine's objects are listed is not somebody else's.
func TestForgottenTasksAreNotForeign(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deploy(serveOnly)
	r.cli = &forgetful{APIClient: r.cli, forget: func() {
		if err := r.Undeploy(r.ctx, runner.Removal{Grace: time.Nanosecond}); err != nil {
			t.Error(err)
		}
	}}
	if err := r.claim(r.ctx, &blueprint{}); err != nil {
		t.Error(err)
	}
}

// A forgetful engine forgets something just after it has first listed its tasks.
type forgetful struct {
	client.APIClient
	asked  atomic.Bool
	forget func()
}

func (f *forgetful) TaskList(ctx context.Context, o swarm.TaskListOptions) ([]swarm.Task, error) {
	list, err := f.APIClient.TaskList(ctx, o)
	if f.asked.CompareAndSwap(false, true) {
		f.forget()
	}
	return list, err
}
