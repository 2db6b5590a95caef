package review

import (
	"strings"
	"testing"
	"testing/fstest"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

// goodCompose saves db by a dump and mail whole, and excludes cache.
const goodCompose = `version: "3.8"
services:
  app:
    image: mail:1
    volumes: [mail:/mail, cache:/cache]
    deploy:
      labels:
        backupbot.backup: "${ENABLE_BACKUPS:-true}"
        backupbot.backup.volumes.cache: "false"
        backupbot.backup.volumes.db.path: dump.sql
        coop-cloud.${STACK_NAME}.version: 1.1.0+1.0.0
  db:
    image: postgres:15
    volumes: [db:/var/lib/postgresql]
    deploy:
      labels:
        backupbot.backup.pre-hook: "pg_dump -f /var/lib/postgresql/dump.sql app"
        backupbot.restore.post-hook: "psql -f /var/lib/postgresql/dump.sql app"
volumes: {mail: {}, cache: {}, db: {}}
`

const goodSample = "TYPE=mail\nDOMAIN=mail.example.com\nENABLE_BACKUPS=true\nCOMPOSE_FILE=compose.yml\n"

// subject resolves a recipe of these files, name and text in turn.
func subject(t *testing.T, excluded map[string]string, files ...string) (labels.Subject, []labels.Notice) {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	if fsys[".env.sample"] == nil {
		fsys[".env.sample"] = &fstest.MapFile{Data: []byte(goodSample)}
	}
	sample, err := labels.ParseEnv(".env.sample", fsys[".env.sample"].Data)
	if err != nil {
		t.Fatal(err)
	}
	env := sample.Map()
	env["STACK_NAME"] = "mail_example_com"
	stack, notices, err := labels.Resolve(labels.Source{Dir: "/r", Files: fsys, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	return labels.Subject{Stack: stack, Plan: labels.PlanOf(stack), Sample: sample, Files: fsys, Excluded: excluded}, notices
}

var cacheSuite = &runner.Suite{Recipe: "mail", Excludes: []runner.Exclude{{Volume: "cache", Reason: "made anew"}}}

// sides compares the good recipe with one of these files.
func sides(t *testing.T, files ...string) Sides {
	t.Helper()
	excluded := map[string]string{"cache": "made anew"}
	s := Sides{BaseSuite: cacheSuite, HeadSuite: cacheSuite, Command: "abra-ccci labels mail --diff a..b"}
	s.Base, _ = subject(t, excluded, "compose.yml", goodCompose)
	s.Head, s.Notices = subject(t, excluded, files...)
	return s
}

func edited(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(goodCompose) }

// told is everything that a check says, for tests to look into.
func told(c Check) string {
	lines := append([]string{string(c.Status) + " " + c.Text}, c.Evidence...)
	for _, f := range c.Findings {
		lines = append(lines, "FINDING "+strings.Join([]string{f.Title, f.Claimed, f.Does, f.Missing, f.Fix, f.Command}, " | "))
	}
	return strings.Join(lines, "\n")
}

// checkIs fails the test unless a check has the status and says all of want.
func checkIs(t *testing.T, c Check, status runner.Status, want ...string) {
	t.Helper()
	if c.Status != status {
		t.Errorf("status %s, want %s", c.Status, status)
	}
	for _, w := range want {
		if !strings.Contains(told(c), w) {
			t.Errorf("it does not say %q", w)
		}
	}
	if status == runner.Fail && len(c.Findings) == 0 {
		t.Error("it failed without a finding")
	}
	for _, f := range c.Findings {
		if f.Check != c.Name || f.Title == "" || f.Claimed == "" || f.Does == "" || f.Missing == "" || f.Fix == "" {
			t.Errorf("finding %+v is not filled in", f)
		}
	}
	if t.Failed() {
		t.Log(told(c))
	}
}

func TestLabelsNoError(t *testing.T) {
	onContainer := edited("    deploy:\n      labels:\n        backupbot.backup.pre-hook", "    labels:\n        backupbot.backup.pre-hook")
	tests := []struct {
		name   string
		files  []string
		status runner.Status
		want   []string
	}{
		{"unchanged", []string{"compose.yml", goodCompose}, runner.Pass, []string{"nothing changes for a backup", "mail at app:/mail: saved (.)"}},
		{"more is saved", []string{"compose.yml", edited(`        backupbot.backup.volumes.db.path: dump.sql`+"\n", "")}, runner.Pass, []string{"changed: volume db is now"}},
		{"volume newly excluded", []string{"compose.yml", edited(`volumes.cache: "false"`, `volumes.mail: "false"`)}, runner.Fail,
			[]string{"volume mail", "the base: mail at app:/mail: saved (.) by app backupbot.backup", "backupbot.backup.volumes.mail=false", "--diff a..b"}},
		{"switched off in .env.sample", []string{"compose.yml", goodCompose, ".env.sample", strings.Replace(goodSample, "BACKUPS=true", "BACKUPS=false", 1)}, runner.Fail,
			[]string{".env.sample", "switches off"}},
		{"label on the wrong service", []string{"compose.yml", edited("backupbot.backup.volumes.db.path: dump.sql", "backupbot.backup.path: /var/lib/postgresql/dump.sql")}, runner.Fail, []string{"FINDING"}},
		{"dump outside every volume", []string{"compose.yml", edited("backupbot.backup.volumes.db.path: dump.sql", "backupbot.backup.path: /postgres.dump.gz")}, runner.Fail,
			[]string{"on no volume"}},
		{"hook that swallows errors", []string{"compose.yml", edited(`"pg_dump -f /var/lib/postgresql/dump.sql app"`, `"pg_dump app | gzip > /var/lib/postgresql/dump.sql"`)}, runner.Fail,
			[]string{"goes unnoticed"}},
		{"hook that calls failure success", []string{"compose.yml", edited(`"pg_dump -f /var/lib/postgresql/dump.sql app"`, `"pg_dump -f /var/lib/postgresql/dump.sql app || true"`)}, runner.Fail,
			[]string{"a failure counts as success", "db backupbot.backup.pre-hook"}},
		{"labels deleted", []string{"compose.yml", edited("        backupbot.backup: \"${ENABLE_BACKUPS:-true}\"\n        backupbot.backup.volumes.cache: \"false\"\n        backupbot.backup.volumes.db.path: dump.sql\n", "")}, runner.Fail,
			[]string{"removed: label app backupbot.backup", "volume mail"}},
		{"labels on containers", []string{"compose.yml", onContainer}, runner.Fail, []string{"labels:"}},
		{"volume dropped", []string{"compose.yml", edited("mail:/mail, ", "")}, runner.Fail, []string{"the head does not"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkIs(t, LabelsNoError(sides(t, tt.files...)), tt.status, tt.want...)
		})
	}
}

// A hook of old is not the pull request's doing.
func TestLabelsOldHook(t *testing.T) {
	s := sides(t, "compose.yml", edited("dump.sql app\"", "dump.sql app || true\""))
	s.Base = s.Head
	checkIs(t, LabelsNoError(s), runner.Pass, "a failure counts as success")
	s.Base = labels.Subject{}
	checkIs(t, LabelsNoError(s), runner.Fail)
}

// A suite of the head can't make the loss of a volume innocent, a reviewer can.
func TestLabelsNewlyExcludedBySuite(t *testing.T) {
	s := sides(t, "compose.yml", edited(`volumes.cache: "false"`, `volumes.mail: "false"`))
	s.Head.Excluded = map[string]string{"cache": "x", "mail": "nobody reads it"}
	checkIs(t, LabelsNoError(s), runner.Fail, "volume mail", `its suite says: "nobody reads it"`)
	s.Accepted = []string{"mail"}
	checkIs(t, LabelsNoError(s), runner.Pass, "saves-less-excluded")
}

// Labels in an overlay that nothing loads are for show.
func TestLabelsInUnloadedOverlay(t *testing.T) {
	bare := "version: \"3.8\"\nservices:\n  app:\n    image: mail:1\n    volumes: [mail:/mail]\nvolumes: {mail: {}}\n"
	overlay := "version: \"3.8\"\nservices:\n  app:\n    deploy: {labels: {backupbot.backup: \"true\"}}\n"
	s := sides(t, "compose.yml", bare, "compose.backup.yml", overlay)
	s.Base, _ = subject(t, nil, "compose.yml", bare)
	checkIs(t, LabelsNoError(s), runner.Fail, "compose.backup.yml, which nothing loads")
	s.Base, _ = subject(t, nil, "compose.yml", bare, "compose.backup.yml", overlay)
	if c := LabelsNoError(s); strings.Contains(told(c), "which nothing loads") {
		t.Errorf("an old overlay is held against the pull request:\n%s", told(c))
	}
}

func TestLabelsWithoutBase(t *testing.T) {
	s := sides(t, "compose.yml", goodCompose)
	s.Base = labels.Subject{}
	checkIs(t, LabelsNoError(s), runner.Pass, "there is no base to compare with")
	s.BaseUnread = "compose.yml: no such file"
	checkIs(t, LabelsNoError(s), runner.Unver, "could not tell: the base can't be read", "no such file")
}

func TestVolumesDecided(t *testing.T) {
	exclude := func(xs ...runner.Exclude) *runner.Suite { return &runner.Suite{Recipe: "mail", Excludes: xs} }
	cache := runner.Exclude{Volume: "cache", Reason: "made anew"}
	tests := []struct {
		name   string
		edit   func(*Sides)
		status runner.Status
		want   []string
	}{
		{"as the base", func(*Sides) {}, runner.Pass, []string{"the base's suite excludes it, too", `"made anew"`, "were not measured"}},
		{"measured", func(s *Sides) { s.Measured = map[string]Amount{"cache": {3, 4096}} }, runner.Pass, []string{"the volume holds 3 files, 4096 bytes"}},
		{"no base's suite", func(s *Sides) { s.BaseSuite = nil }, runner.Unver, []string{"could not tell: cache is excluded", "--accept-exclude cache"}},
		{"accepted", func(s *Sides) { s.BaseSuite, s.Accepted = nil, []string{"cache"} }, runner.Pass, []string{"the reviewer accepts it"}},
		{"another one accepted", func(s *Sides) { s.BaseSuite, s.Accepted = nil, []string{"mail"} }, runner.Unver, nil},
		{"a new one", func(s *Sides) {
			s.HeadSuite = exclude(cache, runner.Exclude{Volume: "mail", Reason: "\x1b[2J| nobody |"})
		}, runner.Unver, []string{`"\x1b[2J| nobody |"`, "mail is excluded"}},
		{"a path in one", func(s *Sides) { s.HeadSuite = exclude(runner.Exclude{Volume: "db", Path: "wal", Reason: "x"}) }, runner.Unver, []string{"--accept-exclude db:wal"}},
		{"a path in one, accepted", func(s *Sides) {
			s.HeadSuite, s.Accepted = exclude(runner.Exclude{Volume: "db", Path: "wal/", Reason: "x"}), []string{"db:wal"}
		}, runner.Pass, nil},
		{"wider than the base's", func(s *Sides) {
			s.BaseSuite, s.HeadSuite = exclude(runner.Exclude{Volume: "cache", Path: "x", Reason: "x"}), exclude(cache)
		}, runner.Unver, nil},
		{"by label alone", func(s *Sides) { s.Head.Excluded, s.HeadSuite = nil, nil }, runner.Fail, []string{"volume cache is neither saved nor excluded for a reason"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := sides(t, "compose.yml", goodCompose)
			tt.edit(&s)
			checkIs(t, VolumesDecided(s), tt.status, tt.want...)
		})
	}
}

func TestVersionBumped(t *testing.T) {
	stack := func(version string) *labels.Stack {
		s := &labels.Stack{Name: "x", Services: []labels.Service{{Name: "app", Labels: map[string]string{}}}}
		if version != "" {
			s.Services[0].Labels["coop-cloud.x.version"] = version
		}
		return s
	}
	tests := []struct {
		base, head string
		status     runner.Status
		want       string
	}{
		{"3.0.1+2024.06.52", "3.0.2+2024.06.52", runner.Pass, "3.0.1+2024.06.52 → 3.0.2+2024.06.52"},
		{"", "0.1.0+1", runner.Pass, ""},
		{"1.0.0+1", "1.0.0+2", runner.Pass, ""},
		{"1.0.0+1", "1.0.0+1", runner.Fail, "did not go up"},
		{"1.1.0+1", "1.0.9+9", runner.Fail, "did not go up"},
		{"1.0.0+1", "2.0.0", runner.Fail, "is not <semver>+<app version>"},
		{"1.0.0+1", "latest", runner.Fail, "is not <semver>+<app version>"},
		{"1.0.0+1", "", runner.Fail, "no version label"},
		{"1.0.0+1", "1.2.0+1", runner.Fail, "there is a tag"},
	}
	tags := []recipe.Tag{{Name: "1.2.0+1"}, {Name: "1.0.0+1", Annotated: true}}
	for _, tt := range tests {
		t.Run(tt.base+" "+tt.head, func(t *testing.T) {
			checkIs(t, VersionBumped(stack(tt.base), stack(tt.head), tags), tt.status, tt.want)
		})
	}
}

func TestPullOpen(t *testing.T) {
	checkIs(t, PullOpen(Pull{Open: true}), runner.Pass, "state: open true, merged false")
	checkIs(t, PullOpen(Pull{Open: false}), runner.Fail, "it is closed")
	checkIs(t, PullOpen(Pull{Open: true, Merged: true}), runner.Fail, "it is merged already")
}

func TestNothingDangerous(t *testing.T) {
	bind := recipe.Refusal{Key: "bind:app:/srv", Where: "service app", What: `mounts "/srv" of the host`}
	socket := recipe.Refusal{Key: "docker-socket:app:/s", Where: "service app", What: "gets the Docker socket"}
	head := []Resolution{{"base's env", nil}, {"head's env", []recipe.Refusal{bind, socket}}, {"suite's env", []recipe.Refusal{bind}}}
	checkIs(t, NothingDangerous(head[:1], nil), runner.Pass, "base's env: 0 refusals")
	checkIs(t, NothingDangerous(nil, nil), runner.Unver)
	c := NothingDangerous(head, []string{"docker-socket:app:/s"})
	checkIs(t, c, runner.Fail, `service app mounts`, "--allow bind:app:/srv", "head's env: 2 refusals, 1 of them allowed")
	if len(c.Findings) != 1 {
		t.Errorf("%d findings of one refusal", len(c.Findings))
	}
	checkIs(t, NothingDangerous(head, []string{"docker-socket:app:/s", "bind:app:/srv"}), runner.Pass)
	checkIs(t, NothingDangerous(head, []string{"bind:app:*", "*"}), runner.Fail)
}
