package review

import (
	"errors"

	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/runner"
)

// PullOpen checks that there is still something to decide.
func PullOpen(p Pull) Check {
	c := newCheck(CheckPullOpen, "the pull request is open and unmerged")
	c.say("state: open %v, merged %v, head sha: %s", p.Open, p.Merged, p.Head)
	if p.Merged || !p.Open {
		does := "it is closed"
		if p.Merged {
			does = "it is merged already"
		}
		c.fail(Finding{
			Title:   "the pull request can't be decided any more",
			Claimed: "the pull request is to be reviewed before it is merged", Does: does,
			Missing: "an open pull request at this head", Fix: "open the pull request again, or a new one",
		})
		return c.done("%s", does)
	}
	return c.done("")
}

// ClaimOfHead checks that what the builder claimed last is about the head that
// is reviewed. claimed is the commit of that claim, "" if there is none: a
// review may come first.
func ClaimOfHead(s Subject, claimed string) Check {
	c := newCheck(CheckClaimOfHead, "the claim is about this head")
	switch {
	case claimed == "":
		c.Status = runner.Skip
		return c.done("nothing was claimed in the ledger")
	case claimed != s.Head:
		c.fail(Finding{
			Title: "the head is not the one that was claimed", Claimed: "the claim is about " + claimed,
			Does: "the pull request is at " + s.Head, Missing: "a claim about what would be merged",
			Fix: "claim again, for the head as it is now", Command: "abra-ccci ledger claim CLAIM --head " + s.Head,
		})
	}
	c.say("claimed: %s", claimed)
	return c.done("")
}

// A Resolution is one way in which the stack would be deployed.
type Resolution struct {
	Name     string // "head with its own .env.sample", "base with the suite's env"
	Refusals []recipe.Refusal
}

// NothingDangerous checks that no resolution asks for more than its own stack,
// but for what the reviewer allows by its key. A suite or an env of the pull
// request's allows nothing.
func NothingDangerous(resolutions []Resolution, allow []string) Check {
	c := newCheck(CheckNothingDangerous, "nothing reaches beyond its own stack")
	if len(resolutions) == 0 {
		c.doubt("no resolution was looked at")
	}
	told := map[string]bool{}
	for _, r := range resolutions {
		left := refused(r.Refusals, allow)
		c.say("%s: %s, %d of them allowed", r.Name, count(len(r.Refusals), "refusal"), len(r.Refusals)-len(left))
		for _, ref := range left {
			if told[ref.Key] {
				continue
			}
			told[ref.Key] = true
			c.fail(Finding{
				Title:   ref.Where + " " + ref.What,
				Claimed: "the recipe deploys a stack of its own",
				Does:    r.Name + ": " + ref.Where + " " + ref.What,
				Missing: "a reason why an app needs that",
				Fix:     "take it out of the compose files; a reviewer who trusts it says --allow " + ref.Key,
			})
		}
	}
	return c.done("")
}

func refused(refs []recipe.Refusal, allow []string) []recipe.Refusal {
	var e *recipe.RefusedError
	if errors.As(recipe.Refused(refs, allow), &e) {
		return e.Refusals
	}
	return nil
}
