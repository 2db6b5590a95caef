package ledger

import (
	"fmt"
	"strings"
)

// A ForkError says that the log does not contain what was seen of it before:
// it was rolled back, or rewritten by somebody who can sign checkpoints.
type ForkError struct {
	Size     int64    // of the checkpoint that was seen
	Rollback bool     // the log is shorter now
	Unknown  bool     // or it never was longer: nobody knows what the remote had
	Seen     []byte   // signed note that was remembered
	Now      []byte   // signed note of the log, for the same size if there is one
	Who      []string // the adversaries of the log's policy
}

func (e *ForkError) Error() string {
	if e.Unknown {
		return fmt.Sprintf("the remote has fewer entries than this clone, which has %d and was never synced: were they written here, or taken back there?", e.Size)
	}
	if e.Rollback {
		return fmt.Sprintf("the ledger was rolled back: it had %d entries when it was last seen, and has fewer", e.Size)
	}
	return fmt.Sprintf("the ledger was forked: its first %d entries are not those that were seen", e.Size)
}

// ExitCode is the answer fail, or that it could not be told.
func (e *ForkError) ExitCode() int {
	if e.Unknown {
		return 1
	}
	return 3
}

// Hint says who must look.
func (e *ForkError) Hint() string {
	if e.Unknown {
		return "abra-ccci ledger sync"
	}
	return "the adversaries must look, with both signed notes in hand: " + strings.Join(e.Who, ", ") + "; until then believe neither"
}

// Proof is both signed notes.
func (e *ForkError) Proof() []byte {
	return fmt.Appendf(nil, "%s.\n\nSeen before:\n\n%s\nIn the ledger:\n\n%s", e.Error(), e.Seen, e.Now)
}

// Extends tells whether the log contains what was seen of it: a signed
// checkpoint that was remembered. If not, the error is a *ForkError.
func (l *Ledger) Extends(seen []byte) error {
	c, err := parseCheckpoint(seen)
	if err != nil {
		return fmt.Errorf("the checkpoint that was seen: %w", err)
	}
	if c.Origin != l.origin {
		return fmt.Errorf("the checkpoint that was seen is of the log %s, this is %s", c.Origin, l.origin)
	}
	fork := &ForkError{Size: c.Size, Seen: seen, Now: l.note, Who: l.policy.Names(Adversary)}
	if c.Size > l.tree.n {
		fork.Rollback = true
		return fork
	}
	root, err := l.tree.root(c.Size)
	if err != nil || root == c.Root {
		return err
	}
	if note, err := l.folder.Read(checkpointName(c.Size)); err == nil {
		fork.Now = note
	}
	return fork
}

// Flush brings what was read to the disk, as far as that is possible: before
// something outside the ledger remembers it.
func (l *Ledger) Flush() error { return l.flush() }
