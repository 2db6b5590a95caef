package runner

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// leaks collects where which secret was seen. It never holds a value.
type leaks struct {
	mu   sync.Mutex
	seen []string
}

func (l *leaks) add(name, form, where string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry := fmt.Sprintf("%s (%s) in %s", name, form, where); !slices.Contains(l.seen, entry) {
		l.seen = append(l.seen, entry)
	}
}

// err says which secrets were seen where; nil if none was.
func (l *leaks) err() error {
	if len(l.seen) == 0 {
		return nil
	}
	return fmt.Errorf("a generated secret was seen: %s", strings.Join(l.seen, "; "))
}

// ServiceLog is where the raw log of one task goes: it is searched for
// secrets before it is redacted and stored.
func (r *Run) ServiceLog(service, task string) io.WriteCloser {
	dst := &cutLog{left: maxTaskLog, all: &r.kept}
	if f, err := r.Folder.Log(filepath.Join("logs", "services", Slug(service)+"."+Slug(task)+".log")); err == nil {
		dst.file = f
	}
	return &closing{r.Vault.Writer(dst, func(secret, form string) { r.leaks.add(secret, form, "the log of "+service) }), dst}
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
	f := c.file
	if c.file = nil; f == nil {
		return nil
	}
	return f.Close()
}
