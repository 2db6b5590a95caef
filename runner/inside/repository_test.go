package inside

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The real restic works with a repository that is made here, and takes no other password.
func TestRepository(t *testing.T) {
	restic := os.Getenv("CCCI_RESTIC")
	if restic == "" {
		restic = "../../build/restic"
	}
	dir := t.TempDir()
	password, repo := filepath.Join(dir, "password"), filepath.Join(dir, "repo")
	write(t, password, "correct horse battery staple\n")
	call := func(passwordFile string, args ...string) (string, error) {
		out, err := exec.Command(restic, append([]string{"--repo", repo, "--password-file", passwordFile, "--no-cache"}, args...)...).CombinedOutput()
		return string(out), err
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := call(password, args...)
		if err != nil {
			t.Fatalf("restic %q: %v: %s", args, err, out)
		}
		return out
	}
	makeOne := func() {
		t.Helper()
		if err := makeRepository(repo, password); err != nil {
			t.Fatal(err)
		}
	}
	makeOne()
	write(t, filepath.Join(dir, "data"), "kept")
	must("backup", filepath.Join(dir, "data"))
	if out := must("dump", "latest", filepath.Join(dir, "data")); out != "kept" {
		t.Errorf("what was saved comes back as %q", out)
	}
	must("check", "--read-data")
	wrong := filepath.Join(dir, "wrong")
	write(t, wrong, "correct horse battery stable\n")
	if out, err := call(wrong, "cat", "config"); err == nil {
		t.Errorf("another password opens it: %s", out)
	}
	if err := makeRepository(repo, password); err == nil || !strings.Contains(err.Error(), "is a repository already") {
		t.Errorf("made over one that is there: %v", err)
	}

	// As restic makes one itself, but for what is random and how far the password is stretched.
	ours := shape(t, repo)
	keys, err := filepath.Glob(filepath.Join(repo, "keys", "*"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	if text, err := os.ReadFile(keys[0]); err != nil || !strings.Contains(string(text), `"N":2,`) {
		t.Errorf("%s, %v", text, err)
	}
	repo = filepath.Join(dir, "theirs")
	must("init")
	if theirs := shape(t, repo); !maps.Equal(ours, theirs) {
		t.Errorf("folders %v, restic init makes %v", ours, theirs)
	}

	// A try that was cut off before its config leaves nothing that a later one trips over.
	if err := os.Remove(filepath.Join(repo, "config")); err != nil {
		t.Fatal(err)
	}
	makeOne()
	if again := shape(t, repo); !maps.Equal(again, ours) {
		t.Errorf("made once more: %v, want %v", again, ours)
	}
	must("backup", filepath.Join(dir, "data"))
	must("check", "--read-data")
}

// shape is the folders of an empty or a used repository that restic expects, and how
// many keys and configs there are.
func shape(t *testing.T, repo string) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := filepath.WalkDir(repo, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(repo, name)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			out[rel+"/"]++
		case rel == "config" || strings.HasPrefix(rel, "keys/"):
			out[filepath.Dir(rel)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
