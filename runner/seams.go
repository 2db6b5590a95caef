package runner

import (
	"context"
	"fmt"
	"io"
	"time"

	"coopcloud.tech/abra-ccci/labels"
)

// A Deployer puts one app on a Swarm and takes it away again. It belongs to
// one run: everything it creates carries the run's id, and it writes and
// removes nothing else. Every method returns an *InfraError where the cause is
// not the recipe's, and waits for conditions, never for time to pass.
type Deployer interface {
	// Convert says what Deploy would put on the engine without doing it:
	// for each service a digest of the spec, without what is the run's own.
	// Two deployments with equal digests deploy the same.
	Convert(d *Deployment) (map[string]string, error)
	// Deploy creates the stack or updates it, and returns once it has
	// converged: N/N tasks of the current spec, healthy, no update in
	// flight. If it does not, the error is a *DeployError.
	Deploy(ctx context.Context, d *Deployment) error
	// Restart replaces every task, and waits as Deploy does.
	Restart(ctx context.Context) error
	// Observe reads back what the engine really runs.
	Observe(ctx context.Context) (*Observed, error)
	// Undeploy removes the stack's services, tasks, networks and configs,
	// and what r adds to that; it returns when they are gone.
	Undeploy(ctx context.Context, r Removal) error
}

// Removal says what Undeploy removes beside services, tasks, networks and configs.
type Removal struct {
	Volumes bool          // every volume of the run
	Secrets bool          // every secret of the run
	Grace   time.Duration // a task that has not stopped by then is killed; 0: what its service says
	// KeepNetworks leaves them for a deployment that follows at once, and does not
	// wait until Swarm forgets tasks that have no container any more: it takes
	// seconds to let go of a network.
	KeepNetworks bool
	Await        bool // wait for an engine that has gone away, until ctx ends
}

// A Deployment is one resolved version of a recipe, ready to be deployed.
type Deployment struct {
	Stack   *labels.Stack // resolved; its Compose is what is converted
	App     *labels.Env   // the env that it was resolved with, as abra writes it
	Dir     string        // the pristine checkout that `file:` paths are relative to
	Version string        // abra's: the release tag, else the commit's short SHA
	Secrets []Secret      // created where the engine lacks them, kept where it has them
	Timeout time.Duration // for convergence
	Publish bool          // keep published ports; else they are dropped
}

// A Secret is a value that this run generated, as it is stored in the Swarm.
type Secret struct {
	Name  string // in full, as Docker knows it: <stack>_<name>_<version>
	Short string // as the recipe calls it, and ${SECRET:short} in a suite
	Value string
}

// Observed is what an engine really runs of a stack.
type Observed struct {
	Stack      *labels.Stack     // as read back from the services
	Specs      map[string]string // service -> digest, comparable to Deployer.Convert
	TaskSpecs  map[string]string // service -> digest of what its tasks should run; a change of deploy labels alone leaves it
	Images     map[string]string // service -> name@sha256:…, or sha256:… for a local-only image
	Tasks      []Task            // every task that should run now
	Public     []string          // labels and env of services and tasks: "where\tname=value"; secrets must not be here
	Deviations []string          // where the deployment differs from a plain one: forced dnsrr, dropped ports
}

// Task is one task of a service.
type Task struct {
	Service string
	ID      string
	Spec    string // digest of the spec that it runs; equals Observed.TaskSpecs[Service] once it has moved
	State   string // Swarm's: "running", "complete", …
	Since   time.Time
}

// Outside is something that a task wrote where no named volume is.
type Outside struct {
	Service string
	Kind    string // "layer", "anonymous volume", "tmpfs", "bind"
	Path    string
	Count   int // paths below it, for a layer
}

// Tasks reaches into the running tasks of the stack.
type Tasks interface {
	// Exec runs a command in a current task of service. The error tells that
	// it could not be run or did not end (no task, engine gone, timeout); a
	// command that ended is an Output, whatever its exit status. When ctx
	// ends, the command is killed before Exec returns.
	Exec(ctx context.Context, service string, c Command) (Output, error)
	// Ask makes one HTTP request from inside the network of a current task.
	Ask(ctx context.Context, service string, r Request) (Response, error)
}

// Command is something to run in a task.
type Command struct {
	Argv  []string
	Stdin string
}

// Output is what a command that ended left behind.
type Output struct {
	Exit           int
	Stdout, Stderr []byte // at most MaxOutput bytes each
}

// MaxOutput bounds what is kept of a command's stdout, its stderr and a response's body, in bytes.
const MaxOutput = 1 << 20

// Request is one HTTP GET, from inside a task's network.
type Request struct {
	URL   string   `json:"url"`
	Hosts []string `json:"hosts"` // the only hosts that may be asked, redirects included
}

// AskMethod is what a helper in a task's network serves: JSON-RPC 1.0, as package
// net/rpc/jsonrpc has it, on the helper's stdin and stdout. It takes a Request, and
// its result is a Response.
const AskMethod = AskService + ".Get"

