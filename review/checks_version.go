package review

import (
	"fmt"
	"slices"

	"coopcloud.tech/abra-ccci/labels"
	"coopcloud.tech/abra-ccci/recipe"
)

// VersionBumped checks that the head calls itself a release that is not there
// yet, above the base's.
func VersionBumped(base, head *labels.Stack, tags []recipe.Tag) Check {
	c := newCheck(CheckVersionBumped, "the version label is bumped")
	now, is := versionLabel(head), versionLabel(base)
	c.say("version label: base %q, head %q", is, now)
	finding := Finding{
		Claimed: "the pull request is a release", Does: fmt.Sprintf("the head's label says %q, the base's %q", now, is),
		Fix: "abra recipe sync, and commit",
	}
	version, ok := recipe.ParseVersion(now)
	before, known := recipe.ParseVersion(is)
	switch {
	case now == "":
		finding.Title, finding.Missing = "no version label", "coop-cloud.${STACK_NAME}.version on a service"
	case !ok:
		finding.Title, finding.Missing = fmt.Sprintf("the version %q is not <semver>+<app version>", now), "a version that abra can read"
	case known && version.Compare(before) <= 0:
		finding.Title, finding.Missing = "the version label did not go up", "a version above the base's"
	case slices.ContainsFunc(tags, func(t recipe.Tag) bool { return t.Name == now }):
		finding.Title, finding.Missing = fmt.Sprintf("there is a tag %q already", now), "a version that is not released yet"
	default:
		return c.done("%s → %s", is, now)
	}
	c.fail(finding)
	return c.done("%s", finding.Title)
}

// versionLabel is what a stack calls itself, "" if it does not.
func versionLabel(s *labels.Stack) string {
	if s == nil {
		return ""
	}
	for _, svc := range s.Services {
		if v := svc.Labels["coop-cloud."+s.Name+".version"]; v != "" {
			return v
		}
	}
	return ""
}
