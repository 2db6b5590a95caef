package ledger

import "strings"

// A form is what a field may look like: as people are told, and as it is
// looked at. The pattern is not compiled: every entry asks a dozen forms, and
// a program that appends one entry would compile them for that.
type form struct {
	pattern string
	is      func(string) bool
}

// MatchString tells whether s is of the form.
func (f form) MatchString(s string) bool { return f.is(s) }

func (f form) String() string { return f.pattern }

var (
	nameForm   = form{`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`, func(s string) bool { return word(s, 64, letters, letters+"._-") }}
	phaseForm  = form{`^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$`, func(s string) bool { return word(s, 40, lower, lower+"-") && s[len(s)-1] != '-' }}
	claimForm  = form{`^M[1-9][0-9]{0,3}$`, func(s string) bool { return s != "" && s[0] == 'M' && word(s[1:], 4, digits[1:], digits) }}
	repoForm   = form{`^[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){1,3}$`, isRepo}
	commitForm = form{`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`, func(s string) bool { return (len(s) == 40 || len(s) == 64) && all(s, hexDigits) }}
	digestForm = form{`^sha256:[0-9a-f]{64}$`, isDigest}
	wordForm   = form{`^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,127}$`, func(s string) bool { return word(s, 128, letters, letters+"._:/+-") }}
	idForm     = form{`^[0-9a-f]{32}$`, func(s string) bool { return len(s) == 32 && all(s, hexDigits) }}
	entryForm  = form{`^E[0-9]{6,12}$`, func(s string) bool { return len(s) >= 7 && s[0] == 'E' && word(s[1:], 12, digits, digits) }}
	originForm = form{`^[a-z0-9][a-z0-9._:/-]{0,126}$`, func(s string) bool { return word(s, 127, lower, lower+"._:/-") }}
)

const (
	digits    = "0123456789"
	hexDigits = digits + "abcdef"
	lower     = digits + "abcdefghijklmnopqrstuvwxyz"
	letters   = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// word tells whether s is of 1 to most characters, the first one and the rest
// of those given.
func word(s string, most int, first, rest string) bool {
	return s != "" && len(s) <= most && all(s[:1], first) && all(s[1:], rest)
}

func all(s, of string) bool {
	for i := range len(s) {
		if strings.IndexByte(of, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isRepo(s string) bool {
	host, rest, ok := strings.Cut(s, "/")
	if !ok || !word(host, 100, letters, letters+".:_-") || strings.Count(rest, "/") > 2 {
		return false
	}
	for part := range strings.SplitSeq(rest, "/") {
		if !word(part, 100, letters, letters+"._-") {
			return false
		}
	}
	return true
}

func isDigest(s string) bool {
	sum, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(sum) == 64 && all(sum, hexDigits)
}
