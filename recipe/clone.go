package recipe

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage"
)

// A hostile tree can name the same small subtree a thousandfold at every level.
const (
	maxTreeEntries = 50_000
	maxTreeBytes   = 256 << 20
)

// cloneInto makes dir a repository that holds c's history and every tag, with
// c's files beside it. go-git's own file transport runs the git binary, and
// its checkout follows what it wrote; so objects are copied as one pack and
// files are written here.
func (r *Recipe) cloneInto(c Commit, dir string) error {
	repo, err := git.PlainInit(dir, false)
	if err != nil {
		return err
	}
	head := plumbing.NewHash(c.SHA)
	tags, err := r.tagRefs()
	if err != nil {
		return err
	}
	if err := r.copyObjects(repo.Storer, head, tags); err != nil {
		return err
	}
	for _, ref := range append(tags, plumbing.NewHashReference(plumbing.HEAD, head)) {
		if err := repo.Storer.SetReference(ref); err != nil {
			return err
		}
	}
	commit, err := repo.CommitObject(head)
	if err != nil {
		return err
	}
	tree, err := commit.Tree()
	if err != nil {
		return err
	}
	if err := writeTree(repo.Storer, tree, dir); err != nil {
		return err
	}
	return writeIndex(repo, head)
}

// writeIndex makes `git status` in the clone say that nothing has changed.
func writeIndex(repo *git.Repository, head plumbing.Hash) error {
	tree, err := repo.Worktree()
	if err != nil {
		return err
	}
	return tree.Reset(&git.ResetOptions{Mode: git.MixedReset, Commit: head})
}

func (r *Recipe) tagRefs() (refs []*plumbing.Reference, err error) {
	iter, err := r.repo.Tags()
	if err != nil {
		return nil, err
	}
	err = iter.ForEach(func(ref *plumbing.Reference) error {
		refs = append(refs, ref)
		return nil
	})
	return refs, err
}

func (r *Recipe) copyObjects(to storage.Storer, head plumbing.Hash, tags []*plumbing.Reference) error {
	shallow, err := r.repo.Storer.Shallow()
	if err != nil {
		return err
	}
	start := []plumbing.Hash{head}
	for _, t := range tags {
		start = append(start, t.Hash())
	}
	hashes, err := reachable(r.repo.Storer, start, shallow)
	if err != nil {
		return err
	}
	if err := to.SetShallow(shallow); err != nil {
		return err
	}
	reader, writer := io.Pipe()
	go func() {
		_, err := packfile.NewEncoder(writer, r.repo.Storer, false).Encode(hashes, 0)
		writer.CloseWithError(err)
	}()
	err = packfile.UpdateObjectStorage(to, reader)
	reader.CloseWithError(errors.New("pack was not read to its end"))
	return err
}

// reachable lists every object that start leads to. History ends at shallow
// commits, as their parents are not there.
func reachable(from storer.EncodedObjectStorer, start, shallow []plumbing.Hash) ([]plumbing.Hash, error) {
	seen := map[plumbing.Hash]bool{}
	var list []plumbing.Hash
	queue := slices.Clone(start)
	for len(queue) > 0 {
		h := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[h] {
			continue
		}
		seen[h] = true
		list = append(list, h)
		next, err := references(from, h, shallow)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w", h, err)
		}
		queue = append(queue, next...)
	}
	return list, nil
}

// references lists the objects that one object names.
func references(from storer.EncodedObjectStorer, h plumbing.Hash, shallow []plumbing.Hash) (next []plumbing.Hash, err error) {
	obj, err := object.GetObject(from, h)
	if err != nil {
		return nil, err
	}
	switch obj := obj.(type) {
	case *object.Tag:
		next = append(next, obj.Target)
	case *object.Commit:
		next = append(next, obj.TreeHash)
		if !slices.Contains(shallow, h) {
			next = append(next, obj.ParentHashes...)
		}
	case *object.Tree:
		for _, e := range obj.Entries {
			if e.Mode != filemode.Submodule {
				next = append(next, e.Hash)
			}
		}
	}
	return next, nil
}

