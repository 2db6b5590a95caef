package labels

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxEnvValue bounds one value, in bytes: references to earlier keys could
// otherwise double a value with every line.
const maxEnvValue = 64 << 10

// An Env is a `.env` or `.env.sample` file as abra reads it: KEY=value lines in
// order, with everything else (comments, blank lines) kept for writing back.
//
// A value may be bare, in single quotes (literal) or in double quotes
// (\n, \r, \", \\ and \$ are escapes). Outside single quotes $KEY, ${KEY} and
// ${KEY:-default} stand for the value that KEY has at that line, KEY in capitals
// as abra wants it; a key without value is empty. A comment begins with a # after a blank.
// When a key is assigned twice the later line wins.
type Env struct {
	name   string
	lines  []envLine
	values map[string]string
}

// An Assignment is one KEY=value of an Env.
type Assignment struct {
	Key     string
	Value   string // with references resolved, as it would be at its line
	Comment string // of the same line, without #: "length=12"
	Line    int    // counted from 1
}

type envLine struct {
	raw       string
	key       string // "" for a line that assigns nothing
	value     []envPart
	comment   string
	commented bool // the whole assignment is in a comment
}

// envPart is literal text, or a reference if ref is not empty.
type envPart struct {
	text string // literal, or the default of a reference
	ref  string
	op   string // "", "-" or ":-"
}

// ParseEnv reads an env file; name is what errors call it. An error says
// name:line and what was wrong there.
func ParseEnv(name string, data []byte) (*Env, error) {
	e := &Env{name: name}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	text := strings.TrimSuffix(string(data), "\n")
	if len(data) > 0 {
		for i, raw := range strings.Split(text, "\n") {
			line, err := parseEnvLine(strings.TrimSuffix(raw, "\r"))
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
			e.lines = append(e.lines, line)
		}
	}
	if err := e.evaluate(); err != nil {
		return nil, err
	}
	return e, nil
}

// Lookup returns the value of a key, and whether the file assigns it at all.
func (e *Env) Lookup(key string) (string, bool) {
	if e == nil {
		return "", false
	}
	v, ok := e.values[key]
	return v, ok
}

// Get returns the value of a key, "" if there is none.
func (e *Env) Get(key string) string {
	v, _ := e.Lookup(key)
	return v
}

// Keys returns every assigned key once, in the order of their first lines.
func (e *Env) Keys() []string {
	var keys []string
	seen := map[string]bool{}
	for _, a := range e.assignments(false) {
		if !seen[a.Key] {
			keys = append(keys, a.Key)
		}
		seen[a.Key] = true
	}
	return keys
}

// Map returns a copy of all values by key.
func (e *Env) Map() map[string]string {
	m := map[string]string{}
	if e == nil {
		return m
	}
	for k, v := range e.values {
		m[k] = v
	}
	return m
}

// Comment returns the comment on the line that assigns key, without its #:
// where abra keeps what it knows of a secret ("length=12 charset=hex").
func (e *Env) Comment(key string) string {
	comment := ""
	for _, a := range e.assignments(false) {
		if a.Key == key {
			comment = a.Comment
		}
	}
	return comment
}

// Commented returns the assignments that are commented out
// (`#COMPOSE_FILE="$COMPOSE_FILE:compose.x.yml"`), as they would read if only
// that line were put in force.
func (e *Env) Commented() []Assignment { return e.assignments(true) }

// Assignments returns the assignments in force, line by line.
func (e *Env) Assignments() []Assignment { return e.assignments(false) }

func (e *Env) assignments(commented bool) []Assignment {
	if e == nil {
		return nil
	}
	var out []Assignment
	values := map[string]string{}
	for i, l := range e.lines {
		if l.key == "" {
			continue
		}
		value := expandEnv(l.value, values)
		if !l.commented {
			values[l.key] = value
		}
		if l.commented == commented {
			out = append(out, Assignment{Key: l.key, Value: value, Comment: l.comment, Line: i + 1})
		}
	}
	return out
}

// Set assigns a literal value to a key, in the last line that assigns it now
// or else in a new last line. Other keys that refer to this one follow. The
// error is about a key or a value that an env file cannot hold; nothing has
// changed then.
func (e *Env) Set(key, value string) error {
	if !envKey.MatchString(key) {
		return fmt.Errorf("%q is not a name for a variable", key)
	}
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return fmt.Errorf("value of %q is not text", key)
	}
	old := append([]envLine(nil), e.lines...)
	e.put(envLine{key: key, value: []envPart{{text: value}}})
	if err := e.evaluate(); err != nil {
		e.lines = old
		return errors.Join(err, e.evaluate())
	}
	return nil
}

// put replaces the last assignment of l's key, keeping its comment.
func (e *Env) put(l envLine) {
	at := len(e.lines)
	for i, old := range e.lines {
		if old.key == l.key && !old.commented {
			at, l.comment = i, old.comment
		}
	}
	l.raw = l.key + "=" + quoteEnv(l.value[0].text)
	if l.comment != "" {
		l.raw += " # " + l.comment
	}
	if at == len(e.lines) {
		e.lines = append(e.lines, l)
		return
	}
	e.lines[at] = l
}

// Bytes returns the file: every line as it was read, lines of Set as
// KEY=value with quotes only where the value needs them, each ended by \n.
func (e *Env) Bytes() []byte {
	var b bytes.Buffer
	for _, l := range e.lines {
		b.WriteString(l.raw)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func (e *Env) evaluate() error {
	values := map[string]string{}
	for i, l := range e.lines {
		if l.key == "" {
			continue
		}
		v := expandEnv(l.value, values)
		if len(v) > maxEnvValue {
			return fmt.Errorf("%s:%d: value of %q is longer than %d bytes", e.name, i+1, l.key, maxEnvValue)
		}
		if !l.commented {
			values[l.key] = v
		}
	}
	e.values = values
	return nil
}

func expandEnv(parts []envPart, values map[string]string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.expand(values))
		if b.Len() > maxEnvValue {
			break // the caller refuses what is longer
		}
	}
	return b.String()
}

