// Package forge asks a Gitea or Forgejo what a review has to know of a pull
// request, and tells it what came of the review.
//
// Whatever a forge says is data that others wrote: a SHA, a branch, a login or a
// repository that does not look like one is an error, and addresses are built
// from the forge's own address, not taken from its answers. A title is cut to
// one line.
//
// A call has one deadline for all that it asks (30 s unless Options say
// otherwise) and ends with its context, whatever other calls do. An answer of
// more than 8 MiB is not read. A redirect is never followed: the token goes to
// the host that it was given for, over TLS, and nowhere else; without TLS only
// to this machine itself. A proxy is used only if Options name one. Nothing is
// asked twice by itself.
//
// Every error is an *Error with a hint, and means "could not tell". The token is
// in none of them.
package forge
