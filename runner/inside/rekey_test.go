package inside

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The real restic takes the key that rekey has written, and no other password.
func TestRekey(t *testing.T) {
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
	must("init")
	write(t, filepath.Join(dir, "data"), "kept")
	must("backup", filepath.Join(dir, "data"))
	if err := rekey(repo, password); err != nil {
		t.Fatal(err)
	}
	if out := must("dump", "latest", filepath.Join(dir, "data")); out != "kept" {
		t.Errorf("what was saved before comes back as %q", out)
	}
	must("backup", filepath.Join(dir, "data"))
	must("check", "--read-data")
	keys, err := filepath.Glob(filepath.Join(repo, "keys", "*"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	if text, err := os.ReadFile(keys[0]); err != nil || !bytes.Contains(text, []byte(`"N":2,`)) {
		t.Errorf("%s, %v", text, err)
	}
	wrong := filepath.Join(dir, "wrong")
	write(t, wrong, "correct horse battery stable\n")
	if out, err := call(wrong, "cat", "config"); err == nil {
		t.Errorf("another password opens it: %s", out)
	}
	if err := rekey(repo, wrong); err == nil || !strings.Contains(err.Error(), "the password is not the key's") {
		t.Errorf("another password rewrites it: %v", err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
