package ledger

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
)

// A disk is a file system that can lose power: what a process sees at once
// is on it for sure only after a Sync. It is the model that the explorer
// takes apart; what the system really does is tested with kill -9 and full
// disks.
type disk struct {
	mu      sync.Mutex
	seen    map[string]*inode // what processes see
	durable map[string]*inode // what is there after a power cut, whatever happens
	pending []rename          // changes of names that may or may not be there
}

type inode struct {
	data   []byte
	synced bool // else any part of the data may be there
}

// A rename is a change of one or two names in one folder, whole or not at all.
type rename struct {
	dir  string
	sets map[string]*inode // nil: the name goes
}

func newDisk(files map[string][]byte) *disk {
	d := &disk{seen: map[string]*inode{}, durable: map[string]*inode{}}
	for name, data := range files {
		d.seen[name] = &inode{data: data, synced: true}
		d.durable[name] = d.seen[name]
	}
	return d
}

func notExist(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (d *disk) Read(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.seen[name]; i != nil {
		return slices.Clone(i.data), nil
	}
	return nil, notExist(name)
}

func (d *disk) List(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.seen {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}

func (d *disk) change(dir string, sets map[string]*inode) {
	d.pending = append(d.pending, rename{dir, sets})
	apply(d.seen, sets)
}

func apply(names, sets map[string]*inode) {
	for name, i := range sets {
		if i == nil {
			delete(names, name)
		} else {
			names[name] = i
		}
	}
}

func (d *disk) Write(name string, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[name] != nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	d.change(path.Dir(name), map[string]*inode{name: {data: slices.Clone(data)}})
	return nil
}

func (d *disk) Sync(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.seen[name]; i != nil {
		i.synced = true
		return nil
	}
	var left []rename
	for _, r := range d.pending {
		if r.dir == name {
			apply(d.durable, r.sets)
		} else {
			left = append(left, r)
		}
	}
	d.pending = left
	return nil
}

func (d *disk) Link(old, new string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[new] != nil {
		return &fs.PathError{Op: "link", Path: new, Err: fs.ErrExist}
	}
	if d.seen[old] == nil {
		return notExist(old)
	}
	d.change(path.Dir(new), map[string]*inode{new: d.seen[old]})
	return nil
}

func (d *disk) Rename(old, new string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[old] == nil {
		return notExist(old)
	}
	d.change(path.Dir(new), map[string]*inode{new: d.seen[old], old: nil})
	return nil
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[name] == nil {
		return notExist(name)
	}
	d.change(path.Dir(name), map[string]*inode{name: nil})
	return nil
}

// afterPowerCut calls visit with everything that may be there after a power
// cut now: every subset of the changes of names that are not synced, and
// every way to tear data that is not. Of renderings, which lie in ".", only
// the first, all, none and all but the last changes are tried, as they are
// many and independent of the rest.
func (d *disk) afterPowerCut(visit func(files map[string][]byte)) {
	var log, derived []rename
	for _, r := range d.pending {
		if r.dir == "." {
			derived = append(derived, r)
		} else {
			log = append(log, r)
		}
	}
	n := len(derived)
	for _, some := range [][]rename{nil, derived, derived[:max(n-1, 0)], derived[min(n, 1):]} {
		for bits := range 1 << len(log) {
			names := maps.Clone(d.durable)
			for i, r := range log {
				if bits>>i&1 == 1 {
					apply(names, r.sets)
				}
			}
			for _, r := range some {
				apply(names, r.sets)
			}
			tear(names, slices.Sorted(maps.Keys(names)), map[string][]byte{}, visit)
		}
	}
}

func tear(names map[string]*inode, order []string, files map[string][]byte, visit func(map[string][]byte)) {
	if len(order) == 0 {
		visit(files)
		return
	}
	name := order[0]
	i := names[name]
	parts := [][]byte{i.data}
	if !i.synced && len(i.data) > 0 {
		parts = append(parts, nil, i.data[:len(i.data)/2], i.data[:len(i.data)-1], append(slices.Clone(i.data[:len(i.data)-1]), 0))
	}
	if isTemp(name) {
		parts = parts[:1] // nobody reads it
	}
	for _, part := range parts {
		files[name] = part
		tear(names, order[1:], files, visit)
	}
	delete(files, name)
}

// files are what processes see.
func (d *disk) files() map[string][]byte {
	out := map[string][]byte{}
	for name, i := range d.seen {
		out[name] = i.data
	}
	return out
}

// clone is a disk of its own in the same state.
func (d *disk) clone() *disk {
	copies := map[*inode]*inode{nil: nil}
	of := func(names map[string]*inode) map[string]*inode {
		out := map[string]*inode{}
		for name, i := range names {
			if _, ok := copies[i]; !ok {
				own := *i
				copies[i] = &own
			}
			out[name] = copies[i]
		}
		return out
	}
	c := &disk{seen: of(d.seen), durable: of(d.durable)}
	for _, r := range d.pending {
		c.pending = append(c.pending, rename{r.dir, of(r.sets)})
	}
	return c
}

// contents are numbers for what files hold.
type contents map[string]int

func (c contents) number(data []byte) int {
	n, ok := c[string(data)]
	if !ok {
		n = len(c)
		c[string(data)] = n
	}
	return n
}

// fingerprint names a set of files, temporary ones apart.
func (c contents) fingerprint(files map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !isTemp(name) {
			fmt.Fprint(&b, name, "=", c.number(files[name]), " ")
		}
	}
	return b.String()
}

// key names the state of the disk: what is there, and what may be lost.
// Contents are named by numbers.
func (d *disk) key(content func([]byte) int) string {
	var b strings.Builder
	names := func(of map[string]*inode) {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			b.WriteString(name)
			if i := of[name]; i != nil {
				fmt.Fprint(&b, "=", content(i.data), i.synced)
			}
			b.WriteByte(' ')
		}
		b.WriteByte('\n')
	}
	names(d.seen)
	names(d.durable)
	for _, r := range d.pending {
		names(r.sets)
	}
	return b.String()
}
