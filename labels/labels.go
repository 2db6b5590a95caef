// Package labels reads a recipe's compose files and says what its backupbot
// labels really make a backup tool save. It is pure: bytes in, values out.
// Nothing of a recipe is executed, and no file is read but from the fs.FS given.
// Many recipes may be read at a time.
//
//	env, err := labels.ParseEnv(".env.sample", data)
//	stack, notices, err := labels.Resolve(labels.Source{Dir: dir, Files: files, Env: env.Map()})
//	plan := labels.PlanOf(stack)
//	for _, path := range plan.Saved() { … }
//	head := labels.Subject{Stack: stack, Plan: plan, Sample: env, Files: files, Excluded: reasons}
//	notices = append(notices, labels.Check(head)...)
//	notices = append(notices, labels.CheckAgainst(base, head)...)
//	changes := labels.Diff(base, head)
//
// # Two dialects
//
// The specification has backupbot.backup=true on one service, which enables
// the stack with all its volumes, and volumes.<v>=false, volumes.<v>.path and
// hooks to say more. An older form, still in use, is a container path in
// backupbot.backup.path on the service that mounts it. PlanOf reads both, and
// plans what saves less where they differ.
//
// # Notices
//
// A Notice is an error if data can be lost, else a warning. Kinds lists all
// ids with their advice. Three sources make them: Resolve (variables without a
// value), Check (one version by itself) and CheckAgainst (a version against
// its base). A volume that a service mounts is durable until the suite
// excludes it with a reason; a label alone is no reason.
//
// Names, paths and texts in what this package returns come from the recipe.
// They are not fit for a terminal or Markdown as they are.
package labels

import (
	"path"

	composetypes "github.com/docker/cli/cli/compose/types"
)

// A Stack is what a reader of the running services would see of one
// deployment: services with their deploy labels and mounts. Resolve makes one
// from compose files; a deployer makes one from the services of an engine, so
// that both can be planned and compared.
type Stack struct {
	Name     string    // STACK_NAME; volumes and services are named without it here
	Services []Service // sorted by name
	Volumes  []string  // every volume declared at top level, sorted

	// What Resolve made the stack from; empty for one read back from an
	// engine. Compose is the loaded and merged configuration, Dir and Env are
	// Source's, Uses are all references to variables in the compose files.
	Compose *composetypes.Config
	Dir     string
	Env     map[string]string
	Uses    []Use
}

// A Use is one place where a compose file refers to a variable.
type Use struct {
	File, Key  string // "compose.yml", "services.app.image"
	Line       int    // 0 if not known
	Label      string // the label whose text it is in, "" elsewhere
	Variable   string
	HasDefault bool // ${X:-default} or ${X-default}
}

// Service is one service of a stack.
type Service struct {
	Name            string
	Image           string
	Labels          map[string]string // deploy.labels: the ones that backup tools read
	ContainerLabels map[string]string // labels: only on the container, never read
	Mounts          []Mount           // named volumes, in order of declaration
	Targets         []string          // where configs and secrets are mounted (absolute paths), sorted
}

// Mount is a named volume mounted in a service.
type Mount struct {
	Volume   string // compose name, without the stack's
	Target   string // absolute path in the container, cleaned
	Subpath  string // the folder of the volume that is mounted; "" for all of it
	ReadOnly bool
	External bool // the volume belongs to another stack
}

// A Plan is what the labels really make a backup tool save and restore.
type Plan struct {
	Enabled bool         `json:"enabled"` // any service has backupbot.backup=true
	Volumes []VolumePlan `json:"volumes"` // every volume that a service mounts, sorted by name
	Hooks   []Hook       `json:"hooks"`   // sorted by service, then kind; none unless enabled
}

// VolumePlan is one volume's row of a plan.
type VolumePlan struct {
	Volume string       `json:"volume"`
	Mounts []MountPoint `json:"mounts"` // who mounts it where
	Saved  bool         `json:"saved"`
	Paths  []string     `json:"paths,omitempty"` // relative to the volume's root, sorted; ["."] is the whole volume
	Label  string       `json:"label,omitempty"` // service and label that save it, or that exclude it ("admin backupbot.backup.path=/data")
	Why    string       `json:"why,omitempty"`   // if not saved: why, in words

	// Differs tells, in words, what another reading of the labels would save
	// of this volume; empty if all readings agree. See PlanOf.
	Differs string `json:"differs,omitempty"`
}

// MountPoint is a place where a volume is mounted.
type MountPoint struct {
	Service  string `json:"service"`
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// HookKind says when a hook runs.
type HookKind string

// The four hooks of the backup specification.
const (
	BackupPre   HookKind = "backup.pre-hook"
	BackupPost  HookKind = "backup.post-hook"
	RestorePre  HookKind = "restore.pre-hook"
	RestorePost HookKind = "restore.post-hook"
)

// A Hook is a shell command that runs as `sh -c` in a current task of Service.
type Hook struct {
	Service string   `json:"service"`
	Kind    HookKind `json:"kind"`
	Command string   `json:"command"`
}

// A SavedPath is one thing that a plan saves: a volume, or a path in one. It
// is the unit of restore, of coverage and of proof.
type SavedPath struct {
	Volume string // compose name
	Path   string // relative to the volume's root; "." is the whole volume

	// Service and Mount are the first service (by name) that mounts the
	// volume writably, and where: how people write the path ("imap:/mail").
	Service, Mount string
	Label          string // what saves it
}

// String writes the path as a suite's covers does: service:mount[/path].
func (s SavedPath) String() string { return s.Service + ":" + path.Join(s.Mount, s.Path) }

// Severity of a notice.
type Severity string

// An error notice means that data can be lost; a warning, that only the
// specification or good custom is hurt.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Notice is a static remark on labels or recipe.
type Notice struct {
	ID       string   `json:"id"` // stable, kebab-case: "unknown-key"
	Severity Severity `json:"severity"`
	Where    string   `json:"where"`  // "admin backupbot.backup.path", "volume dkim", "compose.yml"
	Text     string   `json:"text"`   // what is wrong
	Advice   string   `json:"advice"` // one line: what to do
}

// A Change is one semantic difference between two plans or their labels.
type Change struct {
	Kind string `json:"kind"` // "label", "volume", "hook", "notice"
	Op   string `json:"op"`   // "added", "removed", "changed"
	What string `json:"what"` // "admin backupbot.backup", "dkim", …
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	Text string `json:"text"` // the change in words
}
