package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/docker/cli/cli/compose/loader"
	composetypes "github.com/docker/cli/cli/compose/types"
)

// maxFile bounds a file that is read whole, in bytes.
const maxFile = 1 << 20

// A subject is what all rules look at, read once.
type subject struct {
	Input
	files fs.FS
	raw   []composeFile // every compose*.yml, compose.yml first

	config    *composetypes.Config // all of them merged
	configErr error                // why config is nil
}

type composeFile struct {
	name string
	dict map[string]any
}

func newSubject(in Input) *subject {
	s := &subject{Input: in, files: in.Checkout.Files()}
	if s.raw, s.configErr = readCompose(s.files); s.configErr != nil {
		return s
	}
	// STACK_NAME comes from a DOMAIN that a sample may leave empty.
	s.config, s.configErr = merge(s.raw, in.Checkout.DeployEnv(in.Checkout.Sample))
	return s
}

func readCompose(files fs.FS) ([]composeFile, error) {
	names, err := fs.Glob(files, "compose*.yml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("there is no compose.yml")
	}
	if i := slices.Index(names, "compose.yml"); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, "compose.yml")
	}
	var all []composeFile
	for _, name := range names {
		data, err := readFile(files, name)
		if err != nil {
			return nil, err
		}
		dict, err := parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, plain(err))
		}
		all = append(all, composeFile{name, dict})
	}
	return all, nil
}

func readFile(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, withoutPath(err))
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s: not a file, or larger than %d bytes", name, maxFile)
	}
	return fs.ReadFile(files, name)
}

// withoutPath leaves out the path, which the caller names.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// parse is the loader's, which panics on some documents.
func parse(data []byte) (dict map[string]any, err error) {
	defer func() {
		if p := recover(); p != nil {
			dict, err = nil, fmt.Errorf("no compose file: %v", p)
		}
	}()
	return loader.ParseYAML(data)
}

// merge loads all files into one configuration. No file is opened for it:
// env_file, which the loader would read from anywhere on this machine, is left out,
// as no rule is about it.
func merge(raw []composeFile, env map[string]string) (cfg *composetypes.Config, err error) {
	defer func() {
		if p := recover(); p != nil {
			cfg, err = nil, fmt.Errorf("no compose files: %v", p)
		}
	}()
	details := composetypes.ConfigDetails{WorkingDir: "/", Environment: env}
	for _, f := range raw {
		details.ConfigFiles = append(details.ConfigFiles, composetypes.ConfigFile{Filename: f.name, Config: withoutEnvFile(f.dict)})
	}
	cfg, err = loader.Load(details)
	if err != nil {
		var names []string
		for _, f := range raw {
			names = append(names, f.name)
		}
		return nil, fmt.Errorf("%s do not load together: %w", strings.Join(names, ", "), plain(err))
	}
	slices.SortFunc(cfg.Services, func(a, b composetypes.ServiceConfig) int { return strings.Compare(a.Name, b.Name) })
	return cfg, nil
}

func withoutEnvFile(dict map[string]any) map[string]any {
	services, ok := dict["services"].(map[string]any)
	if !ok {
		return dict
	}
	dict, services = maps.Clone(dict), maps.Clone(services)
	for name, s := range services {
		if service, ok := s.(map[string]any); ok {
			service = maps.Clone(service)
			delete(service, "env_file")
			services[name] = service
		}
	}
	dict["services"] = services
	return dict
}

// plain puts an error's text on one line, without what could steer a
// terminal: a result is a row of a table.
func plain(err error) error {
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return '?'
		}
		return r
	}, err.Error())
	return errors.New(strings.Join(strings.Fields(text), " "))
}
