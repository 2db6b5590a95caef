package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// SuiteFile is the name of a suite in its folder.
const SuiteFile = "suite.toml"

// A Suite is what is known about exercising one recipe. docs/suite.md teaches
// the format; the keys are exactly the toml names below.
type Suite struct {
	Recipe     string       `toml:"recipe"`
	Deploy     Deploy       `toml:"deploy"`
	Probes     []Probe      `toml:"probe"`
	Functional []Functional `toml:"functional"`
	Excludes   []Exclude    `toml:"exclude"`

	// Source is the file that the suite was read from, Digest the sha256 of
	// its bytes in hex; both empty for the suite that a recipe without one gets.
	Source string `toml:"-"`
	Digest string `toml:"-"`
}

// Deploy says how the app is deployed for a test.
type Deploy struct {
	Timeout Duration          `toml:"timeout"` // to converge; default 10m
	Env     map[string]string `toml:"env"`     // over .env.sample
	Secrets map[string]string `toml:"secrets"` // values for those that .env.sample does not generate
	Setup   []Step            `toml:"setup"`   // after each deployment from nothing
}

// A Probe is one piece of data that can be seeded, checked and wiped.
type Probe struct {
	Name   string   `toml:"name"`
	Covers []string `toml:"covers"` // service:mount[/path]: what its data lives in
	Seed   []Step   `toml:"seed"`
	Check  []Step   `toml:"check"`
	Wipe   []Step   `toml:"wipe"`
}

// Functional is one test of what the app does.
type Functional struct {
	Name  string `toml:"name"`
	Steps []Step `toml:"steps"`
}

// Exclude says that a volume, or a path in one, need not come back, and why.
type Exclude struct {
	Volume string `toml:"volume"`
	Path   string `toml:"path"` // relative to the volume's root; empty: all of it
	Reason string `toml:"reason"`
}

// A Step does one thing in a task of a service and asserts what came of it:
// exactly one of Run, Sh and HTTP is set.
type Step struct {
	Service string   `toml:"service"`
	Run     []string `toml:"run"`   // argv
	Sh      string   `toml:"sh"`    // a script on the stdin of sh
	HTTP    string   `toml:"http"`  // a URL, asked from inside the task's network
	Stdin   string   `toml:"stdin"` // for run

	Exit       int     `toml:"exit"`
	Contains   *string `toml:"contains"`
	Lacks      *string `toml:"lacks"`
	Equals     *string `toml:"equals"` // but for white space around
	Matches    *string `toml:"matches"`
	Status     int     `toml:"status"`      // of http; default 200
	GoneExit   []int   `toml:"gone_exit"`   // exit statuses that say "it is not there"
	GoneStatus []int   `toml:"gone_status"` // likewise, of http

	Within  Duration `toml:"within"`  // polled until the assertions hold
	Timeout Duration `toml:"timeout"` // of one attempt; default 60s
}

// Duration is a time.Duration written as "90s" or "10m".
type Duration time.Duration

// UnmarshalText reads a duration that is not negative.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as \"90s\" or \"10m\"", text)
	}
	*d = Duration(v)
	return nil
}

// A SuiteError says what is wrong with a suite, or another file that people
// write for this tool, and where.
type SuiteError struct {
	File   string
	Line   int    // 0 where it is not known
	Column int    // likewise
	Key    string // "probe[1].check[0]"; may be empty
	Msg    string
	Tip    string
}

func (e *SuiteError) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", where, e.Line)
	}
	if e.Column > 0 {
		where = fmt.Sprintf("%s:%d", where, e.Column)
	}
	if e.Key != "" {
		where += ": " + e.Key
	}
	return where + ": " + e.Msg
}

// Hint is the next thing to do about it.
func (e *SuiteError) Hint() string { return e.Tip }

// ReadSuite reads suite.toml from fsys. An absent file is an error that is fs.ErrNotExist.
func ReadSuite(fsys fs.FS, source string) (*Suite, error) {
	data, err := fs.ReadFile(fsys, SuiteFile)
	if err != nil {
		return nil, err
	}
	return ParseSuite(source, data)
}

