package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/lint"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/inside"
	"coopcloud.tech/abra-ccci/runner/restic"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// runDeadline is when a run is dead for sure, whatever its lock says.
const runDeadline = 12 * time.Hour

// A climb wires one run of `abra-ccci test` together: recipe, suite, engine.
type climb struct {
	e    *env
	o    testOptions
	rec  *recipe.Recipe
	conf runner.Config

	folder *runner.Folder
	hostID string

	room     func(context.Context) int             // how many apps like this one the engine has room for, once one is deployed
	sabotage func(runner.Deployer) runner.Deployer // of the tool, by selftest; nil: none
}

// newClimb prepares everything that needs no engine, and refuses what must
// not run. Nothing is left behind if it fails.
func newClimb(ctx context.Context, e *env, arg string, o testOptions) (_ *climb, err error) {
	rec, err := recipe.Open(e.abraDir(), arg)
	if err != nil {
		return nil, err
	}
	head, err := rec.Commit(o.ref)
	if err != nil && o.pr > 0 {
		return nil, &hinted{err, fmt.Sprintf("in the recipe's clone: git fetch origin +%[1]s:%[1]s", o.ref)}
	}
	if err != nil {
		return nil, err
	}
	c := &climb{e: e, o: o, rec: rec}
	if c.hostID, err = hostID(e.stateDir()); err != nil {
		return nil, err
	}
	if c.o.runID == "" {
		c.o.runID = runID(rec.Name, e.now())
	}
	if c.o.runsDir == "" {
		c.o.runsDir = filepath.Join(e.stateDir(), "runs")
	}
	if c.folder, err = runner.NewFolder(c.o.runsDir, c.locks(), c.o.runID); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.discard())
		}
	}()
	if err := c.prepare(head); err != nil {
		return nil, err
	}
	if dirty, err := rec.Dirty(); err == nil && dirty && o.ref == "" {
		fmt.Fprintln(e.stderr, "abra-ccci: the clone has changes that are not committed; they are not tested")
	}
	return c, nil
}

func (c *climb) locks() string { return filepath.Join(c.e.stateDir(), "locks") }

