package labels

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	composetypes "github.com/docker/cli/cli/compose/types"
	"golang.org/x/mod/semver"
)

// CheckAgainst returns what is to be said about head because of the base that
// it replaces, errors first. Both need a Stack from Resolve, and head its Files.
func CheckAgainst(base, head Subject) []Notice {
	base, head = base.withPlan(), head.withPlan()
	if base.Stack == nil || head.Stack == nil {
		return nil
	}
	notices := checkDropped(base, head)
	notices = append(notices, checkLosses(base, head)...)
	notices = append(notices, checkExistingApps(base, head)...)
	notices = append(notices, checkBump(base, head)...)
	notices = append(notices, checkConfigs(base, head)...)
	return sortNotices(notices)
}

func checkDropped(base, head Subject) []Notice {
	var notices []Notice
	for _, v := range base.Plan.Volumes {
		if head.Plan.Volume(v.Volume) == nil && base.durable(v.Volume) {
			notices = append(notices, note("volume-dropped", "volume "+v.Volume, "the base mounts it (%s), the head does not", mountWords(v.Mounts)))
		}
	}
	return notices
}

// A loss is what one plan saves of a volume that both know, and the other not.
type loss struct {
	volume  string
	missing []string
	now     VolumePlan
}

func losses(from, to *Plan) []loss {
	var out []loss
	for _, was := range from.Volumes {
		now := to.Volume(was.Volume)
		if now == nil || !was.Saved {
			continue
		}
		var missing []string
		for _, p := range was.Paths {
			if !slices.ContainsFunc(now.Paths, func(q string) bool { return within(p, q) }) {
				missing = append(missing, p)
			}
		}
		if len(missing) > 0 {
			out = append(out, loss{was.Volume, missing, *now})
		}
	}
	return out
}

// checkLosses compares what is saved. A dump in the place of raw files may be
// the better backup; only the drill can tell, so that this is a warning.
func checkLosses(base, head Subject) []Notice {
	var notices []Notice
	for _, l := range losses(base.Plan, head.Plan) {
		id := "saves-less"
		switch {
		case !head.durable(l.volume):
			id = "saves-less-excluded"
		case l.now.Saved && head.Plan.hookAt(l.now, BackupPre):
			id = "dump-replaces-files"
		}
		notices = append(notices, note(id, "volume "+l.volume, "the base saved %s, the head %s", pathWords(l.missing), pathWords(l.now.Paths)))
	}
	return notices
}

