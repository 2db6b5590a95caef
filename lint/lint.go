// Package lint judges a recipe by the rules of `abra recipe lint`: R001 to
// R015, with abra's ids, names and severities.
//
// Like abra it reads every compose*.yml at the top of the tree, merged into
// one configuration (compose.yml first), with the values of .env.sample; a
// variable without value is empty. Unlike abra it says "not evaluated" of a
// rule that it could not look into, instead of stopping or of guessing:
//
//   - R006 and R013 ask the network, and are evaluated only if Input says how;
//   - rules about services need compose files that load, on their own and together.
//
// R010 (traefik routing) is skipped, as by abra, for a recipe whose
// .env.sample has no DOMAIN: nothing of it is meant to be reached from outside.
// R012 looks closer than abra, which is content if there is an abra.sh: every
// *_VERSION in the name of a config must be a literal export there. A version
// that lives in the app's env instead stays behind when the config changes, and
// then every upgrade fails, as configs are immutable.
// R016 exists in abra 0.13; what it says is not known here, and it is not
// among the rules.
package lint

import (
	"fmt"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
)

// Outcome is what came of one rule.
type Outcome string

// The four outcomes. Skipped: the rule does not apply, for the reason given.
const (
	Satisfied    Outcome = "satisfied"
	Violated     Outcome = "violated"
	NotEvaluated Outcome = "not evaluated"
	Skipped      Outcome = "skipped"
)

// A Result is one row of a lint.
type Result struct {
	ID       string          `json:"id"`   // "R009"
	Rule     string          `json:"rule"` // what the rule asks for
	Severity labels.Severity `json:"severity"`
	Outcome  Outcome         `json:"outcome"`
	Where    string          `json:"where,omitempty"`  // if violated: "service app, config nginx_conf"
	Reason   string          `json:"reason,omitempty"` // why it is not satisfied
	Fix      string          `json:"fix,omitempty"`    // if violated: abra's advice
}

// Input is what a lint looks at: a pristine checkout of the exact commit, and
// the true tags of its repository.
type Input struct {
	Checkout *recipe.Checkout
	Tags     []recipe.Tag

	// Published asks the catalogue whether it has any version of a recipe,
	// Hosted asks git.coopcloud.tech whether it has the repository. Nil: the
	// rule is not evaluated.
	Published, Hosted func(recipe string) (bool, error)
}

// A rule's check lists what violates it. An error means that it could not be told.
type rule struct {
	id, name string
	severity labels.Severity
	fix      string
	check    func(*subject) ([]offence, error)
	skip     func(*subject) string // why the rule does not apply; "" if it does; may be nil
}

// An offence is one thing that violates a rule.
type offence struct{ where, what string }

// Run applies every rule, in the order of their ids.
func Run(in Input) []Result {
	s := newSubject(in)
	results := make([]Result, 0, len(rules))
	for _, r := range rules {
		results = append(results, r.apply(s))
	}
	return results
}

func (r rule) apply(s *subject) Result {
	res := Result{ID: r.id, Rule: r.name, Severity: r.severity}
	if r.skip != nil {
		if why := r.skip(s); why != "" {
			res.Outcome, res.Reason = Skipped, why
			return res
		}
	}
	offences, err := r.check(s)
	switch {
	case err != nil:
		res.Outcome, res.Reason = NotEvaluated, err.Error()
	case len(offences) > 0:
		res.Outcome, res.Fix = Violated, r.fix
		res.Where, res.Reason = tell(offences)
	default:
		res.Outcome = Satisfied
	}
	return res
}

// tell says each place and each thing once.
func tell(offences []offence) (where, what string) {
	var places, things []string
	for _, o := range offences {
		if !slices.Contains(places, o.where) {
			places = append(places, o.where)
		}
		if !slices.Contains(things, o.what) {
			things = append(things, o.what)
		}
	}
	return strings.Join(places, ", "), strings.Join(things, "; ")
}

// Judge makes one status of all results: "fail" if an error rule is violated,
// else "unver" if one could not be evaluated, else "pass". Warnings never
// count. No results at all are "unver".
func Judge(results []Result) (status, reason string) {
	var failed, unknown []string
	for _, r := range results {
		switch {
		case r.Severity != labels.Error:
		case r.Outcome == Violated:
			failed = append(failed, fmt.Sprintf("%s %s: %s", r.ID, r.Rule, r.Reason))
		case r.Outcome != Satisfied && r.Outcome != Skipped:
			unknown = append(unknown, fmt.Sprintf("%s %s: %s", r.ID, r.Rule, r.Reason))
		}
	}
	switch {
	case len(failed) > 0:
		return "fail", strings.Join(failed, "; ")
	case len(unknown) > 0:
		return "unver", "not evaluated: " + strings.Join(unknown, "; ")
	case len(results) == 0:
		return "unver", "no rule was evaluated"
	}
	return "pass", ""
}
