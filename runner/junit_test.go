package runner

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fullResults is a record in which everything occurs.
func fullResults(t *testing.T) *Results {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "results", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadResults(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// golden compares got with a file in testdata.
func golden(t *testing.T, got, name string) {
	t.Helper()
	path := filepath.Join("testdata", "results", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

// hostile is text that must not become anything else.
const hostile = "a]]>&<b \"q\" | \x1b[2J\u202e\x00\xff\n# h <script>alert(1)</script> ![i](http://x) `c` *e* @all"

func renderJUnit(t *testing.T, r *Results) (string, junitSuites) {
	t.Helper()
	var buf bytes.Buffer
	if err := JUnit(&buf, r); err != nil {
		t.Fatal(err)
	}
	var back junitSuites
	if err := xml.Unmarshal(buf.Bytes(), &back); err != nil {
		t.Fatalf("not XML: %v\n%s", err, buf.String())
	}
	return buf.String(), back
}

func TestJUnit(t *testing.T) {
	text, doc := renderJUnit(t, fullResults(t))
	golden(t, text, "full.xml")
	want := junitCounts{Tests: 21, Failures: 2, Errors: 3}
	if doc.junitCounts != want {
		t.Errorf("counts are %+v, want %+v", doc.junitCounts, want)
	}
}

// A run that was cut short has no stage that is red: its rungs are.
func TestJUnitIsNotGreenWhenCutShort(t *testing.T) {
	r := fullResults(t)
	r.Stages = r.Stages[:1]
	r.Flags, r.Fault = Flags{}, Fault{}
	r.settle()
	_, doc := renderJUnit(t, r)
	if doc.Failures != 0 || doc.Errors != 6 { // four rungs, two flags
		t.Errorf("counts are %+v, want 6 errors", doc.junitCounts)
	}
}

func TestJUnitStatuses(t *testing.T) {
	stage := func(s Status, tests ...Test) *Results {
		return &Results{Stages: []Stage{{Name: "drill", Status: s, Reason: "why", Tests: tests}}}
	}
	tests := []struct {
		name string
		r    *Results
		want junitCounts
	}{
		{"pass", stage(Pass, Test{Name: "t", Status: Pass}), junitCounts{Tests: 1}},
		{"fail", stage(Fail, Test{Name: "t", Status: Fail}), junitCounts{Tests: 1, Failures: 1}},
		{"unver", stage(Unver, Test{Name: "t", Status: Unver}), junitCounts{Tests: 1, Errors: 1}},
		{"skip", stage(Skip, Test{Name: "t", Status: Skip}), junitCounts{Tests: 1, Skipped: 1}},
		{"a word we do not know", stage(Unver, Test{Name: "t", Status: "great"}), junitCounts{Tests: 2, Errors: 2}},
		{"nothing was tested", stage(Unver), junitCounts{Tests: 1, Errors: 1}},
		{"a stage that was skipped whole", stage(Skip), junitCounts{Tests: 1, Skipped: 1}},
		{"worse than its tests", stage(Unver, Test{Name: "t", Status: Pass}), junitCounts{Tests: 2, Errors: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, doc := renderJUnit(t, tt.r)
			if got := doc.Suites[1].junitCounts; got != tt.want {
				t.Errorf("counts are %+v, want %+v", got, tt.want)
			}
		})
	}
}

// poison puts hostile text into every string of a record, and hostile keys into its maps.
func poison(t *testing.T, r *Results) *Results {
	t.Helper()
	return poisonWith(t, r, hostile)
}

// poisonWith does it with any text.
func poisonWith(t *testing.T, r *Results, poison string) *Results {
	t.Helper()
	var value any
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case string:
			if _, err := time.Parse(time.RFC3339Nano, v); err != nil && marks[Status(v)] == "" {
				return v + poison
			}
		}
		return v
	}
	if data, err = json.Marshal(walk(value)); err != nil {
		t.Fatal(err)
	}
	var out Results
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	out.Images[poison] = poison
	return &out
}

func TestJUnitWithHostileText(t *testing.T) {
	text, doc := renderJUnit(t, poison(t, fullResults(t)))
	if Printable(strings.ReplaceAll(text, "\n", "")) != strings.ReplaceAll(text, "\n", "") {
		t.Errorf("something does not print: %q", text)
	}
	if len(doc.Suites) != 9 || doc.Tests != 21 {
		t.Errorf("%d suites and %d tests", len(doc.Suites), doc.Tests)
	}
}
