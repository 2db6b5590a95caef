package recipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// A MirrorSource says where a repository is that holds no recipe, but what
// belongs to one: its suite.
type MirrorSource struct {
	URL       string // https, or http on this machine; without credentials
	Token     string // the password of basic authentication; may be empty
	Limit     int64  // bytes to be transferred; 0 is DefaultFetchLimit
	Transport http.RoundTripper
}

// A Mirror is an independent clone of all branches of a repository.
type Mirror struct {
	repo *git.Repository
	url  string
}

// maxBranches bounds what is asked for.
const maxBranches = 1000

// FetchMirror clones every branch into dir, which must not exist or be empty,
// under the same limits as Fetch, and with as little of git at work: no files
// are written, no hooks, alternates, remotes or credentials are there. After an
// error dir is gone.
func FetchMirror(ctx context.Context, src MirrorSource, dir string) (*Mirror, error) {
	from := &remote{url: src.URL, token: src.Token, limit: limitOr(src.Limit), transport: src.Transport}
	if err := from.check(); err != nil {
		return nil, err
	}
	if u, err := url.Parse(src.URL); err != nil || u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, hinted("use https", "%s would be asked for everybody to read and to change", src.URL)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("fetching %s: %q is not empty", src.URL, dir)
	}
	repo, err := git.PlainInit(dir, true)
	if err == nil {
		err = from.transfer(ctx, repo.Storer, dir, branches)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fetching %s: %w", src.URL, err), os.RemoveAll(dir))
	}
	return &Mirror{repo: repo, url: src.URL}, nil
}

// branches are the tips of all branches that a forge tells of.
func branches(told *packp.AdvRefs) (tips []plumbing.Hash, err error) {
	seen := map[plumbing.Hash]bool{}
	for name, hash := range told.References {
		if strings.HasPrefix(name, "refs/heads/") && !seen[hash] {
			seen[hash] = true
			tips = append(tips, hash)
		}
	}
	switch {
	case len(tips) == 0:
		return nil, errors.New("the repository has no branch")
	case len(tips) > maxBranches:
		return nil, fmt.Errorf("the repository has more than %d branches", maxBranches)
	}
	return tips, nil
}

// Files writes the files of a commit, named by its whole id, into dir, which
// must not exist, and returns them as they can be read without leaving it. A
// symlink that leads out of the tree and a submodule are errors. After an error
// dir is gone.
func (m *Mirror) Files(sha, dir string) (fs.FS, error) {
	if !fullSHA.MatchString(sha) {
		return nil, hinted("git rev-parse shows the whole id", "%q is not the id of a commit, 40 hex digits", sha)
	}
	commit, err := m.repo.CommitObject(plumbing.NewHash(sha))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, hinted("push it to a branch of that repository, or name a commit that is in one", "commit %s is in no branch of %s", sha, m.url)
	}
	if err != nil {
		return nil, fmt.Errorf("commit %s of %s: %w", sha, m.url, err)
	}
	if err := refuseTree(commit); err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	tree, err := commit.Tree()
	if err == nil {
		err = writeTree(m.repo.Storer, tree, dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("commit %s of %s: %w", sha, m.url, err), os.RemoveAll(dir))
	}
	return rootFS(dir), nil
}

// Contains tells whether a commit is another one or has it in its history.
// Both must be there.
func (m *Mirror) Contains(sha, older string) (bool, error) {
	if sha == older {
		return true, nil
	}
	commit, err := m.repo.CommitObject(plumbing.NewHash(sha))
	if err != nil {
		return false, fmt.Errorf("commit %s of %s: %w", sha, m.url, err)
	}
	before, err := m.repo.CommitObject(plumbing.NewHash(older))
	if err != nil {
		return false, fmt.Errorf("commit %s of %s: %w", older, m.url, err)
	}
	return before.IsAncestor(commit)
}