// prepare checks out head and base and reads the suite.
func (c *climb) prepare(head recipe.Commit) error {
	checkout, err := c.rec.Checkout(head, c.folder.Work("head"))
	if err != nil {
		return err
	}
	c.conf = runner.Config{
		RunID: c.o.runID, Head: checkout, PR: c.o.pr, Domain: recipe.Domain(rand.Reader), Publish: c.o.publish, Keep: c.o.keep, TeardownTimeout: c.o.teardownTimeout,
		Vault: runner.NewVault(), Folder: c.folder, Now: c.e.now, Tool: build(), Rungs: c.o.rungs,
	}
	if c.conf.Suite, err = findSuite(c.e, c.o.suite, checkout); err != nil {
		return err
	}
	if err := c.prepareBase(head); err != nil {
		return err
	}
	for _, side := range []*recipe.Checkout{c.conf.Head, c.conf.Base} {
		if side != nil {
			if err := c.admit(side); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *climb) prepareBase(head recipe.Commit) error {
	var base recipe.Commit
	var err error
	found := true
	if c.o.base != "" {
		base, err = c.rec.Commit(c.o.base)
	} else {
		base, found, c.conf.BaseWhy, err = c.rec.Base(head)
	}
	if err != nil || !found {
		return err
	}
	c.conf.Base, err = c.rec.Checkout(base, c.folder.Work("base"))
	return err
}

// admit refuses what would reach out of the run's own stack, and names that
// Docker would not take. A base that does not resolve is no reason to refuse:
// the run tells.
func (c *climb) admit(side *recipe.Checkout) error {
	stack, _, err := side.Stack(side.AppEnv(c.conf.Domain, nil))
	if err != nil {
		if side == c.conf.Base {
			return nil
		}
		return err
	}
	return c.admitStack(stack, side)
}

func (c *climb) admitStack(stack *labels.Stack, side *recipe.Checkout) error {
	if err := recipe.Refused(recipe.Refusals(stack, side.Dir), c.o.allow); err != nil {
		return fmt.Errorf("%s at %s: %w", side.Recipe, side.Commit.Version, err)
	}
	return recipe.CheckNames(stack)
}

// run finds an engine and climbs.
func (c *climb) run(ctx context.Context) (_ *runner.Results, err error) {
	site, err := openSite(ctx, c.e, c.o.engine)
	if err != nil {
		return nil, errors.Join(err, c.discard())
	}
	defer func() { err = errors.Join(err, site.close(ctx)) }()
	reapDead(ctx, c.e, site, c.hostID, c.locks(), c.o.runID)
	watch := newProgress(c.e, c.rec.Name)
	defer watch.Close()
	defer context.AfterFunc(ctx, func() { watch.say("interrupted: removing what the run made; once more, and it stays") })()
	return c.on(ctx, site, watch)
}

// discard gives up a run that has no record to keep.
func (c *climb) discard() error { return errors.Join(os.RemoveAll(c.folder.Path), c.folder.Close()) }

// on climbs on an engine.
func (c *climb) on(ctx context.Context, site *site, watch runner.Observer) (results *runner.Results, err error) {
	climbing := false
	defer func() {
		if climbing {
			err = errors.Join(err, c.folder.Close())
		} else {
			err = errors.Join(err, c.discard())
		}
	}()
	if err := site.bring(ctx, c.images()); err != nil {
		return nil, err
	}
	if err := restic.Prepare(c.folder.Work("repository")); err != nil {
		return nil, err
	}
	var run *runner.Run
	var apps []*swarm.App
	defer func() {
		late, cancel := runner.Outlast(ctx, closeTime)
		defer cancel()
		for _, app := range apps {
			if closed := app.Close(late); results == nil { // else the teardown has told
				err = errors.Join(err, closed)
			}
		}
	}()
	newApp := func(stack string, log runner.LogSink) (*swarm.App, error) {
		app, err := swarm.New(c.options(site, stack, log))
		if err == nil {
			apps = append(apps, app)
		}
		return app, err
	}
	app, err := newApp(recipe.StackName(c.conf.Domain), func(service, task string) (stdout, stderr io.WriteCloser) { return run.ServiceLog(service, task) })
	if err != nil {
		return nil, err
	}
	c.conf.Deployer, c.conf.Tasks, c.conf.Machine = app, app, app
	if c.sabotage != nil {
		c.conf.Deployer = c.sabotage(app)
	}
	c.conf.Standing, c.conf.Outside = app.Standing, app.Outside
	volumes := inside.Volumes{Box: app}
	backups := restic.New(app, app)
	c.conf.Volumes, c.conf.Spoiler, c.conf.Backups = volumes, volumes, backups
	c.conf.NewTwin = func(stack string, log runner.LogSink) (*runner.Twin, error) {
		app, err := newApp(stack, log)
		if err != nil {
			return nil, err
		}
		volumes := inside.Volumes{Box: app}
		return &runner.Twin{Deployer: app, Tasks: app, Volumes: volumes, Spoiler: volumes, Backups: backups.Beside(app, app), Machine: app, Standing: app.Standing}, nil
	}
	c.room = func(ctx context.Context) int { return app.Room(ctx, site.facts) }
	c.conf.Lint = func(context.Context) []lint.Result { return lint.Run(lintInput(c.rec, c.conf.Head)) }
	c.conf.Admit = c.admitStack
	c.conf.Engine = runner.EngineInfo{Version: site.facts.Version}
	c.conf.Observer = watch
	if run, err = runner.New(c.conf); err != nil {
		return nil, err
	}
	if c.o.keep {
		if err := errors.Join(c.keepEnv(), c.folder.Keep()); err != nil {
			return nil, err
		}
	}
	climbing = true
	return run.Climb(ctx)
}

// options are those of an app of the run.
func (c *climb) options(site *site, stack string, log runner.LogSink) swarm.Options {
	return swarm.Options{
		Client: site.client, RunID: c.o.runID, HostID: c.hostID, Deadline: c.e.now().Add(runDeadline), Stack: stack,
		Helper: swarm.Helper{Image: site.helper, Again: site.again}, Repository: c.folder.Work("repository"), NoIPVS: !site.ipvs, Limits: c.limits(site.facts),
		AllowPaths: slices.ContainsFunc(c.o.allow, allowsPath), Redact: c.conf.Vault.Redact, LogSink: log,
	}
}

// limits are those of a container of a pull request; others have none.
func (c *climb) limits(f swarm.Facts) swarm.Limits {
	if !c.o.distrusted {
		return swarm.Limits{}
	}
	l := swarm.DefaultLimits(f)
	if c.o.cpus > 0 {
		l.CPUs = c.o.cpus
	}
	if c.o.memory > 0 {
		l.Memory = c.o.memory
	}
	return l
}

// allowsPath tells whether a --allow lets files from outside the clone into
// configs or secrets.
func allowsPath(key string) bool {
	return strings.HasPrefix(key, "config-file:") || strings.HasPrefix(key, "secret-file:")
}

// images lists every image of head and base.
func (c *climb) images() []string {
	var images []string
	for _, side := range []*recipe.Checkout{c.conf.Head, c.conf.Base} {
		if side == nil {
			continue
		}
		if stack, _, err := side.Stack(side.AppEnv(c.conf.Domain, nil)); err == nil {
			for _, s := range stack.Services {
				images = append(images, s.Image)
			}
		}
	}
	return images
}

// keepEnv puts the app's env where abra finds it.
func (c *climb) keepEnv() error {
	dir := filepath.Join(c.e.abraDir(), "servers", "default")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	app := c.conf.Head.AppEnv(c.conf.Domain, c.conf.Suite.Deploy.Env)
	return os.WriteFile(filepath.Join(dir, c.conf.Domain+".env"), app.Bytes(), 0o600)
}

// runID makes up the name of a run: short, sortable, unique.
func runID(recipeName string, now time.Time) string {
	b := make([]byte, 3)
	rand.Read(b) // never fails
	name := strings.Trim(strings.ReplaceAll(runner.Slug(recipeName), "_", "-"), "-")
	return fmt.Sprintf("%.20s-%s-%s", name, now.UTC().Format("20060102-150405"), hex.EncodeToString(b))
}

// hostID names this machine's runs among those of others on one engine.
func hostID(stateDir string) (string, error) {
	path := filepath.Join(stateDir, "host-id")
	if data, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(data))) == 16 {
		return strings.TrimSpace(string(data)), nil
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return "", err
	}
	b := make([]byte, 8)
	rand.Read(b) // never fails
	id := hex.EncodeToString(b)
	tmp, err := os.CreateTemp(stateDir, ".host-id-")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(id + "\n")
	if err := errors.Join(err, tmp.Close()); err != nil {
		return "", err
	}
	// Two first runs at once must agree: whoever links first has named the host.
	if err := os.Link(tmp.Name(), path); err == nil {
		return id, nil
	}
	data, err := os.ReadFile(path)
	return strings.TrimSpace(string(data)), err
}

// lintInput is the head as the lint rules read it.
func lintInput(rec *recipe.Recipe, head *recipe.Checkout) lint.Input {
	tags, _ := rec.Tags() // without them R014 is satisfied by nothing
	return lint.Input{Checkout: head, Tags: tags}
}
