package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// store is a directory with one file for each note.
type store struct{ dir string }

// A name starts with no dot: such files are writes that did not come to an end.
var validName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

// errName means that the name cannot be one.
var errName = errors.New("not a name for a note")

func (s store) path(name string) (string, error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("%q: %w", name, errName)
	}
	return filepath.Join(s.dir, name), nil
}

// put keeps text under name: after a crash there is the old text or the new one.
func (s store) put(name string, text []byte) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it has its name
	if err := errors.Join(write(tmp, text), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return s.sync()
}

func write(f *os.File, text []byte) error {
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// sync makes names durable, as write does for what is under them.
func (s store) sync() error {
	d, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// get returns the text; the error is fs.ErrNotExist if there is none.
func (s store) get(name string) ([]byte, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// remove takes a note away; the error is fs.ErrNotExist if there is none.
func (s store) remove(name string) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return s.sync()
}

// list returns the names, sorted.
func (s store) list() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if isNote(e) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isNote(e fs.DirEntry) bool {
	return e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".")
}
