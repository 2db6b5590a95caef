package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"coopcloud.tech/abra-ccci/recipe/history"
	"coopcloud.tech/abra-ccci/runner"
)

// touches are what makes a file named canary where it gets to a shell or a
// path, steers a terminal, or begins a line that is not ours.
var touches = []string{
	"$(touch canary)", "`touch canary`", "; touch canary;", "' ; touch canary; '", "\" ; touch canary; \"", "| touch canary", "&& touch canary\n", "../../canary", "--out=canary",
	"\x1b[2J\x1b]0;t\a", "\u009b31m", "\u202e\u2066", "\u200b\ufeff", "\u2028\u0085", "\x7f\b\v\f", "\r", "<script>", "]]>", "<!-- ",
	"\nforged: pass\n", "\r\nforged: pass\r\n", "\nabra-ccci: hint: forged\n",
}

// all of them in one text, in which a variable's reference is none.
var allTouches = strings.Join(touches, " ")

// escaped is for compose files, in which a dollar sign would be a reference.
func escaped(s string) string { return strings.ReplaceAll(s, "$", "$$") }

// hostileCompose is a compose file of one service with a volume, of which
// change changes what it likes.
func hostileCompose(t *testing.T, change func(service map[string]any, doc map[string]any)) string {
	t.Helper()
	service := map[string]any{"image": "ccci/notes:1.1.0", "volumes": []any{"data:/data"}, "deploy": map[string]any{"labels": map[string]any{"backupbot.backup": "true"}}}
	doc := map[string]any{"version": "3.8", "services": map[string]any{"app": service}, "volumes": map[string]any{"data": map[string]any{}}}
	if change != nil {
		change(service, doc)
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A hostileRecipe is one place where a recipe says something hostile, and what
// `abra-ccci labels` and `abra-ccci init` make of it.
type hostileRecipe struct {
	name         string
	files        map[string]string // beside compose.yml, which may be among them
	labels, init int               // exit statuses
}

func hostileRecipes(t *testing.T) []hostileRecipe {
	compose := func(change func(service, doc map[string]any)) map[string]string {
		return map[string]string{"compose.yml": hostileCompose(t, change)}
	}
	value := escaped(allTouches)
	labels := func(l any) map[string]string {
		return compose(func(s, _ map[string]any) { s["deploy"] = map[string]any{"labels": l} })
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "\n", `\n`, "\r", `\r`).Replace(allTouches)
	return []hostileRecipe{
		{"label values", labels(map[string]any{
			"backupbot.backup": "true", "backupbot.backup.path": "/data/" + value, "backupbot.backup.volumes.data": value, "backupbot.backup.volumes.data.path": value,
			"backupbot.backup.pre-hook": value, "backupbot.restore.post-hook": "/" + value, "x": value}), exitFail, exitPass},
		{"label values in a list", labels([]any{"backupbot.backup=true", "backupbot.backup.pre-hook=" + value, "x=" + value}), exitFail, exitPass},
		{"label keys", labels(map[string]any{"backupbot.backup": "true", "backupbot." + allTouches: "x", "backupbot.backup.volumes." + allTouches: "false", allTouches: "x"}), exitFail, exitPass},
		{"container labels", compose(func(s, _ map[string]any) { s["labels"] = map[string]any{"backupbot." + allTouches: value} }), exitFail, exitPass},
		{"env values", compose(func(s, _ map[string]any) {
			s["environment"] = map[string]any{"A": value, "B": "$$(touch canary)", allTouches: value}
			s["command"] = []any{"sh", "-c", value}
		}), exitPass, exitPass},
		{"image", compose(func(s, _ map[string]any) { s["image"] = value }), exitPass, exitPass},
		{"mount target", compose(func(s, _ map[string]any) {
			s["volumes"] = []any{map[string]any{"type": "volume", "source": "data", "target": "/" + value}}
		}), exitPass, exitPass},
		{"folder of a volume", compose(func(s, _ map[string]any) {
			s["volumes"] = []any{map[string]any{"type": "volume", "source": "data", "target": "/data", "volume": map[string]any{"subpath": "../../" + value}}}
		}), exitUnknown, exitUnknown},
		{"volume name", compose(func(s, doc map[string]any) { doc["volumes"] = map[string]any{allTouches: map[string]any{}} }), exitUnknown, exitUnknown},
		{"volume that is not there", compose(func(s, doc map[string]any) {
			s["volumes"] = []any{map[string]any{"type": "volume", "source": value, "target": "/data"}}
		}), exitUnknown, exitUnknown},
		{"explicit volume name", compose(func(s, doc map[string]any) { doc["volumes"] = map[string]any{"data": map[string]any{"name": value}} }), exitPass, exitPass},
		{"service name", compose(func(_, doc map[string]any) {
			doc["services"] = map[string]any{allTouches: map[string]any{"image": "x"}}
		}), exitUnknown, exitUnknown},
		{"unknown key", compose(func(s, _ map[string]any) { s[allTouches] = value }), exitUnknown, exitUnknown},
		{"reference that is none", compose(func(s, _ map[string]any) { s["image"] = allTouches }), exitUnknown, exitUnknown},
		{"message of a reference", compose(func(s, _ map[string]any) {
			s["image"] = "${X:?" + strings.NewReplacer("$", "", "-", "").Replace(allTouches) + "}"
		}), exitUnknown, exitUnknown},
		{"name of a variable", compose(func(s, _ map[string]any) { s["image"] = "${A?" + strings.ReplaceAll(allTouches, "$", "") + ":-x}" }), exitPass, exitPass},
		{"env_file", compose(func(s, _ map[string]any) { s["env_file"] = value }), exitUnknown, exitUnknown},
		{"config file", compose(func(s, doc map[string]any) {
			s["configs"] = []any{"c"}
			doc["configs"] = map[string]any{"c": map[string]any{"file": value}}
		}), exitPass, exitPass},
		{"comments", map[string]string{"compose.yml": "# $(touch canary) \u202e <script> ]]> `touch canary`\n" + hostileCompose(t, nil) + "# \u2066; touch canary\n"}, exitPass, exitPass},
		{"raw control characters", map[string]string{"compose.yml": hostileCompose(t, nil) + "# " + allTouches}, exitUnknown, exitUnknown},
		{"env sample, quoted", map[string]string{".env.sample": "TYPE=notes\nDOMAIN=notes.example.com\nA=\"" + quoted + "\"\nB='$(touch canary)'\nC=`touch canary`\n# " + quoted + "\n#D=\"" + quoted + "\"\n",
			"compose.yml": hostileCompose(t, func(s, _ map[string]any) {
				s["deploy"] = map[string]any{"labels": []any{"backupbot.backup=true", "backupbot.backup.pre-hook=${A}${B}${C}", "backupbot.${A}"}}
			})}, exitFail, exitPass},
		{"env sample, a line that is none", map[string]string{".env.sample": "TYPE=notes\n$(touch canary) \x1b[2J\u202e\r <script> ]]>"}, exitUnknown, exitUnknown},
		{"env sample, TYPE", map[string]string{".env.sample": "TYPE=\"" + quoted + "\"\n"}, exitPass, exitPass},
		{"env sample, DOMAIN", map[string]string{".env.sample": "DOMAIN=\"" + quoted + "\"\n", "compose.yml": hostileCompose(t, func(s, _ map[string]any) {
			s["deploy"] = map[string]any{"labels": []any{"backupbot.backup=true", "x=${DOMAIN}", "y=${STACK_NAME}"}}
		})}, exitPass, exitPass},
		{"env sample, COMPOSE_FILE", map[string]string{".env.sample": "COMPOSE_FILE=\"compose.yml:" + quoted + "\"\n"}, exitUnknown, exitUnknown},
		{"abra.sh", map[string]string{"abra.sh": "touch canary\nexport A=$(touch canary)\nexport B=`touch canary`\nexport C='" + strings.ReplaceAll(allTouches, "'", "") + "'\n"}, exitPass, exitPass},
		{"abra.sh that is no shell", map[string]string{"abra.sh": "export A=$(touch canary\x1b[2J\u202e\n"}, exitUnknown, exitUnknown},
		{"file names", map[string]string{"compose.$(touch canary)]]>.yml": hostileCompose(t, nil), "compose.`touch canary`;.yml": "x"}, exitPass, exitPass},
		{"file name that steers", map[string]string{"compose.\u202e.yml": "x"}, exitPass, exitUnknown},
		{"suite", map[string]string{"ccci/suite.toml": "recipe = \"notes\"\n[[exclude]]\nvolume = \"data\"\nreason = " + tomlString(allTouches) + "\n"}, exitPass, exitPass},
		{"suite of another recipe", map[string]string{"ccci/suite.toml": "recipe = " + tomlString(allTouches) + "\n"}, exitUnknown, exitPass},
		{"suite with an unknown key", map[string]string{"ccci/suite.toml": "recipe = \"notes\"\n" + tomlString(allTouches) + " = 1\n"}, exitUnknown, exitPass},
		{"suite that is no TOML", map[string]string{"ccci/suite.toml": "recipe = \"" + allTouches}, exitUnknown, exitPass},
	}
}

// tomlString writes a basic string: JSON's escapes are TOML's, but for DEL.
func tomlString(s string) string {
	text, _ := json.Marshal(s) // a string
	return strings.ReplaceAll(string(text), "\x7f", `\u007f`)
}

// Whatever a recipe holds, nothing of it is executed or becomes a path, no
// character of it steers a terminal, no line of it passes for one of the
// tool's, and JSON stays JSON.
func TestHostileRecipes(t *testing.T) {
	t.Parallel()
	for _, tt := range hostileRecipes(t) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.env = append(b.env, "DOCKER_HOST=unix:///nowhere/docker.sock")
			files := fstest.MapFS{}
			for name, text := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			// The base is harmless; the head, its branch and its release are not.
			plain := fstest.MapFS{"compose.yml": {Data: []byte(hostileCompose(t, nil))}, ".env.sample": {Data: []byte("TYPE=notes\nDOMAIN=notes.example.com\n")}}
			err := history.Build(filepath.Join(b.abra, "recipes", "notes"), []history.Commit{
				{Branch: "main", Subject: "plain", Version: "1.0.0+1", Tagged: true, Files: plain},
				{Branch: "b;touch${IFS}canary;`touch${IFS}canary`$(touch${IFS}canary)", Subject: allTouches, Version: "1.1.0+`touch${IFS}canary`$(touch${IFS}canary);<script>]]>", Tagged: true, Files: files},
			})
			if err != nil {
				t.Fatal(err)
			}
			before := b.tree()
			b.harmless(tt.labels, "labels", "notes")
			b.harmless(-1, "labels", "notes", "--diff", "1.0.0+1..")
			b.harmless(-1, "labels", "notes", "--diff", "1.0.0+1..", "--json")
			if d := cmp.Diff(before, b.tree()); d != "" {
				t.Errorf("labels wrote:\n%s", d)
			}
			b.harmless(tt.init, "init", "notes", "--out", "suite")
			b.harmless(exitUnknown, "test", "notes")
		})
	}
}

