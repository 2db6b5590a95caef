package labels

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// PlanOf says what the labels of a stack make a backup tool save. Two ways of
// writing them are in use, and are read as two readings:
//
//   - the specification: backupbot.backup=true on a service enables the whole
//     stack. Every volume is saved but for volumes.<v>=false, and of a volume
//     with volumes.<v>.path only the paths in it, relative to its root;
//   - the container-path form: backupbot.backup.path=/data on an enabled
//     service that mounts the volume. A stack in which this label occurs saves
//     nothing else.
//
// Where readings differ, or labels contradict each other, what saves less is
// planned, and VolumePlan.Differs tells the difference. A label that can't be
// read (a boolean other than true and false, a path with a fault) saves
// nothing. Volumes of other stacks are never saved.
func PlanOf(s *Stack) *Plan {
	r := newReader(s)
	p := &Plan{Enabled: len(r.enabled) > 0}
	for _, v := range slices.Sorted(maps.Keys(r.mounts)) {
		p.Volumes = append(p.Volumes, r.row(v))
	}
	if p.Enabled {
		p.Hooks = r.hooks()
	}
	return p
}

// Saved lists what the plan saves, by volume and path.
func (p *Plan) Saved() []SavedPath {
	var out []SavedPath
	for _, v := range p.Volumes {
		if !v.Saved {
			continue
		}
		at := v.mainMount()
		for _, path := range v.Paths {
			out = append(out, SavedPath{Volume: v.Volume, Path: path, Service: at.Service, Mount: at.Target, Label: v.Label})
		}
	}
	return out
}

// Volume returns the row of a volume, nil if no service mounts it.
func (p *Plan) Volume(name string) *VolumePlan {
	for i := range p.Volumes {
		if p.Volumes[i].Volume == name {
			return &p.Volumes[i]
		}
	}
	return nil
}

// mainMount is the first writable mount, or else the first.
func (v VolumePlan) mainMount() MountPoint {
	for _, m := range v.Mounts {
		if !m.ReadOnly {
			return m
		}
	}
	return v.Mounts[0]
}

// A reader holds the labels of a stack while its plan is made.
type reader struct {
	stack   *Stack
	labels  []backupLabel
	mounts  map[string][]MountPoint
	enabled []string // services with backupbot.backup=true
	refused []string // services with backupbot.backup=false

	// byContainer holds what the container-path form saves, nil if no
	// service uses it; byLabel, which label that is.
	byContainer map[string][]string
	byLabel     map[string][]string
}

// A reading is what one way of reading saves of a volume: no paths is nothing,
// for the reason in why.
type reading struct {
	paths      []string
	label, why string
}

func newReader(s *Stack) *reader {
	r := &reader{stack: s, labels: s.backupLabels(), mounts: s.mounts()}
	for _, l := range r.labels {
		if l.kind != keyBackup {
			continue
		}
		switch l.value {
		case "true":
			r.enabled = append(r.enabled, l.service)
		case "false":
			r.refused = append(r.refused, l.service)
		}
	}
	r.readContainerPaths()
	return r
}

func (r *reader) readContainerPaths() {
	for _, l := range r.labels {
		if l.kind != keyContainerPath {
			continue
		}
		if r.byContainer == nil {
			r.byContainer, r.byLabel = map[string][]string{}, map[string][]string{}
		}
		if !slices.Contains(r.enabled, l.service) {
			continue // its reader looks at enabled services only
		}
		paths, _ := splitPaths(l.value, true)
		for _, p := range paths {
			if m, rel, ok := r.stack.service(l.service).inMount(p); ok {
				r.byContainer[m.Volume] = append(r.byContainer[m.Volume], rel)
				r.byLabel[m.Volume] = append(r.byLabel[m.Volume], l.full())
			}
		}
	}
}

