// Package recipe knows a Co-op Cloud recipe as abra knows it: a git repository
// of compose files with its releases, and what becomes of it when it is
// deployed as an app.
//
//	r, err := recipe.Open(abraDir, "mailu")     // $ABRA_DIR/recipes/mailu, or a path
//	head, err := r.Commit("")                   // HEAD; or a branch, a tag, a SHA
//	base, found, why, err := r.Base(head)       // what head is upgraded from
//	co, err := r.Checkout(head, dir)            // a pristine clone of exactly head
//	app := co.AppEnv(domain, overrides)         // the app's env, as abra writes it
//	stack, notices, err := co.Stack(app)        // what a deployment would put on the Swarm
//	err = recipe.Refused(recipe.Refusals(stack, co.Dir), allow)
//	err = recipe.CheckNames(stack)
//	specs, err := co.SecretSpecs(stack, app)
//	f, err := recipe.Fetch(ctx, source, dir)    // an independent clone, with a pull request
//
// # Versions
//
// A version is <recipe semver>+<app version>, such as 1.0.0+1.14.3. A release
// is an annotated tag of that form: abra refuses to deploy a lightweight one
// (lint rule R014), so lightweight tags never count as releases here. A commit
// that no release points at is called by its short SHA.
//
// # A recipe is data
//
// Nothing that a recipe contains is executed or followed out of its tree. git
// is read with go-git, never with the git binary, so that no hook, filter,
// submodule or credential helper can run; files are written and read through
// os.Root; abra.sh is parsed as shell syntax, and only literal exports are
// taken from it. What a compose file could do to the machine beneath is listed
// by Refusals, to be refused before anything runs.
//
// # Errors
//
// An error that a next command can mend has a method Hint() string.
package recipe
