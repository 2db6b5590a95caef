package labels

import (
	"fmt"
	"slices"
)

// A NoticeKind describes all notices of one id. Ids are stable: suites,
// ledgers and documentation name them.
type NoticeKind struct {
	ID       string
	Severity Severity
	About    string // what the notice says, in general
	Advice   string // one line: what to do
}

// Kinds returns every kind of notice, errors first; docs are generated from it.
func Kinds() []NoticeKind { return slices.Clone(kinds) }

// Errors are what can lose data; warnings, what only specification or custom
// forbid. kinds_test.go holds each against a recipe that earns it.
var kinds = []NoticeKind{
	{"unknown-key", Error, "a backupbot label that no backup tool reads", "use a key of the specification; what is not read saves nothing"},
	{"container-labels", Error, "backupbot labels under the container's `labels:`", "move them to `deploy.labels`: backup tools read the service, not its containers"},
	{"not-boolean", Error, "a switch that is neither true nor false", "write exactly true or false"},
	{"unknown-volume", Error, "`volumes.<x>` names a volume that no service mounts", "use the volume's name in the compose file, without the stack's"},
	{"path-outside-mount", Error, "a container path that is on no volume", "save a path below a mounted volume: anything else dies with the container"},
	{"path-dotdot", Error, "a path with `..`", "write the path without climbing"},
	{"path-absolute", Error, "a leading slash where a path relative to the volume is meant", "write it relative to the root of the volume"},
	{"path-relative", Error, "a relative path where one of the container is meant", "write volumes.<volume>.path with a relative path, or start with a slash"},
	{"path-space", Error, "a path with a space", "write a,b without spaces"},
	{"path-glob", Error, "a path with a pattern", "name files or directories: nothing expands patterns"},
	{"path-empty", Error, "an empty path", "name what is to be saved, or drop the label to save the whole volume"},
	{"path-not-enabled", Error, "a container path on a service that is not enabled", "write volumes.<volume>.path on the enabled service instead"},
	{"conflicting-labels", Error, "labels that contradict each other", "keep one of them: what saves less is executed"},
	{"readings-differ", Error, "tools that read the labels differently would save different data of a durable volume", "say it in the specification's words: volumes.<volume>=false, or volumes.<volume>.path"},
	{"not-enabled", Error, "backupbot labels, but nothing that enables them", "set backupbot.backup=true on one service, best on app"},
	{"all-excluded", Error, "backups are enabled and save nothing", "save what people would miss"},
	{"unsaved-volume", Error, "a durable volume that is not saved", "save it, or exclude it in the suite with the reason why its loss does not matter"},
	{"excluded-volume", Error, "a durable volume that a label excludes, for no known reason", "give the reason in the suite ([[exclude]] volume, reason), or save it"},
	{"hook-empty", Error, "a hook without a command", "write the command, or drop the label"},
	{"hook-syntax", Error, "a hook that `sh -c` can't parse", "mend the shell syntax; in compose files $ is written $$"},
	{"hook-pipe", Error, "a pipe whose first commands may fail unnoticed", "use temporary files or `set -o pipefail` in a shell that has it, so that half a dump is not a success"},
	{"hook-file", Error, "a hook that runs a file which nothing puts into the container", "mount the script as a config, or write the commands into the label"},
	{"switched-off", Error, "backups that .env.sample switches off", "make true the default in compose file and .env.sample"},
	{"no-default", Error, "a backup switch without a default: apps already deployed stay unsaved", "write ${VARIABLE:-true}: the env of a deployed app does not change by itself"},
	{"existing-apps-unsaved", Error, "apps already deployed, whose env stays as it is, save less than new ones", "put the labels into the compose file that they load already, with defaults that save"},
	{"saves-less", Error, "data that the base saved is not saved any more", "save it as before, or say why nobody misses it"},
	{"volume-dropped", Error, "a volume that the base mounts is mounted no more", "keep it mounted, or move its data and say so in the release notes"},

	{"variable-misread", Warning, "a reference to a variable that docker reads in another way than it looks", "put the name in braces, and no - into the message of :?"},
	{"unset-variable", Warning, "a variable that has no value", "give it a value in .env.sample, or a default in the compose file"},
	{"no-backups", Warning, "no backups at all", "set backupbot.backup=true on app to save every volume"},
	{"container-path-form", Warning, "`backupbot.backup.path`, which the specification does not know", "write backupbot.backup.volumes.<volume>.path, relative to the volume"},
	{"enabled-twice", Warning, "several services enable backups; the specification wants one", "keep backupbot.backup=true on app alone"},
	{"readings-differ-excluded", Warning, "tools that read the labels differently would save different data, but only of volumes that the suite excludes", "write volumes.<volume>=false for what need not be saved"},
	{"saves-less-excluded", Warning, "data that the base saved is not saved any more, of a volume that the suite excludes", "make sure that the reason in the suite holds"},
	{"dump-replaces-files", Warning, "fewer files saved than the base did, where a hook may make up for them", "let the drill prove that the dump brings everything back"},
	{"partial-volume", Warning, "only a part of a volume is saved, and no hook makes up for the rest", "save the whole volume, or exclude the rest in the suite with a reason"},
	{"no-restore-hook", Warning, "a hook makes a dump, and none puts it back", "add backupbot.restore.post-hook, or tell in the README how to load the dump"},
	{"live-database", Warning, "files of a running database are saved without a hook", "dump the database in backupbot.backup.pre-hook and save the dump"},
	{"hook-swallows", Warning, "a hook that calls a failure a success", "let the hook fail: half a dump, or none, must not look like one"},
	{"image-volume", Warning, "a VOLUME of the image on which nothing is mounted", "mount a named volume there: what is in an anonymous one is lost with its task"},
	{"untested-overlay", Warning, "an overlay that is only named in a comment of .env.sample, so that no run proves it", "run the ladder with the overlay in COMPOSE_FILE, too"},
	{"version-label", Warning, "no version label of the form <semver>+<app version>", "set coop-cloud.${STACK_NAME}.version on app, as `abra recipe sync` does"},
	{"version-not-bumped", Warning, "the compose files changed, and the version label did not go up", "bump it with `abra recipe sync` before the release"},
	{"config-version", Warning, "a config whose content changed under its old name", "raise its version in abra.sh: swarm refuses to change a config"},
}

// note makes a notice of a known kind.
func note(id, where, format string, args ...any) Notice {
	for _, k := range kinds {
		if k.ID == id {
			return Notice{ID: id, Severity: k.Severity, Where: where, Text: fmt.Sprintf(format, args...), Advice: k.Advice}
		}
	}
	panic("labels: no kind of notice " + id)
}

// sortNotices puts errors first, then by id and place, and drops repetitions.
func sortNotices(notices []Notice) []Notice {
	slices.SortFunc(notices, func(a, b Notice) int {
		if a.Severity != b.Severity {
			if a.Severity == Error {
				return -1
			}
			return 1
		}
		return compareNotice(a, b)
	})
	return slices.Compact(notices)
}

func compareNotice(a, b Notice) int {
	for _, pair := range [][2]string{{a.ID, b.ID}, {a.Where, b.Where}, {a.Text, b.Text}} {
		if pair[0] != pair[1] {
			if pair[0] < pair[1] {
				return -1
			}
			return 1
		}
	}
	return 0
}
