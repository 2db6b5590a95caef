package labels

import (
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// databases are image names whose files are not consistent while they run.
var databases = []string{
	"postgres", "postgresql", "postgis", "pgvector", "timescaledb", "mysql", "mariadb", "percona",
	"mongo", "mongodb", "couchdb", "influxdb", "elasticsearch", "opensearch", "clickhouse", "neo4j", "cassandra",
}

func checkDatabases(s Subject) []Notice {
	var notices []Notice
	for _, v := range s.Plan.Volumes {
		if !v.Saved || !slices.Contains(v.Paths, ".") || s.Plan.hookAt(v, BackupPre) {
			continue
		}
		for _, m := range v.Mounts {
			if name := imageName(s.Stack.service(m.Service).Image); slices.Contains(databases, name) {
				notices = append(notices, note("live-database", "volume "+v.Volume, "service %q runs %q on it while its files are copied", m.Service, name))
			}
		}
	}
	return notices
}

// imageName is the last part of a reference: "postgres" of
// "docker.io/library/postgres:16@sha256:…".
func imageName(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	name, _, _ := strings.Cut(path.Base(ref), ":")
	return name
}

func checkImageVolumes(s Subject) []Notice {
	var notices []Notice
	for _, svc := range s.Stack.Services {
		for _, p := range s.ImageVolumes[svc.Name] {
			if _, _, ok := svc.inMount(path.Clean(p)); !ok {
				notices = append(notices, note("image-volume", svc.Name+" "+p, "the image of service %q keeps data in %q, and no named volume is mounted there", svc.Name, p))
			}
		}
	}
	return notices
}

// checkOverlays finds overlays that comments of .env.sample offer, and that
// the stack does not load.
func checkOverlays(s Subject) []Notice {
	loaded, _ := composeFiles(s.Stack.Env)
	seen := map[string]bool{}
	var notices []Notice
	for _, a := range s.Sample.Commented() {
		if a.Key != "COMPOSE_FILE" {
			continue
		}
		for _, name := range strings.Split(a.Value, ":") {
			if name = path.Clean(name); name == "." || seen[name] || slices.Contains(loaded, name) {
				continue
			}
			seen[name] = true
			notices = append(notices, note("untested-overlay", ".env.sample "+name, "%q is offered in a comment, and is no part of what is looked at here", name))
		}
	}
	return notices
}

// version is the value of the stack's version label and the service it is on.
func (s *Stack) version() (value, service string) {
	for _, svc := range s.Services {
		for _, key := range slices.Sorted(maps.Keys(svc.Labels)) {
			if strings.HasPrefix(key, "coop-cloud.") && strings.HasSuffix(key, ".version") {
				return svc.Labels[key], svc.Name
			}
		}
	}
	return "", ""
}

func checkVersion(s Subject) []Notice {
	value, service := s.Stack.version()
	if service == "" {
		return []Notice{note("version-label", "stack", "no service has a coop-cloud.<stack>.version label")}
	}
	if recipeVersion(value) == "" {
		return []Notice{note("version-label", service+" version", "%q is not <semver>+<app version>", value)}
	}
	return nil
}

// recipeVersion is the recipe's part of "1.0.0+2.3", for comparing with
// package semver; "" if value has not that form.
func recipeVersion(value string) string {
	core, app, ok := strings.Cut(value, "+")
	plain, _, _ := strings.Cut(core, "-")
	if !ok || app == "" || strings.Count(plain, ".") != 2 || !semver.IsValid("v"+core) {
		return ""
	}
	return "v" + core
}
