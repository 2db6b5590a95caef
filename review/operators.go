package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/runner"
)

// ofPaths are the mutants that need nothing but the two snapshots.
func (s *Saboteur) ofPaths() []sabotage {
	all := sabotage{op: RestoreNone, snapshot: s.reference, lost: s.paths, wait: true, every: true, changed: s.amountOf(s.paths)}
	out := []sabotage{all}
	if len(s.paths) > 1 { // the loss of the only path is the loss of all
		for _, p := range s.paths {
			out = append(out, s.drop(DropPath, p.String(), []labels.SavedPath{p}))
		}
	}
	older := sabotage{op: OlderSnapshot, snapshot: s.older, paths: s.paths, lost: s.paths, plan: s.plan, every: true}
	for _, p := range s.paths {
		files, bytes := seeded(s.before[p.Volume], s.stored[p.Volume], p.Path)
		cut := sabotage{op: Truncated, on: p.String(), snapshot: s.reference, paths: s.paths, lost: []labels.SavedPath{p}, plan: s.plan,
			empty: map[labels.SavedPath][]string{p: files}}
		if len(files) > 0 {
			cut.changed = words(len(files), bytes)
			older.changed = strings.TrimPrefix(older.changed+"; "+p.String()+": "+cut.changed, "; ")
		}
		out = append(out, cut)
	}
	return append(out, older)
}

// drop is a restore without some paths.
func (s *Saboteur) drop(op Operator, on string, lost []labels.SavedPath) sabotage {
	rest := slices.DeleteFunc(slices.Clone(s.paths), func(p labels.SavedPath) bool { return slices.Contains(lost, p) })
	return sabotage{op: op, on: on, snapshot: s.reference, paths: rest, lost: lost, plan: s.plan, changed: s.amountOf(lost)}
}

// amountOf says how much the reference holds of some paths.
func (s *Saboteur) amountOf(paths []labels.SavedPath) string {
	files, bytes := 0, int64(0)
	for _, p := range paths {
		f, b := amount(s.stored[p.Volume], p.Path)
		files, bytes = files+f, bytes+b
	}
	if files == 0 {
		return ""
	}
	return words(files, bytes)
}

// ofHooks are the mutants that skip a hook. Those of a pre-hook need a backup
// of their own: one with the output that is there from before, and one without
// any. It is called when something was seeded that no output holds yet.
func (s *Saboteur) ofHooks(ctx context.Context) (out []sabotage, err error) {
	for _, h := range s.plan.Hooks {
		without := withoutHook(s.plan, h)
		switch h.Kind {
		case labels.BackupPre:
			if !s.seeks(PreHookStale, hookName(h)) && !s.seeks(PreHookGone, hookName(h)) {
				continue
			}
			stale, err := s.skippedBackup(ctx, PreHookStale, h, without)
			if err != nil {
				return nil, err
			}
			if err := s.removeOutput(ctx, h); err != nil {
				return nil, err
			}
			gone, err := s.skippedBackup(ctx, PreHookGone, h, without)
			if err != nil {
				return nil, err
			}
			out = append(out, stale...)
			out = append(out, gone...)
		case labels.RestorePost:
			out = append(out, sabotage{op: PostHookGone, on: hookName(h), paths: s.paths, lost: s.touched(h), plan: without, changed: "what the hook does with the restored files"})
		}
	}
	return out, nil
}

// skippedBackup takes a backup without a hook. One that fails is loud: nobody
// has to notice it later.
func (s *Saboteur) skippedBackup(ctx context.Context, op Operator, h labels.Hook, without *labels.Plan) ([]sabotage, error) {
	snap, err := s.rig.Backup(ctx, without)
	if infra := (*runner.InfraError)(nil); errors.As(err, &infra) || ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		s.Mutants = append(s.Mutants, Mutant{Op: op, On: hookName(h), Outcome: Detected, Reason: "the backup itself fails: " + err.Error(), paths: s.touched(h)})
		return nil, nil
	}
	return []sabotage{{op: op, on: hookName(h), snapshot: snap, paths: s.paths, lost: s.touched(h), plan: s.plan, changed: "what the hook would have written"}}, nil
}

