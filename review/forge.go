package review

import "context"

// A Forge is where pull requests live. Whatever it tells is data that others
// wrote.
type Forge interface {
	// Pull is what the forge tells of a pull request now.
	Pull(ctx context.Context, number int) (Pull, error)
	// Comment writes the one comment for a head under a pull request: the
	// comment that an earlier call made for the same head is edited.
	// It returns the comment's URL.
	Comment(ctx context.Context, number int, head, body string) (string, error)
	// SetStatus sets the commit status of a commit.
	SetStatus(ctx context.Context, sha string, s CommitStatus) error
}

// A Pull is what a forge tells of a pull request.
type Pull struct {
	Subject
	Title    string
	Author   string // login name
	URL      string // of its page
	CloneURL string // of the repository that it is made against, without credentials
	HeadRepo string // owner/name that its branch is in: Repo, or a fork; empty if that is gone
	BaseRef  string // branch that it is to be merged into
	Open     bool
	Merged   bool
}

// A CommitStatus is the short word of a review on a commit.
type CommitStatus struct {
	State       State
	Context     string // who says it: "abra-ccci/review/M1"
	Description string // one line
	URL         string // where to read more; may be empty
}

// A State of a commit status.
type State string

// The states that a review sets.
const (
	StatePending State = "pending"
	StateSuccess State = "success"
	StateFailure State = "failure"
	StateError   State = "error" // could not tell
)
