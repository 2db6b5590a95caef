package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// Deploy implements runner.Deployer.
func (a *App) Deploy(ctx context.Context, d *runner.Deployment) error {
	bp, err := a.draw(d)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.deviations, a.timeout = bp.deviations, d.Timeout
	a.mu.Unlock()
	if err := a.claim(ctx, bp); err != nil {
		return err
	}
	specs, err := a.prepare(ctx, d, bp)
	if err != nil {
		return err
	}
	before, err := a.tasks(ctx)
	if err != nil {
		return err
	}
	goals, err := a.apply(ctx, specs)
	if err != nil {
		return err
	}
	return a.converge(ctx, goals, before, d.Timeout)
}

// prepare makes everything that services refer to, and returns their final specs.
func (a *App) prepare(ctx context.Context, d *runner.Deployment, bp *blueprint) (map[string]swarm.ServiceSpec, error) {
	var names []string
	for _, s := range bp.services {
		names = append(names, s.TaskTemplate.ContainerSpec.Image)
	}
	slices.Sort(names)
	pinned, err := a.pin(ctx, slices.Compact(names))
	if err != nil {
		return nil, err
	}
	if err := a.createNetworks(ctx, bp); err != nil {
		return nil, err
	}
	secrets, err := a.createSecrets(ctx, append(bp.secrets, a.generated(d.Secrets)...))
	if err != nil {
		return nil, err
	}
	configs, err := a.createConfigs(ctx, bp.configs)
	if err != nil {
		return nil, err
	}
	for name, spec := range bp.services {
		spec, err := a.finish(spec, bp.specs[name], pinned, secrets, configs)
		if err != nil {
			return nil, &runner.DeployError{Service: name, Reason: err.Error()}
		}
		bp.services[name] = spec
	}
	return bp.services, nil
}

// finish turns names into ids and adds what is the run's own.
func (a *App) finish(spec swarm.ServiceSpec, digest string, pinned, secrets, configs map[string]string) (swarm.ServiceSpec, error) {
	task := taskDigest(spec)
	c := spec.TaskTemplate.ContainerSpec
	c.Image = pinned[c.Image]
	for _, r := range c.Secrets {
		if r.SecretID = secrets[r.SecretName]; r.SecretID == "" {
			return spec, fmt.Errorf("secret %q does not exist", r.SecretName)
		}
	}
	for _, r := range c.Configs {
		if r.ConfigID = configs[r.ConfigName]; r.ConfigID == "" {
			return spec, fmt.Errorf("config %q does not exist", r.ConfigName)
		}
	}
	for i := range c.Mounts {
		a.markMount(&c.Mounts[i])
	}
	spec.Labels = a.mark(spec.Labels)
	spec.Labels[labelSpec] = digest
	c.Labels = a.mark(c.Labels)
	c.Labels[labelTask] = task
	return spec, nil
}

// markMount labels the volume that a mount will create; an external one, which
// has no labels of the stack, is somebody else's.
func (a *App) markMount(m *mount.Mount) {
	if m.Type != mount.TypeVolume && m.Type != "" {
		return
	}
	if m.Source == "" { // an anonymous volume
		m.VolumeOptions = &mount.VolumeOptions{Labels: a.mark(map[string]string{labelNamespace: a.Stack})}
		return
	}
	if m.VolumeOptions != nil && m.VolumeOptions.Labels != nil {
		m.VolumeOptions.Labels = a.mark(maps.Clone(m.VolumeOptions.Labels))
	}
}

