// Package canary holds known-bad recipes and suites, one for each way to fail,
// and says what a run must find out about each. A ladder on which a canary
// climbs unseen proves nothing of any recipe: selftest runs them all on the
// engine in use.
//
// A canary is a good recipe (package data, in recipes/) with one thing planted
// in it: text replaced in its files or its suite, or the tool itself
// sabotaged. So a good recipe is what every canary is when it is mended, and
// canary and good recipe are told apart by that one thing alone.
//
// A canary is caught only if the test that exists for it ends as it should,
// for the reason that was planted, and its rung does not pass. It is proven
// only if that very test passes in the record of the good recipe: a test that
// is always red catches everything and proves nothing.
//
// The recipes' app is package app, in the tool's own helper image: nothing has
// to be pulled or built.
package canary

import (
	"slices"

	"coopcloud.tech/abra-ccci/runner"
)

// A Canary is one way to fail.
type Canary struct {
	Name  string
	Wrong string // what is wrong with it, in one line
	Of    string // the good recipe in which it is planted

	Plant    []Edit
	Sabotage func(runner.Deployer) runner.Deployer // of the tool; nil: none

	Rungs []string // all that a run needs to climb; nil: all
	Slow  bool     // its app answers with errors, which the ladder asks again for a while
	Trial Trial    // what is done beside climbing
	Like  string   // the canary with the same planted, whose run tells of this one, too
	Until string   // the test after which the run has told what it was for; "": that of Want
	// Mutants are the tests of the mutants that its run tries; nil: all. A row is about
	// what a suite does not notice, which other mutants say nothing of; they are tried
	// on the good recipes.
	Mutants []string
	Want    Finding
}

// A Trial says how much of a review is made of a canary. The good recipe in
// which it is planted gets a whole one.
type Trial int

// The trials.
const (
	Climbed  Trial = iota // none: the ladder tells
	Read                  // nothing runs: the checks of a review that read
	Reviewed              // the run is sabotaged with every mutant, and all checks are made
)

// A Finding is what a run says of a canary.
type Finding struct {
	// Rung is the rung that must not pass; or the flag: FlagCleanTeardown or
	// FlagNoSecretLeak; or the stage: runner.StageMutants, or StageReview.
	Rung   string
	Test   string
	Status runner.Status // runner.Fail or runner.Unver
	Reason string        // words that the test's reason must hold
}

// The flags that canaries are to lower, by their names in results.json.
const (
	FlagCleanTeardown = "clean_teardown"
	FlagNoSecretLeak  = "no_secret_leak"
)

// StageReview is the stage of a record that holds a review's checks as tests.
// Only records of selftest have it.
const StageReview = "review"

// Good returns a good recipe as a canary with nothing planted.
func Good(name string) Canary { return Canary{Name: name, Of: name} }

// Goods lists the good recipes, sorted.
func Goods() []string { return []string{"dump", "files", "pair"} }

// All returns every canary, in the order of the ladder, and then the weak suites.
func All() []Canary { return slices.Concat(all, weak) }
