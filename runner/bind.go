package runner

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
)

// variable matches ${NAME}, ${SECRET:name}, and $${ which stands for itself.
var variable = regexp.MustCompile(`\$\$\{|\$\{([^}]*)\}`)

// vars are the values that stand for a suite's variables.
type vars map[string]string

// with returns v with one more variable.
func (v vars) with(name, value string) vars {
	w := maps.Clone(v)
	w[name] = value
	return w
}

// expand puts values in the place of variables. An unknown one is an error,
// never the empty string: a check for "" would hold forever.
func (v vars) expand(s string) (string, error) {
	var bad []string
	out := variable.ReplaceAllStringFunc(s, func(m string) string {
		if m == "$${" {
			return "${"
		}
		name := m[2 : len(m)-1]
		value, ok := v[name]
		if !ok {
			bad = append(bad, m)
		}
		return value
	})
	if len(bad) > 0 {
		return "", fmt.Errorf("unknown variable %s", strings.Join(bad, ", "))
	}
	return out, nil
}

// expandStep expands everything in a step that variables may stand in.
func (v vars) expandStep(st Step) (Step, error) {
	var errs []error
	one := func(s string) string {
		out, err := v.expand(s)
		if err != nil {
			errs = append(errs, err)
		}
		return out
	}
	ptr := func(p *string) *string {
		if p == nil {
			return nil
		}
		s := one(*p)
		return &s
	}
	st.Run = slices.Clone(st.Run)
	for i := range st.Run {
		st.Run[i] = one(st.Run[i])
	}
	st.Sh, st.HTTP, st.Stdin = one(st.Sh), one(st.HTTP), one(st.Stdin)
	st.Contains, st.Lacks, st.Equals, st.Matches = ptr(st.Contains), ptr(st.Lacks), ptr(st.Equals), ptr(st.Matches)
	if len(errs) > 0 {
		return st, errs[0]
	}
	return st, nil
}

// steps calls f with every step of the suite and the key where it stands.
func (s *Suite) steps(f func(key string, st Step) error) error {
	type group struct {
		key   string
		steps []Step
	}
	groups := []group{{"deploy.setup", s.Deploy.Setup}}
	for i, p := range s.Probes {
		key := fmt.Sprintf("probe[%d]", i)
		groups = append(groups, group{key + ".seed", p.Seed}, group{key + ".check", p.Check}, group{key + ".wipe", p.Wipe})
	}
	for i, t := range s.Functional {
		groups = append(groups, group{fmt.Sprintf("functional[%d].steps", i), t.Steps})
	}
	for _, g := range groups {
		for i, st := range g.steps {
			if err := f(fmt.Sprintf("%s[%d]", g.key, i), st); err != nil {
				return err
			}
		}
	}
	return nil
}

