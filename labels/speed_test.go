package labels

import (
	"os"
	"testing"
)

// BenchmarkRecipe is what `abra-ccci labels --diff` does with one recipe: base
// and head resolved, planned, judged, and compared.
func BenchmarkRecipe(b *testing.B) {
	dir := os.DirFS("testdata/mailu")
	read := func() Subject {
		s := Subject{Files: dir}
		data, err := os.ReadFile("testdata/mailu/.env.sample")
		if err != nil {
			b.Fatal(err)
		}
		if s.Sample, err = ParseEnv(".env.sample", data); err != nil {
			b.Fatal(err)
		}
		env := s.Sample.Map()
		for k, v := range fixed {
			env[k] = v
		}
		if s.Stack, _, err = Resolve(Source{Dir: "/recipe", Files: dir, Env: env}); err != nil {
			b.Fatal(err)
		}
		s.Plan = PlanOf(s.Stack)
		return s
	}
	compare := func() {
		base, head := read(), read()
		Check(head)
		CheckAgainst(base, head)
		Diff(base, head)
	}
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			compare()
		}
	})
	b.Run("on all cores", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				compare()
			}
		})
	})
}
