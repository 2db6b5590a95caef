package app

import (
	"context"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rig is a server of the test's own, with its folder.
func rig(t *testing.T, fault string) (*server, string) {
	t.Helper()
	dir := t.TempDir()
	s := &server{kept: texts{dir}, fault: fault, stop: func() {}}
	if err := s.remember(); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.handler())
	t.Cleanup(h.Close)
	_, port, err := net.SplitHostPort(h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s, port
}

// do asks the server and returns what it says, or the error.
func do(port, method, name, body string) string {
	var out strings.Builder
	if err := ask(method, port, "/texts/"+name, body, &out); err != nil {
		return "error: " + err.Error()
	}
	return out.String()
}

func TestTexts(t *testing.T) {
	s, port := rig(t, "")
	for _, step := range []struct{ method, name, body, want string }{
		{"GET", "a", "", "error: /texts/a: file does not exist"},
		{"PUT", "a", "one", "one"},
		{"GET", "a", "", "one"},
		{"PUT", "a", "two", "two"},
		{"GET", "a", "", "two"},
		{"DELETE", "a", "", ""},
		{"GET", "a", "", "error: /texts/a: file does not exist"},
		{"DELETE", "a", "", "error: /texts/a: file does not exist"},
		{"PUT", "a.b", "", `error: 500 Internal Server Error: "a.b" is no name for a text`},
		{"GET", strings.Repeat("a", 100), "", "error: /texts/" + strings.Repeat("a", 100) + ": file does not exist"},
		{"GET", strings.Repeat("a", 101), "", `error: 500 Internal Server Error: "` + strings.Repeat("a", 101) + `" is no name for a text`},
	} {
		if got := do(port, step.method, step.name, step.body); got != step.want {
			t.Errorf("%s %s: %q, want %q", step.method, step.name, got, step.want)
		}
	}
	journal, err := os.ReadFile(filepath.Join(s.kept.dir, "journal"))
	if err != nil || string(journal) != "put a\nput a\nrm a\n" {
		t.Errorf("journal %q, %v", journal, err)
	}
}

func TestDumpAndLoad(t *testing.T) {
	from, to := texts{t.TempDir()}, texts{t.TempDir()}
	for name, text := range map[string]string{"a": "one", "b": "two\n"} {
		if err := from.put(name, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.put("c", "stays"); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := dump(from, &b); err != nil {
		t.Fatal(err)
	}
	if err := load(to, strings.NewReader(b.String()), ""); err != nil {
		t.Fatal(err)
	}
	all, err := to.all()
	if err != nil || len(all) != 3 || all["a"] != "one" || all["b"] != "two\n" || all["c"] != "stays" {
		t.Errorf("%v, %v", all, err)
	}
	if err := load(to, strings.NewReader(""), ""); err == nil {
		t.Error("an empty dump was loaded")
	}
}

// Restored behind the server's back, a text is there until the server ends.
func TestFaultWriteback(t *testing.T) {
	for fault, want := range map[string]string{"": "restored", "writeback": "error: /texts/a: file does not exist"} {
		s, port := rig(t, fault)
		do(port, "PUT", "a", "restored")
		do(port, "PUT", "b", "other")
		do(port, "DELETE", "a", "")
		if err := s.kept.put("a", "restored"); err != nil {
			t.Fatal(err)
		}
		if got := do(port, "GET", "a", ""); got != "restored" {
			t.Errorf("%q: before the end: %q", fault, got)
		}
		if err := s.end(); err != nil {
			t.Fatal(err)
		}
		if got := do(port, "GET", "a", ""); got != want {
			t.Errorf("%q: after the end: %q, want %q", fault, got, want)
		}
		if got := do(port, "GET", "b", ""); got != "other" {
			t.Errorf("%q: what the server knows is %q after its end", fault, got)
		}
	}
}

// What is made up is not what was removed.
func TestFaultRecreate(t *testing.T) {
	_, port := rig(t, "recreate")
	do(port, "PUT", "a", "kept")
	do(port, "DELETE", "a", "")
	if got := do(port, "GET", "a", ""); !strings.Contains(got, "does not exist") {
		t.Errorf("removed: %q", got)
	}
	if got := do(port, "GET", "b", ""); got != "b is new here" {
		t.Errorf("never seen: %q", got)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"", "sing", "put a", "get", "serve now"} {
		var stderr strings.Builder
		w := World{Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: &stderr, Stderr: &stderr}
		if got := Main(context.Background(), strings.Fields(args), w); got != exitUsage || !strings.Contains(stderr.String(), "usage: store") {
			t.Errorf("store %s: exit %d, %q", args, got, stderr.String())
		}
	}
}
