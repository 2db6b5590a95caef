package swarm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	clicontext "github.com/docker/cli/cli/context"
	"github.com/docker/cli/cli/context/docker"
	"github.com/docker/cli/cli/context/store"
	"github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"

	"coopcloud.tech/abra-ccci/runner"
)

// Facts is what is worth knowing of an engine before using it.
type Facts struct {
	Host     string // address of its API
	Context  string // the docker context that named it; empty for DOCKER_HOST
	Here     bool   // it runs on the kernel that this program runs on
	ID       string
	Version  string // of the engine
	API      string // negotiated
	Driver   string // of storage
	DataRoot string
	Free     int64  // bytes free there for us; -1 where it can't be seen from here
	Node     string // id of this node in its swarm
	Nodes    int    // of the swarm
	CPUs     int    // cores of this node
	Memory   int64  // its bytes
	Manager  bool
}

// Connect returns a client for the engine that docker itself would use:
// DOCKER_HOST, else DOCKER_CONTEXT, else the current context of docker's
// config. It fails with an *runner.InfraError unless that is a manager of a
// swarm; the client is returned all the same if the engine answers at all.
func Connect(ctx context.Context, getenv func(string) string) (*client.Client, Facts, error) {
	opts, f, err := endpoint(getenv)
	if err != nil {
		return nil, f, &runner.InfraError{Op: "find the Docker engine", Hint: "docker context ls", Err: err}
	}
	cli, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, f, &runner.InfraError{Op: "find the Docker engine", Hint: "docker context ls", Err: err}
	}
	f.Host = cli.DaemonHost()
	info, err := cli.Info(ctx)
	if err != nil {
		cli.Close()
		return nil, f, noEngine(f, err)
	}
	f = f.with(info, cli)
	return cli, f, manager(info.Swarm)
}

func noEngine(f Facts, err error) error {
	hint := "start one (systemctl start docker), name one in DOCKER_HOST, or use --engine private"
	if strings.Contains(err.Error(), "permission denied") {
		hint = "run as root, or join the group docker"
	}
	return &runner.InfraError{Op: "no Docker engine answers at " + f.Host, Hint: hint, Err: err}
}

// manager tells why an engine can't deploy stacks.
func manager(s swarm.Info) error {
	const op = "use the Docker engine"
	switch {
	case s.LocalNodeState == swarm.LocalNodeStateInactive || s.LocalNodeState == "":
		return &runner.InfraError{Op: op, Hint: "docker swarm init, or use --engine private", Err: errors.New("it is not in a swarm")}
	case s.LocalNodeState != swarm.LocalNodeStateActive:
		return &runner.InfraError{Op: op, Hint: "docker info", Err: fmt.Errorf("its swarm is %s: %s", s.LocalNodeState, s.Error)}
	case !s.ControlAvailable:
		return &runner.InfraError{Op: op, Hint: "name a manager in DOCKER_HOST, or docker node promote it", Err: errors.New("it is a worker of its swarm, not a manager")}
	}
	return nil
}

// sameKernel tells an engine on this machine from one in a virtual machine
// whose socket is passed on: that has another name, or another kernel.
func sameKernel(info system.Info) bool {
	var here unix.Utsname
	return unix.Uname(&here) == nil && unix.ByteSliceToString(here.Nodename[:]) == info.Name &&
		unix.ByteSliceToString(here.Release[:]) == info.KernelVersion
}

func (f Facts) with(info system.Info, cli *client.Client) Facts {
	f.ID, f.Version, f.API = info.ID, info.ServerVersion, cli.ClientVersion()
	f.Driver, f.DataRoot = info.Driver, info.DockerRootDir
	f.CPUs, f.Memory = info.NCPU, info.MemTotal
	f.Node, f.Nodes, f.Manager = info.Swarm.NodeID, info.Swarm.Nodes, info.Swarm.ControlAvailable
	f.Here = strings.HasPrefix(f.Host, "unix://") && sameKernel(info)
	f.Free = -1
	var fs unix.Statfs_t
	if strings.HasPrefix(f.Host, "unix://") && unix.Statfs(info.DockerRootDir, &fs) == nil {
		f.Free = int64(fs.Bavail) * fs.Bsize
	}
	return f
}

// endpoint finds the engine as the docker command does.
func endpoint(getenv func(string) string) ([]client.Opt, Facts, error) {
	if host := getenv("DOCKER_HOST"); host != "" {
		tls, err := certificates(getenv)
		if err != nil {
			return nil, Facts{Host: host}, err
		}
		ep := docker.Endpoint{TLSData: tls, EndpointMeta: docker.EndpointMeta{Host: host, SkipTLSVerify: tls != nil && getenv("DOCKER_TLS_VERIFY") == ""}}
		opts, err := ep.ClientOpts()
		return opts, Facts{Host: host}, err
	}
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".docker")
	}
	cfg, err := config.Load(dir)
	if err != nil {
		return nil, Facts{}, err
	}
	name := getenv("DOCKER_CONTEXT")
	if name == "" {
		name = cfg.CurrentContext
	}
	if name == "" || name == command.DefaultContextName {
		return []client.Opt{client.WithAPIVersionNegotiation()}, Facts{Host: client.DefaultDockerHost}, nil
	}
	opts, err := fromContext(filepath.Join(dir, "contexts"), name)
	return opts, Facts{Context: name}, err
}

func fromContext(dir, name string) ([]client.Opt, error) {
	s := store.New(dir, command.DefaultContextStoreConfig())
	meta, err := s.GetMetadata(name)
	if err != nil {
		return nil, fmt.Errorf("docker context %q: %w", name, err)
	}
	epMeta, err := docker.EndpointFromContext(meta)
	if err != nil {
		return nil, fmt.Errorf("docker context %q: %w", name, err)
	}
	ep, err := docker.WithTLSData(s, name, epMeta)
	if err != nil {
		return nil, fmt.Errorf("docker context %q: %w", name, err)
	}
	return ep.ClientOpts()
}

// certificates reads what DOCKER_CERT_PATH names, for a host over TCP.
func certificates(getenv func(string) string) (*clicontext.TLSData, error) {
	dir := getenv("DOCKER_CERT_PATH")
	if dir == "" {
		return nil, nil
	}
	return clicontext.TLSDataFromFiles(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
}
