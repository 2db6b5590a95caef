package restic

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// volumesDir is where the helper container has the stack's volumes.
const volumesDir = "/volumes"

// A place is one path in one volume.
type place struct {
	volume string
	name   string // relative to the volume's root, cleaned; "." is the root
}

func newPlace(volume, name string) (place, error) {
	if volume == "" || volume == "." || volume == ".." || strings.ContainsAny(volume, "/\x00") {
		return place{}, fmt.Errorf("%q is not the name of a volume", volume)
	}
	if !filepath.IsLocal(name) || strings.Contains(name, "\x00") {
		return place{}, fmt.Errorf("path %q is not inside volume %q", name, volume)
	}
	return place{volume, path.Clean(name)}, nil
}

func (p place) root() string   { return path.Join(volumesDir, p.volume) }
func (p place) abs() string    { return path.Join(volumesDir, p.volume, p.name) }
func (p place) String() string { return fmt.Sprintf("%q in volume %q", p.name, p.volume) }

// holds tells whether name, relative to the volume's root, is the place or below it.
func (p place) holds(name string) bool {
	return p.name == "." || name == p.name || strings.HasPrefix(name, p.name+"/")
}

// pattern is an --include that matches the place and all below it, and
// nothing else. Without escapes a file called "*" would bring back its
// neighbours, and the backup would seem to hold more than it does.
func (p place) pattern() string {
	var b strings.Builder
	for _, r := range []byte(p.abs()) {
		if strings.IndexByte(`\*?[]`, r) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(r)
	}
	return b.String()
}

// split is the volume and the path in it that an absolute path of a listing
// names; ok is false for what leads to the volumes.
func split(abs string) (volume, name string, ok bool) {
	rest, ok := strings.CutPrefix(abs, volumesDir+"/")
	if !ok || rest == "" {
		return "", "", false
	}
	volume, name, deeper := strings.Cut(rest, "/")
	if !deeper {
		name = "."
	}
	return volume, name, true
}