// claim refuses a stack name under which anything exists that this run did not
// create: it would be changed, or mounted, and removed in the end. What is ours
// is listed first: Swarm may be forgetting tasks of ours meanwhile.
func (a *App) claim(ctx context.Context, bp *blueprint) error {
	ours, err := collect(ctx, a.cli, a.mine())
	if err != nil {
		return err
	}
	all, err := collect(ctx, a.cli, a.ofStack())
	if err != nil {
		return err
	}
	foreign := all.without(ours)
	for _, v := range volumeNames(bp.services) {
		vol, err := a.cli.VolumeInspect(ctx, v)
		if err == nil && vol.Labels[LabelRun] != a.RunID {
			foreign = append(foreign, "volume "+v)
		} else if err != nil && !cerrdefs.IsNotFound(err) {
			return fault(ctx, "look for volume "+v, err)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return &runner.InfraError{
			Op:   fmt.Sprintf("deploy stack %q", a.Stack),
			Hint: "abra-ccci reap, or undeploy the app of that name",
			Err:  fmt.Errorf("something that is not this run's has its name: %s", strings.Join(slices.Compact(foreign), ", ")),
		}
	}
	return nil
}

// volumeNames are the full names of the volumes that services would create.
func volumeNames(services map[string]swarm.ServiceSpec) []string {
	var out []string
	for _, s := range services {
		for _, m := range s.TaskTemplate.ContainerSpec.Mounts {
			if m.Source != "" && m.VolumeOptions != nil && m.VolumeOptions.Labels != nil {
				out = append(out, m.Source)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (a *App) createNetworks(ctx context.Context, bp *blueprint) error {
	have, err := a.cli.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return fault(ctx, "list networks", err)
	}
	known := map[string]bool{}
	for _, n := range have {
		known[n.Name] = n.Scope == "swarm" || known[n.Name]
	}
	for _, n := range bp.outside {
		if container.NetworkMode(n).IsUserDefined() && !known[n] {
			return &runner.DeployError{Reason: fmt.Sprintf("external network %q is not there", n)}
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	for name, opts := range bp.networks {
		if known[name] {
			continue
		}
		opts.Labels = a.mark(opts.Labels)
		opts.Driver = cmp.Or(opts.Driver, "overlay")
		g.Go(func() error {
			_, err := a.cli.NetworkCreate(gctx, name, opts)
			return refused(ctx, "", "create network "+name, err)
		})
	}
	return g.Wait()
}

// refused tells a spec that the engine finds wrong, which is the recipe's
// fault, from anything else.
func refused(ctx context.Context, service, op string, err error) error {
	if cerrdefs.IsInvalidArgument(err) {
		return &runner.DeployError{Service: service, Reason: op + ": " + err.Error()}
	}
	return fault(ctx, op, err)
}

// generated makes specs of the run's secrets.
func (a *App) generated(secrets []runner.Secret) []swarm.SecretSpec {
	var out []swarm.SecretSpec
	for _, s := range secrets {
		out = append(out, swarm.SecretSpec{
			Annotations: swarm.Annotations{Name: s.Name, Labels: map[string]string{labelNamespace: a.Stack}},
			Data:        []byte(s.Value),
		})
	}
	return out
}

// createSecrets creates what is lacking, keeps what is there, and returns every id by name.
func (a *App) createSecrets(ctx context.Context, specs []swarm.SecretSpec) (map[string]string, error) {
	have, err := a.cli.SecretList(ctx, swarm.SecretListOptions{})
	if err != nil {
		return nil, fault(ctx, "list secrets", err)
	}
	ids, owner := map[string]string{}, map[string]string{}
	for _, s := range have {
		ids[s.Spec.Name], owner[s.Spec.Name] = s.ID, s.Spec.Labels[LabelRun]
	}
	for _, spec := range specs {
		if ids[spec.Name] != "" {
			if owner[spec.Name] != a.RunID {
				return nil, taken("secret", spec.Name)
			}
			continue
		}
		spec.Labels = a.mark(spec.Labels)
		made, err := a.cli.SecretCreate(ctx, spec)
		if err != nil {
			return nil, refused(ctx, "", "create secret "+spec.Name, err)
		}
		ids[spec.Name], owner[spec.Name] = made.ID, a.RunID
	}
	return ids, nil
}

func taken(kind, name string) error {
	return &runner.InfraError{Op: fmt.Sprintf("create %s %q", kind, name), Err: errors.New("one of that name exists, and is not this run's")}
}

// createConfigs creates what is lacking and returns every id by name. Configs
// can't be changed: the same name with another content would leave tasks with
// the old one, or stop every operator's upgrade.
func (a *App) createConfigs(ctx context.Context, specs []swarm.ConfigSpec) (map[string]string, error) {
	have, err := a.cli.ConfigList(ctx, swarm.ConfigListOptions{})
	if err != nil {
		return nil, fault(ctx, "list configs", err)
	}
	ids, known := map[string]string{}, map[string]swarm.ConfigSpec{}
	for _, c := range have {
		ids[c.Spec.Name], known[c.Spec.Name] = c.ID, c.Spec
	}
	for _, spec := range specs {
		if old, ok := known[spec.Name]; ok {
			if old.Labels[LabelRun] != a.RunID {
				return nil, taken("config", spec.Name)
			}
			if digestOf(old.Data, old.Templating) != digestOf(spec.Data, spec.Templating) {
				return nil, &runner.DeployError{Reason: fmt.Sprintf("config %q has a new content under its old name, which Docker refuses: its version was not bumped", spec.Name)}
			}
			continue
		}
		spec.Labels = a.mark(spec.Labels)
		made, err := a.cli.ConfigCreate(ctx, spec)
		if err != nil {
			return nil, refused(ctx, "", "create config "+spec.Name, err)
		}
		ids[spec.Name] = made.ID
	}
	return ids, nil
}

// apply creates and updates services, removes the others of the stack, and
// returns what each has to come to.
func (a *App) apply(ctx context.Context, specs map[string]swarm.ServiceSpec) ([]goal, error) {
	have, err := a.services(ctx)
	if err != nil {
		return nil, err
	}
	for name, svc := range have {
		if _, keep := specs[name]; !keep {
			fmt.Fprintf(runner.StepLog(ctx), "remove service %s\n", name)
			if err := a.cli.ServiceRemove(ctx, svc.ID); err != nil && !cerrdefs.IsNotFound(err) {
				return nil, fault(ctx, "remove service "+name, err)
			}
		}
	}
	var goals []goal
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[name]
		old, exists := have[name]
		if !exists {
			fmt.Fprintf(runner.StepLog(ctx), "create service %s from %s\n", name, spec.TaskTemplate.ContainerSpec.Image)
			made, err := a.cli.ServiceCreate(ctx, spec, swarm.ServiceCreateOptions{})
			if err != nil {
				return nil, refused(ctx, name, "create service", err)
			}
			goals = append(goals, goalOf(name, made.ID, spec))
			continue
		}
		fmt.Fprintf(runner.StepLog(ctx), "update service %s to %s\n", name, spec.TaskTemplate.ContainerSpec.Image)
		spec.TaskTemplate.ForceUpdate = old.Spec.TaskTemplate.ForceUpdate
		if err := a.update(ctx, name, old, spec); err != nil {
			return nil, err
		}
		goals = append(goals, goalOf(name, old.ID, spec))
	}
	return goals, nil
}

// update changes a service; Swarm's own bookkeeping may have raised its
// version since it was read.
func (a *App) update(ctx context.Context, name string, svc swarm.Service, spec swarm.ServiceSpec) error {
	for {
		_, err := a.cli.ServiceUpdate(ctx, svc.ID, svc.Version, spec, swarm.ServiceUpdateOptions{})
		if err == nil || !strings.Contains(err.Error(), "update out of sequence") {
			return refused(ctx, name, "update service", err)
		}
		if svc, _, err = a.cli.ServiceInspectWithRaw(ctx, svc.ID, swarm.ServiceInspectOptions{}); err != nil {
			return fault(ctx, "read service "+name, err)
		}
	}
}

// services are the run's, by compose name.
func (a *App) services(ctx context.Context) (map[string]swarm.Service, error) {
	list, err := a.cli.ServiceList(ctx, swarm.ServiceListOptions{Filters: a.mine()})
	if err != nil {
		return nil, fault(ctx, "list services", err)
	}
	out := make(map[string]swarm.Service, len(list))
	for _, s := range list {
		out[a.descope(s.Spec.Name)] = s
	}
	return out, nil
}

// tasks are all that Swarm remembers of the run's services.
func (a *App) tasks(ctx context.Context) ([]swarm.Task, error) {
	list, err := a.cli.TaskList(ctx, swarm.TaskListOptions{Filters: a.mine()})
	return list, fault(ctx, "list tasks", err)
}