// removeOutput removes what a pre-hook writes below saved paths: what is other
// after it has run than before, but not what changes by itself.
func (s *Saboteur) removeOutput(ctx context.Context, h labels.Hook) error {
	var seen []map[string]runner.Manifest
	look := func() error {
		m, err := s.rig.Volumes(ctx)
		seen = append(seen, m)
		return err
	}
	only := *s.plan
	only.Hooks = []labels.Hook{h}
	run := func() error { return s.rig.Hooks(ctx, &only, labels.BackupPre) }
	undo := func() error { return s.rig.Hooks(ctx, s.plan, labels.BackupPost) }
	for _, step := range []func() error{look, look, run, look, undo} {
		if err := step(); err != nil {
			return err
		}
	}
	for _, p := range s.touched(h) {
		restless := differing(seen[0][p.Volume], seen[1][p.Volume])
		var files []string
		for name := range differing(seen[1][p.Volume], seen[2][p.Volume]) {
			if below(p.Path, name) && !restless[name] {
				files = append(files, name)
			}
		}
		if len(files) == 0 {
			continue
		}
		slices.Sort(files)
		fmt.Fprintf(runner.StepLog(ctx), "# removing what %s has written to %s: %q\n", hookName(h), p, files)
		if err := s.rig.Remove(ctx, p.Volume, files); err != nil {
			return err
		}
	}
	return nil
}

// differing is the set of files that are other in b than in a, or only in b.
func differing(a, b runner.Manifest) map[string]bool {
	was := map[string]string{}
	for _, e := range a {
		was[e.Path] = e.Hash
	}
	out := map[string]bool{}
	for _, e := range b {
		if hash, had := was[e.Path]; e.Type == "file" && (!had || hash != e.Hash) {
			out[e.Path] = true
		}
	}
	return out
}

// touched are the saved paths that lie in volumes of a hook's service.
func (s *Saboteur) touched(h labels.Hook) []labels.SavedPath {
	var out []labels.SavedPath
	for _, p := range s.paths {
		for _, v := range s.plan.Volumes {
			if v.Volume == p.Volume && slices.ContainsFunc(v.Mounts, func(m labels.MountPoint) bool { return m.Service == h.Service }) {
				out = append(out, p)
			}
		}
	}
	return out
}

func hookName(h labels.Hook) string { return h.Service + " " + string(h.Kind) }

func withoutHook(p *labels.Plan, h labels.Hook) *labels.Plan {
	q := *p
	q.Hooks = slices.DeleteFunc(slices.Clone(p.Hooks), func(o labels.Hook) bool { return o == h })
	return &q
}

// last ends the lane of the first app. Everything is restored onto one whose
// secrets are others, as it would be after the loss of the server. If that is green,
// so would a placebo be; if not, one is tried, and then each secret by itself.
func (l *lane) last(ctx context.Context) []Mutant {
	names := l.rig.Generated()
	if len(names) == 0 {
		return []Mutant{l.placebo(ctx, "last")}
	}
	all := l.renewed(ctx, "", names)
	if all.Outcome == Equivalent {
		return []Mutant{all.as(Placebo, "last"), all}
	}
	came := []Mutant{l.placebo(ctx, "last"), all}
	if all.Outcome == Detected && len(names) > 1 {
		for _, name := range names {
			came = append(came, l.renewed(ctx, name, []string{name}))
		}
	}
	return came
}

func (l *lane) renewed(ctx context.Context, on string, names []string) Mutant {
	m := Mutant{Op: NewSecrets, On: on, Outcome: Inconclusive, Changed: "other values for " + list(names)}
	began := l.rig.Now()
	passed := l.rig.Test(ctx, m.test(), func(ctx context.Context) error {
		if l.unsound != "" {
			m.Reason = l.unsound
			return runner.Undecided(runner.Skip, "%s", m.Reason)
		}
		if err := l.rig.FreshSecrets(ctx, names); err != nil {
			return needing(&m, names, err)
		}
		if err := l.restore(ctx, sabotage{snapshot: l.reference, paths: l.paths, plan: l.plan}); err != nil {
			return needing(&m, names, err)
		}
		var err error
		if m.Sights, _, err = l.rig.Look(ctx); err != nil {
			return needing(&m, names, err)
		}
		if red := append(trial{sights: m.Sights}.with(runner.SightMiss), trial{sights: m.Sights}.with(runner.SightError)...); len(red) > 0 {
			return needing(&m, names, fmt.Errorf("%s went red", list(red)))
		}
		m.Outcome, m.Reason = Equivalent, "what is restored needs none of them"
		return runner.Remark(m.Reason)
	})
	m.Seconds = l.rig.Now().Sub(began).Seconds()
	return m.held(passed)
}

