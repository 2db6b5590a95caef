package giteatest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A pull request from nothing, as the tests of others make it, and no process
// is left once the server is closed.
func TestServer(t *testing.T) {
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateUser(t, "builder")
	s.CreateUser(t, "adversary")
	s.CreateRepo(t, "builder", "notes", false)
	dir := t.TempDir()
	git(t, dir, "init", "--quiet", "--initial-branch=main")
	git(t, dir, "commit", "--quiet", "--allow-empty", "--message=base")
	git(t, dir, "branch", "labels")
	s.Push(t, "builder", dir, "builder/notes", "main")
	s.Fork(t, "adversary", "builder/notes")
	git(t, dir, "checkout", "--quiet", "labels")
	git(t, dir, "commit", "--quiet", "--allow-empty", "--message=head")
	s.Push(t, "adversary", dir, "adversary/notes", "labels")
	number := s.OpenPull(t, "adversary", "builder/notes", "labels", "adversary:labels", "main")
	s.MergePull(t, "builder", "builder/notes", number)

	s.Close()
	if left := processes(t, s.dir); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}

// processes are the command lines that name dir.
func processes(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if line, _ := os.ReadFile(f); strings.Contains(string(line), dir) {
			found = append(found, string(line))
		}
	}
	return found
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@example.org", "GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@example.org")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v: %s", args, err, out)
	}
}

// Without the program a test fails, and says what to do.
func TestMissing(t *testing.T) {
	t.Setenv("CCCI_GITEA", "/nowhere/gitea")
	_, err := Start()
	if err == nil || !strings.Contains(err.Error(), "hint: scripts/prepare test") {
		t.Error(err)
	}
}
