package forge

import (
	"context"
	"fmt"
	"strings"

	"code.gitea.io/sdk/gitea"

	"coopcloud.tech/abra-ccci/review"
)

// Pull is what the forge tells of a pull request now. Head and base are the tips of
// their branches, read one after the other; the merge base is the forge's, which
// works it out some time after a push: whoever clones works it out again.
func (g *Gitea) Pull(ctx context.Context, number int) (review.Pull, error) {
	c, cancel, err := g.begin(ctx)
	if err != nil {
		return review.Pull{}, err
	}
	defer cancel()
	pr, resp, err := c.GetPullRequest(g.owner, g.name, int64(number))
	if err != nil {
		return review.Pull{}, c.failed(fmt.Sprintf("read pull request %d of %s", number, g.repo()), resp, err)
	}
	if err := c.checkPull(pr, number); err != nil {
		return review.Pull{}, err
	}
	base, err := c.tip(pr.Base.Ref)
	if err != nil {
		return review.Pull{}, err
	}
	return review.Pull{
		Subject: review.Subject{
			Repo:      pr.Base.Repository.FullName,
			PR:        number,
			Head:      pr.Head.Sha,
			Base:      base,
			MergeBase: pr.MergeBase,
		},
		Title:    clip(oneLine(pr.Title)),
		Author:   pr.Poster.UserName,
		URL:      g.pullURL(number),
		CloneURL: g.url + "/" + g.repo() + ".git",
		HeadRepo: headRepo(pr),
		BaseRef:  pr.Base.Ref,
		Open:     pr.State == gitea.StateOpen,
		Merged:   pr.HasMerged,
	}, nil
}

func (g *Gitea) pullURL(number int) string {
	return fmt.Sprintf("%s/%s/pulls/%d", g.url, g.repo(), number)
}

// checkPull tells whether an answer is about the pull request that was asked for,
// and holds what it must.
func (c *call) checkPull(pr *gitea.PullRequest, number int) error {
	switch {
	case pr.Base == nil || pr.Base.Repository == nil || pr.Head == nil || pr.Poster == nil:
		return c.bad("a pull request without base, head or author")
	case pr.Index != int64(number):
		return c.bad("pull request %d, where %d was asked for", pr.Index, number)
	case !isSameRepo(pr.Base.Repository.FullName, c.repo()):
		return c.bad("a pull request of %q, where %s was asked for", pr.Base.Repository.FullName, c.repo())
	case !isSHA(pr.Head.Sha):
		return c.bad("head %q of pull request %d is no SHA-1", pr.Head.Sha, number)
	case !isSHA(pr.MergeBase):
		return c.bad("merge base %q of pull request %d is no SHA-1", pr.MergeBase, number)
	case !isBranch(pr.Base.Ref):
		return c.bad("base %q of pull request %d is no branch", pr.Base.Ref, number)
	case !ownerForm().MatchString(pr.Poster.UserName):
		return c.bad("author %q of pull request %d is no login", pr.Poster.UserName, number)
	case pr.State != gitea.StateOpen && pr.State != gitea.StateClosed:
		return c.bad("pull request %d is %q", number, pr.State)
	case pr.HasMerged && pr.State == gitea.StateOpen:
		return c.bad("pull request %d is merged, and open", number)
	}
	if from := headRepo(pr); from != "" {
		if _, _, ok := splitRepo(from); !ok {
			return c.bad("pull request %d comes from %q, which is no repository", number, from)
		}
	}
	return nil
}

// isSameRepo tells whether two owner/name are one to a forge, which minds no capitals.
// Others than ASCII's would fold into it, too: the Kelvin sign is a k.
func isSameRepo(told, asked string) bool {
	_, _, ok := splitRepo(told)
	return ok && strings.EqualFold(told, asked)
}

func headRepo(pr *gitea.PullRequest) string {
	if pr.Head.Repository == nil {
		return ""
	}
	return pr.Head.Repository.FullName
}

// tip is the commit that a branch of the repository is at: what the pull request
// itself says of its base need not be of today.
func (c *call) tip(branch string) (string, error) {
	b, resp, err := c.GetRepoBranch(c.owner, c.name, branch)
	if err != nil {
		return "", c.failed(fmt.Sprintf("read branch %q of %s", branch, c.repo()), resp, err)
	}
	if b == nil || b.Commit == nil || b.Name != branch || !isSHA(b.Commit.ID) {
		return "", c.bad("branch %q without a SHA-1 or under another name", branch)
	}
	return b.Commit.ID, nil
}
