package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coopcloud.tech/abra-ccci/labels"
)

func file(path string, size int64, hash string) Entry {
	return Entry{Path: path, Type: "file", UID: 8, GID: 8, Mode: 0o600, Size: size, Hash: hash}
}

func dir(path string) Entry { return Entry{Path: path, Type: "dir", Mode: 0o755} }

func TestCaptured(t *testing.T) {
	first := time.Date(2026, 6, 11, 12, 0, 0, 500, time.UTC)
	dump := func(at time.Time, size int64) Entry { e := file("dump.sql", size, ""); e.MTime = at; return e }
	hooked := &labels.Plan{
		Volumes: []labels.VolumePlan{{Volume: "v", Mounts: []labels.MountPoint{{Service: "db", Target: "/d"}}}},
		Hooks:   []labels.Hook{{Service: "db", Kind: labels.BackupPre, Command: "dump"}},
	}
	plain := &labels.Plan{Volumes: hooked.Volumes}
	tests := []struct {
		name   string
		plan   *labels.Plan
		path   string
		stored Manifest
		want   Status
		reason string
	}{
		{"directory with data", plain, ".", Manifest{dir("."), file("a", 1, "")}, Pass, ""},
		{"empty directory", plain, ".", Manifest{dir(".")}, Unver, "empty in the snapshot"},
		{"nothing but our canary", plain, ".", Manifest{dir("."), file(canaryPrefix+"x", 0, "")}, Unver, "empty in the snapshot"},
		{"not in the snapshot", plain, "sub", Manifest{dir("."), file("a", 1, "")}, Fail, "not in the snapshot"},
		{"a name that only begins alike", plain, "sub", Manifest{dir("."), file("subway", 1, "")}, Fail, "not in the snapshot"},
		{"empty file", plain, "dump.sql", Manifest{dump(first, 0)}, Fail, "empty file"},
		{"symlink", plain, "data", Manifest{{Path: "data", Type: "symlink"}}, Fail, "is a symlink"},
		{"fresh dump", hooked, "dump.sql", Manifest{dump(first.Add(time.Millisecond), 9)}, Pass, ""},
		{"fresh dump by a clock that was set back", hooked, "dump.sql", Manifest{dump(first.Add(-time.Hour), 9)}, Pass, ""},
		{"dump of another size at the same moment", hooked, "dump.sql", Manifest{dump(first, 8)}, Pass, ""},
		{"stale dump", hooked, "dump.sql", Manifest{dump(first, 9)}, Fail, "as it was before this backup"},
		{"old file that no hook writes", plain, "dump.sql", Manifest{dump(first, 9)}, Pass, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Run{stored: map[string]Manifest{"v": tt.stored}, before: map[string]Manifest{"v": {dump(first, 9)}}}
			status, reason := statusOf(t.Context(), r.captured(tt.plan, labels.SavedPath{Volume: "v", Path: tt.path, Service: "db", Mount: "/d"}))
			if status != tt.want || !strings.Contains(reason, tt.reason) {
				t.Errorf("%s (%s), want %s (%s)", status, reason, tt.want, tt.reason)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	want := Manifest{dir("."), dir("d"), file("d/a", 3, "h"), {Path: "s", Type: "socket"}, file("cache/x", 1, "h")}
	suite := &Suite{Excludes: []Exclude{{Volume: "v", Path: "cache", Reason: "r"}}}
	change := func(i int, f func(*Entry)) Manifest { m := append(Manifest{}, want...); f(&m[i]); return m }
	tests := []struct {
		name string
		got  Manifest
		want string
	}{
		{"the same", want, ""},
		{"without hashes, as listings are", change(2, func(e *Entry) { e.Hash = "" }), ""},
		{"sockets do not come back", Manifest{dir("."), dir("d"), file("d/a", 3, "h")}, ""},
		{"the root's own mode is the engine's", change(0, func(e *Entry) { e.Mode = 0o700 }), ""},
		{"missing", Manifest{dir("."), dir("d")}, "d/a is missing"},
		{"other type", change(2, func(e *Entry) { e.Type = "dir" }), "d/a is a dir, was a file"},
		{"other owner", change(2, func(e *Entry) { e.UID = 0 }), "d/a belongs to 0:8, was 8:8"},
		{"other mode", change(2, func(e *Entry) { e.Mode = 0o644 }), "d/a has mode 0644, was 0600"},
		{"other size", change(2, func(e *Entry) { e.Size = 0 }), "d/a has 0 bytes, was 3"},
		{"other content", change(2, func(e *Entry) { e.Hash = "x" }), "d/a has other content"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Run{Config: Config{Suite: suite}}
			err := r.compare("v", want, tt.got)
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestUnchanged(t *testing.T) {
	before := Manifest{file("kept", 1, "h"), file("changed", 1, "h"), file("gone", 1, "h"), file("turned", 1, "h")}
	after := Manifest{file("kept", 1, "h"), file("changed", 2, "i"), file("new", 1, "h"), dir("turned")}
	want := Manifest{file("kept", 1, "h"), file("changed", -1, "")}
	if diff := cmp.Diff(want, unchanged(before, after)); diff != "" {
		t.Error(diff)
	}
}

// What a hook made and another removed is in the snapshot alone.
func TestFleeting(t *testing.T) {
	stored := Manifest{dir("dump"), file("dump/rows", 3, ""), file("kept", 1, ""), file("new", 1, ""), file("gone", 1, "")}
	before, after := Manifest{file("kept", 1, "h"), file("gone", 1, "h")}, Manifest{file("kept", 1, "h"), file("new", 1, "h")}
	if diff := cmp.Diff(Manifest{dir("dump"), file("dump/rows", 3, "")}, fleeting(stored, before, after)); diff != "" {
		t.Error(diff)
	}
}

func TestMoved(t *testing.T) {
	want := map[string]string{"app": "2", "db": "2"}
	task := func(service, spec string) Task { return Task{Service: service, Spec: spec, State: "running"} }
	good := func() *Observed {
		return &Observed{Specs: map[string]string{"app": "2", "db": "2"}, TaskSpecs: map[string]string{"app": "t2", "db": "t2"},
			Tasks: []Task{task("app", "t2"), task("db", "t2")}}
	}
	tests := []struct {
		name   string
		change func(*Observed)
		want   string
	}{
		{"all moved", func(*Observed) {}, ""},
		{"rolled back", func(o *Observed) { o.Specs["app"] = "1" }, "service app did not move"},
		{"service missing", func(o *Observed) { delete(o.Specs, "db") }, "service db did not move"},
		{"service too many", func(o *Observed) { o.Specs["old"] = "1" }, "service old is still there"},
		{"an old task", func(o *Observed) { o.Tasks = append(o.Tasks, task("db", "t1")) }, "a task of service db still runs another spec"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good()
			tt.change(o)
			err := moved(want, o)
			if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestClaimsAndOrder(t *testing.T) {
	saved := []labels.SavedPath{
		{Volume: "data", Path: ".", Service: "app", Mount: "/data"},
		{Volume: "dkim", Path: "keys", Service: "admin", Mount: "/data/dkim"},
		{Volume: "mailu", Path: "main.db", Service: "admin", Mount: "/data"},
	}
	probe := func(covers ...string) *tracked { return &tracked{Probe: Probe{Covers: covers}} }
	tests := []struct {
		covers []string
		want   []labels.SavedPath
	}{
		{[]string{"admin:/data"}, saved[2:]},                    // above the saved file
		{[]string{"admin:/data/main.db"}, saved[2:]},            // the file itself
		{[]string{"admin:/data/dkim/keys/a.key"}, saved[1:2]},   // below the saved directory
		{[]string{"admin:/data/dkim/selector"}, nil},            // beside it
		{[]string{"app:/data", "admin:/data/dkim"}, saved[0:2]}, // both
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, probe(tt.covers...).claims(twoServices, saved)); diff != "" {
			t.Errorf("%v: %s", tt.covers, diff)
		}
	}
	r := &Run{running: &Deployment{Stack: twoServices}, probes: []*tracked{probe("admin:/data"), probe("admin:/data/dkim/keys", "admin:/data")}}
	if diff := cmp.Diff([]labels.SavedPath{saved[2], saved[1], saved[0]}, r.inSuiteOrder(saved)); diff != "" {
		t.Errorf("order: %s", diff)
	}
}
