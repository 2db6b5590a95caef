package review

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"coopcloud.tech/abra-ccci/examples"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

// Tokens are put together here, so that no scanner of others finds one in this file.
func join(parts ...string) string { return strings.Join(parts, "") }

func TestSecretIn(t *testing.T) {
	random := "hGz8Qw2LpXv4Tn6B"
	tests := []struct{ line, want string }{
		{join("-----BEGIN ", "RSA PRIVATE KEY-----"), "a private key"},
		{join("-----BEGIN OPENSSH ", "PRIVATE KEY-----"), "a private key"},
		{join("-----BEGIN PGP ", "PRIVATE KEY BLOCK-----"), "a private key"},
		{join("      - AWS_KEY=AKIA", "IOSFODNN7QWERTYU"), "an AWS access key"},
		{join("ghp_", random, random, "abcd"), "a GitHub token"},
		{join("url: https://x:glpat-", random, random), "a GitLab token"},
		{join("x: xoxb-", "123456789012-", random), "a Slack token"},
		{join("sk_live_", random, random), "a Stripe key"},
		{join("AIza", random, random, "abc"), "a Google API key"},
		{join("eyJ", random, ".eyJ", random, ".", random), "a JSON web token"},
		{"DB_PASSWORD=" + random, `a value for "DB_PASSWORD"`},
		{"#DB_PASSWORD=" + random, `a value for "DB_PASSWORD"`},
		{"      - \"POSTGRES_PASSWORD=" + random + "\"", `a value for "POSTGRES_PASSWORD"`},
		{"      POSTGRES_PASSWORD: '" + random + "'", `a value for "POSTGRES_PASSWORD"`},
		{`{"apiKey": "` + random + `"}`, `a value for "apiKey"`},
		{"export SECRET_KEY=\"" + random + "\"", `a value for "SECRET_KEY"`},
		{"password := \"" + random + "\"", `a value for "password"`},
		{"postgres://app:" + random + "@db/app", "a password in a URL"},
		{"x = y; token = " + random + "; z", `a value for "token"`},

		{"SECRET_DB_PASSWORD_VERSION=v1 # length=32", ""},
		{"SECRET_DB_PASSWORD_VERSION=v1  # generate=false", ""},
		{"      - DB_PASSWORD_FILE=/run/secrets/db_password", ""},
		{"      - DB_PASSWORD=${DB_PASSWORD}", ""},
		{"      - DB_PASSWORD=$DB_PASSWORD", ""},
		{"      DB_PASSWORD: \"{{ secret \\\"db_password\\\" }}\"", ""},
		{"password: changeme-please-1234", ""},
		{"ADMIN_PASSWORD=<your long password 8f3A>", ""},
		{"API_KEY=your-api-key-123XYZ", ""},
		{"API_TOKEN=xxxxxxxxxxxxxxxx", ""},
		{"API_TOKEN=example0123456789abcdef", ""},
		{"db_password: {external: true, name: \"${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}\"}", ""},
		{"  secrets: [db_password, session_secret]", ""},
		{"token: db_password", ""},
		{"PASSWORD=$(cat /run/secrets/x1Y2z3W4)", ""},
		{"postgres://app:${DB_PASSWORD}@db/app", ""},
		{"postgres://app:$(cat /run/secrets/db)@db/app", ""},
		{"image: postgres:15.4@sha256:0e1e8a32bb4d9f7b1a6c2d5e8f90123456789abcdef0123456789abcdef012345", ""},
		{"the password is stored in /var/lib/app/pw1", ""},
		{"MAX_TOKENS=1024", ""},
		{"PASSWORD=short1", ""},
		{"PASSWORD=aaaaaaaa1111", ""},
		{"", ""},
	}
	for _, tt := range tests {
		hit, found := secretIn(tt.line)
		if found != (tt.want != "") || hit.what != tt.want {
			t.Errorf("%q: %q %v, want %q", tt.line, hit.what, found, tt.want)
		}
	}
}

