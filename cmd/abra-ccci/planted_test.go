package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// A plant is a pull request that hides something which can be read: nothing has
// to run to find it.
type plant struct {
	name, recipe, branch string // branch: what the pull request is made of; main if empty
	file                 string
	oldnew               []string          // text of file, old and new by turns
	add                  map[string]string // files that come with it
	gone                 bool              // one commit adds them, and another takes them away
	suite                []string          // text of the suite, likewise; the one before is the base's
	phase                string
	record               func(*runner.Results) // changes the builder's record, which is true otherwise
	byHand               []string              // text of results.json, old and new by turns
	want                 string                // title of the finding
}

var plants = []plant{
	{name: "the label on the wrong service", recipe: "mailu", branch: "add-backupbot-labels", file: "compose.yml",
		oldnew: []string{"        backupbot.backup.path: \"/mail\"\n", "        backupbot.backup.path: \"/data\"\n"},
		want:   "volume mail"},
	{name: "a volume newly excluded", recipe: "forum", file: "compose.yml",
		oldnew: []string{`- "backupbot.backup.volumes.postgres.path=backup.sql"`, "- \"backupbot.backup.volumes.postgres.path=backup.sql\"\n        - \"backupbot.backup.volumes.uploads=false\""},
		want:   "volume uploads"},
	{name: "backups switched off in the sample", recipe: "notes", file: ".env.sample",
		oldnew: []string{"ENABLE_BACKUPS=true", "ENABLE_BACKUPS=false"},
		want:   "volume data"},
	{name: "labels in an overlay that nothing loads", recipe: "notes", file: "compose.yml",
		oldnew: []string{"        - \"backupbot.backup=${ENABLE_BACKUPS:-true}\"\n", ""},
		add:    map[string]string{"compose.backup.yml": "version: \"3.8\"\nservices:\n  app:\n    deploy:\n      labels:\n        - \"backupbot.backup=true\"\n"},
		want:   "labels in compose.backup.yml, which nothing loads"},
	{name: "a dump outside every volume", recipe: "forum", file: "compose.yml",
		oldnew: []string{"volumes.postgres.path=backup.sql", "volumes.postgres.path=../backup.sql"},
		want:   "backupbot.backup.volumes.postgres.path"},
	{name: "a hook that hides its error in a pipe", recipe: "forum", file: "compose.yml",
		oldnew: []string{`pre-hook: "/pg_backup.sh backup"`, `pre-hook: "pg_dump -U forum forum | cat > /var/lib/postgresql/backup.sql"`},
		want:   "db backupbot.backup.pre-hook"},
	{name: "a hook that goes on after its error", recipe: "forum", file: "compose.yml",
		oldnew: []string{`pre-hook: "/pg_backup.sh backup"`, `pre-hook: "pg_dump -U forum -f /var/lib/postgresql/backup.sql forum; true"`},
		want:   "db backupbot.backup.pre-hook"},
	{name: "labels deleted", recipe: "notes", file: "compose.yml",
		oldnew: []string{"        - \"backupbot.backup=${ENABLE_BACKUPS:-true}\"\n", ""},
		want:   "volume data"},
	{name: "labels deleted and the base switched off by the suite", recipe: "notes", file: "compose.yml",
		oldnew: []string{"        - \"backupbot.backup=${ENABLE_BACKUPS:-true}\"\n", ""},
		suite:  []string{"timeout = \"1m\"\n", "timeout = \"1m\"\nenv = { ENABLE_BACKUPS = \"false\" }\n"},
		want:   "labels_no_error: volume data"},
	{name: "the version not bumped", recipe: "notes", file: "compose.yml",
		oldnew: []string{"interval: 2s", "interval: 3s"},
		phase:  "phase = \"notes\"\n[[claim]]\nname = \"M1\"\nchecks = [\"version_bumped\"]\n",
		want:   "the version label did not go up"},
	{name: "a secret in the diff", recipe: "notes", file: "compose.yml",
		oldnew: []string{"    secrets:\n      - write_token\n", "    environment:\n      ADMIN_PASSWORD: \"vK3nq8Zp4wTx7LbR\"\n    secrets:\n      - write_token\n"},
		want:   "ADMIN"},
	{name: "a secret that a commit adds and another takes away", recipe: "notes", file: "compose.yml",
		oldnew: []string{"1.1.0+1.1.0", "1.1.1+1.1.0"},
		add:    map[string]string{"deploy.env": "ADMIN_PASSWORD=vK3nq8Zp4wTx7LbR\n"}, gone: true,
		want: "deploy.env holds a value for"},
	{name: "a host bind", recipe: "notes", file: "compose.yml",
		oldnew: []string{"      - data:/data\n", "      - data:/data\n      - /etc:/host\n"},
		want:   "nothing_dangerous"},
	{name: "contains became an exit status", recipe: "notes", file: "compose.yml",
		oldnew: []string{"1.1.0+1.1.0", "1.1.1+1.1.0"},
		suite:  []string{`run = ["/notes", "get", "n${TOKEN}"], equals = "kept ${TOKEN}"`, `run = ["/notes", "get", "n${TOKEN}"]`},
		want:   "suite_not_weakened"},
	{name: "evidence of another head", recipe: "notes", file: "compose.yml",
		oldnew: []string{"1.1.0+1.1.0", "1.1.1+1.1.0"},
		record: func(r *runner.Results) { r.Head = strings.Repeat("a", 40) },
		want:   "evidence: evidence of another head"},
	{name: "evidence of another recipe", recipe: "notes", file: "compose.yml",
		oldnew: []string{"1.1.0+1.1.0", "1.1.1+1.1.0"},
		record: func(r *runner.Results) { r.Recipe = "wiki" },
		want:   "evidence: evidence of another recipe"},
	{name: "a results.json edited by hand", recipe: "notes", file: "compose.yml",
		oldnew: []string{"1.1.0+1.1.0", "1.1.1+1.1.0"},
		record: failed,
		byHand: []string{`"level": 2`, `"level": 5`},
		want:   "evidence: the builder's results.json is refused"},
	{name: "a rung edited by hand", recipe: "notes", file: "compose.yml",
		oldnew: []string{"1.1.0+1.1.0", "1.1.1+1.1.0"},
		record: failed,
		byHand: []string{`"backup_restore": "fail"`, `"backup_restore": "pass"`},
		want:   "evidence: the builder's results.json is refused"},
	{name: "a probe deleted together with the labels", recipe: "forum", file: "compose.yml",
		oldnew: []string{`- "backupbot.backup.volumes.postgres.path=backup.sql"`, "- \"backupbot.backup.volumes.postgres.path=backup.sql\"\n        - \"backupbot.backup.volumes.uploads=false\""},
		suite:  []string{"[[probe]]\nname   = \"upload\"\n", "[[exclude]]\nvolume = \"uploads\"\nreason = \"nobody misses them\"\n\n[[probe]]\nname   = \"upload2\"\n"},
		want:   "suite_not_weakened: "},
}

