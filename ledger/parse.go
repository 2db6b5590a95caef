package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var errMalformed = errors.New("not an entry of a ledger")

// Sign formats the entry and signs it. What comes out was opened and parsed
// again, and is the entry that went in.
func Sign(e *Entry, key note.Signer) ([]byte, error) {
	e.Signer, e.keyHash = key.Name(), key.KeyHash()
	pairs := e.pairs()
	if err := e.check(pairs); err != nil {
		return nil, err
	}
	raw, err := note.Sign(&note.Note{Text: e.text(pairs)}, key)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxEntry {
		return nil, fmt.Errorf("the entry has %d bytes, at most %d are allowed", len(raw), maxEntry)
	}
	if _, err := Parse(raw); err != nil {
		return nil, fmt.Errorf("the entry does not read back: %w", err)
	}
	return raw, nil
}

// Parse reads one signed entry. What it accepts formats back to the same
// bytes. It does not verify the signature: see Verify.
func Parse(raw []byte) (*Entry, error) {
	text, signer, hash, err := splitSignature(raw)
	if err != nil {
		return nil, err
	}
	e := &Entry{Signer: signer, keyHash: hash}
	if err := e.parse(text); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	pairs := e.pairs()
	if err := e.check(pairs); err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	if !e.reads(text, pairs) {
		return nil, fmt.Errorf("%w: it does not format back to the same bytes", errMalformed)
	}
	return e, nil
}

// splitSignature takes the one signature line off a signed note.
func splitSignature(raw []byte) (text, name string, hash uint32, err error) {
	fail := func(why string) (string, string, uint32, error) {
		return "", "", 0, fmt.Errorf("%w: %s", errMalformed, why)
	}
	s := string(raw)
	i := strings.LastIndex(s, "\n\n")
	if len(raw) > maxEntry || i < 0 || !plain(s) {
		return fail("no signed text of printing characters")
	}
	text, line := s[:i+1], s[i+2:]
	rest, ok := strings.CutPrefix(line, "— ")
	if !ok || strings.Count(line, "\n") != 1 || !strings.HasSuffix(rest, "\n") {
		return fail("not exactly one signature line at the end")
	}
	name, sig, ok := strings.Cut(strings.TrimSuffix(rest, "\n"), " ")
	data, err := base64.StdEncoding.Strict().DecodeString(sig)
	if !ok || err != nil || len(data) != 4+64 || !nameForm.MatchString(name) {
		return fail("the signature line is malformed")
	}
	return text, name, binary.BigEndian.Uint32(data), nil
}

