package labels

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/template"
	"github.com/docker/cli/pkg/kvfile"
	"gopkg.in/yaml.v3"
)

// maxComposeFile bounds a compose or env file, in bytes.
const maxComposeFile = 1 << 20

// A composeFile is one file as parsed: once as docker sees it, and once with
// the lines of its keys, for errors.
type composeFile struct {
	name string
	dict map[string]any
	node *yaml.Node
}

func readCompose(files fs.FS, name string) (*composeFile, error) {
	data, err := readRecipeFile(files, name)
	if err != nil {
		return nil, err
	}
	f := &composeFile{name: name, node: &yaml.Node{}}
	if err = yaml.Unmarshal(data, f.node); err == nil {
		err = boundAliases(f.node)
	}
	if err == nil {
		f.dict, err = parseYAML(data)
	}
	if err != nil {
		return nil, f.locate(err)
	}
	return f, nil
}

// maxExpanded bounds what a compose file is with every alias written out, in
// bytes of its texts and in values. The YAML library counts values only, and a
// long text that is named a thousandfold is copied as often.
const maxExpanded = 4 * maxComposeFile

// boundAliases refuses a file that aliases make too large.
func boundAliases(n *yaml.Node) error {
	if size := expanded(n, map[*yaml.Node]int{}); size > maxExpanded {
		return fmt.Errorf("aliases make the file larger than %d bytes", maxExpanded)
	}
	return nil
}

// expanded is the size of a node with its aliases written out, or anything
// above maxExpanded. One that holds itself is too large.
func expanded(n *yaml.Node, known map[*yaml.Node]int) int {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if size, ok := known[n]; ok {
		return size
	}
	known[n] = maxExpanded + 1 // until it is known
	size := 1 + len(n.Value)
	for _, c := range n.Content {
		if size += expanded(c, known); size > maxExpanded {
			return size
		}
	}
	known[n] = size
	return size
}

// parseYAML is the loader's, which may panic on what is no compose file.
func parseYAML(data []byte) (dict map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			dict, err = nil, fmt.Errorf("not YAML: %v", p)
		}
	}()
	return loader.ParseYAML(data)
}

func readRecipeFile(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &SourceError{File: name, Err: errors.New("no such file in the recipe")}
	case err != nil:
		return nil, &SourceError{File: name, Err: plainPathError(err)}
	case !info.Mode().IsRegular():
		return nil, &SourceError{File: name, Err: errors.New("not a file")}
	case info.Size() > maxComposeFile:
		return nil, &SourceError{File: name, Err: fmt.Errorf("larger than %d bytes", maxComposeFile)}
	}
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, &SourceError{File: name, Err: plainPathError(err)}
	}
	return data, nil
}

// plainPathError leaves out the path, which the SourceError names already.
func plainPathError(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

var (
	yamlLine   = regexp.MustCompile(`line (\d+): ?`)
	composeKey = regexp.MustCompile(`\b(?:services|volumes|networks|configs|secrets)\.[^\s:]+`)
)

// locate finds out from the words of a YAML or loader error where it is.
func (f *composeFile) locate(err error) error {
	text := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors: ")
	e := &SourceError{File: f.name}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		text = strings.Replace(text, m[0], "", 1)
	} else if key := composeKey.FindString(text); key != "" {
		e.Line = f.line(strings.Split(key, "."))
		if rest, ok := strings.CutPrefix(text, key+" "); ok {
			e.Key, text = key, rest
		}
	}
	e.Err = errors.New(text)
	return e
}

// line is where the value at path is, or its nearest parent; 0 if unknown.
func (f *composeFile) line(path []string) int {
	line := 0
	n := f.node
	if n != nil && n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, key := range path {
		key, n = strings.Trim(key, "[]"), dealias(n)
		at := child(n, key)
		if at == nil {
			break
		}
		n, line = at, at.Line
	}
	return line
}

func dealias(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// child is the value at a key of a mapping, merged ones included, or at an
// index of a sequence.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	var merged *yaml.Node
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		switch n.Content[i].Value {
		case key:
			return n.Content[i+1]
		case "<<":
			merged = childOfMerge(dealias(n.Content[i+1]), key)
		}
	}
	return merged
}

func childOfMerge(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return child(n, key)
	}
	for _, c := range n.Content {
		if at := child(dealias(c), key); at != nil {
			return at
		}
	}
	return nil
}

// inlineEnvFiles puts the contents of each service's env_file under its
// environment, where docker would put them, so that the loader has no file to
// read: it would read any file of this machine.
func (f *composeFile) inlineEnvFiles(src Source) error {
	services, _ := f.dict["services"].(map[string]any)
	for name, s := range services {
		service, _ := s.(map[string]any)
		if service["env_file"] == nil {
			delete(service, "env_file")
			continue
		}
		if err := inlineEnvFile(src, service); err != nil {
			key := "services." + name + ".env_file"
			return &SourceError{File: f.name, Line: f.line(strings.Split(key, ".")), Key: key, Err: err}
		}
	}
	return nil
}

func inlineEnvFile(src Source, service map[string]any) error {
	listed := service["env_file"]
	delete(service, "env_file")
	if one, ok := listed.(string); ok {
		listed = []any{one}
	}
	list, ok := listed.([]any)
	if !ok {
		return errors.New("must be a string or a list")
	}
	vars := map[string]any{}
	for _, item := range list {
		name, ok := item.(string)
		if !ok {
			return errors.New("must be a string or a list of strings")
		}
		if err := readEnvFile(src, name, vars); err != nil {
			return err
		}
	}
	own, ok := environment(service["environment"])
	if !ok {
		return nil // the schema refuses it
	}
	maps.Copy(vars, own)
	service["environment"] = vars
	return nil
}

func readEnvFile(src Source, name string, vars map[string]any) error {
	lookup := func(key string) (string, bool) { v, ok := src.Env[key]; return v, ok }
	name, err := template.Substitute(name, lookup)
	if err != nil {
		return err
	}
	clean := path.Clean(name)
	if !fs.ValidPath(clean) {
		return fmt.Errorf("%q is outside the recipe", name)
	}
	data, err := readRecipeFile(src.Files, clean)
	if err != nil {
		return err
	}
	lines, err := kvfile.ParseFromReader(bytes.NewReader(data), lookup)
	if err != nil {
		return &SourceError{File: clean, Err: err}
	}
	for _, l := range lines {
		key, value, _ := strings.Cut(l, "=")
		vars[key] = strings.ReplaceAll(value, "$", "$$") // what is in an env file is not interpolated
	}
	return nil
}

// environment reads a service's environment in either syntax.
func environment(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case map[string]any:
		return v, true
	case []any:
		m := map[string]any{}
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, false
			}
			key, value, has := strings.Cut(text, "=")
			m[key] = value
			if !has {
				m[key] = nil
			}
		}
		return m, true
	}
	return nil, false
}
