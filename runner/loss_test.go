package runner

import (
	"errors"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/labels"
)

// What did not come back is explained by what was never saved, and nothing
// else is.
func TestLost(t *testing.T) {
	saved := func(volumes ...string) *labels.Plan {
		p := &labels.Plan{Enabled: true}
		for _, v := range volumes {
			p.Volumes = append(p.Volumes, labels.VolumePlan{Volume: v, Saved: true, Paths: []string{"."}, Mounts: []labels.MountPoint{{Service: "x", Target: "/x"}}})
		}
		return p
	}
	layer := Outside{Service: "app", Kind: "layer", Path: "/srv/store"}
	miss := errors.New("misses: it is gone")
	tests := []struct {
		name    string
		plan    *labels.Plan
		outside []Outside
		err     error
		want    string
	}{
		{"nothing lost", saved(), []Outside{layer}, nil, ""},
		{"no explanation", saved("data"), nil, miss, "misses: it is gone"},
		{"not saved", saved("other"), nil, miss, "misses: it is gone; no label saves app:/data, which it covers"},
		{"in the layer", saved("data"), []Outside{layer}, miss, "misses: it is gone; the app writes to /srv/store of service app (the container's writable layer), which no backup sees"},
		{"in another service's layer", saved("data"), []Outside{{Service: "db", Kind: "layer", Path: "/x"}}, miss, "misses: it is gone"},
		{"the machine's fault", saved("other"), []Outside{layer}, &InfraError{Op: "exec", Err: errors.New("engine gone")}, "exec: engine gone"},
		{"blocked", saved("other"), []Outside{layer}, blocked("x"), "blocked by x"},
	}
	stack := &labels.Stack{Services: []labels.Service{{Name: "app", Mounts: []labels.Mount{{Volume: "data", Target: "/data"}}}}}
	p := &tracked{Probe: Probe{Covers: []string{"app:/data"}, Check: []Step{{Service: "app"}}}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Run{running: &Deployment{Stack: stack}, outside: tt.outside}
			err := r.lost(tt.plan, p, tt.err)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want || !errors.Is(err, tt.err) || strings.Contains(got, "; ;") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
