package ledger

import (
	"bufio"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary a writer of its own where CCCI_WRITER says so.
func TestMain(m *testing.M) {
	if what := os.Getenv("CCCI_WRITER"); what != "" {
		if err := beWriter(strings.Fields(what)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beWriter appends n entries, and prints the id of each that is acknowledged.
// Arguments: folder, key file, prefix of ids, number. With "fill" for the
// number it appends one entry under every limit of file sizes.
func beWriter(args []string) error {
	secret, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	key, err := ReadSigner(string(secret))
	if err != nil {
		return err
	}
	d, err := OpenDir(args[0])
	if err != nil {
		return err
	}
	if args[3] == "fill" {
		return fill(d, key)
	}
	n, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	l, err := Open(d)
	if err != nil {
		return err
	}
	for i := range n {
		id := fmt.Sprintf("%s%08x", args[2], i)
		if err := appendPolitely(d, l, key, id); err != nil {
			return err
		}
		fmt.Println(id)
	}
	return nil
}

// appendPolitely appends an entry; sixteen of a writer are one phase.
func appendPolitely(d *Dir, l *Ledger, key *Signer, id string) error {
	unlock, err := d.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	_, err = l.Append(Content{Kind: Orientation, Phase: "p" + id[16:31], Prose: "x", ID: id}, key, time.Now())
	return err
}

// fill appends an entry with room for 0 bytes in a file, 1, 2 … until there is
// enough for all of it. Whatever fails, the ledger stays whole.
func fill(d *Dir, key *Signer) error {
	signal.Ignore(syscall.SIGXFSZ)
	id := strings.Repeat("f", 32)
	for room := uint64(0); ; room++ {
		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		limit.Cur = room
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		l, err := Open(d)
		if err != nil {
			return fmt.Errorf("with room for %d bytes: %w", room, err)
		}
		_, err = l.Append(Content{Kind: Orientation, Phase: "full", Prose: "x", ID: id}, key, time.Now())
		var rendering *RenderError
		switch {
		case err == nil:
			fmt.Println(room)
			return nil
		case !errors.Is(err, syscall.EFBIG):
			return fmt.Errorf("with room for %d bytes: %w", room, err)
		case errors.As(err, &rendering) && !has(l, id):
			return fmt.Errorf("with room for %d bytes: acknowledged, and not there", room)
		}
	}
}

// writerProcess is the test binary as a writer.
func (b *bench) writerProcess(prefix, n string) *exec.Cmd {
	b.t.Helper()
	key := filepath.Join(filepath.Dir(b.dir), "key")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "CCCI_WRITER="+strings.Join([]string{b.dir, key, prefix, n}, " "))
	cmd.Stderr = os.Stderr
	return cmd
}

// newProcessBench is a bench whose adversary's key is in a file.
func newProcessBench(t *testing.T, parent string) *bench {
	b := newBench(t)
	dir, err := os.MkdirTemp(parent, "ccci-ledger-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	b.dir = filepath.Join(dir, "ledger")
	b.now = time.Now().Add(-time.Hour).UTC()
	secret, public, err := NewKey(crand.Reader, "process")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(filepath.Dir(b.dir), "key"), []byte(secret), 0o600))
	b.adversary, err = ReadSigner(secret)
	must(t, err)
	b.keys = []Key{{Adversary, public}}
	d, err := MakeDir(b.dir)
	must(t, err)
	defer d.Close()
	_, err = Init(d, origin, b.keys, b.id("init"), b.adversary, b.now)
	must(t, err)
	return b
}

// ids counts how often each id is in the ledger, all of which is verified.
func (b *bench) ids() map[string]int {
	b.t.Helper()
	count := map[string]int{}
	d, err := OpenDir(b.dir)
	must(b.t, err)
	defer d.Close()
	_, _, err = Verify(d, func(e *Entry, _ []byte, _ *Policy) error { count[strings.Clone(e.ID)]++; return nil })
	must(b.t, err)
	return count
}

// 64 processes append 50 entries each: all are there, each once.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	b := newProcessBench(t, "/dev/shm") // it is about many, not about the disk
	const processes, each = 64, 50
	var running []*exec.Cmd
	for i := range processes {
		cmd := b.writerProcess(fmt.Sprintf("%024x", i), strconv.Itoa(each))
		must(t, cmd.Start())
		running = append(running, cmd)
	}
	for _, cmd := range running {
		must(t, cmd.Wait())
	}
	count := b.ids()
	for i := range processes {
		for j := range each {
			if id := fmt.Sprintf("%024x%08x", i, j); count[id] != 1 {
				t.Errorf("%s is there %d times", id, count[id])
			}
		}
	}
	if len(count) != 1+processes*each {
		t.Errorf("%d entries", len(count))
	}
}

// A writer that is killed at any moment leaves a whole ledger with all that
// it said was in it, and the next one goes on.
func TestKill(t *testing.T) {
	t.Parallel()
	b := newProcessBench(t, "")
	acked := map[string]bool{}
	for i := range 60 {
		cmd := b.writerProcess(fmt.Sprintf("%024x", i), "1000")
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewReader(out)
		for range 1 + rand.IntN(3) {
			line, err := lines.ReadString('\n')
			must(t, err)
			acked[strings.TrimSpace(line)] = true
		}
		killAfter(cmd, time.Duration(rand.IntN(20_000))*time.Microsecond)
		rest, err := io.ReadAll(lines)
		must(t, err)
		cmd.Wait()
		for line := range strings.SplitAfterSeq(string(rest), "\n") {
			if strings.HasSuffix(line, "\n") {
				acked[strings.TrimSpace(line)] = true
			}
		}
		count := b.ids()
		for id := range acked {
			if count[id] != 1 {
				t.Fatalf("round %d: %s is there %d times", i, id, count[id])
			}
		}
	}
	t.Logf("%d entries acknowledged", len(acked))
}

// killAfter kills a process at some moment; the moment is what is tried, and
// nothing depends on it.
func killAfter(cmd *exec.Cmd, d time.Duration) {
	time.AfterFunc(d, func() { cmd.Process.Kill() })
}

// A disk that is full at any byte.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	b := newProcessBench(t, "")
	out, err := b.writerProcess("-", "fill").Output()
	must(t, err)
	room, err := strconv.Atoi(strings.TrimSpace(string(out)))
	must(t, err)
	if review := len(b.read("REVIEW-full.md")); room != review {
		t.Errorf("it worked with room for %d bytes, the largest file has %d", room, review)
	}
	if n := b.ids()[strings.Repeat("f", 32)]; n != 1 {
		t.Errorf("the entry is there %d times", n)
	}
}