func (e *Entry) parse(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 4 || lines[1] != "" || lines[2] != "```" {
		return errors.New("no heading and fields")
	}
	if err := e.parseHeading(lines[0]); err != nil {
		return err
	}
	lines = lines[3:]
	for len(lines) > 0 && lines[0] != "```" {
		key, value, ok := strings.Cut(lines[0], ": ")
		if !ok {
			return fmt.Errorf("%.40q is no field", lines[0])
		}
		if err := e.set(key, value); err != nil {
			return fmt.Errorf("field %s: %w", key, err)
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return errors.New("the fields do not end")
	}
	return e.parseBody(lines[1:])
}

func (e *Entry) parseHeading(line string) error {
	i := strings.LastIndex(line, " · ")
	if i < 0 {
		return errors.New("malformed heading")
	}
	t, err := time.Parse(minute, line[i+len(" · "):])
	if err != nil {
		return errors.New("malformed time")
	}
	e.Time = t.UTC()
	return nil
}

// set reads one field. Order, repetition and form are the business of the
// comparison with the formatted entry, and of check.
func (e *Entry) set(key, value string) (err error) {
	switch key {
	case "phase":
		e.Phase = value
	case "claim":
		e.Claim = value
	case "kind":
		e.Kind = Kind(value)
	case "repo":
		e.Repo = value
	case "pr":
		e.PR, err = strconv.Atoi(value)
	case "head":
		e.Head = value
	case "base":
		e.Base = value
	case "suite":
		e.Suite = value
	case "suite_repo":
		e.SuiteRepo = value
	case "suite_head":
		e.SuiteHead = value
	case "suite_base":
		e.SuiteBase = value
	case "run":
		e.Run = value
	case "results":
		e.Results = value
	case "verdict":
		e.Verdict = Verdict(value)
	case "scope":
		e.Scope = Scope(value)
	case "mutants":
		e.Mutants = new(Mutants)
		for _, count := range []struct {
			n    *int
			name string
		}{{&e.Mutants.Killed, " killed, "}, {&e.Mutants.Survived, " survived, "}, {&e.Mutants.Equivalent, " equivalent, "}, {&e.Mutants.Inconclusive, " inconclusive"}} {
			digits, rest, _ := strings.Cut(value, count.name)
			if *count.n, err = strconv.Atoi(digits); err != nil {
				return errors.New("not four numbers of mutants")
			}
			value = rest
		}
	case "opened":
		for id := range strings.SplitSeq(value, " ") {
			e.Opened = append(e.Opened, Finding{ID: id})
		}
	case "closed":
		e.Closed = strings.Split(value, " ")
	case "retracts":
		e.Retracts = value
	case "key":
		role, public, _ := strings.Cut(value, " ")
		e.Keys = append(e.Keys, Key{Role(role), public})
	case "tool":
		e.Tool = value
	case "id":
		e.ID = value
	case "previous":
		e.Previous, err = tlog.ParseHash(value)
	case "index":
		e.Index, err = strconv.ParseInt(value, 10, 64)
	case "origin":
		e.Origin = value
	default:
		return errors.New("unknown")
	}
	return err
}

// parseBody reads what comes after the fields: sections of quoted lines.
func (e *Entry) parseBody(lines []string) error {
	for len(lines) > 0 {
		if lines[0] != "" || len(lines) == 1 {
			return fmt.Errorf("%.40q where a blank line belongs", lines[0])
		}
		heading, n := "", 1
		if strings.HasPrefix(lines[1], "### ") {
			heading, n = lines[1], 3
		}
		end := n
		for end < len(lines) && strings.HasPrefix(lines[end], ">") {
			end++
		}
		quoted := make([]string, 0, max(end-n, 0))
		for ; n < end; n++ {
			quoted = append(quoted, strings.TrimPrefix(lines[n][1:], " "))
		}
		if len(quoted) == 0 {
			return errors.New("a section without quoted lines")
		}
		if err := e.section(heading, quoted); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

func (e *Entry) section(heading string, quoted []string) error {
	switch heading {
	case "":
		e.Summary = strings.Join(quoted, "\n")
		return nil
	case checkedHeading:
		return e.parseChecks(quoted)
	case notesHeading:
		e.Prose = strings.Join(quoted, "\n")
		return nil
	}
	for i := range e.Opened {
		if f := &e.Opened[i]; "### "+f.ID == heading {
			f.Title = quoted[0]
			if len(quoted) > 1 {
				f.Text = strings.Join(quoted[2:], "\n")
			}
			return nil
		}
	}
	return fmt.Errorf("unknown section %.40q", heading)
}

func (e *Entry) parseChecks(quoted []string) error {
	for _, line := range quoted {
		if detail, ok := strings.CutPrefix(line, "  - "); ok && len(e.Checks) > 0 {
			last := &e.Checks[len(e.Checks)-1]
			last.Detail = append(last.Detail, detail)
			continue
		}
		mark, text, _ := strings.Cut(strings.TrimPrefix(line, "- "), " ")
		status := ""
		for s, m := range marks {
			if m == mark {
				status = s
			}
		}
		e.Checks = append(e.Checks, Check{Status: status, Text: text})
	}
	return nil
}

// Verify checks the entry's signature against the keys of a policy.
func (e *Entry) Verify(raw []byte, p *Policy) error {
	_, err := note.Open(raw, p.verifiers)
	if err != nil {
		return fmt.Errorf("signature of key %s: %w", e.Signer, err)
	}
	return nil
}
