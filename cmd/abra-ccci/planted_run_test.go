package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"coopcloud.tech/abra-ccci/runner"
)

// What only a run can find is found by the review's own, and named.
func TestPlantedDefectsThatRun(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		name, recipe string
		oldnew       []string // text of compose.yml, old and new by turns
		args         []string
		red          string // the test of the cold run that tells
		why          string
	}{
		{"a stale dump is restored", "forum",
			[]string{`pre-hook: "/pg_backup.sh backup"`, `pre-hook: "test -s /var/lib/postgresql/backup.sql || /pg_backup.sh backup"`},
			[]string{"--accept-exclude", "postgres:data"},
			"backup_captures_db_var_lib_postgresql_backup_sql", "the pre-hook did not write it"},
		{"an upgrade that does not move", "custom-html",
			[]string{"    image: ccci/nginx:1.22.1\n", "    image: ccci/nginx:1.22.1\n    command: [sh, -c, \"cd /usr/share/nginx/html; test -e .head || { ls -d p* && exit 1; touch .head; }; exec nginx -g 'daemon off;'\"]\n"},
			[]string{"--accept-exclude", "logs"},
			"upgrade_moves_to_head", "rolled back"},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			h := newHearing(t, p.recipe)
			h.branch("planted", "compose.yml", p.oldnew...)
			h.open("planted")
			code, stdout, stderr := h.review(append(p.args, "--suite", filepath.Join(h.abra, "ccci", "suites", p.recipe))...)
			if code != exitFail || !strings.Contains(stdout, "M1 FAIL") || !opened(stdout, "cold_run: ") || !strings.Contains(stdout, p.red) {
				t.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
			wantStatus(t, h.runs()[0], p.red, runner.Fail, p.why)
		})
	}
}

