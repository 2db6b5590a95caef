package remote

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// carry brings commits of one's own to the remote, if the branch has any that
// it lacks: what they change beside the ledger comes on top of what was
// fetched, as one commit, and is pushed. The ledger's own files in them are
// the ledger's business. What both sides changed is nobody's here to decide.
func (g *Git) carry(ctx context.Context) error {
	if g.commit(ctx, "HEAD") == "" {
		return nil
	}
	_, err := g.run(ctx, nil, "merge-base", "--is-ancestor", "HEAD", g.state)
	if exit := (*exec.ExitError)(nil); err == nil || !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return err
	}
	base, err := g.read(ctx, "merge-base", "HEAD", g.state)
	if err != nil {
		return &hintError{"the ledger's clone and its remote have no history in common", "see which repository this is: git -C " + g.dir + " remote -v"}
	}
	changes, err := g.own(ctx, base)
	if err != nil || len(changes) == 0 {
		return err
	}
	message, err := g.read(ctx, "log", "--reverse", "--format=%B", base+"..HEAD")
	if err != nil {
		return err
	}
	return g.push(ctx, strings.TrimSpace(message), changes)
}

// own are the changes since a commit to files that are not the ledger's, and
// that the remote does not have yet.
func (g *Git) own(ctx context.Context, base string) (changes []string, err error) {
	out, err := g.run(ctx, nil, append([]string{"diff", "--no-renames", "--raw", "--no-abbrev", "-z", base, "HEAD", "--", "."}, notOurs...)...)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(out, "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		fields, name := strings.Fields(parts[i]), parts[i+1]
		if len(fields) != 5 || strings.ContainsAny(name, "\n\"") {
			return nil, fmt.Errorf("git diff: %q of %q", parts[i], name)
		}
		mode, old, now := fields[1], fields[2], fields[3]
		theirs, err := g.blob(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case theirs == now:
		case theirs != old:
			return nil, &hintError{fmt.Sprintf("%q was changed here and in the remote", name), "git -C " + g.dir + " pull --rebase && git -C " + g.dir + " push"}
		case strings.Trim(now, "0") == "":
			changes = append(changes, "D "+name)
		default:
			changes = append(changes, fmt.Sprintf("M %s %s %s", mode, now, name))
		}
	}
	return changes, nil
}

// blob is the object of a file in the state, as many zeros if it has none.
func (g *Git) blob(ctx context.Context, name string) (string, error) {
	line, err := g.read(ctx, "--literal-pathspecs", "ls-tree", g.state, "--", name)
	fields := strings.Fields(line)
	if len(fields) < 3 {
		return strings.Repeat("0", len(g.state)), err
	}
	return fields[2], err
}
