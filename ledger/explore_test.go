package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"testing"
	"time"
)

// An explorer runs writers against a model of a disk, in every order of two
// switches, with every writer dying at every operation, and the power going
// at each of these moments, with everything that may then be lost being lost.
// What was looked at once is not looked at again.
type explorer struct {
	start  map[string][]byte
	keys   []*Signer
	now    time.Time
	wrap   func(Folder) Folder // a defence taken out, for negative controls
	disks  map[string]bool     // looked at
	images map[string]bool     // of disks after power cuts, looked at
	contents
	violation string // the first one
}

// newExplorer starts from a ledger with its policy and one entry.
func newExplorer(t *testing.T) *explorer {
	t.Helper()
	b := newBench(t)
	d := newDisk(nil)
	l, err := Init(d, origin, b.keys, b.id("init"), b.adversary, b.now)
	must(t, err)
	_, err = l.Append(Content{Kind: Orientation, Phase: "mailu", Prose: "first", ID: b.id("first")}, b.adversary, b.now)
	must(t, err)
	return &explorer{start: d.files(), keys: []*Signer{b.adversary, b.second, b.adversary}, now: b.now,
		disks: map[string]bool{}, images: map[string]bool{}, contents: contents{}}
}

func (x *explorer) fail(format string, args ...any) {
	if x.violation == "" {
		x.violation = fmt.Sprintf(format, args...)
	}
}

// A writer is one process with one entry to append. It runs only while the
// explorer waits for it: between operations it stands still.
type writer struct {
	name    string
	content Content
	ready   chan struct{} // it stands before an operation
	step    chan struct{} // do it
	done    chan struct{}
	dead    chan struct{}
	ended   bool
	ops     int
	did     operation // the last one
	err     error
	acked   bool
}

// An operation is what others may notice of what a writer does.
type operation int

const (
	looks      operation = iota
	looksAtLog           // at a file that is the same at any time
	changes
)

// A metered folder waits before each operation for its writer's turn.
type metered struct {
	Folder
	w     *writer
	fixed map[string][]byte
}

// turn waits for the writer's turn.
func (m metered) turn(o operation) {
	select {
	case m.w.ready <- struct{}{}:
	case <-m.w.dead:
		runtime.Goexit()
	}
	select {
	case <-m.w.step:
	case <-m.w.dead:
		runtime.Goexit()
	}
	m.w.did = o
}

func (m metered) Read(name string) ([]byte, error) {
	if m.fixed[name] != nil && path.Dir(name) != "." {
		m.turn(looksAtLog)
	} else {
		m.turn(looks)
	}
	return m.Folder.Read(name)
}

func (m metered) List(dir string) ([]string, error) {
	m.turn(looks)
	return m.Folder.List(dir)
}

func (m metered) Write(name string, data []byte) error {
	m.turn(changes)
	return m.Folder.Write(name, data)
}

func (m metered) Sync(name string) error {
	m.turn(changes)
	return m.Folder.Sync(name)
}

func (m metered) Link(old, new string) error {
	m.turn(changes)
	return m.Folder.Link(old, new)
}

func (m metered) Rename(old, new string) error {
	m.turn(changes)
	return m.Folder.Rename(old, new)
}

func (m metered) Remove(name string) error {
	m.turn(changes)
	return m.Folder.Remove(name)
}

// launch starts writer n; it stands before its first operation.
func (x *explorer) launch(d *disk, n int) *writer {
	w := &writer{name: string(rune('a' + n)), ready: make(chan struct{}), step: make(chan struct{}), done: make(chan struct{}), dead: make(chan struct{})}
	w.content = Content{Kind: Orientation, Phase: "mailu", Prose: "by " + w.name, ID: strings.Repeat(w.name, 32)}
	var f Folder = d
	if x.wrap != nil {
		f = x.wrap(d)
	}
	f = metered{f, w, x.start}
	go func() {
		defer close(w.done)
		w.err = errors.New("died")
		l, err := Open(f)
		if err == nil {
			temps := 0
			l.temp = func(dir string) string {
				temps++
				return path.Join(dir, fmt.Sprint(tempPrefix, w.name, temps))
			}
			_, err = l.Append(w.content, x.keys[n], x.now)
		}
		w.err = err
		var rendering *RenderError
		w.acked = err == nil || errors.As(err, &rendering)
	}()
	w.await()
	return w
}

