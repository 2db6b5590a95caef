package ledger

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// An item is an entry as it was read.
type item struct {
	raw      []byte
	entry    *Entry
	leaf     tlog.Hash
	err      error // it can't be read
	parseErr error // it is no entry
}

func readItem(r Reader, index int64) (i item) {
	if i.raw, i.err = r.Read(entryName(index)); i.err == nil {
		i.leaf = tlog.RecordHash(i.raw)
		i.entry, i.parseErr = Parse(i.raw)
	}
	return i
}

// readAll takes the first size entries. They are read and parsed in batches, by
// several goroutines, and held against the rules in order. No more than a few
// batches are in memory.
func (l *Ledger) readAll(size int64, visits []Visit) error {
	if size <= batch {
		for i := range size {
			if err := l.take(readItem(l.folder, i), visits); err != nil {
				return err
			}
		}
		return nil
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait() // the folder may be closed once nobody reads it
	defer close(stop)
	for items := range ahead(l.folder, size, stop, &readers) {
		for _, i := range <-items {
			if err := l.take(i, visits); err != nil {
				return err
			}
		}
	}
	return nil
}

// ahead reads batches of entries, in order, until stop is closed.
func ahead(r Reader, size int64, stop <-chan struct{}, readers *sync.WaitGroup) <-chan chan []item {
	out := make(chan chan []item, 2*runtime.GOMAXPROCS(0))
	readers.Go(func() {
		defer close(out)
		for from := int64(0); from < size; from += batch {
			items := make(chan []item, 1)
			select {
			case out <- items:
			case <-stop:
				return
			}
			readers.Go(func() {
				list := make([]item, 0, batch)
				for i := from; i < min(from+batch, size); i++ {
					list = append(list, readItem(r, i))
				}
				items <- list
			})
		}
	})
	return out
}

// A listing is what the names in the two folders say.
type listing struct {
	checkpoints, lastCheckpoint int64
	entries, lastEntry          int64
}

// whole tells whether nothing is missing: checkpoints 1 to n, and entries 0
// to n-1; and perhaps entry n, which was claimed.
func (s listing) whole() bool {
	return s.lastCheckpoint == s.checkpoints && s.lastEntry == s.entries-1 &&
		(s.entries == s.checkpoints || s.entries == s.checkpoints+1)
}

// look lists the folders: the size of the log, and whether the next entry is
// claimed. Others may be writing meanwhile, and a listing may then show a file
// and not the one before it; what is missing twice is missing.
func (l *Ledger) look() (size int64, claimed bool, err error) {
	var before listing
	for first := true; ; first = false {
		var now listing
		if now.checkpoints, now.lastCheckpoint, err = l.list(checkpointsDir, ""); err != nil {
			return 0, false, err
		}
		if now.entries, now.lastEntry, err = l.list(entriesDir, ".md"); err != nil {
			return 0, false, err
		}
		if now.whole() {
			return now.checkpoints, now.entries > now.checkpoints, nil
		}
		if !first && now == before {
			return 0, false, corrupt("ledger", fmt.Errorf("files are missing: it has %d entries up to %s, and %d checkpoints up to size %d",
				now.entries, number(now.lastEntry), now.checkpoints, now.lastCheckpoint))
		}
		before = now
	}
}

// list counts the numbered files of a folder, and names the last one; -1 or 0
// if there is none.
func (l *Ledger) list(dir, suffix string) (count, last int64, err error) {
	names, err := l.folder.List(dir)
	if err != nil {
		return 0, 0, err
	}
	if dir == entriesDir {
		last = -1
	}
	for _, name := range names {
		if isTemp(name) {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(name, suffix), 10, 64)
		if err != nil || fmt.Sprintf("%06d", n)+suffix != name {
			return 0, 0, corrupt(path.Join(dir, name), errors.New("no file of a ledger"))
		}
		count, last = count+1, max(last, n)
	}
	return count, last, nil
}
