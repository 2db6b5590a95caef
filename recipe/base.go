package recipe

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// Base finds what head is upgraded from: the last release strictly before it
// in its own history, as that is what live servers run; else the default
// branch's tip, if that is another commit which does not already contain head.
// Else found is false, and why says so in words; if found, why says which of
// the two it is.
//
// The last release is the highest version below head's own version, if head
// is a release, else the highest.
func (r *Recipe) Base(head Commit) (base Commit, found bool, why string, err error) {
	before, err := r.ancestors(head)
	if err != nil {
		return Commit{}, false, "", err
	}
	tag, err := r.lastRelease(head, before)
	if err != nil {
		return Commit{}, false, "", err
	}
	if tag != "" {
		base, err = r.Commit("refs/tags/" + tag)
		base.Ref, base.Version = tag, tag
		return base, err == nil, "the last release before the head", err
	}
	return r.branchBase(head)
}

func (r *Recipe) lastRelease(head Commit, before map[string]bool) (string, error) {
	tags, err := r.Tags()
	if err != nil {
		return "", err
	}
	own, isRelease := ParseVersion(head.Version)
	var last, lower string
	for _, t := range tags { // ascending
		if !t.Release() || !before[t.SHA] || t.SHA == head.SHA {
			continue
		}
		last = t.Name
		if isRelease && t.Version.Compare(own) < 0 {
			lower = t.Name
		}
	}
	if lower != "" {
		return lower, nil
	}
	return last, nil
}

// branchBase tries the default branch's tip.
func (r *Recipe) branchBase(head Commit) (base Commit, found bool, why string, err error) {
	const noRelease = "no release before the head"
	tip, ref, err := r.defaultBranch()
	if err != nil {
		return Commit{}, false, "", err
	}
	if ref == "" {
		return Commit{}, false, noRelease + ", and no default branch (origin/HEAD, main, master)", nil
	}
	if tip == head.SHA {
		return Commit{}, false, fmt.Sprintf("%s, and the head is the tip of %s itself", noRelease, ref), nil
	}
	base, err = r.Commit(tip)
	if err != nil {
		return Commit{}, false, "", err
	}
	base.Ref = ref
	after, err := r.ancestors(base)
	if err != nil {
		return Commit{}, false, "", err
	}
	if after[head.SHA] {
		return Commit{}, false, fmt.Sprintf("%s, and %s already contains the head", noRelease, ref), nil
	}
	if obj, err := r.repo.CommitObject(plumbing.NewHash(tip)); err != nil {
		return Commit{}, false, "", fmt.Errorf("tip of %s: %w", ref, err)
	} else if _, err := obj.File("compose.yml"); err != nil {
		return Commit{}, false, fmt.Sprintf("%s, and %s has no compose.yml", noRelease, ref), nil
	}
	return base, true, fmt.Sprintf("%s: the tip of %s", noRelease, ref), nil
}

// defaultBranch finds the tip of the default branch; ref is "" if there is none.
func (r *Recipe) defaultBranch() (sha, ref string, err error) {
	for _, name := range []string{"origin/HEAD", "origin/main", "main", "origin/master", "master"} {
		for _, prefix := range []string{"refs/remotes/", "refs/heads/"} {
			got, err := r.repo.Reference(plumbing.ReferenceName(prefix+name), true)
			if errors.Is(err, plumbing.ErrReferenceNotFound) {
				continue
			}
			if err != nil {
				return "", "", fmt.Errorf("default branch of %q: %w", r.Dir, err)
			}
			return got.Hash().String(), got.Name().Short(), nil
		}
	}
	return "", "", nil
}
