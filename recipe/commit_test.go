package recipe

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-git/go-git/v5/plumbing"
)

func TestCommit(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	one := repo.release("1.0.0+1.0.0")
	repo.tag("1.0.1+1.0.0", one, true) // two releases of one commit
	repo.tag("9.0.0+1.0.0", one, false)
	two := repo.release("1.1.0+1.0.0")
	repo.branch("feature/x", one)
	repo.write("README.md", "x")
	three := repo.commit("work")
	repo.ref("refs/remotes/origin/main", one)
	repo.ref("refs/remotes/origin/only-there", one)
	repo.tag("twofold", one, false)
	repo.ref("refs/heads/twofold", two)
	r := repo.open()

	tests := []struct{ name, ref, sha, version string }{
		{"head", "", three, three[:8]},
		{"HEAD", "HEAD", three, three[:8]},
		{"branch", "feature/x", three, three[:8]},
		{"local branch before origin's", "main", two, "1.1.0+1.0.0"},
		{"origin's branch", "origin/main", one, "1.0.1+1.0.0"},
		{"origin's branch, short", "only-there", one, "1.0.1+1.0.0"},
		{"annotated tag", "1.0.0+1.0.0", one, "1.0.1+1.0.0"},
		{"lightweight tag", "9.0.0+1.0.0", one, "1.0.1+1.0.0"},
		{"full name", "refs/tags/twofold", one, "1.0.1+1.0.0"},
		{"full SHA", two, two, "1.1.0+1.0.0"},
		{"short SHA", two[:7], two, "1.1.0+1.0.0"},
		{"even shorter SHA", two[:10], two, "1.1.0+1.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := r.Commit(tt.ref)
			if err != nil {
				t.Fatal(err)
			}
			want := Commit{SHA: tt.sha, Short: tt.sha[:8], Ref: tt.ref, Version: tt.version, When: c.When}
			if tt.ref == "" {
				want.Ref = "HEAD"
			}
			if d := cmp.Diff(want, c); d != "" {
				t.Error(d)
			}
			if c.When.Year() != 2026 {
				t.Errorf("when %v", c.When)
			}
		})
	}
}

func TestCommitErrors(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	one := repo.release("1.0.0+1.0.0")
	two := repo.release("1.1.0+1.0.0")
	repo.tag("twofold", one, false)
	repo.ref("refs/heads/twofold", two)
	blob := repo.object(plumbing.BlobObject, []byte("x"))
	repo.ref("refs/tags/blob", blob.String())
	r := repo.open()

	tests := []struct{ name, ref, want, hint string }{
		{"unknown", "nowhere", `no branch, tag or commit "nowhere"`, "fetch --tags"},
		{"unknown SHA", "0123456", `no branch, tag or commit "0123456"`, "fetch"},
		{"unknown full SHA", "0123456789012345678901234567890123456789", "object not found", ""},
		{"tag and branch", "twofold", "is both a tag and a branch", "refs/tags/twofold"},
		{"blob", "blob", "not a commit", ""},
		{"short SHA of a blob", blob.String()[:10], "no branch, tag or commit", ""},
		{"an option", "--upload-pack=x", "cannot be a ref", ""},
		{"an expression", "HEAD~1", "cannot be a ref", ""},
		{"a path", "HEAD:compose.yml", "cannot be a ref", ""},
		{"a climb", "../../x", "cannot be a ref", ""},
		{"control", "a\nb", "cannot be a ref", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := r.Commit(tt.ref)
			checkError(t, err, tt.want, tt.hint)
		})
	}
}

func TestTags(t *testing.T) {
	repo := newRepo(t, t.TempDir())
	one := repo.release("1.10.0+1.0.0")
	repo.tag("1.9.0+1.0.0", one, false)
	repo.tag("nightly", one, true)
	repo.tag("1.10.0+0.9.0", one, true)
	repo.ref("refs/tags/blob", repo.object(plumbing.BlobObject, []byte("x")).String())
	tags, err := repo.open().Tags()
	if err != nil {
		t.Fatal(err)
	}
	v := func(recipe, app string) Version { return Version{Recipe: recipe, App: app} }
	want := []Tag{
		{Name: "1.9.0+1.0.0", SHA: one, Version: v("1.9.0", "1.0.0"), IsVersion: true},
		{Name: "1.10.0+0.9.0", SHA: one, Annotated: true, Version: v("1.10.0", "0.9.0"), IsVersion: true},
		{Name: "1.10.0+1.0.0", SHA: one, Annotated: true, Version: v("1.10.0", "1.0.0"), IsVersion: true},
		{Name: "nightly", SHA: one, Annotated: true},
	}
	if d := cmp.Diff(want, tags); d != "" {
		t.Error(d)
	}
}

