package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// An Operator is a way to sabotage a backup or its restoration.
type Operator string

// The operators. What each must turn red stands in the comment.
const (
	Placebo       Operator = "placebo"         // nothing: a restore as it should be
	DropPath      Operator = "drop_path"       // a probe: one saved path does not come back
	RestoreNone   Operator = "restore_nothing" // every probe: nothing comes back, and time passes
	OlderSnapshot Operator = "older_snapshot"  // every probe: what was seeded last is not in it
	Truncated     Operator = "truncated"       // a probe: files that seeding changed come back empty
	LabelRemoved  Operator = "label_removed"   // a probe: what the label saved is lost
	PreHookGone   Operator = "pre_hook_skipped"
	PreHookStale  Operator = "pre_hook_stale" // a probe: the hook does not run, its old output is saved
	PostHookGone  Operator = "post_hook_skipped"
	NewSecrets    Operator = "new_secrets" // nothing: it tells which secrets a restored app needs
)

// An Outcome is what became of a mutant.
type Outcome string

// The outcomes. Only a survivor is held against a suite.
const (
	Killed       Outcome = "killed"       // a check missed, and the cure turned it green again
	Detected     Outcome = "detected"     // nothing was missed, but it was loud: the app or a hook failed
	Survived     Outcome = "survived"     // all stayed green
	Equivalent   Outcome = "equivalent"   // nothing that a test could see had changed
	Inconclusive Outcome = "inconclusive" // nobody can tell
)

// A Mutant is one deliberate sabotage, and what came of it.
type Mutant struct {
	Op      Operator                `json:"op"`
	On      string                  `json:"on,omitempty"` // the path, hook or label that it is about
	Outcome Outcome                 `json:"outcome"`
	Changed string                  `json:"changed,omitempty"` // the bytes that it kept away or damaged
	Sights  map[string]runner.Sight `json:"sights,omitempty"`  // by probe
	Reason  string                  `json:"reason,omitempty"`
	Elders  map[string]runner.Sight `json:"elders,omitempty"`  // of probes of the suite before
	Noticed string                  `json:"noticed,omitempty"` // how the suite before kills it; empty: it does not
	As      string                  `json:"as,omitempty"`      // it comes to the same as this mutant, whose outcome it has
	Seconds float64                 `json:"seconds"`

	paths []labels.SavedPath // that it kept away or damaged
}

// Name is how the mutant is called: operator and object.
func (m Mutant) Name() string { return strings.TrimSpace(string(m.Op) + " " + m.On) }

// test is the name of its test in the record.
func (m Mutant) test() string { return "mutant_" + runner.Slug(m.Name()) }

// A trial is a mutant that was tried, before it is judged.
type trial struct {
	every   bool     // every witness must notice; else one
	named   []string // probes that promise to notice
	changed bool     // the sabotage changed bytes
	loud    error    // what failed by itself during the sabotaged restore
	sights  map[string]runner.Sight
	cured   map[string]runner.Sight // after what was missing was brought back; nil: not tried
	elders  *trial                  // the same in the eyes of the suite before
}

// judge says what came of a trial.
func (t trial) judge() (Outcome, string) {
	miss, broken, green := t.with(runner.SightMiss), t.with(runner.SightError), t.with(runner.SightGreen)
	switch red := append(slices.Clone(miss), broken...); {
	case len(t.sights) == 0:
		return Inconclusive, "no probe was asked"
	case !t.changed && len(red) == 0:
		return Equivalent, "it changed no byte of what is saved"
	case !t.changed:
		return Inconclusive, "it changed no byte of what is saved, and yet " + list(red) + " went red"
	case len(t.uncured(red)) > 0:
		return Inconclusive, "with everything brought back, " + list(t.uncured(red)) + " stayed red: it may not have been the sabotage"
	case t.every && len(green) > 0:
		return Survived, list(green) + " stayed green"
	case t.every && len(broken) > 0:
		return Detected, list(broken) + " gave no clear answer: that the data is gone was not seen"
	case len(miss) > 0:
		return Killed, t.killers(miss)
	case len(broken) > 0:
		return Detected, list(broken) + " gave no clear answer: it was loud, but nothing was missed"
	case t.loud != nil:
		return Detected, "every probe stayed green, but the restore itself failed: " + t.loud.Error()
	}
	return Survived, list(green) + " stayed green"
}

// killers says who missed the data; those that promise to come first.
func (t trial) killers(miss []string) string {
	var sworn, others []string
	for _, p := range miss {
		if slices.Contains(t.named, p) || len(t.named) == 0 {
			sworn = append(sworn, p)
		} else {
			others = append(others, p)
		}
	}
	switch {
	case len(sworn) == 0:
		return "missed by " + list(others) + ", which does not claim to cover it"
	case len(others) == 0:
		return "missed by " + list(sworn)
	}
	return "missed by " + list(sworn) + "; also by " + list(others)
}

// with lists the probes of which something was seen.
func (t trial) with(s runner.Sight) []string {
	var out []string
	for _, p := range slices.Sorted(maps.Keys(t.sights)) {
		if t.sights[p] == s {
			out = append(out, p)
		}
	}
	return out
}

// uncured lists those that did not turn green when all was brought back.
func (t trial) uncured(red []string) []string {
	return slices.DeleteFunc(slices.Clone(red), func(p string) bool { return t.cured[p] == runner.SightGreen })
}

func list(words []string) string { return strings.Join(words, ", ") }

// amount is how much of a listing lies below a path, in words, and whether
// there is anything.
func amount(m runner.Manifest, path string) (files int, bytes int64) {
	for _, e := range m {
		if e.Type == "file" && below(path, e.Path) {
			files++
			bytes += e.Size
		}
	}
	return files, bytes
}

// below tells whether p is root or in it; both are relative to a volume.
func below(root, p string) bool {
	return root == "." || p == root || strings.HasPrefix(p, root+"/")
}

func words(files int, bytes int64) string {
	plural := "s"
	if files == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d file%s, %d bytes", files, plural, bytes)
}

// seeded lists the files below a path that are other in a newer listing than in
// an older one, or new in it: what was seeded in between is in them. Empty files
// cannot be cut.
func seeded(older, newer runner.Manifest, path string) (files []string, bytes int64) {
	was := map[string]runner.Entry{}
	for _, e := range older {
		was[e.Path] = e
	}
	for _, e := range newer {
		old, had := was[e.Path]
		if e.Type != "file" || e.Size == 0 || !below(path, e.Path) || had && old.Size == e.Size && old.MTime.Equal(e.MTime) {
			continue
		}
		files = append(files, e.Path)
		bytes += e.Size
	}
	return files, bytes
}
