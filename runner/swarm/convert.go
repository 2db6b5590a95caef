package swarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/docker/cli/cli/compose/convert"
	composetypes "github.com/docker/cli/cli/compose/types"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
)

// A blueprint is all that a deployment puts on the engine, with names where
// the engine has ids, and without the run's own labels. It is made without
// asking the engine, so equal blueprints deploy the same.
type blueprint struct {
	networks map[string]network.CreateOptions // by full name
	outside  []string                         // external networks
	configs  []swarm.ConfigSpec
	secrets  []swarm.SecretSpec
	services map[string]swarm.ServiceSpec // by compose name
	specs    map[string]string            // digest of all of a service

	deviations []string
}

// apiVersion is the oldest that this package speaks, and what specs are made for.
const apiVersion = "1.41"

// Convert implements runner.Deployer.
func (a *App) Convert(d *runner.Deployment) (map[string]string, error) {
	bp, err := a.draw(d)
	if err != nil {
		return nil, err
	}
	return bp.specs, nil
}

// draw converts a deployment as `docker stack deploy` does.
func (a *App) draw(d *runner.Deployment) (*blueprint, error) {
	if d.Stack == nil || d.Stack.Compose == nil {
		return nil, fmt.Errorf("stack %q has no compose configuration", a.Stack)
	}
	if d.Stack.Name != a.Stack {
		return nil, fmt.Errorf("stack is %q, but this app is %q", d.Stack.Name, a.Stack)
	}
	cfg, deviations := a.adapt(d.Stack.Compose, d.Publish)
	bp := &blueprint{deviations: deviations}
	ns := convert.NewNamespace(a.Stack)
	checkout := checkout{dir: d.Dir, anywhere: a.AllowPaths}
	var err error
	if bp.configs, err = checkout.configs(ns, cfg.Configs); err != nil {
		return nil, err
	}
	if bp.secrets, err = checkout.secrets(ns, cfg.Secrets); err != nil {
		return nil, err
	}
	bp.networks, bp.outside = convert.Networks(ns, cfg.Networks, usedNetworks(cfg.Services))
	bp.services, err = convert.Services(context.Background(), ns, cfg, contents(bp.configs))
	if err != nil {
		return nil, err
	}
	a.Limits.boundAll(bp)
	bp.specs = make(map[string]string, len(bp.services))
	for name, spec := range bp.services {
		sortReferences(spec.TaskTemplate.ContainerSpec)
		bp.specs[name] = specDigest(spec, bp.networks)
	}
	return bp, nil
}

// adapt returns a copy of cfg that can stand beside other runs and on this
// engine, and says what it changed.
func (a *App) adapt(cfg *composetypes.Config, publish bool) (*composetypes.Config, []string) {
	out := *cfg
	var deviations []string
	out.Networks, deviations = a.ownProxy(cfg.Networks)
	out.Volumes = nameVolumes(cfg.Volumes)
	out.Services = slices.Clone(cfg.Services)
	for i := range out.Services {
		s := &out.Services[i]
		s.Labels, s.Deploy.Labels = maps.Clone(s.Labels), maps.Clone(s.Deploy.Labels) // the converter adds to them
		deviations = append(deviations, disable(s)...)
		if !publish && len(s.Ports) > 0 {
			deviations = append(deviations, fmt.Sprintf("service %s: published ports dropped (%s)", s.Name, ports(s.Ports)))
			s.Ports = nil
		}
		if a.NoIPVS && !strings.EqualFold(s.Deploy.EndpointMode, "dnsrr") {
			deviations = append(deviations, fmt.Sprintf("service %s: endpoint mode forced to dnsrr (no IPVS)", s.Name))
			s.Deploy.EndpointMode = "dnsrr"
			s.Ports = hostPorts(s.Ports)
		}
	}
	sort.Strings(deviations)
	return &out, deviations
}

// actors are labels that make other programs on the server act on a service:
// Traefik would route to it and ask for certificates, swarm-cronjob scale it.
var actors = []string{"traefik.enable", "swarm.cronjob.enable"}

// disable keeps such programs away from a service of a run.
func disable(s *composetypes.ServiceConfig) (deviations []string) {
	for _, key := range actors {
		if v, ok := s.Deploy.Labels[key]; ok && v != "false" {
			s.Deploy.Labels[key] = "false"
			deviations = append(deviations, fmt.Sprintf("service %s: label %s set to false", s.Name, key))
		}
	}
	return deviations
}

