package main

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
	dockerswarm "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"
)

// keepsakes are things of the host's that no recipe may read or change: a file,
// and a volume, a network, a secret and a config that share one name. They
// hold a value that is nowhere else.
type keepsakes struct{ value, file, name string }

func newKeepsakes(t *testing.T, cli *client.Client) *keepsakes {
	t.Helper()
	c := &keepsakes{
		value: "canary-" + rand.Text(),
		file:  filepath.Join(t.TempDir(), "canary"),
		name:  "canary-" + strings.ToLower(rand.Text()[:10]),
	}
	ctx := context.Background() // also for what is removed at the end
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(c.file, []byte("CANARY="+c.value+"\n"), 0o644))
	v, err := cli.VolumeCreate(ctx, volume.CreateOptions{Name: c.name})
	must(err)
	t.Cleanup(func() { must(cli.VolumeRemove(ctx, c.name, false)) })
	must(os.WriteFile(filepath.Join(v.Mountpoint, "canary"), []byte(c.value), 0o644))
	n, err := cli.NetworkCreate(ctx, c.name, network.CreateOptions{Driver: "overlay"})
	must(err)
	t.Cleanup(func() { must(cli.NetworkRemove(ctx, n.ID)) })
	named := dockerswarm.Annotations{Name: c.name}
	secret, err := cli.SecretCreate(ctx, dockerswarm.SecretSpec{Annotations: named, Data: []byte(c.value)})
	must(err)
	t.Cleanup(func() { must(cli.SecretRemove(ctx, secret.ID)) })
	config, err := cli.ConfigCreate(ctx, dockerswarm.ConfigSpec{Annotations: named, Data: []byte(c.value)})
	must(err)
	t.Cleanup(func() { must(cli.ConfigRemove(ctx, config.ID)) })
	return c
}

// state is all that can be seen of the keepsakes.
func (c *keepsakes) state(t *testing.T, cli *client.Client) map[string]any {
	t.Helper()
	file, err := os.ReadFile(c.file)
	v, err1 := cli.VolumeInspect(t.Context(), c.name)
	held, err2 := os.ReadFile(filepath.Join(v.Mountpoint, "canary"))
	n, err3 := cli.NetworkInspect(t.Context(), c.name, network.InspectOptions{})
	s, _, err4 := cli.SecretInspectWithRaw(t.Context(), c.name)
	k, _, err5 := cli.ConfigInspectWithRaw(t.Context(), c.name)
	for _, err := range []error{err, err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]any{
		"file": string(file), "volume": string(held), "created": v.CreatedAt, "labels": v.Labels,
		"network": n.ID, "on it": len(n.Containers) + len(n.Services), "secret": s.ID, "version": s.Version, "config": k.ID, "data": string(k.Spec.Data), "its version": k.Version,
	}
}

