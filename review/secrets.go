package review

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"coopcloud.tech/abra-ccci/recipe"
)

// A tokenShape is how a service writes its credentials. Whatever has the shape
// is one, wherever it stands.
type tokenShape struct {
	what string
	form func() *regexp.Regexp
}

// late compiles an expression when it is asked for: most runs of the program never
// do, and all would wait.
func late(form string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(form) })
}

// tokenShapes are the shapes that occur in files of recipes, each with a prefix
// of its own; what only looks random is found by its name and entropy.
var tokenShapes = []tokenShape{
	{"a private key", late(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----`)},
	{"an AWS access key", late(`\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b`)},
	{"a GitHub token", late(`\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{60,})\b`)},
	{"a GitLab token", late(`\bgl(?:pat|ptt|dt|rt|soat)-[0-9A-Za-z_-]{20,}`)},
	{"a Slack token", late(`\bxox[abeoprs]-[0-9A-Za-z-]{10,}`)},
	{"a Slack webhook", late(`hooks\.slack\.com/(?:services|workflows)/[0-9A-Za-z/_-]{30,}`)},
	{"a Discord webhook", late(`discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[0-9A-Za-z_-]{50,}`)},
	{"a Stripe key", late(`\b[rs]k_(?:live|test|prod)_[0-9A-Za-z]{16,}\b`)},
	{"a Google API key", late(`\bAIza[0-9A-Za-z_-]{35}\b`)},
	{"a SendGrid key", late(`\bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{32,}`)},
	{"a Mailgun key", late(`\bkey-[0-9a-f]{32}\b`)},
	{"an npm token", late(`\bnpm_[0-9A-Za-z]{36}\b`)},
	{"a PyPI token", late(`\bpypi-AgE[0-9A-Za-z_-]{50,}`)},
	{"a DigitalOcean token", late(`\bdo[opr]_v1_[0-9a-f]{64}\b`)},
	{"a Docker Hub token", late(`\bdckr_(?:pat|oat)_[0-9A-Za-z_-]{20,}`)},
	{"an age key", late(`\bAGE-SECRET-KEY-1[0-9A-Z]{50,}`)},
	{"a JSON web token", late(`\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}`)},
	{"an Anthropic or OpenAI key", late(`\bsk-(?:ant-|proj-)[0-9A-Za-z_-]{20,}`)},
}

var (
	// secretName is a word that says that what is assigned to it is secret.
	secretName = late(`(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api_?key|private_?key|access_?key|secret_?key|encryption_?key|signing_?key|master_?key|auth_?key|salt|credential)s?$`)
	// assignment is NAME=value, name: value or "name": "value".
	assignment = late(`([A-Za-z][A-Za-z0-9_.-]*)["']?[ \t]*(?::=|=>|[:=])[ \t]*("[^"\r\n]*"|'[^'\r\n]*'|[^\s#,;"'}\]]+)`)
	// urlPassword is what stands between user and host in a URL.
	urlPassword = late(`\b[a-z][a-z0-9+.-]*://[^\s/:@"'$]*:([^\s/@"']+)@`)
	// placeholder is a value that stands for one.
	placeholder = late(`(?i)^(?:<.*>|\[.*\]|\*+|x{3,}|\.{3,}|.*(?:change[-_ ]?me|replace[-_ ]?me|your[-_ ]|example|placeholder|insert[-_ ]|dummy|redacted|generate|todo|foobar).*|true|false|yes|no|null|none|nil|v?\d+(?:\.\d+)*|file|external)$`)
	// identifier is what code calls something: words, no noise.
	identifier = late(`^[a-z]+$|^[A-Z]+$|^[A-Za-z]+(?:[_.-][A-Za-z]+)+$|^[a-z]+(?:/[a-z]+)+$`)
	// A reference is filled in elsewhere.
	reference = late(`\$\{|\$[A-Za-z_(]|\{\{|%\(|^/|^\./|/run/secrets/`)
)

// What is assigned to a secret's name counts from this length and entropy on;
// bytes, and bits for each of them.
const (
	minSecretLength = 8
	minEntropy      = 2.8
)

// A secretHit is a plaintext secret in a line.
type secretHit struct {
	what  string
	value string
}

