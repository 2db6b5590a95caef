package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"coopcloud.tech/abra-ccci/labels"
)

// upgradeStage deploys the base, seeds it, and moves it to the head as an
// operator would: with the env that the base's app has.
func (r *Run) upgradeStage(ctx context.Context) {
	r.runStage(ctx, StageUpgrade, func(ctx context.Context, s *stageRun) error {
		if !r.wants(RungUpgrade) {
			return leftOut
		}
		if r.Base == nil {
			return skip("%s", r.BaseWhy)
		}
		base, head, err := r.upgradePair()
		if err != nil {
			return err
		}
		if same, err := r.sameSpecs(base, head); err != nil {
			return err
		} else if same {
			return skip("the head deploys exactly what %s deploys", r.Base.Commit.Version)
		}
		if !s.test(ctx, "upgrade_deploys_base", func(ctx context.Context) error { return r.deployBase(ctx, base) }) {
			return blocked("upgrade_deploys_base")
		}
		seeded := r.seedBase(ctx, s, base.Stack)
		if !s.test(ctx, "upgrade_moves_to_head", func(ctx context.Context) error { return r.moveTo(ctx, head) }) {
			return nil
		}
		for _, p := range seeded {
			s.test(ctx, "upgrade_keeps_"+p.slug, func(ctx context.Context) error { return r.ex.present(ctx, p).asError() })
		}
		s.test(ctx, "upgrade_stays_up", r.staysUp)
		return nil
	})
}

// upgradePair resolves base and head with the base's env: what a live server
// has when it upgrades.
func (r *Run) upgradePair() (base, head *Deployment, err error) {
	app := r.appEnv(r.Base)
	if base, err = r.deployment(r.Base, app); err != nil {
		return nil, nil, unver("the base %s does not resolve: %v", r.Base.Commit.Version, err)
	}
	if head, err = r.deployment(r.Head, app); err != nil {
		return nil, nil, fmt.Errorf("with the env of an app deployed at %s: %w", r.Base.Commit.Version, err)
	}
	return base, head, nil
}

func (r *Run) sameSpecs(base, head *Deployment) (bool, error) {
	a, err := r.Deployer.Convert(base)
	if err != nil {
		return false, unver("the base %s does not convert: %v", r.Base.Commit.Version, err)
	}
	b, err := r.Deployer.Convert(head)
	if err != nil {
		return false, err
	}
	return maps.Equal(a, b), nil
}

// deployBase puts the base on the engine. That it can't be is not the head's fault.
func (r *Run) deployBase(ctx context.Context, base *Deployment) error {
	_, err := r.deploy(ctx, base)
	if err == nil {
		err = r.setUp(ctx)
	}
	var infra *InfraError
	if err == nil || errors.As(err, &infra) {
		return err
	}
	return unver("the base %s: %v", r.Base.Commit.Version, err)
}

// seedBase seeds every probe that fits the base and returns those that have
// something to lose.
func (r *Run) seedBase(ctx context.Context, s *stageRun, stack *labels.Stack) []*tracked {
	var seeded []*tracked
	for _, p := range r.probes {
		if p.fits(stack) && s.test(ctx, "upgrade_seeds_"+p.slug, func(ctx context.Context) error { return r.ex.seed(ctx, p) }) {
			seeded = append(seeded, p)
		}
	}
	return seeded
}

// moveTo upgrades the stack, and proves that every task of every service runs
// the head's spec.
func (r *Run) moveTo(ctx context.Context, head *Deployment) error {
	want, err := r.Deployer.Convert(head)
	if err != nil {
		return err
	}
	prepared := r.prepareBackups(ctx)
	obs, err := r.deploy(ctx, head)
	prepared()
	if err != nil {
		return err
	}
	if err := moved(want, obs); err != nil {
		r.running = nil
		return err
	}
	return nil
}

// prepareBackups makes the backup repository while the engine is busy with
// something else. What it returns waits for that. An error is not told: the
// first backup tries again.
func (r *Run) prepareBackups(ctx context.Context) (wait func()) {
	if !r.wants(RungBackupRestore) || !r.backupsApply() {
		return func() {}
	}
	var log bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Backups.Prepare(WithStepLog(ctx, &log)); err != nil {
			fmt.Fprintf(&log, "# preparing the backup repository: %v\n", err)
		}
	}()
	return func() {
		<-done
		StepLog(ctx).Write(log.Bytes())
	}
}

// moved tells what does not run the spec that it should.
func moved(want map[string]string, obs *Observed) error {
	for _, service := range slices.Sorted(maps.Keys(want)) {
		if got := obs.Specs[service]; got != want[service] {
			return fmt.Errorf("service %s did not move: its spec is %.12s, the head's %.12s", service, got, want[service])
		}
	}
	for service := range obs.Specs {
		if _, ok := want[service]; !ok {
			return fmt.Errorf("service %s is still there, and the head does not have it", service)
		}
	}
	for _, t := range obs.Tasks {
		if t.Spec != obs.TaskSpecs[t.Service] {
			return fmt.Errorf("a task of service %s still runs another spec (%s)", t.Service, t.State)
		}
	}
	return nil
}
