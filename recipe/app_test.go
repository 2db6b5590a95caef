package recipe

import (
	"bytes"
	"crypto/rand"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/labels"
)

func TestStackName(t *testing.T) {
	tests := []struct{ domain, want string }{
		{"notes.example.com", "notes_example_com"},
		{"kfzt-9431a1.ccci.test", "kfzt-9431a1_ccci_test"},
		{strings.Repeat("a", 44) + ".example.com", strings.Repeat("a", 44) + "_"},
	}
	for _, tt := range tests {
		if got := StackName(tt.domain); got != tt.want {
			t.Errorf("StackName(%q) = %q, want %q", tt.domain, got, tt.want)
		}
	}
}

func TestDomain(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]{4}-[0-9a-f]{6}\.ccci\.test$`)
	seen := map[string]bool{}
	for range 100 {
		d := Domain(rand.Reader)
		if !form.MatchString(d) || seen[d] {
			t.Fatalf("domain %q", d)
		}
		seen[d] = true
	}
	if got := Domain(bytes.NewReader([]byte{0, 1, 2, 19, 0x94, 0x31, 0xa1})); got != "bcdz-9431a1.ccci.test" {
		t.Errorf("got %q", got)
	}
}

const sampleEnv = `TYPE=notes
DOMAIN=notes.example.com
## Example: http
LETS_ENCRYPT_ENV=production
APP_CONF_VERSION=from-the-sample
COMPOSE_FILE="compose.yml"
#COMPOSE_FILE="$COMPOSE_FILE:compose.smtp.yml"
SECRET_DB_PASSWORD_VERSION=v1 # length=12 charset=hex
SECRET_KEY_VERSION=v2
`

const sampleCompose = `version: "3.8"
services:
  app:
    image: notes:1.0.0
    networks: [proxy, internal]
    environment: [DOMAIN, LETS_ENCRYPT_ENV]
    configs: [{source: app_conf, target: /etc/notes.conf}]
    secrets: [db_password, key]
    volumes: [data:/data]
    deploy:
      labels:
        - "coop-cloud.${STACK_NAME}.version=1.0.0+1.0.0"
  db:
    image: notes-db:1.0.0
networks: {proxy: {external: true}, internal: }
volumes: {data: }
configs: {app_conf: {name: "${STACK_NAME}_app_conf_${APP_CONF_VERSION}", file: notes.conf}}
secrets:
  db_password: {external: true, name: "${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}"}
  key: {external: true, name: "${STACK_NAME}_key_${SECRET_KEY_VERSION}"}
`

// exampleCheckout is a checkout of one release with everything in it, edited.
func exampleCheckout(t *testing.T, edit func(*testRepo)) *Checkout {
	t.Helper()
	repo := newRepo(t, t.TempDir())
	repo.write(".env.sample", sampleEnv)
	repo.write("compose.yml", sampleCompose)
	repo.write("notes.conf", "x\n")
	repo.write("abra.sh", "export APP_CONF_VERSION=v4\n")
	if edit != nil {
		edit(repo)
	}
	repo.tag("1.0.0+1.0.0", repo.commit("release"), true)
	co, err := checkoutOf(t, repo.open(), "")
	if err != nil {
		t.Fatal(err)
	}
	return co
}

const testDomain = "kfzt-9431a1.ccci.test"

func TestAppEnv(t *testing.T) {
	co := exampleCheckout(t, nil)
	app := co.AppEnv(testDomain, map[string]string{
		"LETS_ENCRYPT_ENV": "", "NEW": "a b", "DOMAIN": "evil.example.com", "SECRET_KEY_VERSION": "v9", "not a name": "x",
	})
	want := `TYPE=notes:1.0.0+1.0.0
