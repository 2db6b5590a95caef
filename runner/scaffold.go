package runner

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
)

// Scaffold writes a first suite for a stack: a probe to fill in for each
// volume that a service mounts. It parses and binds; every probe fails to seed
// until it is filled in, so that nobody takes it for a proof.
func Scaffold(recipe string, stack *labels.Stack, plan *labels.Plan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# How to exercise %s. docs/suite.md explains every key.\n", comment(recipe))
	fmt.Fprintf(&b, "recipe = %s\n\n[deploy]\ntimeout = \"10m\"\n# env   = { NAME = \"value\" }   # over .env.sample\n", quote(recipe))
	b.WriteString("# setup = [{ service = \"app\", run = [\"…\"] }]   # after each deployment from nothing\n")
	for _, volume := range mountedVolumes(stack) {
		scaffoldProbe(&b, stack, plan, volume)
	}
	service := "app"
	if len(stack.Services) > 0 && !slices.ContainsFunc(stack.Services, func(s labels.Service) bool { return s.Name == "app" }) {
		service = stack.Services[0].Name
	}
	fmt.Fprintf(&b, `
[[functional]]
name  = "FILL IN: what the app is for"
steps = [{ service = %s, run = ["FILL-IN"] }]   # or: http = "http://localhost:PORT/", status = 200, contains = "…"
`, quote(service))
	return []byte(b.String())
}

// scaffoldProbe writes the probe of one volume, where it is mounted first.
func scaffoldProbe(b *strings.Builder, stack *labels.Stack, plan *labels.Plan, volume string) {
	service, target := mountOf(stack, volume)
	covers, saved := service+":"+target, "no label saves it"
	for _, p := range plan.Saved() {
		if p.Volume == volume {
			covers, saved = p.String(), "saved by "+p.Label
			service = p.Service
			break
		}
	}
	fmt.Fprintf(b, `
# Volume %s, mounted at %s in %s; %s.
# Write data as a user of the app would, see it as a user would, remove it.
# Every step that names ${TOKEN} gets a new value with each seeding.
[[probe]]
name   = %s
covers = [%s]
seed   = [{ service = %s, run = ["FILL-IN", "write something that holds ${TOKEN}"] }]
check  = [{ service = %s, run = ["FILL-IN", "show it"], contains = "${TOKEN}" }]
wipe   = [{ service = %s, run = ["FILL-IN", "remove what holds ${TOKEN}"] }]
# If it need not survive, say why in place of the probe:
# [[exclude]]
# volume = %s
# reason = "…"
`, comment(volume), comment(target), comment(service), comment(saved), quote(Slug(volume)), quote(covers), quote(service), quote(service), quote(service), quote(volume))
}

func mountOf(stack *labels.Stack, volume string) (service, target string) {
	for _, svc := range stack.Services {
		for _, m := range svc.Mounts {
			if m.Volume == volume {
				return svc.Name, path.Clean(m.Target)
			}
		}
	}
	return "", ""
}

// quote writes a TOML basic string. Go's escapes are TOML's but for \x, \a
// and \v, which strconv.QuoteToASCII writes only for control characters:
// those are made visible first.
func quote(s string) string { return strconv.Quote(Printable(s)) }

// comment makes a name fit for a comment: one line, no control characters.
func comment(s string) string { return strings.ReplaceAll(Printable(s), "\n", " ") }
