package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/labels"
)

// canaryPrefix begins the name of every canary.
const canaryPrefix = ".ccci-canary-"

// backupStages takes the pinned snapshot, wipes and restores. It needs a head
// that runs; after a failed upgrade it deploys one from nothing.
func (r *Run) backupStages(ctx context.Context) {
	reason := error(nil)
	switch {
	case !r.wants(RungBackupRestore):
		reason = leftOut
	case !r.backupsApply():
		reason = skip(noBackups)
	}
	if reason != nil {
		for _, name := range []string{StageBackup, StageRestore} {
			r.runStage(ctx, name, func(context.Context, *stageRun) error { return reason })
		}
		return
	}
	r.runStage(ctx, StageBackup, r.backup)
	r.runStage(ctx, StageRestore, func(ctx context.Context, s *stageRun) error {
		if r.snapshot == nil || r.running == nil {
			return blocked(StageBackup)
		}
		return r.restore(ctx, s)
	})
}

// backup seeds, saves, seeds once more and saves again; only the second
// snapshot is ever restored, so a hook that works once is caught.
func (r *Run) backup(ctx context.Context, s *stageRun) error {
	if r.running == nil || r.running.Dir != r.Head.Dir {
		if !s.test(ctx, "backup_deploys_head", r.deployFromNothing) {
			return blocked("backup_deploys_head")
		}
		r.seedAll(ctx, s, "backup_seeds_first_") // what the base's seeding is where there is one
	}
	s.test(ctx, "backup_labels", func(context.Context) error { return r.labelErrors() })
	var plan *labels.Plan
	if !s.test(ctx, "backup_plan_is_deployed", func(ctx context.Context) (err error) { plan, err = r.deployedPlan(ctx); return err }) {
		return blocked("backup_plan_is_deployed")
	}
	if len(plan.Saved()) == 0 {
		return fmt.Errorf("the deployed labels save nothing")
	}
	s.test(ctx, "backup_places_canaries", func(ctx context.Context) error { return r.placeCanaries(ctx, plan) })
	r.seedAll(ctx, s, "backup_seeds_")
	if !s.test(ctx, "backup_snapshot_first", func(ctx context.Context) error { _, err := r.take(ctx, plan); return err }) {
		return blocked("backup_snapshot_first")
	}
	r.seedAll(ctx, s, "backup_seeds_again_")
	for _, p := range r.probes {
		s.test(ctx, "backup_holds_"+p.slug, func(ctx context.Context) error { return r.ex.present(ctx, p).asError() })
	}
	s.test(ctx, "state_outside_volumes", r.outsideTest)
	if !s.test(ctx, "backup_snapshot_second", func(ctx context.Context) error { return r.pin(ctx, plan) }) {
		return blocked("backup_snapshot_second")
	}
	for _, path := range plan.Saved() {
		s.found(ctx, "backup_captures_"+pathSlug(path), r.captured(plan, path))
	}
	for _, volume := range mountedVolumes(r.running.Stack) {
		s.found(ctx, "volume_complete_"+Slug(volume), r.complete(plan, volume))
	}
	if hooked(plan) {
		s.test(ctx, "backup_stays_up", r.mayFall)
	} else {
		s.test(ctx, "backup_stays_up", r.staysUp)
	}
	return nil
}

func pathSlug(p labels.SavedPath) string { return Slug(p.String()) }

// deployFromNothing removes what there is and deploys the head with its own
// env. A head that does not start does not start twice: the reason is kept,
// unless it was the machine's.
func (r *Run) deployFromNothing(ctx context.Context) error {
	return r.deployAfter(ctx, Removal{Volumes: true})
}

func (r *Run) deployAfter(ctx context.Context, what Removal) error {
	r.running = nil
	if err := r.Deployer.Undeploy(ctx, what); err != nil {
		return err
	}
	r.emptied = r.Now()
	for _, p := range r.probes {
		p.tokens = nil
	}
	d, err := r.deployment(r.Head, r.appEnv(r.Head))
	if err == nil {
		_, err = r.deploy(ctx, d)
	}
	if err == nil {
		return r.setUp(ctx)
	}
	if infraOf(err) == nil {
		r.started = err
	}
	return err
}

// labelErrors tells the error notices: with one, data can be lost.
func (r *Run) labelErrors() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var bad []string
	for _, n := range r.results.Notices {
		if n.Severity == labels.Error {
			bad = append(bad, fmt.Sprintf("%s: %s (%s)", n.Where, n.Text, n.ID))
		}
	}
	if r.basePlan != nil && r.basePlan.Enabled && !r.headPlan.Enabled {
		bad = append(bad, "the base enables backups and the head does not")
	}
	if len(bad) > 0 {
		return fmt.Errorf("%s", strings.Join(bad, "; "))
	}
	return nil
}

