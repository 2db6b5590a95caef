package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
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

// A cleaner passes on what it is given as PrintableLines would write it.
// Bytes that the next ones decide about are held back.
type cleaner struct {
	dst  io.WriteCloser
	held []byte
}

func (c *cleaner) Write(p []byte) (int, error) {
	if len(c.held) == 0 && isPlain(p) {
		return c.dst.Write(p)
	}
	c.held = append(c.held, p...)
	end := decided(c.held)
	_, err := io.WriteString(c.dst, PrintableLines(string(c.held[:end])))
	c.held = append(c.held[:0], c.held[end:]...)
	return len(p), err
}

// Close passes on what is held back and closes dst.
func (c *cleaner) Close() error {
	_, err := io.WriteString(c.dst, PrintableLines(string(c.held)))
	return errors.Join(err, c.dst.Close())
}

// isPlain tells whether p is printable ASCII in lines.
func isPlain(p []byte) bool {
	for _, c := range p {
		if (c < ' ' && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// decided is how much of p means the same whatever comes next: not a carriage return at
// its end, nor the beginning of a character.
func decided(p []byte) int {
	if n := len(p); n > 0 && p[n-1] == '\r' {
		return n - 1
	}
	for n := len(p) - 1; n >= 0 && n > len(p)-utf8.UTFMax; n-- {
		if utf8.RuneStart(p[n]) {
			if !utf8.FullRune(p[n:]) {
				return n
			}
			break
		}
	}
	return len(p)
}

// EncodeJSON writes v as indented JSON with a final newline. What does not print is
// escaped in it, so that a terminal or an editor that shows it takes no harm.
func EncodeJSON(w io.Writer, v any) error {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, r := range plain.String() { // outside of strings JSON is ASCII
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
