package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commit changes a file of a recipe's clone and commits it.
func (b *bench) commit(recipe, file, old, new string) {
	b.t.Helper()
	dir := filepath.Join(b.abra, "recipes", recipe)
	path := filepath.Join(dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		b.t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, new)), 0o644); err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command("git", "-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "change")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %s", err, out)
	}
}

// Bad input is told with where it is and what to type next, before anything
// is deployed, and leaves nothing behind.
func TestBadInput(t *testing.T) {
	t.Parallel()
	type change func(b *bench)
	recipeFile := func(file, old, new string) change { return func(b *bench) { b.commit("notes", file, old, new) } }
	suite := func(old, new string) change { return func(b *bench) { b.edit("notes", old, new) } }
	tests := []struct {
		name   string
		change change
		args   []string
		code   int
		stderr []string
	}{
		{"unknown recipe", nil, []string{"test", "note"}, exitUnknown, []string{`"note"`, "notes", "hint: "}},
		{"not a recipe", nil, []string{"test", "./empty"}, exitUnknown, []string{"empty", "hint: "}},
		{"unknown ref", nil, []string{"test", "notes", "--ref", "nowhere"}, exitUnknown, []string{`"nowhere"`}},
		{"unknown flag", nil, []string{"test", "notes", "--colour"}, exitUsage, []string{"--colour"}},
		{"unknown command", nil, []string{"climb"}, exitUsage, []string{`"climb"`}},
		{"no recipe", nil, []string{"test"}, exitUsage, []string{"accepts 1 arg"}},
		{"unknown rung", nil, []string{"test", "notes", "--rungs", "instal"}, exitUsage, []string{`no rung "instal"`}},
		{"unknown engine", nil, []string{"test", "notes", "--engine", "podman"}, exitUsage, []string{`"podman"`}},
		{"review of nothing", nil, []string{"review"}, exitUsage, []string{"which pull request?", "hint: "}},
		{"review on fewer than no apps", nil, []string{"review", "--pr", "1", "--apps", "-1"}, exitUsage, []string{"--apps"}},
		{"review with no cores", nil, []string{"review", "--pr", "1", "--cpus", "-1"}, exitUsage, []string{"--cpus"}},
		{"review with too little memory", nil, []string{"review", "--pr", "1", "--memory", "5m"}, exitUsage, []string{`--memory: "5m"`}},
		{"run id that is a path", nil, []string{"test", "notes", "--run-id", "../x"}, exitUsage, []string{`"../x"`}},
		{"run id that is too long", nil, []string{"test", "notes", "--run-id", strings.Repeat("r", 64)}, exitUsage, []string{"--run-id", "63 at most"}},
		{"compose that does not parse", recipeFile("compose.yml", "services:\n", "services: [\n"), []string{"test", "notes"}, exitUnknown, []string{"compose.yml:"}},
		{"compose with an unknown key", recipeFile("compose.yml", "    image:", "    imagine:"), []string{"test", "notes"}, exitUnknown, []string{"imagine"}},
		{"variable that empties an image", recipeFile("compose.yml", "image: ccci/notes:1.1.0", "image: ${NOTES_IMAGE}"), []string{"test", "notes"}, exitUnknown, []string{"NOTES_IMAGE", "image"}},
		{"variable that empties a backup label", recipeFile("compose.yml", "${ENABLE_BACKUPS:-true}", "${ENABLE_BACKUPZ}"), []string{"test", "notes"}, exitUnknown, []string{"ENABLE_BACKUPZ"}},
		{"host bind", recipeFile("compose.yml", "- data:/data", "- /srv/data:/data"), []string{"test", "notes"}, exitUnknown, []string{"/srv/data", "hint: ", "--allow"}},
		{"privileged", recipeFile("compose.yml", "    networks:\n      - proxy\n    secrets", "    privileged: true\n    networks:\n      - proxy\n    secrets"), []string{"test", "notes"}, exitUnknown, []string{"privileged", "--allow"}},
		{"docker socket", recipeFile("compose.yml", "- data:/data", "- data:/data\n      - /var/run/docker.sock:/var/run/docker.sock"), []string{"test", "notes"}, exitUnknown, []string{"docker.sock", "--allow"}},
		{"unknown suite key", suite("timeout =", "timeuot ="), []string{"test", "notes"}, exitUnknown, []string{"suite.toml:5", `"timeuot"`, `hint: the nearest known key is "timeout"`}},
		{"suite names a service that is not there", suite(`service = "app", run = ["/notes", "rm"`, `service = "web", run = ["/notes", "rm"`), []string{"test", "notes"}, exitUnknown, []string{`no service "web"`, "hint: services are: app"}},
		{"suite covers a path that is not there", suite("app:/data", "app:/srv"), []string{"test", "notes"}, exitUnknown, []string{"app:/srv", "hint: "}},
		{"suite excludes a volume that is not there", suite("[deploy]", "[[exclude]]\nvolume = \"cache\"\nreason = \"r\"\n[deploy]"), []string{"test", "notes"}, exitUnknown, []string{`"cache"`, "hint: volumes are: data"}},
		{"suite of another recipe", suite(`recipe = "notes"`, `recipe = "mailu"`), []string{"test", "notes"}, exitUnknown, []string{`"mailu"`, "hint: "}},
		{"no suite in the folder", nil, []string{"test", "notes", "--suite", "empty"}, exitUnknown, []string{"empty", "hint: write one"}},
		{"no engine", func(b *bench) { b.env = append(b.env, "DOCKER_HOST=unix:///nowhere/docker.sock") }, []string{"test", "notes"}, exitUnknown, []string{"/nowhere/docker.sock", "hint: "}},
		{"no restic", func(b *bench) { b.env = append(b.env, "CCCI_RESTIC=/nowhere/restic", "PATH=/nowhere") }, []string{"test", "notes"}, exitUnknown, []string{"restic", "hint: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "notes")
			if err := os.Mkdir(filepath.Join(b.dir, "empty"), 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(b)
			}
			code, stdout, stderr := b.run(tt.args...)
			if code != tt.code || stdout != "" {
				t.Errorf("exit %d, want %d; stdout %q", code, tt.code, stdout)
			}
			for _, want := range tt.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr lacks %q:\n%s", want, stderr)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(b.dir, "state", "abra-ccci", "*", "*")); len(left) > 0 {
				t.Errorf("left in the state folder: %v", left)
			}
		})
	}
}

