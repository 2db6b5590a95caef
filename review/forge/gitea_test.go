package forge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/review/forge/giteatest"
)

// A pull request from a branch of the repository: its facts, after its head was
// forced and its base had moved, and once it is merged.
func TestPull(t *testing.T) {
	t.Parallel()
	s := server(t)
	const repo = "builder/mailu"
	s.CreateRepo(t, "builder", "mailu", false)
	w := newWork(t)
	base := w.commit("main", "", "base")
	old := w.commit("add/labels", base, "head")
	s.Push(t, "builder", w.dir, repo, "main", "add/labels")
	number := s.OpenPull(t, "builder", repo, "add\tlabels\u202e", "add/labels", "main")
	g := open(t, s, repo, "")
	want := review.Pull{
		Subject:  review.Subject{Repo: repo, PR: number, Head: old, Base: base, MergeBase: base},
		Title:    "add labels",
		Author:   "builder",
		URL:      fmt.Sprintf("%s/%s/pulls/%d", s.URL, repo, number),
		CloneURL: s.URL + "/" + repo + ".git",
		HeadRepo: repo,
		BaseRef:  "main",
		Open:     true,
	}
	pullIs(t, g, want)

	want.Base = w.commit("main", base, "base moves")
	want.Head = w.commit("add/labels", base, "another head")
	s.Push(t, "builder", w.dir, repo, "main", "+add/labels")
	pullIs(t, g, want)

	s.MergePull(t, "builder", repo, number)
	var main struct{ Commit struct{ ID string } }
	s.API(t, "builder", "GET", "/repos/"+repo+"/branches/main", nil, &main)
	if main.Commit.ID == want.Base {
		t.Fatal("the merge made no commit")
	}
	got, err := g.Pull(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	if got.Open || !got.Merged || got.Base != main.Commit.ID || got.Head != want.Head {
		t.Errorf("merged: %+v", got)
	}

	_, err = g.Pull(t.Context(), number+1)
	wants(t, err, "read pull request 2 of builder/mailu", "404", "private repository")
	_, err = open(t, s, "builder/nothing", s.Token("builder")).Pull(t.Context(), number)
	wants(t, err, "404", "builder/nothing")
}

func pullIs(t *testing.T, g *Gitea, want review.Pull) {
	t.Helper()
	got, err := g.Pull(t.Context(), want.PR)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pull request (-want +got):\n%s", diff)
	}
}

