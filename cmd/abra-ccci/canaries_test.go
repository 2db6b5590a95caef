package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/canary"
	"coopcloud.tech/abra-ccci/runner"
)

// canaries is the table of what must be found out, and where. Package canary
// has it too; written down twice, neither can quietly ask for less.
var canaries = []struct {
	name, rung, test string
	status           runner.Status
	reason           string
}{
	{"does-not-start", "install", "install_deploys_head", "fail", `"sreve" is no command`},
	{"never-healthy", "install", "install_deploys_head", "fail", "unhealthy"},
	{"image-missing", "install", "install_deploys_head", "unver", "image not to be had"},
	{"upgrade-loses-data", "upgrade", "upgrade_keeps_text", "fail", "exit 4 says that it is gone"},
	{"upgrade-rolled-back", "upgrade", "upgrade_moves_to_head", "fail", "rolled back"},
	{"labels-never-reach", "backup_restore", "backup_labels", "fail", "existing-apps-unsaved"},
	{"path-outside-volumes", "backup_restore", "backup_labels", "fail", "path-outside-mount"},
	{"partial-volume", "backup_restore", "volume_complete_data", "fail", "journal is missing"},
	{"writable-layer", "backup_restore", "restore_returns_text", "fail", "the app writes to /store of service app (the container's writable layer)"},
	{"data-volume-excluded", "backup_restore", "restore_returns_text", "fail", "no label saves app:/data, which it covers"},
	{"dump-once", "backup_restore", "backup_captures_app_data_dump", "fail", "the pre-hook did not write it"},
	{"dump-nowhere", "backup_restore", "backup_snapshot_first", "fail", `nothing to back up at "dump" in volume "data"`},
	{"restore-hook-swallows", "backup_restore", "restore_returns_text", "fail", "exit 4 says that it is gone"},
	{"wipe-removes-nothing", "backup_restore", "wipe_removes_text", "fail", "the wipe removed nothing that the check looks at"},
	{"wipe-stops-service", "backup_restore", "wipe_removes_text", "unver", "gives an error, which proves nothing"},
	{"check-never-looks", "backup_restore", "wipe_removes_text", "fail", "holds for a token that was never seeded"},
	{"content-recreated", "backup_restore", "drill_starts_empty_text", "fail", "something else satisfies it"},
	{"covers-untrue", "backup_restore", "drill_proves_app_media", "unver", "is green without it"},
	{"old-memory", "backup_restore", "restore_survives_restart_text", "fail", "exit 4 says that it is gone"},
	{"wrong-owner", "backup_restore", "restore_returns_text", "fail", "permission denied"},
	{"secret-in-log", "no_secret_leak", "no_secret_leak", "fail", "key (plain) in the log of app"},
	{"secret-in-env", "no_secret_leak", "no_secret_leak", "fail", "key (plain) in"},
	{"volume-left-behind", "clean_teardown", "clean_teardown", "fail", "left on the engine: volume"},
	{"lint-rule-broken", "lint", "lint_r010", "fail", "traefik.enable=true"},
	{"green-after-a-while", "mutants", "mutant_restore_nothing", "fail", "survived: text stayed green"},
	{"asks-for-anything", "mutants", "mutant_older_snapshot", "fail", "survived: text stayed green"},
	{"asks-for-a-name", "mutants", "mutant_truncated_app_data", "fail", "survived: text stayed green"},
	{"loss-unnoticed", "mutants", "mutant_drop_path_app_media", "fail", "stayed green"},
	{"survivor-reported", "review", "mutants_killed", "fail", "the loss of app:/media goes unnoticed"},
	{"covers-measured", "review", "covers_true", "fail", "probe note covers app:/media, and is green without it"},
	{"losses-unnoticed", "mutants", "mutant_label_removed_app_backupbot_backup_path", "fail", "survived: note stayed green"},
	{"proof-missing", "review", "paths_proven", "fail", "app:/data is saved and not proven to come back"},
	{"no-dump-unnoticed", "mutants", "mutant_pre_hook_skipped_side_backup_pre_hook", "fail", "survived: note, picture, text stayed green"},
	{"stale-dump-unnoticed", "mutants", "mutant_pre_hook_stale_side_backup_pre_hook", "fail", "survived: note, picture, text stayed green"},
	{"no-load-unnoticed", "mutants", "mutant_post_hook_skipped_side_restore_post_hook", "fail", "survived: note, picture, text stayed green"},
	{"seeds-elsewhere", "mutants", "mutant_placebo_first", "unver", "probe text is red after a restore as it should be"},
	{"red-when-cold", "review", "cold_run", "fail", "wipe_removes_text"},
	{"level-not-reached", "review", "levels", "unver", "level 5 is claimed, and install is unver"},
	{"backups-switched-off", "review", "labels_no_error", "fail", "data"},
	{"exclude-undecided", "review", "volumes_decided", "unver", "data is excluded"},
	{"version-stands-still", "review", "version_bumped", "fail", "did not go up"},
	{"secret-in-diff", "review", "no_plaintext_secret", "fail", "ADMIN"},
	{"host-bind", "review", "nothing_dangerous", "fail", "/etc"},
	{"suite-weakened", "review", "suite_not_weakened", "fail", "text"},
}

