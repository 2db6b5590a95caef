package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"coopcloud.tech/abra-ccci/review/forge/giteatest"
)

// theForge is a real Gitea that all tests of this package share.
var theForge struct {
	sync.Mutex
	server *giteatest.Server
}

func closeForge() {
	theForge.Lock()
	defer theForge.Unlock()
	if theForge.server != nil {
		theForge.server.Close()
	}
}

func forgeOf(t *testing.T) *giteatest.Server {
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
func newHearing(t *testing.T, recipe string) *hearing {
	t.Helper()
	c := &hearing{bench: newBench(t, recipe), forge: forgeOf(t), recipe: recipe}
	c.dir = filepath.Join(c.abra, "recipes", recipe)
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
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

// review reviews the pull request.
func (c *hearing) review(args ...string) (code int, stdout, stderr string) {
	c.t.Helper()
	return c.run(c.reviewArgs(args...)...)
}

func (c *hearing) reviewArgs(args ...string) []string {
	return append([]string{"review", "--runs-dir", filepath.Join(c.bench.dir, "runs"), "--pr", strconv.Itoa(c.pr), "--repo", c.forge.URL + "/" + c.repo, "--phase", c.recipe}, args...)
}

// The adversary passes a good pull request, and says so in the ledger and on
// the forge.
func TestReviewOfNotesPasses(t *testing.T) {
	t.Parallel()
	c := newHearing(t, "notes")
	c.branch("bump", "compose.yml", ".version=1.1.0+", ".version=1.1.1+")
	c.open("bump")
	code, stdout, stderr := c.review("--suite", filepath.Join(c.abra, "ccci", "suites", "notes"), "--post")
	if code != exitPass {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "\u2714 mutants_killed: mutants: 4 killed") {
		t.Errorf("not all mutants were killed\n%s", stdout)
	}
	c.onForge("PASS", "success")
	c.must("ledger", "verify")
	c.must("ledger", "gate", "--repo", c.repo, "--pr", strconv.Itoa(c.pr), "--head", c.git("rev-parse", "HEAD"), "--claim", "M1")
}

// Hooks are sabotaged, too: of a recipe that saves a dump, with a suite that sees
// what is in it.
func TestReviewOfForumPasses(t *testing.T) {
	t.Parallel()
	c := newHearing(t, "forum")
	c.branch("bump", "compose.yml", ".version=1.1.0+", ".version=1.1.1+")
	c.open("bump")
	code, stdout, stderr := c.review("--suite", filepath.Join(c.abra, "ccci", "suites", "forum"), "--accept-exclude", "postgres:data")
	if code != exitPass {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	told(t, stdout, "pre_hook_stale db backup.pre-hook", "pre_hook_skipped db backup.pre-hook", "post_hook_skipped db restore.post-hook", " 0 survived, ")
	t.Log(stdout)
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
