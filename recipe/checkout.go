package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coopcloud.tech/abra-ccci/labels"
)

// A Checkout is one exact state of a recipe in a folder of its own.
type Checkout struct {
	Recipe string
	Dir    string // absolute
	Commit Commit
	Sample *labels.Env // .env.sample; empty if there is none

	// Exports are the `export X=y` lines of abra.sh, where the versions of
	// configs are kept. Only literal values are read, none is computed.
	Exports map[string]string
	// Computed names the exports of abra.sh that are no literals, and are
	// therefore unknown here.
	Computed []string
}

// Checkout makes a pristine clone of exactly c in dir, which must not exist
// or be empty: objects copied, HEAD detached at c, every tag of the
// repository, no branch, no remote, no hook, no submodule. A symlink that leads out of
// the tree is an error that names it. After an error dir is gone.
func (r *Recipe) Checkout(c Commit, dir string) (*Checkout, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("checking out %s: %w", c.Short, err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("checking out %s: %q is not empty", c.Short, dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("checking out %s: %w", c.Short, err)
	}
	co, err := r.checkout(c, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("checking out %s of %s: %w", c.Short, r.Name, err), os.RemoveAll(dir))
	}
	return co, nil
}

func (r *Recipe) checkout(c Commit, dir string) (*Checkout, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := r.cloneInto(c, dir); err != nil {
		return nil, err
	}
	return load(r.Name, dir, c)
}

// Working reads the recipe's own folder as it is now, uncommitted changes
// included; its Commit is HEAD's. It is for looking at, not for judging.
func (r *Recipe) Working() (*Checkout, error) {
	head, err := r.Commit("")
	if err != nil {
		return nil, err
	}
	return load(r.Name, r.Dir, head)
}

// load reads what the checkout in dir says about itself.
func load(recipe, dir string, c Commit) (*Checkout, error) {
	co := &Checkout{Recipe: recipe, Dir: dir, Commit: c}
	sample, err := co.readOptional(".env.sample")
	if err != nil {
		return nil, err
	}
	if co.Sample, err = labels.ParseEnv(".env.sample", sample); err != nil {
		return nil, err
	}
	script, err := co.readOptional("abra.sh")
	if err != nil {
		return nil, err
	}
	co.Exports, co.Computed, err = parseExports(script)
	return co, err
}

func (c *Checkout) readOptional(name string) ([]byte, error) {
	data, err := fs.ReadFile(c.Files(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return data, nil
}

// Files is the tree, read only. Symlinks are followed inside it and refused
// where they lead out.
func (c *Checkout) Files() fs.FS { return rootFS(c.Dir) }

// rootFS opens files below a folder through os.Root, which no symlink leaves.
type rootFS string

func (f rootFS) Open(name string) (fs.File, error) {
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return nil, err
	}
	defer root.Close() // what it opened stays open
	return root.FS().Open(name)
}