// A treeWriter puts the files of a git tree into a folder. Symlinks are made
// last, so that no file is ever written through one.
type treeWriter struct {
	from    storer.EncodedObjectStorer
	root    *os.Root
	entries int
	bytes   int64
	links   []link
}

type link struct{ path, target string }

func writeTree(from storer.EncodedObjectStorer, tree *object.Tree, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	w := &treeWriter{from: from, root: root}
	if err := w.tree(tree, "."); err != nil {
		return err
	}
	return w.symlinks()
}

func (w *treeWriter) tree(tree *object.Tree, dir string) error {
	for _, e := range tree.Entries {
		if err := checkEntryName(dir, e.Name); err != nil {
			return err
		}
		if w.entries++; w.entries > maxTreeEntries {
			return fmt.Errorf("more than %d files and folders", maxTreeEntries)
		}
		name := path.Join(dir, e.Name)
		if err := w.entry(e, name); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

func (w *treeWriter) entry(e object.TreeEntry, name string) error {
	switch e.Mode {
	case filemode.Submodule:
		return w.root.Mkdir(name, 0o755) // as git leaves it: empty
	case filemode.Dir:
		if err := w.root.Mkdir(name, 0o755); err != nil {
			return err
		}
		sub, err := object.GetTree(w.from, e.Hash)
		if err != nil {
			return err
		}
		return w.tree(sub, name)
	case filemode.Symlink:
		return w.readLink(e, name)
	case filemode.Regular, filemode.Deprecated:
		return w.file(e, name, 0o644)
	case filemode.Executable:
		return w.file(e, name, 0o755)
	}
	return fmt.Errorf("unknown kind of file %s", e.Mode)
}

func (w *treeWriter) file(e object.TreeEntry, name string, mode os.FileMode) (err error) {
	blob, err := object.GetBlob(w.from, e.Hash)
	if err != nil {
		return err
	}
	if w.bytes += blob.Size; w.bytes > maxTreeBytes {
		return fmt.Errorf("the files are larger than %d MiB together", maxTreeBytes>>20)
	}
	in, err := blob.Reader()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// maxLink is the longest target that a filesystem takes, in bytes.
const maxLink = 4095

func (w *treeWriter) readLink(e object.TreeEntry, name string) error {
	blob, err := object.GetBlob(w.from, e.Hash)
	if err != nil {
		return err
	}
	in, err := blob.Reader()
	if err != nil {
		return err
	}
	defer in.Close()
	target, err := io.ReadAll(io.LimitReader(in, maxLink+1))
	if err != nil {
		return err
	}
	w.links = append(w.links, link{name, string(target)})
	return nil
}

// symlinks makes the links, and refuses those that lead out of the tree: by
// their own words, or by way of another link.
func (w *treeWriter) symlinks() error {
	for _, l := range w.links {
		if to := path.Join(path.Dir(l.path), l.target); path.IsAbs(l.target) || to == ".." || strings.HasPrefix(to, "../") {
			return linkError(l)
		}
		if err := w.root.Symlink(l.target, l.path); err != nil {
			return fmt.Errorf("%q: %w", l.path, err)
		}
	}
	for _, l := range w.links {
		if _, err := w.root.Stat(l.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return linkError(l)
		}
	}
	return nil
}

func linkError(l link) error {
	return hinted("replace the symlink by a file", "%q is a symlink to %q, which leads out of the recipe", l.path, l.target)
}

// checkEntryName refuses names that git itself would not check out, or that
// could not be shown to anybody.
func checkEntryName(dir, name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\") || hasControl(name) || strings.EqualFold(name, ".git") {
		return fmt.Errorf("%q cannot be the name of a file in %q", name, dir)
	}
	return nil
}
