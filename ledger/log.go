package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint is a size of the log and the root of its first Size entries.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// body is the checkpoint as it is signed (C2SP tlog-checkpoint).
func (c Checkpoint) body() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// sign is the signed note of the checkpoint, opened and read again.
func (c Checkpoint) sign(key note.Signer) ([]byte, error) {
	raw, err := note.Sign(&note.Note{Text: c.body()}, key)
	if err != nil {
		return nil, err
	}
	if back, err := parseCheckpoint(raw); err != nil || back != c {
		return nil, fmt.Errorf("the checkpoint does not read back: %w", errors.Join(err, errCheckpoint))
	}
	return raw, nil
}

var errCheckpoint = errors.New("not a checkpoint of a ledger")

// parseCheckpoint reads a signed note with one signature, unverified.
func parseCheckpoint(raw []byte) (Checkpoint, error) {
	text, _, _, err := splitSignature(raw)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", errCheckpoint, err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return Checkpoint{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || err2 != nil || size < 1 || len(root) != tlog.HashSize {
		return Checkpoint{}, errCheckpoint
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}
	if c.body() != text || !originForm.MatchString(c.Origin) {
		return Checkpoint{}, errCheckpoint
	}
	return c, nil
}

// openCheckpoint reads a checkpoint and verifies it: its body is the one
// given, and its signature is by a key of one of the policies.
func openCheckpoint(raw []byte, want Checkpoint, policies ...*Policy) error {
	got, err := parseCheckpoint(raw)
	if err != nil {
		return err
	}
	switch {
	case got.Origin != want.Origin:
		return fmt.Errorf("it is of the log %s", got.Origin)
	case got.Size != want.Size:
		return fmt.Errorf("it is for size %d", got.Size)
	case got.Root != want.Root:
		return fmt.Errorf("its root is %s, the entries have %s", got.Root, want.Root)
	}
	for _, p := range policies {
		if p == nil {
			continue
		}
		if _, err = note.Open(raw, p.verifiers); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no key of the policy signed it: %w", err)
}
