package review

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// Sides are the two versions of a recipe that a review compares, each resolved
// with its own .env.sample.
type Sides struct {
	Base, Head           labels.Subject  // Base without a Stack: there is no base, or it can't be read
	BaseUnread           string          // why it can't be
	Notices              []labels.Notice // of resolving the head
	BaseSuite, HeadSuite *runner.Suite   // BaseSuite nil: there was none

	// Accepted are the volumes ("redis") and paths in them ("db:cache") whose
	// exclusion the reviewer knows and accepts.
	Accepted []string
	// Measured is what a volume holds, as far as it was looked at.
	Measured map[string]Amount
	Command  string // shows the labels again
}

// An Amount is how much a volume holds.
type Amount struct {
	Files int
	Bytes int64
}

// LabelsNoError checks that the head has no error notice, and that it saves all
// that the base saves.
func LabelsNoError(s Sides) Check {
	c := newCheck(CheckLabelsNoError, "the labels have no error, and save all that the base's save")
	for _, v := range s.headPlan().Volumes {
		c.say("%s", rowLine(v))
	}
	switch {
	case s.Base.Stack != nil:
		c.sayChanges(labels.Diff(s.Base, s.Head))
	case s.BaseUnread != "":
		c.doubt("the base can't be read, and what it saves is not known: %s", s.BaseUnread)
	default:
		c.say("there is no base to compare with")
	}
	errors := 0
	for _, n := range s.notices() {
		if !s.heldAgainst(n) {
			c.say("%s: %s: %s (%s)", n.Severity, n.Where, n.Text, n.ID)
			continue
		}
		errors++
		c.fail(s.labelFinding(n))
	}
	for _, name := range s.unloaded() {
		errors++
		c.fail(Finding{
			Title:   "labels in " + name + ", which nothing loads",
			Claimed: name + " holds backupbot labels",
			Does:    "COMPOSE_FILE of .env.sample does not load it, and nothing is saved",
			Missing: "labels that every deployed app has",
			Fix:     "put the labels into a compose file that is loaded already", Command: s.Command,
		})
	}
	return c.done("%s", count(errors, "error"))
}

func (s Sides) headPlan() *labels.Plan {
	if s.Head.Plan != nil {
		return s.Head.Plan
	}
	return labels.PlanOf(s.Head.Stack)
}

// notices are all that is to be said about the head.
func (s Sides) notices() []labels.Notice {
	all := append(slices.Clone(s.Notices), labels.Check(s.Head)...)
	return append(all, labels.CheckAgainst(s.Base, s.Head)...)
}

// heldAgainst tells whether a notice fails the check: every error does, and
// two warnings that only a look at the base or the reviewer can excuse.
func (s Sides) heldAgainst(n labels.Notice) bool {
	switch n.ID {
	case "saves-less-excluded":
		return !slices.Contains(s.Accepted, volumeOf(n.Where))
	case "hook-swallows":
		return s.Base.Stack == nil || !slices.Contains(labels.Check(s.Base), n)
	}
	return n.Severity == labels.Error
}

func rowLine(v labels.VolumePlan) string {
	at := make([]string, len(v.Mounts))
	for i, m := range v.Mounts {
		at[i] = m.Service + ":" + m.Target
	}
	where := fmt.Sprintf("%s at %s", v.Volume, strings.Join(at, ", "))
	if !v.Saved {
		return fmt.Sprintf("%s: not saved, %s", where, v.Why)
	}
	return fmt.Sprintf("%s: saved (%s) by %s", where, strings.Join(v.Paths, ", "), v.Label)
}

// sayChanges tells what changes for a backup; traefik's labels are of no account.
func (c *checking) sayChanges(changes []labels.Change) {
	var lines []string
	for _, ch := range changes {
		if ch.Kind == "notice" || ch.Kind == "label" && !strings.Contains(ch.What, "backupbot") {
			continue
		}
		lines = append(lines, ch.Op+": "+ch.Text)
	}
	if len(lines) == 0 {
		c.say("nothing changes for a backup")
	}
	for _, l := range listed(lines) {
		c.say("%s", l)
	}
}

// volumeOf is the volume that a notice is about, "" for another place.
func volumeOf(where string) string {
	name, ok := strings.CutPrefix(where, "volume ")
	if !ok {
		return ""
	}
	return name
}

