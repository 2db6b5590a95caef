package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A suiteRepo is a repository of suites on the forge, beside the recipe's.
type suiteRepo struct {
	h    *hearing
	name string // owner/name
	dir  string
}

// newSuiteRepo makes one whose main has a first commit without any suite.
func newSuiteRepo(h *hearing) *suiteRepo {
	h.t.Helper()
	s := &suiteRepo{h: h, name: h.repo + "-suites", dir: filepath.Join(h.bench.dir, "suites")}
	_, name, _ := strings.Cut(s.name, "/")
	h.forge.CreateRepo(h.t, "builder", name, true)
	h.forge.API(h.t, "builder", "PUT", "/repos/"+s.name+"/collaborators/adversary", map[string]string{"permission": "read"}, nil)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	s.git("init", "-q", "-b", "main")
	s.commit("README.md", "suites\n")
	return s
}

func (s *suiteRepo) git(args ...string) string {
	s.h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", s.dir, "-c", "user.name=bob", "-c", "user.email=bob@ccci.test"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.h.t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits a file and returns the commit's id.
func (s *suiteRepo) commit(file, text string) string {
	s.h.t.Helper()
	path := filepath.Join(s.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.h.t.Fatal(err)
	}
	s.git("add", ".")
	s.git("commit", "-qm", file)
	return s.git("rev-parse", "HEAD")
}

func (s *suiteRepo) push(refs ...string) { s.h.forge.Push(s.h.t, "builder", s.dir, s.name, refs...) }

// claim claims M1 for the head of the pull request, with a suite from here.
func (s *suiteRepo) claim(head, base string, more ...string) {
	s.h.t.Helper()
	s.h.must(append([]string{"ledger", "claim", "M1", "--phase", s.h.recipe, "--repo", s.h.repo, "--pr", strconv.Itoa(s.h.pr), "--head", s.h.git("rev-parse", "HEAD"),
		"--suite-repo", s.name, "--suite-head", head, "--suite-base", base}, more...)...)
}

// forumSuite is the example's suite, whole and with less in it.
func forumSuite(t *testing.T, h *hearing) (whole, less string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.abra, "ccci", "suites", "forum", "suite.toml"))
	if err != nil {
		t.Fatal(err)
	}
	whole = string(text)
	before, rest, ok := strings.Cut(whole, "[[probe]]\nname   = \"upload\"\n")
	at := strings.Index(rest, "\n[[")
	if !ok || at < 0 {
		t.Fatal("the suite of forum has no probe called upload, with something after it")
	}
	return whole, before + rest[at+1:]
}

// suiteCase is a claim that names commits of a repository of suites: none has no
// suite, then whole, then one that asks for less; main is at the last one.
type suiteCase struct {
	name  string
	claim func(s *suiteRepo, c suiteCommits)
	args  func(s *suiteRepo) []string // none: --suite-repo OWNER/NAME
	code  int
	want  []string // of stdout and stderr
	finds string   // the finding; none: nothing may be opened
}

type suiteCommits struct{ none, whole, more, less, aside string }

