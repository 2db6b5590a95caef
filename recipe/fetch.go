package recipe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// A PullSource says where a pull request is, and which one, pinned.
type PullSource struct {
	URL       string // of the repository that it is made against: http or https, without credentials
	Token     string // the password of basic authentication; may be empty
	PR        int
	Head      string            // 40 hex digits; what refs/pull/N/head must be
	BaseRef   string            // the branch that it is to be merged into
	Base      string            // 40 hex digits; a commit of that branch
	Limit     int64             // bytes to be transferred; 0 is DefaultFetchLimit
	Transport http.RoundTripper // nil is net/http's own
}

// DefaultFetchLimit is how much is transferred at most if nothing else is said, in bytes.
const DefaultFetchLimit = 256 << 20

// A Fetched is an independent clone of a recipe, with a pull request.
type Fetched struct {
	Recipe                *Recipe
	Head, Base, MergeBase Commit
}

// A MovedError says that a ref is no longer, or never was, what was pinned.
type MovedError struct{ Ref, Pinned, Now string }

func (e *MovedError) Error() string {
	now := "is at " + e.Now
	if e.Now == "" {
		now = "is not there"
	}
	return fmt.Sprintf("%q was pinned at %s, and %s", e.Ref, e.Pinned, now)
}

// Hint is what to do about it.
func (e *MovedError) Hint() string { return "ask the forge again, and review what is there now" }

// Fetch makes an independent clone in dir, which must not exist or be empty:
// refs/pull/N/head, the base branch and every tag come over the network by
// go-git, and nothing else does. HEAD is the pull request's, with its files
// beside it as Checkout writes them; the clone has no alternates, hooks,
// submodules, remotes or credentials, and no git program ever runs. What is
// hostile or larger than the limits ends in an error, and dir is gone then. A
// pull request that has moved is a *MovedError.
//
// The forge is asked at URL's host alone; it may redirect there, or from http
// to https. Recipe.Name is as Open finds it: the pull request may have chosen it.
func Fetch(ctx context.Context, src PullSource, dir string) (*Fetched, error) {
	if err := src.check(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("fetching pull request %d: %w", src.PR, err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("fetching pull request %d: %q is not empty", src.PR, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("fetching pull request %d: %w", src.PR, err)
	}
	f, err := src.fetch(ctx, dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fetching pull request %d: %w", src.PR, err), os.RemoveAll(dir))
	}
	return f, nil
}

var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// check refuses a source before anybody is asked.
func (s *PullSource) check() error {
	if err := s.remote().check(); err != nil {
		return err
	}
	switch {
	case s.PR <= 0:
		return fmt.Errorf("%d is not a pull request", s.PR)
	case !fullSHA.MatchString(s.Head) || !fullSHA.MatchString(s.Base):
		return fmt.Errorf("a pull request is pinned by full SHAs, not by head %q and base %q", s.Head, s.Base)
	}
	return checkRefName(plumbing.NewBranchReferenceName(s.BaseRef))
}

func (s *PullSource) remote() *remote {
	return &remote{url: s.URL, token: s.Token, limit: limitOr(s.Limit), transport: s.Transport}
}

func limitOr(limit int64) int64 {
	if limit <= 0 {
		return DefaultFetchLimit
	}
	return limit
}

// checkRefName refuses what could be taken for an option or lead out of the
// folder of refs.
func checkRefName(name plumbing.ReferenceName) error {
	if name.Validate() != nil || strings.HasPrefix(name.Short(), "-") || hasControl(string(name)) || len(name) > 250 {
		return fmt.Errorf("%q cannot be the name of a branch or tag", printable(string(name)))
	}
	return nil
}

func (s *PullSource) fetch(ctx context.Context, dir string) (*Fetched, error) {
	repo, err := git.PlainInit(dir, false)
	if err != nil {
		return nil, err
	}
	var refs pullRefs
	pick := func(told *packp.AdvRefs) ([]plumbing.Hash, error) {
		var err error
		refs, err = s.pick(told)
		return refs.wants(), err
	}
	if err := s.remote().transfer(ctx, repo.Storer, dir, pick); err != nil {
		return nil, err
	}
	head, base, mergeBase, err := s.commits(repo, refs)
	if err != nil {
		return nil, err
	}
	if err := s.setRefs(repo, refs); err != nil {
		return nil, err
	}
	for _, c := range []*object.Commit{base, head} {
		if err := refuseTree(c); err != nil {
			return nil, err
		}
	}
	if err := writeHead(repo, head, dir); err != nil {
		return nil, err
	}
	return describeFetched(dir, head, base, mergeBase)
}

// commits finds the three commits, and tells whether the pull request and its
// base are where they were pinned.
func (s *PullSource) commits(repo *git.Repository, refs pullRefs) (head, base, mergeBase *object.Commit, err error) {
	if head, err = repo.CommitObject(refs.head); err != nil {
		return nil, nil, nil, fmt.Errorf("commit %s: %w", refs.head, err)
	}
	tip, err := repo.CommitObject(refs.tip)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("commit %s: %w", refs.tip, err)
	}
	moved := &MovedError{Ref: string(plumbing.NewBranchReferenceName(s.BaseRef)), Pinned: s.Base, Now: tip.Hash.String()}
	if base, err = repo.CommitObject(plumbing.NewHash(s.Base)); err != nil {
		return nil, nil, nil, moved // whatever went on, it is no commit of the branch
	}
	if is, err := base.IsAncestor(tip); err != nil {
		return nil, nil, nil, fmt.Errorf("history of %s: %w", tip.Hash, err)
	} else if !is && base.Hash != tip.Hash {
		return nil, nil, nil, moved
	}
	common, err := head.MergeBase(base)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("history of %s: %w", head.Hash, err)
	}
	if len(common) == 0 {
		return nil, nil, nil, fmt.Errorf("%s and %s have no history in common", head.Hash, base.Hash)
	}
	mergeBase = slices.MinFunc(common, func(a, b *object.Commit) int { return strings.Compare(a.Hash.String(), b.Hash.String()) })
	return head, base, mergeBase, nil
}

