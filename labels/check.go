package labels

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Subject is one version of a recipe, as Check looks at it.
type Subject struct {
	Stack  *Stack // from Resolve
	Plan   *Plan  // of the stack; nil: made by Check
	Sample *Env   // its .env.sample; nil if it has none
	Files  fs.FS  // the recipe's files; nil leaves out what needs them

	// Excluded are the volumes that the suite excludes, with its reasons.
	// Every other mounted volume is durable: people would miss it.
	Excluded map[string]string
	// ImageVolumes are the VOLUMEs of each service's image, as far as known.
	ImageVolumes map[string][]string
}

func (s Subject) withPlan() Subject {
	if s.Plan == nil && s.Stack != nil {
		s.Plan = PlanOf(s.Stack)
	}
	return s
}

func (s Subject) durable(volume string) bool {
	_, ok := s.Excluded[volume]
	return !ok
}

// Check returns what is to be said about one version by itself, errors first.
// Notices that Resolve returned are not repeated.
func Check(s Subject) []Notice {
	if s = s.withPlan(); s.Stack == nil {
		return nil
	}
	var notices []Notice
	for _, rule := range []func(Subject) []Notice{
		checkKeys, checkSwitches, checkVolumeNames, checkPaths, checkContradictions,
		checkEnabling, checkVolumes, checkReadings, checkDefaults,
		checkHooks, checkDatabases, checkImageVolumes, checkOverlays, checkVersion,
	} {
		notices = append(notices, rule(s)...)
	}
	return sortNotices(notices)
}

func checkKeys(s Subject) []Notice {
	var notices []Notice
	for _, l := range s.Stack.backupLabels() {
		if l.kind == keyUnknown {
			notices = append(notices, note("unknown-key", l.String(), "no backup tool reads %q%s", l.key, nearestKey(l.key)))
		}
	}
	for _, svc := range s.Stack.Services {
		for key := range svc.ContainerLabels {
			if isBackupKey(key) {
				notices = append(notices, note("container-labels", svc.Name+" labels "+key, "%q is a label of the container, not of the service", key))
			}
		}
	}
	return notices
}

