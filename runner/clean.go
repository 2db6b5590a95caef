package runner

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes one harmless line of a text that others wrote, for
// terminals, logs and everything else that people read: what does not print
// (control characters, the ESC of a terminal sequence, line ends, bidi
// controls and other invisible characters, bytes that are not UTF-8) is
// written as an escape such as \n, \x1b or \u202e. Printable text stays as it
// is, so cleaning twice does no harm.
//
// The result holds only characters that XML allows.
func Printable(s string) string { return escapeUnless(s, unicode.IsPrint) }

// PrintableLines is Printable for text of several lines: line feeds and tabs stay.
func PrintableLines(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return escapeUnless(s, func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) })
}

// escapeUnless escapes every rune that harmless does not accept, and every
// byte that is not UTF-8.
func escapeUnless(s string, harmless func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmless(r):
			b.WriteRune(r)
		default:
			b.WriteString(escaped(r))
		}
		i += size
	}
	return b.String()
}

func escaped(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x80:
		return fmt.Sprintf(`\x%02x`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	default:
		return fmt.Sprintf(`\U%08x`, r)
	}
}
