package main

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"coopcloud.tech/abra-ccci/runner"
)

// What is odd and right must pass: services that do their work and end, in
// either mode; a dump that the post-hook removes again; an app that crashes
// when its data is taken from it, and begins anew; a probe that stands on
// another's data; a volume with a probe of its own that the base lacks.
const oddApp = composeHead + `  app:
    image: ccci/debian:bookworm
    command: [sh, -c, "mkdir -p /data/rows; touch /data/db; while [ -e /data/db ]; do sleep 0.1; done; echo my data is gone; exit 7"]
    stop_signal: SIGKILL
    volumes: ["data:/data"MEDIA]
    deploy:
      restart_policy: {delay: 200ms}
      labels:
        - "backupbot.backup=true"
        - "backupbot.backup.volumes.data.path=dump"
        - "backupbot.backup.pre-hook=mkdir /data/dump && cp -r /data/rows /data/dump/"
        - "backupbot.backup.post-hook=rm -r /data/dump"
        - "backupbot.restore.post-hook=cp -r /data/dump/rows /data/ && rm -r /data/dump"
  once:
    image: ccci/debian:bookworm
    command: [echo, migrated to EDITION]
    deploy: {restart_policy: {condition: none}}
  job:
    image: ccci/debian:bookworm
    command: [echo, tidied for EDITION]
    deploy: {mode: replicated-job}
volumes:
  data:
`

// A picture is seen where there are rows. Taking the last row's store away is
// what the app crashes of; it is back with an empty one, and the wipe of the
// next row waits for that.
const oddSuite = `recipe = "odd"
[[probe]]
name = "row"
covers = ["app:/data"]
seed = [{ service = "app", run = ["touch", "/data/rows/${TOKEN}"] }]
check = [{ service = "app", sh = "test -e /data/db || exit 1; test -e /data/rows/${TOKEN} || exit 4", gone_exit = [4] }]
wipe = [{ service = "app", within = "60s", run = ["rm", "-r", "/data/rows", "/data/db"] }]
[[probe]]
name = "picture"
covers = ["app:/media"]
seed = [{ service = "app", sh = "test -n \"$(ls /data/rows)\" && touch /media/${TOKEN}" }]
check = [{ service = "app", sh = "test -e /data/db || exit 1; test -n \"$(ls /data/rows)\" && test -e /media/${TOKEN} || exit 4", gone_exit = [4] }]
wipe = [{ service = "app", run = ["rm", "/media/${TOKEN}"] }]
[[exclude]]
volume = "data"
path = "rows"
reason = "the dump beside them makes up for them"
[[exclude]]
volume = "data"
path = "db"
reason = "made anew at every start"
`

func TestOdditiesPass(t *testing.T) {
	t.Parallel()
	version := func(edition, mount, volume string) made {
		text := strings.NewReplacer("EDITION", edition, "MEDIA", mount).Replace(oddApp)
		return made{"compose.yml": text + volume, "README.md": edition}
	}
	b := newBench(t)
	b.makeRecipe("odd", oddSuite, version("one", "", ""), version("two", `, "media:/media"`, "  media:\n"))
	r, code := b.climb("odd", "--rungs", "install,upgrade,backup_restore")
	for _, name := range []string{"upgrade_keeps_row", "backup_seeds_picture", "wipe_removes_picture", "wipe_removes_row", "restore_returns_row", "restore_returns_picture",
		"install_deploys_head", "install_stays_up", "drill_returns_row", "drill_returns_picture", "drill_proves_app_data_dump", "drill_proves_app_media", "clean_teardown"} {
		wantStatus(t, r, name, runner.Pass, "")
	}
	for _, rung := range []string{runner.RungInstall, runner.RungUpgrade, runner.RungBackupRestore} {
		if r.Rungs[rung] != runner.Pass {
			t.Errorf("%s is %s", rung, r.Rungs[rung])
		}
	}
	wantStatus(t, r, "restore_leaves_tasks", runner.Pass, "my data is gone")
	if hasTest(r, "upgrade_seeds_picture") {
		t.Error("the base was asked for a picture")
	}
	if t.Failed() {
		t.Logf("exit %d\n%s", code, summary(r))
	}
}

func hasTest(r *runner.Results, name string) bool {
	return slices.ContainsFunc(r.Stages, func(s runner.Stage) bool {
		return slices.ContainsFunc(s.Tests, func(t runner.Test) bool { return t.Name == name })
	})
}

// Two stacks have a service called back, on a network that both call proxy and
// that exists on the engine under that name, with a third back in it. Each is
// answered by its own, whoever asks at the same time.
func TestNamesakesDoNotAnswer(t *testing.T) {
	t.Parallel()
	const compose = composeHead + `  app:
    image: ccci/debian:bookworm
    command: [sleep, infinity]
    stop_signal: SIGKILL
    networks: [proxy]
  back:
    image: ccci/nginx:1.22.1
    configs: [{source: site, target: /etc/nginx/conf.d/site.conf}]
    networks: [proxy]
networks:
  proxy: {external: true}
configs:
  site: {file: site.conf, name: "${STACK_NAME}_site_v1"}
`
	step := `{ service = "app", http = "http://back/who", equals = "${STACK_NAME}" },` + "\n"
	suite := `recipe = "namesake"
[[functional]]
name = "its own back answers"
steps = [
  { service = "back", sh = "echo ${STACK_NAME} >/usr/share/nginx/html/who" },
` + strings.Repeat(step, 6) + `  { service = "app", sh = "getent ahostsv4 back | cut -d' ' -f1 | sort -u | wc -l", equals = "1" },
]
`
	rival(t, "proxy", "back")
	for _, run := range []string{"first", "second"} {
		t.Run(run, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.makeRecipe("namesake", suite, made{"compose.yml": compose, "site.conf": "server { listen 80; root /usr/share/nginx/html; }\n"})
			r, code := b.climb("namesake", "--rungs", "install,functional")
			wantStatus(t, r, "functional_its_own_back_answers", runner.Pass, "")
			if code != exitUnknown { // rungs were left out
				t.Errorf("exit %d\n%s", code, summary(r))
			}
		})
	}
}

// rival puts a container that answers to a name into a network of the engine's.
func rival(t *testing.T, net, name string) {
	t.Helper()
	c := engine(t)
	made, err := c.NetworkCreate(t.Context(), net, network.CreateOptions{Driver: "overlay", Attachable: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.NetworkRemove(context.Background(), made.ID) })
	r, err := c.ContainerCreate(t.Context(), &container.Config{Image: "ccci/nginx:1.22.1"}, &container.HostConfig{NetworkMode: container.NetworkMode(net)},
		&network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{net: {Aliases: []string{name}}}}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.ContainerRemove(context.Background(), r.ID, container.RemoveOptions{Force: true}) })
	if err := c.ContainerStart(t.Context(), r.ID, container.StartOptions{}); err != nil {
		t.Fatal(err)
	}
}