// deployedPlan plans from the labels of the running services, as a backup
// tool does, and compares that with the plan of the files.
func (r *Run) deployedPlan(ctx context.Context) (*labels.Plan, error) {
	obs, err := r.Deployer.Observe(ctx)
	if err != nil {
		return nil, err
	}
	deployed, filed := labels.PlanOf(obs.Stack), labels.PlanOf(r.running.Stack)
	if a, b := saves(deployed), saves(filed); !slices.Equal(a, b) {
		return nil, fmt.Errorf("the running services save %v, the files say %v", a, b)
	}
	if !deployed.Enabled {
		return nil, fmt.Errorf("no running service has backupbot.backup=true")
	}
	return deployed, nil
}

// saves writes a plan's paths and hooks for comparison.
func saves(p *labels.Plan) []string {
	var out []string
	for _, s := range p.Saved() {
		out = append(out, s.Volume+" "+s.Path)
	}
	for _, h := range p.Hooks {
		out = append(out, fmt.Sprintf("%s %s %q", h.Service, h.Kind, h.Command))
	}
	slices.Sort(out)
	return out
}

func (r *Run) seedAll(ctx context.Context, s *stageRun, prefix string) {
	for _, p := range r.probes {
		s.test(ctx, prefix+p.slug, func(ctx context.Context) error { return r.ex.seed(ctx, p) })
	}
}

// placeCanaries puts a file of ours into each saved directory, so that proof
// file says something also where the app has written nothing yet.
func (r *Run) placeCanaries(ctx context.Context, plan *labels.Plan) error {
	for _, p := range plan.Saved() {
		if err := r.Volumes.Decoy(ctx, p.Volume, p.Path, canaryPrefix+newToken()); err != nil {
			fmt.Fprintf(StepLog(ctx), "# no canary in %s: %v\n", p, err) // a file, or not there yet
		}
	}
	return nil
}

// take makes a snapshot and files it.
func (r *Run) take(ctx context.Context, plan *labels.Plan) (Snapshot, error) {
	snap, err := r.Backups.Backup(ctx, plan)
	if err != nil {
		return Snapshot{}, err
	}
	r.mu.Lock()
	r.results.Snapshots = append(r.results.Snapshots, snap)
	r.mu.Unlock()
	return snap, nil
}

