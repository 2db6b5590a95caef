package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// ServiceLog is where the raw log of one task goes, stdout and stderr apart.
// Secrets are searched in each of them, as the other may interrupt a value; in
// both as they come, which may hold half of it each; and in what is stored, which is both
// mixed line by line, redacted and made printable. What is not stored, as the
// log is full, is no text of its own: the first two are searched alone.
func (r *Run) ServiceLog(service, task string) (stdout, stderr io.WriteCloser) {
	dst := &cutLog{left: maxTaskLog, all: r.kept} // a log that can't be stored is searched all the same
	f, err := r.Folder.Log(filepath.Join("logs", "services", Slug(service)+"."+Slug(task)+".log"))
	if err == nil {
		dst.file = f
	}
	dst.full.Store(err != nil)
	seen := func(secret, form string) { r.leaks.add(secret, form, "the log of "+service) }
	raw := &shared{WriteCloser: r.Vault.Writer(discard{}, seen), users: 2}
	stored := &shared{WriteCloser: &untilFull{r.Vault.Stored(dst, seen), dst}, users: 2}
	stream := func() io.WriteCloser {
		lines := &lineWriter{dst: stored}
		return &views{raw, &closing{r.Vault.Writer(lines, seen), lines}}
	}
	return stream(), stream()
}

// Stored is Writer for a file that people will look at: what is left is made
// printable, too. Closing it closes dst.
func (v *Vault) Stored(dst io.WriteCloser, seen func(name, form string)) io.WriteCloser {
	clean := &cleaner{dst: dst}
	return &closing{v.Writer(clean, seen), clean}
}

// closing closes what a redacting writer wrote to after the writer itself.
type closing struct {
	io.WriteCloser
	dst io.Closer
}

func (c *closing) Close() error { return errors.Join(c.WriteCloser.Close(), c.dst.Close()) }

// Of what tasks log so many bytes are kept, of one task and of all of a run.
const (
	maxTaskLog  = 4 << 20
	maxTaskLogs = 64 << 20
)

// A cutLog keeps the beginning of a log. It takes all that there is, as what
// is not kept, or can't be stored as the disk is full, has still passed the search for secrets.
type cutLog struct {
	file io.WriteCloser // nil: nothing is stored, or no more
	left int64          // bytes that may still be kept of this log
	all  *atomic.Int64  // bytes that were kept of all logs of the run
	full atomic.Bool    // nothing is stored any more
}

// untilFull passes on what can still be stored.
type untilFull struct {
	io.WriteCloser
	log *cutLog
}

func (w *untilFull) Write(p []byte) (int, error) {
	if w.log.full.Load() {
		return len(p), nil
	}
	return w.WriteCloser.Write(p)
}

func (c *cutLog) Write(p []byte) (int, error) {
	if c.file == nil {
		return len(p), nil
	}
	keep := max(0, min(int64(len(p)), c.left, maxTaskLogs-c.all.Load()))
	c.left -= keep
	c.all.Add(keep)
	_, err := c.file.Write(p[:keep])
	if err == nil && keep == int64(len(p)) {
		return len(p), nil
	}
	if err == nil {
		fmt.Fprintf(c.file, "\n[cut after %d bytes: what follows was searched for secrets, but is not kept]\n", maxTaskLog-c.left)
	}
	c.Close()
	return len(p), nil
}

func (c *cutLog) Close() error {
	c.full.Store(true)
	f := c.file
	if c.file = nil; f == nil {
		return nil
	}
	return f.Close()
}

// views all get what is written.
type views []io.WriteCloser

func (v views) Write(p []byte) (int, error) {
	for _, w := range v {
		if n, err := w.Write(p); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

func (v views) Close() error {
	var errs []error
	for _, w := range v {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// shared is closed by its last user.
type shared struct {
	io.WriteCloser
	mu    sync.Mutex
	users int
}

func (s *shared) Close() error {
	s.mu.Lock()
	s.users--
	last := s.users == 0
	s.mu.Unlock()
	if last {
		return s.WriteCloser.Close()
	}
	return nil
}

// maxLine bounds how much of a line is held back, in bytes.
const maxLine = 64 << 10

// A lineWriter passes on whole lines, so that two streams don't cut each
// other's. A line longer than maxLine goes in parts.
type lineWriter struct {
	dst  io.WriteCloser
	held []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end == 0 && len(w.held)+len(p) < maxLine {
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if end == 0 {
		end = len(p)
	}
	var err error
	if len(w.held) > 0 {
		_, err = w.dst.Write(append(w.held, p[:end]...))
	} else {
		_, err = w.dst.Write(p[:end])
	}
	w.held = append(w.held[:0], p[end:]...)
	return len(p), err
}

func (w *lineWriter) Close() error {
	_, err := w.dst.Write(w.held)
	return errors.Join(err, w.dst.Close())
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