func TestBase(t *testing.T) {
	tests := []struct {
		name  string
		build func(r *testRepo) (head, base string) // base "" is none
		ref   string
		why   string
	}{
		{"last release before a branch", func(r *testRepo) (string, string) {
			r.release("1.0.0+1.0.0")
			base := r.release("1.1.0+1.0.0")
			r.write("x", "y")
			return r.commit("work"), base
		}, "1.1.0+1.0.0", "the last release before the head"},
		{"head is a release itself", func(r *testRepo) (string, string) {
			base := r.release("1.0.0+1.0.0")
			return r.release("1.1.0+1.0.0"), base
		}, "1.0.0+1.0.0", "the last release before the head"},
		{"a fix of an old release", func(r *testRepo) (string, string) {
			base := r.release("1.0.0+1.0.0")
			r.release("2.0.0+1.0.0")
			return r.release("1.0.1+1.0.0"), base
		}, "1.0.0+1.0.0", "the last release before the head"},
		{"highest, not latest", func(r *testRepo) (string, string) {
			base := r.release("1.10.0+1.0.0")
			r.release("1.9.0+1.0.0")
			return r.commit("work"), base
		}, "1.10.0+1.0.0", "the last release before the head"},
		{"a release on another branch does not count", func(r *testRepo) (string, string) {
			base := r.release("1.0.0+1.0.0")
			r.release("2.0.0+1.0.0")
			r.branch("work", base)
			return r.commit("work"), base
		}, "1.0.0+1.0.0", "the last release before the head"},
		{"a lightweight tag is no release", func(r *testRepo) (string, string) {
			base := r.release("1.0.0+1.0.0")
			r.tag("1.1.0+1.0.0", r.commit("x"), false)
			return r.commit("work"), base
		}, "1.0.0+1.0.0", "the last release before the head"},
		{"default branch", func(r *testRepo) (string, string) {
			r.write("compose.yml", "services: {}")
			base := r.commit("first")
			r.branch("work", base)
			return r.commit("work"), base
		}, "main", "no release before the head: the tip of main"},
		{"origin before local", func(r *testRepo) (string, string) {
			r.write("compose.yml", "services: {}")
			base := r.commit("first")
			r.ref("refs/remotes/origin/main", base)
			return r.commit("work"), base
		}, "origin/main", "no release before the head: the tip of origin/main"},
		{"origin's HEAD before all", func(r *testRepo) (string, string) {
			r.write("compose.yml", "services: {}")
			base := r.commit("first")
			r.ref("refs/remotes/origin/trunk", base)
			r.must(r.repo.Storer.SetReference(plumbing.NewSymbolicReference("refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")))
			head := r.commit("work")
			r.ref("refs/remotes/origin/main", head)
			return head, base
		}, "origin/trunk", "no release before the head: the tip of origin/trunk"},
		{"head is the tip", func(r *testRepo) (string, string) {
			return r.release("1.0.0+1.0.0"), ""
		}, "", "no release before the head, and the head is the tip of main itself"},
		{"head is older than the tip", func(r *testRepo) (string, string) {
			head := r.release("1.0.0+1.0.0")
			r.release("1.1.0+1.0.0")
			return head, ""
		}, "", "no release before the head, and main already contains the head"},
		{"tip is no recipe", func(r *testRepo) (string, string) {
			r.write("README.md", "soon")
			first := r.commit("first")
			r.branch("work", first)
			r.write("compose.yml", "services: {}")
			return r.commit("work"), ""
		}, "", "no release before the head, and main has no compose.yml"},
		{"no default branch", func(r *testRepo) (string, string) {
			r.write("compose.yml", "services: {}")
			head := r.commit("first")
			r.branch("work", head)
			r.must(r.repo.Storer.RemoveReference("refs/heads/main"))
			return head, ""
		}, "", "no release before the head, and no default branch (origin/HEAD, main, master)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repo := newRepo(t, t.TempDir())
			headSHA, baseSHA := tt.build(repo)
			r := repo.open()
			head, err := r.Commit(headSHA)
			if err != nil {
				t.Fatal(err)
			}
			base, found, why, err := r.Base(head)
			if err != nil {
				t.Fatal(err)
			}
			if found != (baseSHA != "") || base.SHA != baseSHA || base.Ref != tt.ref || why != tt.why {
				t.Errorf("got %+v, %v, %q; want %s (%s), %q", base, found, why, baseSHA, tt.ref, tt.why)
			}
		})
	}
}