// pin takes the snapshot that is restored from now on, lists it, and notes
// what stood still in each volume around it.
func (r *Run) pin(ctx context.Context, plan *labels.Plan) error {
	before, err := r.manifests(ctx)
	if err != nil {
		return err
	}
	snap, err := r.take(ctx, plan)
	if err != nil {
		return err
	}
	var after, stored map[string]Manifest
	var g errgroup.Group
	g.Go(func() (err error) { after, err = r.manifests(ctx); return err })
	g.Go(func() (err error) { stored, err = r.Backups.Files(ctx, snap.ID); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	r.before, r.stored, r.stable = before, stored, map[string]Manifest{}
	for volume := range before {
		r.stable[volume] = append(unchanged(before[volume], after[volume]), fleeting(stored[volume], before[volume], after[volume])...)
	}
	r.snapshot = &snap
	return nil
}

// fleeting is what a snapshot holds that was there neither before nor after:
// what a pre-hook made and a post-hook removed again.
func fleeting(stored, before, after Manifest) Manifest {
	there := map[string]bool{}
	for _, e := range slices.Concat(before, after) {
		there[e.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(stored), func(e Entry) bool { return there[e.Path] })
}

// manifests lists every volume of the stack, several at once.
func (r *Run) manifests(ctx context.Context) (map[string]Manifest, error) {
	volumes := mountedVolumes(r.running.Stack)
	lists := make([]Manifest, len(volumes))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, volume := range volumes {
		g.Go(func() (err error) {
			if lists[i], err = r.Volumes.Manifest(ctx, volume); err != nil {
				return unver("volume %s could not be listed: %w", volume, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[string]Manifest{}
	for i, volume := range volumes {
		out[volume] = lists[i]
	}
	return out, nil
}

// atOnce bounds how many things are asked of the engine at the same time.
const atOnce = 4

// unchanged keeps the entries that are in both manifests. The content of one
// that changed in between is not known: its hash is emptied.
func unchanged(before, after Manifest) Manifest {
	was := map[string]Entry{}
	for _, e := range before {
		was[e.Path] = e
	}
	var out Manifest
	for _, e := range after {
		b, ok := was[e.Path]
		if !ok || b.Type != e.Type {
			continue
		}
		if b.Hash != e.Hash || b.Size != e.Size {
			e.Hash, e.Size = "", -1
		}
		out = append(out, e)
	}
	return out
}

// captured tells whether a planned path is in the snapshot as something that
// can be restored: a directory with something of the app's in it, or a file
// that is not empty, and not what was there before if a hook dumps it.
func (r *Run) captured(plan *labels.Plan, p labels.SavedPath) error {
	below := 0
	var self *Entry
	for _, e := range r.stored[p.Volume] {
		if rel, ok := within(p.Path, e.Path); ok && rel == "." {
			self = &e
		} else if ok && !strings.HasPrefix(rel, canaryPrefix) {
			below++
		}
	}
	switch {
	case self == nil && below == 0:
		return fmt.Errorf("%s is not in the snapshot", p)
	case self != nil && self.Type == "file" && self.Size == 0:
		return fmt.Errorf("%s is an empty file in the snapshot", p)
	case self != nil && self.Type == "file" && dumped(plan, p) && r.untouched(p, *self):
		return fmt.Errorf("%s is as it was before this backup, written at %s: the pre-hook did not write it", p, self.MTime.UTC().Format(time.RFC3339))
	case self != nil && self.Type != "file" && self.Type != "dir":
		return fmt.Errorf("%s is a %s in the snapshot, not a file or a directory", p, self.Type)
	case self != nil && self.Type == "dir" && below == 0:
		// Whether it was so in the volume too, volume_complete tells.
		return unver("%s is empty in the snapshot: nothing can be proven of it", p)
	}
	return nil
}

// untouched tells whether a file of the snapshot is the one that was in the
// volume before the backup began. Both times are the engine's clock's.
func (r *Run) untouched(p labels.SavedPath, stored Entry) bool {
	return slices.ContainsFunc(r.before[p.Volume], func(e Entry) bool {
		return e.Path == stored.Path && e.MTime.Equal(stored.MTime) && e.Size == stored.Size
	})
}

// hooked tells whether a hook of the plan runs around a backup: it may stop
// and start what it likes.
func hooked(plan *labels.Plan) bool {
	return slices.ContainsFunc(plan.Hooks, func(h labels.Hook) bool { return h.Kind == labels.BackupPre || h.Kind == labels.BackupPost })
}

// dumped tells whether a pre-hook runs in a service that mounts the path's volume.
func dumped(plan *labels.Plan, p labels.SavedPath) bool {
	for _, v := range plan.Volumes {
		if v.Volume != p.Volume {
			continue
		}
		return slices.ContainsFunc(plan.Hooks, func(h labels.Hook) bool {
			return h.Kind == labels.BackupPre &&
				slices.ContainsFunc(v.Mounts, func(m labels.MountPoint) bool { return m.Service == h.Service })
		})
	}
	return false
}

// complete compares what stood in a durable volume with what the snapshot
// has of it.
func (r *Run) complete(plan *labels.Plan, volume string) error {
	if reason, ok := r.Suite.excludedVolumes()[volume]; ok {
		return note("excluded by the suite: " + reason)
	}
	if !slices.ContainsFunc(plan.Volumes, func(v labels.VolumePlan) bool { return v.Volume == volume && v.Saved }) {
		return fmt.Errorf("no label saves volume %s, and the suite does not exclude it", volume)
	}
	return r.compare(volume, r.stable[volume], r.stored[volume])
}

// compare tells what of a manifest is missing or other in a snapshot's listing.
func (r *Run) compare(volume string, want, got Manifest) error {
	have := map[string]Entry{}
	for _, e := range got {
		have[e.Path] = e
	}
	var bad []string
	for _, e := range want {
		if !restorable(e) || e.Path == "." || r.Suite.excludes(volume, e.Path) {
			continue
		}
		if why := differs(e, have[e.Path]); why != "" {
			bad = append(bad, fmt.Sprintf("%s %s", e.Path, why))
		}
	}
	return several(volume, bad)
}

// restorable leaves out what exists only while a process does.
func restorable(e Entry) bool { return e.Type == "file" || e.Type == "dir" || e.Type == "symlink" }

// differs tells how an entry that was seen in a volume is other in a listing.
// Listings have no hashes; sizes, owners and modes must do there.
func differs(want, got Entry) string {
	switch {
	case got.Path == "":
		return "is missing"
	case got.Type != want.Type:
		return fmt.Sprintf("is a %s, was a %s", got.Type, want.Type)
	case got.UID != want.UID || got.GID != want.GID:
		return fmt.Sprintf("belongs to %d:%d, was %d:%d", got.UID, got.GID, want.UID, want.GID)
	case want.Type != "symlink" && got.Mode != want.Mode:
		return fmt.Sprintf("has mode %04o, was %04o", got.Mode, want.Mode)
	case want.Type == "file" && want.Size >= 0 && got.Size != want.Size:
		return fmt.Sprintf("has %d bytes, was %d", got.Size, want.Size)
	case got.Hash != "" && want.Hash != "" && got.Hash != want.Hash:
		return "has other content"
	}
	return ""
}

// several is an error that names the first few of many.
func several(volume string, bad []string) error {
	if len(bad) == 0 {
		return nil
	}
	more := ""
	if len(bad) > 5 {
		more = fmt.Sprintf(" and %d more", len(bad)-5)
	}
	return fmt.Errorf("volume %s: %s%s", volume, strings.Join(bad[:min(5, len(bad))], "; "), more)
}