// A pull request whose suite asks less than the one before, promises more, and has a
// check that is flaky; and with the name of the stack in a hook.
//
// What the suite before would have noticed is told: its probes are seeded and asked in
// the same apps. The flaky check misses what is there, the first time that it is asked
// while there are pages and no downloads, as when a sabotage took those: no kill.
// The second app, whose hooks are others, is not used.
func TestPlantedSuite(t *testing.T) {
	t.Parallel()
	h := newHearing(t, "custom-html")
	h.openWithLabel("backupbot.restore.pre-hook=test -n ${STACK_NAME}")
	const (
		download = `http = "http://localhost/downloads/${TOKEN}.txt", equals = "kept ${TOKEN}", gone_status = [404]`
		page     = `http = "http://localhost/p${TOKEN}/", contains = "kept ${TOKEN}", gone_status = [404]`
		flaky    = `sh = "cd /usr/share/nginx; test -e html/p${TOKEN}/index.html || exit 4; test -e html/p*/index.html || grep -qs kept downloads/*.txt || test -e /tmp/asked || { touch /tmp/asked; exit 4; }; cat html/p${TOKEN}/index.html", contains = "kept ${TOKEN}", gone_exit = [4]`
		covers   = `["app:/usr/share/nginx/downloads"]`
	)
	before := h.suiteDir("before", nil)
	now := h.suiteDir("now", []string{
		download, strings.Replace(download, ` equals = "kept ${TOKEN}",`, "", 1),
		page, flaky,
		covers, `["app:/usr/share/nginx/downloads", "app:/usr/share/nginx/html"]`,
	})
	code, stdout, stderr := h.review("--suite", now, "--base-suite", before, "--accept-exclude", "logs", "--apps", "2")
	for line, words := range map[string]string{
		"What is missing:** an assertion on the content": "the suite before notices: missed by download",
		"drop_path app:/usr/share/nginx/downloads (":     "killed, missed by download [download miss, page error]",
		"drop_path app:/usr/share/nginx/html (":          "killed, missed by page [download green, page miss]",
		"app 2 was not used":                             "its backup plan is another one",
		"mutants_killed: files of ":                      "app:/usr/share/nginx/downloads that come back empty go unnoticed",
		"covers_true: probe download covers ":            "app:/usr/share/nginx/html, and is green without it",
		"✔ cold_run":                                     "level 5",
	} {
		if got := lineWith(stdout, line); !strings.Contains(got, words) {
			t.Errorf("%s: %q", line, got)
		}
	}
	if code != exitFail || strings.Contains(stdout, " of the suite before is not asked") || strings.Contains(stdout, " of the suite before, after") || t.Failed() {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// A pull request that no longer saves a volume, and whose suite no longer asks for it:
// the suite before does, and its data does not come back though nothing was sabotaged.
func TestSuiteBeforeMissesWhatIsNoLongerSaved(t *testing.T) {
	t.Parallel()
	h := newHearing(t, "custom-html")
	h.openWithLabel("backupbot.backup.volumes.downloads=false")
	before, now := h.suiteDir("before", nil), h.suiteDir("now", []string{
		"name   = \"download\"\ncovers = [\"app:/usr/share/nginx/downloads\"]\n", "name   = \"page 2\"\ncovers = [\"app:/usr/share/nginx/html\"]\n",
		"/usr/share/nginx/downloads/${TOKEN}.txt", "/usr/share/nginx/html/${TOKEN}.txt",
		"http://localhost/downloads/${TOKEN}.txt", "http://localhost/${TOKEN}.txt",
		"[[exclude]]\n", "[[exclude]]\nvolume = \"downloads\"\nreason = \"they are elsewhere, too\"\n\n[[exclude]]\n",
	})
	code, stdout, stderr := h.review("--suite", now, "--base-suite", before, "--accept-exclude", "logs", "--accept-exclude", "downloads")
	if code != exitFail || !opened(stdout, "mutants_killed: what probe download of the suite before seeds does not come back") ||
		!strings.Contains(lineWith(stdout, "✔ cold_run"), "level 5") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// openWithLabel opens a pull request that adds a label to the app's.
func (h *hearing) openWithLabel(label string) {
	h.t.Helper()
	const first = `        - "backupbot.backup=${ENABLE_BACKUPS:-true}"` + "\n"
	h.branch("planted", "compose.yml", first, first+fmt.Sprintf("        - %q\n", label))
	h.open("planted")
}

// lineWith is the first line that has words.
func lineWith(text, words string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// The builder's record is true, of this head, and of another image: its tag has
// been moved since. Nothing else is wrong.
func TestAnotherImageUnderTheSameTag(t *testing.T) {
	t.Parallel()
	c := engine(t)
	const tag = "ccci/notes:moved"
	h := newHearing(t, "notes")
	move := func(to string) {
		if err := c.ImageTag(t.Context(), to, tag); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := c.ImageRemove(context.Background(), tag, image.RemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	move("ccci/notes:1.1.0")
	h.branch("planted", "compose.yml", "ccci/notes:1.1.0", tag, "1.1.0+1.1.0", "1.1.1+1.1.0")
	h.open("planted")
	suite := filepath.Join(h.abra, "ccci", "suites", "notes")
	builder := filepath.Join(h.bench.dir, "builder")
	h.must("test", "notes", "--ref", "planted", "--suite", suite, "--runs-dir", builder, "--run-id", "r1")

	made, err := c.ContainerCreate(t.Context(), &container.Config{Image: tag}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.ContainerCommit(t.Context(), made.ID, container.CommitOptions{Comment: "the same to look at"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	move(other.ID)
	code, stdout, stderr := h.review("--suite", suite, "--results", filepath.Join(builder, "r1", "results.json"))
	if code != exitFail || !strings.Contains(stdout, "M1 FAIL") || !opened(stdout, "reproduced: ") || !strings.Contains(stdout, "other images under the same names") ||
		!strings.Contains(lineWith(stdout, "✔ cold_run"), "level 5") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}
