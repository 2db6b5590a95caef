package recipe

import (
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// A PastFile is a file as a commit between two others had it, and neither of them.
type PastFile struct {
	Commit string // the newest that has it, 40 hex digits
	Path   string // in the tree, with slashes; whatever git takes for a name
	Data   []byte // nil if the file is larger than what was asked for
}

// maxPast is how many commits Past reads at most.
const maxPast = 1000

// Past calls visit with every content of a file that the commits after base, up to
// head, brought and took away again: it is in the history that a merge publishes,
// and in neither tree. Each is told once, by the first path that has it. It returns how many commits there are. A history of more than
// 1000, or one that was cut off, is an error.
func (r *Recipe) Past(base, head Commit, maxFile int64, visit func(PastFile) error) (commits int, err error) {
	known, err := r.ancestors(base)
	if err != nil {
		return 0, err
	}
	known[base.SHA] = true
	p := &past{recipe: r, seen: map[plumbing.Hash]bool{}, maxFile: maxFile}
	for _, end := range []Commit{base, head} {
		if err := p.commit(end.SHA); err != nil {
			return 0, err
		}
	}
	p.visit = visit
	queue := []plumbing.Hash{plumbing.NewHash(head.SHA)}
	for ; len(queue) > 0; queue = queue[1:] {
		sha := queue[0].String()
		if known[sha] {
			continue
		}
		known[sha] = true
		if commits++; commits > maxPast {
			return commits, fmt.Errorf("%.12s is more than %d commits away from %.12s", head.SHA, maxPast, base.SHA)
		}
		if err := p.commit(sha); err != nil {
			return commits, err
		}
		commit, err := r.repo.CommitObject(queue[0])
		if err != nil {
			return commits, err
		}
		queue = append(queue, commit.ParentHashes...)
	}
	return commits, nil
}

// A past looks through trees. What it has seen anywhere it does not look at again, so
// that a tree which holds itself a million times over is looked at once.
type past struct {
	recipe  *Recipe
	seen    map[plumbing.Hash]bool // trees and files
	maxFile int64
	visit   func(PastFile) error // nil: what is there is only noted
}

func (p *past) commit(sha string) error {
	commit, err := p.recipe.repo.CommitObject(plumbing.NewHash(sha))
	if err == nil {
		err = p.tree(sha, commit.TreeHash, "")
	}
	if err != nil {
		return fmt.Errorf("commit %s: %w", sha, err)
	}
	return nil
}

func (p *past) tree(sha string, hash plumbing.Hash, dir string) error {
	if p.seen[hash] {
		return nil
	}
	p.seen[hash] = true
	tree, err := p.recipe.repo.TreeObject(hash)
	if err != nil {
		return fmt.Errorf("tree %s: %w", hash, err)
	}
	for _, e := range tree.Entries {
		name := dir + e.Name
		if len(name) > maxPath {
			return fmt.Errorf("a path is longer than %d bytes: %q…", maxPath, printable(name[:60]))
		}
		switch e.Mode {
		case filemode.Dir:
			err = p.tree(sha, e.Hash, name+"/")
		case filemode.Regular, filemode.Executable, filemode.Deprecated:
			err = p.file(sha, e.Hash, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *past) file(sha string, hash plumbing.Hash, name string) error {
	if p.seen[hash] {
		return nil
	}
	p.seen[hash] = true
	if p.visit == nil {
		return nil
	}
	data, err := p.recipe.blob(hash, p.maxFile)
	if err != nil {
		return fmt.Errorf("%q: %w", printable(name), err)
	}
	return p.visit(PastFile{sha, name, data})
}

// blob reads a file, unless it is larger than max bytes.
func (r *Recipe) blob(h plumbing.Hash, max int64) ([]byte, error) {
	b, err := r.repo.BlobObject(h)
	if err != nil || b.Size > max {
		return nil, err
	}
	in, err := b.Reader()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data := make([]byte, b.Size)
	_, err = io.ReadFull(in, data)
	return data, err
}
