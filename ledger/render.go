package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A RenderError says that an entry is in the ledger, and that what people
// read could not be made.
type RenderError struct{ Err error }

func (e *RenderError) Error() string {
	return "the entry is in the ledger, but could not be rendered: " + e.Err.Error()
}
func (e *RenderError) Unwrap() error { return e.Err }

// Hint is what to do.
func (e *RenderError) Hint() string {
	if c := (*CorruptError)(nil); errors.As(e.Err, &c) {
		if _, derived := isDerived(c.Where); !derived {
			return c.Hint()
		}
		return "see what was changed by hand: git diff " + c.Where + "; then remove it, and: abra-ccci ledger verify"
	}
	return "make room, then: abra-ccci ledger verify"
}

func reviewName(phase string) string  { return "REVIEW-" + phase + ".md" }
func backlogName(phase string) string { return "BACKLOG-" + phase + ".md" }

// renderAfter makes what people read of an entry that was added.
func (l *Ledger) renderAfter(e *Entry) error {
	phases := []string{e.Phase}
	if e.Kind == PolicyKind {
		phases = l.Phases()
	}
	for _, phase := range phases {
		if _, err := l.Render(phase); err != nil {
			return &RenderError{err}
		}
	}
	return nil
}

// Phases are the phases of the log, sorted.
func (l *Ledger) Phases() (phases []string) {
	for phase := range l.phases {
		if phase != "" {
			phases = append(phases, phase)
		}
	}
	slices.Sort(phases)
	return phases
}

// Render brings REVIEW-<phase>.md and BACKLOG-<phase>.md up to date, and
// names those that it wrote. One that nobody rendered like this, at whatever
// size, is a *CorruptError, and stays as it is.
func (l *Ledger) Render(phase string) (written []string, err error) {
	for _, d := range l.derived(phase) {
		state, err := l.compare(d)
		if err != nil {
			return written, err
		}
		if state == current {
			continue
		}
		text, err := d.at(l.tree.n)
		if err != nil {
			return written, err
		}
		if err := replace(l.folder, l.temp("."), d.name, text); err != nil {
			return written, err
		}
		written = append(written, d.name)
	}
	return written, nil
}

// A derived file is made from the log, at a size.
type derived struct {
	name string
	at   func(size int64) ([]byte, error)
}

// derived are the files of a phase.
func (l *Ledger) derived(phase string) []derived {
	files := []derived{{reviewName(phase), func(size int64) ([]byte, error) { return l.review(phase, size) }}}
	if l.opened[phase] > 0 {
		files = append(files, derived{backlogName(phase), func(size int64) ([]byte, error) { return l.backlog(phase, size) }})
	}
	return files
}

type freshness int

const (
	current freshness = iota
	stale             // right at the size that it says, or not there
)

// compare tells how fresh a derived file is.
func (l *Ledger) compare(d derived) (freshness, error) {
	have, err := l.folder.Read(d.name)
	if errors.Is(err, fs.ErrNotExist) {
		return stale, nil
	}
	if err != nil {
		return 0, err
	}
	size, ok := footerSize(have)
	if ok && size > l.tree.n {
		if _, err := l.folder.Read(checkpointName(size)); err == nil {
			return current, nil // made by somebody who has read on
		}
	}
	if ok && size <= l.tree.n {
		then, err := d.at(size)
		switch {
		case err != nil:
			return 0, err
		case bytes.Equal(have, then) && size == l.tree.n:
			return current, nil
		case bytes.Equal(have, then):
			return stale, nil
		}
	}
	return 0, corrupt(d.name, errors.New("it is not what the log renders, at any size"))
}

const footer = "\n---\n\nRendered from the log "

// footerSize reads the size in the footer of a rendering.
func footerSize(text []byte) (int64, bool) {
	i := bytes.LastIndex(text, []byte(footer))
	if i < 0 {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text[i+len(footer):]), "\n")
	_, rest, _ := strings.Cut(line, " at size ")
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n > 0
}

