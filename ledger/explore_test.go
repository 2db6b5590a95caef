package ledger

import (
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
type explorer struct {
	start     map[string][]byte
	keys      []*Signer
	now       time.Time
	wrap      func(Folder) Folder // a defence taken out, for negative controls
	checked   map[string]bool
	images    int
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
	return &explorer{start: d.files(), keys: []*Signer{b.adversary, b.second, b.adversary}, now: b.now, checked: map[string]bool{}}
}

func (x *explorer) fail(format string, args ...any) {
	if x.violation == "" {
		x.violation = fmt.Sprintf(format, args...)
	}
}

// A writer is one process with one entry to append.
type writer struct {
	name    string
	content Content
	step    chan struct{} // take a turn
	ran     chan struct{} // the turn is over
	done    chan struct{}
	dead    chan struct{}
	ops     int
	err     error
	acked   bool
}

// A metered folder waits before each operation for its writer's turn.
type metered struct {
	Folder
	w *writer
}

// turn waits for the writer's turn; what it returns ends the operation.
func (m metered) turn() func() {
	select {
	case <-m.w.step:
		return func() { m.w.ran <- struct{}{} }
	case <-m.w.dead:
		runtime.Goexit()
		return nil
	}
}

func (m metered) Read(name string) ([]byte, error) {
	defer m.turn()()
	return m.Folder.Read(name)
}

func (m metered) List(dir string) ([]string, error) {
	defer m.turn()()
	return m.Folder.List(dir)
}

func (m metered) Write(name string, data []byte) error {
	defer m.turn()()
	return m.Folder.Write(name, data)
}

func (m metered) Sync(name string) error {
	defer m.turn()()
	return m.Folder.Sync(name)
}

func (m metered) Link(old, new string) error {
	defer m.turn()()
	return m.Folder.Link(old, new)
}

func (m metered) Rename(old, new string) error {
	defer m.turn()()
	return m.Folder.Rename(old, new)
}

func (m metered) Remove(name string) error {
	defer m.turn()()
	return m.Folder.Remove(name)
}

// launch starts writer n; it waits before its first operation.
func (x *explorer) launch(d *disk, n int) *writer {
	w := &writer{name: string(rune('a' + n)), step: make(chan struct{}), ran: make(chan struct{}), done: make(chan struct{}), dead: make(chan struct{})}
	w.content = Content{Kind: Orientation, Phase: "mailu", Prose: "by " + w.name, ID: strings.Repeat(w.name, 32)}
	var f Folder = d
	if x.wrap != nil {
		f = x.wrap(d)
	}
	f = metered{f, w}
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
	return w
}

// tooMany operations are more than any append takes: it will never end.
const tooMany = 400

// run lets a writer do n operations, or all if n is negative. It tells
// whether the writer was done before.
func (x *explorer) run(w *writer, n int) (done bool) {
	for i := 0; n < 0 || i < n; i++ {
		select {
		case w.step <- struct{}{}:
			<-w.ran
			w.ops++
		case <-w.done:
			return true
		}
		if w.ops > tooMany {
			x.fail("writer %s never ends", w.name)
			close(w.dead)
			<-w.done
			return true
		}
	}
	return false
}

func (w *writer) kill() {
	select {
	case <-w.done:
	default:
		close(w.dead)
		<-w.done
	}
}

// check holds the disk against what was acknowledged: as it is, and after
// every power cut.
func (x *explorer) check(d *disk, writers ...*writer) {
	d.afterPowerCut(func(files map[string][]byte) { x.recover(files, writers) })
	x.recover(d.files(), writers)
}

// recover opens what is there: nothing that was acknowledged is missing,
// everything verifies, nothing is there twice, and everybody can append again.
func (x *explorer) recover(files map[string][]byte, writers []*writer) {
	key := fingerprint(files)
	for _, w := range writers {
		key += fmt.Sprint(w.acked)
	}
	if x.checked[key] || x.violation != "" {
		return
	}
	x.checked[key] = true
	x.images++
	d := newDisk(files)
	l, _, err := Verify(d)
	if err != nil {
		x.fail("after the cut: %v", err)
		return
	}
	for _, w := range writers {
		if w.acked && l.find(w.content.ID) < 0 {
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

// deaths lets a die after k operations, b after j, and c do the rest.
func (x *explorer) deaths() {
	for k := 0; x.violation == ""; k++ {
		aDone := false
		for j := 0; x.violation == ""; j++ {
			d := newDisk(x.start)
			a, b, c := x.launch(d, 0), x.launch(d, 1), x.launch(d, 2)
			aDone = x.run(a, k)
			a.kill()
			bDone := x.run(b, j)
			b.kill()
			x.check(d, a, b)
			x.finish(c)
			x.check(d, a, b, c)
			if bDone {
				break
			}
		}
		if aDone {
			return
		}
	}
}

// races lets a do k operations, b do j, c all of its own if it takes part;
// then b ends, and a. Nobody dies, so everybody must be told that it worked.
func (x *explorer) races(third bool) {
	for k := 0; x.violation == ""; k++ {
		aDone := false
		for j := 0; x.violation == ""; j++ {
			d := newDisk(x.start)
			writers := []*writer{x.launch(d, 0), x.launch(d, 1)}
			aDone = x.run(writers[0], k)
			bDone := x.run(writers[1], j)
			if third {
				writers = append(writers, x.launch(d, 2))
				x.finish(writers[2])
			}
			x.check(d, writers...)
			x.finish(writers[1])
			x.check(d, writers...)
			x.finish(writers[0])
			x.check(d, writers...)
			if bDone {
				break
			}
		}
		if aDone {
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
	x.races(false)
	x.races(true)
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
	t.Logf("%d different states of the disk", x.images)
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
