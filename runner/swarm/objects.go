package swarm

import (
	"context"
	"slices"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
)

// A kind of object on an engine.
type kind string

const (
	services   kind = "service"
	tasks      kind = "task"
	containers kind = "container"
	networks   kind = "network"
	volumes    kind = "volume"
	secrets    kind = "secret"
	configs    kind = "config"
)

// An object is anything on the engine that carries labels.
type object struct {
	kind      kind
	id, name  string
	labels    map[string]string
	container container.Summary // of a container
	ran       string            // of a task: its container's id, if it ever had one
	service   swarm.Service     // of a service
}

// String says what it is: "volume x_data".
func (o object) String() string { return string(o.kind) + " " + o.name }

type objects []object

func (all objects) of(k kind) objects {
	var out objects
	for _, o := range all {
		if o.kind == k {
			out = append(out, o)
		}
	}
	return out
}

// without returns the names of what is not among others.
func (all objects) without(others objects) []string {
	var out []string
	for _, o := range all {
		if !slices.ContainsFunc(others, func(x object) bool { return x.kind == o.kind && x.id == o.id }) {
			out = append(out, o.String())
		}
	}
	return out
}

func (all objects) names() []string { return all.without(nil) }

// withoutSpent leaves out tasks whose container is not among those that are there,
// which were listed after them. Swarm remembers them for some seconds more, until they
// have left their networks; they hold nothing any more, and a task never gets a second
// container.
func (all objects) withoutSpent(containers objects) objects {
	there := map[string]bool{}
	for _, c := range containers {
		there[c.id] = true
	}
	return slices.DeleteFunc(all, func(o object) bool { return o.kind == tasks && o.ran != "" && !there[o.ran] })
}

// collect lists everything that matches a filter on labels, sorted by kind and name.
func collect(ctx context.Context, cli client.APIClient, f filters.Args) (objects, error) {
	found := make([]objects, 7)
	g, gctx := errgroup.WithContext(ctx)
	for i, list := range []func(context.Context, client.APIClient, filters.Args) (objects, error){
		listServices, listTasks, listContainers, listNetworks, listVolumes, listSecrets, listConfigs,
	} {
		g.Go(func() (err error) {
			found[i], err = list(gctx, cli, f)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fault(ctx, "list the engine's objects", err)
	}
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(x, y object) int {
		return slices.Compare([]string{string(x.kind), x.name}, []string{string(y.kind), y.name})
	})
	return all, nil
}

func listServices(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.ServiceList(ctx, swarm.ServiceListOptions{Filters: f})
	for _, s := range list {
		out = append(out, object{kind: services, id: s.ID, name: s.Spec.Name, labels: s.Spec.Labels, service: s})
	}
	return out, err
}

func listTasks(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.TaskList(ctx, swarm.TaskListOptions{Filters: f})
	for _, t := range list {
		if t.DesiredState == swarm.TaskStateComplete && t.Status.State == swarm.TaskStateComplete {
			// A job's task that is done. Engine 20.10 remembers it after the
			// job was removed, and offers no way to make it forget; it holds
			// nothing.
			continue
		}
		o := object{kind: tasks, id: t.ID, name: t.ID}
		if c := t.Spec.ContainerSpec; c != nil {
			o.labels = c.Labels
		}
		if c := t.Status.ContainerStatus; c != nil {
			o.ran = c.ContainerID
		}
		out = append(out, o)
	}
	return out, err
}

func listContainers(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: f})
	for _, c := range list {
		name := c.ID
		if len(c.Names) > 0 {
			name = c.Names[0]
		}
		out = append(out, object{kind: containers, id: c.ID, name: name, labels: c.Labels, container: c})
	}
	return out, err
}

func listNetworks(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.NetworkList(ctx, network.ListOptions{Filters: f})
	for _, n := range list {
		out = append(out, object{kind: networks, id: n.ID, name: n.Name, labels: n.Labels})
	}
	return out, err
}

func listVolumes(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.VolumeList(ctx, volume.ListOptions{Filters: f})
	for _, v := range list.Volumes {
		out = append(out, object{kind: volumes, id: v.Name, name: v.Name, labels: v.Labels})
	}
	return out, err
}

func listSecrets(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.SecretList(ctx, swarm.SecretListOptions{Filters: f})
	for _, s := range list {
		out = append(out, object{kind: secrets, id: s.ID, name: s.Spec.Name, labels: s.Spec.Labels})
	}
	return out, err
}

func listConfigs(ctx context.Context, cli client.APIClient, f filters.Args) (out objects, err error) {
	list, err := cli.ConfigList(ctx, swarm.ConfigListOptions{Filters: f})
	for _, c := range list {
		out = append(out, object{kind: configs, id: c.ID, name: c.Spec.Name, labels: c.Spec.Labels})
	}
	return out, err
}
