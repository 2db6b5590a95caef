package recipe

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
)

func checkoutOf(t *testing.T, r *Recipe, ref string) (*Checkout, error) {
	t.Helper()
	c, err := r.Commit(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r.Checkout(c, filepath.Join(t.TempDir(), "clone"))
}

func TestCheckout(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	repo.write(".env.sample", "TYPE=notes\nDOMAIN=notes.example.com\n")
	repo.write("abra.sh", "export APP_CONF_VERSION=v2\nexport NOW=$(date)\n")
	repo.write("release/1.0.0+1.0.0", "hello\n")
	repo.write("run.sh", "#!/bin/sh\n")
	repo.must(os.Chmod(filepath.Join(repo.dir, "run.sh"), 0o755))
	repo.must(os.Symlink("release/1.0.0+1.0.0", filepath.Join(repo.dir, "notes")))
	repo.release("1.0.0+1.0.0")
	repo.write("later.txt", "x")
	repo.commit("later")
	repo.write("untracked.txt", "x")
	repo.write("compose.yml", "edited: but not committed\n")

	co, err := checkoutOf(t, repo.open(), "1.0.0+1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if co.Recipe != "notes" || co.Commit.Version != "1.0.0+1.0.0" || co.Sample.Get("DOMAIN") != "notes.example.com" {
		t.Errorf("checkout %+v", co)
	}
	if d := cmp.Diff(map[string]string{"APP_CONF_VERSION": "v2"}, co.Exports); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"NOW"}, co.Computed); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{".env.sample", "abra.sh", "compose.yml", "notes", "release/1.0.0+1.0.0", "run.sh"}, files(t, co)); d != "" {
		t.Error(d)
	}
	if text, err := fs.ReadFile(co.Files(), "notes"); err != nil || string(text) != "hello\n" {
		t.Errorf("through the link: %q, %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(co.Dir, "run.sh")); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("run.sh is not executable: %v, %v", info.Mode(), err)
	}
}