func (p envPart) expand(values map[string]string) string {
	if p.ref == "" {
		return p.text
	}
	v, ok := values[p.ref]
	if p.op == ":-" && v == "" || p.op == "-" && !ok {
		return p.text
	}
	return v
}

var (
	envKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// envRef is what abra's reader expands: names in capitals, so that a
	// password like "pa$word" stays what it is.
	envRef = regexp.MustCompile(`^\$(?:([A-Z_][A-Z0-9_]*)|\{([A-Z_][A-Z0-9_]*)(?:(:?-)([^}]*))?\})`)
)

func parseEnvLine(raw string) (envLine, error) {
	if !utf8.ValidString(raw) || strings.ContainsRune(raw, 0) {
		return envLine{}, errors.New("not text")
	}
	line := strings.TrimSpace(raw)
	if line == "" {
		return envLine{raw: raw}, nil
	}
	if inner, ok := strings.CutPrefix(line, "#"); ok {
		// prose in a comment is no error: it assigns nothing
		if l, err := parseAssignment(strings.TrimSpace(strings.TrimLeft(inner, "#"))); err == nil {
			l.raw, l.commented = raw, true
			return l, nil
		}
		return envLine{raw: raw}, nil
	}
	l, err := parseAssignment(line)
	l.raw = raw
	return l, err
}

func parseAssignment(line string) (envLine, error) {
	key, rest, ok := strings.Cut(line, "=")
	if !ok {
		return envLine{}, fmt.Errorf("no = in %q", line)
	}
	key = strings.TrimSpace(key)
	if name, ok := strings.CutPrefix(key, "export"); ok && strings.TrimLeft(name, " \t") != name {
		key = strings.TrimSpace(name)
	}
	if !envKey.MatchString(key) {
		return envLine{}, fmt.Errorf("%q is not a name for a variable", key)
	}
	value, comment, err := parseEnvValue(rest)
	return envLine{key: key, value: value, comment: comment}, err
}

// parseEnvValue splits what follows the = into a value and a comment.
func parseEnvValue(s string) (value []envPart, comment string, err error) {
	trimmed := strings.TrimLeft(s, " \t")
	switch {
	case strings.HasPrefix(trimmed, "'"):
		return parseSingleQuoted(trimmed[1:])
	case strings.HasPrefix(trimmed, `"`):
		return parseDoubleQuoted(trimmed[1:])
	}
	text, comment := cutComment(s)
	return parseParts(strings.TrimSpace(text), false), comment, nil
}

func parseSingleQuoted(s string) ([]envPart, string, error) {
	text, rest, ok := strings.Cut(s, "'")
	if !ok {
		return nil, "", errors.New("single quote is not closed")
	}
	comment, err := afterQuote(rest)
	return []envPart{{text: text}}, comment, err
}

func parseDoubleQuoted(s string) ([]envPart, string, error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			comment, err := afterQuote(s[i+1:])
			return parseParts(s[:i], true), comment, err
		}
	}
	return nil, "", errors.New("double quote is not closed")
}

// afterQuote reads what follows a closing quote: nothing, or a comment.
func afterQuote(s string) (string, error) {
	text, comment := cutComment(s)
	if strings.TrimSpace(text) != "" {
		return "", fmt.Errorf("%q after the closing quote", strings.TrimSpace(text))
	}
	return comment, nil
}

// cutComment cuts at the first # after a blank, and at a first # that a blank
// follows: "KEY=# set me" is empty, "KEY=#fff" is a colour.
func cutComment(s string) (text, comment string) {
	for i := 0; i < len(s); i++ {
		if s[i] != '#' {
			continue
		}
		if i > 0 && isBlank(s[i-1]) || i == 0 && len(s) > 1 && isBlank(s[1]) {
			return s[:i], strings.TrimSpace(s[i+1:])
		}
	}
	return s, ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// parseParts splits text at its references. In double quotes every backslash
// escapes; in a bare value only one before a $ does.
func parseParts(s string, quoted bool) []envPart {
	var parts []envPart
	var lit strings.Builder
	for len(s) > 0 {
		if s[0] == '$' {
			if m := envRef.FindStringSubmatch(s); m != nil {
				parts = append(parts, envPart{text: lit.String()}, envPart{text: m[4], ref: m[1] + m[2], op: m[3]})
				lit.Reset()
				s = s[len(m[0]):]
				continue
			}
		}
		n := 1
		if s[0] == '\\' && len(s) > 1 && (quoted || s[1] == '$') {
			lit.WriteString(unescapeEnv(s[1]))
			n = 2
		} else {
			lit.WriteByte(s[0])
		}
		s = s[n:]
	}
	return append(parts, envPart{text: lit.String()})
}

func unescapeEnv(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 'r':
		return "\r"
	}
	return string([]byte{c})
}

// quoteEnv writes a literal value so that ParseEnv reads it back.
func quoteEnv(v string) string {
	switch {
	case !strings.HasPrefix(v, "#") && !strings.ContainsAny(v, `'"$\`) && !strings.ContainsFunc(v, unicode.IsSpace):
		return v
	case strings.ContainsAny(v, `$"\`) && !strings.ContainsAny(v, "'\n\r"):
		return "'" + v + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "\n", `\n`, "\r", `\r`).Replace(v) + `"`
}
