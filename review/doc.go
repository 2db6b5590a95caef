// Package review is the adversary: it disbelieves a pull request, runs it again
// from nothing, sabotages its backups, and says what it found.
//
// The order is that of docs/review.md: pin the subject, clone it independently,
// check what can be read, run the ladder cold, restore differently sabotaged
// backups (mutants) and see whether the suite's checks notice, hold the suite
// against the one before it (weakening), and come to a verdict.
//
// Nothing that comes from a pull request is trusted: a name, a path, a suite or
// a results.json is data to be judged.
package review
