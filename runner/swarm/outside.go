package swarm

import (
	"context"
	"path"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/swarm"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// Ignored lists what Observed.Outside leaves out, beside mount points and the
// targets of configs and secrets: scratch space, and what Docker itself puts
// into every container.
func Ignored() []string {
	return []string{"/tmp", "/var/tmp", "/run", "/var/run", "/dev", "/proc", "/sys",
		"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv"}
}

// Outside lists what running tasks hold outside named volumes. The engine
// compares every container with its image for it, which takes it a second or
// so each: all at once.
func (a *App) Outside(ctx context.Context) ([]runner.Outside, error) {
	services, err := a.services(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := a.tasks(ctx)
	if err != nil {
		return nil, err
	}
	found := make([][]runner.Outside, len(tasks))
	var g errgroup.Group
	for i, t := range tasks {
		_, name := serviceOf(services, t)
		if name == "" || t.Status.State != swarm.TaskStateRunning || !wantedAlive(t) || t.Status.ContainerStatus == nil {
			continue
		}
		g.Go(func() error {
			of, err := a.outsideOf(ctx, name, t)
			if found[i] = of; err == nil || cerrdefs.IsNotFound(err) { // it went away while we looked
				return nil
			}
			return fault(ctx, "look into a task of "+name, err)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := slices.Concat(found...)
	slices.SortFunc(out, func(x, y runner.Outside) int {
		return strings.Compare(x.Service+"\x00"+x.Kind+"\x00"+x.Path, y.Service+"\x00"+y.Kind+"\x00"+y.Path)
	})
	return slices.Compact(out), nil // replicas hold the same
}

func (a *App) outsideOf(ctx context.Context, service string, t swarm.Task) ([]runner.Outside, error) {
	c, err := a.cli.ContainerInspect(ctx, t.Status.ContainerStatus.ContainerID)
	if err != nil {
		return nil, err
	}
	changes, err := a.cli.ContainerDiff(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	ignored := append(Ignored(), targets(t.Spec.ContainerSpec)...)
	var out []runner.Outside
	for _, m := range mountsOf(t.Spec.ContainerSpec, c) {
		ignored = append(ignored, m.Path)
		if m.Kind != "" && !within(m.Path, Ignored()) {
			out = append(out, runner.Outside{Service: service, Kind: m.Kind, Path: m.Path})
		}
	}
	for _, p := range layer(changes, ignored) {
		p.Service = service
		out = append(out, p)
	}
	return out, nil
}

// mountsOf lists where a container has something mounted, with a kind unless
// it is a named volume.
func mountsOf(spec *swarm.ContainerSpec, c container.InspectResponse) []runner.Outside {
	named := map[string]bool{}
	var out []runner.Outside
	for _, m := range spec.Mounts {
		switch {
		case m.Type == mount.TypeVolume && m.Source != "":
			named[m.Source] = true
		case m.Type == mount.TypeTmpfs:
			out = append(out, runner.Outside{Kind: "tmpfs", Path: path.Clean(m.Target)})
		}
	}
	if c.HostConfig != nil {
		for target := range c.HostConfig.Tmpfs {
			out = append(out, runner.Outside{Kind: "tmpfs", Path: path.Clean(target)})
		}
	}
	config := targets(spec)
	for _, m := range c.Mounts {
		o := runner.Outside{Path: path.Clean(m.Destination)}
		switch {
		case m.Type == mount.TypeVolume && !named[m.Name]:
			o.Kind = "anonymous volume"
		case m.Type == mount.TypeTmpfs:
			o.Kind = "tmpfs"
		case m.Type == mount.TypeBind && !slices.Contains(config, o.Path):
			o.Kind = "bind"
		}
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	return out
}

// within tells whether p is one of dirs or below one.
func within(p string, dirs []string) bool {
	for _, d := range dirs {
		if p == d || strings.HasPrefix(p, strings.TrimSuffix(d, "/")+"/") {
			return true
		}
	}
	return false
}

// crowd is how many changed paths of one directory are told one by one.
const crowd = 3

// layer condenses a container's diff: paths below an added directory count
// into it, many files of one directory into that, and directories that only
// changed because something below them did are left out.
func layer(changes []container.FilesystemChange, ignored []string) []runner.Outside {
	sorted := slices.Clone(changes)
	slices.SortFunc(sorted, func(x, y container.FilesystemChange) int { return comparePaths(x.Path, y.Path) })
	var tops []runner.Outside
	added := "" // the directory whose children are being counted
	for i, c := range sorted {
		if within(c.Path, ignored) {
			continue
		}
		if added != "" && within(c.Path, []string{added}) {
			tops[len(tops)-1].Count++
			continue
		}
		added = ""
		below := i+1 < len(sorted) && within(sorted[i+1].Path, []string{c.Path})
		if below && (c.Kind == container.ChangeModify || onlyIgnored(sorted[i+1:], c.Path, ignored)) {
			continue
		}
		if c.Kind == container.ChangeAdd {
			added = c.Path
		}
		tops = append(tops, runner.Outside{Kind: "layer", Path: c.Path})
	}
	return gather(tops)
}

// onlyIgnored tells whether all that changed below dir is ignored: Docker
// creates the parents of mount points.
func onlyIgnored(rest []container.FilesystemChange, dir string, ignored []string) bool {
	for _, c := range rest {
		if !within(c.Path, []string{dir}) {
			break
		}
		parent := slices.ContainsFunc(ignored, func(p string) bool { return within(p, []string{c.Path}) })
		if !parent && !within(c.Path, ignored) {
			return false
		}
	}
	return true
}

// comparePaths puts a directory before what is in it, and both together.
func comparePaths(x, y string) int {
	return slices.Compare(strings.Split(x, "/"), strings.Split(y, "/"))
}

// gather replaces a crowd of one directory by the directory.
func gather(tops []runner.Outside) []runner.Outside {
	size, paths := map[string]int{}, map[string]int{}
	for _, o := range tops {
		dir := path.Dir(o.Path)
		size[dir]++
		paths[dir] += 1 + o.Count
	}
	var out []runner.Outside
	done := map[string]bool{}
	for _, o := range tops {
		dir := path.Dir(o.Path)
		switch {
		case size[dir] <= crowd || dir == "/":
			out = append(out, o)
		case !done[dir]:
			done[dir] = true
			out = append(out, runner.Outside{Kind: o.Kind, Path: dir, Count: paths[dir]})
		}
	}
	return out
}
