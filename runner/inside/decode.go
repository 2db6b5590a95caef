package inside

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"coopcloud.tech/abra-ccci/runner"
)

// maxLine bounds one line of a manifest, in bytes: a path has at most 4096,
// and JSON makes at most six of each.
const maxLine = 64 << 10

// A Decoder reads what Encode wrote, from whatever pieces arrive: it is an
// io.Writer. Its zero value is ready.
type Decoder struct {
	m    runner.Manifest
	rest []byte // an unfinished line
	done bool   // the closing line was read
}

// Write takes the next piece. An error means that it is not a manifest, and
// ends the transfer.
func (d *Decoder) Write(p []byte) (int, error) {
	d.rest = append(d.rest, p...)
	for {
		line, rest, ok := bytes.Cut(d.rest, []byte("\n"))
		if !ok {
			break
		}
		if err := d.line(line); err != nil {
			return 0, err
		}
		d.rest = rest
	}
	if len(d.rest) > maxLine {
		return 0, fmt.Errorf("manifest: line longer than %d bytes", maxLine)
	}
	return len(p), nil
}

func (d *Decoder) line(line []byte) error {
	if d.done {
		return errors.New("manifest: more after its end")
	}
	var l struct {
		runner.Entry
		trailer
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return fmt.Errorf("manifest: line %d: %w", len(d.m)+1, err)
	}
	if l.Entries != nil {
		d.done = true
		return checkCount(*l.Entries, len(d.m))
	}
	return d.add(l.Entry)
}

func checkCount(want, got int) error {
	if want != got {
		return fmt.Errorf("manifest: %d entries were sent and %d arrived", want, got)
	}
	return nil
}

func (d *Decoder) add(e runner.Entry) error {
	if e.Path == "" {
		return fmt.Errorf("manifest: line %d: no path", len(d.m)+1)
	}
	if n := len(d.m); n > 0 && d.m[n-1].Path >= e.Path {
		return fmt.Errorf("manifest: %q after %q: two names that cannot be told apart, or not sorted", e.Path, d.m[n-1].Path)
	}
	d.m = append(d.m, e)
	return nil
}

// Manifest is what was read. It is an error if the closing line is missing:
// then the transfer was cut off.
func (d *Decoder) Manifest() (runner.Manifest, error) {
	if !d.done {
		return nil, fmt.Errorf("manifest: cut off after %d entries", len(d.m))
	}
	return d.m, nil
}
