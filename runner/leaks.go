package runner

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	var dst io.WriteCloser = discard{} // a log that can't be stored is searched all the same
	if f, err := r.Folder.Log(filepath.Join("logs", "services", Slug(service)+"."+Slug(task)+".log")); err == nil {
		dst = f
	}
	dst = &lossy{WriteCloser: dst}
	return &closing{r.Vault.Writer(dst, func(secret, form string) { r.leaks.add(secret, form, "the log of "+service) }), dst}
}

// closing closes what a redacting writer wrote to after the writer itself.
type closing struct {
	io.WriteCloser
	dst io.Closer
}

func (c *closing) Close() error { return errors.Join(c.WriteCloser.Close(), c.dst.Close()) }

// lossy keeps what can be kept: a full disk must not end the search.
type lossy struct {
	io.WriteCloser
	full bool
}

func (l *lossy) Write(p []byte) (int, error) {
	if !l.full {
		_, err := l.WriteCloser.Write(p)
		l.full = err != nil
	}
	return len(p), nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
