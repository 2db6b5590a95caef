package swarm

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/docker/cli/cli/compose/convert"
	composetypes "github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/swarm"
)

// A checkout is where a recipe's `file:` paths lead. A recipe is data: without
// leave, no path gets out of it, not by "..", not by a symlink.
type checkout struct {
	dir      string
	anywhere bool
}

// read returns a file's content.
func (c checkout) read(path string) ([]byte, error) {
	full := path
	if !filepath.IsAbs(path) {
		full = filepath.Join(c.dir, path)
	}
	if c.anywhere {
		return os.ReadFile(full)
	}
	rel, err := filepath.Rel(c.dir, full)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%q leaves the recipe's folder", path)
	}
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := root.ReadFile(rel)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", rel, err)
	}
	return data, nil
}

// configs reads the stack's own configs, sorted by name.
func (c checkout) configs(ns convert.Namespace, configs map[string]composetypes.ConfigObjConfig) ([]swarm.ConfigSpec, error) {
	var out []swarm.ConfigSpec
	for key, cfg := range configs {
		if cfg.External.External {
			continue
		}
		data, err := c.read(cfg.File)
		if err != nil {
			return nil, fmt.Errorf("config %s: %w", key, err)
		}
		out = append(out, swarm.ConfigSpec{
			Annotations: annotations(ns, key, composetypes.FileObjectConfig(cfg)),
			Data:        data,
			Templating:  driver(cfg.TemplateDriver),
		})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// secrets reads the stack's own secrets, sorted by name; those of recipes are
// external as a rule, and generated.
func (c checkout) secrets(ns convert.Namespace, secrets map[string]composetypes.SecretConfig) ([]swarm.SecretSpec, error) {
	var out []swarm.SecretSpec
	for key, cfg := range secrets {
		if cfg.External.External {
			continue
		}
		spec := swarm.SecretSpec{
			Annotations: annotations(ns, key, composetypes.FileObjectConfig(cfg)),
			Templating:  driver(cfg.TemplateDriver),
		}
		if cfg.Driver != "" {
			spec.Driver = &swarm.Driver{Name: cfg.Driver, Options: cfg.DriverOpts}
		} else {
			data, err := c.read(cfg.File)
			if err != nil {
				return nil, fmt.Errorf("secret %s: %w", key, err)
			}
			spec.Data = data
		}
		out = append(out, spec)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func annotations(ns convert.Namespace, key string, obj composetypes.FileObjectConfig) swarm.Annotations {
	name := obj.Name
	if name == "" {
		name = ns.Scope(key)
	}
	labels := map[string]string{}
	for k, v := range obj.Labels {
		labels[k] = v
	}
	return swarm.Annotations{Name: name, Labels: convert.AddStackLabel(ns, labels)}
}

func driver(name string) *swarm.Driver {
	if name == "" {
		return nil
	}
	return &swarm.Driver{Name: name}
}
