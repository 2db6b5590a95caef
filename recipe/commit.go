package recipe

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A Commit is one exact state of a recipe.
type Commit struct {
	SHA     string // 40 hex digits
	Short   string // the first 8, as abra writes them into its chaos label
	Ref     string // what was asked for; "HEAD" for ""
	Version string // the highest release that points at it, else Short
	When    time.Time
}

// Release reports whether a release tag points at the commit.
func (c Commit) Release() bool { return c.Version != c.Short }

// shortLength is how many digits of a SHA abra shows.
const shortLength = 8

// A Tag is a tag of the repository.
type Tag struct {
	Name      string
	Annotated bool   // a tag object, not just a name for a commit
	SHA       string // of the commit that it leads to
	Version   Version
	IsVersion bool // Name is a version; else Version is zero
}

// Release reports whether abra would deploy the tag: an annotated version.
func (t Tag) Release() bool { return t.Annotated && t.IsVersion }

// Tags lists the tags that lead to commits: versions first, ascending, then
// the others by name.
func (r *Recipe) Tags() ([]Tag, error) {
	refs, err := r.repo.Tags()
	if err != nil {
		return nil, fmt.Errorf("tags of %q: %w", r.Dir, err)
	}
	var tags []Tag
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		tag, err := r.tag(ref)
		if errors.Is(err, errNoCommit) {
			return nil // a tag on a blob or tree is nobody's release
		}
		tags = append(tags, tag)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tags of %q: %w", r.Dir, err)
	}
	slices.SortFunc(tags, compareTags)
	return tags, nil
}

func compareTags(a, b Tag) int {
	switch {
	case a.IsVersion && !b.IsVersion:
		return -1
	case !a.IsVersion && b.IsVersion:
		return 1
	}
	if c := a.Version.Compare(b.Version); a.IsVersion && c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

func (r *Recipe) tag(ref *plumbing.Reference) (Tag, error) {
	t := Tag{Name: ref.Name().Short()}
	commit, err := r.peel(ref.Hash())
	if err != nil {
		return t, err
	}
	t.SHA = commit.Hash.String()
	t.Annotated = commit.Hash != ref.Hash()
	t.Version, t.IsVersion = ParseVersion(t.Name)
	return t, nil
}

var errNoCommit = errors.New("not a commit")

// peel follows tag objects to the commit that they lead to.
func (r *Recipe) peel(h plumbing.Hash) (*object.Commit, error) {
	for range 10 { // git itself never nests tags deeper by accident
		obj, err := r.repo.Object(plumbing.AnyObject, h)
		if err != nil {
			return nil, fmt.Errorf("object %s: %w", h, err)
		}
		switch obj := obj.(type) {
		case *object.Commit:
			return obj, nil
		case *object.Tag:
			h = obj.Target
		default:
			return nil, fmt.Errorf("object %s: %w", h, errNoCommit)
		}
	}
	return nil, fmt.Errorf("object %s: %w", h, errNoCommit)
}

// Commit resolves ref: "" is HEAD; else a tag, a branch, a branch of origin
// (with or without "origin/"), or a SHA, full or at least 4 digits of it. A
// name that means two different commits is an error, as is what git would
// read as an expression.
func (r *Recipe) Commit(ref string) (Commit, error) {
	hash, err := r.resolve(ref)
	if err != nil {
		return Commit{}, err
	}
	obj, err := r.peel(hash)
	if err != nil {
		return Commit{}, fmt.Errorf("ref %q of %q: %w", ref, r.Dir, err)
	}
	if ref == "" {
		ref = "HEAD"
	}
	return r.describe(obj, ref)
}

func (r *Recipe) describe(obj *object.Commit, ref string) (Commit, error) {
	sha := obj.Hash.String()
	c := Commit{SHA: sha, Short: sha[:shortLength], Ref: ref, When: obj.Committer.When}
	c.Version = c.Short
	tags, err := r.Tags()
	if err != nil {
		return Commit{}, err
	}
	for _, t := range tags { // ascending: the highest stays
		if t.Release() && t.SHA == sha {
			c.Version = t.Name
		}
	}
	return c, nil
}

func (r *Recipe) resolve(ref string) (plumbing.Hash, error) {
	if ref == "" || ref == "HEAD" {
		head, err := r.repo.Head()
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("reading HEAD of %q: %w", r.Dir, err)
		}
		return head.Hash(), nil
	}
	if strings.HasPrefix(ref, "-") || hasControl(ref) || strings.ContainsAny(ref, " ~^:?*[\\") || strings.Contains(ref, "..") {
		return plumbing.ZeroHash, hinted("give a branch, a tag or a SHA", "%q cannot be a ref", ref)
	}
	if plumbing.IsHash(ref) {
		return plumbing.NewHash(ref), nil
	}
	hash, err := r.resolveName(ref)
	if err != nil || !hash.IsZero() {
		return hash, err
	}
	return r.resolveShort(ref)
}

