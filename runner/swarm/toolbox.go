package swarm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"

	"coopcloud.tech/abra-ccci/runner"
)

// A toolbox is the helper container that has the stack's volumes.
type toolbox struct {
	mu    sync.Mutex
	id    string
	holds string // which volumes it was made with
}

func (t *toolbox) forget() {
	t.mu.Lock()
	t.id, t.holds = "", ""
	t.mu.Unlock()
}

// Run executes a command in the toolbox and returns all its output. More than
// MaxOutput bytes of stdout are an error, since a part would pass for the
// whole: use Stream.
func (a *App) Run(ctx context.Context, argv []string, stdin io.Reader) (runner.Output, error) {
	stdout := &head{limit: runner.MaxOutput}
	exit, stderr, err := a.Stream(ctx, argv, stdin, stdout)
	if err == nil && stdout.cut {
		err = fmt.Errorf("run %s: more than %d bytes of output", argv[0], runner.MaxOutput)
	}
	return runner.Output{Exit: exit, Stdout: stdout.Bytes(), Stderr: stderr}, err
}

// Stream runs argv in a long-lived helper container that has every volume of
// the stack at /volumes/<compose name>, writable, and the repository at
// /repository; it has no network. stdin may be nil. stdout is copied as it
// comes; stderr is the last runner.MaxOutput bytes of it. A program that ended
// is no error, whatever its exit status. When ctx ends, or stdout takes no
// more, the program is killed before Stream returns.
func (a *App) Stream(ctx context.Context, argv []string, stdin io.Reader, stdout io.Writer) (exit int, stderr []byte, err error) {
	if len(argv) == 0 {
		return 0, nil, errors.New("no command")
	}
	log := runner.StepLog(ctx)
	fmt.Fprintf(log, "run in the toolbox: %q\n", argv)
	start := time.Now()
	last := &tailBuffer{limit: runner.MaxOutput}
	exit, err = a.stream(ctx, &process{app: a, argv: argv, mark: rand.Text(), stdin: stdin, stdout: stdout, stderr: last})
	if err != nil {
		err = fmt.Errorf("run %s: %w", argv[0], err)
		fmt.Fprintf(log, "error after %s: %v\n", time.Since(start).Round(time.Millisecond), err)
	} else {
		fmt.Fprintf(log, "exit %d after %s\n", exit, time.Since(start).Round(time.Millisecond))
	}
	logOutput(log, "stderr", last.last())
	return exit, last.last(), err
}

func (a *App) stream(ctx context.Context, p *process) (int, error) {
	id, err := a.toolbox(ctx)
	if err != nil {
		return 0, err
	}
	p.kill = func(ctx context.Context) error { return a.killInToolbox(ctx, id, p.mark) }
	if err := p.create(ctx, id); err != nil {
		return 0, fault(ctx, "create exec", err)
	}
	return p.run(ctx)
}

// killInToolbox ends marked processes from beside them.
func (a *App) killInToolbox(ctx context.Context, id, mark string) error {
	complaint := &head{limit: runner.MaxOutput}
	p := &process{app: a, argv: slices.Concat(a.Helper.Kill, []string{mark}), mark: rand.Text(), stdout: io.Discard, stderr: complaint}
	p.kill = func(ctx context.Context) error { return a.removeContainer(ctx, id) }
	if err := p.create(ctx, id); err != nil {
		return err
	}
	exit, err := p.run(ctx)
	if err == nil && exit != 0 {
		err = fmt.Errorf("kill: exit %d: %s", exit, complaint.Bytes())
	}
	return err
}

// toolbox returns the container, made anew if the stack's volumes are not
// those that it was made with.
func (a *App) toolbox(ctx context.Context) (string, error) {
	a.tools.mu.Lock()
	defer a.tools.mu.Unlock()
	mounts, err := a.volumeMounts(ctx)
	if err != nil {
		return "", err
	}
	holds := digestOf(mounts)
	if a.tools.id != "" && a.tools.holds == holds && !a.ended(ctx, a.tools.id) {
		return a.tools.id, nil
	}
	if a.tools.id != "" {
		if err := a.removeContainer(ctx, a.tools.id); err != nil {
			return "", err
		}
		a.tools.id = ""
	}
	id, err := a.startHelper(ctx, helper{role: "toolbox", argv: a.Helper.Sleep, env: a.Env, host: &container.HostConfig{
		NetworkMode: "none",
		Mounts:      append(mounts, a.hostMounts()...),
		Tmpfs:       map[string]string{"/tmp": ""},
	}})
	if err != nil {
		return "", err
	}
	a.tools.id, a.tools.holds = id, holds
	return id, nil
}

// volumeMounts are the volumes of the stack that exist. Naming one that does
// not would create it, with the wrong content and owner.
func (a *App) volumeMounts(ctx context.Context) ([]mount.Mount, error) {
	list, err := a.cli.VolumeList(ctx, volume.ListOptions{Filters: a.mine()})
	if err != nil {
		return nil, fault(ctx, "list volumes", err)
	}
	var out []mount.Mount
	for _, v := range list.Volumes {
		name := v.Labels[labelVolume]
		if name == "" {
			continue // anonymous
		}
		out = append(out, mount.Mount{Type: mount.TypeVolume, Source: v.Name, Target: "/volumes/" + name,
			VolumeOptions: &mount.VolumeOptions{NoCopy: true}})
	}
	slices.SortFunc(out, func(x, y mount.Mount) int { return strings.Compare(x.Target, y.Target) })
	return out, nil
}

func (a *App) hostMounts() []mount.Mount {
	var out []mount.Mount
	if a.Repository != "" {
		out = append(out, mount.Mount{Type: mount.TypeBind, Source: a.Repository, Target: "/repository"})
	}
	for target, source := range a.Binds {
		out = append(out, mount.Mount{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: true})
	}
	return out
}
