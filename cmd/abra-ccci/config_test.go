package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// What a flag says wins over the file, and the file over the origin.
func TestConfigPrecedence(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	clone := filepath.Join(b.abra, "recipes", "notes")
	if out, err := exec.Command("git", "-C", clone, "remote", "add", "origin", "https://origin.example/origin/notes.git").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e := &env{getenv: func(key string) string { return map[string]string{"ABRA_DIR": b.abra}[key] }}
	full := "[recipe.notes]\nrepo = \"file/notes\"\nforge = \"https://file.example/git/\"\n"
	url := "[recipe.notes]\nrepo = \"https://file.example/git/file/notes.git\"\n"
	for _, tt := range []struct {
		name, file, recipe, repo, forge string
		want                            string
	}{
		{"nothing but the origin", "", "notes", "", "", "https://origin.example origin/notes"},
		{"another recipe in the file", "[recipe.mailu]\nrepo = \"file/mailu\"\n", "notes", "", "", "https://origin.example origin/notes"},
		{"the file", full, "notes", "", "", "https://file.example/git file/notes"},
		{"the file for a clone by path", full, clone, "", "", "https://file.example/git file/notes"},
		{"an address in the file", url, "notes", "", "", "https://file.example/git file/notes"},
		{"a repo in the file, the origin's forge", "[recipe.notes]\nrepo = \"file/notes\"\n", "notes", "", "", "https://origin.example file/notes"},
		{"a forge in the file, the origin's repo", "[recipe.notes]\nforge = \"https://file.example\"\n", "notes", "", "", "https://file.example origin/notes"},
		{"a flag for the repo, the file's forge", full, "notes", "flag/notes", "", "https://file.example/git flag/notes"},
		{"a flag for the repo, the file's address", url, ".", "flag/notes", "", "https://file.example/git flag/notes"},
		{"a flag for the forge, the file's repo", url, "notes", "", "https://flag.example", "https://flag.example file/notes"},
		{"both flags", full, "notes", "flag/notes", "https://flag.example", "https://flag.example flag/notes"},
		{"a flag with an address", full, "notes", "https://flag.example/flag/notes", "", "https://flag.example flag/notes"},
		{"a flag for a repo of another name", full, ".", "https://flag.example/flag/mailu", "", "https://flag.example flag/mailu"},
		{"a recipe that is not cloned", strings.ReplaceAll(full, "notes", "wiki"), "wiki", "", "", "https://file.example/git file/wiki"},
	} {
		b.config("%s", tt.file)
		conf, err := readConfig(e)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		r := &reviewing{e: e, conf: conf, o: reviewOptions{recipe: tt.recipe, repo: tt.repo, forge: tt.forge}}
		forge, repo, err := r.repository()
		if got := strings.TrimRight(forge, "/") + " " + repo; err != nil || got != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

// The suite's repository is the flag's, else the file's, and none if there is a
// suite at hand; the token goes to the forge of the pull request alone.
func TestConfigSuiteRepo(t *testing.T) {
	t.Parallel()
	home := repoPlace{"https://git.example", "a/notes"}
	conf, err := parseConfig("ccci.toml", []byte("[recipe.notes]\nsuite_repo = \"file/suites\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		flag, suite string
		want        repoPlace
		token       string
	}{
		{"", "", repoPlace{"https://git.example", "file/suites"}, "t0ken"},
		{"", "./suite", repoPlace{}, ""},
		{"flag/suites", "", repoPlace{"https://git.example", "flag/suites"}, "t0ken"},
		{"https://git.example/flag/suites", "", repoPlace{"https://git.example", "flag/suites"}, "t0ken"},
		{"https://git.example:8443/flag/suites", "", repoPlace{"https://git.example:8443", "flag/suites"}, ""},
		{"https://other.example/flag/suites", "", repoPlace{"https://other.example", "flag/suites"}, ""},
		{"http://git.example/flag/suites", "", repoPlace{"http://git.example", "flag/suites"}, ""},
	} {
		r := &reviewing{conf: conf, place: home, token: "t0ken", o: reviewOptions{recipe: "notes", suiteRepo: tt.flag, suite: tt.suite}}
		got, err := r.suiteRepo()
		if err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v, want %+v", tt.flag, got, err, tt.want)
		}
		if src := r.mirrorSource(got); src.Token != tt.token {
			t.Errorf("%q: the token %q goes to %s", tt.flag, src.Token, src.URL)
		}
	}
}

// What the file should not hold is refused, with where and what to write; what may
// be a password is not repeated.
func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	in := func(key, value string) string { return "[recipe.notes]\n" + key + " = " + value + "\n" }
	for _, tt := range []struct{ name, text, want, hint string }{
		{"unknown key", in("repos", `"a/b"`), `ccci.toml:2:1: unknown key "repos"`, `"repo"`},
		{"unknown key at top", "recipes = 1\n", `ccci.toml:1:1: unknown key "recipes"`, `"recipe"`},
		{"unknown key in a line", "[recipe]\nnotes = { repo = \"a/b\", frge = \"x\" }\n", `ccci.toml:2:25: unknown key "frge"`, `"forge"`},
		{"a command", in("repo", `"a/b; rm -rf /"`), "no repository", "OWNER/NAME"},
		{"a path", in("repo", `"../../etc"`), "no repository", "OWNER/NAME"},
		{"one name", in("repo", `"notes"`), "no repository", "OWNER/NAME"},
		{"three names", in("repo", `"a/b/c"`), "no repository", "https://FORGE/OWNER/NAME"},
		{"an option", in("repo", `"--upload-pack/x"`), "no repository", "OWNER/NAME"},
		{"control characters", in("repo", `"a/b\u001b[2J"`), "no repository", "OWNER/NAME"},
		{"bidi", in("suite_repo", `"a/b\u202e"`), "no repository", "OWNER/NAME"},
		{"control characters in an address", in("suite_repo", `"https://git.example/a/b\u001b"`), "not an address", "https://"},
		{"a line's end", in("forge", `"https://git.example\n"`), "not an address", "https://"},
		{"a password", in("repo", `"https://ada:s3cret-word@git.example/a/b"`), "holds credentials", "GITEA_TOKEN"},
		{"a token for a name", in("suite_repo", `"https://s3cret-word@git.example/a/b"`), "holds credentials", "--token-file"},
		{"a password in the forge", in("forge", `"https://ada:s3cret-word@git.example"`), "holds credentials", "GITEA_TOKEN"},
		{"a password without a scheme", in("repo", `"ada:s3cret-word@git.example/b"`), "no repository", "OWNER/NAME"},
		{"a password in what can't be read", in("repo", `"https://ada:s3cret-word@git.example:x/a/b"`), "not an address", "https://"},
		{"a query", in("repo", `"https://git.example/a/b?token=s3cret-word"`), "no repository", "OWNER/NAME"},
		{"ssh", in("repo", `"ssh://git@git.example/a/b"`), "not an address", "https://"},
		{"a file", in("suite_repo", `"file:///etc/passwd"`), "not an address", "https://"},
		{"two forges", in("repo", `"https://git.example/a/b"`) + "forge = \"https://other.example\"\n", "an address already", "OWNER/NAME"},
		{"a recipe that is a path", "[recipe.\"../x\"]\nrepo = \"a/b\"\n", "not the name of a recipe", "[recipe.mailu]"},
		{"a recipe with an escape", "[recipe.\"a\\u001b\"]\nrepo = \"a/b\"\n", "not the name of a recipe", "[recipe.mailu]"},
		{"a number", in("repo", "3"), "ccci.toml:2:", ""},
		{"no TOML", in("repo", "\x1b"), "ccci.toml:2:", ""},
	} {
		_, err := parseConfig("ccci.toml", []byte(tt.text))
		var wrong *runner.SuiteError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(hintOf(err), tt.hint) {
			t.Errorf("%s: %v (hint %q), want %q (hint %q)", tt.name, err, hintOf(err), tt.want, tt.hint)
		}
		if err != nil && (strings.Contains(err.Error()+hintOf(err), "s3cret-word") || tt.want != "ccci.toml:2:" && strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%s: the error repeats it: %q", tt.name, err)
		}
	}
}

// Through the command: a broken file is told before a forge is asked, its bytes do
// not reach the terminal, and the pull request has no word in it.
func TestConfigThroughReview(t *testing.T) {
	t.Parallel()
	b := newBench(t, "notes")
	if code, _, stderr := b.run("ledger", "init", "--origin", "ccci.test/config", "--adversary", "ada"); code != exitPass {
		t.Fatal(stderr)
	}
	b.config("[recipe.notes]\nrepo = \"\x1b[2J\"\n")
	code, stdout, stderr := b.run("review", "--pr", "1", "--recipe", "notes", "--quick")
	if code != exitUnknown || stdout != "" || !strings.Contains(stderr, "ccci.toml:2:") || strings.Contains(stderr, "\x1b") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	b.config("[recipe.notes]\nrepo = \"a/b\"\nforge = \"https://ada:s3cret-word@git.example\"\n")
	code, stdout, stderr = b.run("review", "--pr", "1", "--recipe", "notes", "--quick")
	if code != exitUnknown || stdout != "" || strings.Contains(stderr, "s3cret-word") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	told(t, stderr, `recipe."notes".forge: the address holds credentials`, "hint: take them out")
	code, stdout, stderr = b.run("review", "--pr", "1", "--repo", "https://git.example/a/b", "--suite-repo", "https://ada:s3cret-word@git.example/a/b")
	if code != exitUsage || stdout != "" || strings.Contains(stderr, "s3cret-word") || !strings.Contains(stderr, "--suite-repo: the address holds credentials") {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	for flag, address := range map[string]string{"--repo": "https://ada:s3cret-word@git.example/a/b", "--forge": "https://s3cret-word@git.example"} {
		code, stdout, stderr = b.run("review", "--pr", "1", flag, address)
		if code != exitUsage || stdout != "" || strings.Contains(stderr, "s3cret-word") || !strings.Contains(stderr, flag+": the address holds credentials") {
			t.Errorf("exit %d, %q, %q", code, stdout, stderr)
		}
	}
}
