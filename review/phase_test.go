package review

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const goodPhase = `phase = "mailu"

[[claim]]
name   = "M1"
level  = 5
checks = ["version_bumped", "evidence"]

[[claim]]
name       = "M2"
base_level = 4
checks     = ["second_run"]
`

func TestParsePhase(t *testing.T) {
	p, err := ParsePhase("phase.toml", []byte(goodPhase))
	if err != nil {
		t.Fatal(err)
	}
	m1, err := p.Claim("M1")
	if err != nil || m1.Level != 5 || m1.ClaimedBaseLevel() != -1 {
		t.Errorf("%+v, %v", m1, err)
	}
	if got, want := m1.Needs(), append(slices.Clone(always), "version_bumped", "evidence", "reproduced"); !reflect.DeepEqual(got, want) {
		t.Errorf("M1 needs %v, want %v", got, want)
	}
	m2, err := p.Claim("M2")
	if err != nil || m2.Level != 0 || m2.ClaimedBaseLevel() != 4 {
		t.Errorf("%+v, %v", m2, err)
	}
	if got, want := m2.Needs(), append(slices.Clone(always), "second_run", "levels_reconciled"); !reflect.DeepEqual(got, want) {
		t.Errorf("M2 needs %v, want %v", got, want)
	}
	if _, err := p.Claim("M3"); err == nil || !strings.Contains(err.Error(), "it has M1, M2") {
		t.Errorf("M3: %v", err)
	}
}

func TestParsePhaseRefuses(t *testing.T) {
	edit := func(old, new string) string {
		if !strings.Contains(goodPhase, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(goodPhase, old, new, 1)
	}
	tests := []struct{ name, text, want, hint string }{
		{"unknown key", edit("level ", "levle "), `phase.toml:5:1: unknown key "levle"`, `"level"`},
		{"unknown key at top", edit("phase =", "phases = 1\nphase ="), `phase.toml:1:1: unknown key "phases"`, `"phase"`},
		{"unknown check", edit(`"evidence"`, `"evidense"`), `claim[0].checks: no check "evidense"`, "version_bumped, evidence"},
		{"no name", edit(`phase = "mailu"`, ``), "is not the name of a phase", `phase = "NAME"`},
		{"name that leads elsewhere", edit(`"mailu"`, `"../x"`), "is not the name of a phase", ""},
		{"name of a claim with a space", edit(`"M1"`, `"M 1"`), "is not the name of a claim", ""},
		{"long name of a claim", edit(`"M1"`, `"`+strings.Repeat("M", 41)+`"`), "is not the name of a claim", ""},
		{"same claim twice", edit(`"M2"`, `"M1"`), `there is a claim "M1" already`, ""},
		{"no claim", `phase = "mailu"`, "no claim", "[[claim]]"},
		{"level too high", edit("= 5", "= 6"), "6 is not a level", ""},
		{"negative base level", edit("= 4", "= -1"), "-1 is not a level", ""},
		{"not toml", "phase = ", "phase.toml:1", ""},
		{"wrong type", edit("= 5", `= "5"`), "phase.toml:5", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParsePhase("phase.toml", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			var hinted interface{ Hint() string }
			if errors.As(err, &hinted); tt.hint != "" && !strings.Contains(hinted.Hint(), tt.hint) {
				t.Errorf("hint %q, want %q", hinted.Hint(), tt.hint)
			}
		})
	}
}

func TestDefaultPhase(t *testing.T) {
	if _, err := ReadPhase(fstest.MapFS{}, "phase.toml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	c, err := DefaultPhase("mailu").Claim("M7")
	if err != nil || c.Name != "M7" || !reflect.DeepEqual(c.Needs(), always) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := DefaultPhase("mailu").Claim("M 7"); err == nil {
		t.Error("a name with a space is taken")
	}
}

// What the manual shows is read, and every check is in it.
func TestPhaseInDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/review.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "## Phases")
	_, rest, _ = strings.Cut(rest, "```toml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	if _, err := ParsePhase("docs/review.md", []byte(example)); err != nil {
		t.Error(err)
	}
	for _, name := range slices.Concat(always, more) {
		if !strings.Contains(string(data), "`"+name+"`") {
			t.Errorf("%s is not in docs/review.md", name)
		}
	}
}

func FuzzParsePhase(f *testing.F) {
	f.Add([]byte(goodPhase))
	f.Add([]byte("phase = \"x\"\n[[claim]]\nname = \"M1\"\n"))
	f.Add([]byte("phase = \"\\u001b\"\n[[claim]]\nname = \"\"\nlevle = 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePhase("phase.toml", data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x1b\x07\x00") {
				t.Errorf("an error that steers a terminal: %q", err)
			}
			return
		}
		if strings.ContainsAny(p.Name, "/\\. \x1b\n") || p.Name == "" {
			t.Errorf("name %q", p.Name)
		}
		for _, c := range p.Claims {
			if got, err := p.Claim(c.Name); err != nil || got.Name != c.Name || strings.ContainsAny(c.Name, "/\\. \n") {
				t.Errorf("claim %q: %v", c.Name, err)
			}
			if needs := c.Needs(); len(needs) < len(always) {
				t.Errorf("claim %q needs %v", c.Name, needs)
			}
		}
	})
}
