package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A RequirementError says what this machine lacks for a private engine.
type RequirementError struct{ Missing []string }

func (e *RequirementError) Error() string {
	return "a private engine needs " + strings.Join(e.Missing, ", ")
}

// Hint is the command that mends it.
func (e *RequirementError) Hint() string {
	if e.Missing[0] == "root" {
		return "run it as root"
	}
	return strings.TrimSpace("apt-get install docker.io iproute2 util-linux slirp4netns " + strings.Join(slices.DeleteFunc(slices.Clone(e.Missing), func(name string) bool { return name != "crun" }), " "))
}

// findPrograms finds what a private engine runs; slirp4netns may lack.
func findPrograms(runtime string) (map[string]string, error) {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	found := map[string]string{}
	needed := []string{"dockerd", "containerd", "ip", "nsenter", "unshare", "setpriv", "mount"}
	if runtime != "" {
		needed = append(needed, runtime)
	}
	for _, name := range needed {
		path, err := findProgram(name)
		if err != nil {
			missing = append(missing, name)
		}
		found[name] = path
	}
	if missing != nil {
		return nil, &RequirementError{missing}
	}
	if path, err := findProgram("slirp4netns"); err == nil {
		found["slirp4netns"] = path
	}
	return found, nil
}

// findProgram looks where PATH says and where Debian's PATH for root does,
// which is not what `su` leaves.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// slirpNet is the network between the namespace and the outside. It must be
// none that Docker's own pools (10/8 for overlays, 172.16/12, 192.168/16) can
// give to a stack: slirp4netns' default 10.0.2.0/24 is the third overlay's.
const (
	slirpNet = "100.127.0.0/24"
	slirpDNS = "100.127.0.3"
)

// makeNetwork makes the namespace, with loopback, and a way out if possible.
func (p *Private) makeNetwork(ctx context.Context, programs map[string]string) error {
	ip := programs["ip"]
	for _, args := range [][]string{
		{"netns", "add", p.site.netns},
		{"-n", p.site.netns, "link", "set", "lo", "up"},
	} {
		if out, err := exec.CommandContext(ctx, ip, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
	}
	if programs["slirp4netns"] == "" {
		fmt.Fprintln(p.log, "no slirp4netns: the private engine has no network outside")
		return nil
	}
	if err := p.startSlirp(ctx, programs["slirp4netns"]); err != nil {
		fmt.Fprintf(p.log, "the private engine has no network outside: %v\n", err)
	}
	return nil
}

// startSlirp returns when the way out is configured.
func (p *Private) startSlirp(ctx context.Context, program string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(program, "--configure", "--mtu=1400", "--disable-host-loopback", "--cidr="+slirpNet,
		"--ready-fd=3", "--netns-type=path", p.site.netnsFile(), "tap0")
	cmd.ExtraFiles = []*os.File{w}
	err = p.procs.start("slirp4netns", cmd, filepath.Join(p.site.data, "slirp4netns.log"))
	w.Close()
	if err != nil {
		return err
	}
	r.SetReadDeadline(deadline(ctx, 10*time.Second))
	if n, _ := r.Read(make([]byte, 1)); n == 0 {
		return fmt.Errorf("slirp4netns did not start:\n%s", tail(filepath.Join(p.site.data, "slirp4netns.log"), 20))
	}
	return nil
}

func deadline(ctx context.Context, limit time.Duration) time.Time {
	t := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		return d
	}
	return t
}

// engineShell enters a mount namespace's last step: it hides the machine's
// containerd, which dockerd would else share, and gives dockerd the resolver
// $1 of its network, if it has one. Mounts go to nobody outside the namespace
// and with its last process. $2 is a runtime that is not the engine's own: crun
// takes no machine that has both kinds of cgroups, so the younger one is hidden.
//
// The shell stays, and tells dockerd once to end, however often it is told. When a
// process of many threads is killed, the kernel may send the parent-death signal
// once for each of them, and dockerd, told three times, leaves its containers as
// they are. In the background a shell has two signals ignored, which containers
// would inherit.
const engineShell = `mount -t tmpfs -o mode=711 tmpfs /run/containerd || exit 1
test -z "$1" || mount --bind "$1" /etc/resolv.conf
if test -n "$2" && test -d /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
shift 2
trap 'exit 143' TERM
env --default-signal=INT,QUIT setpriv --pdeathsig TERM "$@" &
trap 'trap "" TERM; kill -TERM "$!"' TERM
wait "$!" # until the trap
wait "$!"`

// startEngine starts dockerd, which starts its containerd, and does not wait
// for it.
func (p *Private) startEngine(programs map[string]string) error {
	resolver, err := writeConfigs(p.site, p.procs.running("slirp4netns"))
	if err != nil {
		return err
	}
	// Not `ip netns exec`: that remounts /sys and so hides the cgroups.
	args := []string{
		"--net=" + p.site.netnsFile(),
		programs["unshare"], "--mount", "--propagation", "slave",
		"/bin/sh", "-c", engineShell, "sh", resolver, p.runtime, programs["dockerd"],
	}
	args = append(args, dockerdArgs(p.site)...)
	if p.runtime != "" {
		args = append(args, "--add-runtime", "chosen="+p.runtime, "--default-runtime", "chosen")
	}
	if resolver != "" {
		args = append(args, "--dns", slirpDNS)
	}
	return p.procs.start("dockerd", exec.Command(programs["nsenter"], args...), p.site.log())
}

// writeConfigs writes what dockerd is to read in place of the machine's
// files, which are for the machine's own engine. resolver is the file for
// /etc/resolv.conf, "" without a network.
func writeConfigs(s site, network bool) (resolver string, err error) {
	if network {
		resolver = filepath.Join(s.run, "resolv.conf")
		err = os.WriteFile(resolver, []byte("nameserver "+slirpDNS+"\n"), 0o644)
	}
	return resolver, errors.Join(err,
		os.WriteFile(filepath.Join(s.run, "daemon.json"), []byte("{}\n"), 0o600),
		os.MkdirAll("/run/containerd", 0o711), // to be hidden, and where shims have their sockets
	)
}

func dockerdArgs(s site) []string {
	return []string{
		"--config-file", filepath.Join(s.run, "daemon.json"),
		"--data-root", filepath.Join(s.data, "docker"),
		"--exec-root", filepath.Join(s.run, "docker"),
		"--pidfile", filepath.Join(s.run, "dockerd.pid"),
		"--host", "unix://" + s.socket(),
		// All containers in one cgroup: so what a killed engine left is found.
		"--exec-opt", "native.cgroupdriver=cgroupfs",
		"--cgroup-parent", "/" + s.netns,
		"--shutdown-timeout", "5",
	}
}

// tail is the last n lines of a file, or why there are none.
func tail(name string, n int) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