// resolveName looks ref up as a name; the zero hash is a name that is not there.
func (r *Recipe) resolveName(ref string) (plumbing.Hash, error) {
	var found *plumbing.Reference
	for _, pattern := range []string{"%s", "refs/tags/%s", "refs/heads/%s", "refs/remotes/%s", "refs/remotes/origin/%s"} {
		name := plumbing.ReferenceName(fmt.Sprintf(pattern, ref))
		if !strings.HasPrefix(string(name), "refs/") || found != nil && name.IsRemote() {
			continue // a remote's branch of the same name is where the local one came from
		}
		got, err := r.repo.Reference(name, true)
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			continue
		}
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("ref %q of %q: %w", ref, r.Dir, err)
		}
		if found != nil && found.Hash() != got.Hash() {
			return plumbing.ZeroHash, hinted(fmt.Sprintf("give %s or %s", found.Name(), got.Name()), "ref %q is both a tag and a branch", ref)
		}
		found = got
	}
	if found == nil {
		return plumbing.ZeroHash, nil
	}
	return found.Hash(), nil
}

func (r *Recipe) resolveShort(ref string) (plumbing.Hash, error) {
	unknown := hinted(fmt.Sprintf("git -C %s fetch --tags origin", shellWord(r.Dir)),
		"no branch, tag or commit %q in %q", ref, r.Dir)
	if len(ref) < 4 || strings.Trim(ref, "0123456789abcdef") != "" {
		return plumbing.ZeroHash, unknown
	}
	found, err := r.commitsStarting(ref)
	switch {
	case err != nil:
		return plumbing.ZeroHash, err
	case len(found) == 0:
		return plumbing.ZeroHash, unknown
	case len(found) > 1:
		return plumbing.ZeroHash, hinted("give more digits", "%q begins the SHAs of %d commits", ref, len(found))
	}
	return found[0], nil
}

func (r *Recipe) commitsStarting(prefix string) (found []plumbing.Hash, err error) {
	whole, err := hex.DecodeString(prefix[:len(prefix)/2*2])
	if err != nil {
		return nil, err
	}
	finder, ok := r.repo.Storer.(interface {
		HashesWithPrefix([]byte) ([]plumbing.Hash, error)
	})
	if !ok {
		return nil, fmt.Errorf("this repository cannot look up %q: give the full SHA", prefix)
	}
	hashes, err := finder.HashesWithPrefix(whole)
	if err != nil {
		return nil, fmt.Errorf("looking up %q: %w", prefix, err)
	}
	for _, h := range hashes {
		obj, err := r.repo.Storer.EncodedObject(plumbing.AnyObject, h)
		if err == nil && obj.Type() == plumbing.CommitObject && strings.HasPrefix(h.String(), prefix) && !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	return found, nil
}

// ancestors is every commit in c's history, c itself not among them. A
// shallow clone's history ends where it was cut.
func (r *Recipe) ancestors(c Commit) (map[string]bool, error) {
	seen := map[string]bool{}
	queue := []plumbing.Hash{plumbing.NewHash(c.SHA)}
	for len(queue) > 0 {
		obj, err := r.repo.CommitObject(queue[0])
		queue = queue[1:]
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", c.Short, err)
		}
		for _, p := range obj.ParentHashes {
			if !seen[p.String()] {
				seen[p.String()] = true
				queue = append(queue, p)
			}
		}
	}
	return seen, nil
}