func (s Sides) labelFinding(n labels.Notice) Finding {
	f := Finding{
		Title: n.Where + ": " + aboutNotice(n.ID), Does: n.Text, Fix: n.Advice, Command: s.Command,
		Claimed: "the labels save what people would miss", Missing: "labels that do (" + n.ID + ")",
	}
	name := volumeOf(n.Where)
	if base := s.Base.Plan; base == nil && s.Base.Stack != nil {
		s.Base.Plan = labels.PlanOf(s.Base.Stack)
	}
	if s.Base.Plan != nil && name != "" {
		if was := s.Base.Plan.Volume(name); was != nil && was.Saved {
			f.Claimed = "the base: " + rowLine(*was)
		}
	}
	if now := s.headPlan().Volume(name); now != nil {
		f.Does += "; the head: " + rowLine(*now)
	}
	if reason, ok := s.Head.Excluded[name]; ok {
		f.Does += fmt.Sprintf("; its suite says: %q", reason)
	}
	return f
}

func aboutNotice(id string) string {
	for _, k := range labels.Kinds() {
		if k.ID == id {
			return k.About
		}
	}
	return id
}

// unloaded are the overlays with backupbot labels that the pull request brings
// or changes, of a head that saves nothing: a label there is for show.
func (s Sides) unloaded() (names []string) {
	if s.headPlan().Enabled || s.Head.Files == nil {
		return nil
	}
	loaded := strings.Split(s.Head.Stack.Env["COMPOSE_FILE"], ":")
	overlays, _ := fs.Glob(s.Head.Files, "compose*.yml") // the pattern is well-formed
	for _, name := range overlays {
		now, err := fs.ReadFile(s.Head.Files, name)
		if err != nil || slices.Contains(loaded, name) || name == "compose.yml" || !strings.Contains(string(now), "backupbot.") {
			continue
		}
		if s.Base.Files != nil {
			if was, err := fs.ReadFile(s.Base.Files, name); err == nil && string(was) == string(now) {
				continue
			}
		}
		names = append(names, name)
	}
	return names
}

// VolumesDecided checks that every durable volume is saved, or excluded for a
// reason that the base's suite had already or the reviewer accepts.
func VolumesDecided(s Sides) Check {
	c := newCheck(CheckVolumesDecided, "every durable volume is saved, or excluded for a known reason")
	undecided := map[string]labels.Notice{}
	for _, n := range s.notices() {
		if n.ID == "unsaved-volume" || n.ID == "excluded-volume" {
			undecided[volumeOf(n.Where)] = n
		}
	}
	for _, name := range slices.Sorted(maps.Keys(undecided)) {
		n := undecided[name]
		c.fail(Finding{
			Title: n.Where + " is neither saved nor excluded for a reason", Claimed: "backups hold what people would miss",
			Does: n.Text, Missing: "a decision about the volume", Fix: n.Advice, Command: s.Command,
		})
	}
	saved := 0
	for _, v := range s.headPlan().Volumes {
		if v.Saved {
			saved++
		}
	}
	excludes := 0
	if s.HeadSuite != nil {
		excludes = len(s.HeadSuite.Excludes)
		for _, x := range s.HeadSuite.Excludes {
			s.exclude(c, x)
		}
	}
	return c.done("%s saved, %s", count(saved, "volume"), count(excludes, "exclude"))
}

// exclude tells of one exclude, and whether anybody knows it.
func (s Sides) exclude(c *checking, x runner.Exclude) {
	name := excludeName(x)
	amount := "its files and bytes were not measured"
	if m, ok := s.Measured[x.Volume]; ok {
		amount = fmt.Sprintf("the volume holds %s, %d bytes", count(m.Files, "file"), m.Bytes)
	}
	line := fmt.Sprintf("%s is excluded: %q; %s", name, x.Reason, amount)
	switch {
	case slices.Contains(s.Accepted, name):
		c.say("%s; the reviewer accepts it", line)
	case s.BaseSuite != nil && slices.ContainsFunc(s.BaseSuite.Excludes, func(was runner.Exclude) bool {
		return was.Volume == x.Volume && (wholeVolume(was) || path.Clean(was.Path) == path.Clean(x.Path))
	}):
		c.say("%s; the base's suite excludes it, too", line)
	default:
		c.doubt("%s; --accept-exclude %s accepts it", line, name)
	}
}

func wholeVolume(x runner.Exclude) bool { return x.Path == "" || x.Path == "." }

// excludeName is how a reviewer accepts an exclude.
func excludeName(x runner.Exclude) string {
	if wholeVolume(x) {
		return x.Volume
	}
	return x.Volume + ":" + path.Clean(x.Path)
}
