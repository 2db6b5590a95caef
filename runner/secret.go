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
// as they are, in base64 at any offset, hex, decimal bytes, URL-encoded, in JSON
// (also in JSON in JSON), HTML, XML or quotes; each of them also if line ends and
// indentation cut it anywhere. It is safe for concurrent use, and values may be
// added while its writers are in use; they are then searched in every byte that
// has not been passed on yet.
//
// A value of which there are fewer than 2^40 of its kind (eight lower-case
// letters, a number of twelve digits), or with fewer than five different
// characters, is easy: logs hold it by chance. As a text it counts only where
// no letter or digit touches it, and in one piece; in hex, bytes and base64 it is searched
// as any other.
//
// What it does not find: a value that was compressed, encrypted or reversed,
// one that is cut by anything else than line ends, and what two encodings in a row
// make of it (JSON aside).
type Vault struct {
	mu       sync.Mutex // guards patterns; held by Add alone
	patterns []pattern
	finders  atomic.Pointer[finders]
}

// finders are a vault's: one for what a line break may cut in two, and one
// for what is searched as it is.
type finders struct{ broken, whole *finder }

func newFinders(patterns []pattern) *finders {
	var broken, whole []pattern
	for _, p := range patterns {
		if p.word || strings.ContainsAny(p.text, "\r\n") || isIndent(p.text[0]) {
			whole = append(whole, p)
		} else {
			broken = append(broken, p)
		}
	}
	return &finders{newFinder(broken), newFinder(whole)}
}

// A Leak says which secret was seen, and how it was written. It never holds
// the value.
type Leak struct {
	Name string // as given to Add
	Form string // "plain", "base64", "hex", "bytes", "url", "json", "html" or "quoted"
}

// NewVault returns a vault that knows no secret yet.
func NewVault() *Vault {
	v := &Vault{}
	v.finders.Store(newFinders(nil))
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
	v.finders.Store(newFinders(v.patterns))
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
