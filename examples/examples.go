// Package examples holds recipes with their releases, as data; package
// history makes of them the git repositories that a recipe is.
//
// A recipe NAME is a folder of this package: NAME/releases/VERSION holds the
// files that a release adds or changes, on top of the release before it, and
// NAME/images the images that it is deployed from. Its suite is
// suites/NAME/suite.toml.
package examples

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"coopcloud.tech/abra-ccci/recipe/history"
)

//go:embed all:custom-html/releases all:forum/releases all:mailu/releases all:notes/releases suites
var files embed.FS

// A Commit is one step of a recipe's history.
type Commit struct {
	Version string // the folder of its files, and what its version label says
	Branch  string // created from the commit before, if it is new
	Subject string
	Tagged  bool // a release: an annotated tag is put on it
}

var histories = map[string][]Commit{
	"custom-html": {
		{Version: "1.0.0+1.22.1", Branch: "main", Subject: "chore: publish 1.0.0+1.22.1 release", Tagged: true},
		{Version: "1.1.0+1.22.1", Branch: "main", Subject: "chore: publish 1.1.0+1.22.1 release", Tagged: true},
	},
	"forum": {
		{Version: "1.0.0+1.0.0", Branch: "main", Subject: "chore: publish 1.0.0+1.0.0 release", Tagged: true},
		{Version: "1.1.0+1.1.0", Branch: "main", Subject: "chore: publish 1.1.0+1.1.0 release", Tagged: true},
	},
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
func Names() []string { return slices.Sorted(maps.Keys(histories)) }

// History of a recipe, first commit first; nil for one that is not here.
func History(name string) []Commit { return histories[name] }

// Suite returns the text of a recipe's suite.toml.
func Suite(name string) ([]byte, error) {
	return files.ReadFile(path.Join("suites", name, "suite.toml"))
}

// Build makes the git repository of a recipe in dir, which must not hold one. Its work tree is that of the last commit, on that commit's branch.
func Build(name, dir string) error {
	var commits []history.Commit
	for _, c := range History(name) {
		tree, err := fs.Sub(files, path.Join(name, "releases", c.Version))
		if err != nil {
			return err
		}
		commits = append(commits, history.Commit{Version: c.Version, Branch: c.Branch, Subject: c.Subject, Tagged: c.Tagged, Files: tree})
	}
	if commits == nil {
		return fmt.Errorf("no example recipe %q", name)
	}
	if err := history.Build(dir, commits); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
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

func write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}
