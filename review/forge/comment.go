package forge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"code.gitea.io/sdk/gitea"
)

const (
	pageSize    = 50
	maxPages    = 100 // of comments under a pull request
	maxListings = 5   // of all comments, until two agree
	maxComment  = 256 << 10
)

// marker is the first line of the comment for a head. Nobody sees it, but anybody can
// write it: only a comment by the token's own account counts.
func marker(head string) string { return "<!-- abra-ccci review " + head + " -->" }

// Comment writes the one comment for a head under a pull request, or edits it in
// place if the token's account has written it before. body is Markdown of at most
// 256 KiB. It returns the comment's URL.
func (g *Gitea) Comment(ctx context.Context, number int, head, body string) (string, error) {
	if err := checkComment(head, body); err != nil {
		return "", err
	}
	c, cancel, err := g.beginWriting(ctx, "commenting")
	if err != nil {
		return "", err
	}
	defer cancel()
	me, resp, err := c.GetMyUserInfo()
	if err != nil {
		return "", c.failed("read whose token this is", resp, err)
	}
	if me.ID <= 0 {
		return "", c.bad("an account without an id")
	}
	id, err := c.find(number, marker(head), me.ID)
	if err != nil {
		return "", err
	}
	written, err := c.write(number, id, marker(head)+"\n"+body)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s#issuecomment-%d", g.pullURL(number), written), nil
}

func checkComment(head, body string) error {
	switch {
	case !isSHA(head):
		return &Error{What: fmt.Sprintf("head %q is no SHA-1", clip(head)), Tip: "comment on the head that was reviewed"}
	case len(body) > maxComment:
		return &Error{What: fmt.Sprintf("a comment of %d bytes: at most %d are written", len(body), maxComment), Tip: "shorten it; the ledger holds the whole verdict"}
	case !utf8.ValidString(body) || strings.ContainsRune(body, 0):
		return &Error{What: "a comment that is no text", Tip: "write UTF-8 without NUL"}
	}
	return nil
}

// write makes a comment, or edits the one with the id if it is not 0.
func (c *call) write(number int, id int64, text string) (int64, error) {
	var made *gitea.Comment
	var resp *gitea.Response
	var err error
	if id != 0 {
		made, resp, err = c.EditIssueComment(c.owner, c.name, id, gitea.EditIssueCommentOption{Body: text})
	} else {
		made, resp, err = c.CreateIssueComment(c.owner, c.name, int64(number), gitea.CreateIssueCommentOption{Body: text})
	}
	if err != nil {
		return 0, c.failed(fmt.Sprintf("comment on pull request %d of %s", number, c.repo()), resp, err)
	}
	if made.ID <= 0 || id != 0 && made.ID != id {
		return 0, c.bad("comment %d, where %d was written", made.ID, id)
	}
	return made.ID, nil
}

// find is the oldest comment that begins with the marker and was written by me; 0 if
// there is none. A comment that is removed while the pages are read moves the rest
// up, and one of them between two pages: that there is none is believed only once two
// listings in a row are the same.
func (c *call) find(number int, marker string, me int64) (int64, error) {
	var before []int64
	for range maxListings {
		ids, found, err := c.list(number, marker, me)
		if err != nil || found != 0 {
			return found, err
		}
		if len(ids) == 0 || slices.Equal(ids, before) {
			return 0, nil
		}
		before = ids
	}
	return 0, &Error{
		What: fmt.Sprintf("could not list the comments of pull request %d: they change while they are read", number),
		Tip:  "ask again once it is quiet there",
	}
}

// list reads page after page until one brings nothing new, as some forges ignore the
// page that is asked for. It returns the sorted ids, and what find is to find.
func (c *call) list(number int, marker string, me int64) (ids []int64, found int64, err error) {
	seen := map[int64]bool{}
	for page := 1; page <= maxPages; page++ {
		comments, resp, err := c.ListIssueComments(c.owner, c.name, int64(number),
			gitea.ListIssueCommentOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: pageSize}})
		if err != nil {
			return nil, 0, c.failed(fmt.Sprintf("list the comments of pull request %d of %s", number, c.repo()), resp, err)
		}
		known := len(seen)
		for _, comment := range comments {
			if comment == nil || comment.ID <= 0 {
				return nil, 0, c.bad("a comment without an id")
			}
			seen[comment.ID] = true
			if isMine(comment, marker, me) && (found == 0 || comment.ID < found) {
				found = comment.ID
			}
		}
		if len(seen) == known || found != 0 {
			for id := range seen {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			return ids, found, nil
		}
	}
	return nil, 0, &Error{
		What: fmt.Sprintf("could not list the comments of pull request %d: more than %d pages", number, maxPages),
		Tip:  "see what is under " + c.pullURL(number),
	}
}

func isMine(comment *gitea.Comment, marker string, me int64) bool {
	first, _, _ := strings.Cut(comment.Body, "\n")
	return comment.Poster != nil && comment.Poster.ID == me && strings.TrimRight(first, "\r") == marker
}
