package recipe

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseExports(t *testing.T) {
	tests := []struct {
		name, script string
		want         map[string]string
		computed     []string
	}{
		{"bare", "export A_VERSION=v4", map[string]string{"A_VERSION": "v4"}, nil},
		{"quotes", `export A='v 4' B="v5" C="a"'b'c`, map[string]string{"A": "v 4", "B": "v5", "C": "abc"}, nil},
		{"empty", "export A=", map[string]string{"A": ""}, nil},
		{"comment", "#!/bin/bash\n# export A=1\nexport B=2 # two", map[string]string{"B": "2"}, nil},
		{"the later line wins", "export A=1\nexport A=2", map[string]string{"A": "2"}, nil},
		{"not exported", "A=1\nlocal B=2", nil, nil},
		{"name alone", "A=1; export A", nil, nil},
		{"in a function", "f() { export A=1; }", nil, nil},
		{"computed", "export A=$(id) B=$HOME C=`id` D=\"x$((1))\" E=$'x' F=a\\ b", nil, []string{"A", "B", "C", "D", "E", "F"}},
		{"computed after all", "export A=1\nexport A=$B", nil, []string{"A"}},
		{"nothing", "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, computed, err := parseExports([]byte(tt.script))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil {
				tt.want = map[string]string{}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.computed, computed); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseExportsNeverExecutes(t *testing.T) {
	proof := filepath.Join(t.TempDir(), "executed")
	if _, _, err := parseExports([]byte("export A=$(touch " + proof + ")\ntouch " + proof)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(proof); err == nil {
		t.Error("abra.sh was executed")
	}
}

func TestParseExportsError(t *testing.T) {
	_, _, err := parseExports([]byte("export A=1\nif true; then\n"))
	checkError(t, err, "abra.sh:2", "")
}