// Every shape must be able to match; a table with a typo finds nothing.
func TestTokenShapesMatch(t *testing.T) {
	alnum := strings.Repeat("aB3", 40)
	samples := map[string]string{
		"a private key": "-----BEGIN EC PRIVATE KEY-----", "an AWS access key": "ASIA" + strings.Repeat("A2", 8), "a GitHub token": "github_pat_" + alnum[:82],
		"a GitLab token": "glpat-" + alnum[:20], "a Slack token": "xoxp-" + alnum[:20], "a Slack webhook": "hooks.slack.com/services/" + alnum[:44],
		"a Discord webhook": "discord.com/api/webhooks/123456789012345678/" + alnum[:68], "a Stripe key": "rk_test_" + alnum[:24], "a Google API key": "AIza" + alnum[:35],
		"a SendGrid key": "SG." + alnum[:22] + "." + alnum[:43], "a Mailgun key": "key-" + strings.Repeat("0f", 16), "an npm token": "npm_" + alnum[:36],
		"a PyPI token": "pypi-AgE" + alnum[:80], "a DigitalOcean token": "dop_v1_" + strings.Repeat("0f", 32), "a Docker Hub token": "dckr_pat_" + alnum[:27],
		"an age key": "AGE-SECRET-KEY-1" + strings.Repeat("Q3", 29), "a JSON web token": "eyJ" + alnum[:20] + ".eyJ" + alnum[:20] + "." + alnum[:20],
		"an Anthropic or OpenAI key": "sk-ant-" + alnum[:40],
	}
	for _, shape := range tokenShapes {
		if hit, found := secretIn("x " + samples[shape.what] + " y"); !found || hit.what != shape.what {
			t.Errorf("%s: %q is taken for %q", shape.what, samples[shape.what], hit.what)
		}
	}
}

func TestNoPlaintextSecret(t *testing.T) {
	const old, added = "DB_PASSWORD=hGz8Qw2LpXv4Tn6B\n", "API_TOKEN=9fKq2LmXw7Vb3Nz8\n"
	file := func(text string) fstest.MapFS { return fstest.MapFS{"conf/app.env": {Data: []byte(text)}} }
	tests := []struct {
		name       string
		base, head fs.FS
		status     runner.Status
		want       []string
	}{
		{"clean", file("A=b\n"), file("A=c\n"), runner.Pass, []string{"1 file looked through"}},
		{"added", file("A=b\n"), file("A=b\n" + added), runner.Fail, []string{`conf/app.env holds a value for "API_TOKEN"`, `conf/app.env:2: a value`, "of 16 bytes; the pull request adds it"}},
		{"there before", file(old), file(old), runner.Fail, []string{"it was there before the pull request"}},
		{"moved to another file", fstest.MapFS{"x": {Data: []byte(old)}}, file(old), runner.Fail, []string{"the pull request adds it"}},
		{"taken out", file(old), file("A=b\n"), runner.Pass, nil},
		{"no base", nil, file(added), runner.Fail, []string{"the pull request adds it"}},
		{"in a binary file", nil, fstest.MapFS{"b": {Data: []byte("\xff\xfe\x00" + added)}}, runner.Fail, []string{"API_TOKEN"}},
		{"behind carriage returns", nil, file("A=b\r\n" + strings.TrimSpace(added) + "\r\n"), runner.Fail, []string{"API_TOKEN"}},
		{"too large to read", nil, fstest.MapFS{"big": {Data: make([]byte, maxScanFile+1)}}, runner.Unver, []string{"big can't be read, or is larger than 4 MiB"}},
		{"name of a file", nil, fstest.MapFS{"a\x1b[2J": {Data: []byte(added)}}, runner.Fail, []string{`a\x1b[2J:1`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NoPlaintextSecret(tt.base, tt.head, Past{})
			checkIs(t, c, tt.status, tt.want...)
			for _, value := range []string{"hGz8Qw2LpXv4Tn6B", "9fKq2LmXw7Vb3Nz8"} {
				if strings.Contains(told(c), value) {
					t.Error("the secret is repeated")
				}
			}
		})
	}
}

