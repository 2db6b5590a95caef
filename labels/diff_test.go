package labels

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	base := subjectOf(t, recipeFS("compose.yml", labelled("backupbot.backup=false", "backupbot.backup.pre-hook=a")), nil)
	head := subjectOf(t, recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.other=false", "backupbot.backup.post-hook=b"))), nil)
	var got []string
	for _, c := range Diff(base, head) {
		got = append(got, c.Op+" "+c.Text)
	}
	want := []string{
		"changed label app backupbot.backup is now: true, it was: false",
		"added label app backupbot.backup.post-hook is new: b",
		"removed label app backupbot.backup.pre-hook is gone, it was: a",
		"added label app backupbot.backup.volumes.other is new: false",
		"changed label app coop-cloud.test.version is now: 1.0.1+1, it was: 1.0.0+1",
		"changed volume data is now: all of it saved by app backupbot.backup=true (app:/data), it was: not saved, no service has backupbot.backup=true (app:/data)",
		"changed volume other is now: not saved, a label excludes it (app:/other), it was: not saved, no service has backupbot.backup=true (app:/other)",
		"added hook app backup.post-hook is new: b",
		"added notice excluded-volume (volume other) is new: error, not saved: a label excludes it (app backupbot.backup.volumes.other=false)",
		"removed notice not-enabled (app backupbot.backup.pre-hook) is gone, it was: error, no service has backupbot.backup=true, so that nothing is saved",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if same := Diff(head, head); len(same) != 0 {
		t.Errorf("differs from itself: %v", same)
	}
}

func TestTextDiff(t *testing.T) {
	base := recipeFS("a", "1\n2\n3\n4\n5\n6\n7\n8\n", "gone", "x\n", "same", "y\n")
	head := recipeFS("a", "1\n2\n3\n4\nfive\n6\n7\n8\n", "new", "z", "same", "y\n")
	want := "--- a/a\n+++ b/a\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n" +
		"--- a/gone\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n" +
		"--- /dev/null\n+++ b/new\n@@ -0,0 +1,1 @@\n+z\n\\ No newline at end of file\n"
	if d := cmp.Diff(want, TextDiff(base, head, []string{"a", "gone", "new", "same", "nowhere"})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// git must be able to apply the textual diff, and get the head by it.
func TestTextDiffApplies(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Fatal("git is needed: apt-get install git")
	}
	lines := strings.SplitAfter(strings.Repeat("a\nb\nc\nd\n", 12), "\n")
	edits := map[string]func([]string) []string{
		"first":     func(l []string) []string { return append([]string{"new\n"}, l...) },
		"last":      func(l []string) []string { return append(l, "new") },
		"far apart": func(l []string) []string { l[3], l[30] = "x\n", "y\nz\n"; return l },
		"near":      func(l []string) []string { l[10], l[17] = "x\n", ""; return l },
		"six apart": func(l []string) []string { l[10], l[16] = "x\n", ""; return l },
		"emptied":   func([]string) []string { return nil },
		"all new":   func([]string) []string { return []string{"x\n", "y\n"} },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			was := strings.Join(lines, "")
			is := strings.Join(edit(append([]string(nil), lines...)), "")
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "f"), []byte(was), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("git", "apply", "--unidiff-zero", "-")
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(TextDiff(recipeFS("f", was), recipeFS("f", is), []string{"f"}))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got, err := fs.ReadFile(os.DirFS(dir), "f")
			if err != nil || !bytes.Equal(got, []byte(is)) {
				t.Errorf("got %q, want %q (%v)", got, is, err)
			}
		})
	}
}
