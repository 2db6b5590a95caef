package labels

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// labelled is a service app with data:/data and other:/other and the given
// deploy labels, in list syntax.
func labelled(labels ...string) string {
	labels = append(labels, "coop-cloud.test.version=1.0.0+1")
	return one("volumes: ['data:/data', 'other:/other']\ndeploy:\n  labels:\n    - " + quoted(labels))
}

func quoted(labels []string) string {
	var out []string
	for _, l := range labels {
		out = append(out, "'"+strings.ReplaceAll(l, "'", "''")+"'")
	}
	return strings.Join(out, "\n    - ")
}

const on = "backupbot.backup=true"

// static cases name every notice of Check that a recipe earns.
var static = []struct {
	name    string
	compose string
	files   []string // more files
	env     map[string]string
	want    string // "id @ where", one a line, errors first
	saved   string
}{
	{name: "all is well", compose: labelled(on), saved: "data:. other:."},
	{name: "no backups", compose: labelled(), want: "no-backups @ stack"},
	{name: "false on purpose", compose: labelled("backupbot.backup=false"), want: "no-backups @ stack"},
	{name: "hook but not enabled", compose: labelled("backupbot.backup.pre-hook=sync"), want: "not-enabled @ app backupbot.backup.pre-hook"},
	{name: "unknown key", compose: labelled(on, "backupbot.backup.command=pg_dump"), want: "unknown-key @ app backupbot.backup.command", saved: "data:. other:."},
	{name: "blank in key", compose: labelled(on, "backupbot.backup.pre-hook =sync"), want: "unknown-key @ app backupbot.backup.pre-hook ", saved: "data:. other:."},
	{name: "capitals", compose: labelled("BackupBot.backup=true"), want: "not-enabled @ app BackupBot.backup\nunknown-key @ app BackupBot.backup"},
	{name: "immich's own", compose: labelled(on, "backupbot.volumes.data=true"), want: "unknown-key @ app backupbot.volumes.data", saved: "data:. other:."},
	{name: "volumes of nothing", compose: labelled(on, "backupbot.backup.volumes..path=x"), want: "unknown-key @ app backupbot.backup.volumes..path", saved: "data:. other:."},
	{name: "container labels", compose: strings.Replace(labelled(), "    image: x", "    image: x\n    labels: ['backupbot.backup=true']", 1), want: "container-labels @ app labels backupbot.backup\nno-backups @ stack"},
	{name: "yes is not true", compose: labelled("backupbot.backup=yes"), want: "not-boolean @ app backupbot.backup\nnot-enabled @ app backupbot.backup"},
	{name: "capital True", compose: labelled("backupbot.backup=True"), want: "not-boolean @ app backupbot.backup\nnot-enabled @ app backupbot.backup"},
	{name: "quotes in a list", compose: labelled(`backupbot.backup="true"`), want: "not-boolean @ app backupbot.backup\nnot-enabled @ app backupbot.backup"},
	{name: "volume no", compose: labelled(on, "backupbot.backup.volumes.data=no"), want: "excluded-volume @ volume data\nnot-boolean @ app backupbot.backup.volumes.data", saved: "other:."},
	{name: "volume true", compose: labelled(on, "backupbot.backup.volumes.data=true"), saved: "data:. other:."},
	{name: "volume false", compose: labelled(on, "backupbot.backup.volumes.data=false"), want: "excluded-volume @ volume data", saved: "other:."},
	{name: "all false", compose: labelled(on, "backupbot.backup.volumes.data=false", "backupbot.backup.volumes.other=false"), want: "all-excluded @ stack\nexcluded-volume @ volume data\nexcluded-volume @ volume other"},
	{name: "nothing to save", compose: one("deploy: {labels: ['backupbot.backup=true', 'coop-cloud.x.version=1.0.0+1']}"), want: "all-excluded @ stack"},
	{name: "no such volume", compose: labelled(on, "backupbot.backup.volumes.dta.path=x"), want: "unknown-volume @ app backupbot.backup.volumes.dta.path", saved: "data:. other:."},
	{name: "with the stack's name", compose: labelled(on, "backupbot.backup.volumes.test_data=false"), want: "unknown-volume @ app backupbot.backup.volumes.test_data", saved: "data:. other:."},
	{name: "paths", compose: labelled(on, "backupbot.backup.volumes.data.path=a/,./b/c,b/c/d"), want: "partial-volume @ volume data", saved: "data:a data:b/c other:."},
	{name: "path of the whole", compose: labelled(on, "backupbot.backup.volumes.data.path=."), saved: "data:. other:."},
	{name: "leading slash", compose: labelled(on, "backupbot.backup.volumes.data.path=/a"), want: "excluded-volume @ volume data\npath-absolute @ app backupbot.backup.volumes.data.path", saved: "other:."},
	{name: "space", compose: labelled(on, "backupbot.backup.volumes.data.path=a, b"), want: "path-space @ app backupbot.backup.volumes.data.path\npartial-volume @ volume data", saved: "data:a other:."},
	{name: "glob", compose: labelled(on, "backupbot.backup.volumes.data.path=*.sql"), want: "excluded-volume @ volume data\npath-glob @ app backupbot.backup.volumes.data.path", saved: "other:."},
	{name: "dot dot", compose: labelled(on, "backupbot.backup.volumes.data.path=a/../b"), want: "excluded-volume @ volume data\npath-dotdot @ app backupbot.backup.volumes.data.path", saved: "other:."},
	{name: "empty path", compose: labelled(on, "backupbot.backup.volumes.data.path="), want: "excluded-volume @ volume data\npath-empty @ app backupbot.backup.volumes.data.path", saved: "other:."},
	{name: "container path outside", compose: labelled(on, "backupbot.backup.path=/data,/dump.gz"), want: "path-outside-mount @ app backupbot.backup.path\nreadings-differ @ stack\nunsaved-volume @ volume other\ncontainer-path-form @ app backupbot.backup.path", saved: "data:."},
	{name: "container path below", compose: labelled(on, "backupbot.backup.path=/data/a,/other"), want: "readings-differ @ stack\ncontainer-path-form @ app backupbot.backup.path\npartial-volume @ volume data", saved: "data:a other:."},
	{name: "container path near", compose: labelled(on, "backupbot.backup.path=/database,/data,/other"), want: "path-outside-mount @ app backupbot.backup.path\ncontainer-path-form @ app backupbot.backup.path", saved: "data:. other:."},
	{name: "container path relative", compose: labelled(on, "backupbot.backup.path=data"), want: "all-excluded @ stack\npath-relative @ app backupbot.backup.path\nreadings-differ @ stack\nunsaved-volume @ volume data\nunsaved-volume @ volume other"},
	{name: "both dialects agree", compose: labelled(on, "backupbot.backup.path=/data/a,/other", "backupbot.backup.volumes.data.path=a"), want: "container-path-form @ app backupbot.backup.path\npartial-volume @ volume data", saved: "data:a other:."},
	{name: "container path on another service", compose: addService(labelled(on), "  db: {image: y, volumes: ['data:/x'], deploy: {labels: ['backupbot.backup.path=/x']}}\n"), want: "all-excluded @ stack\npath-not-enabled @ db backupbot.backup.path\nreadings-differ @ stack\nunsaved-volume @ volume data\nunsaved-volume @ volume other\ncontainer-path-form @ db backupbot.backup.path"},
	{name: "false and path", compose: labelled(on, "backupbot.backup.volumes.data=false", "backupbot.backup.volumes.data.path=a"), want: "conflicting-labels @ app backupbot.backup.volumes.data.path\nexcluded-volume @ volume data", saved: "other:."},
	{name: "two services, two paths", compose: addService(labelled(on, "backupbot.backup.volumes.data.path=a,b"), "  db: {image: y, deploy: {labels: ['backupbot.backup.volumes.data.path=b/c,d']}}\n"), want: "conflicting-labels @ db backupbot.backup.volumes.data.path\npartial-volume @ volume data", saved: "data:b/c other:."},
	{name: "one service says no", compose: addService(labelled(on), "  db: {image: y, volumes: ['third:/x'], deploy: {labels: ['backupbot.backup=false']}}\n"), want: "conflicting-labels @ db backupbot.backup\nexcluded-volume @ volume third", saved: "data:. other:."},
	{name: "enabled twice", compose: addService(labelled(on), "  db: {image: y, deploy: {labels: {backupbot.backup: 'true'}}}\n"), want: "enabled-twice @ stack", saved: "data:. other:."},
	{name: "external volume", compose: strings.Replace(labelled(on), "other: {}", "other: {external: true}", 1), want: "unsaved-volume @ volume other", saved: "data:."},
	{name: "hook without command", compose: labelled(on, "backupbot.backup.pre-hook= "), want: "hook-empty @ app backupbot.backup.pre-hook", saved: "data:. other:."},
	{name: "hook with open quote", compose: labelled(on, "backupbot.backup.pre-hook=echo 'x"), want: "hook-syntax @ app backupbot.backup.pre-hook", saved: "data:. other:."},
	{name: "dump without restore", compose: labelled(on, "backupbot.backup.volumes.data.path=d.sql", "backupbot.backup.pre-hook=pg_dump > /data/d.sql"), want: "no-restore-hook @ volume data", saved: "data:d.sql other:."},
	{name: "live database", compose: strings.Replace(labelled(on), "image: x", "image: 'docker.io/library/postgres:16@sha256:aaaa'", 1), want: "live-database @ volume data\nlive-database @ volume other", saved: "data:. other:."},
	{name: "database with a dump", compose: strings.Replace(labelled(on, "backupbot.backup.pre-hook=x"), "image: x", "image: 'postgres:16'", 1), saved: "data:. other:."},
	{name: "overlay in a comment and in force", compose: labelled(on), files: []string{"compose.x.yml", "services: {}", ".env.sample", "COMPOSE_FILE=compose.yml:compose.x.yml\n#COMPOSE_FILE=\"compose.yml:compose.x.yml\"\n"}, saved: "data:. other:."},
	{name: "no version", compose: one("hostname: h"), want: "version-label @ stack"},
	{name: "bad version", compose: strings.Replace(labelled(on), "1.0.0+1", "1.0+1", 1), want: "version-label @ app version", saved: "data:. other:."},
	{name: "overlay in a comment", compose: labelled(on), files: []string{".env.sample", "COMPOSE_FILE=compose.yml\n#COMPOSE_FILE=\"$COMPOSE_FILE:compose.x.yml\"\n"}, want: "untested-overlay @ .env.sample compose.x.yml", saved: "data:. other:."},
	{name: "switched off", compose: labelled("backupbot.backup=${B:-true}"), files: []string{".env.sample", "B=false\n"}, want: "switched-off @ .env.sample"},
	{name: "default false", compose: labelled("backupbot.backup=${B:-false}"), files: []string{".env.sample", "#B=true\n"}, want: "switched-off @ .env.sample"},
	{name: "on by override only", compose: labelled("backupbot.backup=${B:-true}"), files: []string{".env.sample", "B=false\n"}, env: map[string]string{"B": "true"}, want: "switched-off @ .env.sample", saved: "data:. other:."},
	{name: "volume on by override only", compose: labelled(on, "backupbot.backup.volumes.data=${B:-true}"), files: []string{".env.sample", "B=false\n"}, env: map[string]string{"B": "true"}, want: "switched-off @ .env.sample volume data", saved: "data:. other:."},
	{name: "overlay by override only", compose: labelled(), files: []string{"compose.b.yml", "services: {app: {deploy: {labels: ['backupbot.backup=true']}}}\n"}, env: map[string]string{"COMPOSE_FILE": "compose.yml:compose.b.yml"}, want: "switched-off @ .env.sample", saved: "data:. other:."},
	{name: "no default", compose: labelled("backupbot.backup=${B}"), files: []string{".env.sample", "B=true\n"}, want: "no-default @ compose.yml:7 services.app.deploy.labels[0]", saved: "data:. other:."},
}

