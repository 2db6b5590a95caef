package canary

import (
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

const image = "example.com/store:1"

// Every canary and every good recipe is a recipe with a base to upgrade from
// and a suite that can be read: what is wrong with it is what was planted.
func TestWrite(t *testing.T) {
	canaries := All()
	for _, name := range Goods() {
		canaries = append(canaries, Good(name))
	}
	for _, c := range canaries {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w, err := c.Write(dir, image)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := recipe.Open(dir, w.Recipe)
			if err != nil {
				t.Fatal(err)
			}
			if rec.Name != c.Of {
				t.Errorf("the recipe is called %q, not %q", rec.Name, c.Of)
			}
			suite, err := runner.ReadSuite(os.DirFS(w.Suite), w.Suite)
			if err != nil || suite.Recipe != c.Of {
				t.Fatalf("the suite: %v", err)
			}
			head, err := rec.Commit("")
			if err != nil {
				t.Fatal(err)
			}
			base, found, why, err := rec.Base(head)
			if err != nil || !found || base.Version != baseVersion || head.Version != headVersion {
				t.Errorf("head %s, base %q (%v, %s, %v)", head.Version, base.Version, found, why, err)
			}
			checkout, err := rec.Checkout(head, filepath.Join(dir, "head"))
			if err != nil {
				t.Fatal(err)
			}
			stack, _, err := checkout.Stack(checkout.AppEnv(recipe.Domain(rand.Reader), suite.Deploy.Env))
			if err != nil {
				t.Fatal(err)
			}
			if refusals := recipe.Refusals(stack, checkout.Dir); (len(refusals) > 0) != (c.Want.Test == "nothing_dangerous") {
				t.Errorf("refused: %v", refusals)
			}
		})
	}
}

// A canary differs from its good recipe in the files that are planted, and in
// those alone; a good recipe has nothing planted.
func TestPlantedAlone(t *testing.T) {
	for _, c := range All() {
		bad, err := c.files(image)
		if err != nil {
			t.Fatal(err)
		}
		good, err := Good(c.Of).files(image)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(bad[baseVersion], good[baseVersion]) {
			t.Errorf("%s: the base is another", c.Name)
		}
		var changed, planted []string
		for _, part := range []string{headVersion, suite} {
			for name, text := range bad[part] {
				if good[part][name] != text {
					changed = append(changed, name)
				}
			}
		}
		for _, e := range c.Plant {
			planted = append(planted, e.File)
		}
		slices.Sort(changed)
		slices.Sort(planted)
		if !slices.Equal(changed, slices.Compact(planted)) {
			t.Errorf("%s: %v changed, %v planted", c.Name, changed, planted)
		}
		if (len(c.Plant) == 0) == (c.Sabotage == nil) {
			t.Errorf("%s: something is planted or sabotaged, and only one of them", c.Name)
		}
	}
}

// An edit that does not fit is no edit: the canary would be a good recipe.
func TestEditMustFit(t *testing.T) {
	files := func() map[string]string { return map[string]string{"a": "one two one"} }
	for _, e := range []Edit{{"a", "three", "x"}, {"a", "one", "x"}, {"b", "one", "x"}, {"a", "", "x"}} {
		if err := e.in(files()); err == nil {
			t.Errorf("%+v fits", e)
		}
	}
	for e, want := range map[Edit]string{{"a", "two", "x"}: "one x one", {"a", "one two", ""}: " one"} {
		f := files()
		if err := e.in(f); err != nil || f["a"] != want {
			t.Errorf("%+v: %q, %v", e, f["a"], err)
		}
	}
}

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if seen[c.Name] || c.Name != strings.ReplaceAll(runner.Slug(c.Name), "_", "-") || slices.Contains(Goods(), c.Name) {
			t.Errorf("%q is no name of its own", c.Name)
		}
		seen[c.Name] = true
		w := c.Want
		if c.Wrong == "" || w.Test != runner.Slug(w.Test) || w.Test == "" || w.Reason == "" || w.Status != runner.Fail && w.Status != runner.Unver {
			t.Errorf("%s wants too little: %+v", c.Name, w)
		}
		if !slices.Contains(append([]string{FlagCleanTeardown, FlagNoSecretLeak, runner.StageMutants, StageReview}, runner.Rungs...), w.Rung) {
			t.Errorf("%s: no rung or flag %q", c.Name, w.Rung)
		}
		if slices.Contains(runner.Rungs, w.Rung) && !slices.Contains(c.Rungs, w.Rung) {
			t.Errorf("%s does not climb the rung %s at which it is to be caught", c.Name, w.Rung)
		}
		if added := w.Rung == runner.StageMutants || w.Rung == StageReview; added != (c.Trial != Climbed) || w.Rung == runner.StageMutants && c.Trial != Reviewed {
			t.Errorf("%s is to be caught at %s, and its trial is %d", c.Name, w.Rung, c.Trial)
		}
		first := c
		for _, o := range All() {
			if o.Name == c.Like {
				first = o
			}
		}
		if w.Rung == runner.StageMutants && first.Mutants != nil && !slices.Contains(first.Mutants, w.Test) {
			t.Errorf("%s waits for %s, and the run tries %q", c.Name, w.Test, first.Mutants)
		}
		if c.Like != "" && !slices.ContainsFunc(All(), func(o Canary) bool {
			return o.Name == c.Like && o.Of == c.Of && o.Trial == c.Trial && o.Until == c.Until && slices.Equal(o.Plant, c.Plant) && slices.Equal(o.Rungs, c.Rungs) && seen[o.Name]
		}) {
			t.Errorf("%s is not like %q, which must come before it", c.Name, c.Like)
		}
	}
}
