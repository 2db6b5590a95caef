package recipe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/config"
)

func TestOpen(t *testing.T) {
	abra := t.TempDir()
	recipes := filepath.Join(abra, "recipes")
	notes := newRepo(t, filepath.Join(recipes, "notes"))
	notes.write(".env.sample", "TYPE=notes\n")
	notes.release("1.0.0+1.0.0")
	clone := newRepo(t, filepath.Join(abra, "work", "pr3"))
	clone.write(".env.sample", "# a comment\nTYPE=\"mailu:1.0.0+1\"\n")
	clone.release("1.0.0+1.0.0")
	plain := newRepo(t, filepath.Join(abra, "work", "plain"))
	plain.release("1.0.0+1.0.0")

	tests := []struct{ name, arg, want string }{
		{"by name", "notes", "notes"},
		{"by path, named by TYPE", clone.dir, "mailu"},
		{"by path, named by folder", plain.dir, "plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Open(abra, tt.arg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Name != tt.want {
				t.Errorf("name %q, want %q", r.Name, tt.want)
			}
		})
	}
	t.Run("here", func(t *testing.T) {
		t.Chdir(plain.dir)
		r, err := Open(abra, ".")
		if err != nil || r.Name != "plain" || !filepath.IsAbs(r.Dir) {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	abra := t.TempDir()
	for _, name := range []string{"mailu", "mailman", "wordpress"} {
		newRepo(t, filepath.Join(abra, "recipes", name)).release("1.0.0+1.0.0")
	}
	bare := filepath.Join(abra, "recipes", "folder")
	empty := newRepo(t, filepath.Join(abra, "recipes", "empty"))
	other := newRepo(t, filepath.Join(abra, "recipes", "other"))
	other.write("README.md", "hello")
	other.commit("readme")
	uncommitted := newRepo(t, filepath.Join(abra, "recipes", "uncommitted"))
	uncommitted.write("README.md", "hello")
	uncommitted.commit("readme")
	uncommitted.write("compose.yml", "services: {}")
	if err := os.MkdirAll(bare, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(other.dir, "README.md")

	tests := []struct{ name, arg, want, hint string }{
		{"unknown, near", "maiul", `no recipe "maiul" in "` + filepath.Join(abra, "recipes") + `"; nearest: mailu`, "abra recipe fetch maiul"},
		{"unknown, far", "zzzzzz", `no recipe "zzzzzz" in "` + filepath.Join(abra, "recipes") + `"`, "abra recipe fetch zzzzzz"},
		{"an option", "-rf", `"-rf" cannot be a recipe's name`, "mailu"},
		{"empty", "", `"" cannot be a recipe's name`, "mailu"},
		{"longest", strings.Repeat("m", 64), "no recipe", "abra recipe fetch m"},
		{"too long", strings.Repeat("m", 65), "cannot be a recipe's name", "mailu"},
		{"control characters", "ma\x1b[31m", `"ma\x1b[31m" cannot be a recipe's name`, "mailu"},
		{"control characters in a path", "./ma\x1b[31m", "control characters", ""},
		{"backslash", `..\x`, "cannot be a recipe's name", "mailu"},
		{"no such path", "./nowhere", `no recipe at "./nowhere"`, "path of its clone"},
		{"a file", file, "is no folder", "compose.yml"},
		{"no repository", "folder", "is no git repository", "git init"},
		{"no commit", empty.dir, "has no commit", "commit"},
		{"no compose.yml", "other", "is no recipe: it has no compose.yml", "compose.yml"},
		{"compose.yml not committed", "uncommitted", "is not committed", "add compose.yml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(abra, tt.arg)
			checkError(t, err, tt.want, tt.hint)
		})
	}
}

// checkError wants an error that contains want and whose hint contains hint.
func checkError(t *testing.T, err error, want, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got error %v, want %q in it", err, want)
	}
	if hasControl(err.Error()) {
		t.Errorf("control characters in %q", err)
	}
	var h interface{ Hint() string }
	if hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), hint)) {
		t.Errorf("error %q has no hint with %q", err, hint)
	}
}

func TestDirty(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	repo.release("1.0.0+1.0.0")
	r := repo.open()
	check := func(want bool) {
		t.Helper()
		if got, err := r.Dirty(); err != nil || got != want {
			t.Errorf("Dirty() = %v, %v; want %v", got, err, want)
		}
	}
	check(false)
	repo.write("untracked", "x")
	check(true)
	repo.commit("now tracked")
	check(false)
	repo.write("compose.yml", "services: {app: {}}")
	check(true)
}

func TestOrigin(t *testing.T) {
	tests := []struct{ name, url, want string }{
		{"none", "", ""},
		{"https", "https://git.example.com/coop-cloud/notes.git", "https://git.example.com/coop-cloud/notes.git"},
		{"token", "https://bot:s3cret@git.example.com/coop-cloud/notes", "https://git.example.com/coop-cloud/notes"},
		{"ssh", "ssh://git@git.example.com:2222/coop-cloud/notes", "ssh://git@git.example.com:2222/coop-cloud/notes"},
		{"scp", "git@git.example.com:coop-cloud/notes", "git@git.example.com:coop-cloud/notes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := newRepo(t, t.TempDir())
			repo.release("1.0.0+1.0.0")
			if tt.url != "" {
				_, err := repo.repo.CreateRemote(&config.RemoteConfig{Name: "origin", URLs: []string{tt.url}})
				repo.must(err)
			}
			if got := repo.open().Origin(); got != tt.want {
				t.Errorf("Origin() = %q, want %q", got, tt.want)
			}
		})
	}
}
