package recipe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// A forge serves one repository with git's own smart HTTP server.
type forge struct {
	*testRepo
	server *httptest.Server
	base   string
	wrap   func(http.Handler) http.Handler
}

// newForge makes a repository with a release on main; the pull request is 7.
func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{testRepo: newRepo(t, filepath.Join(t.TempDir(), "srv", "notes"))}
	f.write(".env.sample", "TYPE=notes\nDOMAIN=notes.example.com\n")
	f.base = f.release("1.0.0+1.0.0")
	return f
}

// pull commits what is in the folder as the pull request's head.
func (f *forge) pull(message string) string {
	f.t.Helper()
	sha := f.commit(message)
	f.ref("refs/pull/7/head", sha)
	f.ref("refs/heads/main", f.base)
	return sha
}

// start serves the repository.
func (f *forge) start() *forge {
	f.t.Helper()
	path, err := exec.LookPath("git")
	f.must(err)
	out, err := exec.Command(path, "--exec-path").Output()
	f.must(err)
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(f.dir), "GIT_HTTP_EXPORT_ALL=1", "PATH=" + filepath.Dir(path), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "HOME=/nowhere"},
	}
	var handler http.Handler = backend
	if f.wrap != nil {
		handler = f.wrap(backend)
	}
	f.server = httptest.NewServer(handler)
	f.t.Cleanup(f.server.Close)
	return f
}

func (f *forge) source(head string) PullSource {
	return PullSource{URL: f.server.URL + "/notes/.git", PR: 7, Head: head, BaseRef: "main", Base: f.base}
}

// fetch fetches into a folder that is not there yet.
func (f *forge) fetch(src PullSource) (*Fetched, string, error) {
	f.t.Helper()
	dir := filepath.Join(f.t.TempDir(), "clone")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	got, err := Fetch(ctx, src, dir)
	return got, dir, err
}

// refused fails the test unless the source is refused in the words of want,
// and nothing is left.
func (f *forge) refused(src PullSource, want string) error {
	f.t.Helper()
	_, dir, err := f.fetch(src)
	if err == nil || !strings.Contains(err.Error(), want) {
		f.t.Fatalf("error %v, want %q", err, want)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		f.t.Errorf("%s is left behind: %v", dir, err)
	}
	return err
}

func TestFetch(t *testing.T) {
	f := newForge(t)
	fork := f.base
	f.write("base.txt", "after the fork\n")
	f.base = f.commit("main goes on")
	f.tag("light", f.base, false)
	f.branch("pr", fork)
	f.write("hooks/post-checkout", "#!/bin/sh\ntouch hooked\n")
	f.must(os.MkdirAll(filepath.Join(f.dir, ".git", "hooks"), 0o755))
	f.must(os.WriteFile(filepath.Join(f.dir, ".git", "hooks", "post-checkout"), []byte("#!/bin/sh\ntouch hooked\n"), 0o755))
	f.write("abra.sh", "export X=v1\n")
	head := f.pull("a change")
	f.start()

	got, dir, err := f.fetch(f.source(head))
	if err != nil {
		t.Fatal(err)
	}
	if got.Head.SHA != head || got.Base.SHA != f.base || got.MergeBase.SHA != fork {
		t.Errorf("head %s base %s merge base %s, want %s %s %s", got.Head.SHA, got.Base.SHA, got.MergeBase.SHA, head, f.base, fork)
	}
	if got.Recipe.Name != "notes" || got.MergeBase.Version != "1.0.0+1.0.0" {
		t.Errorf("%s at %s", got.Recipe.Name, got.MergeBase.Version)
	}
	for _, gone := range []string{"hooked", ".git/hooks", ".git/objects/info/alternates", ".git/modules"} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
			t.Errorf("%s is there", gone)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, ".git", "config")); err != nil || strings.Contains(string(text), "remote") {
		t.Errorf("config: %s, %v", text, err)
	}
	if got := gitOutput(t, dir, "status", "--porcelain"); got != "" {
		t.Errorf("not clean: %s", got)
	}
	if got := gitOutput(t, dir, "fsck", "--full", "--strict"); got != "" {
		t.Errorf("fsck: %s", got)
	}
	f.must(os.RemoveAll(f.dir)) // nothing may depend on it

	reopened, err := Open("", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"refs/pull/7/head", "main", "light", fork} {
		if _, err := checkoutOf(t, reopened, ref); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	base, found, why, err := reopened.Base(got.Head)
	if err != nil || !found || base.SHA != fork {
		t.Errorf("base %v %v %q %v", base, found, why, err)
	}
}

