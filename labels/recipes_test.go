package labels

import (
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// fixed is what abra sets, whatever a sample says.
var fixed = map[string]string{"STACK_NAME": "test", "APP_ENTRYPOINT_VERSION": "v1", "PG_BACKUP_VERSION": "v1"}

// subjectOf resolves a recipe the way a deployment would: .env.sample first,
// then what abra sets, then overrides.
func subjectOf(t *testing.T, files fs.FS, overrides map[string]string) Subject {
	t.Helper()
	s := Subject{Files: files}
	env := map[string]string{}
	if data, err := fs.ReadFile(files, ".env.sample"); err == nil {
		s.Sample = mustEnv(t, string(data))
		env = s.Sample.Map()
	}
	maps.Copy(env, fixed)
	maps.Copy(env, overrides)
	stack, _, err := Resolve(Source{Dir: "/recipe", Files: files, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	s.Stack, s.Plan = stack, PlanOf(stack)
	return s
}

// recipeFS is a recipe given as file name, content, file name, content, …
func recipeFS(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func ids(notices []Notice, severity Severity) []string {
	var out []string
	for _, n := range notices {
		if n.Severity == severity {
			out = append(out, n.ID+" @ "+n.Where)
		}
	}
	slices.Sort(out)
	return out
}

func savedWords(p *Plan) []string {
	var out []string
	for _, s := range p.Saved() {
		out = append(out, s.String()+" = "+s.Volume+":"+s.Path)
	}
	return out
}

func TestMailu(t *testing.T) {
	s := subjectOf(t, os.DirFS("testdata/mailu"), nil)
	want := []string{"imap:/mail = mail:.", "admin:/data = mailu:."}
	if d := cmp.Diff(want, savedWords(s.Plan)); d != "" {
		t.Error(d)
	}
	warnings := []string{
		"container-path-form @ admin backupbot.backup.path",
		"container-path-form @ imap backupbot.backup.path",
		"enabled-twice @ stack",
	}
	got := Check(s)
	if d := cmp.Diff([]string{
		"readings-differ @ stack", "unsaved-volume @ volume dkim",
		"unsaved-volume @ volume mailqueue", "unsaved-volume @ volume redis",
	}, ids(got, Error)); d != "" {
		t.Errorf("errors:\n%s", d)
	}
	if d := cmp.Diff(warnings, ids(got, Warning)); d != "" {
		t.Errorf("warnings:\n%s", d)
	}
	s.Excluded = map[string]string{"dkim": "a", "redis": "b", "mailqueue": "c"}
	got = Check(s)
	if d := cmp.Diff([]string(nil), ids(got, Error)); d != "" {
		t.Errorf("errors with excludes:\n%s", d)
	}
	if d := cmp.Diff(append(warnings, "readings-differ-excluded @ stack"), ids(got, Warning)); d != "" {
		t.Errorf("warnings with excludes:\n%s", d)
	}
}

func TestBonfire(t *testing.T) {
	s := subjectOf(t, os.DirFS("testdata/bonfire"), nil)
	want := []string{"db:/var/lib/postgresql/data/backup.sql = db-data:backup.sql", "app:/opt/app/data/uploads = upload-data:."}
	if d := cmp.Diff(want, savedWords(s.Plan)); d != "" {
		t.Error(d)
	}
	hooks := []Hook{{"db", BackupPre, "/pg_backup.sh backup"}, {"db", RestorePost, "/pg_backup.sh restore"}}
	if d := cmp.Diff(hooks, s.Plan.Hooks); d != "" {
		t.Error(d)
	}
	got := Check(s)
	if d := cmp.Diff([]string(nil), ids(got, Error)); d != "" {
		t.Errorf("errors:\n%s", d)
	}
	if d := cmp.Diff([]string{"enabled-twice @ stack", "untested-overlay @ .env.sample compose.meilisearch.yml"}, ids(got, Warning)); d != "" {
		t.Errorf("warnings:\n%s", d)
	}
}

// A plan must be the same when its stack is read back from an engine, which
// knows labels and mounts and nothing else.
func TestPlanNeedsOnlyServices(t *testing.T) {
	for _, name := range []string{"mailu", "bonfire"} {
		s := subjectOf(t, os.DirFS("testdata/"+name), nil)
		bare := &Stack{Name: s.Stack.Name, Services: s.Stack.Services, Volumes: s.Stack.Volumes}
		if d := cmp.Diff(s.Plan, PlanOf(bare)); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}
