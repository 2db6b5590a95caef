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
func wantTop(t testing.TB, r *runner.Results, proven map[string]string) {
	t.Helper()
	if r.Level != 5 {
		t.Errorf("level %d\n%s", r.Level, summary(r))
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
