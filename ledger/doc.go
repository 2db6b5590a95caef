// Package ledger is the log of claims and verdicts: append-only, signed, for
// people to read and for programs to check. It knows no Docker and no forge.
// This comment is the specification of the format.
//
// # The folder
//
//	entries/000017.md       write-once block, leaf 17 of the Merkle tree
//	checkpoints/000018      write-once signed note over the first 18 entries
//	REVIEW-<phase>.md       what people read; made from the two above
//	BACKLOG-<phase>.md      findings, likewise
//
// # An entry
//
// An entry is Markdown and a signed note (C2SP signed-note, Ed25519) with one
// signature, by its author:
//
//	## E000002 · M1 · FAIL · 2026-06-11T20:58Z
//
//	```
//	phase: mailu
//	claim: M1
//	kind: verdict
//	repo: coop-cloud/mailu
//	pr: 3
//	head: edc0201a79d36bc87696b0f93f1ee88ad7bd10ed
//	verdict: FAIL
//	scope: full
//	opened: ADV-mailu-01
//	id: 2f9a1f2a7b7a4f3c9be0d0c3b1a6e4d7
//	previous: V6Hl…=
//	index: 2
//	origin: example.org/ledger
//	```
//
//	> the test exercises only /data; /mail is not tested
//
//	### Checked
//
//	> - ✓ labels correct
//	> - ✗ every saved path has app proof
//	>   - imap:/mail: none
//
//	### ADV-mailu-01
//
//	> no test looks whether mail comes back
//	>
//	> Fix: seed a message.
//
//	— ci-adversary FGueJeXX…
//
// The heading has number, claim (else phase, else "ledger"), verdict (else
// kind) and time. The fields come in a fixed order: phase, claim, kind, repo,
// pr, head, base, suite, suite_repo, suite_head, suite_base, run, results,
// verdict, scope, mutants, opened, closed, retracts, key (repeated), tool, id,
// previous, index, origin; those that are empty are left out. suite_repo,
// suite_head and suite_base say where a suite is that lives in another repository
// than the recipe, at which commit, and what it was before; they go together. previous is the root of the tree before the entry. Then
// come a summary, "### Checked", a section for each finding, "### Notes". All
// free text is quoted by "> " and neutral (see [Neutral]): it can't be taken for
// anything that the ledger says. The parser is strict: what it reads formats
// back to the same bytes. The example of this package is a whole one.
//
// A later version that older readers must not read begins with another
// heading than "## E".
//
// # The log
//
// Entries are the leaves of an RFC 6962 Merkle tree. A checkpoint (C2SP
// tlog-checkpoint) is three lines, origin, size and root, signed by any key of
// the policy before or after its last entry. Its body depends on the entries
// alone. An entry counts once there is a checkpoint over it.
//
// Appending writes the entry (a temporary file, fsync, link, which fails if the
// name is taken, fsync of the folder: this claims the index), then the checkpoint
// likewise: this is the commit. If the next index was claimed by a writer that
// died, the next writer commits it first. With a [Remote], an append is made
// in memory, acknowledged when the remote has it, and only then comes into the
// folder; if somebody was faster, it is made anew on top.
//
// # Who may do what
//
// Entry 0 is a policy: keys, each an adversary's or a builder's. A later
// policy is signed by an adversary of the one before. Adversaries sign policies,
// orientations and verdicts; builders sign claims; both sign responses; only the
// key that signed an entry retracts it. Findings are numbered by the log, and
// opened and closed by verdicts alone.
//
// # Threats
//
// Somebody who can write the folder or the remote, without a key, can remove
// the newest entries or replace the whole: a checkpoint that was seen before
// ([Ledger.Extends]) and the digest of entry 0 ([Trust]) find that, and everything
// else breaks a hash or a signature. A builder can also sign checkpoints, and
// so write on differently: a consistent fork, found in the same way, with both
// signed notes for proof. An adversary can say what is not true, but not unsay it.
package ledger
