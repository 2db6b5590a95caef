package labels

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInMount(t *testing.T) {
	svc := &Service{Mounts: []Mount{
		{Volume: "outer", Target: "/data"}, {Volume: "inner", Target: "/data/in"},
		{Volume: "part", Target: "/part", Subpath: "a/b"}, {Volume: "late", Target: "/x/y"}, {Volume: "early", Target: "/x"},
	}}
	tests := []struct{ path, volume, rel string }{
		{"/data", "outer", "."},
		{"/data/f", "outer", "f"},
		{"/data/in", "inner", "."},
		{"/data/in/f", "inner", "f"},
		{"/data/inner", "outer", "inner"},
		{"/part", "part", "a/b"},
		{"/part/c", "part", "a/b/c"},
		{"/x/y/z", "late", "z"},
		{"/x/z", "early", "z"},
		{"/", "", ""},
		{"/database", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			m, rel, ok := svc.inMount(tt.path)
			if m.Volume != tt.volume || rel != tt.rel || ok != (tt.volume != "") {
				t.Errorf("got %q %q %v, want %q %q", m.Volume, rel, ok, tt.volume, tt.rel)
			}
		})
	}
}

func TestIntersect(t *testing.T) {
	tests := []struct {
		name       string
		a, b, want []string
	}{
		{"whole and part", []string{"."}, []string{"a", "b/c"}, []string{"a", "b/c"}},
		{"nothing common", []string{"a"}, []string{"b"}, nil},
		{"a name is no folder of a longer name", []string{"a"}, []string{"ab"}, nil},
		{"deeper wins", []string{"a", "b"}, []string{"a/x", "b"}, []string{"a/x", "b"}},
		{"below another", []string{"a", "a/b"}, []string{"."}, []string{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range [][]string{intersect(tt.a, tt.b), intersect(tt.b, tt.a)} {
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

// A path is named after the first service that can write to it.
func TestSavedNamesAWriter(t *testing.T) {
	s := &Stack{Services: []Service{
		{Name: "app", Labels: map[string]string{"backupbot.backup": "true"}, Mounts: []Mount{{Volume: "v", Target: "/ro", ReadOnly: true}}},
		{Name: "db", Mounts: []Mount{{Volume: "v", Target: "/rw"}}},
		{Name: "web", Mounts: []Mount{{Volume: "v", Target: "/also"}, {Volume: "w", Target: "/w", ReadOnly: true}}},
	}}
	if d := cmp.Diff([]string{"db:/rw = v:.", "web:/w = w:."}, savedWords(PlanOf(s))); d != "" {
		t.Error(d)
	}
}

func TestRefusedVolumeWithAnotherMount(t *testing.T) {
	s := &Stack{Services: []Service{
		{Name: "app", Labels: map[string]string{"backupbot.backup": "true"}, Mounts: []Mount{{Volume: "shared", Target: "/s"}}},
		{Name: "db", Labels: map[string]string{"backupbot.backup": "false"}, Mounts: []Mount{{Volume: "shared", Target: "/s"}, {Volume: "own", Target: "/o"}}},
	}}
	if d := cmp.Diff([]string{"app:/s = shared:."}, savedWords(PlanOf(s))); d != "" {
		t.Error(d)
	}
}
