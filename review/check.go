package review

import "coopcloud.tech/abra-ccci/runner"

// A Check is one thing that was looked at, with its answer and what the answer
// rests on.
type Check struct {
	// Name is stable: lower case, words joined by _.
	Name string
	// Status is pass, fail or unver, or skip for what does not apply.
	Status runner.Status
	// Text says in one line what was looked at and what came of it.
	Text string
	// Evidence is what the answer rests on, line by line.
	Evidence []string
	// Findings are what the builder has to do something about.
	Findings []Finding
}

// A Finding is what the adversary holds against a claim, before the ledger has
// numbered it. It tells enough to be mended without asking.
type Finding struct {
	Check   string // name of the check that found it
	About   string // the saved path or the test that it is about, if there is one
	Title   string // one line: what is wrong
	Follows bool   // from another finding: it is not opened by itself, and stays open if it was
	Claimed string // what the pull request or its suite says
	Does    string // what really happens
	Missing string // what is not looked at, or not done
	Fix     string // what would close the finding
	Command string // shows it again; empty if nothing but a review does
}

// A Subject is what a review is about, pinned: everything in a review speaks of
// these commits, whatever becomes of the branches. All SHAs are 40 hex digits.
type Subject struct {
	Repo      string // owner/name on the forge
	PR        int
	Head      string
	Base      string // tip of the branch that the pull request is to be merged into
	MergeBase string // of the two
}