// ParseSuite reads a suite strictly. Errors are *SuiteError.
func ParseSuite(source string, data []byte) (*Suite, error) {
	s := Suite{Source: source}
	if err := DecodeTOML(source, data, &s, suiteKeys); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	s.Digest = hex.EncodeToString(sum[:])
	if err := s.validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// suiteKeys are all keys of a suite, for the nearest one to a mistyped key.
var suiteKeys = []string{"recipe", "deploy", "probe", "functional", "exclude", "timeout", "env", "secrets", "setup", "name", "covers", "seed",
	"check", "wipe", "steps", "volume", "path", "reason", "service", "run", "sh", "http", "stdin", "exit", "contains", "lacks",
	"equals", "matches", "status", "gone_exit", "gone_status", "within"}

// DecodeTOML reads a file of a format of ours strictly: an unknown key is an
// error with its line and column, and the nearest of keys. Errors are *SuiteError.
func DecodeTOML(source string, data []byte, into any, keys []string) error {
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(into); err != nil {
		return decodeError(source, err, keys)
	}
	return nil
}

func decodeError(source string, err error, keys []string) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		first := strict.Errors[0]
		line, column := first.Position()
		key := first.Key()
		last := key[len(key)-1]
		return &SuiteError{File: source, Line: line, Column: column, Msg: fmt.Sprintf("unknown key %q", last),
			Tip: fmt.Sprintf("the nearest known key is %q", nearest(last, keys))}
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		return &SuiteError{File: source, Line: line, Column: column, Msg: strings.TrimPrefix(decode.Error(), "toml: ")}
	}
	return &SuiteError{File: source, Msg: err.Error()}
}

// nearest is the word with the smallest edit distance to got.
func nearest(got string, words []string) string {
	return slices.MinFunc(words, func(a, b string) int { return distance(got, a) - distance(got, b) })
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Slug makes a name fit for a test's name: [a-z0-9_].
func Slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "_") {
			b.WriteByte('_')
		}
	}
	return strings.Trim(b.String(), "_")
}

func (s *Suite) validate() error {
	if s.Recipe == "" {
		return s.wrong("", "no recipe", `add: recipe = "NAME"`)
	}
	if s.Deploy.Timeout == 0 {
		s.Deploy.Timeout = Duration(10 * time.Minute)
	}
	if err := s.validateSteps("deploy.setup", s.Deploy.Setup); err != nil {
		return err
	}
	slugs := map[string]bool{}
	for i, p := range s.Probes {
		key := fmt.Sprintf("probe[%d]", i)
		if slug := Slug(p.Name); slug == "" || slugs[slug] {
			return s.wrong(key, fmt.Sprintf("name %q is empty or like another probe's", p.Name), "give each probe a name of its own")
		}
		slugs[Slug(p.Name)] = true
		if err := s.validateProbe(key, p); err != nil {
			return err
		}
	}
	return s.validateRest()
}

func (s *Suite) validateRest() error {
	slugs := map[string]bool{}
	for i, f := range s.Functional {
		key := fmt.Sprintf("functional[%d]", i)
		if slug := Slug(f.Name); slug == "" || slugs[slug] {
			return s.wrong(key, fmt.Sprintf("name %q is empty or like another test's", f.Name), "give each test a name of its own")
		}
		slugs[Slug(f.Name)] = true
		if len(f.Steps) == 0 {
			return s.wrong(key, "no steps", "add: steps = [{ service = …, run = […] }]")
		}
		if err := s.validateSteps(key+".steps", f.Steps); err != nil {
			return err
		}
	}
	for i, x := range s.Excludes {
		key := fmt.Sprintf("exclude[%d]", i)
		if x.Volume == "" || strings.TrimSpace(x.Reason) == "" {
			return s.wrong(key, "an exclude needs a volume and a reason", "say why the data need not come back")
		}
		if x.Path != "" && !fs.ValidPath(x.Path) {
			return s.wrong(key, fmt.Sprintf("path %q is not relative to the volume's root", x.Path), "")
		}
	}
	return nil
}

