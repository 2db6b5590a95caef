package swarm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// Observe implements runner.Deployer.
func (a *App) Observe(ctx context.Context) (*runner.Observed, error) {
	services, err := a.services(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := a.tasks(ctx)
	if err != nil {
		return nil, err
	}
	o := &runner.Observed{Stack: &labels.Stack{Name: a.Stack}, Specs: map[string]string{}, TaskSpecs: map[string]string{}, Images: map[string]string{}}
	a.mu.Lock()
	o.Deviations = slices.Clone(a.deviations)
	a.mu.Unlock()
	volumes := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		spec := services[name].Spec
		read := a.readBack(name, spec)
		for _, m := range read.Mounts {
			volumes[m.Volume] = true
		}
		o.Stack.Services = append(o.Stack.Services, read)
		o.Specs[name] = spec.Labels[labelSpec]
		o.TaskSpecs[name] = taskSpec(spec.TaskTemplate)
		o.Images[name] = spec.TaskTemplate.ContainerSpec.Image
		o.Public = append(o.Public, public("service "+name, spec.Labels, spec.TaskTemplate.ContainerSpec)...)
	}
	o.Stack.Volumes = slices.Sorted(maps.Keys(volumes))
	for _, t := range tasks {
		svc, name := serviceOf(services, t)
		if name == "" || t.Spec.ContainerSpec == nil {
			continue
		}
		o.Public = append(o.Public, public("task "+name+"/"+t.ID, t.Labels, t.Spec.ContainerSpec)...)
		if shouldRun(goalOf(name, svc.ID, svc.Spec), t) {
			o.Tasks = append(o.Tasks, observedTask(name, t))
		}
	}
	sort.Slice(o.Tasks, func(i, j int) bool {
		return o.Tasks[i].Service+"\x00"+o.Tasks[i].ID < o.Tasks[j].Service+"\x00"+o.Tasks[j].ID
	})
	slices.Sort(o.Public)
	o.Public = slices.Compact(o.Public)
	return o, nil
}

// shouldRun tells the tasks that are to run now, or have done all they had to,
// from those that were replaced.
func shouldRun(g goal, t swarm.Task) bool {
	if t.Status.State == swarm.TaskStateComplete {
		return g.completes() && g.current(t) && t.DesiredState != swarm.TaskStateRemove
	}
	return wantedAlive(t) && !failedTask(t)
}

func serviceOf(services map[string]swarm.Service, t swarm.Task) (swarm.Service, string) {
	for name, s := range services {
		if s.ID == t.ServiceID {
			return s, name
		}
	}
	return swarm.Service{}, ""
}

func observedTask(name string, t swarm.Task) runner.Task {
	return runner.Task{Service: name, ID: t.ID, Spec: taskSpec(t.Spec), State: string(t.Status.State), Since: t.Status.Timestamp}
}

// taskSpec tells templates of tasks apart; it counts forced replacements, too.
func taskSpec(t swarm.TaskSpec) string {
	return fmt.Sprintf("%s+%d", t.ContainerSpec.Labels[labelTask], t.ForceUpdate)
}

// readBack is a service as a reader of its labels sees it.
func (a *App) readBack(name string, spec swarm.ServiceSpec) labels.Service {
	c := spec.TaskTemplate.ContainerSpec
	s := labels.Service{
		Name:            name,
		Image:           cmp.Or(spec.Labels[labelImage], c.Image),
		Labels:          theirs(spec.Labels),
		ContainerLabels: theirs(c.Labels),
	}
	for _, m := range c.Mounts {
		if m.Type == mount.TypeVolume && m.Source != "" {
			s.Mounts = append(s.Mounts, labels.Mount{Volume: a.volumeName(m), Target: path.Clean(m.Target), ReadOnly: m.ReadOnly})
		}
	}
	s.Targets = targets(c)
	return s
}

// volumeName is the compose name of a mounted volume.
func (a *App) volumeName(m mount.Mount) string {
	if m.VolumeOptions != nil && m.VolumeOptions.Labels[labelVolume] != "" {
		return m.VolumeOptions.Labels[labelVolume]
	}
	return a.descope(m.Source)
}

// theirs leaves out the labels that Docker's stacks and this package add.
func theirs(all map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range all {
		if k != labelNamespace && k != labelImage && !strings.HasPrefix(k, "ccci.") {
			out[k] = v
		}
	}
	return out
}

// targets are the absolute paths of a service's configs and secrets.
func targets(c *swarm.ContainerSpec) []string {
	var out []string
	for _, r := range c.Secrets {
		if r.File != nil {
			out = append(out, under("/run/secrets", r.File.Name))
		}
	}
	for _, r := range c.Configs {
		if r.File != nil {
			out = append(out, under("/", r.File.Name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func under(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}

// public lists what anybody who may read services sees: labels, environment,
// command and healthcheck.
func public(where string, deploy map[string]string, c *swarm.ContainerSpec) []string {
	var out []string
	add := func(what, pair string) { out = append(out, fmt.Sprintf("%s %s\t%s", where, what, pair)) }
	for k, v := range deploy {
		add("label", k+"="+v)
	}
	for k, v := range c.Labels {
		add("container label", k+"="+v)
	}
	for _, e := range c.Env {
		add("env", e)
	}
	for _, w := range slices.Concat(c.Command, c.Args) {
		add("command", "argv="+w)
	}
	if c.Healthcheck != nil {
		for _, w := range c.Healthcheck.Test {
			add("healthcheck", "argv="+w)
		}
	}
	if c.Hostname != "" {
		add("hostname", "hostname="+c.Hostname)
	}
	return out
}