// choices are the variables whose value decides what is saved: an app that is
// deployed already has them from the .env.sample of its day, and no other
// source counts.
func choices(s *Stack) []string {
	names := []string{"COMPOSE_FILE"}
	for _, u := range s.switches() {
		names = append(names, u.Variable)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// switches are the uses of variables in backupbot labels other than hooks.
func (s *Stack) switches() []Use {
	var out []Use
	for _, u := range s.Uses {
		if isBackupKey(u.Label) && knownKeys[u.Label] != keyHook && u.Variable != "STACK_NAME" && u.Variable != "DOMAIN" {
			out = append(out, u)
		}
	}
	return out
}

// choose returns env with the choices as sample makes them.
func choose(env map[string]string, sample *Env, choices []string) map[string]string {
	env = maps.Clone(env)
	for _, name := range choices {
		delete(env, name)
		if v, ok := sample.Lookup(name); ok {
			env[name] = v
		}
	}
	return env
}

// planWith resolves the subject again with another env. Most of what a recipe's
// labels cost is the loader, so the same env is not resolved twice.
func (s Subject) planWith(env map[string]string) (*Plan, error) {
	if maps.Equal(env, s.Stack.Env) {
		return PlanOf(s.Stack), nil
	}
	stack, _, err := Resolve(Source{Dir: s.Stack.Dir, Files: s.Files, Env: env})
	if err != nil {
		return nil, err
	}
	return PlanOf(stack), nil
}

// checkDefaults looks at switches: one without a default, and what .env.sample
// leaves of the plan if nothing else decides.
func checkDefaults(s Subject) []Notice {
	var notices []Notice
	for _, u := range s.Stack.switches() {
		if !u.HasDefault {
			notices = append(notices, note("no-default", where(u), "%q has no default, and an app whose env lacks it is not saved", u.Variable))
		}
	}
	if s.Files == nil || s.Stack.Env == nil {
		return notices
	}
	plan, err := s.planWith(choose(s.Stack.Env, s.Sample, choices(s.Stack)))
	if err != nil {
		return append(notices, note("switched-off", ".env.sample", "with it alone the recipe can't be read: %v", err))
	}
	if !plan.Enabled && (s.Plan.Enabled || s.variableIn("backupbot.backup")) {
		return append(notices, note("switched-off", ".env.sample", "with the values in it nothing is saved%s", s.blame(s.Sample)))
	}
	for _, l := range losses(s.Plan, plan) {
		notices = append(notices, note("switched-off", ".env.sample volume "+l.volume, "with the values in it %s of the volume is saved%s", pathWords(l.now.Paths), s.blame(s.Sample)))
	}
	return notices
}

// blame says which switches an env sets, and how.
func (s Subject) blame(sample *Env) string {
	var words []string
	for _, name := range choices(s.Stack) {
		v, ok := sample.Lookup(name)
		switch {
		case name == "COMPOSE_FILE" && v == s.Stack.Env[name]:
		case ok:
			words = append(words, fmt.Sprintf("%s=%q", name, v))
		default:
			words = append(words, fmt.Sprintf("%s is not set", name))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// checkExistingApps plans the head for an app that was deployed from the base
// and whose env stays as it is: choices of the base's .env.sample, and for all
// else what the base ran with, or the head where the base knew nothing.
func checkExistingApps(base, head Subject) []Notice {
	if !head.Plan.Enabled || head.Files == nil || head.Stack.Env == nil {
		return nil
	}
	env := choose(existingEnv(base, head), base.Sample, choices(head.Stack))
	plan, err := head.planWith(env)
	if err != nil {
		return []Notice{note("existing-apps-unsaved", "stack", "the head can't be read with the env of an app deployed from the base: %v", err)}
	}
	if !plan.Enabled {
		return []Notice{note("existing-apps-unsaved", "stack", "nothing of them is saved%s", head.blame(base.Sample))}
	}
	var notices []Notice
	for _, l := range losses(head.Plan, plan) {
		if head.durable(l.volume) {
			notices = append(notices, note("existing-apps-unsaved", "volume "+l.volume, "%s of it is saved in them%s", pathWords(l.now.Paths), head.blame(base.Sample)))
		}
	}
	return notices
}

// existingEnv takes from the head what is in no .env.sample: what abra.sh
// exports changes with the recipe, not with the app.
func existingEnv(base, head Subject) map[string]string {
	env := maps.Clone(base.Stack.Env)
	if env == nil {
		env = map[string]string{}
	}
	for k, v := range head.Stack.Env {
		_, inHead := head.Sample.Lookup(k)
		_, inBase := base.Sample.Lookup(k)
		if !inHead && !inBase {
			env[k] = v
		}
	}
	return env
}

// checkBump compares version labels if a compose file changed.
func checkBump(base, head Subject) []Notice {
	was, _ := base.Stack.version()
	is, service := head.Stack.version()
	if service == "" || base.Files == nil || head.Files == nil || !composeChanged(base, head) {
		return nil
	}
	a, b := recipeVersion(was), recipeVersion(is)
	if a != "" && b != "" && semver.Compare(b, a) > 0 || (a == "") != (b == "") && is != was {
		return nil
	}
	return []Notice{note("version-not-bumped", service+" version", "it is %q, and was %q", is, was)}
}

func composeChanged(base, head Subject) bool {
	was, _ := composeFiles(base.Stack.Env)
	is, _ := composeFiles(head.Stack.Env)
	if !slices.Equal(was, is) {
		return true
	}
	return slices.ContainsFunc(is, func(name string) bool {
		a, errA := fs.ReadFile(base.Files, name)
		b, errB := fs.ReadFile(head.Files, name)
		return !bytes.Equal(a, b) || (errA == nil) != (errB == nil)
	})
}

// checkConfigs finds configs whose content changed and whose name did not.
func checkConfigs(base, head Subject) []Notice {
	if base.Files == nil || head.Files == nil || base.Stack.Compose == nil || head.Stack.Compose == nil {
		return nil
	}
	was, is := base.Stack.configFiles(), head.Stack.configFiles()
	var notices []Notice
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if was[name] == "" {
			continue
		}
		a, errA := readRecipeFile(base.Files, was[name])
		b, errB := readRecipeFile(head.Files, is[name])
		if errors.Join(errA, errB) == nil && !bytes.Equal(a, b) {
			notices = append(notices, note("config-version", is[name], "its content changed, and it is still called %q", name))
		}
	}
	return notices
}

// configFiles are the files of configs and secrets, by the name in the swarm.
func (s *Stack) configFiles() map[string]string {
	objects := map[string]composetypes.FileObjectConfig{}
	for key, c := range s.Compose.Configs {
		objects[s.Name+"_"+key] = composetypes.FileObjectConfig(c)
	}
	for key, c := range s.Compose.Secrets {
		objects[s.Name+"_"+key] = composetypes.FileObjectConfig(c)
	}
	files := map[string]string{}
	for name, o := range objects {
		if file, ok := s.inRecipe(o.File); ok {
			if o.Name != "" {
				name = o.Name
			}
			files[name] = file
		}
	}
	return files
}