// files lists what is in the checkout, .git apart.
func files(t *testing.T, co *Checkout) (names []string) {
	t.Helper()
	err := fs.WalkDir(co.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// The clone must be one that git itself finds whole, clean and on its own.
func TestCheckoutIsAClone(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	one := repo.release("1.0.0+1.0.0")
	repo.tag("light", one, false)
	head := repo.release("1.1.0+1.0.0")
	repo.branch("elsewhere", one)
	repo.release("2.0.0+1.0.0")
	repo.must(os.MkdirAll(filepath.Join(repo.dir, ".git", "hooks"), 0o755))
	repo.must(os.WriteFile(filepath.Join(repo.dir, ".git", "hooks", "post-checkout"), []byte("#!/bin/sh\ntouch hooked\n"), 0o755))
	co, err := checkoutOf(t, repo.open(), head)
	if err != nil {
		t.Fatal(err)
	}
	repo.must(os.RemoveAll(filepath.Join(repo.dir, ".git"))) // nothing may depend on it

	if got := gitOutput(t, co.Dir, "rev-parse", "HEAD"); got != head {
		t.Errorf("HEAD is %s, want %s", got, head)
	}
	if got := gitOutput(t, co.Dir, "status", "--porcelain"); got != "" {
		t.Errorf("not clean: %s", got)
	}
	if got := gitOutput(t, co.Dir, "fsck", "--full", "--strict"); got != "" {
		t.Errorf("fsck: %s", got)
	}
	if got := gitOutput(t, co.Dir, "for-each-ref", "--format=%(refname:short) %(objecttype)"); got != "1.0.0+1.0.0 tag\n1.1.0+1.0.0 tag\n2.0.0+1.0.0 tag\nlight commit" {
		t.Errorf("refs:\n%s", got)
	}
	for _, gone := range []string{"hooked", ".git/hooks/post-checkout", ".git/objects/info/alternates"} {
		if _, err := os.Lstat(filepath.Join(co.Dir, gone)); err == nil {
			t.Errorf("%s is there", gone)
		}
	}
}

func gitOutput(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestCheckoutOfShallowClone(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	repo.release("1.0.0+1.0.0")
	repo.write("x", "y")
	head := repo.commit("work")
	shallow := filepath.Join(t.TempDir(), "shallow")
	gitOutput(t, repo.dir, "clone", "-q", "--depth", "1", "file://"+repo.dir, shallow)
	r, err := Open("", shallow)
	if err != nil {
		t.Fatal(err)
	}
	co, err := checkoutOf(t, r, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := gitOutput(t, co.Dir, "fsck"); co.Commit.SHA != head || got != "" {
		t.Errorf("head %s, fsck %s", co.Commit.SHA, got)
	}
	if _, found, why, err := r.Base(co.Commit); found || err != nil {
		t.Errorf("base found %v, %q, %v", found, why, err)
	}
}

func TestCheckoutRefusesLinks(t *testing.T) {
	tests := []struct {
		name  string
		links map[string]string
		want  string // "" is allowed
	}{
		{"inside", map[string]string{"a": "compose.yml", "d/b": "../compose.yml"}, ""},
		{"dangling", map[string]string{"a": "nowhere"}, ""},
		{"absolute", map[string]string{"a": "/etc/passwd"}, `/etc/passwd", which leads out of the recipe`},
		{"up", map[string]string{"d/a": "../../x"}, `"d/a" is a symlink to "../../x", which leads out`},
		{"up, nowhere", map[string]string{"a": "../../../nowhere"}, `"a" is a symlink`},
		{"by way of another", map[string]string{"d/up": "..", "a": "d/up/../etc"}, `"a" is a symlink to "d/up/../etc", which leads out`},
		{"itself", map[string]string{"a": "a"}, `"a" is a symlink`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := newRepo(t, t.TempDir())
			for name, target := range tt.links {
				file := filepath.Join(repo.dir, name)
				repo.must(os.MkdirAll(filepath.Dir(file), 0o755))
				repo.must(os.Symlink(target, file))
			}
			repo.release("1.0.0+1.0.0")
			dir := filepath.Join(t.TempDir(), "clone")
			r := repo.open()
			c, err := r.Commit("")
			repo.must(err)
			_, err = r.Checkout(c, dir)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkError(t, err, tt.want, "replace the symlink")
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something is left: %v", err)
			}
		})
	}
}

// treeEntry is one line of a git tree object, byte for byte.
func treeEntry(mode, name string, h plumbing.Hash) string {
	return mode + " " + name + "\x00" + string(h[:])
}

func TestCheckoutOfHostileTrees(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	outside := filepath.Join(t.TempDir(), "outside")
	repo.must(os.MkdirAll(outside, 0o755))
	base := repo.release("1.0.0+1.0.0")
	compose := repo.object(plumbing.BlobObject, []byte("services: {}\n"))
	target := repo.object(plumbing.BlobObject, []byte(outside))
	inner := repo.object(plumbing.TreeObject, []byte(treeEntry("100644", "b", compose)))

	tests := []struct{ name, tree, want string }{
		{"link and folder of one name", treeEntry("120000", "a", target) + treeEntry("40000", "a", inner), `"a"`},
		{"folder and link of one name", treeEntry("40000", "a", inner) + treeEntry("120000", "a", target), `"a" is a symlink`},
		{"slash", treeEntry("100644", "../../b", compose), `cannot be the name of a file`},
		{"dots", treeEntry("40000", "..", inner), `".." cannot be the name of a file`},
		{"git's own folder", treeEntry("40000", ".GIT", inner), `".GIT" cannot be the name of a file`},
		{"escape codes", treeEntry("100644", "a\x1b[2J", compose), `"a\x1b[2J" cannot be the name of a file`},
		{"twice", treeEntry("100644", "a", compose) + treeEntry("100644", "a", compose), `"a": openat a: file exists`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := repo.object(plumbing.TreeObject, []byte(tt.tree+treeEntry("100644", "compose.yml", compose)))
			commit := repo.object(plumbing.CommitObject, []byte("tree "+tree.String()+"\nparent "+base+
				"\nauthor A <a@example.com> 1780000000 +0000\ncommitter A <a@example.com> 1780000000 +0000\n\nx\n"))
			_, err := checkoutOf(t, repo.open(), commit.String())
			checkError(t, err, tt.want, "")
			if entries, _ := os.ReadDir(outside); len(entries) > 0 {
				t.Errorf("written outside: %v", entries)
			}
		})
	}
}

func TestCheckoutLeavesSubmodulesEmpty(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	base := repo.release("1.0.0+1.0.0")
	compose := repo.object(plumbing.BlobObject, []byte("services: {}\n"))
	tree := repo.object(plumbing.TreeObject, []byte(treeEntry("100644", "compose.yml", compose)+treeEntry("160000", "sub", plumbing.NewHash(base))))
	commit := repo.object(plumbing.CommitObject, []byte("tree "+tree.String()+
		"\nauthor A <a@example.com> 1780000000 +0000\ncommitter A <a@example.com> 1780000000 +0000\n\nx\n"))
	co, err := checkoutOf(t, repo.open(), commit.String())
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(co.Dir, "sub")); err != nil || len(entries) > 0 {
		t.Errorf("submodule: %v, %v", entries, err)
	}
}

func TestCheckoutErrors(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"bad sample", ".env.sample", "A=b\nnonsense\n", ".env.sample:2"},
		{"bad abra.sh", "abra.sh", "if", "abra.sh:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := newRepo(t, t.TempDir())
			repo.write(tt.file, tt.text)
			repo.release("1.0.0+1.0.0")
			_, err := checkoutOf(t, repo.open(), "")
			checkError(t, err, tt.want, "")
		})
	}
	t.Run("folder is in use", func(t *testing.T) {
		repo := newRepo(t, t.TempDir())
		repo.release("1.0.0+1.0.0")
		r := repo.open()
		c, err := r.Commit("")
		repo.must(err)
		dir := t.TempDir()
		repo.must(os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644))
		_, err = r.Checkout(c, dir)
		checkError(t, err, "is not empty", "")
		if _, err := os.Stat(filepath.Join(dir, "mine")); err != nil {
			t.Error(err)
		}
	})
}

func TestFilesStayInTheTree(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	repo.release("1.0.0+1.0.0")
	repo.must(os.Symlink("/etc/passwd", filepath.Join(repo.dir, "passwd")))
	co, err := repo.open().Working()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"passwd", "../x", "/etc/passwd"} {
		if _, err := fs.ReadFile(co.Files(), name); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	if _, err := git.PlainOpen(co.Dir); err != nil {
		t.Error(err)
	}
}
