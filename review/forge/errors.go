package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"code.gitea.io/sdk/gitea"
)

const tokenTip = "give a token with read:user, write:issue and write:repository in GITEA_TOKEN or a file"

// An Error is why a forge could not be asked, or what is wrong with its answer.
type Error struct {
	What string // what was wrong, without the token
	Tip  string // what to do about it
	Err  error  // context.Canceled or DeadlineExceeded, if that is why; else nil
}

func (e *Error) Error() string { return e.What }

// Hint is what to do about it.
func (e *Error) Hint() string { return e.Tip }

func (e *Error) Unwrap() error { return e.Err }

// bad is an answer that is not what a forge answers.
func (c *call) bad(format string, args ...any) error {
	return &Error{
		What: c.host() + " answers what can't be: " + c.clean(fmt.Sprintf(format, args...)),
		Tip:  "see whether " + c.url + " is a Gitea or Forgejo that is well, then ask again",
	}
}

// failed says why the forge did not do what it was asked to, such as "read pull
// request 3 of a/b".
func (c *call) failed(doing string, resp *gitea.Response, err error) error {
	what := "could not " + doing + ": "
	switch ctxErr := c.ctx.Err(); {
	case errors.Is(ctxErr, context.DeadlineExceeded):
		return &Error{what + c.host() + " did not answer in " + c.timeout.String(), "ask again; see whether the forge is up", ctxErr}
	case ctxErr != nil:
		return &Error{what + "interrupted", "ask again", ctxErr}
	case errors.Is(err, errTooLarge):
		return &Error{what + errTooLarge.Error(), "see what " + c.url + " answers; too many comments under one pull request can be the cause", nil}
	case resp == nil || resp.Response == nil:
		return &Error{what + c.clean(err.Error()), "see whether " + c.url + " is the forge, and can be reached from here", nil}
	}
	answer, tip := c.refusal(resp, err)
	return &Error{what + c.host() + " " + answer, tip, nil}
}

// refusal puts an answer other than success into words.
func (c *call) refusal(resp *gitea.Response, err error) (answer, tip string) {
	said := strconv.Quote(c.clean(err.Error()))
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return "answers no JSON that fits: " + said, "see whether " + c.url + " is a Gitea or Forgejo"
	case code/100 == 3:
		return "redirects to " + c.target(resp) + ", and the token stays here", "if the forge or the repository has moved, give its new address or name"
	case code == http.StatusUnauthorized:
		return "does not know the token (401)", tokenTip
	case code == http.StatusForbidden:
		return "does not allow it (403): " + said, tokenTip + ", of an account that may write to " + c.repo()
	case code == http.StatusNotFound && c.token == "":
		return "knows nothing of it (404)", "check owner/name and number; a private repository is shown only to a token: GITEA_TOKEN or a file"
	case code == http.StatusNotFound:
		return "knows nothing of it (404)", "check owner/name and number, and that the token's account may read " + c.repo() + ": a private repository answers 404 to strangers"
	case code == http.StatusTooManyRequests:
		return "has been asked too often (429)", "ask again " + later(resp)
	case code >= 500:
		return fmt.Sprintf("is not well (%d): %s", code, said), "ask again later; nothing is wrong with the pull request"
	default:
		return fmt.Sprintf("refuses (%d): %s", code, said), "see " + c.url + "/" + c.repo()
	}
}

// later is when to ask again, as the forge says it.
func later(resp *gitea.Response) string {
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		return fmt.Sprintf("in %d s", s)
	}
	return "later"
}

// target is the host that a redirect names.
func (c *call) target(resp *gitea.Response) string {
	u, err := url.Parse(resp.Header.Get("Location"))
	switch {
	case err != nil || u.Host != "" && !isHost(u.Host):
		return "nowhere"
	case u.Host == "":
		return "another page of its own"
	}
	return u.Host
}

func (c *call) host() string {
	_, rest, _ := strings.Cut(c.url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// clean is text from outside, short, on one line and without the token.
func (c *call) clean(s string) string {
	if c.token != "" {
		s = strings.ReplaceAll(s, c.token, "[token]")
	}
	return clip(oneLine(s))
}
