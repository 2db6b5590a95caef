package lint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
)

// tree is the files of a recipe; "" removes one.
type tree map[string]string

// good satisfies every rule that needs no network.
var good = tree{
	"compose.yml": `version: "3.8"
services:
  app:
    image: nginx:1.27.2-alpine
    healthcheck: {test: [CMD, "true"]}
    configs: [{source: nginx_conf, target: /etc/nginx.conf}]
    secrets: [db_password]
    deploy:
      labels: ["traefik.enable=true"]
networks: {proxy: {external: true}}
configs: {nginx_conf: {name: "${STACK_NAME}_nginx_conf_${NGINX_CONF_VERSION}", file: nginx.conf}}
secrets: {db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}}
`,
	"compose.mariadb.yml": `version: "3.8"
services:
  db:
    image: mariadb:11.4
    healthcheck: {test: [CMD, "true"]}
`,
	".env.sample": "TYPE=notes\nDOMAIN=notes.example.com\nSECRET_DB_PASSWORD_VERSION=v1\n",
	"abra.sh":     "export NGINX_CONF_VERSION=v1\n",
	"README.md": `# Notes

<!-- metadata -->
* **Category**: Apps
* **Status**: 1, alpha
* **Image**: [nginx](https://example.com), 4, upstream
* **Healthcheck**: Yes
* **Backups**: No
* **Email**: No
* **Tests**: No
* **SSO**: No
<!-- endmetadata -->
`,
}

