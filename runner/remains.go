package runner

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Known lists the ids of this host's runs that are alive, or were killed, or
// were told to leave what they made.
func Known(locksDir string) ([]string, error) {
	entries, err := os.ReadDir(locksDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		for _, suffix := range []string{lockSuffix, keptSuffix} {
			name, ok := strings.CutSuffix(e.Name(), suffix)
			if id, err := url.PathUnescape(name); ok && err == nil && id != "" {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// Remains is what a run of this host that is no longer alive left on disk.
// Whoever has it holds the run's lock: no run of that id begins meanwhile, and
// nobody else removes the same.
type Remains struct {
	Work string // the part of the run's folder that should have gone with it; empty if it has

	run   string
	locks string
	lock  *os.File
}

// RemainsOf returns what a run left, or says ErrRunning.
func RemainsOf(locksDir, runID string) (*Remains, error) {
	if err := os.MkdirAll(locksDir, 0o700); err != nil {
		return nil, err
	}
	m := &Remains{run: runID, locks: locksDir}
	var err error
	if m.lock, err = lockFile(lockName(locksDir, runID)); err != nil {
		return nil, err
	}
	for _, name := range []string{lockName(locksDir, runID), keptName(locksDir, runID)} {
		folder, err := os.ReadFile(name)
		work := filepath.Join(string(folder), "work")
		if err != nil || !filepath.IsAbs(string(folder)) || filepath.Base(string(folder)) != runID {
			continue // of an older build, or killed before it was written
		}
		if _, err := os.Lstat(work); err == nil {
			m.Work = work
		}
	}
	return m, nil
}

// Remove removes it, with a folder that holds nothing else, and forgets the
// run. The record and the logs of what was reached stay.
func (m *Remains) Remove() error {
	if m.Work != "" {
		if err := os.RemoveAll(m.Work); err != nil {
			return err
		}
		folder := filepath.Dir(m.Work)
		os.Remove(filepath.Join(folder, "logs")) // only if there is nothing in them
		os.Remove(folder)
	}
	if err := os.Remove(keptName(m.locks, m.run)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.Close()
}

// Close gives the run's lock back. What is left stays.
func (m *Remains) Close() error {
	if m.lock == nil {
		return nil
	}
	err := errors.Join(m.settle(), m.lock.Close())
	m.lock = nil
	return err
}

// settle removes the lock's file unless it still says where something is.
func (m *Remains) settle() error {
	if _, err := os.Lstat(m.Work); m.Work != "" && err == nil {
		return nil
	}
	return os.Remove(m.lock.Name())
}
