package review

import (
	"fmt"
	"io/fs"
)

// NoPlaintextSecret checks that no file of the head holds a credential: what the
// pull request adds to the merge base, and what was there before. Known shapes
// of tokens are found anywhere, random values where their name says that they
// are secret. The values themselves are not repeated. past is what the commits in
// between brought and took away again: a merge publishes it all the same.
func NoPlaintextSecret(mergeBase, head fs.FS, past Past) Check {
	c := newCheck(CheckNoSecret, "no plaintext secret in the files or the diff")
	places, files, leftOut, err := secretsIn(mergeBase, head)
	c.say("%s looked through", count(files, "file"))
	if err != nil {
		c.doubt("%v", err)
	}
	for _, name := range leftOut {
		c.doubt("%s can't be read, or is larger than %d MiB", name, maxScanFile>>20)
	}
	if past.err != nil {
		c.doubt("the history of the pull request: %v", past.err)
	}
	if past.commits > 0 {
		c.say("%s looked through", count(past.commits, "commit"))
	}
	for _, where := range past.leftOut {
		c.doubt("%s is larger than %d MiB", where, maxScanFile>>20)
	}
	places = append(places, past.beside(places)...)
	for i, p := range places {
		if i == maxListed {
			c.say("and %d more", len(places)-maxListed)
			break
		}
		since := "it was there before the pull request"
		switch {
		case p.commit != "":
			since = fmt.Sprintf("commit %.12s has it, which a merge publishes, and the head does not", p.commit)
		case p.added:
			since = "the pull request adds it"
		}
		c.say("%s:%d: %s; %s", p.file, p.line, p.what, since)
		c.fail(Finding{
			Title:   fmt.Sprintf("%s holds %s", p.file, p.what),
			Claimed: "secrets are made by the Swarm, and no file holds one",
			Does:    fmt.Sprintf("%s:%d holds %s of %d bytes; %s", p.file, p.line, p.what, len(p.value), since),
			Missing: "a reference to a secret: ${SECRET_X_VERSION}, external: true",
			Fix:     "take it out, make it a secret of the recipe, and change it wherever it is in use: it is published",
		})
	}
	return c.done("")
}