// review is REVIEW-<phase>.md at a size: the policies' blocks and the
// phase's, verbatim, and what it takes to compute the root from them.
func (l *Ledger) review(phase string, size int64) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# REVIEW: phase %s\n\nVerdict log, append-only. Every block is signed by its author, and verbatim an\nentry of the log; `abra-ccci ledger verify` tells if anything here was changed.\n", phase)
	var gaps []gapLine
	from := int64(0)
	for _, i := range slices.Sorted(slices.Values(append(l.phases[""].below(size), l.phases[phase].below(size)...))) {
		raw, err := l.tree.block(i)
		if err != nil {
			return nil, err
		}
		b.WriteString("\n")
		b.Write(raw)
		if gaps, err = l.gap(gaps, from, i); err != nil {
			return nil, err
		}
		from = i + 1
	}
	gaps, err := l.gap(gaps, from, size)
	if err != nil {
		return nil, err
	}
	return l.finish(&b, size, gaps)
}

// gap adds the hashes of the largest whole subtrees over the entries from one
// index up to another: what a reader needs in the place of those entries.
func (l *Ledger) gap(gaps []gapLine, from, to int64) ([]gapLine, error) {
	for from < to {
		level := bits.Len64(uint64(to-from)) - 1
		if from > 0 {
			level = min(level, bits.TrailingZeros64(uint64(from)))
		}
		h, err := l.tree.hash(level, from>>level)
		if err != nil {
			return nil, err
		}
		gaps = append(gaps, gapLine{from, 1 << level, h})
		from += 1 << level
	}
	return gaps, nil
}

// finish writes the footer: size and root, gaps, and the signed checkpoint.
func (l *Ledger) finish(b *bytes.Buffer, size int64, gaps []gapLine) ([]byte, error) {
	note, err := l.folder.Read(checkpointName(size))
	if err != nil {
		return nil, missing(checkpointName(size), err)
	}
	c, err := parseCheckpoint(note)
	if err != nil {
		return nil, corrupt(checkpointName(size), err)
	}
	fmt.Fprintf(b, "%s%s at size %d, root\n%s. The signed checkpoint:\n\n```\n", footer, c.Origin, c.Size, c.Root)
	for _, g := range gaps {
		fmt.Fprintf(b, "gap: %d %d %s\n", g.from, g.width, g.hash)
	}
	b.Write(note)
	b.WriteString("```\n")
	return b.Bytes(), nil
}

// backlog is BACKLOG-<phase>.md at a size: the findings, open ones first.
func (l *Ledger) backlog(phase string, size int64) ([]byte, error) {
	var open, closed bytes.Buffer
	for _, f := range l.findings {
		if f.phase != phase || f.opened >= size {
			continue
		}
		text, err := l.findingText(f, size)
		if err != nil {
			return nil, err
		}
		if l.closer(f, size) == 0 {
			open.WriteString(text)
		} else {
			closed.WriteString(text)
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# BACKLOG: phase %s\n\nFindings of the adversary. Only a later verdict that tested one again closes it.\n", phase)
	for _, part := range []struct {
		name string
		text *bytes.Buffer
	}{{"Open", &open}, {"Closed", &closed}} {
		if part.text.Len() == 0 {
			part.text.WriteString("\nNone.\n")
		}
		fmt.Fprintf(&b, "\n## %s\n%s", part.name, part.text)
	}
	return l.finish(&b, size, nil)
}

func (l *Ledger) findingText(f *finding, size int64) (string, error) {
	_, e, err := l.entry(f.opened)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(e.Opened, func(x Finding) bool { return x.ID == f.id })
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s · %s · opened by %s %s", f.id, f.claim, e.Number(), e.Time.Format(minute))
	if c := l.closer(f, size); c != 0 {
		_, by, err := l.entry(c)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, " · closed by %s %s", by.Number(), by.Time.Format(minute))
	}
	b.WriteString("\n\n> " + e.Opened[i].Title + "\n")
	if e.Opened[i].Text != "" {
		b.WriteString(">\n")
		quote(&b, e.Opened[i].Text)
	}
	return b.String(), nil
}

// isDerived tells the phase of a rendering's name.
func isDerived(name string) (phase string, ok bool) {
	base := strings.TrimSuffix(path.Base(name), ".md")
	for _, prefix := range []string{"REVIEW-", "BACKLOG-"} {
		if phase, ok := strings.CutPrefix(base, prefix); ok && base != name {
			return phase, true
		}
	}
	return "", false
}
