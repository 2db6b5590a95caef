package restic

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// A listing is what a snapshot holds of the volumes.
type listing struct {
	volumes map[string]runner.Manifest
	files   int // regular files that were listed
	saved   int // regular files that the snapshot says it holds
	head    bool
}

// node is a line of `restic ls --json`; the first line is a snapshot instead.
type node struct {
	MessageType string      `json:"message_type"`
	Type        string      `json:"type"`
	Path        string      `json:"path"`
	UID         int         `json:"uid"`
	GID         int         `json:"gid"`
	Size        int64       `json:"size"`
	Mode        fs.FileMode `json:"mode"`
	MTime       time.Time   `json:"mtime"`

	ID      string `json:"id"`
	Summary *struct {
		FilesProcessed int `json:"total_files_processed"`
	} `json:"summary"`
}

// list lists a snapshot; what it returns is shared and must not be changed.
func (e *Engine) list(ctx context.Context, id string) (*listing, error) {
	if !fullID.MatchString(id) {
		return nil, fmt.Errorf("%q is not a full snapshot id", id)
	}
	if l := e.known(id); l != nil {
		return l, nil
	}
	if err := e.Prepare(ctx); err != nil {
		return nil, err
	}
	l := &listing{volumes: map[string]runner.Manifest{}}
	r, err := e.run(ctx, func(line []byte) error { return l.line(line, id) }, "ls", id)
	if err != nil {
		return nil, err
	}
	if r.exit != 0 {
		return nil, r.fault("list snapshot " + id)
	}
	if err := l.check(); err != nil {
		return nil, &runner.InfraError{Op: "list snapshot " + id, Err: err}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listings[id] = l
	return l, nil
}

func (e *Engine) known(id string) *listing {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.listings[id]
}

// line takes one line of the listing.
func (l *listing) line(line []byte, id string) error {
	var n node
	if err := json.Unmarshal(line, &n); err != nil {
		return fmt.Errorf("unreadable line %q: %w", line, err)
	}
	switch n.MessageType {
	case "snapshot":
		return l.snapshot(n, id)
	case "node":
		l.add(n)
	}
	return nil
}

func (l *listing) snapshot(n node, id string) error {
	if n.ID != id || n.Summary == nil {
		return fmt.Errorf("asked for snapshot %s and got %q, or it does not say what it holds", id, n.ID)
	}
	l.head = true
	l.saved = n.Summary.FilesProcessed
	return nil
}

func (l *listing) add(n node) {
	if n.Type == "file" {
		l.files++
	}
	volume, name, ok := split(n.Path)
	if !ok {
		return
	}
	l.volumes[volume] = append(l.volumes[volume], entryOf(n, name))
}

// check compares the listing with what the backup counted: a listing that was
// cut off would hide what is missing. It sorts the volumes.
func (l *listing) check() error {
	if !l.head {
		return fmt.Errorf("it does not begin with the snapshot")
	}
	if l.files != l.saved {
		return fmt.Errorf("it holds %d files and %d were listed", l.saved, l.files)
	}
	for _, m := range l.volumes {
		slices.SortFunc(m, func(a, b runner.Entry) int { return strings.Compare(a.Path, b.Path) })
	}
	return nil
}

// count is how many paths of the snapshot are at p or below it.
func (l *listing) count(p place) int {
	n := 0
	for _, e := range l.volumes[p.volume] {
		if p.holds(e.Path) {
			n++
		}
	}
	return n
}

func entryOf(n node, name string) runner.Entry {
	return runner.Entry{
		Path:  name,
		Type:  typeOf(n.Type),
		UID:   n.UID,
		GID:   n.GID,
		Mode:  statMode(n.Mode),
		Size:  n.Size,
		MTime: n.MTime.UTC(),
	}
}

// typeOf puts restic's name for a type of file into the runner's words.
func typeOf(restic string) string {
	switch restic {
	case "dev", "chardev":
		return "device"
	}
	return restic
}

// statMode is a mode as stat(2) has it.
func statMode(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, special := range []struct {
		mode fs.FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&special.mode != 0 {
			bits |= special.bit
		}
	}
	return bits
}
