package forge

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/review"
)

// What a Gitea can't be made to do, a fake does here: it answers what a test lists,
// and any other request fails the test.
type fake map[string]http.HandlerFunc

const (
	someHead  = "1111111111111111111111111111111111111111"
	someBase  = "2222222222222222222222222222222222222222"
	someToken = "feedfacefeedfacefeedfacefeedfacefeedface"

	pullPath     = "GET /api/v1/repos/a/b/pulls/3"
	branchPath   = "GET /api/v1/repos/a/b/branches/main"
	userPath     = "GET /api/v1/user"
	commentsPath = "GET /api/v1/repos/a/b/issues/3/comments"
	writePath    = "POST /api/v1/repos/a/b/issues/3/comments"
	statusPath   = "POST /api/v1/repos/a/b/statuses/" + someHead
)

func (f fake) open(t *testing.T, timeout time.Duration) *Gitea {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, ok := f[r.Method+" "+r.URL.Path]
		if !ok {
			t.Errorf("not expected: %s %s", r.Method, r.URL)
			http.Error(w, "not expected", http.StatusTeapot)
			return
		}
		if got := r.Header.Get("Authorization"); got != "token "+someToken {
			t.Errorf("authorization %q", got)
		}
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	g, err := New(Options{URL: s.URL, Repo: "a/b", Token: someToken, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.http.CloseIdleConnections)
	return g
}

type object = map[string]any

func answer(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(v)
	}
}

func refuse(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, code) }
}

// goodPull is what a Gitea answers, as far as it is read.
func goodPull() object {
	return object{
		"number": 3, "title": "t", "state": "open", "merged": false, "merge_base": someBase,
		"user": object{"id": 1, "login": "builder"},
		"base": object{"ref": "main", "sha": someBase, "repo": object{"full_name": "a/b"}},
		"head": object{"ref": "labels", "sha": someHead, "repo": object{"full_name": "eve/b"}},
	}
}

func goodBranch() object { return object{"name": "main", "commit": object{"id": someBase}} }

// Everything in an answer is looked at before it is believed.
func TestHostileFacts(t *testing.T) {
	t.Parallel()
	within := func(v object, key string) object { return v[key].(object) }
	tests := []struct {
		name   string
		change func(pull, branch object)
		want   string
	}{
		{"good", func(_, _ object) {}, ""},
		{"head is a branch", func(p, _ object) { within(p, "head")["sha"] = "main" }, "head"},
		{"head is an option", func(p, _ object) { within(p, "head")["sha"] = "--upload-pack=x" }, "head"},
		{"head is too long", func(p, _ object) { within(p, "head")["sha"] = someHead + "\n" }, "head"},
		{"head in capitals", func(p, _ object) { within(p, "head")["sha"] = strings.Repeat("A", 40) }, "head"},
		{"head is none", func(p, _ object) { within(p, "head")["sha"] = strings.Repeat("0", 40) }, "head"},
		{"merge base missing", func(p, _ object) { delete(p, "merge_base") }, "merge base"},
		{"no head", func(p, _ object) { delete(p, "head") }, "without base, head"},
		{"no base repository", func(p, _ object) { within(p, "base")["repo"] = nil }, "without base, head"},
		{"no author", func(p, _ object) { p["user"] = nil }, "author"},
		{"author in Markdown", func(p, _ object) { within(p, "user")["login"] = "[x](http://y)" }, "author"},
		{"another number", func(p, _ object) { p["number"] = 4 }, "pull request 4"},
		{"another repository", func(p, _ object) { within(p, "base")["repo"] = object{"full_name": "a/c"} }, `"a/c"`},
		{"in capitals", func(p, _ object) { within(p, "base")["repo"] = object{"full_name": "A/b"} }, ""},
		{"from no repository", func(p, _ object) { within(p, "head")["repo"] = object{"full_name": "../b"} }, `"../b"`},
		{"from one that is gone", func(p, _ object) { within(p, "head")["repo"] = nil }, ""},
		{"base is an option", func(p, _ object) { within(p, "base")["ref"] = "-x" }, "no branch"},
		{"base leaves refs", func(p, _ object) { within(p, "base")["ref"] = "a/../../x" }, "no branch"},
		{"base in two lines", func(p, _ object) { within(p, "base")["ref"] = "a\nb" }, "no branch"},
		{"odd state", func(p, _ object) { p["state"] = "ajar" }, `"ajar"`},
		{"merged and open", func(p, _ object) { p["merged"] = true }, "merged, and open"},
		{"tip is no commit", func(_, b object) { within(b, "commit")["id"] = "HEAD" }, "branch"},
		{"no tip", func(_, b object) { b["commit"] = nil }, "branch"},
		{"another branch", func(_, b object) { b["name"] = "mains" }, "branch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pull, branch := goodPull(), goodBranch()
			tt.change(pull, branch)
			f := fake{pullPath: answer(pull), branchPath: answer(branch)}
			_, err := f.open(t, 0).Pull(t.Context(), 3)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wants(t, err, "answers what can't be", tt.want)
		})
	}
}