// await waits until the writer stands again, or has ended.
func (w *writer) await() {
	select {
	case <-w.ready:
	case <-w.done:
		w.ended = true
	}
}

// tooMany operations are more than any append takes: it will never end.
const tooMany = 400

// run lets a writer do n operations, or all if n is negative. It tells
// whether the writer has ended.
func (x *explorer) run(w *writer, n int) (ended bool) {
	for i := 0; !w.ended && (n < 0 || i < n); i++ {
		w.step <- struct{}{}
		w.await()
		if w.ops++; w.ops > tooMany {
			x.fail("writer %s never ends", w.name)
			w.kill()
		}
	}
	return w.ended
}

func (w *writer) kill() {
	if !w.ended {
		close(w.dead)
		<-w.done
		w.ended = true
	}
}

// check holds the disk against what was acknowledged: as it is, and after
// every power cut.
func (x *explorer) check(d *disk, writers ...*writer) {
	told := ""
	for _, w := range writers {
		told += fmt.Sprint(w.name, w.acked)
	}
	key := told + d.key(x.number)
	if x.disks[key] || x.violation != "" {
		return
	}
	x.disks[key] = true
	for name, data := range x.start {
		if path.Dir(name) != "." && !isTemp(name) && (d.seen[name] == nil || !bytes.Equal(d.seen[name].data, data)) {
			x.fail("%s was written a second time", name)
		}
	}
	look := func(files map[string][]byte) {
		if image := told + x.fingerprint(files); !x.images[image] && x.violation == "" {
			x.images[image] = true
			x.recover(files, writers)
		}
	}
	d.afterPowerCut(look)
	look(d.files())
}

// recover opens what is there: nothing that was acknowledged is missing,
// everything verifies, nothing is there twice, and everybody can append again.
func (x *explorer) recover(files map[string][]byte, writers []*writer) {
	d := newDisk(files)
	l, _, err := Verify(d)
	if err != nil {
		x.fail("after the cut: %v", err)
		return
	}
	for _, w := range writers {
		if w.acked && !has(l, w.content.ID) {
			x.fail("what %s was told is in the ledger is lost", w.name)
			return
		}
	}
	for i, w := range writers {
		if _, err := l.Append(w.content, x.keys[i], x.now); err != nil {
			x.fail("%s can't append again: %v", w.name, err)
			return
		}
	}
	x.exactlyOnce(d, writers)
}

func (x *explorer) exactlyOnce(d *disk, writers []*writer) {
	count := map[string]int{}
	if _, err := Open(d, func(e *Entry, _ []byte, _ *Policy) error { count[e.ID]++; return nil }); err != nil {
		x.fail("after appending again: %v", err)
	}
	for _, w := range writers {
		if n := count[w.content.ID]; n != 1 {
			x.fail("the entry of %s is there %d times", w.name, n)
		}
	}
}

// deaths lets a die at any operation, then b, and c do the rest.
func (x *explorer) deaths() {
	x.dies(newDisk(x.start), 0, func(d *disk, a *writer) {
		x.check(d, a)
		x.dies(d, 1, func(d *disk, b *writer) {
			x.check(d, a, b)
			c := x.launch(d, 2)
			x.finish(c)
			x.check(d, a, b, c)
		})
	})
}

// dies calls visit with the disks that writer n leaves if it dies before its
// first operation, after any one that changes something, or not at all.
func (x *explorer) dies(d *disk, n int, visit func(*disk, *writer)) {
	d = d.clone()
	w := x.launch(d, n)
	visit(d.clone(), &writer{name: w.name, content: w.content})
	for x.violation == "" && !x.run(w, 1) {
		if w.did == changes {
			visit(d.clone(), &writer{name: w.name, content: w.content})
		}
	}
	w.kill()
	visit(d.clone(), w)
}

// pauses calls visit with a writer n that has come to each point at which it
// makes a difference what others do meanwhile.
func (x *explorer) pauses(n int, start func() *disk, visit func(*disk, *writer)) {
	for k := 0; x.violation == ""; k++ {
		d := start()
		w := x.launch(d, n)
		ended := x.run(w, k)
		if k == 0 || ended || w.did != looksAtLog {
			visit(d, w)
		}
		w.kill()
		if ended {
			return
		}
	}
}

