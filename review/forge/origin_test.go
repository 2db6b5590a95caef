package forge

import (
	"net/url"
	"strings"
	"testing"
)

func TestRepoOf(t *testing.T) {
	const forge = "https://git.coopcloud.tech"
	for origin, want := range map[string]string{
		"https://git.coopcloud.tech/coop-cloud/mailu.git":           forge + " coop-cloud/mailu",
		"https://git.coopcloud.tech/coop-cloud/mailu":               forge + " coop-cloud/mailu",
		"https://git.coopcloud.tech/coop-cloud/mailu/":              forge + " coop-cloud/mailu",
		"https://me:secret@git.coopcloud.tech/coop-cloud/mailu.git": forge + " coop-cloud/mailu",
		"https://example.org:8443/git/a/b.git":                      "https://example.org:8443/git a/b",
		"http://127.0.0.1:3000/a/b.git":                             "http://127.0.0.1:3000 a/b",
		"https://[::1]:3000/a/b.c":                                  "https://[::1]:3000 a/b.c",
		"git@git.coopcloud.tech:coop-cloud/mailu.git":               forge + " coop-cloud/mailu",
		"git.coopcloud.tech:coop-cloud/mailu":                       forge + " coop-cloud/mailu",
		"ssh://git@git.coopcloud.tech:2222/coop-cloud/mailu.git":    forge + " coop-cloud/mailu",
		"ssh://git@git.coopcloud.tech/coop-cloud/mailu.git":         forge + " coop-cloud/mailu",
		"ssh://git@[2001:db8::1]:2222/a/b":                          "https://[2001:db8::1] a/b",
		"git+ssh://git@git.coopcloud.tech/coop-cloud/mailu.git":     forge + " coop-cloud/mailu",
	} {
		base, repo, err := RepoOf(origin)
		if got := base + " " + repo; err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", origin, got, want, err)
		}
	}
}

func TestRepoOfHostile(t *testing.T) {
	for _, origin := range []string{
		"", "/srv/git/mailu.git", "../mailu", "C:\\mailu", "file:///srv/a/b", "ext::sh -c id", "git://example.org/a/b",
		"https://example.org/b", "https://example.org/a/..", "https://example.org/../a/b", "https://example.org//a//b",
		"https://example.org/a/b?x", "https://example.org/a/b#x", "https://example.org/a%2fb/c", "https://example.org/a/.git",
		"https:///a/b", "https://-x/a/b", "https://ex ample.org/a/b", "https://example.org:0/a/b", "https://example.org:99999/a/b",
		"https://example.org/-a/b", "https://example.org/a/-b", "https://example.org/a/b\n", "https://me:se%zzcret@example.org/a/b",
		"-oProxyCommand=id:a/b", "git@-oProxyCommand=id:a/b", "git@example.org:a/b/../c", "git@example.org:a", "git@:a/b",
		"ssh://-oProxyCommand=id/a/b", "ssh://git@example.org:99999/a/b", "ssh://git@example.org:2222x/a/b", "javascript:a/b;x", "https://example.org/a/b.wiki.git",
		"https://example.org/\u202ea/b", "https://exämple.org/a/b", "git@example.org:a/b c",
	} {
		base, repo, err := RepoOf(origin)
		if err == nil {
			t.Errorf("%q: %q %q", origin, base, repo)
			continue
		}
		wants(t, err, "--repo OWNER/NAME")
		if strings.Contains(err.Error(), "cret") {
			t.Errorf("a password is in: %v", err)
		}
	}
}

// What RepoOf takes, New takes too, unless it is plain http, and it has no part in it
// that could be taken for another thing.
func FuzzRepoOf(f *testing.F) {
	for _, s := range []string{"https://u:p@h:1/x/a/b.git", "git@h:a/b", "ssh://git@[::1]:22/a/b", "http://localhost/a/b", "h:a/b@c:d/e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, origin string) {
		base, repo, err := RepoOf(origin)
		if err != nil {
			if base != "" || repo != "" {
				t.Fatalf("%q %q beside %v", base, repo, err)
			}
			return
		}
		u, err := url.Parse(base)
		if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != base || u.Scheme != "https" && u.Scheme != "http" {
			t.Fatalf("%q: %+v, %v", base, u, err)
		}
		if b, r, err := RepoOf(base + "/" + repo + ".git"); err != nil || b != base || r != repo {
			t.Fatalf("%q %q is read as %q %q, %v", base, repo, b, r, err)
		}
		if _, err := New(Options{URL: base, Repo: repo}); err != nil && u.Scheme == "https" {
			t.Fatal(err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	const good = "https://git.example.org"
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{URL: good, Repo: "a/b"}, ""},
		{Options{URL: good + "/", Repo: "a/b", Token: someToken}, ""},
		{Options{URL: "http://127.0.0.9:3000", Repo: "a/b"}, ""},
		{Options{URL: "http://[::1]:3000", Repo: "a/b"}, ""},
		{Options{URL: "http://localhost", Repo: "a/b"}, ""},
		{Options{URL: "http://git.example.org", Repo: "a/b"}, "would read the token"},
		{Options{URL: "http://localhost.example.org", Repo: "a/b"}, "would read the token"},
		{Options{URL: "http://10.0.0.1", Repo: "a/b"}, "would read the token"},
		{Options{URL: "ftp://git.example.org", Repo: "a/b"}, `over "ftp"`},
		{Options{URL: "https://me:secret@git.example.org", Repo: "a/b"}, "credentials"},
		{Options{URL: "https://me:se%zzcret@git.example.org", Repo: "a/b"}, "is not one"},
		{Options{URL: good + "?token=secret", Repo: "a/b"}, "is not one"},
		{Options{URL: "git.example.org", Repo: "a/b"}, "is not one"},
		{Options{URL: good + "/../x", Repo: "a/b"}, "is not one"},
		{Options{URL: good, Repo: "a"}, "owner/name"},
		{Options{URL: good, Repo: "a/b/c"}, "owner/name"},
		{Options{URL: good, Repo: "a/.."}, "owner/name"},
		{Options{URL: good, Repo: "a/b", Token: "secret\n"}, "GITEA_TOKEN or its file"},
	} {
		_, err := New(tt.o)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt.o, err)
			}
			continue
		}
		wants(t, err, tt.want)
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "cret@") {
			t.Errorf("a secret is in: %v", err)
		}
	}
}

func TestBranchNames(t *testing.T) {
	for name, want := range map[string]bool{
		"main": true, "a/b-c_d.e": true, "ünïcode": true, "a@b": true,
		"": false, "-x": false, "a..b": false, "a b": false, "a~1": false, "a^": false, "a:b": false, "a?": false, "a*": false, "a[": false,
		"a\\b": false, "/a": false, "a/": false, "a//b": false, ".a": false, "a/.b": false, "a.lock": false, "a.lock/b": false, "a.": false, "@": false, "a@{1}": false,
		"a\x7f": false, "a\u202e": false, "\xff": false,
	} {
		if got := isBranch(name); got != want {
			t.Errorf("isBranch(%q) = %v", name, got)
		}
	}
}

func TestSameRepo(t *testing.T) {
	for told, want := range map[string]bool{
		"kim/notes": true, "Kim/Notes": true, "kim/note": false, "\u212aim/notes": false, "kim/note\u017f": false, "": false,
	} {
		if got := isSameRepo(told, "kim/notes"); got != want {
			t.Errorf("isSameRepo(%q) = %v", told, got)
		}
	}
}
