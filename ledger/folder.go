package ledger

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A Reader reads the folder of a ledger. Names are NAME, entries/NAME and
// checkpoints/NAME. What is not a regular file is refused, symlinks too.
type Reader interface {
	// Read is the whole of a file; the error of a missing one is fs.ErrNotExist.
	Read(name string) ([]byte, error)
	// List is the names in a folder, "." or one of the two, in any order.
	List(dir string) ([]string, error)
}

// A Writer changes the folder. Nothing is there to stay before Sync said so.
type Writer interface {
	// Write makes a new file; the error of one that is there is fs.ErrExist.
	Write(name string, data []byte) error
	// Sync brings a file, or the names in a folder, to the disk.
	Sync(name string) error
	// Link gives a file another name, which must be free (fs.ErrExist).
	Link(old, new string) error
	// Rename gives a file another name, whatever has it.
	Rename(old, new string) error
	Remove(name string) error
}

const (
	entriesDir     = "entries"
	checkpointsDir = "checkpoints"
	tempPrefix     = ".tmp-"
)

// tempName is a name that nobody else makes up.
func tempName(dir string) string {
	var b [8]byte
	rand.Read(b[:])
	return path.Join(dir, tempPrefix+hex.EncodeToString(b[:]))
}

// createOnce makes a file that is whole from the moment it has its name, and
// there to stay when createOnce returns. The error of a name that is taken is
// fs.ErrExist.
func createOnce(w Writer, temp, name string, data []byte) error {
	err := w.Write(temp, data)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("temporary file %s: %v", temp, err)
	}
	if err == nil {
		err = w.Sync(temp)
	}
	if err == nil {
		err = w.Link(temp, name)
	}
	if err == nil {
		err = w.Sync(path.Dir(name))
	}
	// A temporary file that stays is no harm: readers pass over it.
	w.Remove(temp)
	return err
}

// replace makes or replaces a file that can be made again at any time.
func replace(w Writer, temp, name string, data []byte) error {
	err := w.Write(temp, data)
	if err == nil {
		err = w.Sync(temp)
	}
	if err == nil {
		return w.Rename(temp, name)
	}
	w.Remove(temp)
	return err
}

// A Dir is a ledger's folder on disk. It never follows a symlink.
type Dir struct {
	path string
	fds  map[string]int // ".", entries, checkpoints
}

// OpenDir opens the folder of a ledger.
func OpenDir(name string) (*Dir, error) {
	d := &Dir{path: name, fds: map[string]int{}}
	for _, sub := range []string{".", entriesDir, checkpointsDir} {
		at, rel, flags := unix.AT_FDCWD, name, unix.O_DIRECTORY|unix.O_CLOEXEC
		if sub != "." {
			at, rel, flags = d.fds["."], sub, flags|unix.O_NOFOLLOW
		}
		fd, err := unix.Openat(at, rel, flags, 0)
		if err != nil {
			d.Close()
			return nil, d.wrap("open", sub, err)
		}
		d.fds[sub] = fd
	}
	return d, nil
}

// MakeDir makes the folder of a ledger that has no entries yet. The folder
// may be there, with other files.
func MakeDir(name string) (*Dir, error) {
	for _, sub := range []string{entriesDir, checkpointsDir} {
		if err := os.MkdirAll(path.Join(name, sub), 0o755); err != nil {
			return nil, err
		}
	}
	return OpenDir(name)
}

// Close lets go of the folder.
func (d *Dir) Close() error {
	var errs []error
	for _, fd := range d.fds {
		errs = append(errs, unix.Close(fd))
	}
	d.fds = nil
	return errors.Join(errs...)
}

// Path is where the folder is.
func (d *Dir) Path() string { return d.path }

// at is the folder's descriptor and the name in it.
func (d *Dir) at(name string) (int, string, error) {
	dir, base := path.Split(name)
	fd, ok := d.fds[path.Clean(dir)]
	if !ok || base == "" || base == "." || base == ".." {
		return 0, "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	return fd, base, nil
}

func (d *Dir) wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.ELOOP) || op == "open" && errors.Is(err, unix.ENOTDIR) {
		return corrupt(name, errors.New("a symlink, or no file or folder of a ledger"))
	}
	return &fs.PathError{Op: op, Path: path.Join(d.path, name), Err: err}
}

// Read implements Reader.
func (d *Dir) Read(name string) ([]byte, error) {
	at, base, err := d.at(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.wrap("open", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, d.wrap("stat", name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, corrupt(name, errors.New("not a regular file"))
	}
	if st.Size > maxEntry && path.Dir(name) != "." {
		return nil, corrupt(name, fmt.Errorf("%d bytes are more than an entry has", st.Size))
	}
	data := make([]byte, st.Size)
	n, err := io.ReadFull(reader(fd), data)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, d.wrap("read", name, err)
	}
	return data[:n], nil
}

// A reader reads a descriptor.
type reader int

func (r reader) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(r), b)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// List implements Reader.
func (d *Dir) List(dir string) ([]string, error) {
	at, ok := d.fds[dir]
	if !ok {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrInvalid}
	}
	fd, err := unix.Openat(at, ".", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.wrap("list", dir, err)
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	return f.Readdirnames(-1)
}

// Write implements Writer.
func (d *Dir) Write(name string, data []byte) error {
	at, base, err := d.at(name)
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return d.wrap("create", name, err)
	}
	for len(data) > 0 && err == nil {
		var n int
		if n, err = unix.Write(fd, data); err == unix.EINTR {
			n, err = 0, nil
		}
		data = data[max(n, 0):]
	}
	return d.wrap("write", name, errors.Join(err, unix.Close(fd)))
}

// Sync implements Writer.
func (d *Dir) Sync(name string) error {
	if fd, ok := d.fds[name]; ok {
		return d.wrap("sync", name, unix.Fsync(fd))
	}
	at, base, err := d.at(name)
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return d.wrap("sync", name, err)
	}
	return d.wrap("sync", name, errors.Join(unix.Fsync(fd), unix.Close(fd)))
}

// Link implements Writer.
func (d *Dir) Link(old, new string) error {
	return d.two("link", old, new, func(a int, x string, b int, y string) error { return unix.Linkat(a, x, b, y, 0) })
}

// Rename implements Writer.
func (d *Dir) Rename(old, new string) error { return d.two("rename", old, new, unix.Renameat) }

func (d *Dir) two(op, old, new string, do func(int, string, int, string) error) error {
	a, x, err := d.at(old)
	if err != nil {
		return err
	}
	b, y, err := d.at(new)
	if err != nil {
		return err
	}
	return d.wrap(op, new, do(a, x, b, y))
}

// Remove implements Writer.
func (d *Dir) Remove(name string) error {
	at, base, err := d.at(name)
	if err != nil {
		return err
	}
	return d.wrap("remove", name, unix.Unlinkat(at, base, 0))
}

// Lock waits until no other process that asks has the folder. It goes with
// the process. It is politeness: what is written is right without it, with
// more attempts.
func (d *Dir) Lock() (unlock func(), err error) {
	at, base, _ := d.at(".lock")
	fd, err := unix.Openat(at, base, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, d.wrap("open", ".lock", err)
	}
	for {
		if err = unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, d.wrap("lock", ".lock", err)
	}
	return func() { unix.Close(fd) }, nil
}

// isTemp tells a temporary file from the ledger's own.
func isTemp(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }
