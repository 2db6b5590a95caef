// Package swarm puts one run's app on a Docker Swarm, reaches into it, and
// takes it away again. It is the only package that talks to Docker.
//
// An App is one stack of one run. It deploys as `docker stack deploy --prune`
// does, with docker/cli's own conversion, and differs from it only where runs
// would disturb each other or where the engine can't follow; every such
// difference is named in Observed.Deviations:
//
//   - an external network `proxy` becomes a network of the run;
//   - published ports are dropped, unless the deployment keeps them;
//   - labels that make Traefik or swarm-cronjob act are set to false;
//   - on a kernel without IPVS every service gets endpoint mode dnsrr.
//
// Every object that an App creates (services, containers, networks, volumes,
// secrets, configs, helper containers) carries the labels ccci.run, ccci.host
// and ccci.deadline. An App writes and removes nothing that lacks its run's
// label, and refuses a stack whose name is taken by anybody else. Two more
// labels are digests: ccci.spec on a service is the digest of its whole spec,
// ccci.task on its containers that of the part whose change replaces tasks.
// They travel with the specs, also through a rollback, so what a task runs is
// read from the task and not remembered by us.
//
// Waiting is for conditions: Docker's events say when to look again, and since
// tasks have no events of their own, a short series of looks follows each
// event, and one per second in between. What Swarm itself costs (engine 20.10):
// a first task runs 1 s after its service is created, a task on an overlay
// network gets its signal to stop 3 s after Swarm was told so. Undeploy and
// Restart therefore stop containers themselves; an update that a recipe's
// update_config governs is left to Swarm alone.
//
// Commands run in tasks over the exec API, never through a shell of ours. What
// has to be done from outside (volumes, HTTP requests, killing an exec that
// overstayed) is done by helper containers made from one image, see Helper.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/docker/cli/cli/compose/convert"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
)

// Labels on everything that a run creates.
const (
	LabelRun      = "ccci.run"
	LabelHost     = "ccci.host"
	LabelDeadline = "ccci.deadline" // RFC 3339, UTC

	labelSpec   = "ccci.spec"   // on services: digest of the whole spec
	labelTask   = "ccci.task"   // on task containers: digest of what replaces tasks
	labelVolume = "ccci.volume" // on volumes: their compose name
	labelStack  = "ccci.stack"  // on helper containers, which are not of the stack
	labelRole   = "ccci.role"   // on helper containers: what for

	labelImage       = convert.LabelImage
	labelNamespace   = convert.LabelNamespace
	labelTaskID      = "com.docker.swarm.task.id"
	labelServiceName = "com.docker.swarm.service.name"
)

// Options say whose app it is, and what it has at hand.
type Options struct {
	Client   client.APIClient
	RunID    string    // the run's id
	HostID   string    // this machine's id: what Reap may take
	Deadline time.Time // when the run is dead for sure
	Stack    string    // STACK_NAME

	Helper     Helper
	Repository string            // host path, mounted at /repository in the toolbox; may be empty
	Binds      map[string]string // more host paths for the toolbox, read-only: container path -> host path
	Env        []string          // of the toolbox: RESTIC_REPOSITORY=…

	Limits     Limits
	NoIPVS     bool // the kernel can't do virtual IPs: force dnsrr
	AllowPaths bool // `file:` paths of configs and secrets may leave the checkout

	// Settle is how long a task without a healthcheck has to run before it
	// counts, and five times that once a task of its service has failed: what
	// dies at once must not pass for running. 0 means one second.
	Settle time.Duration

	// RegistryAuth returns the encoded credentials for pulling an image; nil
	// means those in docker's config file.
	RegistryAuth func(image string) (string, error)
	// Redact is applied to every log line that gets into an error; may be nil.
	Redact func(string) string
	// LogSink takes the raw output of one task's container, from its start to
	// its end; nil means that logs are not followed. A terminal's has stdout alone.
	LogSink func(service, task string) (stdout, stderr io.WriteCloser)
}

