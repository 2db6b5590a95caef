package labels

import (
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// FuzzLabels takes labels as lines key=value, and the folder of a volume that is
// mounted, and holds what must be true of any: both syntaxes mean the same in
// any order, nothing is saved that the specification would not save or that is no
// path in a mounted volume, and no hook runs that is not a label's own text.
func FuzzLabels(f *testing.F) {
	f.Add("backupbot.backup=true\nbackupbot.backup.path=/data/x,/other", "backupbot.backup=true\nbackupbot.backup.volumes.data.path=x/y", "")
	f.Add("backupbot.backup=true\nbackupbot.backup.volumes.third=false", "backupbot.backup.pre-hook=a | bash -c \"b|c\"\nbackupbot.backup=false", "")
	f.Add("backupbot.backup=true\nbackupbot.backup.path=/part/x,/data/../../etc", "", "a/b")
	f.Add("backupbot.backup=true\nbackupbot.backup.path=/part/x", "", "../../etc")
	f.Add("backupbot.backup=true\nbackupbot.backup.path=/part", "", "/etc")
	f.Add("backupbot.backup=true\nbackupbot.backup.volumes.data.path=../x,a/./../b,/etc,*,x\x1b2J,y z", "backupbot.backup.volumes.third.path=a,a/b,.", "")
	f.Add("backupbot.backup=true\nbackupbot.backup.path=/data,/in/data/x", "backupbot.backup=true\nbackupbot.backup.path=/in/data/../x,/third/\u202e", "")
	f.Add("backupbot.backup=true\nbackupbot.backup.pre-hook=$(touch x)`y`;<script>]]>", "backupbot.restore.post-hook=\t\nbackupbot.backup=${STACK_NAME}", "")
	f.Add("Backup-Bot.backup=true\n\"backupbot.backup\"=true\nbackupbot.backup.volumes..path=x\nbackupbot.backup.volumes.=false", "backupbot.backup=TRUE", "")
	f.Fuzz(func(t *testing.T, app, db, subpath string) {
		if !utf8.ValidString(subpath) {
			return
		}
		a, b := fuzzLabels(app), fuzzLabels(db)
		list, okList := fuzzSubject(a, b, subpath, inOrder)
		for name, syntax := range map[string]labelSyntax{"map": asMap, "list backwards": backwards} {
			other, ok := fuzzSubject(a, b, subpath, syntax)
			if ok != okList {
				t.Fatalf("list syntax resolves: %v, %s: %v", okList, name, ok)
			}
			if d := cmp.Diff(list.Plan, other.Plan); d != "" {
				t.Fatalf("list and %s:\n%s", name, d)
			}
			if d := cmp.Diff(Check(list), Check(other)); ok && d != "" {
				t.Fatalf("list and %s:\n%s", name, d)
			}
		}
		if okList {
			if d := cmp.Diff(list.Plan, PlanOf(list.Stack)); d != "" {
				t.Fatalf("planned twice:\n%s", d)
			}
			checkFuzzedPlan(t, list)
			checkFuzzedHooks(t, list.Plan, map[string]map[string]string{"app": a, "db": b})
		}
	})
}

func checkFuzzedPlan(t *testing.T, s Subject) {
	mounted := s.Stack.mounts()
	for _, p := range s.Plan.Saved() {
		if !s.Plan.Enabled || !filepath.IsLocal(p.Path) || p.Path != path.Clean(p.Path) || strings.ContainsFunc(p.Path, unicode.IsControl) || p.Label == "" {
			t.Fatalf("saved: %+v", p)
		}
		if !slices.ContainsFunc(mounted[p.Volume], func(m MountPoint) bool { return m.Service == p.Service && m.Target == p.Mount }) {
			t.Fatalf("%s is nowhere mounted: %+v", p, mounted[p.Volume])
		}
	}
	r := newReader(s.Stack)
	for _, v := range s.Plan.Volumes {
		spec := r.specification(v.Volume)
		if got := intersect(spec.paths, v.Paths); !slices.Equal(got, v.Paths) {
			t.Fatalf("volume %s: %v saved, the specification has %v", v.Volume, v.Paths, spec.paths)
		}
		if v.Saved == (v.Why != "") {
			t.Fatalf("volume %s: saved %v, why %q", v.Volume, v.Saved, v.Why)
		}
	}
	if d := Diff(s, s); len(d) != 0 {
		t.Fatalf("differs from itself: %v", d)
	}
}

// checkFuzzedHooks holds that a hook is what a label says once its variables
// have their values, or is what docker makes of a text that has some.
func checkFuzzedHooks(t *testing.T, plan *Plan, written map[string]map[string]string) {
	for _, h := range plan.Hooks {
		text, ok := written[h.Service][prefixKey+string(h.Kind)]
		if !plan.Enabled || !ok || !strings.Contains(text, "$") && text != h.Command {
			t.Fatalf("hook %+v of label %q (there: %v)", h, text, ok)
		}
	}
}

// FuzzLabelVariable puts any text into a label through a variable, as an
// operator's env may: it becomes the value, and nothing else.
func FuzzLabelVariable(f *testing.F) {
	for _, v := range []string{
		"true", "", "true\n- backupbot.backup.volumes.data=false", "true\", \"backupbot.restore.pre-hook\": \"x", "${STACK_NAME}", "$${X}", "$(touch x)",
		"x=y", "# c", "'", "\"", "\\", "\x00", "\x1b[2J", "\u202e", "]]>", "&a [*a]", "!!int 1", "null", "~", " lead", "trail ", "a\r\nb",
	} {
		f.Add("backupbot.backup.pre-hook", v)
		f.Add("backupbot.backup", v)
		f.Add("backupbot.backup.path", v)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		if !utf8.ValidString(value) || !utf8.ValidString(key) || strings.ContainsAny(key, "=$") || strings.Trim(key, "\n") == "" {
			return // docker's schema takes no key of line ends alone
		}
		for _, syntax := range []labelSyntax{asMap, inOrder} {
			stack, _, err := fuzzStack(map[string]string{key: "${V}"}, nil, "", syntax, map[string]string{"STACK_NAME": "s", "V": value})
			if empties := isBackupKey(key) && strings.TrimSpace(value) == ""; empties != (err != nil) {
				t.Fatalf("resolves with %v, which empties a backup label: %v", err, empties)
			}
			if err != nil {
				continue
			}
			if d := cmp.Diff(map[string]string{key: value}, stack.service("app").Labels); d != "" {
				t.Fatalf("labels:\n%s", d)
			}
			if db := stack.service("db"); len(stack.Services) != 2 || len(db.Labels) != 0 {
				t.Fatalf("services: %+v", stack.Services)
			}
		}
	})
}

