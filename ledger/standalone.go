package ledger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// VerifyReview checks a REVIEW-<phase>.md by itself, without the ledger: the
// blocks are signed by keys of the policies among them, and together with the
// gaps they have the root that the signed checkpoint names. What it can't see
// is whether the gaps hide a policy, or more of the phase; the ledger can.
// The trust is that of entry 0, which is the first block.
func VerifyReview(text []byte, trust Trust) (Checkpoint, error) {
	body, foot, ok := strings.Cut(string(text), footer)
	if !ok || strings.Contains(foot, footer) {
		return Checkpoint{}, errors.New("no rendering of a review: it has no footer")
	}
	note, gaps, err := parseFooter(foot)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpoint(note)
	if err != nil {
		return Checkpoint{}, err
	}
	r := climber{gaps: gaps, policies: []*Policy{nil}}
	blocks := strings.Split(body, "\n## E")
	for _, block := range blocks[1:] {
		if err := r.block([]byte("## E"+block), c.Origin, trust); err != nil {
			return Checkpoint{}, err
		}
	}
	if err := r.fill(c.Size); err != nil {
		return Checkpoint{}, err
	}
	if r.size != c.Size || r.root() != c.Root {
		return Checkpoint{}, errors.New("the blocks and gaps don't have the root that the checkpoint names")
	}
	return c, openCheckpoint(note, c, r.policies[max(len(r.policies)-2, 0)], r.policies[len(r.policies)-1])
}

// parseFooter reads the gaps and the signed checkpoint.
func parseFooter(foot string) (note []byte, gaps []gapLine, err error) {
	_, fence, ok := strings.Cut(foot, "\n\n```\n")
	fence, rest, closed := strings.Cut(fence, "```\n")
	if !ok || !closed || rest != "" {
		return nil, nil, errors.New("the footer is malformed")
	}
	for strings.HasPrefix(fence, "gap: ") {
		var g gapLine
		var hash string
		line, after, _ := strings.Cut(fence, "\n")
		if _, err := fmt.Sscanf(line, "gap: %d %d %s", &g.from, &g.width, &hash); err != nil {
			return nil, nil, fmt.Errorf("gap %q: %w", line, err)
		}
		data, err := base64.StdEncoding.Strict().DecodeString(hash)
		if err != nil || len(data) != tlog.HashSize || g.width < 1 || bits.OnesCount64(uint64(g.width)) != 1 || g.from%g.width != 0 {
			return nil, nil, fmt.Errorf("gap %q is malformed", line)
		}
		g.hash = tlog.Hash(data)
		gaps, fence = append(gaps, g), after
	}
	return []byte(fence), gaps, nil
}

// A gapLine is the hash of a whole subtree: width entries from one index on.
type gapLine struct {
	from, width int64
	hash        tlog.Hash
}

// A climber goes through blocks and gaps, from left to right. It keeps the
// roots of the whole subtrees so far, the largest first.
type climber struct {
	size     int64
	stack    []gapLine
	gaps     []gapLine
	policies []*Policy
}

func (c *climber) push(g gapLine) {
	for n := len(c.stack); n > 0 && c.stack[n-1].width == g.width; n-- {
		left := c.stack[n-1]
		g = gapLine{left.from, 2 * g.width, tlog.NodeHash(left.hash, g.hash)}
		c.stack = c.stack[:n-1]
	}
	c.stack = append(c.stack, g)
	c.size = g.from + g.width
}

func (c *climber) root() tlog.Hash {
	if len(c.stack) == 0 {
		return tlog.Hash{}
	}
	h := c.stack[len(c.stack)-1].hash
	for i := len(c.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(c.stack[i].hash, h)
	}
	return h
}

// fill takes gaps up to an index.
func (c *climber) fill(to int64) error {
	for c.size < to {
		if len(c.gaps) == 0 || c.gaps[0].from != c.size || c.size+c.gaps[0].width > to {
			return fmt.Errorf("entries from %s on are neither here nor in a gap", number(c.size))
		}
		c.push(c.gaps[0])
		c.gaps = c.gaps[1:]
	}
	return nil
}

// block takes the next block.
func (c *climber) block(raw []byte, origin string, trust Trust) error {
	raw = append(bytes.TrimRight(raw, "\n"), '\n')
	e, err := Parse(raw)
	if err != nil {
		return err
	}
	if e.Index < c.size || e.Origin != origin {
		return fmt.Errorf("%s is not of this place in this log", e.Number())
	}
	if err := c.fill(e.Index); err != nil {
		return err
	}
	in := c.policies[len(c.policies)-1]
	if e.Index == 0 {
		if err := trust.Visit(e, raw, nil); err != nil {
			return err
		}
		if in, err = newPolicy(e.Keys); err != nil {
			return err
		}
	}
	if in == nil {
		return errors.New("the first block is not entry 0")
	}
	if err := e.Verify(raw, in); err != nil {
		return fmt.Errorf("%s: %w", e.Number(), err)
	}
	if role := in.byID[keyID{e.Signer, e.keyHash}]; !role.may(e.Kind) {
		return fmt.Errorf("%s: a key of role %s can't sign a %s", e.Number(), role, e.Kind)
	}
	if e.Kind == PolicyKind {
		p, err := newPolicy(e.Keys)
		if err != nil {
			return err
		}
		c.policies = append(c.policies, p)
	}
	c.push(gapLine{e.Index, 1, tlog.RecordHash(raw)})
	return nil
}
