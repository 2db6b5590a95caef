package swarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/client"
)

// PrivateOptions say where a private engine keeps its things.
type PrivateOptions struct {
	// Dir is the data root: images, volumes and the swarm in it outlast the
	// engine. Empty: a directory of its own, which Close removes.
	Dir string
	// Runtime is the OCI runtime that starts the containers, "crun" say. Empty: the
	// engine's own, runc.
	Runtime string
	// Log gets a line for each thing that is done; nil: nobody.
	Log io.Writer
}

// Private is a Docker engine of our own beside whatever else is on the
// machine: own dockerd, own containerd, own namespaces for network and mounts,
// a swarm of one node. It reaches the network outside through slirp4netns if that is
// installed, else not at all, and never the machine's loopback.
//
// Its processes end with the process that started it, also if that is
// killed. What such a death leaves behind (the namespace, a throw-away
// directory) is removed by the next start on the same Dir, or of any
// throw-away engine.
type Private struct {
	site    site
	runtime string // program; "": the engine's own
	name    string // that it was asked for by
	log     io.Writer
	procs   *keeper

	mu     sync.Mutex
	closed bool
}

const (
	privateRun   = "/run/abra-ccci" // short: a socket's path has at most 107 bytes
	privateVar   = "/var/tmp"       // on disk also where /tmp is not
	privatePause = 20 * time.Second // for the engine to be ready, and again for the swarm
)

// A site is where one private engine has its things. All but data is derived
// from the path of data, so that a later start finds what is left of it.
type site struct {
	data  string // data root, absolute
	run   string // socket, configuration, containerd's state
	netns string
	temp  bool // data goes when the engine goes
}

func siteOf(data string, temp bool) site {
	sum := sha256.Sum256([]byte(data))
	name := "ccci-" + hex.EncodeToString(sum[:])[:10]
	return site{data: data, run: filepath.Join(privateRun, name), netns: name, temp: temp}
}

func (s site) socket() string    { return filepath.Join(s.run, "docker.sock") }
func (s site) log() string       { return filepath.Join(s.data, "dockerd.log") }
func (s site) netnsFile() string { return filepath.Join("/run/netns", s.netns) }

// StartPrivate starts an engine and returns when it answers and its swarm
// takes services. It needs root and the programs dockerd, containerd, ip and
// nsenter; without them the error is a *RequirementError. Another live engine
// on the same Dir is an error.
func StartPrivate(ctx context.Context, o PrivateOptions) (*Private, error) {
	programs, err := findPrograms(o.Runtime)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	s, lock, err := claim(o)
	if err != nil {
		return nil, fmt.Errorf("private engine: %w", err)
	}
	p := &Private{site: s, runtime: programs[o.Runtime], name: o.Runtime, log: o.Log, procs: newKeeper(lock)}
	if err := p.start(ctx, programs); err != nil {
		// Close anew: what ended the start may be the end of ctx.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), privatePause)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("private engine: %w", err), p.Close(end))
	}
	return p, nil
}

// Host is the engine's address, as in DOCKER_HOST.
func (p *Private) Host() string { return "unix://" + p.site.socket() }

func (p *Private) start(ctx context.Context, programs map[string]string) error {
	if err := p.site.clean(); err != nil {
		return fmt.Errorf("what an earlier engine left: %w", err)
	}
	if err := os.MkdirAll(p.site.run, 0o700); err != nil {
		return err
	}
	if err := p.makeNetwork(ctx, programs); err != nil {
		return err
	}
	return p.startDockerd(ctx, programs)
}

// startDockerd starts the daemon and returns when its swarm takes services.
func (p *Private) startDockerd(ctx context.Context, programs map[string]string) error {
	if err := p.startEngine(programs); err != nil {
		return err
	}
	c, err := client.NewClientWithOpts(client.WithHost(p.Host()), client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := p.ready(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(p.log, "private engine at %s, data in %s\n", p.Host(), p.site.data)
	return p.joinSwarm(ctx, c)
}

// ready waits until the engine answers. A daemon that has ended never will.
func (p *Private) ready(ctx context.Context, c *client.Client) error {
	err := poll(ctx, privatePause, func(ctx context.Context) error {
		if p.procs.ended("dockerd") {
			return errEnded
		}
		_, err := c.Ping(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("dockerd does not answer: %w; its last lines:\n%s", err, tail(p.site.log(), 20))
	}
	return nil
}

// joinSwarm makes the swarm, unless the kept data root has one, and waits
// until its node takes tasks.
func (p *Private) joinSwarm(ctx context.Context, c *client.Client) error {
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	if info.Swarm.LocalNodeState == swarm.LocalNodeStateInactive {
		_, err := c.SwarmInit(ctx, swarm.InitRequest{ListenAddr: "127.0.0.1:2377", AdvertiseAddr: "127.0.0.1"})
		if err != nil {
			return fmt.Errorf("swarm init: %w", err)
		}
	}
	err = poll(ctx, privatePause, func(ctx context.Context) error { return nodeReady(ctx, c) })
	if err != nil {
		return fmt.Errorf("swarm: %w; dockerd's last lines:\n%s", err, tail(p.site.log(), 20))
	}
	return nil
}

func nodeReady(ctx context.Context, c *client.Client) error {
	nodes, err := c.NodeList(ctx, swarm.NodeListOptions{})
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Status.State == swarm.NodeStateReady && n.Spec.Availability == swarm.NodeAvailabilityActive {
			return nil
		}
	}
	return errors.New("no node is ready")
}

// Halt ends dockerd alone, with its containers, as the machine's own engine is
// ended when its package is upgraded. Resume starts it again.
func (p *Private) Halt(ctx context.Context) error {
	if err := p.procs.end(ctx, "dockerd"); err != nil {
		return err
	}
	return p.site.killOrphans(ctx)
}

// Resume starts dockerd again after Halt, or after it died by itself, at the
// same address and on the same data.
func (p *Private) Resume(ctx context.Context) error {
	programs, err := findPrograms(p.name)
	if err != nil {
		return err
	}
	// dockerd takes a containerd for alive that is only a zombie, as one stays
	// where nobody reaps what a killed dockerd leaves.
	pid := filepath.Join(p.site.run, "docker", "containerd", "containerd.pid")
	if err := os.Remove(pid); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.startDockerd(ctx, programs)
}

// Close ends the engine and removes all of it but a kept data root. When ctx
// ends first, what still runs is killed. Closing again does nothing.
func (p *Private) Close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.site.temp {
		p.site.killContainers() // nothing of theirs is kept: no grace to stop
	}
	for _, name := range []string{"dockerd", "slirp4netns"} { // dockerd ends its containers and its containerd

		if err := p.procs.end(ctx, name); err != nil {
			fmt.Fprintf(p.log, "private engine: %v\n", err)
		}
	}
	err := p.site.clean()
	if p.site.temp && err == nil {
		err = os.RemoveAll(p.site.data)
	}
	p.procs.close()
	if err != nil {
		return fmt.Errorf("close private engine: %w", err)
	}
	return nil
}

var errEnded = errors.New("it has ended")

// poll asks until the answer is nil, ever more slowly, at most for limit;
// errEnded ends it at once. It returns the last answer.
func poll(ctx context.Context, limit time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := 10 * time.Millisecond
	for {
		err := ask(ctx)
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(pause):
			pause = min(2*pause, 500*time.Millisecond)
		}
	}
}