func addService(compose, service string) string {
	return strings.Replace(compose, "volumes: {data: {}", service+"volumes: {third: {}, data: {}", 1)
}

func TestStaticNotices(t *testing.T) {
	for _, tt := range static {
		t.Run(tt.name, func(t *testing.T) {
			s := subjectOf(t, recipeFS(append([]string{"compose.yml", tt.compose}, tt.files...)...), tt.env)
			var got, saved []string
			for _, n := range Check(s) {
				got = append(got, n.ID+" @ "+n.Where)
			}
			if d := cmp.Diff(tt.want, strings.Join(got, "\n")); d != "" {
				t.Errorf("notices (-want +got):\n%s", d)
			}
			for _, p := range s.Plan.Saved() {
				saved = append(saved, p.Volume+":"+p.Path)
			}
			if got := strings.Join(saved, " "); got != tt.saved {
				t.Errorf("saved %q, want %q", got, tt.saved)
			}
		})
	}
}

func TestImageVolumes(t *testing.T) {
	s := subjectOf(t, recipeFS("compose.yml", labelled(on)), nil)
	s.ImageVolumes = map[string][]string{"app": {"/data/x/", "/var/lib/x"}}
	if d := cmp.Diff([]string{"image-volume @ app /var/lib/x"}, ids(Check(s), Warning)); d != "" {
		t.Error(d)
	}
}

