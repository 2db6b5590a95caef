package giteatest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}

// CreateUser makes an account with a token that may do what the account may,
// and returns the token.
func (s *Server) CreateUser(t testing.TB, name string) string {
	t.Helper()
	password := "password of " + name
	s.API(t, admin, "POST", "/admin/users", map[string]any{
		"username": name, "email": name + "@example.org", "password": password, "must_change_password": false,
	}, nil)
	s.mu.Lock()
	s.accounts[name] = account{password: password}
	s.mu.Unlock()
	token := s.CreateToken(t, name, "all")
	s.mu.Lock()
	s.accounts[name] = account{password: password, token: token}
	s.mu.Unlock()
	return token
}

// CreateToken makes a token of a user of CreateUser with the given scopes, such as
// read:repository.
func (s *Server) CreateToken(t testing.TB, user string, scopes ...string) string {
	t.Helper()
	var made struct {
		Token string `json:"sha1"`
	}
	s.call(t, "Basic "+s.basic(user), "POST", "/users/"+user+"/tokens",
		map[string]any{"name": strings.Join(scopes, " "), "scopes": scopes}, &made)
	return made.Token
}

// Token is the token that CreateUser returned.
func (s *Server) Token(user string) string { return s.account(user).token }

func (s *Server) account(user string) account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[user]
}

func (s *Server) basic(user string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + s.account(user).password))
}

// CreateRepo makes an empty repository; private, and strangers do not see it.
//
// Its update hook is taken out: for each ref that is pushed it starts a whole Gitea,
// to do nothing ("kept only for backwards compatibility", cmd/hook.go) but refuse
// refs/pull.
func (s *Server) CreateRepo(t testing.TB, owner, name string, private bool) {
	t.Helper()
	s.API(t, owner, "POST", "/user/repos", map[string]any{"name": name, "private": private, "default_branch": "main"}, nil)
	if err := os.Remove(filepath.Join(s.dir, "repositories", owner, name+".git", "hooks", "update.d", "gitea")); err != nil {
		t.Fatal(err)
	}
}

// Push pushes refs of the repository in dir, as the git program does; a + before a
// ref forces it.
func (s *Server) Push(t testing.TB, user, dir, repo string, refs ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"push", "--quiet", s.URL + "/" + repo + ".git"}, refs...)...)
	cmd.Dir = dir
	// Not in argv, where everybody on the machine could read it.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic "+s.basic(user))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("push %s to %s: %v: %s", refs, repo, err, out)
	}
	s.until(t, func() bool {
		var now struct{ Empty bool }
		s.API(t, user, "GET", "/repos/"+repo, nil, &now)
		return !now.Empty
	})
}

// until waits for what Gitea does in its own time.
func (s *Server) until(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gitea does not come to it\n%s", s.log())
		}
	}
}

// Fork makes user's fork of repo, under the same name.
func (s *Server) Fork(t testing.TB, user, repo string) {
	t.Helper()
	s.API(t, user, "POST", "/repos/"+repo+"/forks", map[string]any{}, nil)
}

// OpenPull opens a pull request as user and returns its number; head is a branch of
// repo, or owner:branch of a fork.
func (s *Server) OpenPull(t testing.TB, user, repo, title, head, base string) int {
	t.Helper()
	var pull struct {
		Number int `json:"number"`
	}
	s.API(t, user, "POST", "/repos/"+repo+"/pulls", map[string]any{"title": title, "head": head, "base": base}, &pull)
	return pull.Number
}

// ClosePull closes a pull request without merging it.
func (s *Server) ClosePull(t testing.TB, user, repo string, number int) {
	t.Helper()
	s.API(t, user, "PATCH", fmt.Sprintf("/repos/%s/pulls/%d", repo, number), map[string]any{"state": "closed"}, nil)
}

// MergePull merges a pull request with a merge commit, once Gitea has found out
// that it can.
func (s *Server) MergePull(t testing.TB, user, repo string, number int) {
	t.Helper()
	path := fmt.Sprintf("/repos/%s/pulls/%d", repo, number)
	s.until(t, func() bool {
		status, body := s.do(t, "token "+s.Token(user), "POST", path+"/merge", map[string]any{"Do": "merge"})
		if status != http.StatusOK && status != http.StatusMethodNotAllowed { // not allowed yet
			t.Fatalf("merge %s#%d: %d: %s", repo, number, status, body)
		}
		return status == http.StatusOK
	})
}

// API asks the API as user for what no other method does: in is sent as JSON, the
// answer read into out, unless they are nil. Anything but success ends the test.
func (s *Server) API(t testing.TB, user, method, path string, in, out any) {
	t.Helper()
	s.call(t, "token "+s.Token(user), method, path, in, out)
}

func (s *Server) call(t testing.TB, authorization, method, path string, in, out any) {
	t.Helper()
	status, body := s.do(t, authorization, method, path, in)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d: %s\n%s", method, path, status, body, s.log())
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (s *Server) do(t testing.TB, authorization, method, path string, in any) (int, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var sent io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+"/api/v1"+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}