var suiteCases = []suiteCase{
	{name: "a probe deleted", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.less, c.whole) },
		code: exitFail, finds: "suite_not_weakened: probe of upload is removed"},
	{name: "the same through a file", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.less, c.whole) },
		args: func(s *suiteRepo) []string {
			s.h.config("[recipe.%s]\nsuite_repo = %q\n", strings.TrimPrefix(s.h.repo, "builder/"), s.h.forge.URL+"/"+s.name)
			return nil
		},
		code: exitFail, finds: "suite_not_weakened: probe of upload is removed"},
	{name: "all of it in a file", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.less, c.whole) },
		args: func(s *suiteRepo) []string {
			s.h.config("[recipe.forum]\nrepo = %q\nforge = %q\nsuite_repo = %q\n", s.h.repo, s.h.forge.URL, s.name)
			return []string{"--recipe", "forum", "--repo", ""}
		},
		code: exitFail, finds: "suite_not_weakened: probe of upload is removed"},
	{name: "a probe deleted before a base of the claim", claim: func(s *suiteRepo, c suiteCommits) {
		s.passed(c.whole)
		s.claim(c.less, c.less)
	}, code: exitFail, want: []string{"the suite that E000001 passed"}, finds: "suite_not_weakened: probe of upload is removed"},
	{name: "a base before the suite was there", claim: func(s *suiteRepo, c suiteCommits) {
		s.passed(c.whole)
		s.claim(c.less, c.none)
	}, code: exitFail, finds: "suite_not_weakened: probe of upload is removed"},
	{name: "a suite that asks as much", claim: func(s *suiteRepo, c suiteCommits) { s.passed(c.whole); s.claim(c.more, c.whole) },
		code: exitUnknown, want: []string{"✔ suite_of_claim", "✔ suite_not_weakened", "M1 INCONCLUSIVE"}},
	{name: "a first suite", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.whole, c.none) },
		code: exitUnknown, want: []string{"✔ suite_of_claim", "first suite", "there was no suite at the commit before"}},
	{name: "another digest", claim: func(s *suiteRepo, c suiteCommits) {
		s.claim(c.more, c.whole, "--suite", "sha256:"+strings.Repeat("0", 64))
	}, code: exitFail, finds: "suite_of_claim: another suite than the one that was claimed with"},
	{name: "another commit", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.more, c.whole, "--suite", c.whole) },
		code: exitFail, finds: "suite_of_claim: another suite than the one that was claimed with"},
	{name: "a base that is not before the head", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.more, c.aside) },
		code: exitFail, finds: "suite_of_claim: the suite before is not in the history of the suite"},
	{name: "a commit that is not there", claim: func(s *suiteRepo, c suiteCommits) { s.claim(strings.Repeat("c", 40), c.whole) },
		code: exitUnknown, want: []string{"is in no branch of", "hint: push it to a branch"}},
	{name: "a commit without a suite", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.none, c.none) },
		code: exitUnknown, want: []string{"holds no suite of forum", "suites/forum/suite.toml"}},
	{name: "no claim", claim: func(*suiteRepo, suiteCommits) {},
		code: exitUnknown, want: []string{"no claim M1", "hint: abra-ccci ledger claim M1"}},
	{name: "another repository than the one of the claim", claim: func(s *suiteRepo, c suiteCommits) { s.claim(c.more, c.whole) },
		args: func(s *suiteRepo) []string { return []string{"--suite-repo", s.h.repo} },
		code: exitUnknown, want: []string{"the claim names a suite in"}},
}

// passed records that an earlier review passed the recipe with a suite from here.
func (s *suiteRepo) passed(head string) {
	s.h.t.Helper()
	file := filepath.Join(s.h.bench.dir, "passed.json")
	text := fmt.Sprintf(`{"kind": "verdict", "phase": "earlier", "claim": "M1", "repo": %q, "pr": 1, "head": %q, "verdict": "PASS", "scope": "full",
		"suite_repo": %q, "suite_head": %q, "suite_base": %[4]q, "checks": [{"status": "pass", "text": "all of it"}]}`, s.h.repo, s.h.git("rev-parse", "main"), s.name, head)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		s.h.t.Fatal(err)
	}
	s.h.must("ledger", "append", "--kind", "verdict", file)
}

