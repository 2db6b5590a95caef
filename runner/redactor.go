package runner

import (
	"io"
	"slices"
	"sync"
)

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
	run    int    // this many bytes of a break were passed on last
	word   bool   // a letter or digit was passed on last
	err    error  // the first error of dst; nothing is written after it

	squeezed squeezed // these three are reused
	found    []match
	out      []byte
}

func (w *redactor) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := 0; n < len(p); {
		chunk := p[n:min(n+redactChunk, len(p))]
		data := chunk
		if len(w.held) > 0 {
			w.held = append(w.held, chunk...)
			data = w.held
		}
		if err := w.pass(data, false); err != nil {
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
	return w.pass(w.held, true)
}

// pass hands on what of data can be decided: everything before the first byte
// where a secret may have begun that is not complete yet; at the end, all. What
// is left is held: data is what was held before, or a chunk that came to nothing held.
func (w *redactor) pass(data []byte, end bool) error {
	if w.err != nil {
		return w.err
	}
	limit := w.search(data, end)
	if limit > 0 {
		if out := w.redact(data, limit); len(out) > 0 {
			_, w.err = w.dst.Write(out)
		}
		w.run = breakAt(data, limit, w.run)
		w.word = isWord(data[limit-1])
		w.hidden = max(0, w.hidden-limit)
	}
	w.held = append(w.held[:0], data[limit:]...)
	return w.err
}

// search puts into found what begins in data before the limit that it returns.
func (w *redactor) search(data []byte, end bool) (limit int) {
	f := w.vault.finders.Load()
	limit = len(data)
	w.found = w.found[:0]
	if f.broken.step > 0 {
		s := &w.squeezed
		s.squeeze(data, w.run)
		if i := f.broken.undecided(s.text); !end && i < len(s.text) {
			limit = s.raw(i)
		}
		w.found = f.broken.matches(w.found, s.text)
		for i, m := range w.found {
			w.found[i].start, w.found[i].end = s.raw(m.start), s.raw(m.end-1)+1
		}
	}
	if f.whole.step > 0 {
		if i := f.whole.undecided(data); !end {
			limit = min(limit, i)
		}
		w.found = f.whole.matches(w.found, data)
		slices.SortStableFunc(w.found, compareMatches)
	}
	w.found = slices.DeleteFunc(w.found, func(m match) bool { return m.start >= limit || m.pattern.word && !w.isWhole(data, m) })
	return limit
}

// isWhole tells whether no letter or digit touches what was found: the value
// itself ends with one there, that is.
func (w *redactor) isWhole(data []byte, m match) bool {
	before, behind := w.word, false
	if m.start > 0 {
		before = isWord(data[m.start-1])
	}
	if m.end < len(data) {
		behind = isWord(data[m.end])
	}
	return !(before && isWord(data[m.start])) && !(behind && isWord(data[m.end-1]))
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// redact returns what data[:limit] becomes.
func (w *redactor) redact(data []byte, limit int) []byte {
	from := min(w.hidden, limit)
	if from == 0 && len(w.found) == 0 {
		return data[:limit]
	}
	out := w.out[:0]
	for _, m := range w.found {
		if m.start >= w.hidden { // not inside of what is already marked
			out = append(out, data[from:m.start]...)
			out = append(out, "[redacted:"+m.pattern.leak.Name+"]"...)
		}
		w.hidden = max(w.hidden, m.end)
		w.tell(m.pattern.leak)
		from = min(w.hidden, limit)
	}
	w.out = append(out, data[from:limit]...)
	return w.out
}

// tell reports a leak the first time.
func (w *redactor) tell(l Leak) {
	if w.seen != nil && !w.told[l] {
		w.told[l] = true
		w.seen(l.Name, l.Form)
	}
}
