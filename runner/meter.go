package runner

import (
	"context"
	"sync"
	"time"

	"coopcloud.tech/abra-ccci/labels"
)

// Spent tells where a run's time went, in seconds of wall time. The parts may
// overlap; Own is what is left of Total while none of them went on: the tool's
// own share, which includes looking at volumes and reading back what runs.
type Spent struct {
	Total    float64 `json:"total"`
	Deploy   float64 `json:"deploy"`   // putting the app on the engine, until it has converged
	Restart  float64 `json:"restart"`  // replacing every task
	Undeploy float64 `json:"undeploy"` // until nothing of the app is left
	Exec     float64 `json:"exec"`     // commands and requests of the suite, in the app
	Wait     float64 `json:"wait"`     // until a step may be tried again
	Backup   float64 `json:"backup"`   // restic and the hooks
	Own      float64 `json:"own"`
}

// A kind is a sort of work that is not the tool's own.
type kind int

const (
	deploying kind = iota
	restarting
	undeploying
	executing
	waiting
	backingUp
	kinds
)

// A meter adds up how long each kind of work went on, and how long any did.
// Its zero value is ready, and nil counts nothing.
type meter struct {
	mu   sync.Mutex
	busy int       // intervals that are open
	from time.Time // since when there is one
	any  time.Duration
	each [kinds]time.Duration
}

// begin opens an interval; what it returns closes it.
func (m *meter) begin(k kind) (end func()) {
	if m == nil {
		return func() {}
	}
	start := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy == 0 {
		m.from = start
	}
	m.busy++
	return func() {
		now := time.Now()
		m.mu.Lock()
		defer m.mu.Unlock()
		m.each[k] += now.Sub(start)
		if m.busy--; m.busy == 0 {
			m.any += now.Sub(m.from)
		}
	}
}

// spent sums up a run that took total. Intervals that are open do not count.
func (m *meter) spent(total time.Duration) Spent {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	return Spent{Total: s(total), Deploy: s(m.each[deploying]), Restart: s(m.each[restarting]), Undeploy: s(m.each[undeploying]),
		Exec: s(m.each[executing]), Wait: s(m.each[waiting]), Backup: s(m.each[backingUp]), Own: s(max(0, total-m.any))}
}

// metered counts what goes through a run's seams.
func (c *Config) metered(m *meter) {
	c.Deployer = meteredDeployer{c.Deployer, m}
	c.Tasks = meteredTasks{c.Tasks, m}
	c.Backups = meteredBackups{c.Backups, m}
}

type meteredDeployer struct {
	Deployer
	m *meter
}

func (d meteredDeployer) Deploy(ctx context.Context, what *Deployment) error {
	defer d.m.begin(deploying)()
	return d.Deployer.Deploy(ctx, what)
}

func (d meteredDeployer) Restart(ctx context.Context) error {
	defer d.m.begin(restarting)()
	return d.Deployer.Restart(ctx)
}

func (d meteredDeployer) Undeploy(ctx context.Context, r Removal) error {
	defer d.m.begin(undeploying)()
	return d.Deployer.Undeploy(ctx, r)
}

type meteredTasks struct {
	Tasks
	m *meter
}

func (t meteredTasks) Exec(ctx context.Context, service string, c Command) (Output, error) {
	defer t.m.begin(executing)()
	return t.Tasks.Exec(ctx, service, c)
}

func (t meteredTasks) Ask(ctx context.Context, service string, r Request) (Response, error) {
	defer t.m.begin(executing)()
	return t.Tasks.Ask(ctx, service, r)
}

type meteredBackups struct {
	BackupEngine
	m *meter
}

func (b meteredBackups) Prepare(ctx context.Context) error {
	defer b.m.begin(backingUp)()
	return b.BackupEngine.Prepare(ctx)
}

func (b meteredBackups) Backup(ctx context.Context, p *labels.Plan) (Snapshot, error) {
	defer b.m.begin(backingUp)()
	return b.BackupEngine.Backup(ctx, p)
}

func (b meteredBackups) Files(ctx context.Context, id string) (map[string]Manifest, error) {
	defer b.m.begin(backingUp)()
	return b.BackupEngine.Files(ctx, id)
}

func (b meteredBackups) Restore(ctx context.Context, id string, paths []labels.SavedPath) error {
	defer b.m.begin(backingUp)()
	return b.BackupEngine.Restore(ctx, id, paths)
}

func (b meteredBackups) Hooks(ctx context.Context, p *labels.Plan, k labels.HookKind) error {
	defer b.m.begin(backingUp)()
	return b.BackupEngine.Hooks(ctx, p, k)
}
