package recipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// mirror fetches all branches into a folder that is not there yet.
func (f *forge) mirror(src MirrorSource) (*Mirror, string, error) {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), "mirror")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	m, err := FetchMirror(ctx, src, dir)
	return m, dir, err
}

func (f *forge) mirrorSource() MirrorSource { return MirrorSource{URL: f.server.URL + "/notes/.git"} }

// Any commit of a branch can be read, and none that is elsewhere.
func TestMirror(t *testing.T) {
	f := newForge(t)
	f.write("notes/suite.toml", "recipe = \"notes\"\n")
	older := f.commit("a suite")
	f.branch("work", older)
	f.write("notes/suite.toml", "recipe = \"notes\"\n# more\n")
	newer := f.commit("another")
	f.ref("refs/heads/main", older)
	hidden := f.commit("of a pull request")
	f.ref("refs/pull/7/head", hidden)
	f.ref("refs/heads/work", newer)
	f.tag("v1", newer, true)
	tag, err := f.repo.Reference("refs/tags/v1", false)
	f.must(err)
	f.start()

	m, dir, err := f.mirror(f.mirrorSource())
	if err != nil {
		t.Fatal(err)
	}
	f.must(os.RemoveAll(f.dir)) // nothing may depend on it
	for i, sha := range []string{older, newer} {
		files, err := m.Files(sha, filepath.Join(t.TempDir(), "files"))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := fs.ReadFile(files, "notes/suite.toml"); err != nil || strings.Contains(string(text), "more") != (i == 1) {
			t.Errorf("%s: %q, %v", sha, text, err)
		}
	}
	for sha, want := range map[string]string{
		newer[:12]: "not the id of a commit", "work": "not the id of a commit", strings.Repeat("a", 64): "not the id of a commit",
		hidden: "in no branch", strings.Repeat("a", 40): "in no branch", tag.Hash().String(): "in no branch",
	} {
		at := filepath.Join(t.TempDir(), "files")
		if _, err := m.Files(sha, at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", sha, err, want)
		}
		if _, err := os.Lstat(at); err == nil {
			t.Errorf("%s: files are left", sha)
		}
	}
	for _, gone := range []string{"hooks", "objects/info/alternates"} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
			t.Errorf("%s is there", gone)
		}
	}
	for _, tt := range []struct {
		sha, older string
		want       bool
	}{{newer, older, true}, {older, newer, false}, {newer, newer, true}} {
		if got, err := m.Contains(tt.sha, tt.older); err != nil || got != tt.want {
			t.Errorf("%s contains %s: %v, %v", tt.sha, tt.older, got, err)
		}
	}
}

// What is hostile or too large is refused, and nothing is left of it.
func TestMirrorRefuses(t *testing.T) {
	f := newForge(t)
	if err := os.Symlink("/etc", filepath.Join(f.dir, "notes")); err != nil {
		t.Fatal(err)
	}
	link := f.commit("a symlink")
	f.start()
	m, _, err := f.mirror(f.mirrorSource())
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "files")
	if _, err := m.Files(link, at); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("a symlink out of the tree: %v", err)
	}
	if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("files are left: %v", err)
	}
	small, nowhere := f.mirrorSource(), f.mirrorSource()
	small.Limit = 100
	nowhere.URL += "x"
	for want, src := range map[string]MirrorSource{
		"more than 0 MiB":    small,
		"no such repository": nowhere,
		"everybody to read":  {URL: "http://192.0.2.1/a/b"},
		"holds credentials":  {URL: "https://ada:secret-word@git.example.org/a/b"},
		"http or https":      {URL: "file:///etc"},
	} {
		_, dir, err := f.mirror(src)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %s is left behind: %v", want, dir, err)
		}
	}
}

// A mirror ends with its context, and asks for no more than the branches.
func TestMirrorAsksForBranches(t *testing.T) {
	f := newForge(t)
	blob := f.object(plumbing.BlobObject, []byte(strings.Repeat("large", 1000)))
	f.ref("refs/odd/blob", blob.String())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.start()
	if _, err := FetchMirror(ctx, f.mirrorSource(), filepath.Join(t.TempDir(), "m")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	m, _, err := f.mirror(f.mirrorSource())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.repo.BlobObject(blob); err == nil {
		t.Error("an object of no branch came, too")
	}
}
