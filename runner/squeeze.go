package runner

import (
	"bytes"
	"sort"
)

// maxBreak is how many bytes of line ends and indentation may cut a secret in
// two without hiding it.
const maxBreak = 64

// A squeezed text is one without its line breaks, so that what was cut by
// them is whole. A break is a line end with all line ends, spaces and tabs
// behind it; one longer than maxBreak leaves a line feed, which nothing that is
// searched here holds.
type squeezed struct {
	text   []byte
	pieces []piece
	buffer []byte // reused
}

// A piece of a squeezed text begins at text in it, and at raw in what was squeezed.
type piece struct{ text, raw int }

// squeeze takes the breaks out of data. run is how many bytes of a break came
// before it, 0 if it does not begin in one.
func (s *squeezed) squeeze(data []byte, run int) {
	if n := firstBreak(data); n > 0 && len(data)-n <= maxBreak && endsIn(data[n:]) {
		s.text, s.pieces = data[:n], append(s.pieces[:0], piece{0, 0})
		return // one line: nothing to copy. A break before it matters to none that is searched here.
	}
	s.buffer, s.pieces = s.buffer[:0], s.pieces[:0]
	feed, carriage := -1, -1 // the next of each
	for at := 0; at < len(data); {
		end := at
		for end < len(data) && (isBreak(data[end]) || (run > 0 || end > at) && isIndent(data[end])) {
			if end++; run+end-at == maxBreak+1 {
				s.pieces = append(s.pieces, piece{len(s.buffer), end - 1})
				s.buffer = append(s.buffer, '\n')
			}
		}
		run, at = 0, end
		feed, carriage = next(data, '\n', feed, at), next(data, '\r', carriage, at)
		if end = min(feed, carriage); end > at {
			s.pieces = append(s.pieces, piece{len(s.buffer), at})
			s.buffer = append(s.buffer, data[at:end]...)
			at = end
		}
	}
	s.text = s.buffer
}

// firstBreak is where the first break of data begins; its length without one.
func firstBreak(data []byte) int {
	end := len(data)
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		end = i
	}
	if i := bytes.IndexByte(data[:end], '\r'); i >= 0 {
		end = i
	}
	return end
}

// endsIn tells whether rest is nothing but a break.
func endsIn(rest []byte) bool {
	for _, c := range rest {
		if !isBreak(c) && !isIndent(c) {
			return false
		}
	}
	return true
}

func isBreak(c byte) bool  { return c == '\n' || c == '\r' }
func isIndent(c byte) bool { return c == ' ' || c == '\t' }

// next is where the first c at or behind at is, if the last answer was last;
// len(data) without one. Each byte is looked at once, however rare c is.
func next(data []byte, c byte, last, at int) int {
	if last >= at {
		return last
	}
	if i := bytes.IndexByte(data[at:], c); i >= 0 {
		return at + i
	}
	return len(data)
}

// raw is where the byte at i of the squeezed text was.
func (s *squeezed) raw(i int) int {
	n := sort.Search(len(s.pieces), func(n int) bool { return s.pieces[n].text > i }) - 1
	return s.pieces[n].raw + i - s.pieces[n].text
}

// breakAt is how many bytes of a break end at at, if run of them came before data.
func breakAt(data []byte, at, run int) int {
	from := at
	for from > 0 && (isBreak(data[from-1]) || isIndent(data[from-1])) {
		from--
	}
	if from == 0 && run > 0 {
		return run + at
	}
	for ; from < at; from++ {
		if isBreak(data[from]) {
			return at - from
		}
	}
	return 0
}