// races lets a stop anywhere while b goes on to its end, and then a. Nobody
// dies, so everybody must be told that it worked.
func (x *explorer) races() {
	x.pauses(0, func() *disk { return newDisk(x.start) }, func(d *disk, a *writer) {
		b := x.launch(d, 1)
		for _, w := range []*writer{b, a} {
			for !x.run(w, 1) {
				x.check(d, a, b)
			}
			x.finish(w)
			x.check(d, a, b)
		}
	})
}

// threeRaces lets a stop anywhere, and b, while c goes on to its end.
func (x *explorer) threeRaces() {
	for k := 0; x.violation == ""; k++ {
		var a *writer
		aEnded, counts := false, true
		x.pauses(1, func() *disk {
			d := newDisk(x.start)
			a = x.launch(d, 0)
			aEnded = x.run(a, k)
			counts = k == 0 || aEnded || a.did != looksAtLog
			return d
		}, func(d *disk, b *writer) {
			if counts {
				c := x.launch(d, 2)
				for _, w := range []*writer{c, b, a} {
					x.finish(w)
					x.check(d, a, b, c)
				}
			}
			a.kill()
		})
		if aEnded {
			return
		}
	}
}

// finish lets a writer end, and it must have worked.
func (x *explorer) finish(w *writer) {
	x.run(w, -1)
	if !w.acked {
		x.fail("writer %s: %v", w.name, w.err)
	}
}

func (x *explorer) all() {
	x.deaths()
	x.races()
	x.threeRaces()
}

// Whatever happens to up to three writers and to the power, what was
// acknowledged is there once, and the ledger can be written on.
func TestExplore(t *testing.T) {
	t.Parallel()
	x := newExplorer(t)
	x.all()
	if x.violation != "" {
		t.Error(x.violation)
	}
	t.Logf("%d different states of the disk", len(x.images))
}

// The explorer must find what a missing defence does.
func TestExploreFinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		wrap func(Folder) Folder
		want string
	}{
		{"no fsync of files", func(f Folder) Folder { return lazyFiles{f} }, "after the cut"},
		{"no fsync of folders", func(f Folder) Folder { return lazyFolders{f} }, "is lost"},
		{"no flush of what others wrote", func(f Folder) Folder { return &selfish{Folder: f, linked: map[string]bool{}} }, "after the cut"},
		{"rename in the place of link", func(f Folder) Folder { return overwriting{f} }, ""},
		{"no roll-forward", func(f Folder) Folder { return blind{f} }, "never ends"},
		{"checkpoint before the entry's name is on the disk", func(f Folder) Folder { return lazyEntries{f} }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newExplorer(t)
			x.wrap = tt.wrap
			x.all()
			if x.violation == "" || !strings.Contains(x.violation, tt.want) {
				t.Errorf("found %q, want %q", x.violation, tt.want)
			}
			t.Log(x.violation)
		})
	}
}

func isFolder(name string) bool {
	return name == "." || name == entriesDir || name == checkpointsDir
}

type lazyFiles struct{ Folder }

func (f lazyFiles) Sync(name string) error {
	if !isFolder(name) {
		return nil
	}
	return f.Folder.Sync(name)
}

type lazyFolders struct{ Folder }

func (f lazyFolders) Sync(name string) error {
	if isFolder(name) {
		return nil
	}
	return f.Folder.Sync(name)
}

type lazyEntries struct{ Folder }

func (f lazyEntries) Sync(name string) error {
	if name == entriesDir {
		return nil
	}
	return f.Folder.Sync(name)
}

// A selfish writer flushes only what it linked itself.
type selfish struct {
	Folder
	linked map[string]bool
}

func (f *selfish) Link(old, new string) error {
	f.linked[path.Dir(new)] = true
	return f.Folder.Link(old, new)
}

func (f *selfish) Sync(name string) error {
	if isFolder(name) && !f.linked[name] {
		return nil
	}
	delete(f.linked, name)
	return f.Folder.Sync(name)
}

type overwriting struct{ Folder }

func (f overwriting) Link(old, new string) error { return f.Folder.Rename(old, new) }

// A blind writer does not see an entry that no checkpoint covers.
type blind struct{ Folder }

func (f blind) Read(name string) ([]byte, error) {
	if path.Dir(name) == entriesDir {
		var i int64
		fmt.Sscanf(path.Base(name), "%d.md", &i)
		if _, err := f.Folder.Read(checkpointName(i + 1)); err != nil {
			return nil, notExist(name)
		}
	}
	return f.Folder.Read(name)
}
