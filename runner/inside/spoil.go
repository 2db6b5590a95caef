package inside

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// What spoil can do to a file.
const (
	spoilTruncate = "truncate"
	spoilRemove   = "remove"
)

// maxSpoil bounds the list of files, in bytes.
const maxSpoil = 16 << 20

// spoil damages files below dir: the sabotage of a restored backup. Their paths
// come on stdin, with a zero byte between them. Nothing is reached through a
// symlink, and nothing but plain files is touched.
func spoil(dir, how string, list io.Reader) error {
	if how != spoilTruncate && how != spoilRemove {
		return fmt.Errorf("spoil: %q is no way to do it", how)
	}
	text, err := io.ReadAll(io.LimitReader(list, maxSpoil+1))
	if err != nil {
		return err
	}
	if len(text) > maxSpoil {
		return fmt.Errorf("spoil: the list of files is longer than %d bytes", maxSpoil)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name := range strings.SplitSeq(string(text), "\x00") {
		if err := spoilFile(root, how, name); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

func spoilFile(root *os.Root, how, name string) error {
	info, err := lstat(root, name)
	if errors.Is(err, fs.ErrNotExist) && how == spoilRemove {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%q is not a plain file", name)
	}
	if how == spoilRemove {
		return root.Remove(path.Clean(name))
	}
	f, err := root.OpenFile(path.Clean(name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
