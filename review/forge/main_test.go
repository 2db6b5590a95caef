package forge

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"coopcloud.tech/abra-ccci/review/forge/giteatest"
)

// All tests share one Gitea, which the first that needs it starts.
var shared struct {
	sync.Mutex
	server *giteatest.Server
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Close()
	}
	os.Exit(code)
}

func server(t *testing.T) *giteatest.Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		if shared.server, shared.err = giteatest.Start(); shared.err == nil {
			shared.server.CreateUser(t, "builder")
			shared.server.CreateUser(t, "adversary")
		}
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// A work is a clone on the builder's machine.
type work struct {
	t   *testing.T
	dir string
}

func newWork(t *testing.T) work {
	t.Helper()
	w := work{t, t.TempDir()}
	w.git("init", "--quiet", "--initial-branch=main")
	return w
}

func (w work) git(args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@example.org", "GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes a commit on top of the one named and points the branch at it.
func (w work) commit(branch, on, subject string) (sha string) {
	w.t.Helper()
	if on == "" {
		w.git("commit", "--quiet", "--allow-empty", "--message="+subject)
		return w.git("rev-parse", "HEAD")
	}
	sha = w.git("commit-tree", "-p", on, "-m", subject, on+"^{tree}")
	w.git("update-ref", "refs/heads/"+branch, sha)
	return sha
}

// open is a repository of s as the holder of a token sees it.
func open(t *testing.T, s *giteatest.Server, repo, token string) *Gitea {
	t.Helper()
	g, err := New(Options{URL: s.URL, Repo: repo, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// wants fails the test unless err is an *Error with a hint whose text and hint hold
// each of the words.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Hint() == "" {
		t.Errorf("no error with a hint: %v", err)
		return
	}
	whole := fmt.Sprintf("%s\nhint: %s", e, e.Hint())
	for _, w := range words {
		if !strings.Contains(whole, w) {
			t.Errorf("%q is not in: %s", w, whole)
		}
	}
}
