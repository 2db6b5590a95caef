package recipe

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"
)

// What a pull request brought and took away again is in no tree, and in its history.
func TestPast(t *testing.T) {
	r := newRepo(t, t.TempDir())
	r.write("a", "1")
	base := r.release("1.0.0+1")
	r.write("a", "2")
	r.write("dir/key", "secret")
	added := r.commit("a key")
	r.write("dir/key", "gone")
	r.write("a", "1")
	r.write("big", "12345678")
	r.commit("no key")
	r.write("big", "1")
	r.commit("smaller")
	r.write("a", "3")
	head := r.commit("the head")

	rec, err := Open(r.dir, r.dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	commits, err := rec.Past(must(rec.Commit(base)), must(rec.Commit(head)), 7, func(f PastFile) error {
		text := string(f.Data)
		if f.Data == nil {
			text = "too large"
		}
		if f.Path == "dir/key" && f.Commit != added {
			t.Errorf("dir/key is of %s, not %s", f.Commit, added)
		}
		got = append(got, fmt.Sprintf("%s=%s", f.Path, text))
		return nil
	})
	slices.Sort(got)
	want := []string{"a=2", "big=too large", "dir/key=secret"}
	if d := cmp.Diff(want, got); err != nil || commits != 4 || d != "" {
		t.Errorf("%d commits, %v\n%s", commits, err, d)
	}
}

// A history that can't be read to its end is no history without secrets.
func TestPastOfTooMany(t *testing.T) {
	r := newRepo(t, t.TempDir())
	base := r.release("1.0.0+1")
	var head string
	for i := range maxPast + 1 {
		head = r.commit(fmt.Sprint(i))
	}
	rec, err := Open(r.dir, r.dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rec.Past(must(rec.Commit(base)), must(rec.Commit(head)), 1, func(PastFile) error { return nil }); err == nil {
		t.Error("no error")
	}
}

// A tree that holds itself ten times, twelve deep, has a million million files.
func TestPastOfABomb(t *testing.T) {
	r := newRepo(t, t.TempDir())
	base := r.release("1.0.0+1")
	save := func(o interface {
		Encode(plumbing.EncodedObject) error
	}) plumbing.Hash {
		obj := r.repo.Storer.NewEncodedObject()
		r.must(o.Encode(obj))
		hash, err := r.repo.Storer.SetEncodedObject(obj)
		r.must(err)
		return hash
	}
	r.write("secret", "in the bomb")
	with, err := r.repo.CommitObject(plumbing.NewHash(r.commit("the file")))
	r.must(err)
	file, err := with.File("secret")
	r.must(err)
	hash, mode := file.Hash, filemode.Regular
	for range 12 {
		tree := &object.Tree{}
		for i := range 10 {
			tree.Entries = append(tree.Entries, object.TreeEntry{Name: fmt.Sprint(i), Mode: mode, Hash: hash})
		}
		hash, mode = save(tree), filemode.Dir
	}
	parent, err := r.repo.ResolveRevision(plumbing.Revision(base))
	r.must(err)
	bomb := save(&object.Commit{Author: *r.signature(), Committer: *r.signature(), Message: "bomb", TreeHash: hash, ParentHashes: []plumbing.Hash{*parent}})
	start, err := r.repo.CommitObject(*parent)
	r.must(err)
	head := save(&object.Commit{Author: *r.signature(), Committer: *r.signature(), Message: "nothing was there", TreeHash: start.TreeHash, ParentHashes: []plumbing.Hash{bomb}})

	rec, err := Open(r.dir, r.dir)
	r.must(err)
	var got []string
	if _, err := rec.Past(must(rec.Commit(base)), must(rec.Commit(head.String())), 100, func(f PastFile) error {
		got = append(got, f.Path+"="+string(f.Data))
		return nil
	}); err != nil || !slices.Equal(got, []string{"0/0/0/0/0/0/0/0/0/0/0/0=in the bomb"}) {
		t.Errorf("%q, %v", got, err)
	}
}

func must(c Commit, err error) Commit {
	if err != nil {
		panic(err)
	}
	return c
}
