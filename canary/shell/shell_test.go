package shell

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestShell(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte("echo file $1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		argv   []string
		stdin  string
		want   int
		stdout string
		stderr string
	}{
		{name: "command", argv: []string{"-c", "echo a b"}, stdout: "a b\n"},
		{name: "arguments", argv: []string{"-c", "echo $1 $2", "name", "x", "y"}, stdout: "x y\n"},
		{name: "script on stdin", stdin: "echo one\necho two\n", stdout: "one\ntwo\n"},
		{name: "file", argv: []string{file, "arg"}, stdout: "file arg\n"},
		{name: "exit status", argv: []string{"-c", "exit 7"}, want: 7},
		{name: "status of the last command", argv: []string{"-c", "false"}, want: 1},
		{name: "set -e", argv: []string{"-e", "-c", "false; echo on"}, want: 1},
		{name: "set -e in the script", argv: []string{"-c", "set -e; false; echo on"}, want: 1},
		{name: "swallowed", argv: []string{"-c", "false || true"}, want: 0},
		{name: "no such command", argv: []string{"-c", "ccci-no-such-command"}, want: 127, stderr: "not found"},
		{name: "no such file", argv: []string{"-c", "echo x < " + filepath.Join(dir, "none")}, want: 1, stderr: "no such file"},
		{name: "redirection", argv: []string{"-c", "echo kept > " + filepath.Join(dir, "out") + "; read x < " + filepath.Join(dir, "out") + "; echo $x"}, stdout: "kept\n"},
		{name: "a program", argv: []string{"-c", "env | grep ^CCCI_SHELL_TEST="}, stdout: "CCCI_SHELL_TEST=passed on\n"},
		{name: "stdin of a program", argv: []string{"-c", "cat"}, stdin: "through", stdout: "through"},
		{name: "syntax", argv: []string{"-c", "echo ("}, want: exitSyntax, stderr: "sh:"},
		{name: "no script", argv: []string{"-c"}, want: exitSyntax, stderr: "wants a script"},
		{name: "no such script", argv: []string{filepath.Join(dir, "none")}, want: exitSyntax, stderr: "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CCCI_SHELL_TEST", "passed on")
			var stdout, stderr strings.Builder
			got := Main(context.Background(), tt.argv, strings.NewReader(tt.stdin), &stdout, &stderr)
			if got != tt.want || stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("exit %d, %q, %q; want %d, %q, %q", got, stdout.String(), stderr.String(), tt.want, tt.stdout, tt.stderr)
			}
		})
	}
}

// A shell that is told to stop takes its command along.
func TestStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"-c", "echo up; exec sleep 600"}, nil, w, os.Stderr)
		w.Close()
	}()
	if _, err := r.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-ended; code == 0 {
		t.Error("exit 0 of a command that was interrupted")
	}
}
