package recipe

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
)

// maxStackName is where abra cuts a stack's name, in bytes.
const maxStackName = 45

// StackName is the name of the stack that abra deploys an app under: its
// domain with _ for every dot, cut at 45 bytes.
func StackName(domain string) string {
	name := strings.ReplaceAll(domain, ".", "_")
	return name[:min(len(name), maxStackName)]
}

// Domain makes up a domain for one run, such as kfzt-9431a1.ccci.test: short,
// as every name in the stack begins with it, and in a zone that never
// resolves. It panics if rand fails.
func Domain(rand io.Reader) string {
	const consonants = "bcdfghjklmnpqrstvwxz"
	var b [7]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		panic(fmt.Sprintf("no randomness for a domain: %v", err))
	}
	var word [4]byte
	for i := range word {
		word[i] = consonants[int(b[i])%len(consonants)]
	}
	return fmt.Sprintf("%s-%x.ccci.test", word[:], b[4:])
}

// AppEnv is the env of an app of this checkout, as abra writes it: .env.sample
// line by line, with overrides, then TYPE (or RECIPE) and DOMAIN set. What
// CheckOverrides refuses is left out.
func (c *Checkout) AppEnv(domain string, overrides map[string]string) *labels.Env {
	app := copyEnv(c.Sample)
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		_ = app.Set(key, overrides[key]) // CheckOverrides tells
	}
	_ = app.Set(c.typeKey(), c.Recipe+":"+c.Commit.Version)
	_ = app.Set("DOMAIN", domain)
	return app
}

// typeKey is what the sample calls the line that names the recipe.
func (c *Checkout) typeKey() string {
	if _, ok := c.Sample.Lookup("TYPE"); !ok {
		if _, ok := c.Sample.Lookup("RECIPE"); ok {
			return "RECIPE"
		}
	}
	return "TYPE"
}

// CheckOverrides tells which of the values for AppEnv an env file cannot hold,
// or are not for anybody to choose.
func CheckOverrides(overrides map[string]string) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		if slices.Contains([]string{"TYPE", "RECIPE", "DOMAIN", "STACK_NAME"}, key) {
			errs = append(errs, fmt.Errorf("%s belongs to the run and cannot be set", key))
		} else if err := new(labels.Env).Set(key, overrides[key]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func copyEnv(e *labels.Env) *labels.Env {
	if e != nil {
		if c, err := labels.ParseEnv(".env", e.Bytes()); err == nil {
			return c
		}
	}
	return &labels.Env{}
}

// DeployEnv is what compose files are resolved with: the app's env, over it
// the exports of abra.sh (so that the versions of configs are the checkout's,
// not those of the day when the app was made), and STACK_NAME. Neither sample
// nor abra.sh can choose the domain or the stack: they could name somebody
// else's.
func (c *Checkout) DeployEnv(app *labels.Env) map[string]string {
	return c.deployEnv(app, StackName(app.Get("DOMAIN")))
}

func (c *Checkout) deployEnv(app *labels.Env, stack string) map[string]string {
	env := app.Map()
	maps.Copy(env, c.Exports)
	env["DOMAIN"] = app.Get("DOMAIN")
	env["STACK_NAME"] = stack
	return env
}

// Stack resolves the checkout with an app's env, as abra would deploy it. An
// error about the recipe is a *labels.SourceError.
func (c *Checkout) Stack(app *labels.Env) (*labels.Stack, []labels.Notice, error) {
	return c.StackAs(app, StackName(app.Get("DOMAIN")))
}

// StackAs is Stack under a name that does not come from the app's domain.
func (c *Checkout) StackAs(app *labels.Env, name string) (*labels.Stack, []labels.Notice, error) {
	stack, notices, err := labels.Resolve(labels.Source{Dir: c.Dir, Files: c.Files(), Env: c.deployEnv(app, name)})
	if err != nil {
		return nil, nil, fmt.Errorf("resolving %s %s: %w", c.Recipe, c.Commit.Version, err)
	}
	for _, name := range c.Computed {
		notices = append(notices, labels.Notice{
			ID: "export-not-literal", Severity: labels.Warning, Where: "abra.sh " + name,
			Text:   fmt.Sprintf("the value of export %s is computed, and abra.sh is never executed: it has no value here", name),
			Advice: "write the value as plain text",
		})
	}
	return stack, notices, nil
}

// Stamp adds the labels that abra sets on deploy to the service app: which
// recipe it is, and whether it is a release; if not, the commit. The version
// label is the recipe's own and stays.
func (c *Checkout) Stamp(stack *labels.Stack) {
	stamps := map[string]string{"recipe": c.Recipe, "chaos": "false"}
	if !c.Commit.Release() {
		stamps["chaos"], stamps["chaos-version"] = "true", c.Commit.Short
	}
	for name, value := range stamps {
		stamp(stack, "coop-cloud."+stack.Name+"."+name, value)
	}
}

// mainService is where abra puts what it says about the whole app.
const mainService = "app"

func stamp(stack *labels.Stack, label, value string) {
	for i := range stack.Services {
		if s := &stack.Services[i]; s.Name == mainService {
			s.Labels = with(s.Labels, label, value)
		}
	}
	if stack.Compose == nil {
		return
	}
	for i := range stack.Compose.Services {
		if s := &stack.Compose.Services[i]; s.Name == mainService {
			s.Deploy.Labels = with(s.Deploy.Labels, label, value)
		}
	}
}

func with(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}