// Bind checks a suite against the stack that it is for: services, covered
// paths, excluded volumes and variables must all be there.
func (s *Suite) Bind(stack *labels.Stack, known []string) error {
	var services []string
	for _, svc := range stack.Services {
		services = append(services, svc.Name)
	}
	values := vars{"TOKEN": "t"}
	for _, k := range known {
		values[k] = "x"
	}
	err := s.steps(func(key string, st Step) error {
		if !slices.Contains(services, st.Service) {
			return s.wrong(key, fmt.Sprintf("no service %q in the stack", st.Service), "services are: "+strings.Join(services, ", "))
		}
		if _, err := values.expandStep(st); err != nil {
			return s.wrong(key, err.Error(), "known are ${TOKEN} and "+strings.Join(known, ", "))
		}
		if strings.Contains(st.text(), "${TOKEN}") && strings.HasPrefix(key, "deploy") {
			return s.wrong(key, "${TOKEN} is for probes and functional tests", "")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.bindVolumes(stack)
}

func (s *Suite) bindVolumes(stack *labels.Stack) error {
	for i, p := range s.Probes {
		for _, cover := range p.Covers {
			if _, err := coverOf(stack, cover); err != nil {
				return s.wrong(fmt.Sprintf("probe[%d].covers", i), err.Error(), "write service:mount as the compose files have it, such as \"app:/data\"")
			}
		}
	}
	for i, x := range s.Excludes {
		if !slices.Contains(mountedVolumes(stack), x.Volume) {
			return s.wrong(fmt.Sprintf("exclude[%d]", i), fmt.Sprintf("no service mounts a volume %q", x.Volume),
				"volumes are: "+strings.Join(mountedVolumes(stack), ", "))
		}
	}
	return nil
}

// mountedVolumes lists every volume that a service of the stack mounts.
func mountedVolumes(stack *labels.Stack) []string {
	var volumes []string
	for _, svc := range stack.Services {
		for _, m := range svc.Mounts {
			volumes = append(volumes, m.Volume)
		}
	}
	slices.Sort(volumes)
	return slices.Compact(volumes)
}

// A place is a volume and a path in it, relative to its root.
type place struct{ volume, path string }

// coverOf resolves service:path to the volume that is mounted there.
func coverOf(stack *labels.Stack, cover string) (place, error) {
	service, at, ok := strings.Cut(cover, ":")
	if !ok || !path.IsAbs(at) {
		return place{}, fmt.Errorf("%q is not service:/path", cover)
	}
	at = path.Clean(at)
	for _, svc := range stack.Services {
		if svc.Name != service {
			continue
		}
		for _, m := range deepestFirst(svc.Mounts) {
			if rel, ok := within(m.Target, at); ok {
				return place{m.Volume, rel}, nil
			}
		}
		return place{}, fmt.Errorf("%q: service %q mounts no volume there", cover, service)
	}
	return place{}, fmt.Errorf("%q: no service %q in the stack", cover, service)
}

func deepestFirst(mounts []labels.Mount) []labels.Mount {
	mounts = slices.Clone(mounts)
	slices.SortFunc(mounts, func(a, b labels.Mount) int { return len(b.Target) - len(a.Target) })
	return mounts
}

// within returns p relative to root, if it is root or below.
func within(root, p string) (string, bool) {
	root, p = path.Clean(root), path.Clean(p)
	if p == root {
		return ".", true
	}
	if root == "." {
		return p, true
	}
	prefix := strings.TrimSuffix(root, "/") + "/"
	if strings.HasPrefix(p, prefix) {
		return p[len(prefix):], true
	}
	return "", false
}

// touches tells whether a covered place and a saved path share data: one is
// the other, or below it.
func (c place) touches(s labels.SavedPath) bool {
	if c.volume != s.Volume {
		return false
	}
	_, a := within(c.path, s.Path)
	_, b := within(s.Path, c.path)
	return a || b
}

// claims lists the saved paths that a probe's covers promise to prove.
func (p Probe) claims(stack *labels.Stack, saved []labels.SavedPath) []labels.SavedPath {
	var out []labels.SavedPath
	for _, s := range saved {
		for _, cover := range p.Covers {
			if c, err := coverOf(stack, cover); err == nil && c.touches(s) {
				out = append(out, s)
				break
			}
		}
	}
	return out
}

// fits tells whether a probe can be seeded on a stack that may be older than
// its suite: every service it uses and every volume it covers is there.
func (p Probe) fits(stack *labels.Stack) bool {
	for _, st := range slices.Concat(p.Seed, p.Check, p.Wipe) {
		if !slices.ContainsFunc(stack.Services, func(s labels.Service) bool { return s.Name == st.Service }) {
			return false
		}
	}
	for _, cover := range p.Covers {
		if _, err := coverOf(stack, cover); err != nil {
			return false
		}
	}
	return true
}

// excludedVolumes are the volumes that the suite excludes whole, with reasons.
func (s *Suite) excludedVolumes() map[string]string {
	out := map[string]string{}
	for _, x := range s.Excludes {
		if x.Path == "" || x.Path == "." {
			out[x.Volume] = x.Reason
		}
	}
	return out
}

// excludes tells whether a path of a volume need not be saved.
func (s *Suite) excludes(volume, p string) bool {
	for _, x := range s.Excludes {
		if x.Volume != volume {
			continue
		}
		if x.Path == "" {
			return true
		}
		if _, ok := within(x.Path, p); ok {
			return true
		}
	}
	return false
}
