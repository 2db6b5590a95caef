package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var shells = []struct {
	name   string
	argv   []string
	source string // what people put into their shell's own file
	status string
}{
	{"bash", []string{"bash", "--norc", "--noprofile"}, "shopt -s expand_aliases\n%before\n" + `eval "$(cat init)"`, "$?"},
	{"zsh", []string{"zsh", "-f"}, "%before\n" + `eval "$(cat init)"`, "$?"},
	{"fish", []string{"fish", "--no-config"}, "%before\n" + `cat init | source`, "$status"},
}

// standIn is a program that tells its name and its arguments, one in each pair of brackets.
const standIn = `#!/bin/sh
printf '%s' "${0##*/}"
for a in "$@"; do printf '[%s]' "$a"; done
[ -n "$GREETING" ] && printf ' %s' "$GREETING"
[ -t 0 ] || { read -r line && printf ' <%s' "$line"; }
echo
`

// shellSession makes a folder with stand-ins for abra (which exits 7) and
// abra-ccci (3), and returns a function that runs lines in a shell there.
func shellSession(t *testing.T, shell int, before string) func(lines string) string {
	t.Helper()
	sh := shells[shell]
	path, err := exec.LookPath(sh.argv[0])
	if err != nil {
		t.Fatalf("%v; apt-get install %s", err, sh.name)
	}
	dir := t.TempDir()
	var init bytes.Buffer
	if err := shellinit(&init, sh.name); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("init", init.String())
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("bin/abra", standIn+"exit 7\n")
	write("bin/abra-ccci", standIn+"exit 3\n")
	return func(lines string) string {
		write("script", strings.ReplaceAll(sh.source, "%before", before)+"\n"+lines+"\n")
		cmd := exec.Command(path, append(sh.argv[1:], "script")...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "HOME=" + dir, "LC_ALL=C.UTF-8"}
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out)
	}
}

