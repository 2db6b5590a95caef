package runner_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/lint"
	"coopcloud.tech/abra-ccci/runner"
)

const schemaFile = "../docs/results.schema.json"

// resultsSchema compiles the published schema; formats are asserted.
func resultsSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	s, err := c.Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fullRecord is the handmade record in which everything occurs, decoded anew.
func fullRecord(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "results", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, data)
}

func decode(t *testing.T, data []byte) map[string]any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func TestSchemaAccepts(t *testing.T) {
	if err := resultsSchema(t).Validate(fullRecord(t)); err != nil {
		t.Error(err)
	}
}

// What this package reads and writes again is still valid.
func TestSchemaAcceptsWhatIsEncoded(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "results", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.ReadResults(data)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.Encode(&out); err != nil {
		t.Fatal(err)
	}
	got := decode(t, out.Bytes())
	if err := resultsSchema(t).Validate(got); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(fullRecord(t), got); diff != "" {
		t.Errorf("reading and writing changes the record (-want +got):\n%s", diff)
	}
}

// at follows keys (string) and indexes (int) to a place in a record.
func at(v any, path ...any) any {
	for _, p := range path {
		if i, ok := p.(int); ok {
			v = v.([]any)[i]
		} else {
			v = v.(map[string]any)[p.(string)]
		}
	}
	return v
}

func TestSchemaRejects(t *testing.T) {
	set := func(key string, value any, path ...any) func(map[string]any) {
		return func(r map[string]any) { at(r, path...).(map[string]any)[key] = value }
	}
	without := func(key string, path ...any) func(map[string]any) {
		return func(r map[string]any) { delete(at(r, path...).(map[string]any), key) }
	}
	num := json.Number("7")
	tests := []struct {
		name   string
		change func(map[string]any)
	}{
		{"older schema", set("schema", json.Number("2"))},
		{"unknown key", set("capped", true)},
		{"missing key", without("level_reason")},
		{"level above the ladder", set("level", num)},
		{"short commit", set("head", "c0ffee")},
		{"no time", set("started", "yesterday")},
		{"null list", set("deviations", nil)},
		{"image by tag", set("admin", "debian:bookworm", "images")},
		{"suite by name", set("digest", "suite.toml", "suite")},
		{"unknown rung", set("backup", "pass", "rungs")},
		{"rung without status", without("lint", "rungs")},
		{"unknown status", set("lint", "green", "rungs")},
		{"fault of no stage", set("stage", "", "fault")},
		{"fault without a reason", set("reason", "", "fault")},
		{"fault of an unknown stage", set("stage", "warmup", "fault")},
		{"unknown stage", set("name", "warmup", "stages", 0)},
		{"passed stage without tests", set("tests", []any{}, "stages", 0)},
		{"stage that did not pass, for no reason", set("reason", "", "stages", 5)},
		{"test with a capital", set("name", "Lint_R001", "stages", 0, "tests", 0)},
		{"test that failed for no reason", set("reason", "", "stages", 3, "tests", 1)},
		{"log outside of the run folder", set("log", "../../etc/passwd", "stages", 0, "tests", 0)},
		{"absolute log", set("log", "/etc/passwd", "stages", 0, "tests", 0)},
		{"negative time", set("ms", json.Number("-1"), "stages", 0, "tests", 0)},
		{"unknown proof", set("proof", "trust me", "coverage", 0)},
		{"app proof without a probe", set("probes", []any{}, "coverage", 1)},
		{"app proof of what is not saved", set("saved", false, "coverage", 1)},
		{"not saved, for no reason", set("reason", "", "coverage", 2)},
		{"unknown severity", set("severity", "fatal", "notices", 0)},
		{"short snapshot id", set("id", "dddd", "snapshots", 0)},
		{"skipped flag", set("no_secret_leak", "skip", "flags")},
		{"unknown lint outcome", set("outcome", "meh", "lint", "rules", 0)},
		{"rule not satisfied, for no reason", without("reason", "lint", "rules", 1)},
		{"skipped for no reason", set("intentional", map[string]any{"upgrade": ""}, "skips")},
		{"skipped rung that is none", set("unintentional", []any{"teardown"}, "skips")},
	}
	schema := resultsSchema(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := fullRecord(t)
			tt.change(r)
			if schema.Validate(r) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}

// The schema names exactly the keys that the types have.
func TestSchemaNamesEveryKey(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := decode(t, data)
	top := func(key string) any { return at(doc, "properties", key) }
	def := func(key string) any { return at(doc, "$defs", key) }
	tests := []struct {
		name   string
		schema any
		value  any
	}{
		{"results", doc, runner.Results{}}, {"tool", top("tool"), runner.Tool{}}, {"engine", top("engine"), runner.EngineInfo{}}, {"suite", top("suite"), runner.SuiteRecord{}},
		{"fault", top("fault"), runner.Fault{}},
		{"stage", def("stage"), runner.Stage{}}, {"test", def("test"), runner.Test{}}, {"skips", top("skips"), runner.Skips{}},
		{"coverage", def("coverage"), runner.Coverage{}}, {"notice", def("notice"), labels.Notice{}}, {"snapshot", def("snapshot"), runner.Snapshot{}},
		{"drill", top("drill"), runner.Drill{}}, {"flags", top("flags"), runner.Flags{}}, {"lint", top("lint"), runner.LintRecord{}},
		{"rule", def("rule"), lint.Result{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want, got []string
			for f := range reflect.TypeOf(tt.value).Fields() {
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				want = append(want, name)
			}
			for key := range at(tt.schema, "properties").(map[string]any) {
				got = append(got, key)
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("keys (-types +schema):\n%s", diff)
			}
		})
	}
}
