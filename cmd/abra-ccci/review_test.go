package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"coopcloud.tech/abra-ccci/review/forge/giteatest"
	"coopcloud.tech/abra-ccci/runner"
)

// theForge is a real Gitea that all tests of this package share.
var theForge struct {
	sync.Mutex
	server *giteatest.Server
	repos  map[string]int // how often a name was asked for
}

func closeForge() {
	theForge.Lock()
	defer theForge.Unlock()
	if theForge.server != nil {
		theForge.server.Close()
	}
}

func forgeOf(t testing.TB) *giteatest.Server {
	t.Helper()
	theForge.Lock()
	defer theForge.Unlock()
	if theForge.server == nil {
		server, err := giteatest.Start()
		if err != nil {
			t.Fatal(err)
		}
		theForge.server = server
		server.CreateUser(t, "builder")
		server.CreateUser(t, "adversary")
	}
	return theForge.server
}

// count tells how often a name was asked for, this time included.
func count(name string) int {
	theForge.Lock()
	defer theForge.Unlock()
	if theForge.repos == nil {
		theForge.repos = map[string]int{}
	}
	theForge.repos[name]++
	return theForge.repos[name]
}

// A hearing is a bench with a forge, a ledger, and a recipe under review.
type hearing struct {
	*bench
	forge        *giteatest.Server
	recipe, repo string
	dir          string // the builder's clone
	pr           int
}

// newHearing makes an empty repository on the forge, named after the test, and a
// ledger.
func newHearing(t testing.TB, recipe string) *hearing {
	t.Helper()
	c := &hearing{bench: newBench(t, recipe), forge: forgeOf(t), recipe: recipe}
	c.dir = filepath.Join(c.abra, "recipes", recipe)
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	if n := count(name); n > 1 { // a benchmark runs again
		name = fmt.Sprintf("%s-%d", name, n)
	}
	c.repo = "builder/" + name
	c.env = append(c.env, "GITEA_TOKEN="+c.forge.Token("adversary"))
	c.forge.CreateRepo(t, "builder", name, false)
	c.forge.API(t, "builder", "PUT", "/repos/"+c.repo+"/collaborators/adversary", map[string]string{"permission": "write"}, nil)
	c.must("ledger", "init", "--origin", "ccci.test/"+name, "--adversary", "ada", "--builder", "bob")
	return c
}

// open pushes main and a branch, and opens the pull request.
func (c *hearing) open(branch string) {
	c.t.Helper()
	c.forge.Push(c.t, "builder", c.dir, c.repo, "main", branch, "refs/tags/*:refs/tags/*")
	c.pr = c.forge.OpenPull(c.t, "builder", c.repo, branch, branch, "main")
}

// must runs the tool; anything but success ends the test.
func (c *hearing) must(args ...string) string {
	c.t.Helper()
	code, stdout, stderr := c.run(args...)
	if code != 0 {
		c.t.Fatalf("%q: exit %d\n%s%s", args, code, stdout, stderr)
	}
	return stdout
}

// review reviews the pull request. Other tests run beside this one: where it does not
// ask for a second app, that would only be one more to wait for.
func (c *hearing) review(args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	if _, alone := c.t.(*testing.B); !alone && !everyAct && !slices.Contains(args, "--apps") {
		args = append(args, "--apps", "1")
	}
	return c.run(c.reviewArgs(args...)...)
}

func (c *hearing) reviewArgs(args ...string) []string {
	return append([]string{"review", "--runs-dir", filepath.Join(c.bench.dir, "runs"), "--pr", strconv.Itoa(c.pr), "--repo", c.forge.URL + "/" + c.repo, "--phase", c.recipe}, args...)
}

// The adversary passes a good pull request, and says so in the ledger and on
// the forge. A secret whose value the test knows is in no file of it.
func TestReviewOfNotesPasses(t *testing.T) {
	t.Parallel()
	c := newHearing(t, "notes")
	const secret = "kFq8-known-to-the-test-27xZ"
	c.edit("notes", "[deploy]\n", "[deploy]\nsecrets = { write_token = \""+secret+"\" }\n")
	stdout, r := c.passes("--post")
	told(t, stdout, "\u2714 mutants_killed: mutants: 4 killed")
	wantTop(t, r, map[string]string{"app:/data .": "note"})
	if r.Version != "1.1.1+1.1.0" || r.UpgradeFrom != "1.1.0+1.1.0" {
		t.Errorf("version %q, upgraded from %q", r.Version, r.UpgradeFrom)
	}
	if r.Drill.Bytes == 0 || r.Drill.Seconds == 0 {
		t.Errorf("drill %v", r.Drill)
	}
	noValueIn(t, filepath.Join(c.bench.dir, "runs"), secret)
	noValueIn(t, filepath.Join(c.bench.dir, "state"), secret)
	c.onForge("PASS", "success")
	c.must("ledger", "verify")
	c.must("ledger", "gate", "--repo", c.repo, "--pr", strconv.Itoa(c.pr), "--head", c.git("rev-parse", "HEAD"), "--claim", "M1")
}