func TestShellinit(t *testing.T) {
	// Functions and aliases, as each shell writes them.
	function := []string{"abra() { echo mine; command abra \"$@\"; }", "abra() { echo mine; command abra \"$@\"; }", "function abra; echo mine; command abra $argv; end"}
	alias := []string{"alias abra='abra -n'", "alias abra='abra -n'", "alias abra='abra -n'"}
	path := []string{"alias abra=\"$PWD/bin/abra\"", "alias abra=\"$PWD/bin/abra\"", "alias abra=\"$PWD/bin/abra\""}
	both := []string{function[0] + "\n" + alias[0], function[1] + "\n" + alias[1], "function abra; echo mine; command abra -n $argv; end"}
	strict := []string{"set -eu", "set -eu", ""}
	twice := []string{`eval "$(cat init)"`, `eval "$(cat init)"`, "cat init | source"}
	tests := []struct {
		name   string
		before []string // by shell; nil: nothing
		line   string
		want   string
	}{
		{"ccci", nil, "abra ccci test mailu --ref main", "abra-ccci[test][mailu][--ref][main]\nstatus 3\n"},
		{"ccci alone", nil, "abra ccci", "abra-ccci\nstatus 3\n"},
		{"ccci with spaces, empty and special arguments", nil, "abra ccci test 'a b' '' '*' '$x' -- ccci", "abra-ccci[test][a b][][*][$x][--][ccci]\nstatus 3\n"},
		{"another command", nil, "abra app ls", "abra[app][ls]\nstatus 7\n"},
		{"without arguments", nil, "abra", "abra\nstatus 7\n"},
		{"spaces, empty and special arguments", nil, "abra app run 'a b' '' '*' '$x' -- ccci", "abra[app][run][a b][][*][$x][--][ccci]\nstatus 7\n"},
		{"an empty first argument", nil, "abra '' ccci", "abra[][ccci]\nstatus 7\n"},
		{"a word that begins so", nil, "abra ccciX y", "abra[ccciX][y]\nstatus 7\n"},
		{"flags that a shell could eat", nil, "abra -h", "abra[-h]\nstatus 7\n"},
		{"stdin", nil, "echo hello | abra app secret insert", "abra[app][secret][insert] <hello\nstatus 7\n"},
		{"environment for one command", nil, "GREETING=hi abra ccci test", "abra-ccci[test] hi\nstatus 3\n"},
		{"completion of abra", nil, "abra __complete app l", "abra[__complete][app][l]\nstatus 7\n"},
		{"completion of the word itself", nil, "abra __complete ccci", "abra[__complete][ccci]\nstatus 7\n"},
		{"completion of ccci", nil, "abra __complete ccci test ''", "abra-ccci[__complete][test][]\nstatus 3\n"},
		{"completion of ccci without descriptions", nil, "abra __completeNoDesc ccci te", "abra-ccci[__completeNoDesc][te]\nstatus 3\n"},
		{"a function that was there", function, "abra app 'a b'", "mine\nabra[app][a b]\nstatus 7\n"},
		{"ccci, with a function that was there", function, "abra ccci test", "abra-ccci[test]\nstatus 3\n"},
		{"an alias that was there", alias, "abra app 'a b'", "abra[-n][app][a b]\nstatus 7\n"},
		{"ccci, with an alias that was there", alias, "abra ccci test", "abra-ccci[test]\nstatus 3\n"},
		{"an alias with a path", path, "abra app ls", "abra[app][ls]\nstatus 7\n"},
		{"ccci, with an alias with a path", path, "abra ccci test", "abra-ccci[test]\nstatus 3\n"},
		{"a function and an alias", both, "abra app ls", "mine\nabra[-n][app][ls]\nstatus 7\n"},
		{"sourced twice", twice, "abra app ls", "abra[app][ls]\nstatus 7\n"},
		{"ccci, sourced twice", twice, "abra ccci test", "abra-ccci[test]\nstatus 3\n"},
	}
	for i, sh := range shells {
		for _, tt := range tests {
			t.Run(sh.name+"/"+tt.name, func(t *testing.T) {
				before := ""
				if tt.before != nil {
					before = tt.before[i]
				}
				got := shellSession(t, i, before)(tt.line + "\necho status " + sh.status)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tt.line, diff)
				}
			})
		}
		t.Run(sh.name+"/strict shell", func(t *testing.T) {
			if got := shellSession(t, i, strict[i])("abra || echo status " + sh.status); got != "abra\nstatus 7\n" {
				t.Errorf("got %q", got)
			}
		})
		t.Run(sh.name+"/sourced twice over a function and an alias", func(t *testing.T) {
			before := both[i] + "\n" + twice[i]
			if got := shellSession(t, i, before)("abra app ls"); got != "mine\nabra[-n][app][ls]\n" {
				t.Errorf("got %q", got)
			}
		})
		t.Run(sh.name+"/no abra at all", func(t *testing.T) {
			got := shellSession(t, i, "rm bin/abra")("abra app ls\necho status " + sh.status)
			if !strings.HasSuffix(got, "status 127\n") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The completion that abra has, as cobra writes it, completes abra ccci too:
// it asks abra, and the function hands that on. Fish can be asked what it
// would offer.
func TestShellinitCompletesInFish(t *testing.T) {
	var script bytes.Buffer
	if err := (&cobra.Command{Use: "abra"}).GenFishCompletion(&script, true); err != nil {
		t.Fatal(err)
	}
	answer := func(program, word string) string {
		return "printf '#!/bin/sh\\nprintf \"" + word + "\\\\n:4\\\\n\"\\n' > bin/" + program + "\n"
	}
	before := answer("abra", "app") + answer("abra-ccci", "test") + "echo '" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(script.String()) + "' | source"
	got := shellSession(t, 2, before)(`complete -C "abra ccci te"; complete -C "abra ap"`)
	if got != "test\napp\n" {
		t.Errorf("fish offers %q", got)
	}
}

func TestShellinitUnknownShell(t *testing.T) {
	var out bytes.Buffer
	if err := shellinit(&out, "tcsh"); err == nil || out.Len() > 0 {
		t.Errorf("shellinit = %v, printed %q", err, out.String())
	}
}
