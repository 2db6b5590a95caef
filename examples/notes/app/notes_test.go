package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	s := store{dir: t.TempDir()}
	// In order: each line sees what those before it left.
	for _, step := range []struct {
		args   string
		stdin  string
		want   int
		stdout string
	}{
		{args: "list", want: 0, stdout: ""},
		{args: "get a", want: 4},
		{args: "put a hello", want: 0},
		{args: "put b -", stdin: "from stdin\n", want: 0},
		{args: "get a", want: 0, stdout: "hello"},
		{args: "get b", want: 0, stdout: "from stdin\n"},
		{args: "put a other", want: 0},
		{args: "get a", want: 0, stdout: "other"},
		{args: "list", want: 0, stdout: "a\nb\n"},
		{args: "rm a", want: 0},
		{args: "get a", want: 4},
		{args: "rm a", want: 4},
		{args: "put ../a x", want: 1},
		{args: "get .new-1", want: 1},
		{args: "put a", want: 2},
		{args: "sing", want: 2},
	} {
		var stdout, stderr strings.Builder
		got := command(s, strings.Fields(step.args), strings.NewReader(step.stdin), &stdout, &stderr)
		if got != step.want || stdout.String() != step.stdout {
			t.Errorf("notes %s: exit %d, stdout %q; want %d, %q; stderr: %s", step.args, got, stdout.String(), step.want, step.stdout, stderr.String())
		}
	}
	if entries, _ := os.ReadDir(s.dir); len(entries) != 1 {
		t.Errorf("left behind: %v; want b alone", entries)
	}
}

func TestUnfinishedWriteIsNoNote(t *testing.T) {
	s := store{dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.dir, ".new-123"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if names, err := s.list(); err != nil || len(names) != 0 {
		t.Errorf("list() = %q, %v; want none", names, err)
	}
}

func TestHTTP(t *testing.T) {
	server := httptest.NewServer(handler(store{dir: t.TempDir()}, "secret"))
	defer server.Close()
	for _, step := range []struct {
		method, path, token, body string
		want                      int
		answer                    string
	}{
		{method: "GET", path: "/health", want: 200, answer: "ok\n"},
		{method: "GET", path: "/notes/a", want: 404, answer: "no such note\n"},
		{method: "PUT", path: "/notes/a", body: "x", want: 401, answer: "who are you?\n"},
		{method: "PUT", path: "/notes/a", token: "guess", body: "x", want: 401, answer: "who are you?\n"},
		{method: "PUT", path: "/notes/a", token: "secret", body: "hello", want: 204},
		{method: "GET", path: "/notes/a", want: 200, answer: "hello"},
		{method: "GET", path: "/", want: 200, answer: "notes devel\na\n"},
		{method: "PUT", path: "/notes/.a", token: "secret", body: "x", want: 400, answer: "\".a\": not a name for a note\n"},
		{method: "DELETE", path: "/notes/a", want: 401, answer: "who are you?\n"},
		{method: "DELETE", path: "/notes/a", token: "secret", want: 204},
		{method: "GET", path: "/notes/a", want: 404, answer: "no such note\n"},
	} {
		req, err := http.NewRequest(step.method, server.URL+step.path, strings.NewReader(step.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+step.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != step.want || string(answer) != step.answer {
			t.Errorf("%s %s: %d %q, want %d %q", step.method, step.path, resp.StatusCode, answer, step.want, step.answer)
		}
	}
}

func TestHealth(t *testing.T) {
	server := httptest.NewServer(handler(store{dir: t.TempDir()}, "secret"))
	if err := health(server.URL + "/health"); err != nil {
		t.Errorf("running server: %v", err)
	}
	if err := health(server.URL + "/nothing"); err == nil {
		t.Error("404: want an error")
	}
	server.Close()
	if err := health(server.URL + "/health"); err == nil {
		t.Error("stopped server: want an error")
	}
}