// wrong is the error of a part of the suite.
func (s *Suite) wrong(key, msg, tip string) error {
	return &SuiteError{File: s.Source, Key: key, Msg: msg, Tip: tip}
}

func (s *Suite) validateProbe(key string, p Probe) error {
	parts := []struct {
		name  string
		steps []Step
	}{{"seed", p.Seed}, {"check", p.Check}, {"wipe", p.Wipe}}
	for _, part := range parts {
		if len(part.steps) == 0 {
			return s.wrong(key, fmt.Sprintf("probe %q has no %s", p.Name, part.name), "a probe can be seeded, checked and wiped")
		}
		if err := s.validateSteps(key+"."+part.name, part.steps); err != nil {
			return err
		}
	}
	// A check that does not ask for its own token is satisfied by a default
	// page or by yesterday's data.
	if !slices.ContainsFunc(p.Check, func(st Step) bool { return strings.Contains(st.text(), "${TOKEN}") }) {
		return s.wrong(key+".check", fmt.Sprintf("probe %q does not check for ${TOKEN}", p.Name),
			"check for what this very seeding wrote: put ${TOKEN} into run, http or contains")
	}
	if !slices.ContainsFunc(p.Check, Step.canMiss) {
		return s.wrong(key+".check", fmt.Sprintf("probe %q can't tell that its data is gone", p.Name),
			"assert content (contains, equals, matches, lacks) or list gone_exit")
	}
	return nil
}

// canMiss tells whether the step can answer that the data is not there.
func (st Step) canMiss() bool {
	return st.Contains != nil || st.Equals != nil || st.Matches != nil || st.Lacks != nil ||
		len(st.GoneExit) > 0 || len(st.GoneStatus) > 0
}

// text is everything in a step that variables may stand in.
func (st Step) text() string {
	parts := append(slices.Clone(st.Run), st.Sh, st.HTTP, st.Stdin)
	for _, p := range []*string{st.Contains, st.Lacks, st.Equals, st.Matches} {
		if p != nil {
			parts = append(parts, *p)
		}
	}
	return strings.Join(parts, "\x00")
}

func (s *Suite) validateSteps(key string, steps []Step) error {
	for i, st := range steps {
		at := fmt.Sprintf("%s[%d]", key, i)
		ways := 0
		for _, set := range []bool{len(st.Run) > 0, st.Sh != "", st.HTTP != ""} {
			if set {
				ways++
			}
		}
		switch {
		case st.Service == "":
			return s.wrong(at, "no service", "")
		case ways != 1:
			return s.wrong(at, "a step is exactly one of run, sh and http", "")
		case st.Stdin != "" && len(st.Run) == 0:
			return s.wrong(at, "stdin goes with run alone", "")
		case st.HTTP == "" && (st.Status != 0 || len(st.GoneStatus) > 0):
			return s.wrong(at, "status and gone_status go with http alone", "")
		case st.HTTP != "" && (st.Exit != 0 || len(st.GoneExit) > 0):
			return s.wrong(at, "exit and gone_exit go with run and sh alone", "")
		case slices.Contains(st.GoneExit, st.Exit) && st.HTTP == "":
			return s.wrong(at, fmt.Sprintf("exit %d can't mean both there and gone", st.Exit), "")
		}
		if st.Matches != nil {
			if _, err := regexp.Compile(variable.ReplaceAllString(*st.Matches, "x")); err != nil {
				return s.wrong(at, fmt.Sprintf("matches: %v", err), "")
			}
		}
	}
	return nil
}

// NoSuite is the suite of a recipe that has none: nothing is known of it.
func NoSuite(recipe string) *Suite {
	return &Suite{Recipe: recipe, Deploy: Deploy{Timeout: Duration(10 * time.Minute)}}
}
