package inside

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// volume makes a directory "vol" with things in it, and "secret" beside it.
func volume(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "vol")
	must(t, os.MkdirAll(filepath.Join(dir, "mail", "user"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "file"), []byte("four"), 0o600))
	must(t, os.MkdirAll(filepath.Join(top, "secret"), 0o755))
	must(t, os.Symlink("../secret", filepath.Join(dir, "out")))
	must(t, os.Symlink("mail", filepath.Join(dir, "in")))
	must(t, os.Lchown(filepath.Join(dir, "mail"), 8, 9))
	return dir
}

func TestStat(t *testing.T) {
	dir := volume(t)
	tests := []struct {
		name, path string
		exit       int
		want       string // type on stdout, or a part of stderr
	}{
		{"root", ".", exitDone, "dir"},
		{"file", "file", exitDone, "file"},
		{"cleaned", "mail//user/", exitDone, "dir"},
		{"symlink itself", "out", exitDone, "symlink"},
		{"missing", "nope", exitNo, ""},
		{"below a file", "file/x", exitNo, ""},
		{"below missing", "nope/x", exitNo, ""},
		{"through a symlink out", "out/x", exitFault, `through the symlink "out"`},
		{"through a symlink inside", "in/user", exitFault, `through the symlink "in"`},
		{"up", "../secret", exitFault, "not below"},
		{"absolute", "/etc", exitFault, "not below"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain("", "stat", dir, tt.path)
			if got.exit != tt.exit {
				t.Fatalf("%+v, want exit %d", got, tt.exit)
			}
			if tt.exit != exitDone {
				if !strings.Contains(got.stderr, tt.want) {
					t.Errorf("stderr %q, want %q", got.stderr, tt.want)
				}
				return
			}
			var e runner.Entry
			must(t, json.Unmarshal([]byte(got.stdout), &e))
			if e.Type != tt.want || e.Path != filepath.Clean(tt.path) {
				t.Errorf("%+v, want %q of type %s", e, tt.path, tt.want)
			}
		})
	}
}

func TestDecoy(t *testing.T) {
	dir := volume(t)
	if got := runMain("", "decoy", dir, "mail", "decoy-1"); got.exit != exitDone {
		t.Fatalf("decoy: %+v", got)
	}
	info, err := os.Lstat(filepath.Join(dir, "mail", "decoy-1"))
	must(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 8 || st.Gid != 9 || info.Mode() != 0o600 {
		t.Errorf("decoy is %v %d:%d, want -rw------- 8:9, the owner of its directory", info.Mode(), st.Uid, st.Gid)
	}
	tests := []struct{ name, path, base, want string }{
		{"exists", "mail", "decoy-1", "exists"},
		{"in a file", "file", "d", "not a directory"},
		{"symlink out", "out", "d", "not a directory"},
		{"through symlink", "in/user", "d", "symlink"},
		{"up", "..", "d", "not below"},
		{"name with slash", "mail", "../d", "not a plain file name"},
		{"name up", "mail", "..", "not a plain file name"},
		{"no name", "mail", "", "not a plain file name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain("", "decoy", dir, tt.path, tt.base)
			if got.exit != exitFault || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("%+v, want exit 1 and %q", got, tt.want)
			}
		})
	}
	if got := runMain("", "decoy", dir, "nope", "d"); got.exit != exitNo {
		t.Errorf("in a directory that is missing: %+v", got)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "..", "secret", "*")); len(found) > 0 {
		t.Errorf("something was created outside the volume: %v", found)
	}
}
