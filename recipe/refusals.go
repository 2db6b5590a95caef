package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	composetypes "github.com/docker/cli/cli/compose/types"

	"coopcloud.tech/abra-ccci/labels"
)

// A Refusal is something in a recipe that reaches beyond its own stack: into
// the machine beneath, or into what belongs to other apps.
type Refusal struct {
	Key   string // stable, for --allow: "bind:app:/srv/data"; safe to type in a shell
	Where string // "service app", "volume data"
	What  string // what is refused, in words
}

// Refusals lists everything of that kind in a stack, sorted by key. dir is the
// checkout that it was resolved from: files of configs and secrets must be in
// it. env_file is not among them, as labels.Resolve never reads one that is
// outside.
//
// All of it is found in the merged configuration, which holds every property of the
// compose files: also those that a swarm ignores (privileged, devices, pid),
// as a recipe that asks for them was not written for a swarm.
func Refusals(stack *labels.Stack, dir string) []Refusal {
	cfg := stack.Compose
	if cfg == nil {
		return []Refusal{{Key: "unresolved", Where: "stack", What: "there are no compose files to look at"}}
	}
	r := &refuser{stack: stack.Name, dir: dir}
	for _, s := range cfg.Services {
		r.service(s)
		for _, m := range s.Volumes {
			r.mount(s.Name, m)
		}
	}
	for name, v := range cfg.Volumes {
		r.volume(name, v)
	}
	for name, n := range cfg.Networks {
		r.network(name, n)
	}
	for name, s := range cfg.Secrets {
		r.object("secret", name, composetypes.FileObjectConfig(s))
	}
	for name, c := range cfg.Configs {
		r.object("config", name, composetypes.FileObjectConfig(c))
	}
	slices.SortFunc(r.found, func(a, b Refusal) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(r.found, func(a, b Refusal) bool { return a.Key == b.Key })
}

type refuser struct {
	stack, dir string
	found      []Refusal
}

// add notes a refusal; its key is kind:name, or kind:name:detail. What is the
// run's own in the detail (its folder, its stack's name) would be another in
// the next run, and is left out of the key.
func (r *refuser) add(kind, where, name, detail, what string, args ...any) {
	key := kind + ":" + keyPart(name)
	if detail != "" {
		detail = strings.Replace(detail, r.dir+"/", "./", 1)
		if r.stack != "" {
			detail = strings.Replace(detail, r.stack, "STACK", 1)
		}
		key += ":" + keyPart(detail)
	}
	r.found = append(r.found, Refusal{Key: key, Where: where + " " + name, What: fmt.Sprintf(what, args...)})
}

// keyPart writes s so that a shell, a terminal and a person can take it: bytes that
// could mean something to one of them become %XX.
func keyPart(s string) string {
	const plain = lower + upper + digits + "._/@+=-"
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

func (r *refuser) service(s composetypes.ServiceConfig) {
	if s.Privileged {
		r.add("privileged", "service", s.Name, "", "runs privileged")
	}
	for _, c := range s.CapAdd {
		r.add("cap-add", "service", s.Name, c, "gets the capability %q", c)
	}
	for _, d := range s.Devices {
		r.add("device", "service", s.Name, d, "gets the device %q", d)
	}
	for _, o := range s.SecurityOpt {
		r.add("security-opt", "service", s.Name, o, "changes the confinement: %q", o)
	}
	modes := map[string]string{
		"network-mode": s.NetworkMode, "pid": s.Pid, "ipc": s.Ipc, "userns": s.UserNSMode,
		"cgroup": s.CgroupParent, "cgroupns": s.CgroupNSMode,
		"credential-spec": s.CredentialSpec.File + s.CredentialSpec.Registry + s.CredentialSpec.Config,
	}
	for _, kind := range slices.Sorted(maps.Keys(modes)) {
		if mode := modes[kind]; mode != "" {
			r.add(kind, "service", s.Name, mode, "runs with %s %q", kind, mode)
		}
	}
	if l := s.Logging; l != nil && !slices.Contains([]string{"", "json-file", "local", "none"}, l.Driver) {
		r.add("log-driver", "service", s.Name, l.Driver, "makes the engine send its logs with %q", l.Driver)
	}
}

func (r *refuser) mount(service string, m composetypes.ServiceVolumeConfig) {
	switch m.Type {
	case "volume", "tmpfs":
	case "bind":
		if strings.HasSuffix(m.Source, "docker.sock") {
			r.add("docker-socket", "service", service, m.Source, "gets the Docker socket %q, and with it the whole machine", m.Source)
			return
		}
		r.add("bind", "service", service, m.Source, "mounts %q of the host", m.Source)
	default:
		r.add("mount", "service", service, m.Type, "has a mount of type %q", m.Type)
	}
}

func (r *refuser) volume(name string, v composetypes.VolumeConfig) {
	if v.Driver != "" && v.Driver != "local" {
		r.add("volume-driver", "volume", name, v.Driver, "is made by the driver %q", v.Driver)
	}
	r.driverOpts("volume", name, v.DriverOpts)
	r.foreign("volume", name, v.Name, v.External.External)
}

func (r *refuser) network(name string, n composetypes.NetworkConfig) {
	if n.External.External && n.Name == "proxy" {
		return // the run puts a network of its own in its place
	}
	if n.Driver != "" && n.Driver != "overlay" {
		r.add("network-driver", "network", name, n.Driver, "is made by the driver %q", n.Driver)
	}
	r.driverOpts("network", name, n.DriverOpts)
	r.foreign("network", name, n.Name, n.External.External)
}

// object is a secret or a config.
func (r *refuser) object(kind, name string, o composetypes.FileObjectConfig) {
	if o.Driver != "" {
		r.add(kind+"-driver", kind, name, o.Driver, "is made by the driver %q", o.Driver)
	}
	r.driverOpts(kind, name, o.DriverOpts)
	if kind == "secret" && o.External.External && strings.HasPrefix(o.Name, r.stack+"_") {
		return // the run creates it
	}
	r.foreign(kind, name, o.Name, o.External.External)
	if o.File != "" && !o.External.External && o.Driver == "" {
		if why := leaves(r.dir, o.File); why != "" {
			r.add(kind+"-file", kind, name, "", "is read from %q, which %s", o.File, why)
		}
	}
}

func (r *refuser) driverOpts(kind, name string, opts map[string]string) {
	if len(opts) > 0 {
		r.add(kind+"-driver-opts", kind, name, "", "has driver_opts (%s)", quoteList(slices.Sorted(maps.Keys(opts))))
	}
}

// foreign refuses what exists outside the stack, or is named as if it did.
func (r *refuser) foreign(kind, name, explicit string, external bool) {
	switch {
	case external:
		r.add("external-"+kind, kind, name, explicit, "is external: %q is not the run's", explicit)
	case explicit != "" && !strings.HasPrefix(explicit, r.stack+"_"):
		r.add("named-"+kind, kind, name, explicit, "is named %q, outside the stack", explicit)
	}
}

// leaves says why a file is not one of the checkout's; "" if it is, or is not
// there at all.
func leaves(dir, file string) string {
	rel, err := filepath.Rel(dir, file)
	if err != nil {
		return "is outside the recipe"
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "cannot be looked at: " + err.Error()
	}
	defer root.Close()
	info, err := root.Stat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return "leads out of the recipe, or cannot be read"
	case !info.Mode().IsRegular():
		return "is no file"
	}
	return ""
}

func quoteList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(quoted, ", ")
}

// A RefusedError lists what was refused and not allowed.
type RefusedError struct{ Refusals []Refusal }

func (e *RefusedError) Error() string {
	texts := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		texts[i] = fmt.Sprintf("%s %s", printable(r.Where), r.What)
	}
	return "refused before anything runs: " + strings.Join(texts, "; ")
}

// Hint is how to allow it.
func (e *RefusedError) Hint() string {
	var b strings.Builder
	b.WriteString("if you trust the recipe with that:")
	for _, r := range e.Refusals {
		b.WriteString(" --allow " + r.Key)
	}
	return b.String()
}

// Refused is nil if allow names the key of every refusal, else a
// *RefusedError with the others.
func Refused(refs []Refusal, allow []string) error {
	var left []Refusal
	for _, r := range refs {
		if !slices.Contains(allow, r.Key) {
			left = append(left, r)
		}
	}
	if len(left) > 0 {
		return &RefusedError{Refusals: left}
	}
	return nil
}

// printable replaces what could steer a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if hasControl(string(c)) {
			return '?'
		}
		return c
	}, s)
}
