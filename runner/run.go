package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/lint"
	"coopcloud.tech/abra-ccci/recipe"
)

// Config is what one run needs. Everything in it is prepared: nothing of the
// recipe has run yet, and what §12 of the design refuses has been refused.
type Config struct {
	RunID   string
	Head    *recipe.Checkout
	Base    *recipe.Checkout // nil: there is nothing to upgrade from
	BaseWhy string           // then, why
	PR      int
	Domain  string
	Suite   *Suite
	Admit   func(*labels.Stack, *recipe.Checkout) error // what may be deployed; nil: anything
	Rungs   []string                                    // nil: all
	Publish bool
	Keep    bool // leave app and data where they are

	// Until names a test: once it has not passed, the run has told what it was
	// made for, and all but the teardown is left out. Empty: everything is tried.
	Until string

	// TeardownTimeout bounds the teardown, also of a run that was interrupted
	// or whose engine went away. 0 means DefaultTeardownTimeout.
	TeardownTimeout time.Duration

	Deployer Deployer
	Tasks    Tasks
	Volumes  Volumes
	Backups  BackupEngine
	Machine  Machine
	Standing func(context.Context) (Standing, error)  // how the tasks of the stack are
	Outside  func(context.Context) ([]Outside, error) // what they hold outside named volumes; nil: nobody looks
	Lint     func(context.Context) []lint.Result

	// Sabotage is given the app once the ladder has been climbed, by a review; nil:
	// there is no stage mutants.
	Sabotage func(context.Context, *Rig) error
	Spoiler  Spoiler // for Sabotage

	// NewTwin makes what a second app of the run works with, under a stack name of
	// its own, for Sabotage; its tasks' logs go where log says. nil: there is only one.
	NewTwin func(stack string, log LogSink) (*Twin, error)

	Vault    *Vault
	Folder   *Folder
	Observer Observer
	Now      func() time.Time
	Tool     Tool
	Engine   EngineInfo
}

// Run is one climb.
type Run struct {
	Config
	observer Observer
	stack    string
	ex       *exerciser
	probes   []*tracked

	secrets map[string]Secret // by full name: generated once, kept to the end
	leaks   *leaks
	kept    *atomic.Int64 // bytes of the tasks' logs
	twins   []*Run
	twin    bool // of another run, which keeps the record

	running  *Deployment // what the engine runs now, if it is whole
	headPlan *labels.Plan
	basePlan *labels.Plan
	snapshot *Snapshot // pinned: the only one that is restored
	stored   map[string]Manifest
	before   map[string]Manifest // per volume: what was there when the pinned backup began
	stable   map[string]Manifest // per volume: what stood still around the snapshot
	outside  []Outside           // what tasks held outside named volumes around the snapshot
	looked   bool                // for that
	started  error               // why the head did not start from nothing, once that is known
	told     map[string]int      // falls of each service that a test has told, since the last deployment

	emptied time.Time   // when the last deployment from nothing began
	gone    int         // times that the engine went away, as far as stages know
	decided atomic.Bool // by the test that Until names

	mu      sync.Mutex
	results Results
	saved   *Results // results as they were saved last, redacted
	meter   *meter
	blame   blame // for results.Fault
}

// teardownGrace is how long a task may take to stop at the end, in place of
// what its service says.
const teardownGrace = 30 * time.Second

// DefaultTeardownTimeout is for runs that do not say how long a teardown may take.
const DefaultTeardownTimeout = 5 * time.Minute

