package labels

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseEnvValues(t *testing.T) {
	tests := []struct {
		name, in, key, want string
	}{
		{"bare", "A=b", "A", "b"},
		{"blank around", "  A =  b  ", "A", "b"},
		{"empty", "A=", "A", ""},
		{"export", "export A=b", "A", "b"},
		{"a key that begins with export", "exported=b", "exported", "b"},
		{"equals in value", "A=b=c", "A", "b=c"},
		{"single quotes are literal", `A='$B\n #x'`, "A", `$B\n #x`},
		{"double quotes escape", `A="a\nb\"c\\d\$E"`, "A", "a\nb\"c\\d$E"},
		{"comment", "A=b # length=12", "A", "b"},
		{"comment after quotes", `A="b" # c`, "A", "b"},
		{"hash without blank", "A=b#c", "A", "b#c"},
		{"colour", "A=#fff", "A", "#fff"},
		{"nothing but a comment", "A=# set me", "A", ""},
		{"quoted hash", `A="b # c"`, "A", "b # c"},
		{"apostrophe inside", "A=don't", "A", "don't"},
		{"self reference", "COMPOSE_FILE=\"compose.yml\"\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.x.yml\"", "COMPOSE_FILE", "compose.yml:compose.x.yml"},
		{"reference in braces", "A=b\nC=${A}c", "C", "bc"},
		{"default of an empty key", "A=\nC=${A:-d}", "C", "d"},
		{"hard default of an empty key", "A=\nC=x${A-d}", "C", "x"},
		{"default not needed", "A=b\nC=${A:-d}", "C", "b"},
		{"reference to nothing", "C=x${A}y", "C", "xy"},
		{"reference to a later key", "C=x$A\nA=b", "C", "x"},
		{"escaped reference", `C=x\$A`, "C", "x$A"},
		{"small letters are no reference", "a=1\nC=pa$a", "C", "pa$a"},
		{"later line wins", "A=b\nA=c", "A", "c"},
		{"CRLF", "A=b\r\nC=d\r\n", "A", "b"},
		{"byte order mark", "\ufeffA=b", "A", "b"},
		{"commented out", "A=b\n#A=c", "A", "b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseEnv(".env", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := e.Lookup(tt.key); !ok || got != tt.want {
				t.Errorf("%s = %q (set: %v), want %q", tt.key, got, ok, tt.want)
			}
		})
	}
}

func TestParseEnvErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"no equals", "A=b\nhello", `x.env:2: no = in "hello"`},
		{"blank in key", "A B=c", `x.env:1: "A B" is not a name for a variable`},
		{"no key", "=c", `x.env:1: "" is not a name for a variable`},
		{"single quote open", "A='b", "x.env:1: single quote is not closed"},
		{"double quote open", `A="b\"`, "x.env:1: double quote is not closed"},
		{"after the quote", `A="b"c`, `x.env:1: "c" after the closing quote`},
		{"NUL", "A=\x00", "x.env:1: not text"},
		{"not UTF-8", "A=\xff", "x.env:1: not text"},
		{"doubling", "A=0123456789abcdef\n" + strings.Repeat("A=$A$A\n", 40), `x.env:14: value of "A" is longer than 65536 bytes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseEnv("x.env", []byte(tt.in))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

const sample = `TYPE=notes
# what it is called: DOMAIN=something
DOMAIN=notes.example.com

COMPOSE_FILE="compose.yml"
#COMPOSE_FILE="$COMPOSE_FILE:compose.smtp.yml"
# COMPOSE_FILE="$COMPOSE_FILE:compose.backup.yml" # optional
SECRET_DB_PASSWORD_VERSION=v1 # length=12 charset=hex
`

func TestEnvCommentsAndKeys(t *testing.T) {
	e := mustEnv(t, sample)
	if got, want := e.Comment("SECRET_DB_PASSWORD_VERSION"), "length=12 charset=hex"; got != want {
		t.Errorf("comment %q, want %q", got, want)
	}
	want := []Assignment{
		{Key: "COMPOSE_FILE", Value: "compose.yml:compose.smtp.yml", Line: 6},
		{Key: "COMPOSE_FILE", Value: "compose.yml:compose.backup.yml", Comment: "optional", Line: 7},
	}
	if d := cmp.Diff(want, e.Commented()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"TYPE", "DOMAIN", "COMPOSE_FILE", "SECRET_DB_PASSWORD_VERSION"}, e.Keys()); d != "" {
		t.Error(d)
	}
}

func TestEnvSet(t *testing.T) {
	e := mustEnv(t, sample)
	for _, kv := range [][2]string{
		{"TYPE", "notes:1.0.0+1"}, {"DOMAIN", "a b"}, {"SECRET_DB_PASSWORD_VERSION", "v2"}, {"NEW", "x$Y"},
	} {
		if err := e.Set(kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.NewReplacer(
		"TYPE=notes", "TYPE=notes:1.0.0+1",
		"DOMAIN=notes.example.com", `DOMAIN="a b"`,
		"=v1 #", "=v2 #").Replace(sample) + "NEW='x$Y'\n"
	if d := cmp.Diff(want, string(e.Bytes())); d != "" {
		t.Error(d)
	}
}

func TestEnvSetFollows(t *testing.T) {
	e := mustEnv(t, "A=1\nB=${A}2\n")
	if err := e.Set("A", "x"); err != nil {
		t.Fatal(err)
	}
	if got := e.Get("B"); got != "x2" {
		t.Errorf("B = %q after A was set, want x2", got)
	}
}

func TestEnvSetRefuses(t *testing.T) {
	e := mustEnv(t, "A=1\nB=$A$A\n")
	for _, kv := range [][2]string{{"A B", "x"}, {"A\nC", "x"}, {"A", "\x00"}, {"A", strings.Repeat("x", maxEnvValue)}} {
		if err := e.Set(kv[0], kv[1]); err == nil {
			t.Errorf("Set(%.10q, %.10q) is accepted", kv[0], kv[1])
		}
	}
	if e.Get("A") != "1" || e.Get("B") != "11" || string(e.Bytes()) != "A=1\nB=$A$A\n" {
		t.Errorf("a refused Set changed A to %.10q, B to %.10q, the file to %.40q", e.Get("A"), e.Get("B"), e.Bytes())
	}
}

// FuzzEnv reads any file and sets any value in it: what is written reads back
// the same, a line gives a value to the one key that it begins with, and no value
// becomes another variable, however it is quoted, cut or commented.
func FuzzEnv(f *testing.F) {
	f.Add(sample, "NEW", "va'l\"ue $X\n#")
	f.Add("export A='b' # c\r\nB=\"$A\\\"${A:-x}\"", "A", "\\")
	f.Add("A='b\nC=d'", "A", "x")
	f.Add("A=b", "A", "it's $B")
	f.Add("A=1\nB=$A$A", "A", strings.Repeat("x", maxEnvValue))
	f.Add("A=\"b\nC=d\"\n", "A", "x")
	f.Add("A=\"b\\nC=d\"\nC=e", "C", "'\nD=x")
	f.Add("A=${A:-${B}}\nB=${A:-$(touch x)}`y`;z", "B", "${A}")
	f.Add("A=b\x1b[2J\u202e\x00\nB=c", "B", "\x00")
	f.Add("\ufeffA=b\n\ufeffB=c\n", "A", "\ufeff")
	f.Add("#A=b\n# # B=\"$A\nA=c # x=\"", "A", "v # w")
	f.Add("export =x\nexportA=b\nexport\tA=b", "exportA", "#")
	f.Add("A=b\u2028B=c\u0085C=d\vD=e\fE=f\rF=g", "A", "\u2028\u0085\v\f\r")
	f.Fuzz(func(t *testing.T, data, key, value string) {
		e, err := ParseEnv("f", []byte(data))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("does not say where: %v", err)
			}
			return
		}
		checkFuzzedEnv(t, e)
		was, text := e.Map(), string(e.Bytes())
		if e.Set(key, value) != nil {
			if d := cmp.Diff(was, e.Map()); d != "" || string(e.Bytes()) != text {
				t.Fatalf("a refused Set(%q, %q) changed:\n%s\n%q", key, value, d, e.Bytes())
			}
			return
		}
		if got := e.Get(key); got != value {
			t.Fatalf("set %q, got %q", value, got)
		}
		was[key] = value
		if d := cmp.Diff(slices.Sorted(maps.Keys(was)), slices.Sorted(maps.Keys(e.Map()))); d != "" {
			t.Fatalf("Set(%q, %q) changed the keys:\n%s", key, value, d)
		}
		checkFuzzedEnv(t, e)
		checkBesideOthers(t, key, value)
	})
}

// checkFuzzedEnv holds that a file reads back as it was, and that each key
// stands at the beginning of a line.
func checkFuzzedEnv(t *testing.T, e *Env) {
	text := string(e.Bytes())
	again := mustEnv(t, text)
	if d := cmp.Diff(e.Map(), again.Map()); d != "" {
		t.Fatalf("written and read again:\n%s", d)
	}
	if d := cmp.Diff(append(e.Assignments(), e.Commented()...), append(again.Assignments(), again.Commented()...)); d != "" {
		t.Fatalf("written and read again:\n%s", d)
	}
	if got := string(again.Bytes()); got != text {
		t.Fatalf("written twice: %q, then %q", text, got)
	}
	lines := strings.Split(text, "\n")
	for _, a := range append(e.Assignments(), e.Commented()...) {
		line := lines[a.Line-1]
		if !regexp.MustCompile(`^[\s#\pZ]*(export\s+)?` + a.Key + `[\s\pZ]*=`).MatchString(line) {
			t.Fatalf("line %d, %q, assigns %q", a.Line, line, a.Key)
		}
		if strings.ContainsRune(a.Value, 0) || !utf8.ValidString(a.Value) {
			t.Fatalf("value of %q is %q", a.Key, a.Value)
		}
	}
}

// checkBesideOthers holds that a value leaves its neighbours alone, and that
// nothing in it is taken for a reference to them.
func checkBesideOthers(t *testing.T, key, value string) {
	want := map[string]string{"A": "1", "B": "2"}
	e := mustEnv(t, "A=1\nB=2\n")
	if err := e.Set(key, value); err != nil {
		t.Fatalf("Set(%q, %q): %v", key, value, err)
	}
	want[key] = value
	if d := cmp.Diff(want, mustEnv(t, string(e.Bytes())).Map()); d != "" {
		t.Fatalf("%q among others:\n%s\nfile: %q", value, d, e.Bytes())
	}
}

func mustEnv(t *testing.T, data string) *Env {
	t.Helper()
	e, err := ParseEnv(".env.sample", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return e
}