func fuzzLabels(lines string) map[string]string {
	m := map[string]string{}
	for _, l := range strings.Split(lines, "\n") {
		if k, v, ok := strings.Cut(l, "="); ok && k != "" && !strings.Contains(k, "$") && utf8.ValidString(l) { // keys of maps are not interpolated
			m[k] = v
		}
	}
	return m
}

func fuzzSubject(app, db map[string]string, subpath string, syntax labelSyntax) (Subject, bool) {
	stack, files, err := fuzzStack(app, db, subpath, syntax, map[string]string{"STACK_NAME": "s"})
	if err != nil {
		return Subject{}, false
	}
	return Subject{Stack: stack, Plan: PlanOf(stack), Files: files}, true
}

// fuzzStack has two services with these labels, of which app mounts a folder of
// the volume part.
func fuzzStack(app, db map[string]string, subpath string, syntax labelSyntax, env map[string]string) (*Stack, fs.FS, error) {
	mounts := []any{"data:/data", "other:/other"}
	if subpath != "" {
		mounts = append(mounts, map[string]any{"type": "volume", "source": "part", "target": "/part", "volume": map[string]string{"subpath": subpath}})
	}
	doc := map[string]any{
		"services": map[string]any{
			"app": map[string]any{"image": "x", "volumes": mounts, "deploy": map[string]any{"labels": syntax(app)}},
			"db":  map[string]any{"image": "postgres", "volumes": []string{"third:/third", "data:/in/data:ro"}, "deploy": map[string]any{"labels": syntax(db)}},
		},
		"volumes": map[string]any{"data": map[string]any{}, "other": map[string]any{}, "third": map[string]any{}, "part": map[string]any{}},
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil, nil, err
	}
	files := recipeFS("compose.yml", string(text))
	stack, _, err := Resolve(Source{Dir: "/r", Files: files, Env: env})
	return stack, files, err
}

// A labelSyntax writes labels as compose files may.
type labelSyntax func(map[string]string) any

func asMap(m map[string]string) any {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func inOrder(m map[string]string) any {
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return out
}

func backwards(m map[string]string) any {
	out := inOrder(m).([]string)
	slices.Reverse(out)
	return out
}

// FuzzResolve must answer, not panic, to any bytes; errors say where.
func FuzzResolve(f *testing.F) {
	f.Add("services: {app: {image: 'x:${T:-1}', env_file: a, volumes: ['v:/v']}}\nvolumes: {v: }", "A=1")
	f.Add("x: &a [*a]", "")
	f.Add("services: {1: 2}", "")
	f.Fuzz(func(t *testing.T, compose, sample string) {
		env, err := ParseEnv(".env.sample", []byte(sample))
		if err != nil {
			return
		}
		files := recipeFS("compose.yml", compose, "a", sample)
		stack, _, err := Resolve(Source{Dir: "/r", Files: files, Env: env.Map()})
		if err != nil {
			if _, ok := err.(*SourceError); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		s := Subject{Stack: stack, Sample: env, Files: files}
		Check(s)
		CheckAgainst(s, s)
	})
}