// New prepares a run. The error tells what could not be resolved; nothing was
// deployed.
func New(c Config) (*Run, error) {
	r := &Run{Config: c, observer: &locked{o: c.Observer}, stack: recipe.StackName(c.Domain), secrets: map[string]Secret{}, leaks: &leaks{}, kept: &atomic.Int64{}, meter: &meter{}}
	r.results = Results{
		Schema: Schema, Tool: c.Tool, RunID: c.RunID, Recipe: c.Head.Recipe, Version: c.Head.Commit.Version, Head: c.Head.Commit.SHA,
		PR: c.PR, Started: c.Now().UTC(), Deployer: "swarm", BackupEngine: "restic", Engine: c.Engine, Suite: SuiteRecord{c.Suite.Digest}, Images: map[string]string{},
		Stages: []Stage{}, Coverage: []Coverage{}, Notices: []labels.Notice{}, Snapshots: []Snapshot{}, Deviations: []string{},
		Flags: Flags{CleanTeardown: Unver, NoSecretLeak: Unver}, Lint: LintRecord{Tool: "abra-ccci", Rules: []lint.Result{}},
	}
	r.Config.metered(r.meter)
	if err := recipe.CheckOverrides(c.Suite.Deploy.Env); err != nil {
		return nil, c.Suite.wrong("deploy.env", err.Error(), "")
	}
	head, err := r.deployment(c.Head, r.appEnv(c.Head))
	if err != nil {
		return nil, err
	}
	if err := r.admitUpgrade(); err != nil {
		return nil, err
	}
	r.headPlan = labels.PlanOf(head.Stack)
	r.results.Version = version(c.Head, head.Stack)
	if err := r.Suite.Bind(head.Stack, r.known(head.Stack)); err != nil {
		return nil, err
	}
	for _, p := range r.Suite.Probes {
		r.probes = append(r.probes, &tracked{Probe: p, slug: Slug(p.Name)})
	}
	r.exercise(head.Stack)
	r.inspect(head.Stack)
	return r, nil
}

// version is what a checkout calls itself: its release tag, else the version
// label, which a pull request bumps before there is a tag.
func version(c *recipe.Checkout, stack *labels.Stack) string {
	if c.Commit.Release() {
		return c.Commit.Version
	}
	for _, s := range stack.Services {
		if v := s.Labels["coop-cloud."+stack.Name+".version"]; v != "" {
			return v
		}
	}
	return c.Commit.Version
}

// appEnv is the app's env for a checkout: its own .env.sample under the suite's values.
func (r *Run) appEnv(c *recipe.Checkout) *labels.Env {
	return c.AppEnv(r.Domain, r.suiteEnv())
}

// suiteEnv is the suite's env with its variables in place. Only the names
// that every app has can stand in it.
func (r *Run) suiteEnv() map[string]string {
	values := vars{"DOMAIN": r.Domain, "STACK_NAME": r.stack, "RECIPE": r.Head.Recipe}
	out := map[string]string{}
	for k, v := range r.Suite.Deploy.Env {
		if expanded, err := values.expand(v); err == nil {
			v = expanded
		}
		out[k] = v
	}
	return out
}

// deployment resolves a checkout with an app's env into something to deploy.
func (r *Run) deployment(c *recipe.Checkout, app *labels.Env) (*Deployment, error) {
	stack, notices, err := c.StackAs(app, r.stack)
	if err != nil {
		return nil, err
	}
	if err := r.admit(stack, c); err != nil {
		return nil, err
	}
	r.notice(notices...)
	specs, err := recipe.SecretSpecs(stack, app)
	if err != nil {
		return nil, err
	}
	c.Stamp(stack)
	d := &Deployment{Stack: stack, App: app, Dir: c.Dir, Version: c.Commit.Version, Timeout: time.Duration(r.Suite.Deploy.Timeout), Publish: r.Publish}
	for _, spec := range specs {
		s, err := r.secret(spec)
		if err != nil {
			return nil, err
		}
		d.Secrets = append(d.Secrets, s)
	}
	return d, nil
}

// admit asks whether a stack may be deployed as it is resolved: what a suite or
// the base's .env.sample puts into variables is part of that.
func (r *Run) admit(stack *labels.Stack, c *recipe.Checkout) error {
	if r.Admit == nil {
		return nil
	}
	return r.Admit(stack, c)
}

