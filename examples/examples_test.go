package examples_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/examples"
	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

func build(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := examples.Build(name, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *git.Repository {
	t.Helper()
	repo, err := git.PlainOpen(dir)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// refs returns every reference and what it points at.
func refs(t *testing.T, repo *git.Repository) map[string]string {
	t.Helper()
	all, err := repo.References()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	if err := all.ForEach(func(r *plumbing.Reference) error {
		m[r.Name().String()] = r.Strings()[1]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBuildTwiceIsTheSame(t *testing.T) {
	for _, name := range examples.Names() {
		first, second := refs(t, open(t, build(t, name))), refs(t, open(t, build(t, name)))
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s: refs differ (-first +second):\n%s", name, diff)
		}
	}
}

func TestRefs(t *testing.T) {
	for _, tt := range []struct {
		name, head, date string
		refs             []string
	}{
		{"custom-html", "refs/heads/main", "2026-01-12", []string{
			"HEAD", "refs/heads/main", "refs/tags/1.0.0+1.22.1", "refs/tags/1.1.0+1.22.1"}},
		{"forum", "refs/heads/main", "2026-01-12", []string{
			"HEAD", "refs/heads/main", "refs/tags/1.0.0+1.0.0", "refs/tags/1.1.0+1.1.0"}},
		{"mailu", "refs/heads/add-backupbot-labels", "2026-01-19", []string{
			"HEAD", "refs/heads/add-backupbot-labels", "refs/heads/main", "refs/tags/3.0.0+2024.06.50", "refs/tags/3.0.1+2024.06.52"}},
		{"notes", "refs/heads/main", "2026-01-12", []string{
			"HEAD", "refs/heads/main", "refs/tags/1.0.0+1.0.0", "refs/tags/1.1.0+1.1.0"}},
	} {
		repo := open(t, build(t, tt.name))
		got := refs(t, repo)
		if diff := cmp.Diff(tt.refs, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s: refs (-want +got):\n%s", tt.name, diff)
		}
		if head := strings.TrimPrefix(got["HEAD"], "ref: "); head != tt.head {
			t.Errorf("%s: HEAD is %s, want %s", tt.name, head, tt.head)
		}
		for ref, id := range got {
			if !strings.HasPrefix(ref, "refs/tags/") {
				continue
			}
			if _, err := repo.TagObject(plumbing.NewHash(id)); err != nil {
				t.Errorf("%s: %s is not annotated: %v", tt.name, ref, err)
			}
		}
		// Two builds within a second would not tell a clock from a fixed date.
		if when := headTime(t, repo); when.Format(time.DateOnly) != tt.date {
			t.Errorf("%s: HEAD is of %v, want %s", tt.name, when, tt.date)
		}
		if remotes, err := repo.Remotes(); err != nil || len(remotes) != 0 {
			t.Errorf("%s: remotes %v, %v; want none", tt.name, remotes, err)
		}
	}
}

func headTime(t *testing.T, repo *git.Repository) time.Time {
	t.Helper()
	head, err := repo.Head()
	if err != nil {
		t.Fatal(err)
	}
	commit, err := repo.CommitObject(head.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return commit.Committer.When
}

func TestWorkTreeIsClean(t *testing.T) {
	for _, name := range examples.Names() {
		r, err := recipe.Open("", build(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if dirty, err := r.Dirty(); err != nil || dirty {
			t.Errorf("%s: Dirty() = %v, %v; want a clean tree", name, dirty, err)
		}
	}
}

// checkout resolves one version of a recipe with the env that its own sample
// and its suite give it.
func checkout(t *testing.T, name, ref string) (*recipe.Checkout, *labels.Stack) {
	t.Helper()
	r, err := recipe.Open("", build(t, name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Commit(ref)
	if err != nil {
		t.Fatal(err)
	}
	co, err := r.Checkout(c, filepath.Join(t.TempDir(), "checkout"))
	if err != nil {
		t.Fatal(err)
	}
	stack, notices, err := co.Stack(co.AppEnv("test.example.com", nil))
	if err != nil {
		t.Fatalf("%s %s: %v", name, ref, err)
	}
	for _, n := range notices {
		t.Errorf("%s %s: %s: %s: %s", name, ref, n.ID, n.Where, n.Text)
	}
	return co, stack
}

// Every version resolves without a word, and says which version it is.
func TestVersions(t *testing.T) {
	for _, name := range examples.Names() {
		for _, c := range examples.History(name) {
			ref := c.Version
			if !c.Tagged {
				ref = c.Branch
			}
			co, stack := checkout(t, name, ref)
			app, _ := service(stack, "app")
			if got := app.Labels["coop-cloud."+stack.Name+".version"]; got != c.Version {
				t.Errorf("%s %s: version label %q", name, ref, got)
			}
			if _, err := os.Stat(filepath.Join(co.Dir, "release", c.Version)); err != nil {
				t.Errorf("%s %s: no release notes: %v", name, ref, err)
			}
			for _, s := range stack.Services {
				if s.Labels["backupbot.backup"] != "" && s.Labels["backupbot.backup"] != "true" {
					t.Errorf("%s %s: %s: backupbot.backup is %q", name, ref, s.Name, s.Labels["backupbot.backup"])
				}
			}
		}
	}
}

func service(s *labels.Stack, name string) (labels.Service, bool) {
	for _, svc := range s.Services {
		if svc.Name == name {
			return svc, true
		}
	}
	return labels.Service{}, false
}

// What the versions save: nothing, accounts and mail, or everything.
func TestPlans(t *testing.T) {
	for _, tt := range []struct {
		name, ref string
		want      []string // volumes that are saved, with the paths if not all of it
	}{
		{"custom-html", "1.0.0+1.22.1", []string{"content", "downloads"}},
		{"custom-html", "main", []string{"content", "downloads"}},
		{"forum", "1.0.0+1.0.0", []string{"postgres backup.sql", "uploads"}},
		{"forum", "main", []string{"postgres backup.sql", "uploads"}},
		{"mailu", "3.0.0+2024.06.50", nil},
		{"mailu", "3.0.1+2024.06.52", nil},
		{"mailu", "main", nil},
		{"mailu", "add-backupbot-labels", []string{"mail", "mailu"}},
		{"notes", "1.0.0+1.0.0", []string{"data"}},
		{"notes", "main", []string{"data"}},
	} {
		_, stack := checkout(t, tt.name, tt.ref)
		plan := labels.PlanOf(stack)
		var got []string
		for _, v := range plan.Volumes {
			if v.Saved {
				got = append(got, strings.TrimSuffix(v.Volume+" "+strings.Join(v.Paths, ","), " ."))
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || plan.Enabled != (tt.want != nil) {
			t.Errorf("%s %s: enabled %v, saved (-want +got):\n%s", tt.name, tt.ref, plan.Enabled, diff)
		}
	}
}

// With what the suites exclude no version that enables backups can lose data
// by its labels, nothing in one is refused, and its secrets can be generated.
func TestNothingIsHeldAgainstThem(t *testing.T) {
	for _, tt := range []struct {
		name, ref string
		secrets   []string
	}{
		{"custom-html", "1.0.0+1.22.1", nil},
		{"custom-html", "main", nil},
		{"forum", "1.0.0+1.0.0", []string{"db_password", "secret_key"}},
		{"forum", "main", []string{"db_password", "secret_key"}},
		{"mailu", "3.0.0+2024.06.50", []string{"secret_key"}},
		{"mailu", "main", []string{"secret_key"}},
		{"mailu", "add-backupbot-labels", []string{"secret_key"}},
		{"notes", "1.0.0+1.0.0", []string{"write_token"}},
		{"notes", "main", []string{"write_token"}},
	} {
		co, stack := checkout(t, tt.name, tt.ref)
		subject := labels.Subject{Stack: stack, Sample: co.Sample, Files: co.Files(), Excluded: excluded(t, tt.name)}
		for _, n := range labels.Check(subject) {
			if n.Severity == labels.Error {
				t.Errorf("%s %s: %s: %s: %s", tt.name, tt.ref, n.ID, n.Where, n.Text)
			}
		}
		if refused := recipe.Refusals(stack, co.Dir); len(refused) != 0 {
			t.Errorf("%s %s: refused: %v", tt.name, tt.ref, refused)
		}
		if got := secrets(t, co, stack); !slices.Equal(got, tt.secrets) {
			t.Errorf("%s %s: secrets %v, want %v", tt.name, tt.ref, got, tt.secrets)
		}
	}
}

// secrets names those that a deployment makes up values for.
func secrets(t *testing.T, co *recipe.Checkout, stack *labels.Stack) []string {
	t.Helper()
	specs, err := recipe.SecretSpecs(stack, co.Sample)
	if err != nil {
		t.Error(err)
	}
	var names []string
	for _, s := range specs {
		if s.Generate {
			names = append(names, s.Name)
		}
	}
	return names
}

func excluded(t *testing.T, name string) map[string]string {
	t.Helper()
	data, err := examples.Suite(name)
	if err != nil {
		t.Fatal(err)
	}
	suite, err := runner.ParseSuite(name, data)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, e := range suite.Excludes {
		if e.Path == "" {
			m[e.Volume] = e.Reason
		}
	}
	return m
}

// The labelled branch differs from main by its labels and its version alone.
func TestLabelBranchIsOnlyLabels(t *testing.T) {
	read := func(ref string) []string {
		co, _ := checkout(t, "mailu", ref)
		data, err := os.ReadFile(filepath.Join(co.Dir, "compose.yml"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(data), "\n")
	}
	labelled := slices.DeleteFunc(read("add-backupbot-labels"), func(line string) bool {
		return strings.Contains(line, "backupbot.") || line == "      labels:"
	})
	main := slices.DeleteFunc(read("main"), func(line string) bool { return line == "      labels:" })
	for i, line := range main {
		main[i] = strings.Replace(line, "version=3.0.1+", "version=3.0.2+", 1)
	}
	if diff := cmp.Diff(main, labelled); diff != "" {
		t.Errorf("main and the branch differ by more than labels (-main +branch):\n%s", diff)
	}
}

// Every image that a release names is one that scripts/images builds.
func TestImagesAreBuilt(t *testing.T) {
	script, err := os.ReadFile("../scripts/images")
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\timage "(ccci/mailu)-\$service" .* (\S+)$`).FindAllStringSubmatch(string(script), -1) {
		for _, service := range []string{"app", "admin", "imap", "smtp", "db"} {
			built[m[1]+"-"+service+":"+m[2]] = true
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^notes (\S+)$`).FindAllStringSubmatch(string(script), -1) {
		built["ccci/notes:"+m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^image (\S+) \S+ (\S+)$`).FindAllStringSubmatch(string(script), -1) {
		built[m[1]+":"+m[2]] = true
	}
	for _, name := range examples.Names() {
		for _, c := range examples.History(name) {
			data, err := os.ReadFile(filepath.Join(name, "releases", c.Version, "compose.yml"))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^    image: (\S+)$`).FindAllStringSubmatch(string(data), -1) {
				if !built[m[1]] {
					t.Errorf("%s %s: image %s is not built; built are %v", name, c.Version, m[1], slices.Sorted(maps.Keys(built)))
				}
			}
		}
	}
}

func TestWriteTree(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second one replaces the first
		if err := examples.WriteTree(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range examples.Names() {
		if _, err := recipe.Open(dir, name); err != nil {
			t.Error(err)
		}
		file := filepath.Join(dir, "ccci", "suites", name, runner.SuiteFile)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := runner.ParseSuite(file, data); err != nil || s.Recipe != name {
			t.Errorf("%s: %v, %v", file, s, err)
		}
	}
}

func TestBuildErrors(t *testing.T) {
	if err := examples.Build("nextcloud", t.TempDir()); err == nil {
		t.Error("an unknown recipe was built")
	}
	if err := examples.Build("notes", build(t, "notes")); err == nil {
		t.Error("a repository was built over")
	}
}
