package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/ledger"
)

// ledgerOptions are the flags that all ledger commands have.
type ledgerOptions struct {
	dir, seen, trust string
	json             bool
}

func ledgerCommand(e *env) *cobra.Command {
	o := &ledgerOptions{}
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "claims and verdicts, append-only: what people read and nobody can quietly rewrite",
		Long: `A ledger is a folder, best a git clone of its own: signed entries, a Merkle log
over them, and REVIEW-<phase>.md for people. Builders claim, adversaries judge.

With a git remote an entry is acknowledged once the remote has it. Without one,
once it is on the disk.

Every command remembers the newest checkpoint that it saw, outside the ledger
(--seen), and answers 3 if the ledger no longer contains it.

Exit status: 0 pass, 1 could not tell, 2 usage, 3 the answer is fail or the
ledger was tampered with, 130 interrupted.`,
	}
	f := cmd.PersistentFlags()
	f.StringVar(&o.dir, "ledger", "", "the ledger's `DIR` (default $ABRA_DIR/ccci/ledger)")
	f.StringVar(&o.seen, "seen", "", "`FILE` with the last checkpoint seen (default: beside the tool's other state)")
	f.StringVar(&o.trust, "trust", "", "`FILE` with the log's origin and the digest of its entry 0 (default: what init wrote)")
	f.BoolVar(&o.json, "json", false, "print JSON")
	cmd.AddCommand(ledgerInit(e, o), ledgerAppend(e, o), ledgerClaim(e, o), ledgerRetract(e, o),
		ledgerShow(e, o), ledgerStatus(e, o), ledgerVerify(e, o), ledgerGate(e, o), ledgerSync(e, o))
	return cmd
}

// folder is where the ledger lies.
func (o *ledgerOptions) folder(e *env) string {
	if o.dir != "" {
		return o.dir
	}
	return filepath.Join(e.abraDir(), "ccci", "ledger")
}

// memory is the folder in which the tool remembers things about one log. An
// origin is no path: it is escaped.
func (e *env) memory(origin string) string {
	return filepath.Join(e.stateDir(), "ledgers", strings.NewReplacer("%", "%25", "/", "%2F").Replace(origin))
}

// An openLedger is a ledger in use by a command.
type openLedger struct {
	*ledger.Ledger
	dir     *ledger.Dir
	e       *env
	o       *ledgerOptions
	trusted bool   // its first entry is the one that is trusted
	known   bool   // there was a checkpoint to hold it against
	note    []byte // that checkpoint
}

// close lets go of the folder.
func (l *openLedger) close() { l.dir.Close() }

// openFolder opens the ledger's folder.
func openFolder(e *env, o *ledgerOptions) (*ledger.Dir, error) {
	d, err := ledger.OpenDir(o.folder(e))
	if errors.Is(err, os.ErrNotExist) {
		return nil, noLedger(o.folder(e))
	}
	return d, err
}

func noLedger(dir string) error {
	return &hintError{fmt.Errorf("%s: %w", dir, ledger.ErrNone), "name its folder: --ledger DIR; or begin one: abra-ccci ledger init --origin example.org/ledger --adversary NAME --builder NAME"}
}

// A hintError is an error with the next command to type.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// Hint is that command.
func (e *hintError) Hint() string { return e.hint }

// An opener is how a ledger is opened: ledger.Open, or ledger.Verify.
type opener func(ledger.Folder, ...ledger.Visit) (*ledger.Ledger, error)

// load opens the ledger in a way, and holds it against what is trusted.
func load(e *env, o *ledgerOptions, how opener, visits ...ledger.Visit) (*openLedger, error) {
	d, err := openFolder(e, o)
	if err != nil {
		return nil, err
	}
	l := &openLedger{dir: d, e: e, o: o}
	l.Ledger, err = how(d, append(visits, l.trust)...)
	if errors.Is(err, ledger.ErrNone) {
		err = noLedger(o.folder(e))
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return l, nil
}

// open loads the ledger, holds it against what was seen before, and remembers
// what it sees.
func open(e *env, o *ledgerOptions, how opener, visits ...ledger.Visit) (*openLedger, error) {
	l, err := load(e, o, how, visits...)
	if err != nil {
		return nil, err
	}
	err = keepProof(e, l.Checkpoint().Origin, l.recall())
	if fork := (*ledger.ForkError)(nil); errors.As(err, &fork) && fork.Rollback {
		err = &hintError{err, "another clone on this machine may be ahead of this one: abra-ccci ledger sync; if that does not mend it, " + fork.Hint()}
	}
	if err == nil {
		err = l.remember()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// trust holds entry 0 against the trust file: that of the flag, or the one
// that is remembered for an origin.
func (l *openLedger) trust(first *ledger.Entry, raw []byte, in *ledger.Policy) error {
	if first.Index != 0 {
		return nil
	}
	name := l.o.trust
	if name == "" {
		name = filepath.Join(l.e.memory(first.Origin), "trust")
	}
	text, err := os.ReadFile(name)
	if l.o.trust == "" && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &hintError{err, "get the trust file from the ledger's adversaries, and name it: --trust FILE"}
	}
	t, err := ledger.ParseTrust(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	l.trusted = true
	return t.Visit(first, raw, in)
}

func (l *openLedger) seenFile() string {
	if l.o.seen != "" {
		return l.o.seen
	}
	return filepath.Join(l.e.memory(l.Checkpoint().Origin), "seen")
}

// recall holds the ledger against the checkpoint that was seen last.
func (l *openLedger) recall() error {
	note, err := os.ReadFile(l.seenFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	l.known, l.note = true, note
	return l.Extends(note)
}

// keepProof keeps the proof of a fork, which is both signed notes, if err is one.
func keepProof(e *env, origin string, err error) error {
	var fork *ledger.ForkError
	if !errors.As(err, &fork) {
		return err
	}
	name := filepath.Join(e.memory(origin), "forks", e.now().UTC().Format("20060102T150405.000Z")+".txt")
	if werr := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, fork.Proof(), 0o600)); werr != nil {
		return errors.Join(err, werr)
	}
	fmt.Fprintf(e.stderr, "abra-ccci: both signed notes are kept in %s\n", name)
	return err
}

// remember keeps the newest checkpoint for the next time. What is remembered
// must not be lost by the ledger in a power cut: it is flushed first.
func (l *openLedger) remember() error {
	if string(l.note) == string(l.Note()) {
		return nil
	}
	if err := l.Flush(); err != nil {
		return err
	}
	return l.keepSeen(l.Note())
}

// keepSeen writes a checkpoint to the file of what was seen.
func (l *openLedger) keepSeen(note []byte) error {
	name := l.seenFile()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if err := writeWhole(name, note, 0o600); err != nil {
		return err
	}
	l.note = note
	return nil
}

// writeWhole puts a file in its place whole.
func writeWhole(name string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