// No git program may run: it would read configuration, helpers and hooks.
func TestFetchRunsNoGit(t *testing.T) {
	f := newForge(t)
	head := f.pull("a change")
	f.start()
	bin := t.TempDir()
	ran := filepath.Join(bin, "ran")
	f.must(os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755))
	t.Setenv("PATH", bin)
	if _, _, err := f.fetch(f.source(head)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the program git ran")
	}
}

func TestFetchMoved(t *testing.T) {
	f := newForge(t)
	old := f.pull("first")
	f.write("x", "y")
	now := f.pull("second")
	f.start()
	tests := []struct {
		name string
		edit func(*PullSource)
		want MovedError
	}{
		{"head", func(s *PullSource) { s.Head = old }, MovedError{"refs/pull/7/head", old, now}},
		{"no such pull request", func(s *PullSource) { s.PR = 8 }, MovedError{"refs/pull/8/head", now, ""}},
		{"no such branch", func(s *PullSource) { s.BaseRef = "dev" }, MovedError{"refs/heads/dev", f.base, ""}},
		{"base of another branch", func(s *PullSource) { s.Base = now }, MovedError{"refs/heads/main", now, f.base}},
		{"base that is not there", func(s *PullSource) { s.Base = strings.Repeat("a", 40) }, MovedError{"refs/heads/main", strings.Repeat("a", 40), f.base}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := f.source(now)
			tt.edit(&src)
			_, dir, err := f.fetch(src)
			var moved *MovedError
			if !errors.As(err, &moved) || *moved != tt.want {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if _, err := os.Lstat(dir); err == nil {
				t.Error("the folder is left behind")
			}
		})
	}
}

// The base branch may go on after it was pinned.
func TestFetchPinsTheBase(t *testing.T) {
	f := newForge(t)
	pinned := f.base
	f.write("x", "y")
	f.base = f.commit("main goes on")
	f.branch("pr", pinned)
	head := f.pull("a change")
	f.start()
	src := f.source(head)
	src.Base = pinned
	got, _, err := f.fetch(src)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := got.Recipe.Commit("main"); err != nil || c.SHA != pinned {
		t.Errorf("main is %s, %v; pinned was %s", c.SHA, err, pinned)
	}
}