// input commits good with changes, and checks that commit out.
func input(t *testing.T, changes tree, lightweight ...string) Input {
	t.Helper()
	dir := t.TempDir()
	repo, err := git.PlainInit(dir, false)
	must(t, err)
	for _, files := range []tree{good, changes} {
		for name, text := range files {
			file := filepath.Join(dir, name)
			must(t, os.RemoveAll(file))
			if text != "" {
				must(t, os.WriteFile(file, []byte(text), 0o644))
			}
		}
	}
	work, err := repo.Worktree()
	must(t, err)
	must(t, work.AddWithOptions(&git.AddOptions{All: true}))
	ada := &object.Signature{Name: "Ada", Email: "ada@example.com", When: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
	head, err := work.Commit("recipe", &git.CommitOptions{Author: ada})
	must(t, err)
	_, err = repo.CreateTag("1.0.0+1.27.2", head, &git.CreateTagOptions{Tagger: ada, Message: "release"})
	must(t, err)
	for _, name := range lightweight {
		_, err = repo.CreateTag(name, head, nil)
		must(t, err)
	}
	return checkedOut(t, dir)
}

func checkedOut(t *testing.T, dir string) Input {
	t.Helper()
	r, err := recipe.Open("", dir)
	must(t, err)
	head, err := r.Commit("")
	must(t, err)
	co, err := r.Checkout(head, filepath.Join(t.TempDir(), "clone"))
	must(t, err)
	tags, err := r.Tags()
	must(t, err)
	return Input{Checkout: co, Tags: tags}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func result(t *testing.T, results []Result, id string) Result {
	t.Helper()
	for _, r := range results {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no rule %s", id)
	return Result{}
}

func yes(string) (bool, error) { return true, nil }

func TestGoodRecipe(t *testing.T) {
	in := input(t, nil)
	in.Published, in.Hosted = yes, yes
	results := Run(in)
	if len(results) != 15 {
		t.Errorf("%d rules", len(results))
	}
	for _, r := range results {
		if r.Outcome != Satisfied || r.Where != "" || r.Reason != "" || r.Fix != "" {
			t.Errorf("%+v", r)
		}
	}
	if status, reason := Judge(results); status != "pass" || reason != "" {
		t.Errorf("judged %s, %s", status, reason)
	}
}

func TestSeverities(t *testing.T) {
	var got []string
	for _, r := range Run(input(t, nil)) {
		if r.Severity == labels.Error {
			got = append(got, r.ID)
		}
	}
	if d := cmp.Diff([]string{"R008", "R009", "R010", "R011", "R012", "R014"}, got); d != "" {
		t.Error(d)
	}
}

// edited is good's compose.yml with one thing replaced.
func edited(t *testing.T, old, new string) tree {
	t.Helper()
	if !strings.Contains(good["compose.yml"], old) {
		t.Fatalf("nothing to replace: %q", old)
	}
	return tree{"compose.yml": strings.Replace(good["compose.yml"], old, new, 1)}
}

func TestRules(t *testing.T) {
	const image = "nginx:1.27.2-alpine"
	tests := []struct {
		id, name      string
		changes       tree
		tags          []string // lightweight
		outcome       Outcome
		where, reason string
	}{
		{id: "R001", name: "another version", changes: tree{"compose.yml": strings.ReplaceAll(good["compose.yml"], "3.8", "3.7"), "compose.mariadb.yml": ""},
			outcome: Violated, where: "compose.yml", reason: `the version is "3.7"`},
		{id: "R001", name: "no version in an overlay", changes: tree{"compose.mariadb.yml": "services: {}\n"},
			outcome: Violated, where: "compose.mariadb.yml", reason: "there is no version"},
		{id: "R002", name: "no healthcheck in an overlay", changes: tree{"compose.x.yml": "version: \"3.8\"\nservices: {x: {image: \"x:1\"}}\n"},
			outcome: Violated, where: "service x", reason: "there is no healthcheck"},
		{id: "R002", name: "disabled", changes: edited(t, `{test: [CMD, "true"]}`, "{disable: true}"),
			outcome: Violated, where: "service app", reason: "the healthcheck is disabled"},
		{id: "R003", name: "no tag", changes: edited(t, image, "nginx"),
			outcome: Violated, where: "service app", reason: `"nginx" has no tag`},
		{id: "R003", name: "digest", changes: edited(t, image, "nginx@sha256:"+strings.Repeat("0", 64)), outcome: Satisfied},
		{id: "R003", name: "registry with a port", changes: edited(t, image, "localhost:5000/nginx"),
			outcome: Violated, where: "service app", reason: `"localhost:5000/nginx" has no tag`},
		{id: "R003", name: "no image's name", changes: edited(t, image, "Nginx:1"),
			outcome: Violated, where: "service app", reason: `"Nginx:1" cannot be read as an image`},
		{id: "R004", name: "latest", changes: edited(t, image, "nginx:latest"),
			outcome: Violated, where: "service app", reason: `the tag of "nginx:latest" moves`},
		{id: "R004", name: "no tag", changes: edited(t, image, "nginx"),
			outcome: Violated, where: "service app", reason: `"nginx" means latest, which moves`},
		{id: "R005", name: "a word", changes: edited(t, image, "nginx:alpine"),
			outcome: Violated, where: "service app", reason: `the tag of "nginx:alpine" is no version`},
		{id: "R005", name: "v15", changes: edited(t, image, "nginx:v15"), outcome: Satisfied},
		{id: "R005", name: "calendar", changes: edited(t, image, "nginx:2024.06.52"), outcome: Satisfied},
		{id: "R005", name: "social", changes: edited(t, image, "nginx:1.0.6-social-amd64"), outcome: Satisfied},
		{id: "R006", name: "without a network", outcome: NotEvaluated, reason: "asks the network, which was not to be asked"},
		{id: "R007", name: "no readme", changes: tree{"README.md": ""}, outcome: Violated, where: "README.md", reason: "there is none"},
		{id: "R007", name: "no block", changes: tree{"README.md": "# Notes\n"},
			outcome: Violated, where: "README.md", reason: "there is no metadata block"},
		{id: "R007", name: "left empty", changes: tree{"README.md": strings.Replace(good["README.md"], "**Backups**: No", "**Backups**:", 1)},
			outcome: Violated, where: "README.md", reason: "Backups is not filled in"},
		{id: "R007", name: "left out", changes: tree{"README.md": strings.Replace(good["README.md"], "* **SSO**: No\n", "", 1)},
			outcome: Violated, where: "README.md", reason: "SSO is not filled in"},
		{id: "R008", name: "no sample", changes: tree{".env.sample": ""}, outcome: Violated, where: ".env.sample", reason: "there is none"},
		{id: "R009", name: "no app", changes: edited(t, "  app:", "  web:"), outcome: Violated, where: "services", reason: "none is named app"},
		{id: "R010", name: "not routed", changes: edited(t, "traefik.enable=true", "traefik.enable=false"),
			outcome: Violated, where: "services", reason: "none has the deploy label traefik.enable=true"},
		{id: "R010", name: "label on the container", changes: edited(t, "    deploy:\n      labels:", "    labels:"),
			outcome: Violated, where: "services", reason: "none has the deploy label traefik.enable=true"},
		{id: "R010", name: "no DOMAIN", changes: tree{".env.sample": "TYPE=notes\nSECRET_DB_PASSWORD_VERSION=v1\n",
			"compose.yml": strings.Replace(good["compose.yml"], "traefik.enable=true", "x=y", 1)},
			outcome: Skipped, reason: ".env.sample has no DOMAIN: the app is not reached from outside"},
		{id: "R010", name: "no sample", changes: tree{".env.sample": "",
			"compose.yml": strings.Replace(good["compose.yml"], "traefik.enable=true", "x=y", 1)},
			outcome: Violated, where: "services", reason: "none has the deploy label traefik.enable=true"},
		{id: "R011", name: "no image", changes: edited(t, "    image: nginx:1.27.2-alpine\n", ""),
			outcome: Violated, where: "service app", reason: "there is no image, with the values of .env.sample"},
		{id: "R011", name: "empty by a variable", changes: edited(t, image, "${IMAGE}"),
			outcome: Violated, where: "service app", reason: "there is no image, with the values of .env.sample"},
		{id: "R011", name: "default of a variable", changes: edited(t, image, "${IMAGE:-nginx:1}"), outcome: Satisfied},
		{id: "R012", name: "no abra.sh", changes: tree{"abra.sh": ""},
			outcome: Violated, where: "config nginx_conf", reason: "abra.sh does not export NGINX_CONF_VERSION"},
		{id: "R012", name: "only in the sample", changes: tree{"abra.sh": "", ".env.sample": good[".env.sample"] + "NGINX_CONF_VERSION=v1\n"},
			outcome: Violated, where: "config nginx_conf", reason: "abra.sh does not export NGINX_CONF_VERSION"},
		{id: "R012", name: "computed", changes: tree{"abra.sh": "export NGINX_CONF_VERSION=$(date)\n"},
			outcome: Violated, where: "config nginx_conf", reason: "abra.sh computes NGINX_CONF_VERSION, where a plain value is wanted"},
		{id: "R012", name: "in an overlay", changes: tree{"compose.x.yml": "version: \"3.8\"\nconfigs: {x: {name: \"${STACK_NAME}_x_$X_VERSION\", file: x}}\n"},
			outcome: Violated, where: "config x", reason: "abra.sh does not export X_VERSION"},
		{id: "R012", name: "no configs", changes: tree{"abra.sh": "", "compose.yml": "version: \"3.8\"\nservices: {app: {image: \"x:1\"}}\n"}, outcome: Satisfied},
		{id: "R013", name: "without a network", outcome: NotEvaluated, reason: "asks the network, which was not to be asked"},
		{id: "R014", name: "lightweight", tags: []string{"1.1.0+1.28.0", "nightly"},
			outcome: Violated, where: "tag 1.1.0+1.28.0", reason: "it is lightweight"},
		{id: "R014", name: "lightweight, but no version", tags: []string{"nightly"}, outcome: Satisfied},
		{id: "R015", name: "long", changes: tree{"compose.yml": strings.ReplaceAll(good["compose.yml"], "db_password", "database_password")},
			outcome: Violated, where: "secret database_password", reason: "longer than 12 characters"},
		{id: "R015", name: "12", changes: tree{"compose.yml": strings.ReplaceAll(good["compose.yml"], "db_password", "db_passwordx")}, outcome: Satisfied},
	}
	for _, tt := range tests {
		t.Run(tt.id+" "+tt.name, func(t *testing.T) {
			got := result(t, Run(input(t, tt.changes, tt.tags...)), tt.id)
			if got.Outcome != tt.outcome || got.Where != tt.where || got.Reason != tt.reason {
				t.Errorf("got %+v", got)
			}
			if (got.Fix != "") != (tt.outcome == Violated) {
				t.Errorf("fix %q", got.Fix)
			}
		})
	}
}

func TestNetworkRules(t *testing.T) {
	tests := []struct {
		name    string
		lookup  func(string) (bool, error)
		outcome Outcome
		reason  string // of R006
	}{
		{"found", yes, Satisfied, ""},
		{"not found", func(string) (bool, error) { return false, nil }, Violated, "it has no version of the recipe"},
		{"asked in vain", func(string) (bool, error) { return true, errors.New("no route\nto host") }, NotEvaluated, "asking catalogue: no route to host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := input(t, nil)
			var asked []string
			lookup := func(name string) (bool, error) { asked = append(asked, name); return tt.lookup(name) }
			in.Published, in.Hosted = lookup, lookup
			results := Run(in)
			if r := result(t, results, "R006"); r.Outcome != tt.outcome || r.Reason != tt.reason {
				t.Errorf("R006: %+v", r)
			}
			if r := result(t, results, "R013"); r.Outcome != tt.outcome {
				t.Errorf("R013: %+v", r)
			}
			if d := cmp.Diff([]string{"notes", "notes"}, asked); d != "" {
				t.Error(d)
			}
			if status, _ := Judge(results); status != "pass" {
				t.Errorf("judged %s: warnings must not count", status)
			}
		})
	}
}

// What does not load is not known to be right.
func TestComposeThatDoesNotLoad(t *testing.T) {
	tests := []struct {
		name    string
		changes tree
		reason  string
	}{
		{"no YAML", tree{"compose.x.yml": "a: [\n"}, "compose.x.yml: yaml: line 1"},
		{"no mapping", tree{"compose.x.yml": "hello\n"}, "compose.x.yml: top-level object must be a mapping"},
		{"unknown key", tree{"compose.x.yml": "version: \"3.8\"\nservices: {app: {colour: red}}\n"}, "do not load together: services.app Additional property colour is not allowed"},
		{"two versions", tree{"compose.x.yml": "version: \"3.7\"\n"}, "do not load together: version mismatched"},
		{"a required variable", tree{"compose.x.yml": "version: \"3.8\"\nservices: {x: {image: \"${X:?set me}\"}}\n"}, "do not load together"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			results := Run(input(t, tt.changes))
			for _, id := range []string{"R002", "R003", "R009", "R010", "R011", "R015"} {
				if r := result(t, results, id); r.Outcome != NotEvaluated || !strings.Contains(r.Reason, tt.reason) {
					t.Errorf("%+v", r)
				}
			}
			if r := result(t, results, "R008"); r.Outcome != Satisfied {
				t.Errorf("%+v", r)
			}
			if status, reason := Judge(results); status != "unver" || !strings.Contains(reason, "R009") {
				t.Errorf("judged %s: %s", status, reason)
			}
		})
	}
}

// An env_file would be read by docker's loader, from anywhere on the machine.
func TestEnvFileIsNotRead(t *testing.T) {
	in := input(t, edited(t, "    image:", "    env_file: [/etc/passwd, ../nowhere]\n    image:"))
	if r := result(t, Run(in), "R011"); r.Outcome != Satisfied {
		t.Errorf("%+v", r)
	}
}

func TestEveryComposeFileIsRead(t *testing.T) {
	// compose.yml has no image; an overlay that .env.sample does not load brings it
	changes := edited(t, "    image: nginx:1.27.2-alpine\n", "")
	changes["compose.image.yml"] = "version: \"3.8\"\nservices: {app: {image: \"nginx:1\"}}\n"
	if r := result(t, Run(input(t, changes)), "R011"); r.Outcome != Satisfied {
		t.Errorf("%+v", r)
	}
}

func TestOverlaysComeAfterComposeYML(t *testing.T) {
	// in the order of their names this one would come first, and lose
	changes := tree{"compose.a.yml": "version: \"3.8\"\nservices: {app: {image: \"nginx:latest\"}}\n"}
	if r := result(t, Run(input(t, changes)), "R004"); r.Outcome != Violated {
		t.Errorf("%+v", r)
	}
}

func TestJudge(t *testing.T) {
	row := func(id string, s labels.Severity, o Outcome) Result {
		return Result{ID: id, Rule: "rule", Severity: s, Outcome: o, Reason: "why"}
	}
	tests := []struct {
		name           string
		results        []Result
		status, reason string
	}{
		{"all well", []Result{row("R008", labels.Error, Satisfied), row("R010", labels.Error, Skipped)}, "pass", ""},
		{"warnings", []Result{row("R008", labels.Error, Satisfied), row("R001", labels.Warning, Violated), row("R006", labels.Warning, NotEvaluated)}, "pass", ""},
		{"violated", []Result{row("R008", labels.Error, Violated), row("R009", labels.Error, NotEvaluated)}, "fail", "R008 rule: why"},
		{"not evaluated", []Result{row("R008", labels.Error, Satisfied), row("R009", labels.Error, NotEvaluated)}, "unver", "not evaluated: R009 rule: why"},
		{"an outcome that nobody knows", []Result{row("R008", labels.Error, "")}, "unver", "not evaluated: R008 rule: why"},
		{"nothing", nil, "unver", "no rule was evaluated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if status, reason := Judge(tt.results); status != tt.status || reason != tt.reason {
				t.Errorf("got %s, %q", status, reason)
			}
		})
	}
}
