package runner

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
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
	path, err := filepath.Abs(filepath.Join(runsDir, runID))
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(path, "results.json")); err == nil {
		return nil, fmt.Errorf("run folder %s: there is a run in it already", path)
	}
	if err := os.MkdirAll(locksDir, 0o700); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	lock, err := lockPatiently(lockName(locksDir, runID))
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %w", path, err)
	}
	f := &Folder{Path: path, lock: lock}
	if err := f.make(); err != nil {
		return nil, errors.Join(fmt.Errorf("run folder: %w", err), f.Close())
	}
	return f, nil
}

// make writes into the lock where the folder is, for whoever finds the lock
// of a run that was killed, and makes the folder.
func (f *Folder) make() error {
	if err := errors.Join(f.lock.Truncate(0), writeAt(f.lock, f.Path)); err != nil {
		return err
	}
	for _, dir := range []string{f.Path, filepath.Join(f.Path, "logs"), f.Work()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// lockFile takes the lock on a file, which it makes, or says ErrRunning.
// Whoever gives a lock back removes its file: a lock on a file that is not
// there any more would keep nobody out.
func lockFile(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			return nil, ErrRunning
		}
		ours, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(ours, there) {
			return f, nil
		}
		f.Close()
	}
}

// lookTime is more than a reaper needs to see that a run left nothing.
const lookTime = 2 * time.Second

// lockPatiently is lockFile for a run that begins: a reaper may have found the
// lock's file before it was locked, and be looking what it stands for.
func lockPatiently(path string) (*os.File, error) {
	for end := time.Now().Add(lookTime); ; time.Sleep(lookTime / 100) {
		f, err := lockFile(path)
		if err == nil || !errors.Is(err, ErrRunning) || time.Now().After(end) {
			return f, err
		}
	}
}

const (
	lockSuffix = ".lock"
	keptSuffix = ".kept"
)

// The name of a run may come from a label that others wrote: it never leads out
// of the folder, nor to the lock of a run of another name.
func lockName(locksDir, runID string) string {
	return filepath.Join(locksDir, url.PathEscape(runID)+lockSuffix)
}

// Keep says that what the run made stays after its end: reap leaves it alone
// until it is told the run's name.
func (f *Folder) Keep() error {
	return os.WriteFile(keptName(filepath.Dir(f.lock.Name()), filepath.Base(f.Path)), []byte(f.Path), 0o600)
}

func keptName(locksDir, runID string) string {
	return filepath.Join(locksDir, url.PathEscape(runID)+keptSuffix)
}

// Kept tells whether a run of this host was told to leave what it made.
func Kept(locksDir, runID string) bool {
	_, err := os.Stat(keptName(locksDir, runID))
	return err == nil
}

// Work is a path below the part of the folder that goes with the run.
func (f *Folder) Work(elem ...string) string {
	return filepath.Join(append([]string{f.Path, "work"}, elem...)...)
}

// Sweep removes what only the running run needed.
func (f *Folder) Sweep() error { return os.RemoveAll(f.Work()) }

// Close gives the lock back. Its file goes unless it must still say where
// something is that could not be removed.
func (f *Folder) Close() error {
	if _, err := os.Lstat(f.Work()); err == nil {
		return f.lock.Close()
	}
	return errors.Join(os.Remove(f.lock.Name()), f.lock.Close())
}

// Writable tries whether the folder takes another file.
func (f *Folder) Writable() error {
	tmp, err := os.CreateTemp(f.Path, ".try-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(make([]byte, 4096))
	return errors.Join(err, tmp.Sync(), tmp.Close(), os.Remove(tmp.Name()))
}

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