// Every canary is caught at its own test for its own reason, and that test
// passes for the recipe that it was planted in.
func TestSelftest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	code, stdout, stderr := b.run("selftest", "--json", "--jobs", "3") // and other tests beside it
	t.Logf("exit %d\n%s", code, stderr)
	var got selftestRecord
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %q", err, stdout)
	}
	rows := got.Rows
	for _, good := range canary.Goods() {
		if len(rows) == 0 || rows[0].Canary != good || rows[0].Outcome != canary.Proven {
			t.Fatalf("good recipe %s: %+v", good, rows)
		}
		rows = rows[1:]
	}
	if code != exitPass || len(rows) != len(canaries) {
		t.Fatalf("exit %d, %d rows, %d canaries", code, len(rows), len(canaries))
	}
	for i, want := range canaries {
		r := rows[i]
		if r.Canary != want.name || r.Rung != want.rung || r.Test != want.test || r.Status != want.status || !strings.Contains(r.Reason, want.reason) || r.Outcome != canary.Proven {
			t.Errorf("%+v\nwant %+v, proven", r, want)
		}
	}
	b.selftestLeftNothing()
}

// selftestLeftNothing looks for anything that the bench's host made, and for
// files beside those that every command leaves.
func (b *bench) selftestLeftNothing() {
	b.t.Helper()
	state := filepath.Join(b.dir, "state", "abra-ccci")
	id, err := os.ReadFile(filepath.Join(state, "host-id"))
	if err != nil {
		b.t.Fatal(err)
	}
	if left := labelled(b.t, engine(b.t), "ccci.host="+strings.TrimSpace(string(id))); len(left) > 0 {
		b.t.Errorf("left on the engine: %v", left)
	}
	if dirs, err := filepath.Glob(filepath.Join(state, "selftest-*")); err != nil || len(dirs) > 0 {
		b.t.Errorf("left in the state folder: %v, %v", dirs, err)
	}
	if locks, err := filepath.Glob(filepath.Join(state, "locks", "*.lock")); err != nil || len(locks) > 0 {
		b.t.Errorf("locks left: %v, %v", locks, err)
	}
}

// An interrupted selftest says so, and leaves nothing.
func TestSelftestInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cmd, _, stderr := b.command("selftest", "--only", "wipe-stops-service")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := engine(t)
	host := filepath.Join(b.dir, "state", "abra-ccci", "host-id")
	waitFor(t, func() bool {
		id, err := os.ReadFile(host)
		return err == nil && len(labelled(t, c, "ccci.host="+strings.TrimSpace(string(id)))) > 0
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit %d\n%s", code, stderr)
	}
	b.selftestLeftNothing()
}
