package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

// probesOf maps each saved path to the probes that were measured to depend on it.
func probesOf(r *runner.Results) map[string]string {
	out := map[string]string{}
	for _, c := range r.Coverage {
		if c.Saved && c.Proof == runner.ProofApp {
			out[c.Service+":"+c.Mount+" "+c.Path] = strings.Join(c.Probes, " ")
		}
	}
	return out
}

// wantTop is level 5 without a word against the recipe, with just these proofs.
func wantTop(t *testing.T, r *runner.Results, code int, proven map[string]string) {
	t.Helper()
	if code != exitPass || r.Level != 5 {
		t.Errorf("exit %d, level %d\n%s", code, r.Level, summary(r))
	}
	if got := probesOf(r); !maps.Equal(got, proven) {
		t.Errorf("proofs %v, want %v", got, proven)
	}
	for _, n := range r.Notices {
		t.Errorf("notice %s: %s: %s", n.ID, n.Where, n.Text)
	}
	if r.Flags.CleanTeardown != runner.Pass || r.Flags.NoSecretLeak != runner.Pass {
		t.Errorf("flags %+v", r.Flags)
	}
}

// Rows are saved as a dump, uploads as files. The dump has no effect before
// its hook ran, so that it is measured on an app that has everything else.
func TestForumClimbsToTheTop(t *testing.T) {
	t.Parallel()
	r, code := newBench(t, "forum").climb("forum")
	wantTop(t, r, code, map[string]string{"db:/var/lib/postgresql backup.sql": "topic", "app:/uploads .": "upload"})
	if r.Version != "1.1.0+1.1.0" || r.UpgradeFrom != "1.0.0+1.0.0" {
		t.Errorf("version %q, upgraded from %q", r.Version, r.UpgradeFrom)
	}
	wantStatus(t, r, "upgrade_keeps_topic", runner.Pass, "")
	wantStatus(t, r, "drill_without_db_var_lib_postgresql_backup_sql", runner.Pass, "")
	wantStatus(t, r, "drill_proves_db_var_lib_postgresql_backup_sql", runner.Pass, "depended on by topic")
}

// The hooks run well, and the dump lacks the posts: that is red where rows
// should have come back, and nowhere else. Nothing but the dump makes up for
// the server's own files: without that exclude, they are what is missing.
func TestForumDumpWithoutPosts(t *testing.T) {
	t.Parallel()
	b := newBench(t, "forum")
	b.commit("forum", "pg_backup.sh", `--dbname="$POSTGRES_DB" --file`, `--dbname="$POSTGRES_DB" --exclude-table-data=posts --file`)
	b.edit("forum", "path   = \"data\"\n", "path   = \"data/pg_stat\"\n")
	r, code := b.climb("forum", "--rungs", "install,backup_restore")
	if code != exitFail || r.Rungs[runner.RungBackupRestore] != runner.Fail {
		t.Errorf("exit %d, backup_restore %s\n%s", code, r.Rungs[runner.RungBackupRestore], summary(r))
	}
	wantStatus(t, r, "restore_runs", runner.Pass, "")
	wantStatus(t, r, "drill_runs_hooks", runner.Pass, "")
	red := map[string]string{
		"volume_complete_postgres":       "data/PG_VERSION is missing",
		"restore_returns_topic":          "misses",
		"restore_survives_restart_topic": "misses",
		"drill_returns_topic":            "misses",
	}
	for _, s := range r.Stages {
		for _, test := range s.Tests {
			reason, ok := red[test.Name]
			if ok != (test.Status == runner.Fail) || !strings.Contains(test.Reason, reason) {
				t.Errorf("%s: %s (%s), want a fail: %v, %s", test.Name, test.Status, test.Reason, ok, reason)
			}
			delete(red, test.Name)
		}
	}
	if len(red) > 0 {
		t.Errorf("not in the record: %v", slices.Sorted(maps.Keys(red)))
	}
}

// Two volumes of the overlay that .env.sample switches on: one saved by
// default, one that a label of it leaves out.
func TestCustomHTMLClimbsToTheTop(t *testing.T) {
	t.Parallel()
	r, code := newBench(t, "custom-html").climb("custom-html")
	wantTop(t, r, code, map[string]string{"app:/usr/share/nginx/html .": "page", "app:/usr/share/nginx/downloads .": "download"})
	if r.Version != "1.1.0+1.22.1" || r.UpgradeFrom != "1.0.0+1.22.1" {
		t.Errorf("version %q, upgraded from %q", r.Version, r.UpgradeFrom)
	}
	for _, c := range r.Coverage {
		if c.Volume == "logs" && (c.Saved || c.Label != "app backupbot.backup.volumes.logs=false" || !strings.Contains(c.Reason, "for counting")) {
			t.Errorf("logs: %+v", c)
		}
	}
	wantStatus(t, r, "volume_complete_logs", runner.Pass, "excluded by the suite")
}