// An image that is not to be had is the machine's fault: unver, said first.
func TestImageNotToBeHad(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	b.commit("notes", "compose.yml", "ccci/notes:1.1.0", "localhost:1/ccci/nowhere:1.1.0")
	r, code := b.climb("notes", "--rungs", "install,functional")
	wantStatus(t, r, "install_deploys_head", "unver", "localhost:1/ccci/nowhere:1.1.0")
	if code != exitUnknown || r.Level != 0 {
		t.Errorf("exit %d, level %d", code, r.Level)
	}
}

// init writes a suite that parses, binds, and proves nothing until it is
// filled in; it overwrites none.
func TestInitThenTest(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	if code, stdout, stderr := b.run("init", "notes"); code != exitUnknown || !strings.Contains(stderr, "is there already") {
		t.Errorf("init over a suite: exit %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr := b.run("init", "notes", "--out", "mine")
	if code != exitPass || stdout != filepath.Join("mine", "suite.toml")+"\n" {
		t.Fatalf("init: exit %d, %q, %q", code, stdout, stderr)
	}
	r, code := b.climb("notes", "--suite", "mine", "--rungs", "backup_restore")
	wantStatus(t, r, "backup_seeds_data", "unver", "could not seed")
	if code != exitUnknown || r.Rungs["backup_restore"] != "unver" {
		t.Errorf("exit %d, rungs %v", code, r.Rungs)
	}
}
