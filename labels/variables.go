package labels

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/template"
)

// A use is a Use with what became of it.
type use struct {
	Use
	unset bool   // nothing gives it a value
	odd   string // how docker reads it, if that is not how it looks
}

// A place is one string of a compose file.
type place struct {
	path []string // keys; "[2]" for the third of a list
	text string
}

func (p place) key() string {
	return strings.ReplaceAll(strings.Join(p.path, "."), ".[", "[")
}

// label is the name of the label that the string belongs to, "" for others.
func (p place) label() string {
	at := slices.Index(p.path, "labels")
	if len(p.path) < 3 || p.path[0] != "services" || at < 2 || at+2 != len(p.path) {
		return ""
	}
	if last := p.path[at+1]; !strings.HasPrefix(last, "[") {
		return last
	}
	name, _, _ := strings.Cut(p.text, "=")
	return name
}

// vital reports whether a recipe cannot do without the string: an image, a
// name, a mount or a backupbot label.
func (p place) vital() bool {
	if len(p.path) < 3 {
		return false
	}
	last := p.path[len(p.path)-1]
	switch p.path[0] {
	case "services":
		return slices.Contains([]string{"image", "volumes", "configs", "secrets", "env_file"}, p.path[2]) ||
			isBackupKey(p.label())
	case "volumes", "networks", "configs", "secrets":
		return last == "name" || last == "file"
	}
	return false
}

// places are all strings below v, in a stable order.
func places(v any, path []string) []place {
	var out []place
	switch v := v.(type) {
	case string:
		return []place{{path: slices.Clone(path), text: v}}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, places(v[k], append(path, k))...)
		}
	case []any:
		for i, e := range v {
			out = append(out, places(e, append(path, "["+strconv.Itoa(i)+"]"))...)
		}
	}
	return out
}

// reference is docker's own pattern (cli/compose/template). That a name without
// braces may carry a default is docker's too: "$NAME-data" is NAME or "data".
var reference = regexp.MustCompile(`\$(?i:(\$)|([_a-z][_a-z0-9]*(?::?[-?][^}]*)?)|\{([_a-z][_a-z0-9]*(?::?[-?][^}]*)?)\}|())`)

// uses lists the references of a file. The first that leaves something vital
// without its value is an error, and so is one that docker can't read or that
// insists on a value.
func (f *composeFile) uses(env map[string]string) ([]use, error) {
	var all []use
	for _, p := range places(f.dict, nil) {
		if !strings.Contains(p.text, "$") {
			continue
		}
		for _, m := range reference.FindAllStringSubmatch(p.text, -1) {
			if m[1] != "" {
				continue
			}
			u, err := f.use(p, m[2], m[3], env)
			if err != nil {
				return nil, err
			}
			all = append(all, u)
		}
		if err := f.emptied(p, all, env); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f *composeFile) use(p place, named, braced string, env map[string]string) (use, error) {
	u := use{Use: Use{File: f.name, Key: p.key(), Line: f.line(p.path), Label: p.label()}}
	if named+braced == "" {
		return u, f.errorAt(u.Use, "", fmt.Errorf("%q is no reference to a variable; write $$ for a dollar sign", p.text))
	}
	name, op, rest := splitReference(named + braced)
	u.Variable, u.HasDefault = name, op == ":-" || op == "-"
	value, set := env[name]
	switch {
	case !refName.MatchString(name):
		u.odd = fmt.Sprintf("docker reads ${%s} as ${%s} with the default %q", braced, name, rest)
	case named != "" && op != "":
		u.odd = fmt.Sprintf("docker reads $%s as $%s and takes %q for a default", named, name, op+rest)
	}
	if op == ":?" && value == "" || op == "?" && !set {
		return u, f.errorAt(u.Use, name, fmt.Errorf("variable %q has no value: %s", name, rest))
	}
	u.unset = !set && op == ""
	if u.unset && p.vital() {
		return u, f.errorAt(u.Use, name, fmt.Errorf("variable %q has no value", name))
	}
	return u, nil
}

// emptied is an error if a vital place with references is nothing at all once
// these, the last of which are in all, have their values.
func (f *composeFile) emptied(p place, all []use, env map[string]string) error {
	if !p.vital() {
		return nil
	}
	text := p.text
	if strings.HasPrefix(p.path[len(p.path)-1], "[") && p.label() != "" {
		_, text, _ = strings.Cut(text, "=")
	}
	got, err := template.Substitute(text, func(key string) (string, bool) { v, ok := env[key]; return v, ok })
	if err != nil || strings.TrimSpace(got) != "" || text == "" || len(all) == 0 {
		return nil // what can't be substituted, the loader refuses
	}
	last := all[len(all)-1].Use
	return f.errorAt(last, last.Variable, fmt.Errorf("variable %q is empty, and leaves nothing", last.Variable))
}

func (f *composeFile) errorAt(u Use, variable string, err error) error {
	return &SourceError{File: f.name, Line: u.Line, Key: u.Key, Variable: variable, Err: err}
}

var refName = regexp.MustCompile(`^(?i:[_a-z][_a-z0-9]*)$`)

// splitReference takes ${…} apart in the order in which docker tries its
// operators, so that a "-" in the message of ":?" is misread as docker does.
func splitReference(s string) (name, op, rest string) {
	for _, op := range []string{":-", "-", ":?", "?"} {
		if name, rest, ok := strings.Cut(s, op); ok {
			return name, op, rest
		}
	}
	return s, "", ""
}

// useNotices says once for each variable that it has no value, and each time
// that docker reads something else than meets the eye.
func useNotices(all []use) []Notice {
	var notices []Notice
	count, first := map[string]int{}, map[string]Use{}
	var order []string
	for _, u := range all {
		if u.odd != "" {
			notices = append(notices, note("variable-misread", where(u.Use), "%s", u.odd))
		}
		if !u.unset || strings.HasPrefix(u.Key, "x-") {
			continue
		}
		if count[u.Variable]++; count[u.Variable] == 1 {
			order, first[u.Variable] = append(order, u.Variable), u.Use
		}
	}
	for _, name := range order {
		more := ""
		if n := count[name] - 1; n > 0 {
			more = fmt.Sprintf(", and in %d more places", n)
		}
		notices = append(notices, note("unset-variable", where(first[name]), "variable %q has no value here%s", name, more))
	}
	return notices
}

func where(u Use) string {
	if u.Line == 0 {
		return u.File + " " + u.Key
	}
	return fmt.Sprintf("%s:%d %s", u.File, u.Line, u.Key)
}