// A suite that lives in a repository of its own is taken from there, at the commit
// of the claim, and compared with what was in force before.
func TestReviewWithSuiteRepo(t *testing.T) {
	t.Parallel()
	shared := newHearing(t, "forum")
	shared.branch("bump", "compose.yml", ".version=1.1.0+", ".version=1.1.1+")
	shared.open("bump")
	suites := newSuiteRepo(shared)
	whole, less := forumSuite(t, shared)
	c := suiteCommits{none: suites.git("rev-parse", "HEAD")}
	c.whole = suites.commit("suites/forum/suite.toml", whole)
	c.more = suites.commit("suites/forum/suite.toml", whole+"# as before\n")
	c.less = suites.commit("suites/forum/suite.toml", less)
	suites.git("checkout", "-q", "-b", "aside", c.none)
	c.aside = suites.commit("suites/forum/suite.toml", less)
	suites.push("main", "aside")
	if err := os.RemoveAll(suites.dir); err != nil { // nothing of the builder's is used
		t.Fatal(err)
	}
	for _, tt := range suiteCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := shared.another(t)
			s := &suiteRepo{h: h, name: suites.name}
			tt.claim(s, c)
			args := []string{"--suite-repo", s.name}
			if tt.args != nil {
				args = tt.args(s)
			}
			code, stdout, stderr := h.review(append(args, "--quick")...)
			if code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if tt.finds != "" && !opened(stdout, tt.finds) || tt.finds == "" && strings.Contains(stdout, "ADV-") {
				t.Errorf("findings: want %q", tt.finds)
			}
			if tt.finds != "" {
				told(t, h.must("ledger", "show", "--json"), `"suite_repo": "`+s.name+`"`, `"suite_head": "`)
			}
			if t.Failed() {
				t.Logf("%s%s", stdout, stderr)
			}
			if left, err := filepath.Glob(filepath.Join(h.bench.dir, "state", "abra-ccci", "review-*")); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// another is a hearing of the same pull request, with a ledger of its own.
func (c *hearing) another(t *testing.T) *hearing {
	t.Helper()
	h := *c
	h.bench = newBench(t, c.recipe)
	h.env = append(h.env, "GITEA_TOKEN="+h.forge.Token("adversary"))
	h.must("ledger", "init", "--origin", "ccci.test/another", "--adversary", "ada", "--builder", "bob")
	return &h
}

// config writes the operator's file.
func (b *bench) config(format string, args ...any) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.abra, "ccci", configFile), fmt.Appendf(nil, format, args...), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// A claim that says only half of where its suite is, or a part of a commit's id,
// is refused before it is signed.
func TestClaimWithSuite(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	sha := strings.Repeat("a", 40)
	claim := func(args ...string) (int, string, string) {
		return b.run(append([]string{"ledger", "claim", "M1", "--phase", "notes", "--repo", "a/b", "--pr", "1", "--head", sha}, args...)...)
	}
	if code, _, stderr := b.run("ledger", "init", "--origin", "ccci.test/claims", "--adversary", "ada", "--builder", "bob"); code != exitPass {
		t.Fatal(stderr)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--suite-repo", "a/suites", "--suite-head", sha[:12], "--suite-base", sha}, `--suite-head: "aaaaaaaaaaaa" is not the whole id`},
		{[]string{"--suite-repo", "a/suites", "--suite-head", sha}, `--suite-base: "" is not`},
		{[]string{"--suite-repo", "a/suites"}, `--suite-head: "" is not`},
		{[]string{"--suite-head", sha, "--suite-base", sha}, "of which repository?"},
		{[]string{"--suite-repo", "https://ada:s3cret-word@git.example.org/a/suites", "--suite-head", sha, "--suite-base", sha}, "holds credentials"},
		{[]string{"--suite-repo", "a/\x1b[2J", "--suite-head", sha, "--suite-base", sha}, "suite_repo"},
	} {
		code, stdout, stderr := claim(tt.args...)
		if code == exitPass || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Contains(stderr, "s3cret-word") || strings.Contains(stderr, "\x1b") {
			t.Errorf("%q: exit %d, %q, %s", tt.args, code, stdout, stderr)
		}
	}
	if code, _, stderr := claim("--suite-repo", "https://git.example.org/a/suites.git", "--suite-head", sha, "--suite-base", sha); code != exitPass {
		t.Error(stderr)
	}
	_, stdout, _ := b.run("ledger", "show", "--json")
	told(t, stdout, `"suite_repo": "git.example.org/a/suites"`)
}