// secretIn finds the first plaintext secret of a line.
func secretIn(line string) (hit secretHit, found bool) {
	for _, shape := range tokenShapes {
		if value := shape.form().FindString(line); value != "" && !isPlaceholder(value) {
			return secretHit{shape.what, value}, true
		}
	}
	for _, m := range urlPassword().FindAllStringSubmatch(line, -1) {
		if noise(m[1]) {
			return secretHit{"a password in a URL", m[1]}, true
		}
	}
	for _, m := range assignment().FindAllStringSubmatch(line, -1) {
		name, value := m[1], strings.Trim(m[2], `"'`)
		if value == m[2] && strings.ContainsAny(value, "([{") {
			continue // a list, a mapping or a call; a secret would be in quotes there
		}
		if secretName().MatchString(name) && noise(value) {
			return secretHit{fmt.Sprintf("a value for %q", name), value}, true
		}
	}
	return secretHit{}, false
}

func isPlaceholder(value string) bool {
	return reference().MatchString(value) || placeholder().MatchString(value)
}

// noise tells whether a value is too random for a word or a reference().
func noise(value string) bool {
	value = strings.TrimSpace(value)
	if len(value) < minSecretLength || isPlaceholder(value) || identifier().MatchString(value) || strings.Contains(value, " ") {
		return false
	}
	return entropy(value) >= minEntropy
}

// entropy is Shannon's, of the bytes of a text, in bits for each.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	var bits float64
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// A secretPlace is where a plaintext secret stands.
type secretPlace struct {
	file string
	line int
	secretHit
	added  bool   // by the pull request
	commit string // that has it, if the head does not
}

// Past is what was found in files that commits of a pull request brought and took
// away again. Its zero value is that of a history of which nobody knows.
type Past struct {
	commits int
	places  []secretPlace
	leftOut []string
	err     error
}

// ReadPast looks through the history between a pull request's merge base, whose
// files are before, and its head.
func ReadPast(rec *recipe.Recipe, mergeBase, head recipe.Commit, before fs.FS) (p Past) {
	p.commits, p.err = rec.Past(mergeBase, head, maxScanFile, func(f recipe.PastFile) error {
		if f.Data == nil {
			p.leftOut = append(p.leftOut, fmt.Sprintf("%s in commit %.12s", f.Path, f.Commit))
			return nil
		}
		for _, hit := range secretsInFile(f.Path, f.Data, linesOf(before, f.Path)) {
			if hit.commit = f.Commit; hit.added {
				p.places = append(p.places, hit)
			}
		}
		return nil
	})
	return p
}

// beside are the places of secrets that the head does not hold, each once.
func (p Past) beside(head []secretPlace) (out []secretPlace) {
	known := map[string]bool{}
	for _, h := range head {
		known[h.value] = true
	}
	for _, h := range p.places {
		if !known[h.value] {
			known[h.value] = true
			out = append(out, h)
		}
	}
	return out
}

// What is read of a tree: longer lines are cut, larger files are told about.
const (
	maxScanFile = 4 << 20
	maxScanLine = 64 << 10
)

// secretsIn looks through every file of head. A line that base's file of the
// same name has, too, was not added. Left out is what could not be read.
func secretsIn(base, head fs.FS) (places []secretPlace, files int, leftOut []string, err error) {
	err = fs.WalkDir(head, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			leftOut = append(leftOut, name)
			return nil
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxScanFile {
			leftOut = append(leftOut, name)
			return nil
		}
		data, err := fs.ReadFile(head, name)
		if err != nil {
			leftOut = append(leftOut, name)
			return nil
		}
		files++
		places = append(places, secretsInFile(name, data, linesOf(base, name))...)
		return nil
	})
	return places, files, leftOut, err
}

func secretsInFile(name string, data []byte, before map[string]bool) (places []secretPlace) {
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		data = bytes.ToValidUTF8(bytes.ReplaceAll(data, []byte{0}, []byte{'\n'}), []byte("\n"))
	}
	for i, line := range strings.Split(string(data), "\n") {
		if len(line) > maxScanLine {
			line = line[:maxScanLine]
		}
		if hit, found := secretIn(line); found {
			places = append(places, secretPlace{file: name, line: i + 1, secretHit: hit, added: !before[line]})
		}
	}
	return places
}

// linesOf are the lines of a file, none if it is not there.
func linesOf(fsys fs.FS, name string) map[string]bool {
	if fsys == nil {
		return nil
	}
	if info, err := fs.Stat(fsys, name); err != nil || info.Size() > maxScanFile {
		return nil
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil
	}
	lines := map[string]bool{}
	for _, l := range strings.Split(string(data), "\n") {
		lines[l] = true
	}
	return lines
}
