// Package inside is what the tool does inside its helper container, and how
// the tool outside asks for it: both sides of one protocol.
//
// # The helper container
//
// The helper image holds two static programs, /abra-ccci (the tool itself)
// and /restic, and nothing else. A helper container runs `/abra-ccci inside
// sleep` as its first process, with the stack's volumes mounted at
// /volumes/<name>; everything else is an exec in it. Helpers that must live
// in a task's network or process namespace run the same image for one command
// (kill), or for as long as somebody asks (ask).
//
// # Subcommands
//
//	sleep                   first process: reaps orphans, ends at SIGTERM
//	manifest DIR            lists a tree, one JSON runner.Entry per line, last line {"entries":N}
//	stat DIR PATH           one JSON runner.Entry; PATH is relative to DIR, symlinks on the way are refused
//	decoy DIR PATH NAME     creates the file NAME in PATH below DIR, owned as PATH is
//	repository DIR PASSWORD makes an empty restic repository; PASSWORD is a file
//	ask                     serves runner.AskMethod, JSON-RPC 1.0 on stdin and stdout, until stdin ends
//	kill MARK               kills every process whose environment holds CCCI_EXEC=MARK, and its descendants
//	ipvs                    tells by its exit status whether the kernel can do IPVS
//
// Exit status: 0 done; 1 could not, the reason is on stderr; 2 called
// wrongly; 3 the answer is no (stat: nothing there; ipvs: not in this kernel).
//
// Whatever a volume holds is data of the recipe under test. Paths below DIR
// are opened through os.Root, so no symlink in a volume leads out of it, and
// a name is never joined into a path unchecked. Names that are not UTF-8 have
// each bad byte replaced by U+FFFD, as restic's listings do.
//
// A manifest without its last line, or with fewer lines than that says, was
// cut off: reading one is an error, because files missing from a manifest
// would never be missed in a backup.
//
// The package works on Linux alone: it is where containers are.
package inside
