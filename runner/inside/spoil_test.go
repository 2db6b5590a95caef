package inside

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSpoil(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(root, "outside")
	write(t, outside, "canary")
	dir := filepath.Join(root, "volume")
	if err := os.MkdirAll(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "d/b", "kept"} {
		write(t, filepath.Join(dir, name), "content of "+name)
	}
	for name, to := range map[string]string{"link": outside, "up": root} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	size := func(name string) int64 {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return -1
		}
		return info.Size()
	}
	if err := spoil(dir, spoilTruncate, strings.NewReader("a\x00d/b")); err != nil || size("a") != 0 || size("d/b") != 0 || size("kept") == 0 {
		t.Errorf("%v: %d, %d, %d bytes", err, size("a"), size("d/b"), size("kept"))
	}
	if err := spoil(dir, spoilRemove, strings.NewReader("a\x00not-there")); err != nil || size("a") != -1 || size("kept") == 0 {
		t.Errorf("%v: %d, %d bytes", err, size("a"), size("kept"))
	}
	for _, bad := range []string{"link", "up/outside", "../outside", "/etc/hostname", "d", "", "not-there"} {
		if err := spoil(dir, spoilTruncate, strings.NewReader(bad)); err == nil {
			t.Errorf("%q was truncated", bad)
		}
		if err := spoil(dir, spoilRemove, strings.NewReader(bad)); err == nil && bad != "not-there" {
			t.Errorf("%q was removed", bad)
		}
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "canary" {
		t.Errorf("what is outside became %q, %v", text, err)
	}
	if err := spoil(dir, "paint", strings.NewReader("kept")); err == nil {
		t.Error("an unknown way was taken")
	}
}