// Helper is the image that helper containers are made from, and what they run.
// The zero value of an argv is the one that the tool's own binary understands.
type Helper struct {
	Image string // its id
	// Again builds the image anew, if it was removed meanwhile: the engine's
	// owner tidies up as he likes. nil: then that is an error.
	Again func(ctx context.Context) (id string, err error)
	Sleep []string // keeps a container up until it is told to stop
	Kill  []string // ends every process whose CCCI_EXEC is the last argument
	Ask   []string // serves runner.AskMethod until its stdin ends
}

func (h Helper) withDefaults() Helper {
	set := func(argv *[]string, sub string) {
		if len(*argv) == 0 {
			*argv = []string{"/abra-ccci", "inside", sub}
		}
	}
	set(&h.Sleep, "sleep")
	set(&h.Kill, "kill")
	set(&h.Ask, "ask")
	return h
}

// App is one run's app on an engine: it implements runner.Deployer and
// runner.Tasks, and runs the tools of the backup engine beside it.
type App struct {
	Options
	cli    client.APIClient
	bus    *bus
	logs   *logs
	images images
	tools  toolbox
	peers  peers
	ground ground

	mu         sync.Mutex
	deviations []string
	timeout    time.Duration // of the last deployment
}

var (
	_ runner.Deployer = (*App)(nil)
	_ runner.Tasks    = (*App)(nil)
	_ runner.Machine  = (*App)(nil)
)

// New returns the App and starts to listen to the engine; Close ends that.
func New(o Options) (*App, error) {
	if o.Client == nil || o.RunID == "" || o.HostID == "" || o.Stack == "" {
		return nil, errors.New("swarm: client, run, host and stack must be given")
	}
	o.Helper = o.Helper.withDefaults()
	if o.Settle == 0 {
		o.Settle = time.Second
	}
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	if o.RegistryAuth == nil {
		o.RegistryAuth = configuredAuth
	}
	a := &App{Options: o, cli: o.Client, timeout: restartTimeout}
	a.ground.settled(nil)
	a.logs = newLogs(a)
	a.bus = listen(a.cli, o.Stack, a.logs.onEvent)
	return a, nil
}

// Close stops listening and removes what helper containers are left. It does
// not undeploy.
func (a *App) Close(ctx context.Context) error {
	err := a.dropHelpers(ctx)
	a.logs.cancel()
	a.bus.close()
	return err
}

// Gone implements runner.Machine, as Answers, Left and LogGaps do.
func (a *App) Gone() int { return a.bus.breaks() }

// Answers asks the engine whether it is there and its swarm can be managed.
func (a *App) Answers(ctx context.Context) error {
	info, err := a.cli.Info(ctx)
	if err != nil {
		return fault(ctx, "ask the Docker engine", err)
	}
	return manager(info.Swarm)
}

// labels are the run's own.
func (a *App) labels() map[string]string {
	return map[string]string{
		LabelRun:      a.RunID,
		LabelHost:     a.HostID,
		LabelDeadline: a.Deadline.UTC().Format(time.RFC3339),
	}
}

// mark adds the run's labels to an object's.
func (a *App) mark(l map[string]string) map[string]string {
	if l == nil {
		l = map[string]string{}
	}
	maps.Copy(l, a.labels())
	return l
}

// ofStack selects everything that carries the stack's name, whoever made it.
func (a *App) ofStack() filters.Args {
	return filters.NewArgs(filters.Arg("label", labelNamespace+"="+a.Stack))
}

// mine selects what this run made of the stack.
func (a *App) mine() filters.Args {
	f := a.ofStack()
	f.Add("label", LabelRun+"="+a.RunID)
	return f
}

// descope turns a name on the engine into the compose file's.
func (a *App) descope(name string) string { return convert.NewNamespace(a.Stack).Descope(name) }

// scope turns a compose name into the engine's.
func (a *App) scope(name string) string { return convert.NewNamespace(a.Stack).Scope(name) }

// fault makes an InfraError of what the engine answered, unless it was us who
// gave up.
func fault(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	if infra := new(runner.InfraError); errors.As(err, &infra) {
		return err
	}
	if client.IsErrConnectionFailed(err) {
		return &runner.InfraError{Op: op, Hint: "is dockerd running? try: docker info", Err: err}
	}
	return &runner.InfraError{Op: op, Err: err}
}
