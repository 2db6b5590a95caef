package labels

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/schema"
	composetypes "github.com/docker/cli/cli/compose/types"
	"github.com/google/go-cmp/cmp"
)

// An answer is what a loader makes of files.
type answer struct {
	cfg  *composetypes.Config
	text string // of the error or panic
}

func answerOf(load func(composetypes.ConfigDetails) (*composetypes.Config, error), env map[string]string, files ...map[string]any) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{nil, fmt.Sprintf("panic: %v", p)}
		}
	}()
	details := composetypes.ConfigDetails{WorkingDir: "/recipe", Environment: env}
	for i, f := range files {
		details.ConfigFiles = append(details.ConfigFiles, composetypes.ConfigFile{Filename: fmt.Sprint(i), Config: f})
	}
	cfg, err := load(details)
	if err != nil {
		return answer{nil, err.Error()}
	}
	slices.SortFunc(cfg.Services, func(a, b composetypes.ServiceConfig) int { return strings.Compare(a.Name, b.Name) })
	return answer{cfg, ""}
}

func theirs(d composetypes.ConfigDetails) (*composetypes.Config, error) { return loader.Load(d) }

func dictOf(t *testing.T, text string) map[string]any {
	t.Helper()
	dict, err := parseYAML([]byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return dict
}

// sameAnswer holds what we load against what docker/cli's loader does.
func sameAnswer(t *testing.T, env map[string]string, files ...map[string]any) answer {
	t.Helper()
	want, got := answerOf(theirs, env, files...), answerOf(loadDetails, env, files...)
	if want.text != got.text {
		t.Errorf("error %q, the loader's %q", got.text, want.text)
	}
	if !reflect.DeepEqual(want.cfg, got.cfg) {
		t.Errorf("configurations differ:\n%s", cmp.Diff(want.cfg, got.cfg))
	}
	return want
}

// Every compose file of the examples and the tests is loaded as docker does, alone and on top of its compose.yml.
func TestLoadsExamplesAsDocker(t *testing.T) {
	seen := 0
	for _, root := range []string{"testdata", "../examples"} {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if match, _ := filepath.Match("compose*.yml", filepath.Base(name)); err != nil || !match {
				return err
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			seen++
			dict := withoutEnvFiles(dictOf(t, string(text)))
			env := map[string]string{"STACK_NAME": "s", "DOMAIN": "example.org"}
			sameAnswer(t, env, dict)
			if main, err := os.ReadFile(filepath.Join(filepath.Dir(name), "compose.yml")); err == nil {
				sameAnswer(t, env, withoutEnvFiles(dictOf(t, string(main))), dict)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 10 {
		t.Errorf("only %d compose files found", seen)
	}
}

func withoutEnvFiles(dict map[string]any) map[string]any {
	services, _ := dict["services"].(map[string]any)
	for _, s := range services {
		if service, ok := s.(map[string]any); ok {
			delete(service, "env_file")
		}
	}
	return dict
}

// rich has much of what a compose file can say.
const rich = `
version: "3.8"
services:
  app:
    image: app:${TAG}
    command: [a, b]
    entrypoint: run $$x
    environment: {A: 1, B: null, C: "${C}"}
    labels: [a=b]
    ports: ["80:8080", {target: "${N}", published: 90, mode: host}]
    volumes: ["data:/data:ro", {type: volume, source: data, target: /x, volume: {nocopy: "${YES}"}}]
    networks: {net: {aliases: [x]}}
    configs: [{source: cfg, target: /c, mode: 0440}]
    secrets: [sec]
    healthcheck: {test: "true", interval: 5s, retries: "${N}"}
    ulimits: {nofile: {soft: 10, hard: "${N}"}}
    extra_hosts: ["a:1.2.3.4"]
    read_only: "${YES}"
    stop_grace_period: 1m
    x-own: 1
    deploy:
      labels: {backupbot.backup: "true"}
      replicas: "${N}"
      update_config: {parallelism: 1, order: start-first, max_failure_ratio: 0.5}
      resources: {limits: {cpus: "0.5", memory: 10M}}
      restart_policy: {condition: on-failure, delay: 5s}
      placement: {constraints: [node.role == manager]}
volumes: {data: {driver: local, labels: {a: b}}, other: null}
networks: {net: {external: "${YES}", name: n}}
configs: {cfg: {file: ./c, name: "c_${N}"}}
secrets: {sec: {external: true, name: s}}
x-a: {b: c}
`

var richEnv = map[string]string{"TAG": "1", "N": "3", "YES": "yes", "C": "${C}"}

// What docker refuses is refused in the same words, whatever is wrong with
// it: each value of a rich file is replaced by what does not belong there.
func TestRefusesAsDocker(t *testing.T) {
	dict := dictOf(t, rich)
	if a := sameAnswer(t, richEnv, dict); a.cfg == nil {
		t.Fatalf("the file itself is refused: %s", a.text)
	}
	refused, taken := 0, 0
	wrong := []any{nil, "", 12.5, []any{"x", "x"}, map[string]any{"odd": 1}}
	each(dict, func(path string, put func(any)) {
		for _, w := range wrong {
			put(w)
			if a := sameAnswer(t, richEnv, dict); a.text != "" {
				refused++
			} else {
				taken++
			}
			if t.Failed() {
				t.Fatalf("with %#v at %s", w, path)
			}
		}
	})
	if refused < 100 || taken < 10 {
		t.Errorf("%d refused, %d taken: too few of one", refused, taken)
	}
}

// each calls f with every place below v and what puts another value there;
// f's last value is taken back.
func each(v any, f func(path string, put func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			was := v[k]
			each(was, func(path string, put func(any)) { f(k+"."+path, put) })
			f(k, func(w any) { v[k] = w })
			v[k] = was
		}
	case []any:
		for i, was := range v {
			each(was, func(path string, put func(any)) { f(fmt.Sprint(i)+"."+path, put) })
			f(fmt.Sprint(i), func(w any) { v[i] = w })
			v[i] = was
		}
	}
}

func TestLoadsAsDocker(t *testing.T) {
	const ok = "version: '3.8'\nservices: {app: {image: x}}\n"
	tests := []struct {
		name  string
		files []string
		want  string // in the error; "" if it loads
	}{
		{"plain", []string{ok}, ""},
		{"no version", []string{"services: {app: {image: x}}"}, ""},
		{"version 3", []string{"version: '3'\nservices: {app: {image: x}}"}, ""},
		{"version 3.0", []string{"version: '3.0'\nservices: {app: {image: x}}"}, ""},
		{"a number", []string{"version: 3.8\nservices: {app: {image: x}}"}, "version must be a string"},
		{"unknown version", []string{"version: '2.4'\nservices: {app: {image: x}}"}, "unsupported Compose file version: 2.4"},
		{"version of a path", []string{"version: '../data/config_schema_v3.8'\nservices: {}"}, "unsupported Compose file version"},
		{"version by variable", []string{"version: '${V}'\nservices: {app: {image: x}}"}, "unsupported Compose file version: ${V}"},
		{"newer than its version", []string{"version: '3.0'\nservices: {app: {image: x, init: true}}"}, "Additional property init is not allowed"},
		{"versions differ", []string{ok, "version: '3.7'\nservices: {app: {image: y}}"}, "version mismatched"},
		{"forbidden before invalid", []string{"version: '3.8'\nservices: {app: {image: 1, volume_driver: x}}"}, "forbidden properties"},
		{"the first file's error first", []string{"version: '3.8'\nservices: {app: {image: x, environment: ['=']}}\nnetworks: {n: {external: {name: a}, name: b}}", "services: {app: 1}"}, "network.external.name and network.name conflict"},
		{"second file", []string{ok, "version: '3.8'\nservices: {app: {image: [1]}}"}, "services.app.image must be a string"},
		{"bad reference", []string{"version: '3.8'\nservices: {app: {image: 'x:${'}}"}, "invalid interpolation format"},
		{"no number", []string{"version: '3.8'\nservices: {app: {image: x, deploy: {replicas: '${V}x'}}}"}, "failed to cast"},
		{"bad port", []string{"version: '3.8'\nservices: {app: {image: x, ports: ['a:b']}}"}, "services.app.ports.0"},
		{"bad duration", []string{"version: '3.8'\nservices: {app: {image: x, stop_grace_period: 5}}"}, "stop_grace_period must be a string"},
		{"empty", []string{"{}"}, ""},
		{"merged", []string{ok, "version: '3.8'\nservices: {db: {image: '$$x$V'}}"}, ""},
		{"not a service", []string{"version: '3.8'\nservices: [a]"}, "services must be a mapping"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var dicts []map[string]any
			for _, f := range tt.files {
				dicts = append(dicts, dictOf(t, f))
			}
			got := sameAnswer(t, map[string]string{"V": "3.8"}, dicts...)
			if (tt.want == "") != (got.text == "") || !strings.Contains(got.text, tt.want) {
				t.Errorf("got %q, want %q", got.text, tt.want)
			}
		})
	}
}

// What is valid is not validated by the loader once more: that is the whole point.
func TestValidatesOnce(t *testing.T) {
	const small = "services: {app: {image: 'x:${N}'}}"
	for _, text := range []string{rich, small, "version: '3.0'\n" + small, "version: '3.13'\n" + small} {
		dict := dictOf(t, text)
		details := composetypes.ConfigDetails{ConfigFiles: []composetypes.ConfigFile{{Config: dict}}, Environment: richEnv}
		if _, ok := interpolated(details); !ok {
			t.Errorf("it is left to the loader:\n%s", text)
		}
		version := schema.Version(dict)
		if s := compiled.version(version); s == nil || s != compiled.version(version) {
			t.Errorf("the schema of version %s is compiled anew", version)
		}
	}
}

// Many stacks may be resolved at a time.
func TestLoadsAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			dict := dictOf(t, rich)
			if i%2 == 1 {
				dict["services"].(map[string]any)["app"].(map[string]any)["image"] = 1
			}
			if a := answerOf(loadDetails, richEnv, dict); (a.cfg == nil) != (i%2 == 1) {
				t.Errorf("%d: %q", i, a.text)
			}
		})
	}
	all.Wait()
}

// A file of a megabyte may stand for gigabytes. Small ones may repeat themselves.
func TestAliasesAreBounded(t *testing.T) {
	long := "version: \"3.8\"\nx-s: &s \"" + strings.Repeat("y", 900_000) + "\"\nservices:\n  app:\n    image: x\n    environment: [" + strings.Repeat("*s,", 10) + "]\n"
	deep := "version: \"3.8\"\nx-0: &x0 [x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		deep += fmt.Sprintf("x-%d: &x%[1]d [%s]\n", i+1, strings.Repeat(fmt.Sprintf("*x%d,", i), 9))
	}
	tests := []struct{ name, text, want string }{
		{"a long text, ten times", long, "aliases make the file larger"},
		{"billions of values", deep, "aliases make the file larger"},
		{"a value that holds itself", "services: &s\n  app: *s\n", "aliases make the file larger"},
		{"an extension that services share", "version: \"3.8\"\nx-e: &e {A: b}\nservices:\n  app: {image: x, environment: *e}\n  db: {image: x, environment: *e}\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Resolve(Source{Files: fstest.MapFS{"compose.yml": {Data: []byte(tt.text)}}})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %.300v, want %q", err, tt.want)
			}
		})
	}
}
