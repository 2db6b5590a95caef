package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A Folder is the folder of one run. It is complete at every moment: files
// are written beside their place, synced, and renamed into it. A lock tells a
// live run from a dead one; it goes with the process, and lies with this
// host's other locks, wherever the run's folder is.
//
//	results.json  junit.xml  report.md
//	logs/<stage>/NN-<test>.log   one per test
//	logs/services/<service>.<task>.log
//	<domain>.env  the app's env, as abra writes it
//	work/         checkouts, repository and password; removed at the end
type Folder struct {
	Path string
	lock *os.File
}

// ErrRunning is the error of a run id that a live run holds.
var ErrRunning = errors.New("a run of this id is still alive")

// NewFolder makes the folder of a run, which must not hold an earlier one,
// and takes the run's lock in locksDir.
func NewFolder(runsDir, locksDir, runID string) (*Folder, error) {
	path := filepath.Join(runsDir, runID)
	if _, err := os.Stat(filepath.Join(path, "results.json")); err == nil {
		return nil, fmt.Errorf("run folder %s: there is a run in it already", path)
	}
	for _, dir := range []string{path, filepath.Join(path, "logs"), filepath.Join(path, "work"), locksDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("run folder: %w", err)
		}
	}
	lock, err := lockFile(lockName(locksDir, runID))
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %w", path, err)
	}
	return &Folder{Path: path, lock: lock}, nil
}

// lockFile takes the lock on a file, which it makes, or says ErrRunning.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, ErrRunning
	}
	return f, nil
}

func lockName(locksDir, runID string) string { return filepath.Join(locksDir, runID+".lock") }

// Alive tells whether a live process of this host holds the run.
func Alive(locksDir, runID string) bool {
	path := lockName(locksDir, runID)
	if _, err := os.Stat(path); err != nil {
		return false
	}
	f, err := lockFile(path)
	if err != nil {
		return true
	}
	f.Close()
	return false
}

// Keep says that what the run made stays after its end: reap leaves it alone
// until it is told the run's name.
func (f *Folder) Keep() error {
	return os.WriteFile(keptName(filepath.Dir(f.lock.Name()), filepath.Base(f.Path)), nil, 0o600)
}

func keptName(locksDir, runID string) string { return filepath.Join(locksDir, runID+".kept") }

// Kept tells whether a run of this host was told to leave what it made.
func Kept(locksDir, runID string) bool {
	_, err := os.Stat(keptName(locksDir, runID))
	return err == nil
}

// Forget takes back what Keep said, once it is all removed.
func Forget(locksDir, runID string) error {
	if err := os.Remove(keptName(locksDir, runID)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Work is a path below the part of the folder that goes with the run.
func (f *Folder) Work(elem ...string) string {
	return filepath.Join(append([]string{f.Path, "work"}, elem...)...)
}

// Sweep removes what only the running run needed.
func (f *Folder) Sweep() error { return os.RemoveAll(f.Work()) }

// Close gives the lock back and removes it.
func (f *Folder) Close() error { return errors.Join(os.Remove(f.lock.Name()), f.lock.Close()) }

// Write puts a file into the folder whole: written beside, synced, renamed.
func (f *Folder) Write(name string, write func(io.Writer) error) (err error) {
	path := filepath.Join(f.Path, name)
	tmp, err := os.CreateTemp(f.Path, "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := errors.Join(write(tmp), tmp.Chmod(0o644), tmp.Sync()); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(f.Path)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Log creates a log file of the folder; name is relative to it.
func (f *Folder) Log(name string) (*os.File, error) {
	path := filepath.Join(f.Path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}
