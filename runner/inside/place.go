package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// stat writes the entry of one path below dir, without a hash.
func stat(w io.Writer, dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := lstat(root, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return errNo
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return json.NewEncoder(w).Encode(entryOf(path.Clean(name), info))
}

// lstat looks at a path without following a symlink anywhere in it: a backup
// of what is behind one would be of something else than its name says.
func lstat(root *os.Root, name string) (fs.FileInfo, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("path %q is not below its directory", name)
	}
	name = path.Clean(name)
	for i, c := range name {
		if c != '/' {
			continue
		}
		info, err := root.Lstat(name[:i])
		if err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("path %q leads through the symlink %q", name, name[:i])
		}
	}
	return root.Lstat(name)
}

// decoy creates the file base in the directory name below dir, owned like
// that directory so that no app stumbles over it. It is errNo if there is no
// such directory.
func decoy(dir, name, base string) error {
	if base == "" || base == "." || base == ".." || strings.Contains(base, "/") {
		return fmt.Errorf("decoy %q is not a plain file name", base)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := lstat(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return errNo
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: %q is not a directory", dir, name)
	}
	return create(root, path.Join(name, base), info.Sys().(*syscall.Stat_t))
}

// create makes a new file; one that exists is the app's and stays as it is.
func create(root *os.Root, name string, owner *syscall.Stat_t) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("abra-ccci: no backup holds this file\n")
	if err == nil {
		err = f.Chown(int(owner.Uid), int(owner.Gid))
	}
	return errors.Join(err, f.Close())
}