func TestFetchToken(t *testing.T) {
	const token = "s3cr3t-t0ken"
	f := newForge(t)
	head := f.pull("a change")
	f.wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, password, _ := r.BasicAuth(); password != token {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(w, "\x1b[2Jwrong: %s", r.Header.Get("Authorization"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	f.start()
	src := f.source(head)
	src.Token = token
	_, dir, err := f.fetch(src)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("grep", "-r", token, dir).CombinedOutput(); err == nil {
		t.Errorf("the token is in the clone: %s", out)
	}
	src.Token = "wrong-token"
	err = f.refused(src, "the forge wants a token")
	if strings.Contains(err.Error(), "\x1b") || strings.Contains(err.Error(), "Basic") {
		t.Errorf("the forge's words came through: %q", err)
	}
}

func TestFetchRefusesSources(t *testing.T) {
	f := newForge(t)
	head := f.pull("a change")
	f.start()
	tests := []struct {
		name string
		edit func(*PullSource)
		want string
	}{
		{"password in the URL", func(s *PullSource) { s.URL = "https://me:hunter22@example.com/x" }, "holds credentials"},
		{"local path", func(s *PullSource) { s.URL = f.dir }, "from http or https"},
		{"file URL", func(s *PullSource) { s.URL = "file://" + f.dir }, "from http or https"},
		{"ssh", func(s *PullSource) { s.URL = "ssh://git@example.com/x" }, "from http or https"},
		{"ext", func(s *PullSource) { s.URL = "ext::sh -c true" }, "from http or https"},
		{"token in the clear", func(s *PullSource) { s.URL, s.Token = "http://forge.example.com/x", "t" }, "for everybody to read"},
		{"short head", func(s *PullSource) { s.Head = head[:8] }, "full SHAs"},
		{"branch like an option", func(s *PullSource) { s.BaseRef = "--upload-pack=x" }, "cannot be the name"},
		{"branch out of the folder", func(s *PullSource) { s.BaseRef = "../../hooks/x" }, "cannot be the name"},
		{"no repository", func(s *PullSource) { s.URL = f.server.URL + "/elsewhere" }, "no such repository"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := f.source(head)
			tt.edit(&src)
			if err := f.refused(src, tt.want); strings.Contains(err.Error(), "hunter22") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
}

func TestFetchRedirects(t *testing.T) {
	f := newForge(t)
	head := f.pull("a change")
	f.start()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, f.server.URL+r.URL.RequestURI(), http.StatusFound)
	}))
	defer elsewhere.Close()
	src := f.source(head)
	src.URL = elsewhere.URL + "/notes/.git"
	f.refused(src, "redirects to another host")

	same := newForge(t)
	head = same.pull("a change")
	same.wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/renamed/"); ok {
				http.Redirect(w, r, "/notes/.git/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	same.start()
	src = same.source(head)
	src.URL = same.server.URL + "/renamed"
	if _, _, err := same.fetch(src); err != nil {
		t.Errorf("renamed on the same host: %v", err)
	}
}

func TestFetchEnds(t *testing.T) {
	f := newForge(t)
	head := f.pull("a change")
	asked := make(chan struct{}, 1)
	f.wrap = func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		})
	}
	f.start()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	dir := filepath.Join(t.TempDir(), "clone")
	if _, err := Fetch(ctx, f.source(head), dir); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Error("the folder is left behind")
	}
}

