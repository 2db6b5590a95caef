package runner

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// MinSecret is the length in bytes below which a value is not searched: it
// would be found by chance.
const MinSecret = 6

// A Vault knows the secret values of a run and finds them in what passes by:
// as they are, and in base64, hex, URL-encoded, JSON, HTML or quotes. It is safe for
// concurrent use, and values may be added while its writers are in use; they
// are then searched in every byte that has not been passed on yet.
//
// What it does not find: a value that was compressed, encrypted, reversed or
// cut in two, and base64 that is wrapped within the value.
type Vault struct {
	mu       sync.Mutex // guards patterns; held by Add alone
	patterns []pattern
	finder   atomic.Pointer[finder]
}

// A Leak says which secret was seen, and how it was written. It never holds
// the value.
type Leak struct {
	Name string // as given to Add
	Form string // "plain", "base64", "hex", "url", "json", "html" or "quoted"
}

// NewVault returns a vault that knows no secret yet.
func NewVault() *Vault {
	v := &Vault{}
	v.finder.Store(newFinder(nil))
	return v
}

// Add makes a value known under a short name, and tells whether it will be
// searched: a value shorter than MinSecret bytes is not. Line ends around the
// value do not belong to it. In the name, what is not a letter, a digit or one
// of _.- becomes _, so that a mark does no harm in JSON, XML or Markdown.
func (v *Vault) Add(name, value string) bool {
	value = strings.Trim(value, "\r\n")
	if len(value) < MinSecret {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range patternsOf(markName(name), value) {
		same := func(q pattern) bool { return q.text == p.text && q.leak.Name == p.leak.Name }
		if !slices.ContainsFunc(v.patterns, same) {
			v.patterns = append(v.patterns, p)
		}
	}
	v.finder.Store(newFinder(v.patterns))
	return true
}

func markName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r) {
			return r
		}
		return '_'
	}, name)
}

// Redact returns s with `[redacted:<name>]` in the place of every secret.
func (v *Vault) Redact(s string) string {
	var out strings.Builder
	w := v.Writer(&out, nil)
	io.WriteString(w, s) // a strings.Builder never fails
	w.Close()
	return out.String()
}

// Find lists the secrets in s, once for each form, sorted by name and form.
func (v *Vault) Find(s string) []Leak {
	var leaks []Leak
	w := v.Writer(io.Discard, func(name, form string) { leaks = append(leaks, Leak{name, form}) })
	io.WriteString(w, s)
	w.Close()
	slices.SortFunc(leaks, func(a, b Leak) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Form, b.Form))
	})
	return leaks
}

// Writer returns a writer that passes on to dst what it is given, with
// `[redacted:<name>]` in the place of every secret, also of one that arrives
// in several writes. Occurrences that overlap become one mark, named after
// the first of them. It calls seen, which may be nil, once for each name and
// form. Bytes that may be the beginning of a secret, fewer than the longest
// form has, are held back until it is clear; Close passes them on, and leaves
// dst open.
func (v *Vault) Writer(dst io.Writer, seen func(name, form string)) io.WriteCloser {
	return &redactor{vault: v, dst: dst, seen: seen, told: map[Leak]bool{}}
}

// redactChunk bounds how much a redactor copies at once.
const redactChunk = 64 << 10

// A redactor is the writer of a vault.
type redactor struct {
	vault *Vault
	dst   io.Writer
	seen  func(name, form string)
	told  map[Leak]bool

	mu     sync.Mutex
	held   []byte // not passed on yet
	hidden int    // this many bytes of held belong to a secret that has been marked
	out    []byte // reused
	err    error  // the first error of dst; nothing is written after it
}

func (w *redactor) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := 0; n < len(p); {
		chunk := p[n:min(n+redactChunk, len(p))]
		w.held = append(w.held, chunk...)
		if err := w.pass(false); err != nil {
			return n, err
		}
		n += len(chunk)
	}
	return len(p), w.err
}

// Close passes on what is held back.
func (w *redactor) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pass(true)
}

// pass hands on what can be decided: everything before the first byte where a
// secret may have begun that is not complete yet; at the end, all.
func (w *redactor) pass(end bool) error {
	if w.err != nil {
		return w.err
	}
	f := w.vault.finder.Load()
	limit := len(w.held)
	if !end {
		limit = f.undecided(w.held)
	}
	if limit == 0 {
		return nil
	}
	if out := w.redact(f, limit); len(out) > 0 {
		_, w.err = w.dst.Write(out)
	}
	w.held = append(w.held[:0], w.held[limit:]...)
	w.hidden = max(0, w.hidden-limit)
	return w.err
}

// redact returns what held[:limit] becomes.
func (w *redactor) redact(f *finder, limit int) []byte {
	out, from := w.out[:0], min(w.hidden, limit)
	changed := from > 0
	for at := 0; ; at++ {
		var found []pattern
		if at, found = f.next(w.held, at, limit); at < 0 {
			break
		}
		if at >= w.hidden { // not inside of what is already marked
			out = append(out, w.held[from:at]...)
			out = append(out, "[redacted:"+found[0].leak.Name+"]"...)
		}
		changed = true
		for _, p := range found {
			w.hidden = max(w.hidden, at+len(p.text))
			w.tell(p.leak)
		}
		from = min(w.hidden, limit)
	}
	if !changed {
		return w.held[:limit]
	}
	w.out = append(out, w.held[from:limit]...)
	return w.out
}

// tell reports a leak the first time.
func (w *redactor) tell(l Leak) {
	if w.seen != nil && !w.told[l] {
		w.told[l] = true
		w.seen(l.Name, l.Form)
	}
}