// ownProxy replaces the shared network that Traefik listens on.
func (a *App) ownProxy(networks map[string]composetypes.NetworkConfig) (map[string]composetypes.NetworkConfig, []string) {
	out := maps.Clone(networks)
	for key, n := range networks {
		n.Labels = maps.Clone(n.Labels) // the converter adds to them
		out[key] = n
	}
	for key, n := range networks {
		if n.External.External && (n.Name == "proxy" || n.Name == "" && key == "proxy") {
			own := a.scope("proxy")
			out[key] = composetypes.NetworkConfig{Name: own, Driver: "overlay"}
			return out, []string{"network proxy: replaced by " + own}
		}
	}
	return out, nil
}

// nameVolumes notes each volume's compose name in a label of the volume, since
// `name:` may hide it.
func nameVolumes(volumes map[string]composetypes.VolumeConfig) map[string]composetypes.VolumeConfig {
	out := maps.Clone(volumes)
	for key, v := range volumes {
		v.Labels = maps.Clone(v.Labels)
		if v.Labels == nil {
			v.Labels = composetypes.Labels{}
		}
		v.Labels[labelVolume] = key
		out[key] = v
	}
	return out
}

func ports(list []composetypes.ServicePortConfig) string {
	var out []string
	for _, p := range list {
		out = append(out, fmt.Sprintf("%d->%d/%s", p.Published, p.Target, p.Protocol))
	}
	return strings.Join(out, ", ")
}

// hostPorts publishes on the host itself: dnsrr and the ingress exclude each other.
func hostPorts(list []composetypes.ServicePortConfig) []composetypes.ServicePortConfig {
	out := slices.Clone(list)
	for i := range out {
		out[i].Mode = "host"
	}
	return out
}

// usedNetworks are the networks that some service names, or the default one.
func usedNetworks(services []composetypes.ServiceConfig) map[string]struct{} {
	used := map[string]struct{}{}
	for _, s := range services {
		if len(s.Networks) == 0 {
			used["default"] = struct{}{}
		}
		for n := range s.Networks {
			used[n] = struct{}{}
		}
	}
	return used
}

// A catalogue answers the converter's questions for the ids of secrets and
// configs without an engine: a secret's id is its name, and a config's is a
// digest of its content, so that the content is part of a spec's digest.
type catalogue struct {
	client.APIClient // nil: nothing else is asked
	content          map[string]string
}

func contents(configs []swarm.ConfigSpec) catalogue {
	c := catalogue{content: map[string]string{}}
	for _, spec := range configs {
		c.content[spec.Name] = digestOf(spec.Data, spec.Templating)
	}
	return c
}

func (catalogue) ClientVersion() string { return apiVersion }

func (catalogue) SecretList(_ context.Context, o swarm.SecretListOptions) ([]swarm.Secret, error) {
	var out []swarm.Secret
	for _, name := range o.Filters.Get("name") {
		out = append(out, swarm.Secret{ID: name, Spec: swarm.SecretSpec{Annotations: swarm.Annotations{Name: name}}})
	}
	return out, nil
}

func (c catalogue) ConfigList(_ context.Context, o swarm.ConfigListOptions) ([]swarm.Config, error) {
	var out []swarm.Config
	for _, name := range o.Filters.Get("name") {
		id, ok := c.content[name]
		if !ok {
			id = name // external
		}
		out = append(out, swarm.Config{ID: id, Spec: swarm.ConfigSpec{Annotations: swarm.Annotations{Name: name}}})
	}
	return out, nil
}

// sortReferences gives references one order: the converter goes through a map.
func sortReferences(c *swarm.ContainerSpec) {
	sort.Slice(c.Secrets, func(i, j int) bool {
		return c.Secrets[i].SecretName+"\x00"+c.Secrets[i].File.Name < c.Secrets[j].SecretName+"\x00"+c.Secrets[j].File.Name
	})
	target := func(r *swarm.ConfigReference) string {
		if r.File == nil {
			return r.ConfigName
		}
		return r.ConfigName + "\x00" + r.File.Name
	}
	sort.Slice(c.Configs, func(i, j int) bool { return target(c.Configs[i]) < target(c.Configs[j]) })
}

// specDigest covers a service and the networks that it is on.
func specDigest(spec swarm.ServiceSpec, networks map[string]network.CreateOptions) string {
	var on []network.CreateOptions
	for _, n := range spec.TaskTemplate.Networks {
		on = append(on, networks[n.Target])
	}
	return digestOf(spec, on)
}

// taskDigest covers what Swarm replaces tasks for: the task template and the endpoint.
func taskDigest(spec swarm.ServiceSpec) string {
	return digestOf(spec.TaskTemplate, spec.EndpointSpec)
}

// digestOf is the sha256 of the values' JSON, in which maps are sorted.
func digestOf(values ...any) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			panic(err) // specs are plain data
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
