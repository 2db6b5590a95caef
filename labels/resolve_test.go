package labels

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// one returns a compose file with one service whose body is given, indented.
func one(body string) string {
	return "services:\n  app:\n    image: x\n" + indent(body, 4) + "volumes: {data: {}, other: {}}\n"
}

func indent(s string, n int) string {
	var b strings.Builder
	for _, l := range strings.Split(strings.Trim(s, "\n"), "\n") {
		b.WriteString(strings.Repeat(" ", n) + l + "\n")
	}
	return b.String()
}

func TestResolveLabels(t *testing.T) {
	tests := []struct {
		name, compose string
		env           map[string]string
		want          string // value of label k on app
	}{
		{"list", one("deploy: {labels: ['k=v']}"), nil, "v"},
		{"map", one("deploy: {labels: {k: v}}"), nil, "v"},
		{"map with a number", one("deploy: {labels: {k: 3}}"), nil, "3"},
		{"anchor", "x-l: &l {k: v}\n" + one("deploy: {labels: *l}"), nil, "v"},
		{"merge key", "x-l: &l {k: v}\n" + one("deploy: {labels: {<<: *l, j: w}}"), nil, "v"},
		{"default", one("deploy: {labels: ['k=${X:-v}']}"), nil, "v"},
		{"default not needed", one("deploy: {labels: ['k=${X:-v}']}"), map[string]string{"X": "w"}, "w"},
		{"default of empty", one("deploy: {labels: ['k=${X:-v}']}"), map[string]string{"X": ""}, "v"},
		{"hard default of empty", one("deploy: {labels: ['k=a${X-v}']}"), map[string]string{"X": ""}, "a"},
		{"dollar", one("deploy: {labels: ['k=$$X']}"), nil, "$X"},
		{"a list's later line wins", one("deploy: {labels: ['k=v', 'k=w']}"), nil, "w"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _, err := Resolve(Source{Files: recipeFS("compose.yml", tt.compose), Env: tt.env})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Services[0].Labels["k"]; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestResolveMergesFiles(t *testing.T) {
	files := recipeFS(
		"compose.yml", "services:\n  app:\n    image: x\n    volumes: ['data:/data/', '/anonymous', './bind:/bind', 'ext:/ext:ro']\n    configs: [a]\n    secrets: [s]\n    labels: {c: d}\n    deploy: {labels: ['a=1', 'b=2']}\nvolumes: {data: {}, ext: {external: true, name: foreign}}\nconfigs: {a: {file: ./a.sh}}\nsecrets: {s: {external: true}}\n",
		"compose.more.yml", "services:\n  app:\n    configs: [{source: b, target: /b.sh}]\n    deploy: {labels: {b: 3}}\n  db: {image: y, volumes: ['data:/shared:ro']}\nconfigs: {b: {file: /etc/hosts}}\n")
	s, notices, err := Resolve(Source{Dir: "/clone", Files: files, Env: map[string]string{"COMPOSE_FILE": "compose.yml:compose.more.yml", "STACK_NAME": "n"}})
	if err != nil || len(notices) > 0 {
		t.Fatal(err, notices)
	}
	want := &Stack{
		Name: "n", Volumes: []string{"data", "ext"},
		Services: []Service{
			{
				Name: "app", Image: "x", Labels: map[string]string{"a": "1", "b": "3"}, ContainerLabels: map[string]string{"c": "d"},
				Mounts:  []Mount{{Volume: "data", Target: "/data"}, {Volume: "ext", Target: "/ext", ReadOnly: true, External: true}},
				Targets: []string{"/a", "/b.sh", "/run/secrets/s"},
			},
			{Name: "db", Image: "y", Mounts: []Mount{{Volume: "data", Target: "/shared", ReadOnly: true}}},
		},
	}
	if d := cmp.Diff(want, &Stack{Name: s.Name, Volumes: s.Volumes, Services: s.Services}); d != "" {
		t.Error(d)
	}
	if got := s.Compose.Configs["a"].File; got != "/clone/a.sh" {
		t.Errorf("config file is %q", got)
	}
}

func TestResolveErrors(t *testing.T) {
	tests := []struct {
		name, compose string
		env           map[string]string
		want          string
	}{
		{"no such file", "", map[string]string{"COMPOSE_FILE": "compose.yml:no.yml"}, "no.yml: no such file in the recipe"},
		{"outside", "", map[string]string{"COMPOSE_FILE": "../compose.yml"}, `COMPOSE_FILE: "../compose.yml" is outside the recipe`},
		{"absolute", "", map[string]string{"COMPOSE_FILE": "/etc/passwd"}, `COMPOSE_FILE: "/etc/passwd" is outside the recipe`},
		{"empty name", "", map[string]string{"COMPOSE_FILE": ":compose.yml"}, `COMPOSE_FILE: empty file name in ":compose.yml"`},
		{"not YAML", "services:\n  app: [\n", nil, "compose.yml:2: did not find expected node content"},
		{"key twice", "services:\n  app: {image: x}\n  app: {image: y}\n", nil, "compose.yml:3: mapping key \"app\" already defined at line 2"},
		{"not a mapping", "- a\n", nil, "compose.yml: top-level object must be a mapping"},
		{"schema", one("ports: 3"), nil, "compose.yml:4: services.app.ports: must be a list"},
		{"unknown key", one("colour: red"), nil, "compose.yml:3: services.app: Additional property colour is not allowed"},
		{"service is nothing", "services:\n  app:\n", nil, "compose.yml:2: services.app: must be a mapping"},
		{"forbidden", one("extends: {service: x}"), nil, "compose.yml: \"extends\" is not for a swarm: Support for `extends` is not implemented yet."},
		{"cast", one("deploy:\n  replicas: '${N}'"), map[string]string{"N": "many"}, `compose.yml:5: error while interpolating services.app.deploy.replicas: failed to cast to expected type: strconv.Atoi: parsing "many": invalid syntax`},
		{"bad reference", one("command: 'a $(b)'"), nil, `compose.yml:4: services.app.command: "a $(b)" is no reference to a variable; write $$ for a dollar sign`},
		{"required", one("command: '${X:?set it}'"), nil, `compose.yml:4: services.app.command: variable "X" has no value: set it`},
		{"undefined volume", one("volumes: ['nope:/data']"), nil, `compose.yml: services.app.volumes: no volume "nope" at top level`},
		{"relative target", one("volumes: ['data:data']"), nil, `compose.yml: services.app.volumes: volume "data" is mounted at "data", which is not an absolute path`},
		{"folder with a control character", one("volumes: [{type: volume, source: data, target: /data, volume: {subpath: \"a\\nb\"}}]"), nil, `compose.yml: services.app.volumes: the folder "a\nb" of volume "data" has a control character in its name`},
		{"folder above a volume", one("volumes: [{type: volume, source: data, target: /data, volume: {subpath: a/../../etc}}]"), nil, `compose.yml: services.app.volumes: the folder "a/../../etc" is not in volume "data"`},
		{"unset in image", strings.Replace(one("hostname: h"), "image: x", "image: 'x:${TAG}'", 1), nil, `compose.yml:3: services.app.image: variable "TAG" has no value`},
		{"unset in backup label", one("deploy: {labels: ['backupbot.backup=${B}']}"), nil, `compose.yml:4: services.app.deploy.labels[0]: variable "B" has no value`},
		{"unset in a hook", one("deploy:\n  labels:\n    backupbot.backup.pre-hook: 'pg_dump $DB'"), nil, `compose.yml:6: services.app.deploy.labels.backupbot.backup.pre-hook: variable "DB" has no value`},
		{"empty backup label", one("deploy: {labels: ['backupbot.backup=${B}']}"), map[string]string{"B": ""}, `compose.yml:4: services.app.deploy.labels[0]: variable "B" is empty, and leaves nothing`},
		{"empty image", strings.Replace(one("hostname: h"), "image: x", "image: '${IMG:-}'", 1), nil, `compose.yml:3: services.app.image: variable "IMG" is empty, and leaves nothing`},
		{"unset in a mount", one("volumes: ['data:/${P}']"), nil, `compose.yml:4: services.app.volumes[0]: variable "P" has no value`},
		{"unset in a name", "services: {app: {image: x}}\nvolumes: {v: {name: 'a_${V}'}}", nil, `compose.yml:2: volumes.v.name: variable "V" has no value`},
		{"env_file outside", one("env_file: ../x.env"), nil, `compose.yml:4: services.app.env_file: "../x.env" is outside the recipe`},
		{"env_file absolute", one("env_file: [/etc/passwd]"), nil, `compose.yml:4: services.app.env_file: "/etc/passwd" is outside the recipe`},
		{"env_file is missing", one("env_file: x.env"), nil, `compose.yml:4: services.app.env_file: x.env: no such file in the recipe`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.compose == "" {
				tt.compose = one("hostname: h")
			}
			_, _, err := Resolve(Source{Files: recipeFS("compose.yml", tt.compose), Env: tt.env})
			var se *SourceError
			if !errors.As(err, &se) || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestResolveNotices(t *testing.T) {
	tests := []struct{ name, compose, want string }{
		{"unset elsewhere", one("hostname: '${H}'\nenvironment: ['A=${H}']"), `unset-variable @ compose.yml:5 services.app.environment[0]: variable "H" has no value here, and in 1 more places`},
		{"default is no fault", one("hostname: '${H:-h}'"), ""},
		{"unused anchors", "x-a: '${H}'\n" + one("hostname: h"), ""},
		{"docker eats the rest", one("hostname: '$STACK_NAME-db'"), `variable-misread @ compose.yml:4 services.app.hostname: docker reads $STACK_NAME-db as $STACK_NAME and takes "-db" for a default`},
		{"dash in a message", one("hostname: '${STACK_NAME:?must be non-empty}'"), `variable-misread @ compose.yml:4 services.app.hostname: docker reads ${STACK_NAME:?must be non-empty} as ${STACK_NAME:?must be non} with the default "empty"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, notices, err := Resolve(Source{Files: recipeFS("compose.yml", tt.compose), Env: map[string]string{"STACK_NAME": "s"}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range notices {
				got = append(got, n.ID+" @ "+n.Where+": "+n.Text)
			}
			if strings.Join(got, "\n") != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestResolveEnvFile(t *testing.T) {
	files := recipeFS("compose.yml", one("env_file: [a.env, '${E}.env']\nenvironment: ['B=own', 'C']"),
		"a.env", "A=x$Y\nB=file\n", "b.env", "D=2\nE\n")
	s, _, err := Resolve(Source{Files: files, Env: map[string]string{"E": "b", "C": "c"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for k, v := range s.Compose.Services[0].Environment {
		got[k] = *v
	}
	if d := cmp.Diff(map[string]string{"A": "x$Y", "B": "own", "C": "c", "D": "2", "E": "b"}, got); d != "" {
		t.Error(d)
	}
}

// What is on disk beside the recipe's files must not matter.
func TestResolveReadsNoDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.env"), []byte("A=disk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Resolve(Source{Dir: dir, Files: recipeFS("compose.yml", one("env_file: x.env"))})
	if err == nil {
		t.Error("x.env was read from disk")
	}
}
