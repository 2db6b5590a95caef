// Package remote is where machines that share a ledger meet: a branch of a
// git remote.
//
// The program git does it, not a library: it knows the user's credentials,
// keys, proxies and remotes. Of the folder's repository only the index and
// the branch are moved, and only forward; files come into the folder through
// the ledger's own protocol; commits of one's own that change other files are
// brought along. The remote's rejection of a push that is not on
// top of its newest commit is the compare-and-swap between machines. Nothing
// is ever forced.
//
//	refs/ccci/fetched   the remote's branch, as it was read last
//	refs/ccci/settled   the newest commit that the folder holds all of
package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"coopcloud.tech/abra-ccci/ledger"
)

const (
	fetchedRef = "refs/ccci/fetched"
	settledRef = "refs/ccci/settled"
	pushRef    = "refs/ccci/push-"
)

// A Git is the remote of a folder that is the top of a git clone. It is a
// ledger.Remote.
type Git struct {
	dir            string
	remote, branch string
	state          string // commit that was fetched or pushed last
	reader         *tree
}

// An Error is what git said.
type Error struct {
	Args   []string
	Stderr string
	Err    error
}

func (e *Error) Error() string {
	text := strings.TrimSpace(e.Stderr)
	if text == "" {
		text = e.Err.Error()
	}
	return fmt.Sprintf("git %s: %s", e.Args[0], text)
}
func (e *Error) Unwrap() error { return e.Err }

// Hint is what to do.
func (e *Error) Hint() string {
	return "see whether the remote can be reached: git fetch, git push; then once more, with the same --id"
}

// A hintError is an error with a remedy.
type hintError struct{ text, hint string }

func (e *hintError) Error() string { return e.text }
func (e *hintError) Hint() string  { return e.hint }

// Open finds the remote of a folder; nil if it has none: it is no git clone,
// or one without remotes.
func Open(ctx context.Context, dir string) (*Git, error) {
	g := &Git{dir: dir}
	prefix, err := g.read(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		if _, lookErr := exec.LookPath("git"); lookErr != nil {
			return nil, nil // then it is no clone in use either
		}
		if strings.Contains(err.Error(), "not a git repository") {
			return nil, nil
		}
		return nil, err
	}
	remotes, err := g.read(ctx, "remote")
	if err != nil || remotes == "" {
		return nil, err
	}
	if prefix != "" {
		return nil, &hintError{"the ledger is a folder in a bigger git clone", "give it a repository of its own: the branch of a ledger moves by itself"}
	}
	if g.branch, err = g.read(ctx, "symbolic-ref", "--short", "HEAD"); err != nil {
		return nil, &hintError{"the ledger's clone is on no branch", "git -C " + dir + " switch main"}
	}
	g.remote, _ = g.read(ctx, "config", "branch."+g.branch+".remote")
	if g.remote == "" {
		g.remote = strings.Fields(remotes)[0]
		if slices.Contains(strings.Fields(remotes), "origin") {
			g.remote = "origin"
		}
	}
	return g, nil
}

// command is git in the folder, with nothing of it to be asked for on a
// terminal, and without the hooks of anybody.
func (g *Git) command(ctx context.Context, args ...string) *exec.Cmd {
	args = append([]string{"-C", g.dir, "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "core.quotePath=false"}, args...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = slices.DeleteFunc(cmd.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "GIT_DIR=") || strings.HasPrefix(s, "GIT_WORK_TREE=") || strings.HasPrefix(s, "GIT_INDEX_FILE=") || strings.HasPrefix(s, "LC_ALL=")
	})
	cmd.Env = append(cmd.Env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	return cmd
}

// run runs git, with its stdout for an answer.
func (g *Git) run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := g.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), &Error{Args: args, Stderr: errs.String(), Err: errors.Join(err, ctx.Err())}
	}
	return out.String(), nil
}

// read is run for one line.
func (g *Git) read(ctx context.Context, args ...string) (string, error) {
	out, err := g.run(ctx, nil, args...)
	return strings.TrimSuffix(out, "\n"), err
}

// commit is the commit that a ref names, empty if there is none.
func (g *Git) commit(ctx context.Context, ref string) string {
	id, err := g.read(ctx, "rev-parse", "--quiet", "--verify", ref+"^{commit}")
	if err != nil {
		return ""
	}
	return id
}