// Hooks are sabotaged, too: of a recipe that saves rows as a dump and uploads as
// files. The dump has no effect before its hook ran, so that it is measured on an
// app that has everything else. Uploads are bound to a secret here, as if signed
// with it; the password of the database is nothing that a restore needs.
func TestReviewOfForumPasses(t *testing.T) {
	t.Parallel()
	c := newHearing(t, "forum")
	c.edit("forum", `"${TOKEN}.txt"], stdin = "kept ${TOKEN}"`, `"${TOKEN}.txt"], stdin = "kept ${TOKEN} ${SECRET:secret_key}"`)
	c.edit("forum", `equals = "kept ${TOKEN}"`, `equals = "kept ${TOKEN} ${SECRET:secret_key}"`)
	stdout, r := c.passes("--accept-exclude", "postgres:data", "--apps", "2")
	told(t, stdout, "placebo first, app 2: all green", "pre_hook_stale db backup.pre-hook", "pre_hook_skipped db backup.pre-hook", "post_hook_skipped db restore.post-hook", " 0 survived, ",
		"new_secrets (other values for db_password, secret_key): detected, needs one of the secrets db_password, secret_key: upload went red",
		"new_secrets db_password (other values for db_password): equivalent", "new_secrets secret_key (other values for secret_key): detected, needs secret secret_key: upload went red")
	wantTop(t, r, map[string]string{"db:/var/lib/postgresql backup.sql": "topic", "app:/uploads .": "upload"})
	wantStatus(t, r, "upgrade_keeps_topic", runner.Pass, "")
	wantStatus(t, r, "drill_without_db_var_lib_postgresql_backup_sql", runner.Pass, "")
	wantStatus(t, r, "drill_proves_db_var_lib_postgresql_backup_sql", runner.Pass, "depended on by topic")
}

// Labels in list form, in an overlay that .env.sample switches on: one volume
// saved by default, one that a label leaves out. The suite is of a repository of its
// own, where the one before left it out, too: nobody has to accept that again.
func TestReviewOfCustomHTMLPasses(t *testing.T) {
	t.Parallel()
	c := newHearing(t, "custom-html")
	text, err := os.ReadFile(filepath.Join(c.abra, "ccci", "suites", "custom-html", "suite.toml"))
	if err != nil {
		t.Fatal(err)
	}
	c.bump()
	suites := newSuiteRepo(c)
	before := suites.commit("custom-html/suite.toml", string(text))
	now := suites.commit("custom-html/suite.toml", string(text)+"# as before\n")
	suites.push("main")
	suites.claim(now, before)
	if err := os.RemoveAll(filepath.Join(c.abra, "ccci", "suites")); err != nil {
		t.Fatal(err)
	}
	stdout, r := c.passed("--suite-repo", suites.name)
	told(t, stdout, " 0 survived, ", "label_removed app backupbot.backup", "\u2714 suite_of_claim", "\u2714 suite_not_weakened")
	wantTop(t, r, map[string]string{"app:/usr/share/nginx/html .": "page", "app:/usr/share/nginx/downloads .": "download"})
	for _, v := range r.Coverage {
		if v.Volume == "logs" && (v.Saved || v.Label != "app backupbot.backup.volumes.logs=false" || !strings.Contains(v.Reason, "for counting")) {
			t.Errorf("logs: %+v", v)
		}
	}
	wantStatus(t, r, "volume_complete_logs", runner.Pass, "excluded by the suite")
}

// passes bumps the recipe's version, opens that as a pull request, and has it
// reviewed: PASS, no finding. It returns what was printed, and the cold run.
func (c *hearing) passes(args ...string) (string, *runner.Results) {
	c.t.Helper()
	c.bump()
	return c.passed(append([]string{"--suite", filepath.Join(c.abra, "ccci", "suites", c.recipe)}, args...)...)
}

// bump opens a pull request with the recipe's next version.
func (c *hearing) bump() {
	c.t.Helper()
	c.branch("bump", "compose.yml", ".version=1.1.0+", ".version=1.1.1+")
	c.open("bump")
}

// passed reviews the pull request, which must pass.
func (c *hearing) passed(args ...string) (string, *runner.Results) {
	c.t.Helper()
	code, stdout, stderr := c.review(args...)
	if code != exitPass || strings.Contains(stdout, "ADV-") {
		c.t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	cold := c.runs()[0]
	c.nothingLeft(cold.RunID)
	return stdout, cold
}

// onForge checks that the pull request has one comment and its head one status.
func (c *hearing) onForge(verdict, state string) {
	c.t.Helper()
	var comments []struct{ Body string }
	c.forge.API(c.t, "builder", "GET", fmt.Sprintf("/repos/%s/issues/%d/comments", c.repo, c.pr), nil, &comments)
	if len(comments) != 1 || !strings.Contains(comments[0].Body, "M1 "+verdict) {
		c.t.Errorf("comments: %+v", comments)
	}
	var statuses []struct{ Status, Context string }
	c.forge.API(c.t, "builder", "GET", "/repos/"+c.repo+"/commits/"+c.git("rev-parse", "HEAD")+"/statuses", nil, &statuses)
	if len(statuses) == 0 || statuses[0].Status != state || statuses[0].Context != "abra-ccci/review/M1" {
		c.t.Errorf("statuses: %+v", statuses)
	}
}

// branch makes a branch of what is checked out, with text of a file replaced: old
// and new by turns. The old text must be there.
func (c *hearing) branch(name, file string, oldnew ...string) {
	c.t.Helper()
	c.git("checkout", "-q", "-b", name)
	path := filepath.Join(c.dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			c.t.Fatalf("%s has no %q", file, oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
	c.git("commit", "-qam", name)
}

func (c *hearing) git(args ...string) string {
	c.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", c.dir, "-c", "user.name=bob", "-c", "user.email=bob@ccci.test"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}