// A pull request from a fork, which is closed; then the repository gets another
// name.
func TestPullFromFork(t *testing.T) {
	t.Parallel()
	s := server(t)
	s.CreateRepo(t, "builder", "notes", false)
	w := newWork(t)
	base := w.commit("main", "", "base")
	head := w.commit("labels", base, "head")
	s.Push(t, "builder", w.dir, "builder/notes", "main")
	s.Fork(t, "adversary", "builder/notes")
	s.Push(t, "adversary", w.dir, "adversary/notes", "labels")
	number := s.OpenPull(t, "adversary", "builder/notes", "labels", "adversary:labels", "main")
	g := open(t, s, "builder/notes", s.Token("adversary"))
	got, err := g.Pull(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	if got.HeadRepo != "adversary/notes" || got.Repo != "builder/notes" || got.Author != "adversary" || got.Head != head || got.Base != base || !got.Open {
		t.Errorf("from a fork: %+v", got)
	}

	s.ClosePull(t, "adversary", "builder/notes", number)
	if got, err = g.Pull(t.Context(), number); err != nil || got.Open || got.Merged {
		t.Errorf("closed: %+v, %v", got, err)
	}

	s.API(t, "builder", "PATCH", "/repos/builder/notes", map[string]any{"name": "jottings"}, nil)
	_, err = g.Pull(t.Context(), number)
	wants(t, err, "redirects to", "new address or name")
}

// What is written under a pull request of a private repository, by whom, and who is
// told nothing.
func TestWriting(t *testing.T) {
	t.Parallel()
	s := server(t)
	const repo = "builder/private"
	s.CreateRepo(t, "builder", "private", true)
	w := newWork(t)
	base := w.commit("main", "", "base")
	head := w.commit("labels", base, "head")
	s.Push(t, "builder", w.dir, repo, "main", "labels")
	number := s.OpenPull(t, "builder", repo, "labels", "labels", "main")
	s.API(t, "builder", "PUT", "/repos/"+repo+"/collaborators/adversary", map[string]any{"permission": "write"}, nil)
	token := s.CreateToken(t, "adversary", "read:user", "write:issue", "write:repository")

	t.Run("comments", func(t *testing.T) { testComments(t, s, open(t, s, repo, token), number, base, head) })
	t.Run("status", func(t *testing.T) { testStatus(t, s, open(t, s, repo, token), head) })
	t.Run("strangers", func(t *testing.T) { testStrangers(t, s, repo, number, head) })
}

func testComments(t *testing.T, s *giteatest.Server, g *Gitea, number int, base, head string) {
	// The builder imitates the comment for the head before there is one.
	path := fmt.Sprintf("/repos/%s/issues/%d/comments", g.repo(), number)
	imitated := marker(head) + "\nPASS"
	s.API(t, "builder", "POST", path, map[string]any{"body": imitated}, nil)
	// The adversary's account says something else, and quotes the line.
	s.API(t, "adversary", "POST", path, map[string]any{"body": "> " + marker(head)}, nil)

	first := comment(t, g, number, head, "M1 FAIL")
	if edited := comment(t, g, number, head, "M1 **PASS**\n\nµ"); edited != first {
		t.Errorf("edited at %s, written at %s", edited, first)
	}
	second := comment(t, g, number, base, "of another head")
	if second == first {
		t.Errorf("the comment for another head is at %s too", second)
	}
	var all []struct {
		URL  string `json:"html_url"`
		Body string
		User struct{ Login string }
	}
	s.API(t, "builder", "GET", path, nil, &all)
	var got []string
	for _, c := range all {
		got = append(got, c.User.Login+": "+c.Body)
	}
	want := []string{
		"builder: " + imitated,
		"adversary: > " + marker(head),
		"adversary: " + marker(head) + "\nM1 **PASS**\n\nµ",
		"adversary: " + marker(base) + "\nof another head",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
	if len(all) == 4 && (all[2].URL != first || all[3].URL != second) {
		t.Errorf("comments at %s and %s, told as %s and %s", all[2].URL, all[3].URL, first, second)
	}
}

func comment(t *testing.T, g *Gitea, number int, head, body string) string {
	t.Helper()
	url, err := g.Comment(t.Context(), number, head, body)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func testStatus(t *testing.T, s *giteatest.Server, g *Gitea, head string) {
	set := review.CommitStatus{State: review.StatePending, Context: "abra-ccci/review/M1", Description: "not\nyet", URL: "https://example.org/r"}
	if err := g.SetStatus(t.Context(), head, set); err != nil {
		t.Fatal(err)
	}
	set.State, set.Description = review.StateFailure, "1 finding"
	if err := g.SetStatus(t.Context(), head, set); err != nil {
		t.Fatal(err)
	}
	var combined struct {
		Statuses []struct{ Status, Context, Description, Target_URL string }
	}
	s.API(t, "builder", "GET", "/repos/"+g.repo()+"/commits/"+head+"/status", nil, &combined)
	if got := fmt.Sprint(combined.Statuses); got != "[{failure abra-ccci/review/M1 1 finding https://example.org/r}]" {
		t.Error(got)
	}
	wants(t, g.SetStatus(t.Context(), strings.Repeat("a", 40), set), "set the status of aaaa")
	if err := g.SetStatus(t.Context(), "labels", set); err == nil {
		t.Error("the status of a branch was set")
	}
}

func testStrangers(t *testing.T, s *giteatest.Server, repo string, number int, head string) {
	const wrong = "0123456789abcdef0123456789abcdef01234567"
	s.CreateUser(t, "stranger")
	_, err := open(t, s, repo, "").Pull(t.Context(), number)
	wants(t, err, "404", "GITEA_TOKEN")
	_, err = open(t, s, repo, wrong).Pull(t.Context(), number)
	wants(t, err, "does not know the token (401)", "read:user, write:issue and write:repository")
	if strings.Contains(err.Error(), wrong) {
		t.Errorf("the token is in: %v", err)
	}
	_, err = open(t, s, repo, s.Token("stranger")).Pull(t.Context(), number)
	wants(t, err, "404", "may read builder/private")
	_, err = open(t, s, repo, s.CreateToken(t, "adversary", "read:user", "read:issue", "read:repository")).Comment(t.Context(), number, head, "x")
	wants(t, err, "comment on pull request", "does not allow it (403)", "may write to builder/private")
	_, err = open(t, s, repo, "").Comment(t.Context(), number, head, "x")
	wants(t, err, "needs a token", "GITEA_TOKEN")
	wants(t, open(t, s, repo, "").SetStatus(t.Context(), head, review.CommitStatus{State: review.StateError, Context: "c"}), "needs a token")
}

// A call that is cancelled says so, and takes no other with it.
func TestCancelled(t *testing.T) {
	t.Parallel()
	g := open(t, server(t), "builder/none", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := g.Pull(ctx, 1)
	wants(t, err, "interrupted")
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err = g.Pull(t.Context(), 1)
	wants(t, err, "404")
}
