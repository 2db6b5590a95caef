package swarm

import (
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// BenchmarkOneService tells what this package and Swarm cost beside what an
// app takes by itself: seconds for each step of a stack of one service.
func BenchmarkOneService(b *testing.B) {
	const compose = "version: '3.8'\nservices: {app: {image: IMAGE, command: [serve], volumes: ['data:/data']}}\nvolumes: {data: {}}\n"
	steps := []struct {
		name string
		do   func(r *rig) error
	}{
		{"deploy", func(r *rig) error { return r.Deploy(r.ctx, r.deployment(compose)) }},
		{"exec", func(r *rig) error {
			_, err := r.Exec(r.ctx, "app", runner.Command{Argv: []string{"/app", "ps"}})
			return err
		}},
		{"ask", func(r *rig) error {
			_, err := r.Ask(r.ctx, "app", runner.Request{URL: "http://localhost:8080/"})
			return err
		}},
		{"toolbox", func(r *rig) error {
			_, err := r.Run(r.ctx, []string{"/app", "ps"}, nil)
			return err
		}},
		{"restart", func(r *rig) error { return r.Restart(r.ctx) }},
		{"undeploy", func(r *rig) error { return r.Undeploy(r.ctx, runner.Removal{Volumes: true, Secrets: true}) }},
	}
	spent := map[string]time.Duration{}
	for b.Loop() {
		r := newRig(b)
		for _, s := range steps {
			start := time.Now()
			if err := s.do(r); err != nil {
				b.Fatalf("%s: %v", s.name, err)
			}
			spent[s.name] += time.Since(start)
		}
	}
	for _, s := range steps {
		b.ReportMetric(spent[s.name].Seconds()/float64(b.N), s.name+"-s/op")
	}
}
