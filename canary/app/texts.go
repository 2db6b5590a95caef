package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// texts are files in a folder: texts/NAME holds a text, journal a line for
// each thing that was done, and removed/NAME says that a text was there once.
type texts struct{ dir string }

// A text's name has one to maxName of these characters: no path leaves the folder.
var names = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

const maxName = 100

func (t texts) path(kind, name string) (string, error) {
	if len(name) > maxName || !names.MatchString(name) {
		return "", fmt.Errorf("%q is no name for a text", name)
	}
	return filepath.Join(t.dir, kind, name), nil
}

// get returns a text; fs.ErrNotExist if there is none.
func (t texts) get(name string) (string, error) {
	path, err := t.path("texts", name)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	return string(data), err
}

// put keeps a text that only its owner can read.
func (t texts) put(name, text string) error {
	path, err := t.path("texts", name)
	if err != nil {
		return err
	}
	if err := write(path, text); err != nil {
		return err
	}
	return t.note("put " + name)
}

// rm removes a text, and leaves a mark that it was there.
func (t texts) rm(name string) error {
	path, err := t.path("texts", name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	mark, _ := t.path("removed", name)
	return errors.Join(write(mark, ""), t.note("rm "+name))
}

// removed tells whether a text of that name was there once.
func (t texts) removed(name string) bool {
	mark, err := t.path("removed", name)
	if err != nil {
		return true
	}
	_, err = os.Stat(mark)
	return err == nil
}

// all returns every text by name.
func (t texts) all() (map[string]string, error) {
	all := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(t.dir, "texts"))
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if all[e.Name()], err = t.get(e.Name()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// set makes the texts those of a map, and removes all others.
func (t texts) set(all map[string]string) error {
	errs := []error{os.RemoveAll(filepath.Join(t.dir, "texts"))}
	for name, text := range all {
		errs = append(errs, t.put(name, text))
	}
	return errors.Join(errs...)
}

// note adds a line to the journal.
func (t texts) note(what string) error {
	f, err := os.OpenFile(filepath.Join(t.dir, "journal"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, what)
	return errors.Join(err, f.Close())
}

// write puts a file in its place whole.
func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// A name of an unfinished text is no text's: names have no dot.
	tmp := filepath.Join(filepath.Dir(filepath.Dir(path)), ".new-"+filepath.Base(path))
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
