package swarm

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/docker/docker/api/types/swarm"
)

// Limits bound each container of a stack that is not trusted. Where its recipe sets
// a lower limit, that counts. The zero value bounds nothing.
type Limits struct {
	CPUs   float64 // cores
	Memory int64   // bytes
	Pids   int64   // processes and threads
	Log    int64   // bytes that the engine keeps of what it says, twice
}

// DefaultLimits leave the engine able to answer: half of its memory and all cores
// but one.
func DefaultLimits(f Facts) Limits {
	return Limits{CPUs: float64(max(1, f.CPUs-1)), Memory: f.Memory / 2, Pids: 4096, Log: 256 << 20}
}

// bound puts the limits into a service's spec, and says where that changes what
// the recipe has set itself.
func (l Limits) bound(name string, spec *swarm.ServiceSpec) (deviations []string) {
	if l == (Limits{}) {
		return nil
	}
	t := &spec.TaskTemplate
	resources := swarm.ResourceRequirements{}
	if t.Resources != nil {
		resources = *t.Resources
	}
	limit := swarm.Limit{}
	if resources.Limits != nil {
		limit = *resources.Limits
	}
	limit.NanoCPUs = lower(limit.NanoCPUs, int64(l.CPUs*1e9))
	limit.MemoryBytes = lower(limit.MemoryBytes, l.Memory)
	limit.Pids = lower(limit.Pids, l.Pids)
	resources.Limits, t.Resources = &limit, &resources
	if t.LogDriver != nil && t.LogDriver.Name != "json-file" {
		deviations = append(deviations, fmt.Sprintf("service %s: log driver %s replaced by json-file", name, t.LogDriver.Name))
	}
	t.LogDriver = &swarm.Driver{Name: "json-file", Options: map[string]string{"max-size": strconv.FormatInt(l.Log, 10), "max-file": "2"}}
	return append(deviations, fmt.Sprintf("service %s: limited to %g cores, %d MiB of memory, %d processes, %d MiB of log",
		name, float64(limit.NanoCPUs)/1e9, limit.MemoryBytes>>20, limit.Pids, 2*l.Log>>20))
}

// lower is the lower of two limits; 0 is none.
func lower(own, bound int64) int64 {
	if own == 0 || bound > 0 && bound < own {
		return bound
	}
	return own
}

// lost tells whether of a log some may have been dropped before it was read: one
// file of it was full.
func (l Limits) lost(read int64) bool { return l.Log > 0 && read > l.Log/2 }

// boundAll bounds every service of a blueprint.
func (l Limits) boundAll(bp *blueprint) {
	for name, spec := range bp.services {
		bp.deviations = append(bp.deviations, l.bound(name, &spec)...)
		bp.services[name] = spec
	}
	slices.Sort(bp.deviations)
}
