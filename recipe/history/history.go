// Package history makes the git repository of a recipe from its releases as
// data: for examples, for canaries, and for tests. Authors and dates are
// fixed, so that the same files always make the same commit ids.
package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A Commit is one step of a recipe's history.
type Commit struct {
	Version string // what its version label says, and the name of its tag
	Branch  string // created from the commit before, if it is new
	Subject string
	Tagged  bool  // a release: an annotated tag is put on it
	Files   fs.FS // what it adds or changes, on top of the commit before
}

// The first commit's time; each later one is made a week after the one before.
var start = time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC)

const week = 7 * 24 * time.Hour

// Build makes a repository of the commits, first one first, in dir, which
// must not hold one. Its work tree is that of the last commit, on that
// commit's branch.
func Build(dir string, commits []Commit) error {
	if len(commits) == 0 {
		return errors.New("a history needs a commit")
	}
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName(commits[0].Branch)},
	})
	if err != nil {
		return fmt.Errorf("init %s: %w", dir, err)
	}
	for i, c := range commits {
		if err := add(repo, dir, c, start.Add(time.Duration(i)*week)); err != nil {
			return fmt.Errorf("%s: %w", c.Version, err)
		}
	}
	return nil
}

// add makes one commit on top of HEAD.
func add(repo *git.Repository, dir string, c Commit, when time.Time) error {
	if err := branch(repo, c.Branch); err != nil {
		return err
	}
	paths, err := overlay(c.Files, dir)
	if err != nil {
		return err
	}
	who := &object.Signature{Name: "Recipe Maintainer", Email: "maintainer@example.com", When: when}
	id, err := commit(repo, paths, c.Subject, who)
	if err != nil || !c.Tagged {
		return err
	}
	_, err = repo.CreateTag(c.Version, id, &git.CreateTagOptions{Tagger: who, Message: c.Subject})
	return err
}

// branch moves HEAD to a branch, and creates it where HEAD is if it is not there.
func branch(repo *git.Repository, name string) error {
	ref := plumbing.NewBranchReferenceName(name)
	head, err := repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) || err == nil && head.Name() == ref {
		return nil // the very first commit makes its branch
	}
	if err != nil {
		return err
	}
	w, err := repo.Worktree()
	if err != nil {
		return err
	}
	_, err = repo.Reference(ref, false)
	return w.Checkout(&git.CheckoutOptions{Branch: ref, Create: err != nil})
}

// overlay writes the files of tree into dir and returns their paths.
func overlay(tree fs.FS, dir string) ([]string, error) {
	var paths []string
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		paths = append(paths, p)
		data, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		return write(filepath.Join(dir, filepath.FromSlash(p)), data)
	})
	return paths, err
}

func write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func commit(repo *git.Repository, paths []string, subject string, who *object.Signature) (plumbing.Hash, error) {
	w, err := repo.Worktree()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	for _, p := range paths {
		if _, err := w.Add(p); err != nil {
			return plumbing.ZeroHash, fmt.Errorf("add %s: %w", p, err)
		}
	}
	return w.Commit(subject, &git.CommitOptions{Author: who, Committer: who})
}
