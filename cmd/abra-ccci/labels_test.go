package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/examples"
	"coopcloud.tech/abra-ccci/labels"
)

// labelsOf runs `abra-ccci labels` with the arguments, on an $ABRA_DIR that
// holds the examples.
func labelsOf(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	e := &env{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now,
		getenv: func(key string) string { return map[string]string{"ABRA_DIR": dir}[key] },
	}
	cmd := labelsCommand(e)
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	code = report(t.Context(), e, cmd.Execute())
	return code, out.String(), errs.String()
}

// exampleDir is an $ABRA_DIR with the recipe mailu, and its suite if asked for.
func exampleDir(t *testing.T, suite bool) string {
	t.Helper()
	dir := t.TempDir()
	if err := examples.Build("mailu", filepath.Join(dir, "recipes", "mailu")); err != nil {
		t.Fatal(err)
	}
	if suite {
		text, err := examples.Suite("mailu")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "ccci", "suites", "mailu", "suite.toml"), string(text))
	}
	return dir
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLabelsCommand(t *testing.T) {
	tests := []struct {
		name  string
		suite bool
		args  []string
		code  int
		want  []string // in stdout, or in stderr for codes 1 and 2
	}{
		{"excluded by the suite", true, []string{"mailu"}, exitPass, []string{
			"mailu      admin:/data  all    admin backupbot.backup.path=/data", "the suite excludes it: signing keys",
			"warning  container-path-form  admin backupbot.backup.path: ", "relative to the volume",
		}},
		{"without a suite", false, []string{"mailu"}, exitFail, []string{"error    unsaved-volume  volume dkim: "}},
		{"main", true, []string{"mailu", "--diff", "3.0.0+2024.06.50..main"}, exitPass, []string{"warning  no-backups"}},
		{"difference", true, []string{"mailu", "--diff", "main.."}, exitPass, []string{
			"label admin backupbot.backup is new: true", "volume mail is now: all of it saved by imap backupbot.backup.path=/mail",
			"--- a/compose.yml\n+++ b/compose.yml\n", "\n+        backupbot.backup",
		}},
		{"backwards", true, []string{"mailu", "--diff", "add-backupbot-labels..main"}, exitFail, []string{"error    saves-less  volume mail: "}},
		{"no such ref", true, []string{"mailu", "--diff", "main..nowhere"}, exitUnknown, []string{"nowhere"}},
		{"no such recipe", true, []string{"mailoo"}, exitUnknown, []string{"mailoo", "hint: "}},
		{"no two refs", true, []string{"mailu", "--diff", "main"}, exitUsage, []string{`"main" is not BASE..HEAD`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := labelsOf(t, exampleDir(t, tt.suite), tt.args...)
			text := stdout
			if tt.code == exitUnknown || tt.code == exitUsage {
				text = stderr
			}
			if code != tt.code {
				t.Errorf("exit status %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
		})
	}
}

// The folder is looked at as it is; what is in it must not steer a terminal.
func TestLabelsOfAWorkingTree(t *testing.T) {
	dir := exampleDir(t, true)
	writeFile(t, filepath.Join(dir, "recipes", "mailu", "compose.yml"),
		"services:\n  app:\n    image: x\n    volumes: ['v:/v']\n    deploy:\n      labels:\n        - \"backupbot.backup=true\\e[2J\"\nvolumes: {v: {}}\n")
	code, stdout, _ := labelsOf(t, dir, "mailu")
	if code != exitFail || !strings.Contains(stdout, "not-boolean") {
		t.Errorf("exit status %d, want %d; stdout:\n%s", code, exitFail, stdout)
	}
	if strings.ContainsRune(stdout, '\x1b') {
		t.Errorf("an escape sequence came through:\n%q", stdout)
	}
}

func TestLabelsOfABrokenRecipe(t *testing.T) {
	dir := exampleDir(t, true)
	writeFile(t, filepath.Join(dir, "recipes", "mailu", "compose.yml"), "services:\n  app:\n    image: 'x:${TAG}'\n")
	code, _, stderr := labelsOf(t, dir, "mailu")
	if code != exitUnknown || !strings.Contains(stderr, `compose.yml:3: services.app.image: variable "TAG" has no value`) ||
		!strings.Contains(stderr, "hint: give TAG a value in .env.sample") {
		t.Errorf("exit status %d, stderr:\n%s", code, stderr)
	}
}

func TestLabelsJSON(t *testing.T) {
	code, stdout, _ := labelsOf(t, exampleDir(t, true), "mailu", "--json", "--diff", "main..")
	var r labelsReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if code != exitPass || r.Recipe != "mailu" || len(r.Changes) == 0 || !strings.Contains(r.Diff, "+++ b/compose.yml") {
		t.Errorf("exit status %d, %+v", code, r)
	}
	if v := r.Plan.Volume("mail"); v == nil || !v.Saved || v.Paths[0] != "." {
		t.Errorf("volume mail: %+v", v)
	}
	for _, n := range r.Notices {
		if n.Severity == labels.Error {
			t.Errorf("%+v", n)
		}
	}
}