// What a repository can be made of to harm whoever clones it.
func TestFetchHostile(t *testing.T) {
	tests := []struct {
		name string
		pull func(f *forge) string
		edit func(*PullSource)
		want string
	}{
		{name: "symlink out of the tree", want: "leads out of the recipe", pull: func(f *forge) string {
			f.must(os.Symlink("/etc/passwd", filepath.Join(f.dir, "link")))
			return f.pull("link")
		}},
		{name: "submodule to a local path", want: "has the submodule", pull: func(f *forge) string {
			f.write(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = /etc\n")
			return f.pull("submodule")
		}},
		{name: "submodule without a word", want: `has the submodule "sub/x"`, pull: func(f *forge) string {
			sub := f.tree(entry("160000", "x", plumbing.NewHash(f.base)))
			return f.pullTree(entry("40000", "sub", sub))
		}},
		{name: "tag like an option", want: "cannot be the name of a branch or tag", pull: func(f *forge) string {
			head := f.pull("tag")
			f.must(os.WriteFile(filepath.Join(f.dir, ".git", "refs", "tags", "--upload-pack=x"), []byte(head+"\n"), 0o644))
			return head
		}},
		{name: "100 MB", want: "sends more than 32 MiB", pull: func(f *forge) string {
			noise := make([]byte, 100_000_000)
			rand.Read(noise)
			store := exec.Command("git", "-C", f.dir, "-c", "core.compression=0", "hash-object", "-w", "--stdin")
			store.Stdin = bytes.NewReader(noise)
			out, err := store.Output()
			f.must(err)
			return f.pullTree(entry("100644", "noise", plumbing.NewHash(strings.TrimSpace(string(out)))))
		}, edit: func(s *PullSource) { s.Limit = 32 << 20 }},
		{name: "zip bomb", want: "unpacks to more than 4 MiB", pull: func(f *forge) string {
			return f.pullTree(entry("100644", "zeros", f.object(plumbing.BlobObject, make([]byte, 5<<20))))
		}, edit: func(s *PullSource) { s.Limit = 1 << 20 }},
		{name: "50001 files", want: "more than 50000 files", pull: func(f *forge) string {
			empty := f.object(plumbing.BlobObject, nil)
			var files []string
			for i := range 50_001 {
				files = append(files, entry("100644", fmt.Sprintf("f%06d", i), empty))
			}
			return f.pullTree(files...)
		}},
		{name: "tree bomb", want: "more than 50000 files", pull: func(f *forge) string {
			tree := f.tree(entry("100644", "f", f.object(plumbing.BlobObject, nil)))
			for range 8 {
				var ten []string
				for i := range 10 {
					ten = append(ten, entry("40000", fmt.Sprint("d", i), tree))
				}
				tree = f.tree(ten...)
			}
			return f.pullTree(entry("40000", "deep", tree))
		}},
		{name: "absurdly long path", want: "a path is longer than 1024 bytes", pull: func(f *forge) string {
			tree := f.tree(entry("100644", "f", f.object(plumbing.BlobObject, nil)))
			for range 400 {
				tree = f.tree(entry("40000", "deeper", tree))
			}
			return f.pullTree(entry("40000", "deep", tree))
		}},
		{name: "absurdly long name", want: "a path is longer than 1024 bytes", pull: func(f *forge) string {
			return f.pullTree(entry("100644", strings.Repeat("x", 5000), f.object(plumbing.BlobObject, nil)))
		}},
		{name: "no recipe", want: "has no compose.yml", pull: func(f *forge) string {
			f.must(os.Remove(filepath.Join(f.dir, "compose.yml")))
			return f.pull("empty")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForge(t)
			head := tt.pull(f)
			src := f.start().source(head)
			if tt.edit != nil {
				tt.edit(&src)
			}
			f.refused(src, tt.want)
		})
	}
}

func entry(mode, name string, h plumbing.Hash) string {
	if _, err := filemode.New(mode); err != nil {
		panic(err)
	}
	return mode + " " + name + "\x00" + string(h[:])
}

func (f *forge) tree(entries ...string) plumbing.Hash {
	f.t.Helper()
	return f.object(plumbing.TreeObject, []byte(strings.Join(entries, "")))
}

// pullTree makes a pull request of raw tree entries, compose.yml among them.
func (f *forge) pullTree(entries ...string) string {
	f.t.Helper()
	compose := f.object(plumbing.BlobObject, []byte("services: {app: {image: x}}\n"))
	tree := f.tree(append([]string{entry("100644", "compose.yml", compose)}, entries...)...)
	text := fmt.Sprintf("tree %s\nparent %s\nauthor A <a@example.com> 1780000000 +0000\ncommitter A <a@example.com> 1780000000 +0000\n\nhostile\n", tree, f.base)
	head := f.object(plumbing.CommitObject, []byte(text)).String()
	f.ref("refs/pull/7/head", head)
	return head
}

// A compose file is not looked into by a fetch; whoever resolves it is safe.
func TestFetchedYAMLBomb(t *testing.T) {
	f := newForge(t)
	f.write("compose.yml", "version: \"3.8\"\nx-s: &s \""+strings.Repeat("y", 900_000)+"\"\nservices:\n  app: {image: x, environment: ["+strings.Repeat("*s,", 20_000)+"]}\n")
	head := f.pull("bomb")
	got, _, err := f.start().fetch(f.source(head))
	if err != nil {
		t.Fatal(err)
	}
	co, err := got.Recipe.Checkout(got.Head, filepath.Join(t.TempDir(), "co"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := co.Stack(co.AppEnv("notes.example.com", nil)); err == nil || !strings.Contains(err.Error(), "aliases make the file larger") {
		t.Errorf("error %.200v", err)
	}
}