// row plans one volume.
func (r *reader) row(volume string) VolumePlan {
	row := VolumePlan{Volume: volume, Mounts: r.mounts[volume]}
	spec := r.specification(volume)
	got := spec
	if r.byContainer != nil && len(spec.paths) > 0 {
		got = r.narrow(volume, spec)
		row.Differs = differs(spec, got)
	}
	row.Saved, row.Paths, row.Label, row.Why = len(got.paths) > 0, got.paths, got.label, got.why
	return row
}

// specification is what the specification saves of a volume.
func (r *reader) specification(volume string) reading {
	if len(r.enabled) == 0 {
		return reading{why: "no service has backupbot.backup=true"}
	}
	if r.external(volume) {
		return reading{why: "it belongs to another stack"}
	}
	if got, ok := r.excluded(volume); ok {
		return got
	}
	if svc := r.refusedBy(volume); svc != "" {
		return reading{label: svc + " backupbot.backup=false", why: "the service that mounts it has backupbot.backup=false"}
	}
	return r.paths(volume)
}

func (r *reader) external(volume string) bool {
	for _, svc := range r.stack.Services {
		for _, m := range svc.Mounts {
			if m.Volume == volume && m.External {
				return true
			}
		}
	}
	return false
}

// excluded reads volumes.<v>: anything but true takes the volume out.
func (r *reader) excluded(volume string) (reading, bool) {
	for _, l := range r.labels {
		if l.kind != keyVolume || l.volume != volume || l.value == "true" {
			continue
		}
		why := "a label excludes it"
		if l.value != "false" {
			why = fmt.Sprintf("%q is neither true nor false", l.value)
		}
		return reading{label: l.full(), why: why}, true
	}
	return reading{}, false
}

// refusedBy is the first service that says backupbot.backup=false, if all that
// mount the volume say so: a reader that goes by services would leave it out.
func (r *reader) refusedBy(volume string) string {
	for _, m := range r.mounts[volume] {
		if !slices.Contains(r.refused, m.Service) {
			return ""
		}
	}
	return r.mounts[volume][0].Service
}

// paths reads volumes.<v>.path, of several the common part.
func (r *reader) paths(volume string) reading {
	got := reading{paths: []string{"."}, label: r.enabled[0] + " backupbot.backup=true"}
	var used []string
	for _, l := range r.labels {
		if l.kind != keyVolumePath || l.volume != volume {
			continue
		}
		paths, _ := splitPaths(l.value, false)
		got.paths = intersect(got.paths, paths)
		used = append(used, l.full())
	}
	if len(used) > 0 {
		got.label = strings.Join(used, ", ")
	}
	if len(got.paths) == 0 {
		got.why = "its path labels leave nothing"
	}
	return got
}

// narrow cuts what the specification saves down to the container paths.
func (r *reader) narrow(volume string, spec reading) reading {
	paths := intersect(spec.paths, r.byContainer[volume])
	if len(paths) == 0 {
		return reading{why: "no backupbot.backup.path leads to it"}
	}
	return reading{paths: paths, label: strings.Join(slices.Compact(slices.Sorted(slices.Values(r.byLabel[volume]))), ", ")}
}

func differs(spec, got reading) string {
	if slices.Equal(spec.paths, got.paths) {
		return ""
	}
	return fmt.Sprintf("the specification saves %s, backupbot.backup.path %s", pathWords(spec.paths), pathWords(got.paths))
}

func pathWords(paths []string) string {
	switch {
	case len(paths) == 0:
		return "nothing"
	case slices.Equal(paths, []string{"."}):
		return "all of it"
	}
	return strings.Join(paths, ", ")
}

func (r *reader) hooks() []Hook {
	var hooks []Hook
	for _, l := range r.labels {
		if l.kind == keyHook && strings.TrimSpace(l.value) != "" {
			hooks = append(hooks, Hook{Service: l.service, Kind: HookKind(strings.TrimPrefix(l.key, prefixKey)), Command: l.value})
		}
	}
	return hooks // labels are sorted by service and key already
}
