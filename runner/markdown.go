package runner

import (
	"strings"
	"unicode"
)

// markdownText makes one line of foreign text mean nothing but itself in the
// middle of a Markdown line or table cell: no markup, no HTML, no link, no
// mention. A _ inside a word is none of these and stays readable.
func markdownText(s string) string {
	runes := []rune(Printable(s))
	word := func(i int) bool {
		return i >= 0 && i < len(runes) && (unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]))
	}
	var b strings.Builder
	for i, r := range runes {
		switch {
		case r == '|': // where a cell ends is decided before backslashes are read
			b.WriteString("&#124;")
		case r == '_' && word(i-1) && word(i+1):
			b.WriteRune(r)
		case strings.ContainsRune("\\`*_[]<>~&#@$", r), linkAt(runes, i):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// linkAt tells whether the rune at i is the one that makes renderers see a
// link: the colon of :// or the dot of www.
func linkAt(runes []rune, i int) bool {
	switch runes[i] {
	case ':':
		return strings.HasPrefix(string(runes[i+1:min(i+3, len(runes))]), "//")
	case '.':
		return strings.EqualFold(string(runes[max(0, i-3):i]), "www")
	}
	return false
}
