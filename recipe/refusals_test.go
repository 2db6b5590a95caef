package recipe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/labels"
)

func refusalKeys(refs []Refusal) (keys []string) {
	for _, r := range refs {
		keys = append(keys, r.Key)
	}
	return keys
}

func TestRefusals(t *testing.T) {
	const app = "services:\n  app:\n    image: notes:1\n"
	tests := []struct {
		name, compose string
		want          []string
	}{
		{"the ordinary recipe", sampleCompose, nil},
		{"tmpfs and anonymous volume", app + "    volumes: [/x, {type: tmpfs, target: /y}]\n", nil},
		{"bind, short", app + "    volumes: [\"/etc:/x\"]\n", []string{"bind:app:/etc"}},
		{"bind, long", app + "    volumes: [{type: bind, source: /srv/a b, target: /x}]\n", []string{"bind:app:/srv/a%20b"}},
		{"bind of the clone", app + "    volumes: [\"./data:/x\"]\n", []string{"bind:app:./data"}},
		{"bind from a variable", app + "    volumes: [\"${NEW:-/etc}:/x\"]\n", []string{"bind:app:/etc"}},
		{"docker socket", app + "    volumes: [\"/var/run/docker.sock:/var/run/docker.sock:ro\"]\n", []string{"docker-socket:app:/var/run/docker.sock"}},
		{"privileged", app + "    privileged: true\n", []string{"privileged:app"}},
		{"not privileged", app + "    privileged: false\n", nil},
		{"privileged by a variable", app + "    privileged: ${NEW:-true}\n", []string{"privileged:app"}},
		{"privileged by an anchor", "x-a: &a {privileged: true}\nservices:\n  app:\n    <<: *a\n    image: notes:1\n", []string{"privileged:app"}},
		{"cap_add", app + "    cap_add: [NET_ADMIN, SYS_ADMIN]\n", []string{"cap-add:app:NET_ADMIN", "cap-add:app:SYS_ADMIN"}},
		{"devices", app + "    devices: [\"/dev/fuse:/dev/fuse\"]\n", []string{"device:app:/dev/fuse%3A/dev/fuse"}},
		{"network_mode", app + "    network_mode: host\n", []string{"network-mode:app:host"}},
		{"pid", app + "    pid: host\n", []string{"pid:app:host"}},
		{"ipc", app + "    ipc: host\n", []string{"ipc:app:host"}},
		{"userns_mode", app + "    userns_mode: host\n", []string{"userns:app:host"}},
		{"cgroup_parent", app + "    cgroup_parent: /\n", []string{"cgroup:app:/"}},
		{"security_opt", app + "    security_opt: [\"seccomp:unconfined\"]\n", []string{"security-opt:app:seccomp%3Aunconfined"}},
		{"credential_spec", app + "    credential_spec: {file: x.json}\n", []string{"credential-spec:app:x.json"}},
		{"logs to elsewhere", app + "    logging: {driver: syslog, options: {syslog-address: \"tcp://10.0.0.1\"}}\n", []string{"log-driver:app:syslog"}},
		{"logs as usual", app + "    logging: {driver: json-file}\n", nil},
		{"named pipe", app + "    volumes: [{type: npipe, source: x, target: /x}]\n", []string{"mount:app:npipe"}},
		{"host network", app + "networks: {h: {external: true, name: host}}\n", []string{"external-network:h:host"}},
		{"host network, old style", app + "networks: {h: {external: {name: host}}}\n", []string{"external-network:h:host"}},
		{"network of another stack", app + "networks: {h: {external: true, name: traefik_internal}}\n", []string{"external-network:h:traefik_internal"}},
		{"something else called proxy", app + "networks: {proxy: {external: true, name: host}}\n", []string{"external-network:proxy:host"}},
		{"proxy by another name", app + "networks: {web: {external: true, name: proxy}}\n", nil},
		{"network with a name", app + "networks: {n: {name: shared}}\n", []string{"named-network:n:shared"}},
		{"network driver", app + "networks: {n: {driver: macvlan, driver_opts: {parent: eth0}}}\n", []string{"network-driver-opts:n", "network-driver:n:macvlan"}},
		{"overlay", app + "networks: {n: {driver: overlay}}\n", nil},
		{"bind in disguise", app + "volumes: {data: {driver_opts: {type: none, o: bind, device: /etc}}}\n", []string{"volume-driver-opts:data"}},
		{"volume driver", app + "volumes: {data: {driver: sshfs}}\n", []string{"volume-driver:data:sshfs"}},
		{"local driver", app + "volumes: {data: {driver: local}}\n", nil},
		{"external volume", app + "volumes: {data: {external: true}}\n", []string{"external-volume:data:data"}},
		{"external volume in the stack's name", app + "volumes: {data: {external: true, name: \"${STACK_NAME}_data\"}}\n", []string{"external-volume:data:STACK_data"}},
		{"volume of another stack", app + "volumes: {data: {name: other_data}}\n", []string{"named-volume:data:other_data"}},
		{"volume with the stack's name", app + "volumes: {data: {name: \"${STACK_NAME}_mine\"}}\n", nil},
		{"stack's name as a mere beginning", app + "volumes: {data: {name: \"${STACK_NAME}x_data\"}}\n", []string{"named-volume:data:STACKx_data"}},
		{"external config", app + "configs: {c: {external: true, name: \"${STACK_NAME}_c\"}}\n", []string{"external-config:c:STACK_c"}},
		{"secret of another stack", app + "secrets: {s: {external: true, name: other_password_v1}}\n", []string{"external-secret:s:other_password_v1"}},
		{"secret with a name", app + "secrets: {s: {file: notes.conf, name: other}}\n", []string{"named-secret:s:other"}},
		{"secret driver", app + "secrets: {s: {driver: vault}}\n", []string{"secret-driver:s:vault"}},
		{"config of the host", app + "configs: {c: {file: /etc/passwd}}\n", []string{"config-file:c"}},
		{"config from above", app + "configs: {c: {file: ../x}}\n", []string{"config-file:c"}},
		{"secret of the host", app + "secrets: {c: {file: ./a/../../x}}\n", []string{"secret-file:c"}},
		{"config in a folder", app + "configs: {c: {file: ./conf/../notes.conf}}\n", nil},
		{"config that is a folder", app + "configs: {c: {file: .git}}\n", []string{"config-file:c"}},
		{"config that is not there", app + "configs: {c: {file: nowhere}}\n", nil},
		{"escape codes", app + "volumes: {data: {name: \"a\\e[2Jb\"}}\n", []string{"named-volume:data:a%1B%5B2Jb"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compose := tt.compose
			if !strings.HasPrefix(compose, "version") {
				compose = "version: \"3.8\"\n" + compose
			}
			co := exampleCheckout(t, func(r *testRepo) { r.write("compose.yml", compose) })
			refs := Refusals(stackOf(t, co), co.Dir)
			if d := cmp.Diff(tt.want, refusalKeys(refs)); d != "" {
				t.Error(d)
			}
			for _, r := range refs {
				if r.Where == "" || r.What == "" || hasControl(r.Where+r.What) {
					t.Errorf("refusal %+v", r)
				}
			}
		})
	}
}