// nowhere searches all that a command wrote for the keepsakes' value.
func (c *keepsakes) nowhere(t *testing.T, b *bench, outputs ...string) {
	t.Helper()
	for _, out := range outputs {
		if strings.Contains(out, c.value) {
			t.Errorf("the canary's value is in the output:\n%s", out)
		}
	}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), c.value) {
			t.Errorf("the canary's value is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What reaches out of a recipe's own stack is refused before anything runs,
// and the hint's words admit it. In compose, HOSTFILE, UP and NAME are the
// keepsakes: their file, the way to it from the recipe, and their name.
func TestRefusals(t *testing.T) {
	t.Parallel()
	cli := engine(t)
	c := newKeepsakes(t, cli)
	before := c.state(t, cli)
	app := func(more string) string {
		return "version: \"3.13\"\nservices:\n  app:\n    image: ccci/notes:1.1.0\n" + more
	}
	tests := []struct {
		name, compose string
		says          string // in the error
		allow         string // the key in the hint; empty: nothing allows it
		beside        made   // more files of the recipe
	}{
		{"bind", app("    volumes: [\"HOSTFILE:/x\"]\n"), "mounts \"HOSTFILE\" of the host", "bind:app:HOSTFILE", nil},
		{"bind, long form", app("    volumes: [{type: bind, source: HOSTFILE, target: /x, read_only: true}]\n"), "of the host", "bind:app:HOSTFILE", nil},
		{"bind from above", app("    volumes: [\"UP:/x\"]\n"), "of the host", "bind:app:", nil},
		{"docker socket", app("    volumes: [\"/var/run/docker.sock:/s\"]\n"), "Docker socket", "docker-socket:app:/var/run/docker.sock", nil},
		{"bind in disguise", app("    volumes: [\"d:/x\"]\nvolumes: {d: {driver_opts: {type: none, o: bind, device: HOSTFILE}}}\n"), "driver_opts", "volume-driver-opts:d", nil},
		{"named pipe", app("    volumes: [{type: npipe, source: HOSTFILE, target: /x}]\n"), "type \"npipe\"", "mount:app:npipe", nil},
		{"cluster volume", app("    volumes: [{type: cluster, source: d, target: /x}]\nvolumes: {d: {}}\n"), "type \"cluster\"", "mount:app:cluster", nil},
		{"volume driver", app("    volumes: [\"d:/x\"]\nvolumes: {d: {driver: other}}\n"), "driver \"other\"", "volume-driver:d:other", nil},
		{"external volume", app("    volumes: [\"d:/x\"]\nvolumes: {d: {external: true, name: NAME}}\n"), "external: \"NAME\"", "external-volume:d:NAME", nil},
		{"volume with a name", app("    volumes: [\"d:/x\"]\nvolumes: {d: {name: NAME}}\n"), "named \"NAME\"", "named-volume:d:NAME", nil},
		{"privileged", app("    privileged: true\n"), "runs privileged", "privileged:app", nil},
		{"capability", app("    cap_add: [SYS_ADMIN]\n"), "SYS_ADMIN", "cap-add:app:SYS_ADMIN", nil},
		{"device", app("    devices: [\"/dev/kmsg:/dev/kmsg\"]\n"), "/dev/kmsg", "device:app:/dev/kmsg%3A/dev/kmsg", nil},
		{"host network by mode", app("    network_mode: host\n"), "network-mode \"host\"", "network-mode:app:host", nil},
		{"another container's network", app("    network_mode: \"container:NAME\"\n"), "container:NAME", "network-mode:app:container%3ANAME", nil},
		{"host network by name", app("    networks: [h]\nnetworks: {h: {external: true, name: host}}\n"), "external: \"host\"", "external-network:h:host", nil},
		{"pid", app("    pid: host\n"), "pid \"host\"", "pid:app:host", nil},
		{"ipc", app("    ipc: host\n"), "ipc \"host\"", "ipc:app:host", nil},
		{"user namespace", app("    userns_mode: host\n"), "userns \"host\"", "userns:app:host", nil},
		{"confinement", app("    security_opt: [\"apparmor:unconfined\"]\n"), "apparmor:unconfined", "security-opt:app:apparmor%3Aunconfined", nil},
		{"cgroup", app("    cgroup_parent: /x\n"), "cgroup \"/x\"", "cgroup:app:/x", nil},
		{"cgroup namespace", app("    cgroupns_mode: host\n"), "cgroupns \"host\"", "cgroupns:app:host", nil},
		{"credentials", app("    credential_spec: {file: canary.json}\n"), "credential-spec", "credential-spec:app:canary.json", nil},
		{"log driver", app("    logging: {driver: syslog}\n"), "syslog", "log-driver:app:syslog", nil},
		{"another's network", app("    networks: [n]\nnetworks: {n: {external: true, name: NAME}}\n"), "external: \"NAME\"", "external-network:n:NAME", nil},
		{"network with a name", app("    networks: [n]\nnetworks: {n: {name: NAME}}\n"), "named \"NAME\"", "named-network:n:NAME", nil},
		{"network driver", app("    networks: [n]\nnetworks: {n: {driver: macvlan}}\n"), "macvlan", "network-driver:n:macvlan", nil},
		{"another's secret", app("    secrets: [s]\nsecrets: {s: {external: true, name: NAME}}\n"), "external: \"NAME\"", "external-secret:s:NAME", nil},
		{"secret of the host", app("    secrets: [s]\nsecrets: {s: {file: HOSTFILE}}\n"), "read from \"HOSTFILE\"", "secret-file:s", nil},
		{"secret driver", app("    secrets: [s]\nsecrets: {s: {driver: vault}}\n"), "vault", "secret-driver:s:vault", nil},
		{"another's config", app("    configs: [k]\nconfigs: {k: {external: true, name: NAME}}\n"), "external: \"NAME\"", "external-config:k:NAME", nil},
		{"config of the host", app("    configs: [k]\nconfigs: {k: {file: HOSTFILE}}\n"), "read from \"HOSTFILE\"", "config-file:k", nil},
		{"config from above", app("    configs: [k]\nconfigs: {k: {file: UP}}\n"), "leads out of the recipe", "config-file:k", nil},
		{"by way of an anchor", "x-a: &a {privileged: true}\n" + strings.Replace(app(""), "app:\n", "app:\n    <<: *a\n", 1), "runs privileged", "privileged:app", nil},

		{"env_file", app("    env_file: HOSTFILE\n"), "outside the recipe", "", nil},
		{"env_file from above", app("    env_file: [UP]\n"), "outside the recipe", "", nil},
		{"extends", app("    extends: {file: HOSTFILE, service: app}\n"), "extends", "", nil},
		{"include", "include: [HOSTFILE]\n" + app(""), "include", "", nil},
		{"secret from the environment", app("    secrets: [s]\nsecrets: {s: {environment: HOME}}\n"), "environment", "", nil},
		{"compose file outside", app(""), "outside the recipe", "", made{".env.sample": "COMPOSE_FILE=compose.yml:UP\n"}},
		{"link to the config", app("    configs: [k]\nconfigs: {k: {file: link}}\n"), "leads out of the recipe", "", made{"link": "LINK HOSTFILE"}},
		{"link for env_file", app("    env_file: link\n"), "leads out of the recipe", "", made{"link": "LINK HOSTFILE"}},
		{"link for .env.sample", app(""), "leads out of the recipe", "", made{".env.sample": "LINK HOSTFILE"}},

		// A variable is no way around any of it.
		{"by a suite's env", app("    volumes: [\"${WHERE}:/x\"]\nvolumes: {d: {}}\n"), "of the host", "bind:app:HOSTFILE",
			made{".env.sample": "WHERE=d\n", "ccci/suite.toml": "recipe = \"odd\"\n[deploy]\nenv = { WHERE = \"HOSTFILE\" }\n"}},
		{"by the base's env", app("    volumes: [\"${WHERE}:/x\"]\nvolumes: {d: {}}\n"), "of the host", "bind:app:HOSTFILE", made{".env.sample": "WHERE=d\n", "BASE": "WHERE=HOSTFILE\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			where := strings.NewReplacer("HOSTFILE", c.file, "UP", relative(t, b, c.file), "NAME", c.name)
			files := made{"compose.yml": where.Replace(tt.compose), ".env.sample": "A=b\n"}
			for path, text := range tt.beside {
				files[path] = where.Replace(text)
			}
			b.makeRecipe("odd", "recipe = \"odd\"\n", made{"compose.yml": app(""), ".env.sample": files["BASE"]}, files)
			args := []string{"test", "odd", "--run-id", "r", "--runs-dir", filepath.Join(b.dir, "runs"), "--rungs", "lint"}
			code, stdout, stderr := b.run(args...)
			if says := where.Replace(tt.says); code != exitUnknown || stdout != "" || !strings.Contains(stderr, says) {
				t.Errorf("exit %d, want %d and %q; stdout %q, stderr:\n%s", code, exitUnknown, says, stdout, stderr)
			}
			if runs, _ := filepath.Glob(filepath.Join(b.dir, "runs", "*")); len(runs) > 0 {
				t.Errorf("left: %v", runs)
			}
			b.nothingLeft("r")
			c.nowhere(t, b, stdout, stderr)
			hint := regexp.MustCompile(`--allow (\S+)`).FindStringSubmatch(stderr)
			switch {
			case tt.allow == "" && hint != nil:
				t.Errorf("the hint allows %s", hint[1])
			case tt.allow != "" && (hint == nil || !strings.HasPrefix(hint[1], where.Replace(tt.allow))):
				t.Errorf("the hint does not allow %s:\n%s", where.Replace(tt.allow), stderr)
			case tt.allow != "":
				// Admitted, the run goes on to look for an engine.
				b.env = append(b.env, "DOCKER_HOST=unix:///nowhere/docker.sock")
				if _, _, stderr := b.run(append(args, "--allow", hint[1])...); !strings.Contains(stderr, "/nowhere/docker.sock") {
					t.Errorf("--allow %s does not admit it:\n%s", hint[1], stderr)
				}
			}
		})
	}
	if diff := cmp.Diff(before, c.state(t, cli)); diff != "" {
		t.Errorf("keepsakes have changed:\n%s", diff)
	}
}

// relative is the way to a file from a recipe's clone in the run folder.
func relative(t *testing.T, b *bench, file string) string {
	t.Helper()
	rel, err := filepath.Rel(filepath.Join(b.dir, "runs", "r", "work", "head"), file)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}
