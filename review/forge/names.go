package forge

import (
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Compiled when they are asked for: most runs of the program never do.
var (
	shaForm   = late(`^[0-9a-f]{40}$`)
	ownerForm = late(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)
	nameForm  = late(`^[A-Za-z0-9_.-]{1,100}$`)
	hostForm  = late(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$`)
)

func late(form string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(form) })
}

// isSHA tells whether s is a commit's id, and not the zeros that mean none.
func isSHA(s string) bool { return shaForm().MatchString(s) && strings.Trim(s, "0") != "" }

// splitRepo splits owner/name, if each is a name that a forge would give.
func splitRepo(s string) (owner, name string, ok bool) {
	owner, name, ok = strings.Cut(s, "/")
	ok = ok && ownerForm().MatchString(owner) && nameForm().MatchString(name) && strings.Trim(name, ".") != "" && name[0] != '-' &&
		!strings.HasSuffix(name, ".git") && !strings.HasSuffix(name, ".wiki")
	return owner, name, ok
}

// isHost tells whether s is a host's name or address, with or without a port.
func isHost(s string) bool {
	if host, port, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
		if strings.Contains(host, ":") { // it had brackets
			ip := net.ParseIP(host)
			return ip != nil
		}
		return hostForm().MatchString(host)
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && net.ParseIP(inner) != nil
	}
	return hostForm().MatchString(s)
}

// isBasePath tells whether p is where on a host a forge can be: nowhere, or at
// plain names.
func isBasePath(p string) bool {
	if p == "" {
		return true
	}
	for _, name := range strings.Split(p, "/")[1:] {
		if !ownerForm().MatchString(name) {
			return false
		}
	}
	return p[0] == '/'
}

// isBranch tells whether git takes s as a branch's name, and as no option.
func isBranch(s string) bool {
	if s == "" || len(s) > 255 || !utf8.ValidString(s) || s[0] == '-' || s == "@" || strings.HasSuffix(s, ".") ||
		strings.Contains(s, "..") || strings.Contains(s, "@{") || strings.ContainsAny(s, " ~^:?*[\\") || strings.ContainsFunc(s, hidden) {
		return false
	}
	for _, part := range strings.Split(s, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// hidden tells of a rune that shows nothing, or changes how others show.
func hidden(r rune) bool { return !unicode.IsPrint(r) }

// oneLine is s with a space for each rune that is not to be printed.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if hidden(r) {
			return ' '
		}
		return r
	}, s))
}

// clip is the beginning of a text.
func clip(s string) string {
	const most = 300
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}
