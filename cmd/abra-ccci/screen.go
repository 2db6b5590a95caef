package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/mattn/go-runewidth"

	"coopcloud.tech/abra-ccci/runner"
)

// The styles that a terminal shows: parameters of its SGR sequence.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func styleOf(s runner.Status) string {
	switch s {
	case runner.Pass:
		return green
	case runner.Fail:
		return red
	case runner.Skip:
		return dim
	default:
		return yellow
	}
}

// A line is text in pieces, each with a style; it may hold anything.
type line []span

type span struct{ style, text string }

// fit makes a line harmless and at most width columns wide; 0 is any width.
// Styles are written only where colour is wanted.
func (l line) fit(width int, colour bool) string {
	var b strings.Builder
	left := width
	for _, s := range l {
		if width > 0 && left <= 0 {
			break
		}
		text := runner.Printable(s.text)
		if width > 0 {
			text = runewidth.Truncate(text, left, "…")
			left -= runewidth.StringWidth(text)
		}
		switch {
		case text == "":
		case colour && s.style != "":
			fmt.Fprintf(&b, "\x1b[%sm%s\x1b[0m", s.style, text)
		default:
			b.WriteString(text)
		}
	}
	return b.String()
}

// A screen is the lower end of a terminal, on which a few lines are drawn
// again and again in place. Errors are not looked at: a terminal that went
// away does not stop a run.
type screen struct {
	out    io.Writer
	colour bool
	size   func() (columns, rows int, err error)
	drawn  int // lines above the cursor that are ours
}

// open hides the cursor, close shows it again.
func (s *screen) open()  { io.WriteString(s.out, "\x1b[?25l") }
func (s *screen) close() { io.WriteString(s.out, "\x1b[?25h") }

// draw replaces what was drawn before. Lines are cut to the terminal's width,
// and those that it has no room for are left out.
func (s *screen) draw(lines []line) { io.WriteString(s.out, s.home()+s.paint(lines)) }

// above writes a line that stays, in full, where our lines begin. They are
// drawn again below it by the next draw.
func (s *screen) above(l line) {
	io.WriteString(s.out, s.home()+"\x1b[J"+l.fit(0, s.colour)+"\n")
	s.drawn = 0
}

// home moves the cursor to where our lines begin.
func (s *screen) home() string {
	if s.drawn == 0 {
		return "\r"
	}
	return fmt.Sprintf("\x1b[%dA\r", s.drawn)
}

func (s *screen) paint(lines []line) string {
	columns, rows, err := s.size()
	if err != nil || columns <= 0 || rows <= 0 {
		columns, rows = 80, 24
	}
	if room := max(rows-1, 1); len(lines) > room {
		lines = lines[:room]
	}
	var b strings.Builder
	for _, l := range lines {
		// The last column stays free: writing there may wrap.
		b.WriteString(l.fit(max(columns-1, 1), s.colour) + "\x1b[K\n")
	}
	s.drawn = len(lines)
	return b.String() + "\x1b[J"
}