// An answer that is none says what happened, and what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   []string
	}{
		{"down", refuse(502, "Bad\x1b[31m Gateway for "+someToken), []string{"(502)", `"`, "Gateway for [token]", "ask again later", "read pull request 3 of a/b"}},
		{"too often", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "17")
			refuse(429, "slow down")(w, r)
		}, []string{"too often (429)", "in 17 s"}},
		{"a login page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, []string{"no JSON that fits", "is a Gitea or Forgejo"}},
		{"null", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "null") }, []string{"answers what can't be"}},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{}")
		}, []string{"unexpected EOF"}},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"can be reached"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fake{pullPath: tt.answer}.open(t, 0).Pull(t.Context(), 3)
			wants(t, err, tt.want...)
			if strings.Contains(err.Error(), someToken) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q", err)
			}
		})
	}
}

// The token goes to no other host, also not to another port of this one.
func TestRedirects(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("elsewhere: %s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	for _, code := range []int{301, 302, 303, 307, 308} {
		away := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+r.URL.Path, code) }
		g := fake{pullPath: away, userPath: answer(object{"id": 7}), commentsPath: answer([]object{}), writePath: away, statusPath: away}.open(t, 0)
		_, err := g.Pull(t.Context(), 3)
		wants(t, err, "redirects to "+strings.TrimPrefix(elsewhere.URL, "http://"), "new address")
		_, err = g.Comment(t.Context(), 3, someHead, "x")
		wants(t, err, "redirects to")
		wants(t, g.SetStatus(t.Context(), someHead, review.CommitStatus{State: review.StateError, Context: "c"}), "redirects to")
	}
}

// An answer without an end is not read to its end, packed or not.
func TestEndless(t *testing.T) {
	t.Parallel()
	spaces := []byte(strings.Repeat(" ", 1<<20))
	pour := func(w io.Writer) (mib int) {
		for ; mib < 200; mib++ {
			if _, err := w.Write(spaces); err != nil {
				break
			}
		}
		return mib
	}
	plain := func(w http.ResponseWriter, _ *http.Request) {
		if n := pour(w); n > 100 {
			t.Errorf("%d MiB of an endless answer were read", n)
		}
	}
	packed := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		pour(z)
		z.Close()
	}
	for name, endless := range map[string]http.HandlerFunc{"plain": plain, "packed": packed} {
		t.Run(name, func(t *testing.T) {
			_, err := fake{pullPath: endless}.open(t, 0).Pull(t.Context(), 3)
			wants(t, err, "longer than 8 MiB")
		})
	}
}

