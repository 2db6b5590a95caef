package labels

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// FuzzLabels takes labels as lines key=value and holds what must be true of
// any: both syntaxes mean the same, nothing is saved that the specification
// would not save or that is no path in a mounted volume.
func FuzzLabels(f *testing.F) {
	f.Add("backupbot.backup=true\nbackupbot.backup.path=/data/x,/other", "backupbot.backup=true\nbackupbot.backup.volumes.data.path=x/y")
	f.Add("backupbot.backup=true\nbackupbot.backup.volumes.third=false", "backupbot.backup.pre-hook=a | bash -c \"b|c\"\nbackupbot.backup=false")
	f.Fuzz(func(t *testing.T, app, db string) {
		a, b := fuzzLabels(app), fuzzLabels(db)
		list, okList := fuzzSubject(a, b, true)
		byMap, okMap := fuzzSubject(a, b, false)
		if okList != okMap {
			t.Fatalf("list syntax resolves: %v, map syntax: %v", okList, okMap)
		}
		if !okList {
			return
		}
		if d := cmp.Diff(list.Plan, byMap.Plan); d != "" {
			t.Fatalf("list and map:\n%s", d)
		}
		if d := cmp.Diff(Check(list), Check(byMap)); d != "" {
			t.Fatalf("list and map:\n%s", d)
		}
		checkFuzzedPlan(t, list)
	})
}

func checkFuzzedPlan(t *testing.T, s Subject) {
	mounted := s.Stack.mounts()
	for _, p := range s.Plan.Saved() {
		if !s.Plan.Enabled || mounted[p.Volume] == nil || !filepath.IsLocal(p.Path) || p.Label == "" {
			t.Fatalf("saved: %+v", p)
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

func fuzzLabels(lines string) map[string]string {
	m := map[string]string{}
	for _, l := range strings.Split(lines, "\n") {
		if k, v, ok := strings.Cut(l, "="); ok && k != "" && !strings.Contains(k, "$") && utf8.ValidString(l) { // keys of maps are not interpolated
			m[k] = v
		}
	}
	return m
}

func fuzzSubject(app, db map[string]string, list bool) (Subject, bool) {
	doc := map[string]any{
		"services": map[string]any{
			"app": map[string]any{"image": "x", "volumes": []string{"data:/data", "other:/other"}, "deploy": map[string]any{"labels": labelSyntax(app, list)}},
			"db":  map[string]any{"image": "postgres", "volumes": []string{"third:/third", "data:/in/data:ro"}, "deploy": map[string]any{"labels": labelSyntax(db, list)}},
		},
		"volumes": map[string]any{"data": map[string]any{}, "other": map[string]any{}, "third": map[string]any{}},
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return Subject{}, false
	}
	files := recipeFS("compose.yml", string(text))
	stack, _, err := Resolve(Source{Dir: "/r", Files: files, Env: map[string]string{"STACK_NAME": "s"}})
	if err != nil {
		return Subject{}, false
	}
	return Subject{Stack: stack, Plan: PlanOf(stack), Files: files}, true
}

func labelSyntax(m map[string]string, list bool) any {
	if !list {
		return m
	}
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
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
