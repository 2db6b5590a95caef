package inside

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestMain lets the tests run subcommands as processes of their own.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		os.Exit(Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// outcome is what Main left behind.
type outcome struct {
	exit           int
	stdout, stderr string
}

func runMain(stdin string, argv ...string) outcome {
	var out, errs bytes.Buffer
	exit := Main(argv, strings.NewReader(stdin), &out, &errs)
	return outcome{exit, out.String(), errs.String()}
}

func TestMainUsage(t *testing.T) {
	tests := []struct {
		name string
		argv []string
		want string
	}{
		{"nothing", nil, "no subcommand"},
		{"unknown", []string{"dance"}, `unknown subcommand "dance"`},
		{"too few", []string{"manifest"}, "want 1 arguments [DIR], got 0"},
		{"too many", []string{"ipvs", "x"}, "want 0 arguments [], got 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := runMain("", tt.argv...)
			if got.exit != exitUsage || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("Main(%q) = %+v, want exit %d and %q", tt.argv, got, exitUsage, tt.want)
			}
		})
	}
}