// A forge that keeps silent, also in the middle of an answer, is waited for until the
// deadline of the call, and an interrupt ends the call and no other.
func TestSilence(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 9)
	silent := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"number":`)
		_ = http.NewResponseController(w).Flush()
		asked <- struct{}{}
		<-r.Context().Done()
	}
	patient, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_, err := fake{pullPath: silent}.open(t, 100*time.Millisecond).Pull(patient, 3)
	wants(t, err, "did not answer in 100ms", "ask again")
	if !errors.Is(err, context.DeadlineExceeded) || patient.Err() != nil {
		t.Errorf("%v; the caller's own deadline: %v", err, patient.Err())
	}

	<-asked
	proceed := make(chan struct{})
	slow := func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-proceed
		answer(goodPull())(w, nil)
	}
	f := fake{pullPath: slow, branchPath: answer(goodBranch()), userPath: silent}
	g := f.open(t, 0)
	ctx, interrupt := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	var pulled, commented error
	calls.Go(func() { _, pulled = g.Pull(t.Context(), 3) })
	calls.Go(func() { _, commented = g.Comment(ctx, 3, someHead, "x") })
	<-asked
	<-asked
	interrupt()
	close(proceed)
	calls.Wait()
	if pulled != nil {
		t.Errorf("the other call: %v", pulled)
	}
	wants(t, commented, "interrupted")
}

// comments are somebody else's, as a page of a listing.
func comments(ids ...int) (list []object) {
	for _, id := range ids {
		list = append(list, object{"id": id, "user": object{"id": 9}, "body": "x"})
	}
	return list
}

// A comment that is removed while the pages are read moves the review's own from a
// page that is still to be read to one that has been: it is found all the same,
// and no second one is written.
func TestShiftingPages(t *testing.T) {
	t.Parallel()
	mine := object{"id": 3, "user": object{"id": 7}, "body": marker(someHead) + "\nold"}
	listing := 0
	list := func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page")
		if page == "1" {
			listing++
		}
		switch {
		case page == "1" && listing == 1:
			answer(comments(1, 2))(w, r)
		case page == "1":
			answer(append(comments(2), mine))(w, r) // 1 is gone
		default:
			answer(comments())(w, r)
		}
	}
	edited := false
	edit := func(w http.ResponseWriter, r *http.Request) {
		edited = true
		answer(mine)(w, r)
	}
	f := fake{userPath: answer(object{"id": 7}), commentsPath: list, "PATCH /api/v1/repos/a/b/issues/comments/3": edit}
	g := f.open(t, 0)
	url, err := g.Comment(t.Context(), 3, someHead, "new")
	if err != nil || !edited || url != g.url+"/a/b/pulls/3#issuecomment-3" {
		t.Errorf("edited %v at %q, %v", edited, url, err)
	}
}

// Pages that never come to rest, or to an end, are given up: no comment is written.
func TestRestlessPages(t *testing.T) {
	t.Parallel()
	next := 0
	restless := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") != "1" {
			answer(comments())(w, r)
			return
		}
		next++
		answer(comments(next))(w, r)
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		next++
		answer(comments(next))(w, r)
	}
	for _, tt := range []struct {
		list http.HandlerFunc
		want string
		most int
	}{{restless, "change while they are read", maxListings}, {endless, "more than 100 pages", maxPages}} {
		next = 0
		_, err := fake{userPath: answer(object{"id": 7}), commentsPath: tt.list}.open(t, 0).Comment(t.Context(), 3, someHead, "x")
		wants(t, err, tt.want)
		if next > tt.most {
			t.Errorf("asked %d times", next)
		}
	}
}

// Answers to what was written are looked at, too.
func TestHostileWrites(t *testing.T) {
	t.Parallel()
	f := fake{userPath: answer(object{"id": 7}), commentsPath: answer([]object{}), writePath: answer(object{"id": -1}), statusPath: answer(object{"status": "success", "context": "c"})}
	g := f.open(t, 0)
	_, err := g.Comment(t.Context(), 3, someHead, "x")
	wants(t, err, "comment -1")
	wants(t, g.SetStatus(t.Context(), someHead, review.CommitStatus{State: review.StateFailure, Context: "c"}), `"success"`)

	f[userPath] = answer(object{"id": 0})
	_, err = g.Comment(t.Context(), 3, someHead, "x")
	wants(t, err, "without an id")
	f[userPath] = answer(object{"id": 7})
	for _, listed := range []any{nil, object{"id": 0}} {
		f[commentsPath] = answer([]any{listed})
		_, err = g.Comment(t.Context(), 3, someHead, "x")
		wants(t, err, "comment without an id")
	}
}

// Text from outside is short, on one line and without the token, whoever quotes it.
func TestClean(t *testing.T) {
	c := call{Gitea: fake{}.open(t, 0)}
	got := c.clean("a\nb\x1b[31m \u202e" + someToken + strings.Repeat("é", 1000))
	if want := "a b [31m  [token]"; !strings.HasPrefix(got, want) || strings.Count(got, "é") > 300 {
		t.Errorf("%q", got)
	}
}

// What should not be written is not sent.
func TestNotSent(t *testing.T) {
	t.Parallel()
	g := fake{}.open(t, 0)
	for _, body := range []string{"\xff", "a\x00b", strings.Repeat("x", maxComment+1)} {
		_, err := g.Comment(t.Context(), 3, someHead, body)
		wants(t, err)
	}
	_, err := g.Comment(t.Context(), 3, "main --> x", "x")
	wants(t, err, "no SHA-1")
	good := review.CommitStatus{State: review.StateError, Context: "c"}
	for name, change := range map[string]func(*review.CommitStatus){
		"state": func(s *review.CommitStatus) { s.State = "warning" }, "context": func(s *review.CommitStatus) { s.Context = "a\nb" },
		"web page": func(s *review.CommitStatus) { s.URL = "javascript:x" },
	} {
		bad := good
		change(&bad)
		wants(t, g.SetStatus(t.Context(), someHead, bad), name)
	}
	wants(t, g.SetStatus(t.Context(), "main", good), "SHA-1")
}
