package recipe

import (
	"cmp"
	"strings"
	"unicode"

	"golang.org/x/mod/semver"
)

// A Version is a recipe version: the recipe's own semantic version and the
// version of the main app, written 1.0.0+1.14.3.
type Version struct {
	Recipe string // "1.0.0"
	App    string // "1.14.3"; whatever the app's makers call their releases
}

// String writes the version as tags and labels do.
func (v Version) String() string { return v.Recipe + "+" + v.App }

// ParseVersion reads a version; ok is false if s is none. The part before the
// first plus must be a full semantic version (no leading v), the part after it
// must not be empty.
func ParseVersion(s string) (v Version, ok bool) {
	recipe, app, found := strings.Cut(s, "+")
	if !found || app == "" || hasControl(app) || strings.ContainsAny(app, " \t/") {
		return Version{}, false
	}
	if semver.Canonical("v"+recipe) != "v"+recipe {
		return Version{}, false
	}
	return Version{Recipe: recipe, App: app}, true
}

// Compare orders versions by recipe version, then by app version. x/mod/semver
// ignores what follows the plus, so the app's part is compared here: run of
// digits by run of digits as numbers, everything else as text.
func (v Version) Compare(w Version) int {
	if c := semver.Compare("v"+v.Recipe, "v"+w.Recipe); c != 0 {
		return c
	}
	return compareNatural(v.App, w.App)
}

func compareNatural(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = cutRun(a)
		y, b = cutRun(b)
		if c := compareRuns(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// cutRun splits off the leading run of digits, or of anything else.
func cutRun(s string) (run, rest string) {
	digits := isDigit(rune(s[0]))
	i := strings.IndexFunc(s, func(r rune) bool { return isDigit(r) != digits })
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

func compareRuns(x, y string) int {
	if !isDigit(rune(x[0])) || !isDigit(rune(y[0])) {
		return strings.Compare(x, y)
	}
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	if c := cmp.Compare(len(x), len(y)); c != 0 {
		return c
	}
	return strings.Compare(x, y)
}

func isDigit(r rune) bool { return r <= unicode.MaxASCII && unicode.IsDigit(r) }