// A link inside the clone cannot be committed if it leads out, but the
// recipe's own folder may hold one.
func TestRefusalsThroughALink(t *testing.T) {
	co := exampleCheckout(t, nil)
	conf := filepath.Join(co.Dir, "notes.conf")
	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", conf); err != nil {
		t.Fatal(err)
	}
	refs := Refusals(stackOf(t, co), co.Dir)
	if d := cmp.Diff([]string{"config-file:app_conf"}, refusalKeys(refs)); d != "" {
		t.Error(d)
	}
}

func TestRefusalsOfOverlays(t *testing.T) {
	co := exampleCheckout(t, func(r *testRepo) {
		r.write("compose.bad.yml", "version: \"3.8\"\nservices:\n  app:\n    privileged: true\n")
		r.write("compose.quiet.yml", "version: \"3.8\"\nservices:\n  app:\n    privileged: false\n")
	})
	app := co.AppEnv(testDomain, map[string]string{"COMPOSE_FILE": "compose.yml:compose.bad.yml:compose.quiet.yml"})
	stack, _, err := co.Stack(app)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"privileged:app"}, refusalKeys(Refusals(stack, co.Dir))); d != "" {
		t.Error(d)
	}
}

// env_file is read while the stack is resolved, so that one outside the
// recipe can't be refused later: it must never be read.
func TestEnvFileOutsideIsNeverRead(t *testing.T) {
	for _, file := range []string{"/etc/passwd", "../x"} {
		co := exampleCheckout(t, func(r *testRepo) {
			r.write("compose.yml", "version: \"3.8\"\nservices:\n  app:\n    image: notes:1\n    env_file: "+file+"\n")
		})
		_, _, err := co.Stack(co.AppEnv(testDomain, nil))
		checkError(t, err, "outside the recipe", "")
	}
}

func TestRefused(t *testing.T) {
	refs := []Refusal{
		{Key: "bind:app:/etc", Where: "service app", What: `mounts "/etc" of the host`},
		{Key: "privileged:app", Where: "service app", What: "runs privileged"},
	}
	if err := Refused(refs, []string{"privileged:app", "bind:app:/etc", "unneeded"}); err != nil {
		t.Error(err)
	}
	if err := Refused(nil, nil); err != nil {
		t.Error(err)
	}
	err := Refused(refs, []string{"privileged:app", "bind:app", "bind"})
	checkError(t, err, `refused before anything runs: service app mounts "/etc" of the host`, "--allow bind:app:/etc")
	if strings.Contains(err.Error(), "privileged") {
		t.Errorf("what is allowed is still named: %v", err)
	}
}

func TestRefusalsWithoutCompose(t *testing.T) {
	if err := Refused(Refusals(&labels.Stack{}, "/"), nil); err == nil {
		t.Error("a stack that nobody looked at is not refused")
	}
}
