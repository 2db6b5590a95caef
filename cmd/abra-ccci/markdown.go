package main

import (
	"regexp"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// markdown is text for stdout: as it is on a pipe, coloured and folded on a
// terminal. The text is harmless already.
func (e *env) markdown(text string) string {
	f, ok := e.stdout.(interface{ Fd() uintptr })
	if t := e.getenv("TERM"); !ok || t == "" || t == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return text
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < 20 {
		columns = 80
	}
	return foldMarkdown(text, min(columns-1, 100), e.getenv("NO_COLOR") == "")
}

// foldMarkdown folds lines at a width, and colours headings and marks.
func foldMarkdown(text string, width int, colour bool) string {
	var b strings.Builder
	for text := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		style := markdownStyle(text)
		for _, part := range foldLine(text, width) {
			b.WriteString(line{{style, part}}.fit(0, colour) + "\n")
		}
	}
	return b.String()
}

func markdownStyle(text string) string {
	switch trimmed := strings.TrimLeft(text, "> -"); {
	case strings.HasPrefix(text, "## ") && strings.Contains(text, " PASS "):
		return bold + ";" + green
	case strings.HasPrefix(text, "## ") && strings.Contains(text, " FAIL "):
		return bold + ";" + red
	case strings.HasPrefix(text, "## ") && strings.Contains(text, " INCONCLUSIVE "):
		return bold + ";" + yellow
	case strings.HasPrefix(text, "#"):
		return bold
	case strings.HasPrefix(trimmed, "✓ "):
		return green
	case strings.HasPrefix(trimmed, "✗ "):
		return red
	case strings.HasPrefix(trimmed, "? "):
		return yellow
	}
	return ""
}

// What a folded line's rest begins with: the quote marks, and room for the list marker.
var hanging = regexp.MustCompile(`^((?:> ?)*)( *(?:[-*+✓✗?] |[0-9]+\. )*)`)

// foldLine folds one line between words, the rest below where its text began.
func foldLine(text string, width int) (parts []string) {
	m := hanging.FindStringSubmatch(text)
	indent := m[1] + strings.Repeat(" ", runewidth.StringWidth(m[2]))
	if runewidth.StringWidth(indent) > width/2 {
		indent = ""
	}
	for runewidth.StringWidth(text) > width {
		head := runewidth.Truncate(text, width, "")
		cut := strings.LastIndexByte(head, ' ')
		if text[len(head)] == ' ' {
			cut = len(head)
		}
		if cut <= len(indent) {
			cut = max(len(head), 1)
		}
		parts = append(parts, strings.TrimRight(text[:cut], " "))
		text = indent + strings.TrimLeft(text[cut:], " ")
	}
	return append(parts, text)
}
