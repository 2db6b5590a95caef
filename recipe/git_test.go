package recipe

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A testRepo is a real repository in a folder of the test's own, with dates
// that make its SHAs the same in every run.
type testRepo struct {
	t    *testing.T
	dir  string
	repo *git.Repository
	when time.Time
}

func newRepo(t *testing.T, dir string) *testRepo {
	t.Helper()
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: "refs/heads/main"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &testRepo{t: t, dir: dir, repo: repo, when: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
}

func (r *testRepo) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *testRepo) write(name, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	r.must(os.MkdirAll(filepath.Dir(file), 0o755))
	r.must(os.WriteFile(file, []byte(text), 0o644))
}

func (r *testRepo) signature() *object.Signature {
	r.when = r.when.Add(time.Hour)
	return &object.Signature{Name: "Ada", Email: "ada@example.com", When: r.when}
}

// commit commits everything in the folder and returns the SHA.
func (r *testRepo) commit(message string) string {
	r.t.Helper()
	tree, err := r.repo.Worktree()
	r.must(err)
	r.must(tree.AddWithOptions(&git.AddOptions{All: true}))
	hash, err := tree.Commit(message, &git.CommitOptions{Author: r.signature(), AllowEmptyCommits: true})
	r.must(err)
	return hash.String()
}

// release commits a compose.yml that names the version, and tags it.
func (r *testRepo) release(version string) string {
	r.t.Helper()
	r.write("compose.yml", "version: \"3.8\"\nservices:\n  app:\n    image: notes:"+version[:5]+"\n")
	sha := r.commit("release " + version)
	r.tag(version, sha, true)
	return sha
}

func (r *testRepo) tag(name, sha string, annotated bool) {
	r.t.Helper()
	var opts *git.CreateTagOptions
	if annotated {
		opts = &git.CreateTagOptions{Tagger: r.signature(), Message: name}
	}
	_, err := r.repo.CreateTag(name, plumbing.NewHash(sha), opts)
	r.must(err)
}

func (r *testRepo) branch(name, sha string) {
	r.t.Helper()
	tree, err := r.repo.Worktree()
	r.must(err)
	r.must(tree.Checkout(&git.CheckoutOptions{
		Hash: plumbing.NewHash(sha), Branch: plumbing.NewBranchReferenceName(name), Create: true, Force: true,
	}))
}

func (r *testRepo) ref(name, sha string) {
	r.t.Helper()
	r.must(r.repo.Storer.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(name), plumbing.NewHash(sha))))
}

// object stores a raw git object, as a hostile repository could hold it.
func (r *testRepo) object(kind plumbing.ObjectType, data []byte) plumbing.Hash {
	r.t.Helper()
	obj := r.repo.Storer.NewEncodedObject()
	obj.SetType(kind)
	w, err := obj.Writer()
	r.must(err)
	_, err = w.Write(data)
	r.must(err)
	r.must(w.Close())
	hash, err := r.repo.Storer.SetEncodedObject(obj)
	r.must(err)
	return hash
}

func (r *testRepo) open() *Recipe {
	r.t.Helper()
	opened, err := Open("", r.dir)
	r.must(err)
	return opened
}