// admitUpgrade asks for what the upgrade would deploy, before anything runs. That
// one of them does not resolve, the upgrade tells.
func (r *Run) admitUpgrade() error {
	if r.Base == nil {
		return nil
	}
	app := r.appEnv(r.Base)
	for _, c := range []*recipe.Checkout{r.Base, r.Head} {
		if stack, _, err := c.Stack(app); err == nil {
			if err := r.admit(stack, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// secret is the run's value for a secret: the suite's, else one that is
// generated the first time.
func (r *Run) secret(spec recipe.SecretSpec) (Secret, error) {
	if s, ok := r.secrets[spec.FullName]; ok {
		return s, nil
	}
	value, given := r.Suite.Deploy.Secrets[spec.Name]
	if !given {
		var err error
		if value, err = recipe.Generate(spec, nil); err != nil {
			return Secret{}, err
		}
	}
	s := Secret{Name: spec.FullName, Short: spec.Name, Value: value}
	r.secrets[spec.FullName] = s
	r.search(spec.Name, value, given)
	return s, nil
}

// known lists the variables that a suite may use, but for TOKEN.
func (r *Run) known(*labels.Stack) []string {
	known := []string{"DOMAIN", "STACK_NAME", "RECIPE"}
	known = append(known, r.appEnv(r.Head).Keys()...)
	for _, s := range r.secrets {
		known = append(known, "SECRET:"+s.Short)
	}
	slices.Sort(known)
	return slices.Compact(known)
}

// exercise sets up the exerciser for the stack that is deployed.
func (r *Run) exercise(stack *labels.Stack) {
	values := vars{}
	for k, v := range r.appEnv(r.Head).Map() {
		values[k] = v
	}
	values["DOMAIN"], values["STACK_NAME"], values["RECIPE"] = r.Domain, r.stack, r.Head.Recipe
	for _, s := range r.secrets {
		values["SECRET:"+s.Short] = s.Value
	}
	r.ex = &exerciser{tasks: r.Tasks, standing: r.Standing, meter: r.meter, vars: values, redact: r.Vault.Redact}
	for _, svc := range stack.Services {
		r.ex.services = append(r.ex.services, svc.Name)
	}
}

// inspect collects what can be said before anything runs: notices, and the
// base's plan.
func (r *Run) inspect(head *labels.Stack) {
	excluded := r.Suite.excludedVolumes()
	subject := labels.Subject{Stack: head, Plan: r.headPlan, Sample: r.Head.Sample, Files: r.Head.Files(), Excluded: excluded}
	r.notice(labels.Check(subject)...)
	if r.Base == nil {
		return
	}
	r.results.UpgradeFrom = r.Base.Commit.Version
	stack, _, err := r.Base.Stack(r.appEnv(r.Base))
	if err != nil {
		return // told when it is deployed
	}
	r.results.UpgradeFrom = version(r.Base, stack)
	r.basePlan = labels.PlanOf(stack)
	r.notice(labels.CheckAgainst(labels.Subject{Stack: stack, Plan: r.basePlan, Sample: r.Base.Sample, Files: r.Base.Files(), Excluded: excluded}, subject)...)
}

// notice adds remarks that are not there yet.
func (r *Run) notice(notices ...labels.Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range notices {
		if !slices.Contains(r.results.Notices, n) {
			r.results.Notices = append(r.results.Notices, n)
		}
	}
}

// Climb runs the ladder and returns its record, redacted as it is saved. It always tears down, also
// after a failure, an interrupt or a panic. The error tells only that the
// record could not be kept.
func (r *Run) Climb(ctx context.Context) (*Results, error) {
	linted := make(chan struct{})
	go func() {
		defer close(linted)
		r.lintStage(ctx)
	}()
	crash := r.climb(ctx)
	<-linted
	// The teardown outlives the interrupt that may have caused it.
	down, cancel := Outlast(ctx, cmp.Or(r.TeardownTimeout, DefaultTeardownTimeout))
	defer cancel()
	r.teardownStage(down)
	r.mu.Lock()
	r.results.Finished = r.Now().UTC()
	r.results.Interrupted = ctx.Err() != nil
	r.results.Spent = r.meter.spent(r.results.Finished.Sub(r.results.Started))
	r.mu.Unlock()
	if err := r.save(); err != nil {
		crash = errors.Join(crash, &InfraError{Op: "keeping the record", Hint: "df -h " + r.Folder.Path, Err: err})
	}
	return r.saved, crash
}

// climb runs the rungs that need the engine; a panic becomes an error, so
// that the teardown still happens.
func (r *Run) climb(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	if !r.wants(RungInstall) && !r.wants(RungUpgrade) && !r.wants(RungBackupRestore) && !r.wants(RungFunctional) {
		return nil
	}
	r.upgradeStage(ctx)
	r.backupStages(ctx)
	installed := r.installStage(ctx)
	r.drillStage(ctx, installed)
	r.functionalStage(ctx, installed)
	r.mutantsStage(ctx, installed)
	return nil
}

// wants tells whether a rung is to be climbed.
func (r *Run) wants(rung string) bool { return r.Rungs == nil || slices.Contains(r.Rungs, rung) }

// leftOut is the error of a rung that --rungs leaves out.
var leftOut = unver("left out by --rungs")

// backupsApply tells whether either version enables backups.
func (r *Run) backupsApply() bool {
	return r.headPlan.Enabled || (r.basePlan != nil && r.basePlan.Enabled)
}

const noBackups = "neither the head nor the base enables backups (no backupbot.backup=true)"

// deploy puts d on the engine, and notes what is really there.
func (r *Run) deploy(ctx context.Context, d *Deployment) (*Observed, error) {
	r.running, r.told = nil, map[string]int{}
	if !r.twin {
		if err := r.writeEnv(d.App); err != nil {
			return nil, err
		}
	}
	if err := r.Deployer.Deploy(ctx, d); err != nil {
		return nil, err
	}
	obs, err := r.Deployer.Observe(ctx)
	if err != nil {
		return nil, err
	}
	r.observed(obs)
	r.running = d
	r.exercise(d.Stack)
	return obs, nil
}

// writeEnv puts the app's env into the run folder, named as abra names it.
func (r *Run) writeEnv(app *labels.Env) error {
	return infraIf("writing the app's env", r.Folder.Write(r.Domain+".env", func(w io.Writer) error {
		_, err := io.WriteString(w, r.Vault.Redact(string(app.Bytes())))
		return err
	}))
}

// setUp runs the suite's setup, which every deployment from nothing needs.
func (r *Run) setUp(ctx context.Context) error {
	if reply := r.ex.do(ctx, r.Suite.Deploy.Setup, r.ex.vars); reply.answer != holds {
		if reply.infra != nil {
			return reply.infra
		}
		return unver("the suite's setup: %s", reply.reason)
	}
	return nil
}

// observed keeps what the results say of a deployment, and searches it for secrets.
func (r *Run) observed(obs *Observed) {
	for _, line := range obs.Public {
		for _, leak := range r.Vault.Find(line) {
			where, _, _ := strings.Cut(line, "\t")
			r.leaks.add(leak.Name, leak.Form, where)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for service, image := range obs.Images {
		r.results.Images[service] = image
	}
	for _, d := range obs.Deviations {
		if !slices.Contains(r.results.Deviations, d) {
			r.results.Deviations = append(r.results.Deviations, d)
		}
	}
}

// outsideNotice tells of state that no backup sees. An anonymous volume is an
// image's VOLUME that the recipe does not mount.
func outsideNotice(o Outside) labels.Notice {
	if o.Kind == "anonymous volume" {
		return labels.Notice{ID: "image-volume", Severity: labels.Warning, Where: o.Service + " " + o.Path,
			Text:   fmt.Sprintf("the image declares a volume at %s and the recipe mounts none there: it is new with every task", o.Path),
			Advice: "mount a named volume there if it must survive"}
	}
	return labels.Notice{ID: "state-outside-volumes", Severity: labels.Warning, Where: o.Service + " " + o.Path,
		Text:   fmt.Sprintf("the app writes to %s, %s, which no backup sees", o.Path, o.Kind),
		Advice: "mount a named volume there if it must survive"}
}

// addStage files a stage in its place and writes the results.
func (r *Run) addStage(s Stage) {
	r.mu.Lock()
	r.results.Stages = append(r.results.Stages, s)
	slices.SortStableFunc(r.results.Stages, func(a, b Stage) int {
		return slices.Index(Stages, a.Name) - slices.Index(Stages, b.Name)
	})
	r.mu.Unlock()
	if err := r.save(); err != nil {
		r.observer.Step("results.json could not be written: " + err.Error())
	}
}

// save writes results.json, junit.xml and report.md, redacted. A secret that
// stood in them counts as leaked.
func (r *Run) save() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results.settle()
	for _, leak := range r.results.leaks(r.Vault) {
		r.leaks.add(leak.Name, leak.Form, "results.json")
	}
	clean, err := r.results.redacted(r.Vault)
	if err != nil {
		return err
	}
	r.saved = clean
	render := map[string]func(io.Writer) error{
		"results.json": clean.Encode,
		"junit.xml":    func(w io.Writer) error { return JUnit(w, clean) },
		"report.md":    func(w io.Writer) error { return Report(w, clean) },
	}
	var errs []error
	for name, write := range render {
		errs = append(errs, r.Folder.Write(name, write))
	}
	return errors.Join(errs...)
}