// nearestKey is a suggestion, "" if no known key is near.
func nearestKey(key string) string {
	best, distance := "", 4
	for known := range knownKeys {
		if d := editDistance(key, known); d < distance || d == distance && known < best {
			best, distance = known, d
		}
	}
	if name, ok := strings.CutPrefix(key, "backupbot.volumes."); ok {
		best = volumesKey + name
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is Levenshtein's, of bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func checkSwitches(s Subject) []Notice {
	var notices []Notice
	for _, l := range s.Stack.backupLabels() {
		if l.kind != keyBackup && l.kind != keyVolume || l.value == "true" || l.value == "false" {
			continue
		}
		notices = append(notices, note("not-boolean", l.String(), "%q is neither true nor false, and read as whatever saves less", l.value))
	}
	return notices
}

func checkVolumeNames(s Subject) []Notice {
	var notices []Notice
	mounted := s.Stack.mounts()
	for _, l := range s.Stack.backupLabels() {
		if l.volume == "" || mounted[l.volume] != nil {
			continue
		}
		why := "there is no such volume"
		if slices.Contains(s.Stack.Volumes, l.volume) {
			why = "no service mounts it"
		}
		notices = append(notices, note("unknown-volume", l.String(), "volume %q: %s", l.volume, why))
	}
	return notices
}

func checkPaths(s Subject) []Notice {
	var notices []Notice
	for _, l := range s.Stack.backupLabels() {
		switch l.kind {
		case keyVolumePath:
			_, faults := splitPaths(l.value, false)
			notices = append(notices, faultNotices(l, faults)...)
		case keyContainerPath:
			notices = append(notices, checkContainerPath(s, l)...)
		}
	}
	return notices
}

func faultNotices(l backupLabel, faults []pathFault) []Notice {
	var notices []Notice
	for _, f := range faults {
		notices = append(notices, note(f.id, l.String(), "%s", f.text))
	}
	return notices
}

func checkContainerPath(s Subject, l backupLabel) []Notice {
	paths, faults := splitPaths(l.value, true)
	notices := faultNotices(l, faults)
	svc := s.Stack.service(l.service)
	if svc.Labels["backupbot.backup"] != "true" {
		notices = append(notices, note("path-not-enabled", l.String(), "service %q has no backupbot.backup=true, and nothing is saved by this path", l.service))
	}
	var spec []string
	for _, p := range paths {
		m, rel, ok := svc.inMount(p)
		if !ok {
			notices = append(notices, note("path-outside-mount", l.String(), "%q is on no volume of service %q", p, l.service))
			continue
		}
		spec = append(spec, fmt.Sprintf("%s of volume %q", pathWords([]string{rel}), m.Volume))
	}
	if len(spec) > 0 {
		notices = append(notices, note("container-path-form", l.String(), "%q is taken for %s", l.value, strings.Join(spec, " and ")))
	}
	return notices
}

// checkContradictions finds labels of which a reader must choose one.
func checkContradictions(s Subject) []Notice {
	var notices []Notice
	all := s.Stack.backupLabels()
	for i, b := range all {
		for _, a := range all[:i] {
			if contradict(a, b) || contradict(b, a) {
				notices = append(notices, note("conflicting-labels", b.String(), "%q contradicts %q", b.full(), a.full()))
			}
		}
	}
	return notices
}

func contradict(a, b backupLabel) bool {
	if a.volume != b.volume {
		return false
	}
	if a.kind == keyVolume && b.kind == keyVolumePath {
		return a.value != "true"
	}
	switch a.kind {
	case keyBackup, keyVolume, keyVolumePath:
		return a.kind == b.kind && a.value != b.value
	}
	return false
}

func checkEnabling(s Subject) []Notice {
	r := newReader(s.Stack)
	if len(r.enabled) == 0 {
		return checkNotEnabled(s, r)
	}
	var notices []Notice
	if len(r.enabled) > 1 {
		notices = append(notices, note("enabled-twice", "stack", "backups are enabled on %s", strings.Join(r.enabled, ", ")))
	}
	if len(s.Plan.Saved()) == 0 {
		text := "none of the %d mounted volumes is saved"
		if len(s.Plan.Volumes) == 0 {
			text = "no service mounts a volume (%d)"
		}
		notices = append(notices, note("all-excluded", "stack", text, len(s.Plan.Volumes)))
	}
	return notices
}

// checkNotEnabled tells a recipe without backups, which may be meant, from one
// whose labels have no effect, which can't be.
func checkNotEnabled(s Subject, r *reader) []Notice {
	if s.Files != nil && s.variableIn("backupbot.backup") {
		return nil // switched-off tells more
	}
	for _, l := range r.labels {
		if l.kind == keyBackup && l.value == "false" {
			continue
		}
		return []Notice{note("not-enabled", l.String(), "no service has backupbot.backup=true, so that nothing is saved")}
	}
	if len(s.Plan.Volumes) == 0 {
		return nil
	}
	return []Notice{note("no-backups", "stack", "none of the %d mounted volumes is saved", len(s.Plan.Volumes))}
}

// variableIn reports whether a label of that name holds a variable.
func (s Subject) variableIn(label string) bool {
	return slices.ContainsFunc(s.Stack.Uses, func(u Use) bool { return u.Label == label })
}

// checkVolumes looks at what an enabled plan leaves out.
func checkVolumes(s Subject) []Notice {
	var notices []Notice
	if !s.Plan.Enabled {
		return nil // said for the whole stack
	}
	for _, v := range s.Plan.Volumes {
		at := "volume " + v.Volume
		switch {
		case v.Saved:
			notices = append(notices, checkPartial(s, v)...)
		case !s.durable(v.Volume):
		case v.Label != "":
			notices = append(notices, note("excluded-volume", at, "not saved: %s (%s)", v.Why, v.Label))
		default:
			notices = append(notices, note("unsaved-volume", at, "mounted by %s, and not saved: %s", mountWords(v.Mounts), v.Why))
		}
	}
	return notices
}

func mountWords(mounts []MountPoint) string {
	var words []string
	for _, m := range mounts {
		words = append(words, m.Service+":"+m.Target)
	}
	return strings.Join(words, ", ")
}

func checkPartial(s Subject, v VolumePlan) []Notice {
	if slices.Equal(v.Paths, []string{"."}) || !s.durable(v.Volume) {
		return nil
	}
	at := "volume " + v.Volume
	if !s.Plan.hookAt(v, BackupPre) {
		return []Notice{note("partial-volume", at, "only %s is saved", pathWords(v.Paths))}
	}
	for _, h := range s.Plan.Hooks {
		if h.Kind == RestorePost || h.Kind == RestorePre {
			return nil
		}
	}
	return []Notice{note("no-restore-hook", at, "only %s is saved, and no restore hook loads it", pathWords(v.Paths))}
}

// hookAt reports whether a service that mounts the volume has such a hook.
func (p *Plan) hookAt(v VolumePlan, kind HookKind) bool {
	return slices.ContainsFunc(p.Hooks, func(h Hook) bool {
		return h.Kind == kind && slices.ContainsFunc(v.Mounts, func(m MountPoint) bool { return m.Service == h.Service })
	})
}

func checkReadings(s Subject) []Notice {
	words := map[bool][]string{}
	for _, v := range s.Plan.Volumes {
		if v.Differs != "" {
			durable := s.durable(v.Volume)
			words[durable] = append(words[durable], fmt.Sprintf("of volume %q %s", v.Volume, v.Differs))
		}
	}
	var notices []Notice
	for durable, id := range map[bool]string{true: "readings-differ", false: "readings-differ-excluded"} {
		if len(words[durable]) > 0 {
			notices = append(notices, note(id, "stack", "%s", strings.Join(words[durable], "; ")))
		}
	}
	return notices
}