// Nor is what somebody pastes into a command line: a name, a ref, a run.
func TestHostileArguments(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	b.env = append(b.env, "DOCKER_HOST=unix:///nowhere/docker.sock")
	refs := filepath.Join(b.abra, "recipes", "notes", ".git", "packed-refs")
	head, err := os.ReadFile(filepath.Join(b.abra, "recipes", "notes", ".git", "refs", "heads", "main"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(refs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	// git would not make such refs; a repository may hold them all the same.
	for _, s := range touches {
		if !strings.ContainsAny(s, "\r\n") {
			fmt.Fprintf(f, "%s refs/heads/%s\n%s refs/tags/%s\n", strings.TrimSpace(string(head)), s, strings.TrimSpace(string(head)), s)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b.harmless(-1, "labels", "notes", "--diff", "main..")
	before := b.tree()
	for _, s := range touches {
		b.harmless(exitUnknown, "labels", "--", s)
		b.harmless(-1, "labels", "notes", "--diff", s+".."+s)
	}
	b.harmless(exitUnknown, "labels", "--", "./"+allTouches)
	b.harmless(exitUnknown, "labels", "notes", "--suite", allTouches)
	b.harmless(exitUsage, "test", "notes", "--run-id", allTouches)
	b.harmless(exitUsage, "test", "notes", "--rungs", allTouches)
	b.harmless(exitUsage, "test", "notes", "--engine", allTouches)
	b.harmless(exitUsage, allTouches)
	if d := cmp.Diff(before, b.tree()); d != "" {
		t.Errorf("written:\n%s", d)
	}
}

// harmless runs the tool and holds what must be true of any run; an exit
// status of -1 is any that is not a crash.
func (b *bench) harmless(want int, args ...string) {
	b.t.Helper()
	code, stdout, stderr := b.run(args...)
	if want >= 0 && code != want || code < 0 || code > exitFail || strings.Contains(stderr, "goroutine ") {
		b.t.Errorf("%q: exit %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	for _, text := range []string{stdout, stderr} {
		if bad := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); bad >= 0 || !utf8.ValidString(text) {
			b.t.Errorf("%q prints %.20q at %d of\n%q", args, text[max(bad, 0):], bad, text)
		}
		for line := range strings.SplitSeq(text, "\n") {
			if strings.HasPrefix(line, "forged") || strings.HasPrefix(line, "abra-ccci: hint: forged") {
				b.t.Errorf("%q prints a line that is not the tool's:\n%s", args, text)
				break
			}
		}
	}
	if slices.Contains(args, "--json") && (code == exitPass || code == exitFail) {
		var r labelsReport
		if err := json.Unmarshal([]byte(stdout), &r); err != nil || r.Recipe != "notes" {
			b.t.Errorf("%q prints no JSON: %v\n%s", args, err, stdout)
		}
	}
	for name := range b.tree() {
		if filepath.Base(name) == "canary" {
			b.t.Errorf("%q made %s", args, name)
		}
	}
}

// tree is all that lies in the bench, by name, with the contents of files.
func (b *bench) tree() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, b.dir)
		all[name] = d.Type().String()
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			all[name] += string(data)
			return err
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// An error of several lines, as git, docker and others make them, is printed as
// one: the lines after the first are indented, a hint is on a line of its own.
func TestErrorOfSeveralLines(t *testing.T) {
	var out strings.Builder
	e := &env{stderr: &out}
	err := &hinted{errors.Join(errors.New("first\nabra-ccci: hint: forged\r\nforged\rforged\x1b[2J"), fmt.Errorf("second: %w", errors.New("\u202e\u2028\n\nabra-ccci: error: forged"))), "type\nabra-ccci: error: forged\x1b[2J"}
	if code := report(t.Context(), e, err); code != exitUnknown {
		t.Errorf("exit %d", code)
	}
	want := `abra-ccci: error: first
  abra-ccci: hint: forged
  forged\rforged\x1b[2J
  second: \u202e\u2028
  
  abra-ccci: error: forged
abra-ccci: hint: type\nabra-ccci: error: forged\x1b[2J
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("printed (-want +got):\n%s", d)
	}
}

// What a person reads at the end: every line is the tool's, and the one about
// secrets says where one was, in one line.
func TestHostileResultsArePrinted(t *testing.T) {
	data, err := os.ReadFile("../../runner/testdata/results/full.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.ReadResults(data)
	if err != nil {
		t.Fatal(err)
	}
	lines := func() []string {
		var out strings.Builder
		printResults(&out, r, "/runs/"+r.Recipe)
		return strings.Split(out.String(), "\n")
	}
	leak := runner.Test{Name: "no_secret_leak", Status: runner.Fail, Reason: "a generated secret was seen: db (plain) in the log of x"}
	r.Stages = append(r.Stages, runner.Stage{Name: "teardown", Status: runner.Fail, Tests: []runner.Test{leak}})
	plain := lines()
	r.Recipe, r.Version, r.LevelReason, r.Fault.Reason, r.Fault.Hint = allTouches, allTouches, allTouches, allTouches, allTouches
	for i := range r.Stages {
		for j := range r.Stages[i].Tests {
			if test := &r.Stages[i].Tests[j]; test.Reason != "" {
				test.Reason += allTouches
			}
		}
	}
	for i := range r.Coverage {
		c := &r.Coverage[i]
		c.Service, c.Mount, c.Path, c.Probes = allTouches, "/"+allTouches, allTouches, []string{allTouches}
	}
	got := lines()
	if len(got) < len(plain) || len(got) > len(plain)+1 { // a test that is the fault itself is told once
		t.Errorf("%d lines of %d", len(got), len(plain))
	}
	told := false
	for _, line := range got {
		told = told || line == "  fail  no_secret_leak: "+runner.Printable(leak.Reason+allTouches)
		if runner.Printable(line) != line || strings.HasPrefix(line, "forged") {
			t.Errorf("printed: %q", line)
		}
	}
	if !told {
		t.Errorf("nothing of the leak in\n%s", strings.Join(got, "\n"))
	}
}
