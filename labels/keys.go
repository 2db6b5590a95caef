package labels

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// keyKind is what a backupbot label is about.
type keyKind int

const (
	keyUnknown       keyKind = iota
	keyBackup                // backupbot.backup
	keyContainerPath         // backupbot.backup.path, the container-path form
	keyVolume                // backupbot.backup.volumes.<v>
	keyVolumePath            // backupbot.backup.volumes.<v>.path
	keyHook                  // one of the four hooks
)

const (
	prefixKey  = "backupbot."
	volumesKey = "backupbot.backup.volumes."
)

// knownKeys are all keys but for those that name a volume.
var knownKeys = map[string]keyKind{
	"backupbot.backup":              keyBackup,
	"backupbot.backup.path":         keyContainerPath,
	prefixKey + string(BackupPre):   keyHook,
	prefixKey + string(BackupPost):  keyHook,
	prefixKey + string(RestorePre):  keyHook,
	prefixKey + string(RestorePost): keyHook,
}

// A backupLabel is one deploy label meant for a backup tool.
type backupLabel struct {
	service    string
	key, value string
	kind       keyKind
	volume     string // of keyVolume and keyVolumePath
}

// String writes the label as notices call it, "admin backupbot.backup.path".
func (l backupLabel) String() string { return l.service + " " + l.key }

func (l backupLabel) full() string { return l.String() + "=" + l.value }

// isBackupKey reports whether a label is meant for a backup tool, even if it
// is written so that none finds it.
func isBackupKey(key string) bool {
	key = strings.ToLower(strings.Trim(key, " \t\"'"))
	key = strings.ReplaceAll(strings.ReplaceAll(key, "-", ""), "_", "")
	return strings.HasPrefix(key, "backupbot")
}

// backupLabels are the deploy labels for backup tools, by service and key.
func (s *Stack) backupLabels() []backupLabel {
	mounted := s.mounts()
	var out []backupLabel
	for _, svc := range s.Services {
		for key, value := range svc.Labels {
			if isBackupKey(key) {
				kind, volume := classify(key, mounted)
				out = append(out, backupLabel{svc.Name, key, value, kind, volume})
			}
		}
	}
	slices.SortFunc(out, func(a, b backupLabel) int {
		if c := strings.Compare(a.service, b.service); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	return out
}

// classify reads a key. A volume whose own name ends in ".path" is taken at
// its word if it is mounted.
func classify(key string, mounted map[string][]MountPoint) (kind keyKind, volume string) {
	if kind, ok := knownKeys[key]; ok {
		return kind, ""
	}
	name, ok := strings.CutPrefix(key, volumesKey)
	if !ok || name == "" || name == ".path" {
		return keyUnknown, ""
	}
	if v, ok := strings.CutSuffix(name, ".path"); ok && mounted[name] == nil {
		return keyVolumePath, v
	}
	return keyVolume, name
}

// mounts are the mounted volumes, and who mounts them where.
func (s *Stack) mounts() map[string][]MountPoint {
	m := map[string][]MountPoint{}
	for _, svc := range s.Services {
		for _, mt := range svc.Mounts {
			m[mt.Volume] = append(m[mt.Volume], MountPoint{svc.Name, mt.Target, mt.ReadOnly})
		}
	}
	return m
}

func (s *Stack) service(name string) *Service {
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

// A pathFault is why an element of a path label saves nothing.
type pathFault struct{ id, text string }

// splitPaths reads a comma separated label. An element with a fault is not
// among the paths: a reader may take it for something that does not exist, and
// what saves less is executed.
func splitPaths(value string, absolute bool) (paths []string, faults []pathFault) {
	for _, p := range strings.Split(value, ",") {
		if f := faultOf(p, absolute); f.id != "" {
			faults = append(faults, f)
			continue
		}
		paths = append(paths, path.Clean(p))
	}
	return paths, faults
}

func faultOf(p string, absolute bool) pathFault {
	switch {
	case p == "":
		return pathFault{"path-empty", "an element is empty"}
	case strings.ContainsFunc(p, isSpaceOrControl):
		return pathFault{"path-space", fmt.Sprintf("%q has a space in it", p)}
	case strings.ContainsAny(p, `*?[]{}\`):
		return pathFault{"path-glob", fmt.Sprintf("%q is a pattern; readers take paths literally", p)}
	case slices.Contains(strings.Split(p, "/"), ".."):
		return pathFault{"path-dotdot", fmt.Sprintf("%q climbs with ..", p)}
	case absolute && !path.IsAbs(p):
		return pathFault{"path-relative", fmt.Sprintf("%q must be a path in the container, with a leading slash", p)}
	case !absolute && path.IsAbs(p):
		return pathFault{"path-absolute", fmt.Sprintf("%q must be relative to the root of the volume", p)}
	}
	return pathFault{}
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xa0 || r == 0x85 }

// inMount translates a path in a container to the volume it is on: the mount
// with the longest target that leads to it.
func (svc *Service) inMount(p string) (m Mount, rel string, ok bool) {
	for _, c := range svc.Mounts {
		if within(p, c.Target) && (!ok || len(c.Target) > len(m.Target)) {
			m, ok = c, true
		}
	}
	if !ok {
		return Mount{}, "", false
	}
	rel = strings.TrimPrefix(strings.TrimPrefix(p, m.Target), "/")
	return m, path.Join(".", m.Subpath, rel), true
}

// within reports whether p is dir or below it. Both are clean.
func within(p, dir string) bool {
	if dir == "." || dir == "/" || p == dir {
		return true
	}
	return strings.HasPrefix(p, dir+"/")
}

// reduce sorts paths and drops those that lie below others.
func reduce(paths []string) []string {
	var out []string
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		if !slices.ContainsFunc(paths, func(q string) bool { return q != p && within(p, q) }) {
			out = append(out, p)
		}
	}
	return out
}

// intersect returns what both lists of paths cover.
func intersect(a, b []string) []string {
	var out []string
	for _, p := range a {
		for _, q := range b {
			if within(p, q) {
				out = append(out, p)
			} else if within(q, p) {
				out = append(out, q)
			}
		}
	}
	return reduce(out)
}
