package swarm

import (
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/swarm"
)

// The lower of two limits counts, and a recipe can't send its logs elsewhere.
func TestLimits(t *testing.T) {
	l := Limits{CPUs: 1.5, Memory: 1 << 30, Pids: 100, Log: 1 << 20}
	bp := &blueprint{services: map[string]swarm.ServiceSpec{
		"none": {},
		"own": {TaskTemplate: swarm.TaskSpec{
			Resources: &swarm.ResourceRequirements{Limits: &swarm.Limit{NanoCPUs: 2e9, MemoryBytes: 1 << 20}, Reservations: &swarm.Resources{MemoryBytes: 1}},
			LogDriver: &swarm.Driver{Name: "syslog", Options: map[string]string{"syslog-address": "udp://192.0.2.1"}},
		}},
	}}
	l.boundAll(bp)
	for name, want := range map[string]swarm.Limit{
		"none": {NanoCPUs: 15e8, MemoryBytes: 1 << 30, Pids: 100},
		"own":  {NanoCPUs: 15e8, MemoryBytes: 1 << 20, Pids: 100},
	} {
		task := bp.services[name].TaskTemplate
		if got := *task.Resources.Limits; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if task.LogDriver.Name != "json-file" || task.LogDriver.Options["max-size"] != "1048576" || len(task.LogDriver.Options) != 2 {
			t.Errorf("%s: %+v", name, task.LogDriver)
		}
	}
	if bp.services["own"].TaskTemplate.Resources.Reservations.MemoryBytes != 1 {
		t.Error("what the recipe reserves is gone")
	}
	if !slices.ContainsFunc(bp.deviations, func(d string) bool { return strings.Contains(d, "log driver syslog replaced") }) {
		t.Errorf("deviations %q", bp.deviations)
	}
	if none := (Limits{}); none.bound("x", &swarm.ServiceSpec{}) != nil || none.lost(1<<40) {
		t.Error("no limits bound something")
	}
	if l.lost(l.Log/2) || !l.lost(l.Log/2+1) {
		t.Error("a full log is not known for one")
	}
}

func TestDefaultLimits(t *testing.T) {
	for cpus, want := range map[int]float64{1: 1, 2: 1, 8: 7} {
		if l := DefaultLimits(Facts{CPUs: cpus, Memory: 8 << 30}); l.CPUs != want || l.Memory != 4<<30 {
			t.Errorf("%d cores: %+v", cpus, l)
		}
	}
}