// AskService is the part of AskMethod that a server registers.
const AskService = "Network"

// Response is the answer to a Request.
type Response struct {
	Status int    `json:"status"`
	Body   []byte `json:"body"` // at most MaxOutput bytes
}

// Standing is how the tasks of a stack are, between deployments.
type Standing struct {
	Running []string // services of which a task runs now, sorted
	Down    []Fall   // services that have not all the tasks that they should, or not for long enough
	Fallen  []Fall   // services whose tasks ended by themselves since the stack last converged
}

// A Fall says of one service that tasks of it are not up.
type Fall struct {
	Service string
	Count   int    // of Fallen: how many tasks; Swarm forgets all but the last few that nobody asked about
	Reason  string // with the last task's last words
}

// Volumes looks into the volumes of the stack, and puts decoys there.
type Volumes interface {
	// Manifest lists a whole volume.
	Manifest(ctx context.Context, volume string) (Manifest, error)
	// Decoy creates a file that no backup has, in a directory of a volume;
	// fs.ErrNotExist if there is no such directory.
	Decoy(ctx context.Context, volume, dir, name string) error
}

// A Spoiler damages what a restore has brought back, for mutants. Paths are
// relative to the volume's root.
type Spoiler interface {
	// Truncate cuts files to no bytes.
	Truncate(ctx context.Context, volume string, paths []string) error
	// Remove removes files; those that are not there are no error.
	Remove(ctx context.Context, volume string, paths []string) error
}

// A Manifest lists everything in a volume, sorted by path.
type Manifest []Entry

// Entry is one path of a manifest or of a snapshot.
type Entry struct {
	Path  string    `json:"path"` // relative to the volume's root; "." is the root
	Type  string    `json:"type"` // "file", "dir", "symlink", "socket", "fifo", "device"
	UID   int       `json:"uid"`
	GID   int       `json:"gid"`
	Mode  uint32    `json:"mode"` // permission bits with setuid, setgid, sticky, as in stat(2)
	Size  int64     `json:"size"` // bytes; files only
	MTime time.Time `json:"mtime"`
	Hash  string    `json:"hash,omitempty"` // sha256 of the content, or of a symlink's target; empty in snapshots
}

// A BackupEngine saves what a plan says and brings it back.
type BackupEngine interface {
	// Prepare makes ready what Backup needs, once. Backup does it itself if
	// nobody has; it takes a few seconds, in which something else can go on.
	Prepare(ctx context.Context) error
	// Backup runs the backup pre-hooks, copies every saved path, and runs
	// the post-hooks. An incomplete snapshot is an error.
	Backup(ctx context.Context, p *labels.Plan) (Snapshot, error)
	// Files lists a snapshot, volume by volume.
	Files(ctx context.Context, id string) (map[string]Manifest, error)
	// Restore brings back paths of a snapshot into the volumes of the
	// running app; files that the snapshot lacks stay.
	Restore(ctx context.Context, id string, paths []labels.SavedPath) error
	// Hooks runs the plan's hooks of one kind.
	Hooks(ctx context.Context, p *labels.Plan, kind labels.HookKind) error
}

// Snapshot is one backup, pinned by its id.
type Snapshot struct {
	ID    string `json:"id"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// An InfraError is a fault of the machine under the recipe, not of the
// recipe: engine gone, image not to be had, disk full, task unplaceable. It
// makes `unver`, never `fail`.
type InfraError struct {
	Op   string // what was being done
	Hint string // the next command to type; may be empty
	Err  error
}

func (e *InfraError) Error() string { return fmt.Sprintf("%s: %v", e.Op, e.Err) }
func (e *InfraError) Unwrap() error { return e.Err }

// A DeployError says why a stack did not converge: the recipe's fault.
type DeployError struct {
	Service    string
	Reason     string // last task error, with its last log lines
	RolledBack bool   // Swarm went back to, or stayed with, the old spec
}

func (e *DeployError) Error() string { return fmt.Sprintf("service %s: %s", e.Service, e.Reason) }

type stepLogKey struct{}

// WithStepLog returns a context whose steps write what they do to w.
func WithStepLog(ctx context.Context, w io.Writer) context.Context {
	return context.WithValue(ctx, stepLogKey{}, w)
}

// StepLog is where the current step's log goes; io.Discard outside a step.
// Adapters write to it what they do and what came back.
func StepLog(ctx context.Context) io.Writer {
	if w, ok := ctx.Value(stepLogKey{}).(io.Writer); ok {
		return w
	}
	return io.Discard
}

type waitingKey struct{}

// WithWaiting returns a context in which Waiting calls say.
func WithWaiting(ctx context.Context, say func(string)) context.Context {
	return context.WithValue(ctx, waitingKey{}, say)
}

// Waiting tells whoever watches what the current step waits for.
func Waiting(ctx context.Context, what string) {
	if say, ok := ctx.Value(waitingKey{}).(func(string)); ok {
		say(what)
	}
}
