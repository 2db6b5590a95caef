package inside

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// manifestOf runs the subcommand and reads what it wrote.
func manifestOf(t *testing.T, dir string) runner.Manifest {
	t.Helper()
	got := runMain("", "manifest", dir)
	if got.exit != exitDone {
		t.Fatalf("manifest: %+v", got)
	}
	return decode(t, got.stdout)
}

func decode(t *testing.T, text string) runner.Manifest {
	t.Helper()
	var d Decoder
	if _, err := d.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	m, err := d.Manifest()
	must(t, err)
	return m
}

var noon = time.Date(2026, 6, 11, 12, 0, 0, 123456789, time.UTC)

// makeTree makes one of everything that a volume can hold. It needs root, for
// owners, as the helper container has it.
func makeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "a", "z"), []byte("deep"), 0o640))
	must(t, os.WriteFile(filepath.Join(dir, "a.b"), nil, 0o644)) // sorts between a and a/z
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "out")))
	must(t, os.Symlink("a", filepath.Join(dir, "in")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	must(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "sock"), Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	must(t, os.WriteFile(filepath.Join(dir, "bad\xff\xfe"), []byte("x"), 0o644))
	for name, mode := range map[string]os.FileMode{
		"fifo": 0o600, "null": 0o666, "sock": 0o755, "a": 0o755 | os.ModeSetgid, "a/z": 0o640 | os.ModeSetuid, ".": 0o711 | os.ModeSticky,
	} {
		must(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	if err := os.Lchown(filepath.Join(dir, "a", "z"), 8, 9); err != nil {
		t.Fatalf("%v (hint: run the tests as root)", err)
	}
	must(t, os.Chmod(filepath.Join(dir, "a", "z"), 0o640|os.ModeSetuid)) // chown drops it
	must(t, os.Lchown(filepath.Join(dir, "out"), 8, 9))
	setTimes(t, dir)
	return dir
}

func setTimes(t *testing.T, dir string) {
	t.Helper()
	var names []string
	must(t, filepath.Walk(dir, func(name string, _ os.FileInfo, err error) error {
		names = append(names, name)
		return err
	}))
	for _, name := range names {
		ts, err := unix.TimeToTimespec(noon)
		must(t, err)
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

func TestManifest(t *testing.T) {
	want := runner.Manifest{
		{Path: ".", Type: "dir", Mode: 0o1711, MTime: noon},
		{Path: "a", Type: "dir", Mode: 0o2755, MTime: noon},
		{Path: "a.b", Type: "file", Mode: 0o644, MTime: noon, Hash: sum("")},
		{Path: "a/z", Type: "file", UID: 8, GID: 9, Mode: 0o4640, Size: 4, MTime: noon, Hash: sum("deep")},
		{Path: "bad\ufffd\ufffd", Type: "file", Mode: 0o644, Size: 1, MTime: noon, Hash: sum("x")},
		{Path: "fifo", Type: "fifo", Mode: 0o600, MTime: noon},
		{Path: "in", Type: "symlink", Mode: 0o777, MTime: noon, Hash: sum("a")},
		{Path: "null", Type: "device", Mode: 0o666, MTime: noon},
		{Path: "out", Type: "symlink", UID: 8, GID: 9, Mode: 0o777, MTime: noon, Hash: sum("/etc/passwd")},
		{Path: "sock", Type: "socket", Mode: 0o755, MTime: noon},
	}
	if diff := cmp.Diff(want, manifestOf(t, makeTree(t))); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestManifestOfManyFiles(t *testing.T) {
	dir := t.TempDir()
	const files = 6000 // more than the 1 MiB that a command may print
	for i := range files {
		sub := filepath.Join(dir, fmt.Sprintf("%02x", i%64))
		must(t, os.MkdirAll(sub, 0o755))
		must(t, os.WriteFile(filepath.Join(sub, fmt.Sprint(i)), fmt.Append(nil, i), 0o644))
	}
	m := manifestOf(t, dir)
	if want := files + 64 + 1; len(m) != want {
		t.Fatalf("%d entries, want %d", len(m), want)
	}
	for _, e := range m {
		if e.Type == "file" && e.Hash != sum(filepath.Base(e.Path)) {
			t.Fatalf("wrong hash in %+v", e)
		}
	}
}

// A living app creates and removes files while it is listed; neither that nor
// a file that becomes something else may fail the listing or invent a file.
func TestManifestWhileFilesVanish(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"stays", "one"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("here"), 0o644))
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		churn(dir, stop)
	}()
	for range 100 {
		m := manifestOf(t, dir)
		for _, e := range m {
			if e.Type == "file" && e.Hash != sum("here") {
				t.Errorf("a half-read file: %+v", e)
			}
		}
		if !strings.Contains(fmt.Sprint(m), "stays") {
			t.Error("a file that was always there is missing")
		}
	}
	close(stop)
	<-stopped
}

// churn renames a file of dir, one, back and forth, and makes and removes directories, until stop.
func churn(dir string, stop chan struct{}) {
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for {
		select {
		case <-stop:
			return
		default:
		}
		os.Rename(one, two)
		os.MkdirAll(filepath.Join(dir, "d", "e"), 0o755)
		os.RemoveAll(filepath.Join(dir, "d"))
		os.Rename(two, one)
	}
}

func TestManifestUnreadable(t *testing.T) {
	got := runMain("", "manifest", filepath.Join(t.TempDir(), "none"))
	if got.exit != exitFault || !strings.Contains(got.stderr, "no such file") || got.stdout != "" {
		t.Errorf("manifest of nothing: %+v", got)
	}
}

// Reading a file of /proc/self/mem fails with EIO: a file that is there and
// can't be read must fail the whole listing.
func TestManifestUnreadableFile(t *testing.T) {
	root, err := os.OpenRoot("/proc/self")
	must(t, err)
	defer root.Close()
	tr := &tree{root: root}
	info, err := root.Lstat("mem")
	must(t, err)
	tr.add("mem", info)
	if err := tr.hashers.Wait(); err == nil || !strings.Contains(err.Error(), "mem") {
		t.Errorf("hashing an unreadable file: %v, want an error that names it", err)
	}
}

func TestDecoderRefuses(t *testing.T) {
	entry := func(path string) string {
		return fmt.Sprintf(`{"path":%q,"type":"file","uid":0,"gid":0,"mode":420,"size":0,"mtime":"2026-06-11T12:00:00Z"}`+"\n", path)
	}
	tests := []struct{ name, text, want string }{
		{"nothing", "", "cut off after 0"},
		{"no last line", entry("."), "cut off after 1"},
		{"half a last line", entry(".") + `{"entries":1}`, "cut off after 1"},
		{"entry lost", entry(".") + `{"entries":2}` + "\n", "2 entries were sent and 1 arrived"},
		{"not sorted", entry("b") + entry("a"), `"a" after "b"`},
		{"twice", entry("b") + entry("b"), `"b" after "b"`},
		{"more after the end", `{"entries":0}` + "\n" + entry("."), "more after its end"},
		{"no path", `{"type":"file"}` + "\n", "no path"},
		{"not JSON", "exec failed\n", "line 1"},
		{"unknown field", `{"path":".","colour":1}` + "\n", "colour"},
		{"endless line", strings.Repeat("x", maxLine+1), "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			_, err := d.Write([]byte(tt.text))
			if err == nil {
				_, err = d.Manifest()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// What the decoder takes, in whatever pieces, encodes to the same manifest.
func FuzzDecoder(f *testing.F) {
	var buf bytes.Buffer
	must0(f, Encode(&buf, runner.Manifest{
		{Path: ".", Type: "dir", Mode: 0o755, MTime: noon},
		{Path: "a\n\ufffd\"", Type: "file", UID: 8, Size: 3, MTime: noon, Hash: sum("abc")},
	}))
	f.Add(buf.Bytes(), 7)
	f.Add([]byte(`{"entries":0}`+"\n"), 1)
	f.Add([]byte(`{"path":"x","entries":1}`+"\n"), 3)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		m, err := decodePieces(text, 1+piece&0xff)
		if err != nil {
			return
		}
		var again bytes.Buffer
		must(t, Encode(&again, m))
		m2, err := decodePieces(again.Bytes(), again.Len())
		must(t, err)
		if diff := cmp.Diff(m, m2); diff != "" {
			t.Errorf("read, written and read again (-first +second):\n%s", diff)
		}
	})
}

func must0(f *testing.F, err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func decodePieces(text []byte, n int) (runner.Manifest, error) {
	var d Decoder
	for len(text) > 0 {
		k := min(n, len(text))
		if _, err := d.Write(text[:k]); err != nil {
			return nil, err
		}
		text = text[k:]
	}
	return d.Manifest()
}
