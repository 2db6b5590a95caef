package restic

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// What restic says of a file that it can't read, as an ordinary user, makes
// an error that names the file and is the recipe's.
func TestIncompleteSnapshot(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "ccci-incomplete") // every parent open to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program, err := filepath.Abs("../../build/restic")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatalf("%v\nhint: make build/restic", err)
	}
	for _, err := range []error{
		os.WriteFile(dir+"/restic", content, 0o755), os.WriteFile(dir+"/password", []byte("x"), 0o644),
		os.Mkdir(dir+"/volume", 0o755), os.WriteFile(dir+"/volume/secret", nil, 0o600), os.WriteFile(dir+"/volume/open", nil, 0o644),
		os.Mkdir(dir+"/repository", 0o777), os.Chmod(dir, 0o755), os.Chmod(dir+"/repository", 0o777),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if r, _ := asNobody(t, dir, "init"); r.exit != 0 {
		t.Fatalf("init: %+v", r)
	}
	r, sum := asNobody(t, dir, "backup", "--no-scan", dir+"/volume")
	s, err := snapshotOf(r, sum)
	if err == nil || s.ID != "" || !strings.Contains(err.Error(), "incomplete") || !strings.Contains(err.Error(), "volume/secret") {
		t.Errorf("got %+v, %v, want an error that names the file", s, err)
	}
	if infra := new(runner.InfraError); errors.As(err, &infra) {
		t.Errorf("%v is an InfraError", err)
	}
}

func asNobody(t *testing.T, dir string, args ...string) (result, message) {
	t.Helper()
	cmd := exec.Command(dir+"/restic", append([]string{"--repo", dir + "/repository", "--password-file", dir + "/password", "--no-cache", "--json"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = dir
	var sum message
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &lineWriter{line: summary(&sum)}, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	r := result{exit: cmd.ProcessState.ExitCode(), stderr: stderr.Bytes()}
	r.readErrors()
	return r, sum
}

func TestFault(t *testing.T) {
	item := `{"message_type":"error","error":{"message":"lchown: not permitted"},"during":"restore","item":"/volumes/v/x"}` + "\n"
	tests := []struct {
		name, stderr string
		infra        bool
		want         string
	}{
		{"one file", item, false, `"/volumes/v/x": lchown: not permitted`},
		{"many files", strings.Repeat(item, 7), false, "and 2 more"},
		{"gave up", `{"message_type":"exit_error","code":1,"message":"Fatal: wrong password"}`, true, "Fatal: wrong password"},
		{"disk full", strings.Replace(item, "not permitted", "no space left on device", 1), true, "no space left"},
		{"no JSON", "panic: oh\n", true, "panic: oh"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := result{exit: 1, stderr: []byte(tt.stderr)}
			r.readErrors()
			err := r.fault("restore")
			infra := new(runner.InfraError)
			if errors.As(err, &infra) != tt.infra || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v (%T), want infra %v and %q", err, err, tt.infra, tt.want)
			}
		})
	}
}

func TestCheckRestored(t *testing.T) {
	tests := []struct {
		name string
		sum  message
		ok   bool
	}{
		{"all", message{MessageType: "summary", TotalFiles: 3}, true},
		{"nothing", message{MessageType: "summary"}, false},
		{"less", message{MessageType: "summary", TotalFiles: 2}, false},
		{"no summary", message{TotalFiles: 3}, false},
	}
	for _, tt := range tests {
		if err := checkRestored("id", 3, tt.sum); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestStatMode(t *testing.T) {
	tests := []struct {
		mode fs.FileMode
		want uint32
	}{
		{0o644, 0o644},
		{fs.ModeDir | fs.ModeSetgid | 0o750, 0o2750},
		{fs.ModeDir | fs.ModeSticky | 0o777, 0o1777},
		{fs.ModeSetuid | 0o755, 0o4755},
	}
	for _, tt := range tests {
		if got := statMode(tt.mode); got != tt.want {
			t.Errorf("statMode(%v) = %o, want %o", tt.mode, got, tt.want)
		}
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		abs, volume, name string
		ok                bool
	}{
		{"/volumes/mail", "mail", ".", true},
		{"/volumes/mail/a/b", "mail", "a/b", true},
		{"/volumes", "", "", false},
		{"/volumesx/a", "", "", false},
		{"/etc", "", "", false},
	}
	for _, tt := range tests {
		volume, name, ok := split(tt.abs)
		if volume != tt.volume || name != tt.name || ok != tt.ok {
			t.Errorf("split(%q) = %q %q %v, want %q %q %v", tt.abs, volume, name, ok, tt.volume, tt.name, tt.ok)
		}
	}
}

// A pattern matches its own path and no other, the way restic matches: part
// by part.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"a*", "[x]", "q?", `b\`, "**", "[^a]", "a", "[", "x/y*"} {
		f.Add(s, "a")
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		p, err1 := newPlace("v", name)
		q, err2 := newPlace("v", other)
		if err1 != nil || err2 != nil {
			return
		}
		if !matches(t, p.pattern(), p.abs()) {
			t.Errorf("%q does not match itself", p.abs())
		}
		if q.abs() != p.abs() && matches(t, p.pattern(), q.abs()) {
			t.Errorf("pattern of %q matches %q", p.abs(), q.abs())
		}
	})
}

func matches(t *testing.T, pattern, name string) bool {
	t.Helper()
	ps, ns := strings.Split(path.Clean(pattern), "/"), strings.Split(name, "/")
	if len(ps) != len(ns) {
		return false
	}
	for i := range ps {
		ok, err := path.Match(ps[i], ns[i])
		if err != nil {
			t.Fatalf("bad pattern %q: %v", ps[i], err)
		}
		if !ok {
			return false
		}
	}
	return true
}
