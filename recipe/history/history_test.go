package history

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

var releases = []Commit{
	{Version: "1.0.0+1", Branch: "main", Subject: "first", Tagged: true, Files: fstest.MapFS{"compose.yml": text("one"), "release/notes": text("n")}},
	{Version: "1.1.0+1", Branch: "labels", Subject: "second", Files: fstest.MapFS{"compose.yml": text("two")}},
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	if err := Build(dir, releases); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"compose.yml": "two", "release/notes": "n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	repo, err := git.PlainOpen(dir)
	if err != nil {
		t.Fatal(err)
	}
	head, err := repo.Head()
	if err != nil || head.Name() != "refs/heads/labels" {
		t.Errorf("HEAD is %v, %v", head, err)
	}
	tag, err := repo.Reference(plumbing.NewTagReferenceName("1.0.0+1"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.TagObject(tag.Hash()); err != nil {
		t.Errorf("the tag is not annotated: %v", err)
	}
	if _, err := repo.Reference(plumbing.NewTagReferenceName("1.1.0+1"), true); err == nil {
		t.Error("what is no release has a tag")
	}
	if w, err := repo.Worktree(); err != nil {
		t.Error(err)
	} else if status, err := w.Status(); err != nil || !status.IsClean() {
		t.Errorf("the work tree is not clean: %v, %v", status, err)
	}
}

func TestBuildTwiceIsTheSame(t *testing.T) {
	var ids []plumbing.Hash
	for range 2 {
		dir := t.TempDir()
		if err := Build(dir, releases); err != nil {
			t.Fatal(err)
		}
		repo, err := git.PlainOpen(dir)
		if err != nil {
			t.Fatal(err)
		}
		head, err := repo.Head()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, head.Hash())
	}
	if ids[0] != ids[1] {
		t.Errorf("%s and %s", ids[0], ids[1])
	}
}

func TestBuildNothing(t *testing.T) {
	if err := Build(t.TempDir(), nil); err == nil {
		t.Error("a history without a commit: want an error")
	}
}
