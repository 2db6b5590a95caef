package ledger

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Neutral makes free text of several lines fit for an entry: the same words,
// unable to be anything else. Lists, emphasis, `code` and fenced code stay
// what they are in Markdown. Headings, tables, links, images and HTML become
// text, by a backslash; what does not print (control and bidi characters,
// bytes that are not UTF-8) becomes an escape. Neutral text stays as it is.
func Neutral(text string) string {
	if harmless(text) {
		return text
	}
	return neutralLines(text)
}

func neutralLines(text string) string {
	lines := strings.Split(strings.Trim(printable(text), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	var out []string
	for i := 0; i < len(lines); {
		if n := fenced(lines[i:]); n > 0 {
			out = append(out, lines[i:i+n]...)
			i += n
			continue
		}
		out = append(out, neutralLine(lines[i]))
		i++
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

// NeutralLine is Neutral for text of one line: line ends become spaces.
func NeutralLine(text string) string {
	text = printable(text)
	if strings.Contains(text, "  ") || strings.Contains(text, "\n") || strings.TrimSpace(text) != text {
		text = strings.Join(strings.Fields(text), " ")
	}
	return neutralLine(text)
}

// special is what a line needs to be anything but words.
const special = "#|-=:~`<]"

// What a byte may be, for those who look at every byte of a log.
const (
	printing = iota
	lineFeed
	meaning // one of special
	control
	wide // a part of a character of several
)

var classes = func() (of [256]uint8) {
	for c := range of {
		switch {
		case c == '\n':
			of[c] = lineFeed
		case c < 0x20 || c == 0x7f:
			of[c] = control
		case c >= utf8.RuneSelf:
			of[c] = wide
		case strings.IndexByte(special, byte(c)) >= 0:
			of[c] = meaning
		}
	}
	return of
}()

// harmless tells, of most texts, that nothing in them has to be looked at closer.
func harmless(text string) bool {
	last := byte('\n') // neither lines nor the text end with a space, nor does it begin or end with a line feed
	for i := range len(text) {
		c := text[i]
		switch classes[c] {
		case printing:
		case lineFeed:
			if i == 0 || last == ' ' {
				return false
			}
		default:
			return false
		}
		last = c
	}
	return text == "" || last != '\n' && last != ' '
}

// isNeutralLine tells whether NeutralLine leaves a line as it is.
func isNeutralLine(line string) bool { return line == "" || NeutralLine(line) == line }

var spaces = strings.NewReplacer("\r\n", "\n", "\t", "    ", "\u00a0", " ")

// printable leaves what prints and line feeds; the rest becomes escapes. Tabs
// and no-break spaces are spaces.
func printable(s string) string {
	if plain(s) {
		return s
	}
	s = spaces.Replace(s)
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1 || r < 0x80 && r != '\n' && !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// plain tells whether s is UTF-8 of printing characters and line feeds.
func plain(s string) bool {
	for i := 0; i < len(s); {
		switch classes[s[i]] {
		case control:
			return false
		case wide:
		default:
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if size == 1 || !unicode.IsPrint(r) {
			return false
		}
		i += size
	}
	return true
}

// fenced is the number of lines of the fenced code that begins here, if it
// ends in a way that no reader of Markdown sees otherwise.
func fenced(lines []string) int {
	language, ok := strings.CutPrefix(lines[0], "```")
	if !ok || !all(language, lower[len(digits):]) {
		return 0
	}
	for i, line := range lines[1:] {
		switch {
		case line == "```":
			return i + 2
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			return 0
		}
	}
	return 0
}

// lineStart is the length of what may stand before the text of a line:
// indentation, quotes, list markers.
func lineStart(line string) (n int) {
	for n < len(line) {
		rest := line[n:]
		number := len(rest) - len(strings.TrimLeft(rest, digits))
		switch {
		case rest[0] == ' ' || rest[0] == '>':
			n++
		case len(rest) > 1 && strings.IndexByte("-*+", rest[0]) >= 0 && rest[1] == ' ':
			n += 2
		case 1 <= number && number <= 9 && len(rest) > number+1 && strings.IndexByte(".)", rest[number]) >= 0 && rest[number+1] == ' ':
			n += number + 2
		default:
			return n
		}
	}
	return n
}

func neutralLine(line string) string {
	if !strings.ContainsAny(line, special) {
		return line
	}
	start, rest := line[:lineStart(line)], line[lineStart(line):]
	switch {
	case rest == "":
		return start
	case strings.Trim(rest, "-=:| ") == "", rest[0] == '#', rest[0] == '|', strings.HasPrefix(rest, "~~~"):
		// A heading, the line below one, a rule, a row of a table, a fence.
		return start + `\` + rest[:1] + neutralSpans(rest[1:])
	}
	return start + neutralSpans(rest)
}

// neutralSpans disarms what means something in the middle of a line. Code
// spans that begin and end in the line are left alone.
func neutralSpans(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 1
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(asciiPunct, s[i+1]) >= 0:
			n = 2
		case s[i] == '`':
			n = codeSpan(s[i:])
			if n == 0 {
				n = len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
				b.WriteString(strings.Repeat("\\`", n))
				i += n
				continue
			}
		case s[i] == '<':
			b.WriteByte('\\')
		case s[i] == ']' && i+1 < len(s) && strings.IndexByte("([:", s[i+1]) >= 0:
			b.WriteString(`]\`)
			i++
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}

const asciiPunct = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

// codeSpan is the length of the code span at the start of s, between single
// backticks; 0 if there is none.
func codeSpan(s string) int {
	run := func(i int) int { return len(s[i:]) - len(strings.TrimLeft(s[i:], "`")) }
	if run(0) != 1 {
		return 0
	}
	for i := 1; i < len(s); {
		n := run(i)
		if n == 1 {
			return i + 1
		}
		i += max(n, 1)
	}
	return 0
}
