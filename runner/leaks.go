package runner

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"unicode"

	"coopcloud.tech/abra-ccci/recipe"
)

// leaks collects where which secret was seen, and which were not searched and
// why. It never holds a value.
type leaks struct {
	mu         sync.Mutex
	seen       []string
	unsearched []string
	published  []string // what the recipe's own files say
}

func (l *leaks) add(name, form, where string) { l.note(&l.seen, "%s (%s) in %s", name, form, where) }

func (l *leaks) note(list *[]string, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry := fmt.Sprintf(format, args...); !slices.Contains(*list, entry) {
		*list = append(*list, entry)
	}
}

// err says which secrets were seen where; nil if none was. If some were not
// searched it is a note that says so: nothing is known of them.
func (l *leaks) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var not string
	if len(l.unsearched) > 0 {
		not = "not searched: " + strings.Join(l.unsearched, "; ")
	}
	switch {
	case len(l.seen) > 0:
		all := slices.Concat(l.seen, l.published)
		if not != "" {
			all = append(all, not)
		}
		return fmt.Errorf("a generated secret was seen: %s", strings.Join(all, "; "))
	case not != "":
		return note(not)
	}
	return nil
}

// search makes the vault know a secret, or notes why finding it would mean
// nothing: it is too short, it is a word that somebody chose, such as "changeme",
// or it is easy and the recipe's own files say it to everybody. Any other value
// that they say is a secret given away, and is searched.
func (r *Run) search(name, value string, chosen bool) {
	file := r.publishedIn(value)
	switch {
	case len(strings.Trim(value, "\r\n")) < MinSecret:
		r.leaks.note(&r.leaks.unsearched, "%s, whose value has less than %d bytes", name, MinSecret)
	case chosen && isEasy(value) && strings.IndexFunc(value, func(r rune) bool { return !unicode.IsLetter(r) }) < 0:
		r.leaks.note(&r.leaks.unsearched, "%s, whose value is a plain word", name)
	case file != "" && isEasy(value):
		r.leaks.note(&r.leaks.unsearched, "%s, whose value is a word of %s", name, Printable(file))
	default:
		r.Vault.Add(name, value)
		if file != "" {
			r.leaks.note(&r.leaks.published, "the value of %s stands in %s: take it out of there, or give the secret another in the suite", name, Printable(file))
		}
	}
}

// maxPublished bounds, in bytes, a file of the recipe that is looked into.
const maxPublished = 1 << 20

// publishedIn names the file of head or base in which a value stands; "" if
// there is none. The suite, which may be the recipe's, is not looked at: it is
// where values come from.
func (r *Run) publishedIn(value string) string {
	v := NewVault()
	if !v.Add("x", value) {
		return ""
	}
	for _, side := range []*recipe.Checkout{r.Head, r.Base} {
		if side == nil {
			continue
		}
		if file := firstWith(v, side.Files()); file != "" {
			return file
		}
	}
	return ""
}

// firstWith is the first file in which v finds something.
func firstWith(v *Vault, files fs.FS) (found string) {
	fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "ccci" || name == ".git" {
			return fs.SkipDir // what can't be read publishes nothing
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxPublished {
			return nil
		}
		if data, err := fs.ReadFile(files, name); err == nil && len(v.Find(string(data))) > 0 {
			found = name
			return fs.SkipAll
		}
		return nil
	})
	return found
}
