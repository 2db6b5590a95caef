package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
)

// runWith is a run with a folder and a head of these files, name and content in turn.
func runWith(t testing.TB, files ...string) *Run {
	t.Helper()
	dir := t.TempDir()
	folder, err := NewFolder(filepath.Join(dir, "runs"), filepath.Join(dir, "locks"), "r")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	head := filepath.Join(dir, "head")
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(head, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sample, err := labels.ParseEnv(".env.sample", []byte("TYPE=notes\nDOMAIN=notes.example.com\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &Run{Config: Config{Folder: folder, Vault: NewVault(), Suite: NoSuite("notes"), Domain: "d.example.com",
		Head: &recipe.Checkout{Recipe: "notes", Dir: head, Sample: sample}}, secrets: map[string]Secret{}, leaks: &leaks{}, kept: &atomic.Int64{}}
}

func TestServiceLog(t *testing.T) {
	const secret = "s3cret-value"
	type write struct {
		stream int // 1 or 2
		text   string
	}
	tests := []struct {
		name   string
		writes []write
		leaks  string
		stored string
	}{
		{"harmless", []write{{1, "up\n"}, {2, "warning\n"}}, "", "up\nwarning\n"},
		{"in two writes", []write{{1, "x s3cr"}, {1, "et-value\n"}}, "db (plain) in the log of app", "x [redacted:db]\n"},
		{"in two lines", []write{{1, "s3cr\n"}, {1, "et-value\n"}}, "db (plain) in the log of app", "[redacted:db]\n"},
		{"interrupted by the other stream", []write{{1, "x s3cr"}, {2, "warning\n"}, {1, "et-value\n"}}, "db (plain) in the log of app", "warning\nx [redacted:db]\n"},
		{"interrupted line after line", []write{{1, "s3cr\n"}, {2, "warning\n"}, {1, "et-value\n"}}, "db (plain) in the log of app", "warning\n[redacted:db]\n"},
		{"half to each stream", []write{{1, "s3cr\n"}, {2, "et-value\n"}}, "db (plain) in the log of app", "et-value\ns3cr\n"},
		{"put together by what is stored", []write{{1, "s3cr\nzz"}, {2, "et-value\n"}, {1, "\n"}}, "db (plain) in the log of app", "[redacted:db]\nzz\n"},
		{"without a last line end", []write{{1, "s3cr"}, {1, "et-value"}, {2, "end"}}, "db (plain) in the log of app", "[redacted:db]end"},
		{"a long line", []write{{1, strings.Repeat("-", maxLine-4) + "s3cr"}, {1, "et-value"}}, "db (plain) in the log of app", strings.Repeat("-", maxLine-4) + "[redacted:db]"},
		{"terminal sequences", []write{{1, "\x1b]0;t\a\x1b[31mred\x1b[0m\r\n"}, {2, "\u202e\xff"}}, "", `\x1b]0;t\x07\x1b[31mred\x1b[0m` + "\n" + `\u202e\xff`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := runWith(t)
			r.search("db", secret, false)
			stdout, stderr := r.ServiceLog("app", "../../t1")
			for _, w := range tt.writes {
				fmt.Fprint([]interface{ Write([]byte) (int, error) }{stdout, stderr}[w.stream-1], w.text)
			}
			if err := stdout.Close(); err != nil {
				t.Fatal(err)
			}
			if err := stderr.Close(); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(r.leaks.err()); !strings.Contains(got, tt.leaks) || tt.leaks == "" && r.leaks.err() != nil {
				t.Errorf("leaks: %s", got)
			}
			stored, err := os.ReadFile(filepath.Join(r.Folder.Path, "logs", "services", "app.t1.log"))
			if err != nil || string(stored) != tt.stored {
				t.Errorf("stored %q, want %q (%v)", stored, tt.stored, err)
			}
		})
	}
}

// A log that is full, or can't be stored, is searched all the same: each stream, and
// both as they come. That alone is not searched which is stored no more.
func TestServiceLogBeyondItsEnd(t *testing.T) {
	const secret = "s3cret-value"
	tests := []struct {
		name  string
		parts []string // to stdout and stderr in turn
		leak  bool
	}{
		{"harmless", []string{"up\n"}, false},
		{"in one stream", []string{secret + "\n"}, true},
		{"interrupted by the other", []string{"s3cr", "warning\n", "et-value\n"}, true},
		{"half to each", []string{"s3cr\n", "et-value\n"}, true},
		{"in the order of what would be stored", []string{"s3cr\nzz", "et-value\n", "\n"}, false},
	}
	for _, tt := range tests {
		for _, full := range []bool{true, false} {
			t.Run(fmt.Sprint(tt.name, ", full: ", full), func(t *testing.T) {
				t.Parallel()
				r := runWith(t)
				r.search("db", secret, false)
				path := filepath.Join(r.Folder.Path, "logs", "services", "app.t1.log")
				if !full {
					if err := os.MkdirAll(path, 0o755); err != nil { // in the place of the file
						t.Fatal(err)
					}
				}
				stdout, stderr := r.ServiceLog("app", "t1")
				if full {
					fmt.Fprint(stdout, strings.Repeat(strings.Repeat("-", 1023)+"\n", maxTaskLog>>10+1))
				}
				for i, part := range tt.parts {
					fmt.Fprint([]io.Writer{stdout, stderr}[i%2], part)
				}
				if err := errors.Join(stdout.Close(), stderr.Close()); err != nil {
					t.Fatal(err)
				}
				if err := r.leaks.err(); (err != nil) != tt.leak {
					t.Errorf("leaks: %v", err)
				}
				stored, _ := os.ReadFile(path) // a folder has no text
				if cut := strings.Contains(string(stored), "[cut after"); cut != full || strings.HasSuffix(string(stored), "up\n") {
					t.Errorf("stored %d bytes, cut: %v", len(stored), cut)
				}
			})
		}
	}
}

