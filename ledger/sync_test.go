package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"testing"
)

// A pool is a remote in memory: all states that it ever had.
type pool struct{ states []map[string][]byte }

// A member is the pool as one machine sees it; numbers of states, from 1.
type member struct {
	*pool
	at, settled int
}

func (m *member) Fetch(context.Context) (Reader, error) {
	if m.at = len(m.states); m.at == 0 {
		return nil, nil
	}
	return mapReader(m.states[m.at-1]), nil
}

func (m *member) Push(_ context.Context, _ string, files map[string][]byte) error {
	if m.at != len(m.states) {
		return ErrBehind
	}
	next := map[string][]byte{}
	if m.at > 0 {
		maps.Copy(next, m.states[m.at-1])
	}
	maps.Copy(next, files)
	m.states = append(m.states, next)
	m.at++
	return nil
}

func (m *member) Settle(context.Context) error { m.settled = m.at; return nil }

func (m *member) Settled(context.Context) (Reader, error) {
	if m.settled == 0 {
		return nil, nil
	}
	return mapReader(m.states[m.settled-1]), nil
}

var errDead = errors.New("dead")

// A life is how many things a process does before it dies.
type life struct{ left, done int }

func (l *life) do(f func() error) error {
	if l.done >= l.left {
		return errDead
	}
	l.done++
	return f()
}

// A mortal folder and remote do nothing any more once their life is over.
type mortal struct {
	Folder
	*life
}

func (m mortal) Read(name string) (data []byte, err error) {
	err = m.do(func() error { data, err = m.Folder.Read(name); return err })
	return data, err
}
func (m mortal) List(dir string) (names []string, err error) {
	err = m.do(func() error { names, err = m.Folder.List(dir); return err })
	return names, err
}
func (m mortal) Write(name string, data []byte) error {
	return m.do(func() error { return m.Folder.Write(name, data) })
}
func (m mortal) Sync(name string) error { return m.do(func() error { return m.Folder.Sync(name) }) }
func (m mortal) Link(old, new string) error {
	return m.do(func() error { return m.Folder.Link(old, new) })
}
func (m mortal) Rename(old, new string) error {
	return m.do(func() error { return m.Folder.Rename(old, new) })
}
func (m mortal) Remove(name string) error {
	return m.do(func() error { return m.Folder.Remove(name) })
}

type mortalRemote struct {
	Remote
	*life
}

func (m mortalRemote) Fetch(ctx context.Context) (r Reader, err error) {
	err = m.do(func() error { r, err = m.Remote.Fetch(ctx); return err })
	return r, err
}
func (m mortalRemote) Push(ctx context.Context, message string, files map[string][]byte) error {
	return m.do(func() error { return m.Remote.Push(ctx, message, files) })
}
func (m mortalRemote) Settle(ctx context.Context) error {
	return m.do(func() error { return m.Remote.Settle(ctx) })
}
func (m mortalRemote) Settled(ctx context.Context) (r Reader, err error) {
	err = m.do(func() error { r, err = m.Remote.Settled(ctx); return err })
	return r, err
}

// A replacement is a machine whose unpushed entries give way to the remote's.
type replacement struct {
	t     *testing.T
	b     *bench
	start map[string][]byte
	pool  pool
	ids   []string // of all that was ever acknowledged
	seen  map[string]bool
	contents
}

func newReplacement(t *testing.T) *replacement {
	b := newBench(t)
	x := &replacement{t: t, b: b, seen: map[string]bool{}, contents: contents{}}
	ctx := t.Context()
	add := func(l *Ledger, r Remote, c Content, name string) {
		t.Helper()
		c.ID = b.id(name)
		x.ids = append(x.ids, c.ID)
		var err error
		if r == nil {
			_, err = l.Append(c, b.adversary, b.now)
		} else {
			_, err = l.AppendTo(ctx, r, c, b.adversary, b.now)
		}
		must(t, err)
	}
	there := newDisk(nil)
	theirs, err := Init(there, origin, b.keys, b.id("init"), b.adversary, b.now)
	must(t, err)
	x.ids = append(x.ids, b.id("init"))
	them := &member{pool: &x.pool}
	note := Content{Kind: Orientation, Phase: "mailu", Prose: "x"}
	add(theirs, them, note, "together")

	here := newDisk(there.files())
	ours, err := Open(here)
	must(t, err)
	found := verdict(Fail)
	opening(&found)
	add(theirs, them, found, "by them")
	add(theirs, them, Content{Kind: Orientation, Phase: "notes", Prose: "x"}, "by them, too")
	add(ours, nil, found, "by us")
	add(ours, nil, note, "by us, too")
	passed := verdict(Pass)
	passed.Claim = "M2"
	add(ours, nil, passed, "a PASS by us") // once pushed, it is no stranger to itself
	x.start = here.files()
	return x
}

