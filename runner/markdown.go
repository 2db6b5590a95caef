package runner

import (
	"strings"
	"unicode"
)

// markdownText makes one line of foreign text mean nothing but itself in the
// middle of a Markdown line or table cell: no markup, no HTML, no link, no
// mention. A _ inside a word is none of these and stays readable.
//
// Forges look for mentions, references and links once more in what Markdown
// became, where no backslash is left: an invisible word joiner cuts these up.
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
		case strings.ContainsRune("#@!", r) && word(i+1) && !strings.HasPrefix(string(runes[i:min(i+8, len(runes))]), "@sha256:"), linkAt(runes, i):
			b.WriteString("\\" + string(r) + wordJoiner)
		case strings.ContainsRune("\\`*_[]<>~&#@$", r):
			b.WriteString("\\" + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

const wordJoiner = "\u2060"

// linkAt tells whether the rune at i is the one that makes renderers see a
// link: the colon of :// or mailto:, or the dot of www.
func linkAt(runes []rune, i int) bool {
	before := string(runes[max(0, i-6):i])
	switch runes[i] {
	case ':':
		return strings.HasPrefix(string(runes[i+1:min(i+3, len(runes))]), "//") || strings.EqualFold(before, "mailto") || strings.HasSuffix(strings.ToLower(before), "xmpp")
	case '.':
		return strings.HasSuffix(strings.ToLower(before), "www")
	}
	return false
}
