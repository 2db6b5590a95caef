// Package examples holds recipes with their releases, as data, and makes the
// git repositories that a recipe is.
//
// A recipe NAME is a folder of this package: NAME/releases/VERSION holds the
// files that a release adds or changes, on top of the release before it, and
// NAME/images the images that it is deployed from. Its suite is
// suites/NAME/suite.toml. What is built has fixed authors and dates, so that
// the same files always make the same commit ids.
package examples

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

//go:embed all:mailu/releases all:notes/releases suites
var files embed.FS

// A Commit is one step of a recipe's history.
type Commit struct {
	Version string // the folder of its files, and what its version label says
	Branch  string // created from the commit before, if it is new
	Subject string
	Tagged  bool // a release: an annotated tag is put on it
}

var histories = map[string][]Commit{
	"mailu": {
		{Version: "3.0.0+2024.06.50", Branch: "main", Subject: "chore: publish 3.0.0+2024.06.50 release", Tagged: true},
		{Version: "3.0.1+2024.06.52", Branch: "main", Subject: "chore: publish 3.0.1+2024.06.52 release", Tagged: true},
		{Version: "3.0.2+2024.06.52", Branch: "add-backupbot-labels", Subject: "feat: save accounts and mail with backup-bot-two"},
	},
	"notes": {
		{Version: "1.0.0+1.0.0", Branch: "main", Subject: "chore: publish 1.0.0+1.0.0 release", Tagged: true},
		{Version: "1.1.0+1.1.0", Branch: "main", Subject: "chore: publish 1.1.0+1.1.0 release", Tagged: true},
	},
}

// Names of the recipes, sorted.
func Names() []string { return []string{"mailu", "notes"} }

// History of a recipe, first commit first; nil for one that is not here.
func History(name string) []Commit { return histories[name] }

// Suite returns the text of a recipe's suite.toml.
func Suite(name string) ([]byte, error) {
	return files.ReadFile(path.Join("suites", name, "suite.toml"))
}

// The first commit's time; each later one is made a week after the one before.
var start = time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC)

const week = 7 * 24 * time.Hour

// Build makes the git repository of a recipe in dir, which must not hold one. Its work tree is that of the last commit, on that commit's branch.
func Build(name, dir string) error {
	history := History(name)
	if history == nil {
		return fmt.Errorf("no example recipe %q", name)
	}
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName(history[0].Branch)},
	})
	if err != nil {
		return fmt.Errorf("init %s: %w", dir, err)
	}
	for i, c := range history {
		if err := add(repo, name, dir, c, start.Add(time.Duration(i)*week)); err != nil {
			return fmt.Errorf("%s %s: %w", name, c.Version, err)
		}
	}
	return nil
}

// add makes one commit on top of HEAD.
func add(repo *git.Repository, name, dir string, c Commit, when time.Time) error {
	if err := branch(repo, c.Branch); err != nil {
		return err
	}
	tree, err := fs.Sub(files, path.Join(name, "releases", c.Version))
	if err != nil {
		return err
	}
	paths, err := overlay(tree, dir)
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

// WriteTree makes what $ABRA_DIR holds, with the recipes and suites of this
// package: recipes/NAME and ccci/suites/NAME/suite.toml. Recipes that were
// there are replaced.
func WriteTree(dir string) error {
	for _, name := range Names() {
		repo := filepath.Join(dir, "recipes", name)
		if err := os.RemoveAll(repo); err != nil {
			return err
		}
		if err := Build(name, repo); err != nil {
			return err
		}
		suite, err := Suite(name)
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, "ccci", "suites", name, "suite.toml"), suite); err != nil {
			return err
		}
	}
	return nil
}
