package review

import (
	"strings"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/runner"
)

// A PinnedSuite is a suite that lives in another repository than the recipe, as
// the builder's claim names it.
type PinnedSuite struct {
	ledger.SuiteSource
	Claimed string        // the claim's word on the suite: a digest or a commit; may be empty
	Head    *runner.Suite // at SuiteHead
	Base    *runner.Suite // at SuiteBase; nil: there was none
	Before  bool          // SuiteBase is in the history of SuiteHead
}

// SuiteOfClaim checks that the suite at the commit that the claim names is the
// one that it speaks of, and that what is named as the one before came before it.
func SuiteOfClaim(p PinnedSuite) Check {
	c := newCheck(CheckSuiteOfClaim, "the suite is the one of the claim")
	c.say("%s at %s, before at %s", p.SuiteRepo, p.SuiteHead, p.SuiteBase)
	c.say("%s: sha256:%s", p.Head.Source, p.Head.Digest)
	switch {
	case p.SuiteHead == p.SuiteBase:
		c.say("the claim names one commit for both: it says that the suite has not changed")
	case p.Base == nil:
		c.say("there was no suite at the commit before")
	default:
		c.say("%s: sha256:%s", p.Base.Source, p.Base.Digest)
	}
	if is := claimedSuite(p); is != p.Claimed {
		c.fail(Finding{
			Title:   "another suite than the one that was claimed with",
			Claimed: "the suite " + p.Claimed, Does: "the suite at the commit that the claim names is " + is,
			Missing: "one suite that all of the claim is about",
			Fix:     "claim again, with the digest of the suite at that commit, or without one",
			Command: "sha256sum suite.toml",
		})
	}
	if !p.Before {
		c.fail(Finding{
			Title:   "the suite before is not in the history of the suite",
			Claimed: p.SuiteBase + " was in force before " + p.SuiteHead,
			Does:    "the one does not lead to the other: what was asked before can't be told from it",
			Missing: "the commit that the change to the suite began from",
			Fix:     "claim again, with the commit that was in force when the change began",
			Command: "git merge-base BRANCH " + p.SuiteHead,
		})
	}
	return c.done("")
}

// claimedSuite is the suite that was found, in the form in which the claim names it.
// A word of another form names nothing that can be told from here.
func claimedSuite(p PinnedSuite) string {
	switch {
	case strings.HasPrefix(p.Claimed, "sha256:"):
		return "sha256:" + p.Head.Digest
	case fullSHA().MatchString(p.Claimed):
		return p.SuiteHead
	}
	return p.Claimed
}

var fullSHA = late(`^[0-9a-f]{40}$`)