// What can be read is found without an engine, on a real pull request, and
// nothing is ever passed unrun.
func TestPlantedDefects(t *testing.T) {
	t.Parallel()
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			h := newHearing(t, p.recipe)
			if p.branch != "" {
				h.git("checkout", "-q", p.branch)
			}
			h.branch("planted", p.file, p.oldnew...)
			for name, text := range p.add {
				if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				h.git("add", name)
				h.git("commit", "-qm", "more")
				if p.gone {
					h.git("rm", "-q", name)
					h.git("commit", "-qm", "less")
				}
			}
			h.open("planted")
			before := h.suiteDir("before", nil)
			now := h.suiteDir("now", p.suite)
			if p.phase != "" {
				if err := os.WriteFile(filepath.Join(now, "phase.toml"), []byte(p.phase), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			args := []string{"--quick", "--suite", now, "--base-suite", before}
			if p.record != nil {
				args = append(args, "--results", h.builderRecord(p.record, p.byHand))
			}
			code, stdout, stderr := h.review(args...)
			if code != exitFail || !strings.Contains(stdout, "M1 FAIL") || !opened(stdout, p.want) {
				t.Errorf("exit %d, and no finding %q\n%s%s", code, p.want, stdout, stderr)
			}
		})
	}
	for _, recipe := range []string{"notes", "forum", "custom-html", "mailu"} {
		t.Run("nothing wrong with "+recipe, func(t *testing.T) {
			t.Parallel()
			h := newHearing(t, recipe)
			branch := "add-backupbot-labels"
			if recipe != "mailu" {
				branch = "fine"
				h.branch(branch, "README.md", "# ", "# the ")
			}
			h.open(branch)
			same := h.suiteDir("suite", nil)
			code, stdout, stderr := h.review("--quick", "--suite", same, "--base-suite", same, "--results", h.builderRecord(nil, nil))
			if code != exitUnknown || !strings.Contains(stdout, "✔ evidence") || !strings.Contains(stdout, "M1 INCONCLUSIVE") || strings.Contains(stdout, "ADV-") {
				t.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

// builderRecord writes the record of a whole run at the head in which all went well,
// changed, and then by hand: text of the file, old and new by turns.
func (h *hearing) builderRecord(edit func(*runner.Results), byHand []string) string {
	h.t.Helper()
	r := &runner.Results{Schema: runner.Schema, RunID: "r1", Recipe: h.recipe, Head: h.git("rev-parse", "HEAD"),
		Started: time.Unix(0, 0).UTC(), Finished: time.Unix(60, 0).UTC(), Rungs: map[string]runner.Status{},
		Level: len(runner.Rungs), LevelReason: "all five rungs passed", Flags: runner.Flags{CleanTeardown: runner.Pass, NoSecretLeak: runner.Pass}}
	for _, stage := range []string{"lint", "upgrade", "backup", "restore", "install", "drill", "functional", "teardown"} {
		tests := []runner.Test{{Name: stage + "_works", Status: runner.Pass, MS: 1}}
		if stage == "teardown" {
			tests = []runner.Test{{Name: "clean_teardown", Status: runner.Pass, MS: 1}, {Name: "no_secret_leak", Status: runner.Pass, MS: 1}}
		}
		r.Stages = append(r.Stages, runner.Stage{Name: stage, Status: runner.Pass, Started: r.Started, Tests: tests})
	}
	for _, rung := range runner.Rungs {
		r.Rungs[rung] = runner.Pass
	}
	if edit != nil {
		edit(r)
	}
	var b bytes.Buffer
	if err := r.Encode(&b); err != nil {
		h.t.Fatal(err)
	}
	text := b.String()
	for i := 0; i < len(byHand); i += 2 {
		if !strings.Contains(text, byHand[i]) {
			h.t.Fatalf("the record has no %q:\n%s", byHand[i], text)
		}
		text = strings.ReplaceAll(text, byHand[i], byHand[i+1])
	}
	name := filepath.Join(h.bench.dir, "results.json")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return name
}

// failed is what a run in which the data did not come back says of itself.
func failed(r *runner.Results) {
	for i := range r.Stages {
		if s := &r.Stages[i]; s.Name == runner.StageRestore {
			s.Status, s.Reason = runner.Fail, "restore_works: it is not there"
			s.Tests[0].Status, s.Tests[0].Reason = runner.Fail, "it is not there"
		}
	}
	r.Rungs["backup_restore"], r.Level, r.LevelReason = runner.Fail, 2, "backup_restore: fail"
}

// opened tells whether a finding's heading has words.
func opened(stdout, words string) bool {
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, "ADV-") && strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// suiteDir writes the recipe's suite with text replaced into a folder of its own.
func (h *hearing) suiteDir(name string, oldnew []string) string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.abra, "ccci", "suites", h.recipe, "suite.toml"))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(text), oldnew[i]) {
			h.t.Fatalf("the suite has no %q", oldnew[i])
		}
		text = []byte(strings.ReplaceAll(string(text), oldnew[i], oldnew[i+1]))
	}
	dir := filepath.Join(h.bench.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "suite.toml"), text, 0o644); err != nil {
		h.t.Fatal(err)
	}
	return dir
}
