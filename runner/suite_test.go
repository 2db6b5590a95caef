package runner

import (
	"errors"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/labels"
)

const goodProbe = `
[[probe]]
name   = "note"
covers = ["app:/data"]
seed   = [{ service = "app", run = ["notes", "put", "n${TOKEN}", "${TOKEN}"] }]
check  = [{ service = "app", run = ["notes", "get", "n${TOKEN}"], contains = "${TOKEN}" }]
wipe   = [{ service = "app", run = ["notes", "rm", "n${TOKEN}"] }]
`

func TestParseSuiteRefuses(t *testing.T) {
	tests := []struct {
		name, suite, want string
	}{
		{"unknown key", "recipe = \"x\"\n[deploy]\ntimeuot = \"1m\"\n", `s.toml:3:1: unknown key "timeuot"`},
		{"unknown key in a step", "recipe = \"x\"\n[deploy]\nsetup = [{ service = \"app\", rum = [\"x\"] }]\n", `unknown key "rum"`},
		{"not toml", "recipe = \n", "s.toml:1"},
		{"no recipe", "[deploy]\n", "no recipe"},
		{"negative duration", "recipe = \"x\"\n[deploy]\ntimeout = \"-1s\"\n", "not a duration"},
		{"check without token", "recipe = \"x\"\n" + strings.ReplaceAll(goodProbe, `"n${TOKEN}"], contains = "${TOKEN}"`, `"n"], contains = "hello"`), "does not check for ${TOKEN}"},
		{"check that can't miss", "recipe = \"x\"\n" + strings.ReplaceAll(goodProbe, `, contains = "${TOKEN}"`, ``), "can't tell that its data is gone"},
		{"no wipe", "recipe = \"x\"\n" + strings.Split(goodProbe, "wipe")[0], "no wipe"},
		{"two ways in a step", "recipe = \"x\"\n[deploy]\nsetup = [{ service = \"app\", run = [\"x\"], sh = \"y\" }]\n", "exactly one of run, sh and http"},
		{"no way in a step", "recipe = \"x\"\n[deploy]\nsetup = [{ service = \"app\" }]\n", "exactly one of run, sh and http"},
		{"same probe twice", "recipe = \"x\"\n" + goodProbe + goodProbe, "like another"},
		{"exclude without reason", "recipe = \"x\"\n[[exclude]]\nvolume = \"data\"\nreason = \" \"\n", "needs a volume and a reason"},
		{"exclude that leaves the volume", "recipe = \"x\"\n[[exclude]]\nvolume = \"data\"\npath = \"../x\"\nreason = \"r\"\n", "not relative"},
		{"exit there and gone", "recipe = \"x\"\n" + strings.ReplaceAll(goodProbe, `contains = "${TOKEN}"`, `gone_exit = [0]`), "both there and gone"},
		{"bad pattern", "recipe = \"x\"\n" + strings.ReplaceAll(goodProbe, `contains = "${TOKEN}"`, `matches = "("`), "matches:"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSuite("s.toml", []byte(tt.suite))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := ParseSuite("s.toml", []byte("recipe = \"x\"\n"+goodProbe)); err != nil {
		t.Errorf("the good suite is refused: %v", err)
	}
}

func TestUnknownKeyNamesTheNearest(t *testing.T) {
	_, err := ParseSuite("s.toml", []byte("recipe = \"x\"\n[deploy]\ntimeuot = \"1m\"\n"))
	var se *SuiteError
	if !errors.As(err, &se) || !strings.Contains(se.Hint(), `"timeout"`) {
		t.Errorf("hint of %v does not name timeout", err)
	}
}

var twoServices = &labels.Stack{Services: []labels.Service{
	{Name: "admin", Mounts: []labels.Mount{{Volume: "mailu", Target: "/data"}, {Volume: "dkim", Target: "/data/dkim"}}},
	{Name: "app", Mounts: []labels.Mount{{Volume: "data", Target: "/data"}}},
}}

func TestBindRefuses(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"service", `service = "app"`, `service = "web"`, `no service "web"`},
		{"covers a service that is not there", "app:/data", "web:/data", `no service "web"`},
		{"covers a path that no volume has", "app:/data", "app:/srv", "mounts no volume there"},
		{"variable", `"notes", "get"`, `"${NOTES}", "get"`, "unknown variable ${NOTES}"},
		{"secret", `"notes", "get"`, `"${SECRET:key}", "get"`, "unknown variable ${SECRET:key}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSuite("s.toml", []byte("recipe = \"x\"\n"+strings.ReplaceAll(goodProbe, tt.old, tt.new)))
			if err != nil {
				t.Fatal(err)
			}
			err = s.Bind(twoServices, []string{"DOMAIN"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	s, err := ParseSuite("s.toml", []byte("recipe = \"x\"\n"+goodProbe+"[[exclude]]\nvolume = \"gone\"\nreason = \"r\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(twoServices, nil); err == nil || !strings.Contains(err.Error(), `a volume "gone"`) {
		t.Errorf("an excluded volume that is not there binds: %v", err)
	}
}

func TestCoverOf(t *testing.T) {
	tests := []struct {
		cover string
		want  place
		ok    bool
	}{
		{"admin:/data", place{"mailu", "."}, true},
		{"admin:/data/main.db", place{"mailu", "main.db"}, true},
		{"admin:/data/dkim/key", place{"dkim", "key"}, true}, // the deepest mount
		{"admin:/data/dkimx", place{"mailu", "dkimx"}, true},
		{"admin:/database", place{}, false},
		{"admin:data", place{}, false},
		{"admin", place{}, false},
	}
	for _, tt := range tests {
		got, err := coverOf(twoServices, tt.cover)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("coverOf(%q) = %v, %v", tt.cover, got, err)
		}
	}
}

func TestExpand(t *testing.T) {
	v := vars{"A": "1", "SECRET:key": "s"}
	tests := []struct{ in, want, err string }{
		{"x${A}y", "x1y", ""},
		{"${SECRET:key}", "s", ""},
		{"$${A} $A", "${A} $A", ""},
		{"${B}", "", "unknown variable ${B}"},
		{"${}", "", "unknown variable ${}"},
	}
	for _, tt := range tests {
		got, err := v.expand(tt.in)
		if got != tt.want || (err == nil) != (tt.err == "") || (err != nil && err.Error() != tt.err) {
			t.Errorf("expand(%q) = %q, %v", tt.in, got, err)
		}
	}
}

func FuzzParseSuite(f *testing.F) {
	f.Add([]byte("recipe = \"x\"\n" + goodProbe))
	f.Add([]byte("recipe = \"x\"\n[[exclude]]\nvolume=\"v\"\nreason=\"r\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSuite("s.toml", data)
		if err != nil {
			return
		}
		for _, p := range s.Probes {
			joined := ""
			for _, st := range p.Check {
				joined += st.text()
			}
			if !strings.Contains(joined, "${TOKEN}") {
				t.Errorf("probe %q has a check without a token", p.Name)
			}
		}
	})
}
