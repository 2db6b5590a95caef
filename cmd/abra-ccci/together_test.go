package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// While a service is coming back, an app may say "not found" of data that is
// all there. That is no miss: here the wipe removes nothing, and stops what
// the app needs to find its data, until it has been asked for it twice. It is
// wiped once for each seeding; the first one stops it.
func TestMissWhileAServiceComesBackProvesNothing(t *testing.T) {
	t.Parallel()
	const db = `  db:
    image: ccci/debian:bookworm
    command: [sh, -c, "while [ -e /shared/again ] && [ $$(cat /shared/asked | wc -l) -lt 2 ]; do sleep 0.1; done; touch /shared/up; while [ ! -e /shared/stop ]; do sleep 0.1; done; touch /shared/again; rm /shared/up /shared/stop; exit 1"]
    stop_signal: SIGKILL
    volumes: ["shared:/shared"]
    deploy: {restart_policy: {delay: 200ms}}
`
	const suite = `recipe = "twofold"
[deploy]
setup = [{ service = "app", run = ["test", "-e", "/shared/up"], within = "60s" }]
[[probe]]
name = "datum"
covers = ["app:/data"]
seed = [{ service = "app", run = ["touch", "/data/${TOKEN}"] }]
check = [{ service = "app", sh = "test -e /shared/up && ls /data || { echo asked >>/shared/asked; echo nothing; }", contains = "${TOKEN}" }]
wipe = [{ service = "app", sh = "[ -e /shared/again ] || { touch /shared/stop; while [ -e /shared/stop ]; do sleep 0.1; done; }" }]
[[exclude]]
volume = "shared"
reason = "says who is up"
`
	b := newBench(t)
	b.makeRecipe("twofold", suite, made{"compose.yml": composeHead + beside + db + besideVolumes})
	r, code := b.climb("twofold", "--rungs", "backup_restore")
	wantStatus(t, r, "wipe_removes_datum", runner.Fail, "still holds")
	if code != exitFail {
		t.Errorf("exit %d", code)
	}
}

// Eight runs of one recipe at once neither disturb each other nor leave
// anything.
func TestEightRunsAtOnce(t *testing.T) { // not parallel: it has runs of its own at once
	b := newBench(t, "notes")
	type run struct {
		cmd    *exec.Cmd
		stderr *bytes.Buffer
	}
	runs := map[string]run{}
	for i := range 8 {
		id := fmt.Sprintf("eight-%d-%s", i, strings.ToLower(rand.Text()[:6]))
		cmd, _, stderr := b.command("test", "notes", "--runs-dir", filepath.Join(b.dir, "runs"), "--run-id", id)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		runs[id] = run{cmd, stderr}
	}
	for id, run := range runs {
		run.cmd.Wait()
		r := b.results(id)
		if code := run.cmd.ProcessState.ExitCode(); code != exitPass || r.Level != 5 {
			t.Errorf("%s: exit %d\n%s\n%s", id, code, summary(r), run.stderr)
		}
		b.nothingLeft(id)
	}
}
