package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const tempPrefix = "abra-ccci-engine-"

// claim makes the data directory and locks it for as long as the returned
// file is open. One lock over all of them is held meanwhile: a throw-away
// directory is not locked yet when it has just been made.
func claim(o PrivateOptions) (site, *os.File, error) {
	if err := os.MkdirAll(privateRun, 0o700); err != nil {
		return site{}, nil, err
	}
	all, err := lockFile(filepath.Join(privateRun, "lock"), unix.LOCK_EX)
	if err != nil {
		return site{}, nil, err
	}
	defer all.Close()
	s, err := makeSite(o.Dir)
	if err != nil {
		return site{}, nil, err
	}
	lock, err := s.lock()
	if err != nil {
		return site{}, nil, err
	}
	if s.temp {
		sweep()
	}
	return s, lock, nil
}

func makeSite(dir string) (site, error) {
	if dir == "" {
		dir, err := os.MkdirTemp(privateVar, tempPrefix)
		return siteOf(dir, true), err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return site{}, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return site{}, err
	}
	dir, err = filepath.EvalSymlinks(dir) // one directory, one name: mounts are found by it
	return siteOf(dir, false), err
}

// lock fails at once if a living process has the directory.
func (s site) lock() (*os.File, error) {
	name := filepath.Join(s.data, "lock")
	f, err := lockFile(name, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := os.ReadFile(name)
		return nil, fmt.Errorf("%q is in use by process %s", s.data, bytes.TrimSpace(holder))
	}
	if err != nil {
		return nil, err
	}
	f.Truncate(0)
	fmt.Fprintln(f, os.Getpid())
	return f, nil
}

func lockFile(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if err != unix.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
	}
}

// SweepPrivate removes what is left of throw-away engines whose process died
// (processes, namespace, mounts, data) and returns their directories. It does
// its best: what can't be removed now is the next one's to try.
func SweepPrivate() []string {
	all, err := lockFile(filepath.Join(privateRun, "lock"), unix.LOCK_EX)
	if err != nil {
		return nil // there never was one, or they are not ours
	}
	defer all.Close()
	return sweep()
}

// sweep is SweepPrivate for whoever holds the lock over all of them.
func sweep() (removed []string) {
	dirs, _ := filepath.Glob(filepath.Join(privateVar, tempPrefix+"*"))
	for _, dir := range dirs {
		s := siteOf(dir, true)
		lock, err := s.lock()
		if err != nil {
			continue
		}
		if s.clean() == nil && os.RemoveAll(dir) == nil {
			removed = append(removed, dir)
		}
		lock.Close()
	}
	return removed
}

// clean ends what is left of an engine on this site, and removes all of it
// but the data. Its mounts went with its mount namespace.
func (s site) clean() error {
	if err := s.killLeft(); err != nil {
		return err
	}
	if err := removeNetns(s.netnsFile()); err != nil {
		return err
	}
	return os.RemoveAll(s.run)
}

// killLeft kills engine, shims and containers until none is left.
func (s site) killLeft() error {
	err := poll(context.Background(), endTime, func(context.Context) error {
		left := append(s.programsLeft(), s.cgroupsLeft()...)
		for _, pid := range left {
			unix.Kill(pid, unix.SIGKILL)
		}
		if len(left) > 0 {
			return fmt.Errorf("processes %v do not end", left)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.removeCgroups()
}

// killOrphans kills containers and shims that outlived their engine. They would
// keep its networks alive: the next one could not use their numbers again
// ("error creating vxlan interface: file exists").
func (s site) killOrphans(ctx context.Context) error {
	return poll(ctx, endTime, func(context.Context) error {
		left := s.cgroupsLeft()
		for _, pid := range s.programsLeft() {
			if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && !strings.HasPrefix(filepath.Base(strings.SplitN(string(args), "\x00", 2)[0]), "slirp4netns") {
				left = append(left, pid)
			}
		}
		for _, pid := range left {
			unix.Kill(pid, unix.SIGKILL)
		}
		if len(left) > 0 {
			return fmt.Errorf("processes %v do not end", left)
		}
		return nil
	})
}

// programsLeft is every process with an argument below the run directory or
// the namespace's file: dockerd, containerd, its shims, slirp4netns.
func (s site) programsLeft() []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range files {
		args, err := os.ReadFile(name)
		if err != nil || !s.isOurs(args) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// enginePrograms are the programs that killLeft may kill: an editor or a
// client with the same path as an argument stays.
var enginePrograms = []string{"dockerd", "containerd", "containerd-shim", "containerd-shim-runc-v2", "docker-proxy", "runc", "crun", "slirp4netns", "nsenter"}

func (s site) isOurs(cmdline []byte) bool {
	args := strings.Split(string(cmdline), "\x00")
	if !slices.Contains(enginePrograms, filepath.Base(args[0])) {
		return false
	}
	return slices.ContainsFunc(args[1:], func(a string) bool {
		return strings.Contains(a, s.run+"/") || a == s.netnsFile()
	})
}

// cgroups is where the engine's containers are, in each hierarchy of version
// 1 or in the only one of version 2.
func (s site) cgroups() []string {
	one, _ := filepath.Glob(filepath.Join("/sys/fs/cgroup", s.netns))
	each, _ := filepath.Glob(filepath.Join("/sys/fs/cgroup/*", s.netns))
	return append(one, each...)
}

// killContainers kills what runs in containers now, and waits for nothing.
func (s site) killContainers() {
	for _, pid := range s.cgroupsLeft() {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// cgroupsLeft is every process in a container.
func (s site) cgroupsLeft() []int {
	var pids []int
	for _, dir := range s.cgroups() {
		filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.Name() != "cgroup.procs" {
				return nil
			}
			b, _ := os.ReadFile(name)
			for _, field := range strings.Fields(string(b)) {
				if pid, err := strconv.Atoi(field); err == nil && pid != 0 {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// removeCgroups removes the empty cgroups, innermost first. The kernel lets
// go of one a moment after its last process.
func (s site) removeCgroups() error {
	return poll(context.Background(), 5*time.Second, func(context.Context) error {
		var errs []error
		for _, top := range s.cgroups() {
			var dirs []string
			filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, name)
				}
				return nil
			})
			for _, dir := range slices.Backward(dirs) {
				if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					errs = append(errs, err)
				}
			}
		}
		return errors.Join(errs...)
	})
}

// removeNetns does what `ip netns delete` does; none there is fine.
func removeNetns(name string) error {
	err := unix.Unmount(name, unix.MNT_DETACH)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", name, err)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
