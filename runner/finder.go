package runner

import "slices"

// A finder finds many patterns at once, by the algorithm of Wu and Manber: it
// looks at the last two bytes of a window as wide as the shortest pattern, and
// where no pattern has these two there, it moves on by as much as is safe. It
// never changes, so any number of readers may share it.
type finder struct {
	width  int                  // of the window; 0 without patterns
	shift  *[1 << 16]uint8      // by two bytes: how far the window may move; 0: look closer
	ending map[uint16][]pattern // by two bytes: the patterns that have them at the window's end, longest first
	starts [256][]string        // by first byte: the patterns' texts
	most   int                  // length of the longest pattern
}

func newFinder(patterns []pattern) *finder {
	f := &finder{}
	if len(patterns) == 0 {
		return f
	}
	f.width = 255
	for _, p := range patterns {
		f.width = min(f.width, len(p.text))
		f.most = max(f.most, len(p.text))
		f.starts[p.text[0]] = append(f.starts[p.text[0]], p.text)
	}
	f.shift = new([1 << 16]uint8)
	for i := range f.shift {
		f.shift[i] = uint8(f.width - 1)
	}
	f.ending = map[uint16][]pattern{}
	for _, p := range patterns {
		for i := 1; i < f.width; i++ {
			two := pair(p.text[i-1], p.text[i])
			f.shift[two] = min(f.shift[two], uint8(f.width-1-i))
		}
		two := pair(p.text[f.width-2], p.text[f.width-1])
		f.ending[two] = append(f.ending[two], p)
	}
	for _, ps := range f.ending {
		slices.SortStableFunc(ps, func(a, b pattern) int { return len(b.text) - len(a.text) })
	}
	return f
}

func pair(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

// next returns the first place in data[from:limit] where patterns begin, and
// these patterns, longest first; -1 if there is none. They may end behind limit.
func (f *finder) next(data []byte, from, limit int) (int, []pattern) {
	if f.width == 0 {
		return -1, nil
	}
	for last := from + f.width - 1; last < len(data); {
		two := pair(data[last-1], data[last])
		if step := int(f.shift[two]); step > 0 {
			last += step
			continue
		}
		start := last - f.width + 1
		if start >= limit {
			return -1, nil
		}
		if found := beginning(data[start:], f.ending[two]); found != nil {
			return start, found
		}
		last++
	}
	return -1, nil
}

// beginning lists those of the patterns that data begins with.
func beginning(data []byte, patterns []pattern) []pattern {
	var found []pattern
	for _, p := range patterns {
		if len(data) >= len(p.text) && string(data[:len(p.text)]) == p.text {
			found = append(found, p)
		}
	}
	return found
}

// undecided returns the first place from where data may be the beginning of a
// pattern that goes on behind its end; len(data) if there is none.
func (f *finder) undecided(data []byte) int {
	for i := max(0, len(data)-f.most+1); i < len(data); i++ {
		for _, t := range f.starts[data[i]] {
			if n := len(data) - i; len(t) > n && t[:n] == string(data[i:]) {
				return i
			}
		}
	}
	return len(data)
}
