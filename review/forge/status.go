package forge

import (
	"context"
	"fmt"
	"net/url"

	"code.gitea.io/sdk/gitea"

	"coopcloud.tech/abra-ccci/review"
)

// SetStatus sets the commit status of a commit under its context; the one that was
// set last counts. A description is cut to one line.
func (g *Gitea) SetStatus(ctx context.Context, sha string, s review.CommitStatus) error {
	if err := checkStatus(sha, s); err != nil {
		return err
	}
	c, cancel, err := g.beginWriting(ctx, "a commit status")
	if err != nil {
		return err
	}
	defer cancel()
	set, resp, err := c.CreateStatus(g.owner, g.name, sha, gitea.CreateStatusOption{
		State: gitea.StatusState(s.State), Context: s.Context, Description: clip(oneLine(s.Description)), TargetURL: s.URL,
	})
	if err != nil {
		return c.failed(fmt.Sprintf("set the status of %s in %s", sha, g.repo()), resp, err)
	}
	if set.State != gitea.StatusState(s.State) || set.Context != s.Context {
		return c.bad("status %q of %q, where %q of %q was set", set.State, set.Context, s.State, s.Context)
	}
	return nil
}

func checkStatus(sha string, s review.CommitStatus) error {
	bad := func(what string) error {
		return &Error{What: "no commit status without " + what, Tip: "this is a mistake in abra-ccci: tell its maintainers"}
	}
	switch s.State {
	case review.StatePending, review.StateSuccess, review.StateFailure, review.StateError:
	default:
		return bad("a state")
	}
	u, err := url.Parse(s.URL)
	switch {
	case !isSHA(sha):
		return bad("a SHA-1")
	case s.Context == "" || len(s.Context) > 255 || oneLine(s.Context) != s.Context:
		return bad("a context on one line")
	case s.URL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil):
		return bad("a web page as its URL")
	}
	return nil
}