// run syncs a disk with a life that may be too short.
func (x *replacement) run(d *disk, us *member, how *life) error {
	l, err := Open(mortal{d, how})
	if err != nil {
		return err
	}
	temps := 0
	l.temp = func(dir string) string { temps++; return path.Join(dir, fmt.Sprint(tempPrefix, how.left, "-", temps)) }
	_, err = l.Sync(x.t.Context(), mortalRemote{us, how}, &Rebuild{Now: x.b.now,
		Key:    func(*Entry) *Signer { return x.b.adversary },
		Forget: func([]byte) error { return how.do(func() error { return nil }) }})
	return err
}

const forever = 1 << 30

// recover syncs again what a death left, and looks whether all is there once.
func (x *replacement) recover(files map[string][]byte, us member) error {
	states := pool{append([]map[string][]byte{}, us.states...)}
	us.pool = &states
	d := newDisk(files)
	if err := x.run(d, &us, &life{left: forever}); err != nil {
		return err
	}
	for what, r := range map[string]Reader{"here": d, "there": mapReader(states.states[len(states.states)-1])} {
		count := map[string]int{}
		// A rendering may be behind or missing, and is made anew by the next one.
		if _, _, err := Verify(readOnly{r}, func(e *Entry, _ []byte, _ *Policy) error { count[e.ID]++; return nil }); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		for _, id := range x.ids {
			if count[id] != 1 || len(count) != len(x.ids) {
				return fmt.Errorf("%s: %s is there %d times, of %d entries", what, id, count[id], len(count))
			}
		}
	}
	return nil
}

// A sync that makes entries anew dies after any operation, and the power goes
// then: what was acknowledged is there once after the next sync, on both sides.
func TestSyncDies(t *testing.T) {
	t.Parallel()
	x := newReplacement(t)
	for left := 0; ; left++ {
		d := newDisk(x.start)
		states := pool{append([]map[string][]byte{}, x.pool.states...)}
		us := &member{pool: &states, settled: 1}
		how := &life{left: left}
		err := x.run(d, us, how)
		look := func(files map[string][]byte) {
			key := fmt.Sprint(len(states.states), us.settled, x.fingerprint(files))
			if x.seen[key] {
				return
			}
			x.seen[key] = true
			if err := x.recover(files, *us); err != nil && !t.Failed() {
				t.Errorf("dead after %d operations: %v", left, err)
			}
		}
		d.afterPowerCut(look)
		look(d.files())
		if err == nil {
			t.Logf("%d operations", how.done)
			return
		}
		if !errors.Is(err, errDead) {
			t.Fatalf("dead after %d operations: %v", left, err)
		}
	}
}

// An entry whose writer died before there was a remote comes to the remote
// whole, before the next one.
func TestClaimedThenShared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := newDisk(nil)
	l, err := Init(d, origin, b.keys, b.id("init"), b.adversary, b.now)
	must(t, err)
	us := &member{pool: &pool{}}
	_, err = l.Sync(t.Context(), us, nil)
	must(t, err)
	c := Content{Kind: Orientation, Phase: "mailu", Prose: "died", ID: b.id("died")}
	i, err := l.build(c, b.adversary, b.now)
	must(t, err)
	must(t, d.Write(entryName(1), i.raw))
	l, err = Open(d)
	must(t, err)
	c.ID = b.id("next")
	r, err := l.AppendTo(t.Context(), us, c, b.adversary, b.now)
	if err != nil || r.Entry.Index != 2 {
		t.Fatalf("%v", err)
	}
	for what, r := range map[string]Reader{"here": d, "there": mapReader(us.states[len(us.states)-1])} {
		if l, _, err := Verify(readOnly{r}); err != nil || l.Checkpoint().Size != 3 {
			t.Errorf("%s: %v", what, err)
		}
	}
}