// needing notes that a restored app needs secrets, by what went wrong without
// them. That is a warning: a backup may leave secrets out, if somebody keeps them.
func needing(m *Mutant, names []string, why error) error {
	if infra := (*runner.InfraError)(nil); errors.As(why, &infra) {
		m.Reason = why.Error()
		return why
	}
	m.Outcome, m.Reason = Detected, fmt.Sprintf("needs %s: %v", oneOf(names), why)
	return runner.Remark(m.Reason)
}

func oneOf(names []string) string {
	if len(names) == 1 {
		return "secret " + names[0]
	}
	return "one of the secrets " + list(names)
}

// labels are the mutants that remove one label, or switch it off, as far as they
// must be tried: a plan without it mostly loses what another mutant has taken away already.
func (s *Saboteur) labels() (out []sabotage) {
	stack := s.rig.Stack()
	for _, svc := range stack.Services {
		for _, key := range slices.Sorted(maps.Keys(svc.Labels)) {
			if !strings.HasPrefix(key, "backupbot.") {
				continue
			}
			if m := s.label(svc.Name+" "+key, labels.PlanOf(withoutLabel(stack, svc.Name, key))); m != nil {
				out = append(out, *m)
			}
		}
	}
	return out
}

func (s *Saboteur) label(on string, without *labels.Plan) *sabotage {
	var lost []labels.SavedPath
	kept := without.Saved()
	for _, p := range s.paths {
		if !slices.ContainsFunc(kept, func(k labels.SavedPath) bool { return k.Volume == p.Volume && below(k.Path, p.Path) }) {
			lost = append(lost, p)
		}
	}
	var hooks []labels.Hook
	for _, h := range s.plan.Hooks {
		if !slices.Contains(without.Hooks, h) {
			hooks = append(hooks, h)
		}
	}
	same := s.same(lost, hooks)
	switch {
	case len(lost) == 0 && len(hooks) == 0:
		s.Mutants = append(s.Mutants, Mutant{Op: LabelRemoved, On: on, Outcome: Equivalent, Reason: "as much is saved without it"})
	case len(same) > 0:
		s.Mutants = append(s.Mutants, same[0].as(LabelRemoved, on))
	default:
		d := s.drop(LabelRemoved, on, lost)
		d.plan = without
		return &d
	}
	return nil
}

// same finds the mutants that took away the same; the one that fared worst is
// the first.
func (s *Saboteur) same(lost []labels.SavedPath, hooks []labels.Hook) []Mutant {
	var out []Mutant
	for _, m := range s.Mutants {
		switch m.Op {
		case DropPath, RestoreNone:
			// Without what they work on, hooks have nothing to do.
			if len(lost) > 0 && len(m.paths) == len(lost) && !slices.ContainsFunc(lost, func(p labels.SavedPath) bool { return !slices.Contains(m.paths, p) }) {
				out = append(out, m)
			}
		case PreHookGone, PreHookStale, PostHookGone:
			if len(lost) == 0 && slices.ContainsFunc(hooks, func(h labels.Hook) bool { return hookName(h) == m.On }) {
				out = append(out, m)
			}
		}
	}
	rank := []Outcome{Survived, Inconclusive, Equivalent, Detected, Killed}
	slices.SortStableFunc(out, func(a, b Mutant) int { return slices.Index(rank, a.Outcome) - slices.Index(rank, b.Outcome) })
	return out
}

// withoutLabel is the stack as it would be without one label.
func withoutLabel(stack *labels.Stack, service, key string) *labels.Stack {
	out := *stack
	out.Services = slices.Clone(stack.Services)
	for i, svc := range out.Services {
		if svc.Name == service {
			out.Services[i].Labels = maps.Clone(svc.Labels)
			delete(out.Services[i].Labels, key)
		}
	}
	return &out
}
