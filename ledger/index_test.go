package ledger

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"
)

// What was added is found, nothing else is, and no run is changed that a copy has.
func TestIDs(t *testing.T) {
	t.Parallel()
	s := ids{seed: maphash.MakeSeed()}
	var copies []ids
	for i := range int64(1000) {
		s.add(fmt.Sprint(i), i)
		copies = append(copies, ids{s.seed, slices.Clone(s.runs)})
	}
	for n, c := range copies {
		size := 0
		for _, run := range c.runs {
			size += len(run)
		}
		if size != n+1 || len(c.runs) > 10 {
			t.Errorf("%d entries are %d in %d runs", n+1, size, len(c.runs))
		}
		for _, i := range []int{0, n / 2, n, n + 1, 5000} {
			if got := c.like(fmt.Sprint(i)); slices.Contains(got, int64(i)) != (i <= n) || len(got) > 1 {
				t.Errorf("of %d, %d is found as %v", n+1, i, got)
			}
		}
	}
}

// An id that looks like another entry's is not taken for it.
func TestAlike(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.seed()
	l, err := Open(b.folder())
	must(t, err)
	for _, name := range []string{"E000001", "E0000001", "E1", "E000009", "e", ""} {
		if e, err := l.Named(name); err != nil || (e != nil) != (name == "E000001") {
			t.Errorf("%q names %v, %v", name, e, err)
		}
	}
	id := b.id("new")
	for i := range int64(4) {
		l.ids.add(id, i)
	}
	if len(l.ids.like(id)) != 4 || has(l, id) {
		t.Errorf("%v are like it", l.ids.like(id))
	}
	c := claim("x")
	c.ID = id
	r, err := l.Append(c, b.builder, b.now)
	must(t, err)
	again, err := l.Append(c, b.builder, b.now)
	if err != nil || r.Again || !again.Again || again.Entry.Index != r.Entry.Index {
		t.Errorf("appended as %s, and again as %+v, %v", r.Entry.Number(), again, err)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, far := range []int64{1, 2, 127, 128, 1 << 20} {
		p, all := &places{}, []int64(nil)
		at := random.Int64N(far)
		for range 300 {
			p.add(at)
			all = append(all, at)
			at += 1 + random.Int64N(far)
		}
		for i, size := range append(slices.Clone(all), at) {
			if got := p.below(size); !slices.Equal(got, all[:i]) {
				t.Fatalf("below %d: %v, want %v", size, got, all[:i])
			}
		}
		c := p.clone()
		c.add(at + 5)
		p.add(at)
		if got, other := p.below(at+10), c.below(at+10); got[300] != at || other[300] != at+5 {
			t.Errorf("a copy shares what it adds: %v, %v", got[300], other[300])
		}
	}
	if got := (*places)(nil).below(5); got != nil {
		t.Errorf("nothing has %v", got)
	}
}