// What is not searched is said, in a test that passes and in one that fails.
func TestUnsearchedSecrets(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"strong", "hGz8Qw2LpXv4", ""},
		{"a word that somebody chose", "backup", "x, whose value is a plain word"},
		{"letters of no word", "kQbRtZ", ""},
		{"short", "1234", "x, whose value has less than 6 bytes"},
		{"a word of a compose file", "hunter2", "x, whose value is a word of compose.yml"},
		{"a word in base64", "secret1", "x, whose value is a word of web/secret.yml"},
		{"given away in a file", "hGz8-Qw2L-pXv4", ""},
		{"part of another word", "unter2", ""},
		{"of the suite", "only-the-suite-has-it", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := runWith(t, "compose.yml", "services: {app: {environment: [PASSWORD=hunter2]}}", "ccci/suite.toml", `x = "only-the-suite-has-it"`, "web/secret.yml", "c2VjcmV0MQ==", "nginx.conf", "# hGz8-Qw2L-pXv4")
			r.search("x", tt.value, tt.name != "letters of no word")
			err := r.leaks.err()
			if tt.want == "" {
				if err != nil || len(r.Vault.Find(tt.value)) == 0 {
					t.Errorf("%v; not searched", err)
				}
				r.leaks.add("x", "plain", "a log")
				if said := strings.Contains(r.leaks.err().Error(), "stands in nginx.conf"); said != (tt.name == "given away in a file") {
					t.Errorf("with a leak: %v", r.leaks.err())
				}
				return
			}
			if _, passes := err.(note); !passes || err.Error() != "not searched: "+tt.want {
				t.Errorf("got %v, want a note on %q", err, tt.want)
			}
			if len(r.Vault.Find(tt.value)) > 0 {
				t.Error("it is searched")
			}
			r.leaks.add("y", "plain", "a log")
			if err := r.leaks.err(); statusString(err) != "fail" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("with a leak: %v", err)
			}
		})
	}
}

func statusString(err error) string {
	status, _ := statusOf(context.Background(), err)
	return string(status)
}

// A reason quotes the app: half of a secret must not be left where the quote ends.
func TestReasonsHoldNoHalfSecret(t *testing.T) {
	const secret = "s3cret-value"
	v := vaultOf(t, "db", secret)
	x := &exerciser{redact: v.Redact}
	for at := 180; at < 205; at++ {
		reason := x.tail([]byte(strings.Repeat("-", at) + secret + strings.Repeat("-", 99)))
		if strings.Contains(reason, secret[:4]) {
			t.Errorf("at %d: %s", at, reason)
		}
	}
}

// Everything that others wrote is redacted in a record, and nothing else is:
// a secret that is like one of the tool's own words leaves a record that reads.
func TestForeignTexts(t *testing.T) {
	own := []string{"RunID", "Fault.Stage", "Head", "Deployer", "BackupEngine", "LevelReason", "Tool.Version", "Tool.Commit", "Suite.Digest", "Stages.Name", "Stages.Tests.Name", "Stages.Tests.Log",
		"Rungs", "Skips.Intentional", "Skips.Unintentional", "Notices.ID", "Notices.Advice", "Snapshots.ID", "Lint.Tool", "Lint.Rules.ID", "Lint.Rules.Rule", "Lint.Rules.Fix"}
	r := fullResults(t)
	all := stringsOf(t, r)
	r.foreign(func(string) string { return "" })
	left := stringsOf(t, r)
	for path := range all {
		if ours := slices.Contains(own, path); ours != (len(left[path]) == len(all[path])) || ours != (len(left[path]) > 0) {
			t.Errorf("%s: of %d texts %d are not taken for foreign; the tool's own: %v", path, len(all[path]), len(left[path]), ours)
		}
	}
	for _, word := range []string{"stages", "install", "backup_restore", `"status": "pass"`, "</testcase>", "testcase", `\`, "reason", "clean_teardown"} {
		v := NewVault()
		v.Add("x", word)
		clean, err := fullResults(t).redacted(v)
		if err != nil {
			t.Errorf("%q: %v", word, err)
			continue
		}
		var out strings.Builder
		if err := clean.Encode(&out); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadResults([]byte(out.String())); err != nil {
			t.Errorf("%q: %v", word, err)
		}
		renderJUnit(t, clean)
	}
}

// stringsOf collects the texts of a record that are not empty, by the names of
// the fields that they are in; types of their own (Status, Proof) are no texts.
func stringsOf(t *testing.T, r *Results) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range v.NumField() {
				walk(strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(path, v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(path, k)
				walk(path, v.MapIndex(k))
			}
		case reflect.String:
			if v.Type() == reflect.TypeFor[string]() && v.Len() > 0 {
				out[path] = append(out[path], v.String())
			}
		}
	}
	walk("", reflect.ValueOf(r).Elem())
	return out
}

// A record names the suite that it was made with.
func TestRecordNamesItsSuite(t *testing.T) {
	c := runWith(t, "compose.yml", "version: \"3.8\"\nservices: {app: {image: notes:1}}\n").Config
	c.Suite.Digest, c.Now = strings.Repeat("e", 64), time.Now
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if r.results.Suite.Digest != c.Suite.Digest {
		t.Errorf("digest %q", r.results.Suite.Digest)
	}
}