DOMAIN=kfzt-9431a1.ccci.test
## Example: http
LETS_ENCRYPT_ENV=
APP_CONF_VERSION=from-the-sample
COMPOSE_FILE="compose.yml"
#COMPOSE_FILE="$COMPOSE_FILE:compose.smtp.yml"
SECRET_DB_PASSWORD_VERSION=v1 # length=12 charset=hex
SECRET_KEY_VERSION=v9
NEW="a b"
`
	if d := cmp.Diff(want, string(app.Bytes())); d != "" {
		t.Error(d)
	}
	if got := co.Sample.Get("TYPE"); got != "notes" {
		t.Errorf("the sample was changed: TYPE=%s", got)
	}
}

func TestAppEnvKeepsRecipeKey(t *testing.T) {
	co := exampleCheckout(t, func(r *testRepo) { r.write(".env.sample", "RECIPE=notes\nDOMAIN=\n") })
	if got := string(co.AppEnv(testDomain, nil).Bytes()); got != "RECIPE=notes:1.0.0+1.0.0\nDOMAIN="+testDomain+"\n" {
		t.Errorf("got %q", got)
	}
}

func TestCheckOverrides(t *testing.T) {
	if err := CheckOverrides(map[string]string{"A": "b c", "_X1": "$"}); err != nil {
		t.Error(err)
	}
	for key, value := range map[string]string{
		"DOMAIN": "x", "STACK_NAME": "x", "TYPE": "x", "RECIPE": "x", "A-B": "x", "": "x", "A": "\x00", "B": "\xff",
	} {
		if err := CheckOverrides(map[string]string{key: value}); err == nil {
			t.Errorf("%q=%q is accepted", key, value)
		}
	}
}

func TestDeployEnv(t *testing.T) {
	co := exampleCheckout(t, nil)
	env := co.DeployEnv(co.AppEnv(testDomain, nil))
	for key, want := range map[string]string{
		"STACK_NAME": "kfzt-9431a1_ccci_test", "APP_CONF_VERSION": "v4", "LETS_ENCRYPT_ENV": "production", "DOMAIN": testDomain,
	} {
		if env[key] != want {
			t.Errorf("%s=%q, want %q", key, env[key], want)
		}
	}
}

// A recipe that names another app's stack would be given that app's volumes.
func TestDeployEnvCannotChooseTheStack(t *testing.T) {
	co := exampleCheckout(t, func(r *testRepo) {
		r.write(".env.sample", sampleEnv+"STACK_NAME=traefik\n")
		r.write("abra.sh", "export STACK_NAME=traefik DOMAIN=evil.example.com APP_CONF_VERSION=v1\n")
	})
	env := co.DeployEnv(co.AppEnv(testDomain, nil))
	if env["STACK_NAME"] != "kfzt-9431a1_ccci_test" || env["DOMAIN"] != testDomain {
		t.Errorf("STACK_NAME=%s DOMAIN=%s", env["STACK_NAME"], env["DOMAIN"])
	}
}

func TestStack(t *testing.T) {
	co := exampleCheckout(t, func(r *testRepo) { r.write("abra.sh", "export APP_CONF_VERSION=v4 X=$(id)\n") })
	stack := stackOf(t, co)
	if stack.Name != "kfzt-9431a1_ccci_test" || stack.Compose.Configs["app_conf"].Name != "kfzt-9431a1_ccci_test_app_conf_v4" {
		t.Errorf("stack %s, config %+v", stack.Name, stack.Compose.Configs["app_conf"])
	}
	_, notices, err := co.Stack(co.AppEnv(testDomain, nil))
	if err != nil || len(notices) != 1 || notices[0].ID != "export-not-literal" || notices[0].Where != "abra.sh X" {
		t.Errorf("notices %+v, %v", notices, err)
	}
}

func stackOf(t *testing.T, co *Checkout) *labels.Stack {
	t.Helper()
	stack, _, err := co.Stack(co.AppEnv(testDomain, nil))
	if err != nil {
		t.Fatal(err)
	}
	return stack
}

func TestStamp(t *testing.T) {
	const prefix = "coop-cloud.kfzt-9431a1_ccci_test."
	tests := []struct {
		name   string
		commit Commit
		want   map[string]string
	}{
		{"release", Commit{Short: "0123abcd", Version: "1.0.0+1.0.0"},
			map[string]string{"version": "1.0.0+1.0.0", "recipe": "notes", "chaos": "false"}},
		{"commit", Commit{Short: "0123abcd", Version: "0123abcd"},
			map[string]string{"version": "1.0.0+1.0.0", "recipe": "notes", "chaos": "true", "chaos-version": "0123abcd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			co := exampleCheckout(t, nil)
			stack := stackOf(t, co)
			co.Commit = tt.commit
			co.Stamp(stack)
			want := map[string]string{}
			for k, v := range tt.want {
				want[prefix+k] = v
			}
			for _, s := range stack.Services {
				if s.Name == "db" && len(s.Labels) > 0 {
					t.Errorf("db is stamped: %v", s.Labels)
				}
				if s.Name == "app" && !maps.Equal(s.Labels, want) {
					t.Error(cmp.Diff(want, s.Labels))
				}
			}
			for _, s := range stack.Compose.Services {
				if s.Name == "app" && !maps.Equal(s.Deploy.Labels, want) {
					t.Error(cmp.Diff(want, map[string]string(s.Deploy.Labels)))
				}
			}
		})
	}
}

func TestCheckNames(t *testing.T) {
	co := exampleCheckout(t, nil)
	if err := CheckNames(stackOf(t, co)); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("x", 43) // kfzt-9431a1_ccci_test_ is 22
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"service of 64", "  db:", "  " + long[:42] + ":", []string{`service "kfzt-9431a1_ccci_test_` + long[:42] + `" has 64 characters, at most 63`}},
		{"volume of 65", "volumes: {data: }", "volumes: {data: , " + long + ": }", []string{`volume "kfzt-9431a1_ccci_test_` + long + `" has 65 characters, at most 64`}},
		{"volume of 64", "volumes: {data: }", "volumes: {data: , " + long[:42] + ": }", nil},
		{"network", "internal: }", "internal: , " + long + ": }", []string{`network "kfzt-9431a1_ccci_test_x`}},
		{"secret", "}_key_$", "}_" + long + "_$", []string{`secret "kfzt-9431a1_ccci_test_x`}},
		{"config", "}_app_conf_$", "}_" + long + "_$", []string{`config "kfzt-9431a1_ccci_test_x`}},
		{"characters", "}_app_conf_$", "} app_conf_$", []string{`config "kfzt-9431a1_ccci_test app_conf_v4" holds characters`}},
		{"all of them", "  db:", "  " + long + ":\n    image: x\n  " + long + "y:", []string{`service "kfzt-9431a1_ccci_test_` + long + `" has 65`, `y" has 66`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			co := exampleCheckout(t, func(r *testRepo) { r.write("compose.yml", strings.Replace(sampleCompose, tt.old, tt.new, 1)) })
			err := CheckNames(stackOf(t, co))
			if tt.want == nil && err != nil {
				t.Error(err)
			}
			for _, want := range tt.want {
				checkError(t, err, want, "shorter")
			}
		})
	}
}