// What a commit brought and another took away is found once, with its commit.
func TestPastSecret(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=bob", "-c", "user.email=bob@ccci.test"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	commit := func(name, text string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		git("add", "-A")
		git("commit", "-qm", name)
		return git("rev-parse", "HEAD")
	}
	git("init", "-q")
	base := commit("compose.yml", "version: \"3.8\"\nservices:\n  app:\n    image: notes:1\n")
	commit("app.env", "API_TOKEN=9fKq2LmXw7Vb3Nz8\n")
	commit("app.env", "# API_TOKEN=9fKq2LmXw7Vb3Nz8\n")
	head := commit("app.env", "API_TOKEN=\n")
	rec, err := recipe.Open(dir, dir)
	if err != nil {
		t.Fatal(err)
	}
	from, err := rec.Commit(base)
	if err != nil {
		t.Fatal(err)
	}
	to, err := rec.Commit(head)
	if err != nil {
		t.Fatal(err)
	}
	c := NoPlaintextSecret(nil, os.DirFS(dir), ReadPast(rec, from, to, fstest.MapFS{}))
	checkIs(t, c, runner.Fail, "3 commits looked through", `app.env holds a value for "API_TOKEN"`, "which a merge publishes")
	if len(c.Findings) != 1 || strings.Contains(told(c), "9fKq2LmXw7Vb3Nz8") {
		t.Errorf("%+v", c.Findings)
	}
	past := ReadPast(rec, from, to, fstest.MapFS{"app.env": {Data: []byte("API_TOKEN=9fKq2LmXw7Vb3Nz8\n# API_TOKEN=9fKq2LmXw7Vb3Nz8\n")}})
	checkIs(t, NoPlaintextSecret(nil, os.DirFS(dir), past), runner.Pass) // the base has published it
	checkIs(t, NoPlaintextSecret(nil, os.DirFS(dir), Past{err: errors.New("cut off")}), runner.Unver, "cut off")
}

// No example, in any release of its history, holds a secret or looks as if.
func TestExamplesHoldNoSecret(t *testing.T) {
	root := t.TempDir()
	if err := examples.WriteTree(root); err != nil {
		t.Fatal(err)
	}
	checkIs(t, NoPlaintextSecret(nil, os.DirFS(root), Past{}), runner.Pass)
	seen := 0
	for _, name := range examples.Names() {
		r, err := recipe.Open(root, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range examples.History(name) {
			ref := c.Branch
			if c.Tagged {
				ref = c.Version
			}
			commit, err := r.Commit(ref)
			if err != nil {
				t.Fatal(err)
			}
			co, err := r.Checkout(commit, filepath.Join(t.TempDir(), "co"))
			if err != nil {
				t.Fatal(err)
			}
			seen++
			checkIs(t, NoPlaintextSecret(nil, co.Files(), Past{}), runner.Pass)
		}
	}
	if seen < 7 {
		t.Errorf("only %d commits were looked at", seen)
	}
	// The repository's own files are prose, code and suites.
	for _, dir := range []string{"../examples", "../docs", "../labels/testdata"} {
		checkIs(t, NoPlaintextSecret(nil, os.DirFS(dir), Past{}), runner.Pass)
	}
}

func FuzzSecretIn(f *testing.F) {
	f.Add("DB_PASSWORD=hGz8Qw2LpXv4Tn6B")
	f.Add("postgres://app:x@db")
	f.Add("\xff: \"'")
	f.Fuzz(func(t *testing.T, line string) {
		hit, found := secretIn(line)
		if found && (hit.value == "" || !strings.Contains(line, hit.value)) {
			t.Errorf("%q holds no %q", line, hit.value)
		}
		if found && isPlaceholder(hit.value) {
			t.Errorf("%q is a placeholder", hit.value)
		}
		// A reference in the place of the value is no secret of that name.
		if found && !strings.ContainsAny(line, "\r\n") {
			places := secretsInFile("x", []byte(line), map[string]bool{line: true})
			for _, p := range places {
				if p.added && strings.ToValidUTF8(line, "") == line && !strings.Contains(line, "\x00") {
					t.Errorf("%q was there before", line)
				}
			}
		}
	})
}
