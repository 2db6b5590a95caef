package labels

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	composetypes "github.com/docker/cli/cli/compose/types"
)

// A Source is what a stack is resolved from.
type Source struct {
	Dir   string            // what relative `file:` paths are made absolute against; never read
	Files fs.FS             // the recipe's files; nothing else is read
	Env   map[string]string // the app's env: COMPOSE_FILE, STACK_NAME, …
}

// A SourceError says where in a recipe something is wrong.
type SourceError struct {
	File     string
	Line     int    // 0 if not known
	Key      string // path of keys: "services.app.image"; may be empty
	Variable string // the variable without value that caused it; may be empty
	Err      error
}

func (e *SourceError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	return b.String() + ": " + e.Err.Error()
}

func (e *SourceError) Unwrap() error { return e.Err }

// Hint is what to do about it.
func (e *SourceError) Hint() string {
	if e.Variable != "" {
		return fmt.Sprintf("give %s a value in .env.sample, or write ${%s:-default}", e.Variable, e.Variable)
	}
	if e.File == "COMPOSE_FILE" {
		return "COMPOSE_FILE in .env.sample lists files of the recipe, separated by colons"
	}
	return ""
}

// Resolve loads the compose files that COMPOSE_FILE names (compose.yml by
// default) with docker/cli's loader, as abra and `docker stack deploy` do, and
// returns what a reader of the running services would see.
//
// Docker turns a variable without value into nothing and says so at most in
// passing. Here it is an error where it empties an image, a name, a mount or a
// backupbot label, and a warning elsewhere. All errors about the recipe are of
// type *SourceError.
func Resolve(src Source) (*Stack, []Notice, error) {
	names, err := composeFiles(src.Env)
	if err != nil {
		return nil, nil, err
	}
	var files []*composeFile
	var seen []use
	for _, name := range names {
		f, err := readCompose(src.Files, name)
		if err != nil {
			return nil, nil, err
		}
		uses, err := f.uses(src.Env)
		if err != nil {
			return nil, nil, err
		}
		seen = append(seen, uses...)
		if err := f.inlineEnvFiles(src); err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	cfg, err := load(src, files)
	if err != nil {
		return nil, nil, err
	}
	stack, err := stackOf(cfg)
	if err != nil {
		return nil, nil, err
	}
	stack.Name, stack.Dir, stack.Env = src.Env["STACK_NAME"], src.Dir, maps.Clone(src.Env)
	for _, u := range seen {
		stack.Uses = append(stack.Uses, u.Use)
	}
	return stack, useNotices(seen), nil
}

// composeFiles are the files that COMPOSE_FILE lists, in order.
func composeFiles(env map[string]string) ([]string, error) {
	list := env["COMPOSE_FILE"]
	if list == "" {
		list = "compose.yml"
	}
	var names []string
	for _, name := range strings.Split(list, ":") {
		if name == "" {
			return nil, &SourceError{File: "COMPOSE_FILE", Err: fmt.Errorf("empty file name in %q", list)}
		}
		clean := path.Clean(name)
		if !fs.ValidPath(clean) || clean == "." {
			return nil, &SourceError{File: "COMPOSE_FILE", Err: fmt.Errorf("%q is outside the recipe", name)}
		}
		names = append(names, clean)
	}
	return names, nil
}

// stackOf reads services and volumes out of a loaded configuration.
func stackOf(cfg *composetypes.Config) (*Stack, error) {
	s := &Stack{Compose: cfg, Volumes: slices.Sorted(maps.Keys(cfg.Volumes))}
	for _, c := range cfg.Services {
		mounts, err := mountsOf(cfg, c)
		if err != nil {
			return nil, &SourceError{File: cfg.Filename, Key: "services." + c.Name + ".volumes", Err: err}
		}
		s.Services = append(s.Services, Service{
			Name: c.Name, Image: c.Image, Mounts: mounts, Targets: targetsOf(c),
			Labels: maps.Clone(c.Deploy.Labels), ContainerLabels: maps.Clone(c.Labels),
		})
	}
	return s, nil
}

func mountsOf(cfg *composetypes.Config, c composetypes.ServiceConfig) ([]Mount, error) {
	var mounts []Mount
	for _, v := range c.Volumes {
		if v.Type != "volume" || v.Source == "" {
			continue // binds, tmpfs and anonymous volumes are no part of an app's backup
		}
		top, ok := cfg.Volumes[v.Source]
		if !ok {
			return nil, fmt.Errorf("no volume %q at top level", v.Source)
		}
		if !path.IsAbs(v.Target) {
			return nil, fmt.Errorf("volume %q is mounted at %q, which is not an absolute path", v.Source, v.Target)
		}
		m := Mount{Volume: v.Source, Target: path.Clean(v.Target), ReadOnly: v.ReadOnly, External: top.External.External}
		if v.Volume != nil && v.Volume.Subpath != "" {
			// The engine refuses these, too, but the plan is made before it is asked.
			if !filepath.IsLocal(v.Volume.Subpath) {
				return nil, fmt.Errorf("the folder %q is not in volume %q", v.Volume.Subpath, v.Source)
			}
			// A label is refused a path like that, and must not get one through its mount.
			if strings.ContainsFunc(v.Volume.Subpath, unicode.IsControl) {
				return nil, fmt.Errorf("the folder %q of volume %q has a control character in its name", v.Volume.Subpath, v.Source)
			}
			m.Subpath = path.Clean(v.Volume.Subpath)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// targetsOf are the paths of configs and secrets in a service's containers.
func targetsOf(c composetypes.ServiceConfig) []string {
	var targets []string
	for _, o := range c.Configs {
		targets = append(targets, objectTarget("/", composetypes.FileReferenceConfig(o)))
	}
	for _, o := range c.Secrets {
		targets = append(targets, objectTarget("/run/secrets", composetypes.FileReferenceConfig(o)))
	}
	slices.Sort(targets)
	return targets
}

// objectTarget is where the engine puts a config or secret.
func objectTarget(root string, o composetypes.FileReferenceConfig) string {
	target := o.Target
	if target == "" {
		target = o.Source
	}
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join(root, target)
}
