package inside

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"coopcloud.tech/abra-ccci/runner"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// errVanished means that a path was there when its directory was listed and
// is not any more. A living app does that; it is no fault.
var errVanished = errors.New("vanished")

// trailer is the last line of a manifest.
type trailer struct {
	Entries *int `json:"entries"`
}

// writeManifest lists the tree below dir on w.
func writeManifest(w io.Writer, dir string) error {
	m, err := readTree(dir)
	if err != nil {
		return err
	}
	return Encode(w, m)
}

// Encode writes a manifest as its lines and the closing line.
func Encode(w io.Writer, m runner.Manifest) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	for _, e := range m {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	n := len(m)
	if err := enc.Encode(trailer{&n}); err != nil {
		return err
	}
	return out.Flush()
}

// readTree lists everything below dir, sorted by path, hashing on every core.
func readTree(dir string) (runner.Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	t := &tree{root: root}
	t.hashers.SetLimit(runtime.NumCPU())
	walkErr := t.walk(".")
	hashErr := t.hashers.Wait()
	if err := errors.Join(walkErr, hashErr); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return t.manifest(), nil
}

// tree collects the entries of one walk. Each slot is filled by one goroutine;
// nil means that the path vanished.
type tree struct {
	root    *os.Root
	slots   []*slot
	hashers errgroup.Group
}

type slot struct {
	entry    runner.Entry
	vanished bool
}

func (t *tree) manifest() runner.Manifest {
	m := make(runner.Manifest, 0, len(t.slots))
	for _, s := range t.slots {
		if !s.vanished {
			m = append(m, s.entry)
		}
	}
	slices.SortFunc(m, func(a, b runner.Entry) int { return strings.Compare(a.Path, b.Path) })
	return m
}

// walk adds name and, if it is a directory, all that is below it.
func (t *tree) walk(name string) error {
	info, err := t.root.Lstat(name)
	if err != nil {
		return ignoreVanished(err)
	}
	s := t.add(name, info)
	if !info.IsDir() {
		return nil
	}
	children, err := t.list(name)
	if err != nil {
		s.vanished = true
		return ignoreVanished(err)
	}
	for _, child := range children {
		if err := t.walk(path.Join(name, child)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) list(dir string) ([]string, error) {
	f, err := t.root.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// add notes one path, and has it hashed if it has content.
func (t *tree) add(name string, info fs.FileInfo) *slot {
	s := &slot{entry: entryOf(name, info)}
	t.slots = append(t.slots, s)
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return s
	}
	t.hashers.Go(func() error {
		err := t.hash(name, &s.entry)
		s.vanished = errors.Is(err, errVanished) || errors.Is(err, fs.ErrNotExist)
		if s.vanished {
			return nil
		}
		return err
	})
	return s
}

// hash completes e, the entry of a file or a symlink.
func (t *tree) hash(name string, e *runner.Entry) error {
	if e.Type == "symlink" {
		return t.hashLink(name, e)
	}
	return t.hashFile(name, e)
}

func (t *tree) hashLink(name string, e *runner.Entry) error {
	target, err := t.root.Readlink(name)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(target))
	e.Hash = hex.EncodeToString(sum[:])
	return nil
}

// hashFile reads the file and what stat(2) says of it through one descriptor,
// so that an app that replaces files by renaming never gives the owner of one
// with the content of another.
func (t *tree) hashFile(name string, e *runner.Entry) error {
	// Not to hang on a fifo that took the file's place.
	f, err := t.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errVanished
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	*e = entryOf(name, info)
	e.Size = n
	e.Hash = hexSum(h)
	return nil
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// ignoreVanished is nil for a path that is gone or has become something else
// while it was walked.
func ignoreVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// entryOf says what lstat(2) says of a path.
func entryOf(name string, info fs.FileInfo) runner.Entry {
	st := info.Sys().(*syscall.Stat_t)
	e := runner.Entry{
		Path:  replaceBad(name),
		Type:  typeOf(info.Mode()),
		UID:   int(st.Uid),
		GID:   int(st.Gid),
		Mode:  st.Mode & 0o7777,
		MTime: info.ModTime().UTC(),
	}
	if e.Type == "file" {
		e.Size = info.Size()
	}
	return e
}

func typeOf(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "dir"
	case fs.ModeSymlink:
		return "symlink"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeNamedPipe:
		return "fifo"
	}
	return "device"
}

// replaceBad makes a name what encoding/json makes of it, one U+FFFD for each
// bad byte, so that manifests are sorted by the name that is written.
func replaceBad(name string) string { return string([]rune(name)) }