// Fetch implements ledger.Remote.
func (g *Git) Fetch(ctx context.Context) (ledger.Reader, error) {
	_, err := g.run(ctx, nil, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", g.remote, "+refs/heads/"+g.branch+":"+fetchedRef)
	settled := g.commit(ctx, settledRef)
	if err != nil {
		if !strings.Contains(err.Error(), "couldn't find remote ref") {
			return nil, err
		}
		if settled != "" {
			return nil, &ledger.CorruptError{Where: "remote " + g.remote, Err: fmt.Errorf("branch %s is gone: everything was taken back", g.branch)}
		}
		g.state = ""
		return nil, nil
	}
	g.state = g.commit(ctx, fetchedRef)
	if err := g.onlyMore(ctx, settled); err != nil {
		return nil, err
	}
	if err := g.carry(ctx); err != nil {
		return nil, err
	}
	g.Close()
	g.reader = &tree{git: g, ctx: ctx, commit: g.state}
	names, err := g.reader.List("checkpoints")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && settled == "" {
		return nil, nil // a branch without a ledger: a first commit with a README
	}
	return g.reader, nil
}

// onlyMore tells whether write-once files were changed or removed since the
// folder last had everything.
func (g *Git) onlyMore(ctx context.Context, settled string) error {
	if settled == "" {
		return nil
	}
	changed, err := g.read(ctx, "diff", "--no-renames", "--name-only", "--diff-filter=a", settled, g.state, "--", "entries", "checkpoints")
	if err != nil || changed == "" {
		return err
	}
	first, _, _ := strings.Cut(changed, "\n")
	return &ledger.CorruptError{Where: "the remote's " + first, Err: errors.New("a file that is written once was changed or removed")}
}

// Settled implements ledger.Remote.
func (g *Git) Settled(ctx context.Context) (ledger.Reader, error) {
	id := g.commit(ctx, settledRef)
	if id == "" {
		return nil, nil
	}
	return &tree{git: g, ctx: ctx, commit: id}, nil
}

// Push implements ledger.Remote.
func (g *Git) Push(ctx context.Context, message string, files map[string][]byte) error {
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		changes = append(changes, fmt.Sprintf("M 100644 inline %s\ndata %d\n%s", name, len(files[name]), files[name]))
	}
	return g.push(ctx, message, changes)
}

// push pushes a commit of changes, as fast-import takes them, on top of the state.
func (g *Git) push(ctx context.Context, message string, changes []string) error {
	id, err := g.make(ctx, message, changes)
	if err != nil {
		return err
	}
	out, err := g.run(ctx, nil, "push", "--porcelain", "--no-verify", g.remote, id+":refs/heads/"+g.branch)
	if err != nil {
		if behind(out) {
			return ledger.ErrBehind
		}
		return err
	}
	g.state = id
	return nil
}

// behind tells the rejection of a push that is not on top from all others.
// Two pushes at the same moment are told apart by the remote's lock on the branch.
func behind(porcelain string) bool {
	for line := range strings.SplitSeq(porcelain, "\n") {
		if !strings.HasPrefix(line, "!\t") {
			continue
		}
		if strings.Contains(line, "[rejected]") || strings.Contains(line, "(failed to update ref)") || strings.Contains(line, "cannot lock ref") || strings.Contains(line, "(incorrect old value provided)") || strings.Contains(line, "(fetch first)") {
			return true
		}
	}
	return false
}

// make makes a commit of changes on top of what was fetched, without touching
// the folder or the index.
func (g *Git) make(ctx context.Context, message string, changes []string) (string, error) {
	who, err := g.read(ctx, "var", "GIT_COMMITTER_IDENT")
	if err != nil {
		return "", err
	}
	ref := pushRef + strconv.FormatUint(rand.Uint64(), 36)
	var b bytes.Buffer
	fmt.Fprintf(&b, "commit %s\nmark :1\ncommitter %s\ndata %d\n%s\n", ref, who, len(message), message)
	if g.state != "" {
		fmt.Fprintf(&b, "from %s\n", g.state)
	}
	for _, change := range changes {
		b.WriteString(change + "\n")
	}
	b.WriteString("\nget-mark :1\n")
	out, err := g.run(ctx, &b, "fast-import", "--quiet", "--cat-blob-fd=1")
	if err != nil {
		return "", err
	}
	_, err = g.run(ctx, nil, "update-ref", "-d", ref)
	return strings.TrimSpace(out), err
}

// Settle implements ledger.Remote.
func (g *Git) Settle(ctx context.Context) error {
	if g.state == "" || g.commit(ctx, settledRef) == g.state && g.commit(ctx, "HEAD") == g.state {
		return nil
	}
	others, err := g.others(ctx)
	if err != nil {
		return err
	}
	if _, err := g.run(ctx, nil, "reset", "--quiet", g.state); err != nil {
		return err
	}
	if len(others) > 0 {
		if _, err := g.run(ctx, nil, append([]string{"checkout", "--quiet", g.state, "--"}, others...)...); err != nil {
			return err
		}
	}
	_, err = g.run(ctx, nil, "update-ref", settledRef, g.state)
	return err
}

// notOurs leaves the ledger's own files out.
var notOurs = []string{":!entries", ":!checkpoints", ":!REVIEW-*.md", ":!BACKLOG-*.md"}

// others are the files beside the ledger's own that the remote has changed and
// nobody here has: a README, say.
func (g *Git) others(ctx context.Context) (names []string, err error) {
	if g.commit(ctx, "HEAD") == "" {
		return nil, nil
	}
	changed, err := g.run(ctx, nil, append([]string{"diff", "--no-renames", "--name-only", "-z", "--diff-filter=AM", "HEAD", g.state, "--", "."}, notOurs...)...)
	if err != nil {
		return nil, err
	}
	mine, err := g.run(ctx, nil, "diff", "--no-renames", "--name-only", "-z", "HEAD")
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(changed, "\x00"), "\x00") {
		if name != "" && !slices.Contains(strings.Split(mine, "\x00"), name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Close ends what reads the remote's state.
func (g *Git) Close() error {
	if g.reader == nil {
		return nil
	}
	err := g.reader.close()
	g.reader = nil
	return err
}
