package giteatest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No process is left once the server is closed, and no file.
func TestClose(t *testing.T) {
	s, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.CreateUser(t, "builder")
	var me struct{ Login string }
	s.API(t, "builder", "GET", "/user", nil, &me)
	if me.Login != "builder" || len(processes(t, s.dir)) == 0 {
		t.Fatalf("%+v, %q", me, processes(t, s.dir))
	}
	s.Close()
	if left := processes(t, s.dir); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %s (%v)", s.dir, err)
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

// Without the program a test fails, and says what to do.
func TestMissing(t *testing.T) {
	t.Setenv("CCCI_GITEA", "/nowhere/gitea")
	_, err := Start()
	if err == nil || !strings.Contains(err.Error(), "hint: scripts/prepare test") {
		t.Error(err)
	}
}