// setRefs names what was fetched as a clone would.
func (s *PullSource) setRefs(repo *git.Repository, refs pullRefs) error {
	remote := plumbing.NewRemoteReferenceName("origin", s.BaseRef)
	list := append(slices.Clone(refs.tags),
		plumbing.NewHashReference(pullRef(s.PR), refs.head),
		plumbing.NewHashReference(remote, plumbing.NewHash(s.Base)),
		plumbing.NewSymbolicReference(plumbing.NewRemoteHEADReferenceName("origin"), remote),
		plumbing.NewHashReference(plumbing.HEAD, refs.head))
	for _, ref := range list {
		if err := repo.Storer.SetReference(ref); err != nil {
			return fmt.Errorf("ref %q: %w", ref.Name(), err)
		}
	}
	return nil
}

func pullRef(n int) plumbing.ReferenceName {
	return plumbing.ReferenceName(fmt.Sprintf("refs/pull/%d/head", n))
}

// writeHead puts the files of a commit beside its repository.
func writeHead(repo *git.Repository, head *object.Commit, dir string) error {
	tree, err := head.Tree()
	if err != nil {
		return err
	}
	if err := writeTree(repo.Storer, tree, dir); err != nil {
		return err
	}
	return writeIndex(repo, head.Hash)
}

func describeFetched(dir string, head, base, mergeBase *object.Commit) (f *Fetched, err error) {
	f = &Fetched{}
	if f.Recipe, err = openDir(dir, ""); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		to  *Commit
		obj *object.Commit
	}{{&f.Head, head}, {&f.Base, base}, {&f.MergeBase, mergeBase}} {
		if *c.to, err = f.Recipe.describe(c.obj, c.obj.Hash.String()); err != nil {
			return nil, err
		}
	}
	return f, nil
}