var errDisk = errors.New("input/output error")

// A flaky folder fails one operation: before it did anything, or after.
type flaky struct {
	Folder
	at, n int
	after bool
}

func (f *flaky) do(op func() error) error {
	f.n++
	if f.n-1 != f.at {
		return op()
	}
	if f.after {
		op()
	}
	return errDisk
}

func (f *flaky) Read(name string) (data []byte, err error) {
	err = f.do(func() error { data, err = f.Folder.Read(name); return err })
	return data, err
}
func (f *flaky) List(dir string) (names []string, err error) {
	err = f.do(func() error { names, err = f.Folder.List(dir); return err })
	return names, err
}
func (f *flaky) Write(name string, data []byte) error {
	return f.do(func() error { return f.Folder.Write(name, data) })
}
func (f *flaky) Sync(name string) error { return f.do(func() error { return f.Folder.Sync(name) }) }
func (f *flaky) Link(old, new string) error {
	return f.do(func() error { return f.Folder.Link(old, new) })
}
func (f *flaky) Rename(old, new string) error {
	return f.do(func() error { return f.Folder.Rename(old, new) })
}
func (f *flaky) Remove(name string) error { return f.do(func() error { return f.Folder.Remove(name) }) }

// Every operation of an append fails once, with and without its effect. The
// ledger stays whole, what was acknowledged is on the disk after a power cut,
// and the same append again leaves it there once.
func TestFaults(t *testing.T) {
	t.Parallel()
	x := newExplorer(t)
	for _, after := range []bool{false, true} {
		for at := 0; ; at++ {
			d := newDisk(x.start)
			f := &flaky{Folder: d, at: at, after: after}
			w := &writer{name: "a", content: Content{Kind: Orientation, Phase: "mailu", Prose: "x", ID: strings.Repeat("a", 32)}}
			l, err := Open(f)
			if err == nil {
				l.temp = func(dir string) string { return path.Join(dir, fmt.Sprint(tempPrefix, f.n)) }
				_, err = l.Append(w.content, x.keys[0], x.now)
			}
			var rendering *RenderError
			w.acked = err == nil || errors.As(err, &rendering)
			if err != nil && !errors.Is(err, errDisk) {
				t.Errorf("operation %d, after=%v: %v", at, after, err)
			}
			x.check(d, w)
			if x.violation != "" {
				t.Fatalf("operation %d, after=%v: %s", at, after, x.violation)
			}
			if f.n <= at {
				break
			}
		}
	}
}
