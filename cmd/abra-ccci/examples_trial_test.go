//go:build trials

package main

import (
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

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
