package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// An overlay keeps what is written over a folder.
type overlay struct {
	Folder
	files map[string][]byte
}

func (o *overlay) Read(name string) ([]byte, error) {
	if data, ok := o.files[name]; ok {
		return data, nil
	}
	return o.Folder.Read(name)
}

func (o *overlay) List(dir string) ([]string, error) {
	names, err := o.Folder.List(dir)
	more, _ := mapReader(o.files).List(dir)
	for _, name := range more {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, err
}

func (o *overlay) Write(name string, data []byte) error {
	o.files[name] = data
	return nil
}

func (o *overlay) Sync(string) error { return nil }

func (o *overlay) Link(old, new string) error {
	if _, err := o.Read(new); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", new, errors.Join(err, fs.ErrExist))
	}
	o.files[new] = o.files[old]
	return nil
}

func (o *overlay) Rename(old, new string) error {
	o.files[new] = o.files[old]
	return o.Remove(old)
}

func (o *overlay) Remove(name string) error {
	delete(o.files, name)
	return nil
}

// A mapReader reads files in memory.
type mapReader map[string][]byte

func (m mapReader) Read(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (m mapReader) List(dir string) (names []string, err error) {
	for name := range m {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

// readOnly makes a Folder of a Reader that nobody writes to.
type readOnly struct{ Reader }

var errReadOnly = errors.New("this is only read")

func (readOnly) Write(string, []byte) error  { return errReadOnly }
func (readOnly) Sync(string) error           { return nil }
func (readOnly) Link(string, string) error   { return errReadOnly }
func (readOnly) Rename(string, string) error { return errReadOnly }
func (readOnly) Remove(string) error         { return errReadOnly }
