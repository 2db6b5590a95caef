package runner

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// gram is how many bytes a finder looks at in one place.
const gram = 4

// maxStep bounds how far apart these places are, and with it how many grams
// of each pattern are known.
const maxStep = 64

// A finder finds many patterns at once. Wherever the shortest pattern lies in
// a text, one place in every step bytes falls into it with room for a gram: so
// it looks at these places alone, and only where a pattern has that gram at
// such an offset it compares. It never changes, so any number of readers may
// share it.
type finder struct {
	patterns []pattern
	step     int // 0 without patterns
	most     int // length of the longest pattern

	known  gramSet    // the grams that a place may fall on
	grams  []gramRef  // these, sorted by gram
	inside gramSet    // every gram of every pattern
	begins gramSet    // the first bytes of every pattern, up to a gram
	starts [256][]int // patterns by first byte
}

// A gramSet has one bit by the hash of each gram in it: it may hold others, too.
type gramSet [1 << 12]uint64

// gramHash has as many bits as a set can tell apart.
func gramHash(g uint32) uint32 { return g * 0x9e3779b1 >> (32 - 18) }

func (s *gramSet) add(g uint32) {
	h := gramHash(g)
	s[h>>6] |= 1 << (h & 63)
}

func (s *gramSet) has(g uint32) bool {
	h := gramHash(g)
	return s[h>>6&(1<<12-1)]>>(h&63)&1 != 0
}

// firstGram is what data begins with; zeros stand for what a gram needs more.
func firstGram(data []byte) uint32 {
	if len(data) >= gram {
		return binary.LittleEndian.Uint32(data)
	}
	var padded [gram]byte
	copy(padded[:], data)
	return binary.LittleEndian.Uint32(padded[:])
}

// A gramRef says that a pattern has a gram at an offset.
type gramRef struct {
	gram            uint32
	pattern, offset int32
}

// A match is a place where a pattern lies in a text.
type match struct {
	start, end int
	pattern    *pattern
}

// newFinder makes a finder of patterns, none shorter than a gram.
func newFinder(patterns []pattern) *finder {
	f := &finder{patterns: patterns}
	if len(patterns) == 0 {
		return f
	}
	f.step = maxStep
	for i, p := range patterns {
		f.step = min(f.step, len(p.text)-gram+1)
		f.most = max(f.most, len(p.text))
		f.starts[p.text[0]] = append(f.starts[p.text[0]], i)
	}
	for i, p := range patterns {
		text := []byte(p.text)
		for n := 1; n <= gram; n++ {
			f.begins.add(firstGram(text[:n]))
		}
		for offset := range len(text) - gram + 1 {
			g := binary.LittleEndian.Uint32(text[offset:])
			f.inside.add(g)
			if offset < f.step {
				f.known.add(g)
				f.grams = append(f.grams, gramRef{g, int32(i), int32(offset)})
			}
		}
	}
	// In one order: of two names for one value, the first is always the mark's.
	slices.SortFunc(f.grams, func(a, b gramRef) int { return cmp.Or(cmp.Compare(a.gram, b.gram), cmp.Compare(a.pattern, b.pattern)) })
	return f
}

// matches appends every place where a pattern lies in data, sorted by start,
// the longest first.
func (f *finder) matches(found []match, data []byte) []match {
	if f.step == 0 {
		return found
	}
	first, step, known := len(found), f.step, &f.known
	for at := 0; at+gram <= len(data); at += step {
		if g := binary.LittleEndian.Uint32(data[at:]); known.has(g) {
			found = f.compare(found, data, at, g)
		}
	}
	slices.SortStableFunc(found[first:], compareMatches)
	return found
}

func compareMatches(a, b match) int { return cmp.Or(a.start-b.start, b.end-a.end) }

// compare appends the patterns that have the gram g where data has it.
func (f *finder) compare(found []match, data []byte, at int, g uint32) []match {
	i, _ := slices.BinarySearchFunc(f.grams, g, func(r gramRef, g uint32) int { return cmp.Compare(r.gram, g) })
	for ; i < len(f.grams) && f.grams[i].gram == g; i++ {
		p := &f.patterns[f.grams[i].pattern]
		start := at - int(f.grams[i].offset)
		end := start + len(p.text)
		if start >= 0 && end <= len(data) && string(data[start:end]) == p.text {
			found = append(found, match{start, end, p})
		}
	}
	return found
}

// undecided returns the first place from where data may be the beginning of a
// pattern that goes on behind its end, or of a word that may; len(data) if
// there is none.
func (f *finder) undecided(data []byte) int {
	from := max(0, len(data)-f.most)
	last := max(from, len(data)-gram+1)
	if n := len(data); n >= gram && !f.inside.has(binary.LittleEndian.Uint32(data[n-gram:])) {
		from = last // no pattern has these last bytes together
	}
	for i := from; i < last; i++ {
		if f.begins.has(binary.LittleEndian.Uint32(data[i:])) && f.mayBegin(data[i:]) {
			return i
		}
	}
	g := firstGram(data[last:])
	for i := last; i < len(data); i++ {
		if f.begins.has(g) && f.mayBegin(data[i:]) {
			return i
		}
		g >>= 8
	}
	return len(data)
}

// mayBegin tells whether rest is the beginning of a pattern that goes on.
func (f *finder) mayBegin(rest []byte) bool {
	for _, s := range f.starts[rest[0]] {
		p := &f.patterns[s]
		if (len(p.text) > len(rest) || p.word && len(p.text) == len(rest)) && p.text[:len(rest)] == string(rest) {
			return true
		}
	}
	return false
}