func TestHookNotices(t *testing.T) {
	const pipe, file, swallows = "hook-pipe", "hook-file", "hook-swallows"
	tests := []struct{ name, hook, want string }{
		{"no pipe", "pg_dump > /data/x", ""},
		{"pipe", "gunzip -c /data/x | mysql", pipe},
		{"failure is success", "pg_dump -f /data/x || true", swallows},
		{"failure is success, shorter", "pg_dump -f /data/x || :", swallows},
		{"failure is told and forgotten", "pg_dump -f /data/x || echo failed", swallows},
		{"failure ends well", "pg_dump -f /data/x || exit 0", swallows},
		{"failure of several", "{ a; b; } || true", swallows},
		{"failure in a shell", "sh -c 'pg_dump -f /data/x || true'", swallows},
		{"failure, then something that succeeds", "pg_dump -f /data/x; true", swallows},
		{"failure, then a word", "mkdir -p /data; pg_dump -f /data/x; echo done", swallows},
		{"failure in a block", "{ pg_dump -f /data/x; :; } && sync", swallows},
		{"failure in a shell, then success", "sh -c 'pg_dump -f /data/x; true'", swallows},
		{"set -e, then success", "set -e; pg_dump -f /data/x; true", ""},
		{"set -o errexit, then success", "set -o errexit; pg_dump -f /data/x; true", ""},
		{"set -e off again", "set -e; set +e; pg_dump -f /data/x; true", swallows},
		{"a shell with -e", "sh -ec 'pg_dump -f /data/x; true'", ""},
		{"a shell with -e apart", "bash -e -o pipefail -c 'pg_dump -f /data/x; true'", ""},
		{"nothing that can fail, then success", "cd /data; X=1; true", ""},
		{"more after the word", "echo begin; pg_dump -f /data/x", ""},
		{"failure ends badly", "pg_dump -f /data/x || exit 1", ""},
		{"another way", "pg_dump -f /data/x || pg_dumpall -f /data/x", ""},
		{"nothing to tidy up", "rm /data/x || true; pg_dump -f /data/x", ""},
		{"a question", "test -d /data/y || mkdir /data/y", ""},
		{"two pipes, one notice", "a | b | c", pipe},
		{"pipe of both outputs", "a |& b", pipe},
		{"pipefail before", "set -o pipefail; a | b", ""},
		{"pipefail with others", "set -euo pipefail && a | b", ""},
		{"pipefail after", "a | b; set -o pipefail", pipe},
		{"pipefail off again", "set -o pipefail; set +o pipefail; a | b", pipe},
		{"set -e is not enough", "set -e; a | b", pipe},
		{"only printing", "echo 'SELECT 1' | mysql", ""},
		{"printing, then more", "echo x | sed s/x/y/ | mysql", pipe},
		{"or is no pipe", "a || b", ""},
		{"quoted", "echo 'a | b'", ""},
		{"in a substitution", `x="$$(a | b)"`, pipe},
		{"inner shell", "bash -c 'a | b'", pipe},
		{"inner shell in double quotes", `bash -c "a | b > \"x\""`, pipe},
		{"inner shell with pipefail", "bash -o pipefail -c 'a | b'", ""},
		{"inner shell with options", "bash -euo pipefail -c 'a | b'", ""},
		{"inner set", "bash -c 'set -o pipefail; a | b'", ""},
		{"outer pipefail does not reach", "set -o pipefail; bash -c 'a | b'", pipe},
		{"user's shell", "su postgres -c 'a | b'", pipe},
		{"wrapped shell", "gosu postgres sh -c 'a | b'", pipe},
		{"eval", "eval 'a | b'", pipe},
		{"unmounted script", "/backup.sh run", file},
		{"unmounted script of a shell", "sh -e /backup.sh", file},
		{"unmounted script, sourced", ". /backup.sh", file},
		{"second command", "cd /data && /backup.sh", file},
		{"image path", "/usr/local/bin/backup.sh", ""},
		{"on a volume", "/data/backup.sh", ""},
		{"config", "/ok.sh", ""},
		{"secret", "/run/secrets/s", ""},
		{"config by default name", "/bare", ""},
		{"config with a pipe", "/bad.sh", pipe},
		{"config with a pipe, by shell", "bash /bad.sh", pipe},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compose := labelled(on, "backupbot.backup.pre-hook="+tt.hook)
			compose = strings.Replace(compose, "    image: x\n", "    image: x\n    secrets: [s]\n    configs: [{source: ok, target: /ok.sh}, {source: bad, target: /bad.sh}, bare]\n", 1) +
				"configs: {ok: {file: ok.sh}, bad: {file: sub/bad.sh}, bare: {file: ok.sh}}\nsecrets: {s: {external: true}}\n"
			s := subjectOf(t, recipeFS("compose.yml", compose, "ok.sh", "#!/bin/bash\nset -o pipefail\na | b\n", "sub/bad.sh", "#!/bin/sh\nset -e\na | b\n"), nil)
			var got []string
			for _, n := range Check(s) {
				got = append(got, n.ID)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// against cases name every notice of CheckAgainst.
var against = []struct {
	name       string
	base, head fstest.MapFS
	want       string
}{
	{"nothing changed", recipeFS("compose.yml", labelled(on)), recipeFS("compose.yml", labelled(on)), ""},
	{"labels are new", recipeFS("compose.yml", labelled()), recipeFS("compose.yml", bumped(labelled(on))), ""},
	{"not bumped", recipeFS("compose.yml", labelled()), recipeFS("compose.yml", labelled(on)), "version-not-bumped @ app version"},
	{"bumped down", recipeFS("compose.yml", bumped(labelled())), recipeFS("compose.yml", labelled(on)), "version-not-bumped @ app version"},
	{"only the app's version", recipeFS("compose.yml", labelled()), recipeFS("compose.yml", strings.Replace(labelled(on), "+1'", "+2'", 1)), "version-not-bumped @ app version"},
	{"volume dropped", recipeFS("compose.yml", labelled(on)), recipeFS("compose.yml", bumped(strings.Replace(labelled(on), ", 'other:/other'", "", 1))), "volume-dropped @ volume other"},
	{"labels dropped", recipeFS("compose.yml", labelled(on)), recipeFS("compose.yml", bumped(labelled())), "saves-less @ volume data\nsaves-less @ volume other"},
	{"volume excluded", recipeFS("compose.yml", labelled(on)), recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.data=false"))), "saves-less @ volume data"},
	{"volume narrowed", recipeFS("compose.yml", labelled(on)), recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.data.path=a"))), "saves-less @ volume data"},
	{"narrowed to a dump", recipeFS("compose.yml", labelled(on)), recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.data.path=a", "backupbot.backup.pre-hook=x"))), "dump-replaces-files @ volume data"},
	{"narrowed and widened", recipeFS("compose.yml", labelled(on, "backupbot.backup.volumes.data.path=a/b")), recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.data.path=a"))), ""},
	{"default switched off by the base's sample", recipeFS("compose.yml", labelled(), ".env.sample", "B=false"), recipeFS("compose.yml", bumped(labelled("backupbot.backup=${B:-true}")), ".env.sample", "B=true"), "existing-apps-unsaved @ stack"},
	{"no default at all", recipeFS("compose.yml", labelled(), ".env.sample", ""), recipeFS("compose.yml", bumped(labelled("backupbot.backup=${B}")), ".env.sample", "B=true"), "existing-apps-unsaved @ stack"},
	{"default false", recipeFS("compose.yml", labelled(), ".env.sample", ""), recipeFS("compose.yml", bumped(labelled("backupbot.backup=${B:-false}")), ".env.sample", "B=true"), "existing-apps-unsaved @ stack"},
	{"a default that saves", recipeFS("compose.yml", labelled(), ".env.sample", ""), recipeFS("compose.yml", bumped(labelled("backupbot.backup=${B:-true}")), ".env.sample", "B=true"), ""},
	{"overlay that only a new line loads", recipeFS("compose.yml", labelled(), ".env.sample", "COMPOSE_FILE=compose.yml"), recipeFS("compose.yml", labelled(), "compose.b.yml", "services: {app: {deploy: {labels: ['backupbot.backup=true', 'coop-cloud.test.version=1.0.1+1']}}}\n", ".env.sample", "COMPOSE_FILE=compose.yml\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.b.yml\""), "existing-apps-unsaved @ stack"},
	{"one volume by a new variable", recipeFS("compose.yml", labelled(on), ".env.sample", ""), recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.data=${B:-false}")), ".env.sample", "B=true"), "existing-apps-unsaved @ volume data"},
	{"new variable in a name", recipeFS("compose.yml", labelled(on), ".env.sample", ""), recipeFS("compose.yml", bumped(labelled(on))+"networks: {n: {name: 'x${N}'}}", ".env.sample", "N=1"), "existing-apps-unsaved @ stack"},
	{"config changed", recipeFS("compose.yml", config("c_v1"), "c", "1"), recipeFS("compose.yml", config("c_v1"), "c", "2"), "config-version @ c"},
	{"config changed with its version", recipeFS("compose.yml", config("c_v1"), "c", "1"), recipeFS("compose.yml", bumped(config("c_v2")), "c", "2"), ""},
}

func bumped(compose string) string { return strings.ReplaceAll(compose, "=1.0.0+", "=1.0.1+") }

func config(name string) string {
	return labelled(on) + "configs: {c: {file: c, name: " + name + "}}\n"
}

func TestCheckAgainst(t *testing.T) {
	for _, tt := range against {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, n := range CheckAgainst(subjectOf(t, tt.base, nil), subjectOf(t, tt.head, nil)) {
				got = append(got, n.ID+" @ "+n.Where)
			}
			if d := cmp.Diff(tt.want, strings.Join(got, "\n")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestCheckAgainstExcluded(t *testing.T) {
	base := subjectOf(t, recipeFS("compose.yml", labelled(on)), nil)
	head := subjectOf(t, recipeFS("compose.yml", bumped(labelled(on, "backupbot.backup.volumes.data=false"))), nil)
	head.Excluded = map[string]string{"data": "cache"}
	if d := cmp.Diff([]string(nil), ids(CheckAgainst(base, head), Error)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"saves-less-excluded @ volume data"}, ids(CheckAgainst(base, head), Warning)); d != "" {
		t.Error(d)
	}
}

// A suite that switches backups on for its own run must not hide that nobody
// else has them.
func TestCheckAgainstOverrides(t *testing.T) {
	override := map[string]string{"B": "true"}
	base := subjectOf(t, recipeFS("compose.yml", labelled(), ".env.sample", ""), override)
	head := subjectOf(t, recipeFS("compose.yml", bumped(labelled("backupbot.backup=${B:-false}")), ".env.sample", "B=true"), override)
	if d := cmp.Diff([]string{"existing-apps-unsaved @ stack"}, ids(CheckAgainst(base, head), Error)); d != "" {
		t.Error(d)
	}
}

func TestDroppedExcludedVolume(t *testing.T) {
	base := subjectOf(t, recipeFS("compose.yml", labelled(on)), nil)
	base.Excluded = map[string]string{"other": "cache"}
	head := subjectOf(t, recipeFS("compose.yml", bumped(strings.Replace(labelled(on), ", 'other:/other'", "", 1))), nil)
	if got := CheckAgainst(base, head); len(got) != 0 {
		t.Errorf("a volume that nobody misses: %v", got)
	}
}

// abra.sh's exports come with the recipe, so that an app deployed from the
// base has those of the head after its upgrade; what a sample sets it has not.
func TestExistingAppsEnv(t *testing.T) {
	withName := labelled(on) + "configs: {c: {file: c, name: 'c_${C_VERSION}'}}\n"
	base := subjectOf(t, recipeFS("compose.yml", labelled(on), ".env.sample", "KEPT=old"), nil)
	exported := subjectOf(t, recipeFS("compose.yml", bumped(withName), ".env.sample", "KEPT=old"), map[string]string{"C_VERSION": "v1"})
	if got := CheckAgainst(base, exported); len(got) != 0 {
		t.Errorf("exported by abra.sh: %v", got)
	}
	sampled := subjectOf(t, recipeFS("compose.yml", bumped(withName), ".env.sample", "C_VERSION=v1"), nil)
	if d := cmp.Diff([]string{"existing-apps-unsaved @ stack"}, ids(CheckAgainst(base, sampled), Error)); d != "" {
		t.Error(d)
	}
}

// Every kind that there is must be earned by some case of the tables above.
func TestKindsAreCovered(t *testing.T) {
	text := "variable-misread unset-variable image-volume hook-pipe hook-file hook-swallows saves-less-excluded readings-differ-excluded"
	for _, tt := range static {
		text += " " + tt.want
	}
	for _, tt := range against {
		text += " " + tt.want
	}
	seen := regexp.MustCompile(`[a-z-]+`).FindAllString(text, -1)
	var all []string
	for _, k := range Kinds() {
		all = append(all, k.ID)
		if !slices.Contains(seen, k.ID) {
			t.Errorf("no case for %s", k.ID)
		}
		if k.About == "" || k.Advice == "" || strings.HasSuffix(k.Advice, ".") {
			t.Errorf("%s lacks words", k.ID)
		}
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error("an id is there twice")
	}
}
