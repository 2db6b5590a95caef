package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/ledger/remote"
)

func ledgerSync(e *env, o *ledgerOptions) *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "bring the ledger and its git remote together",
		Long: `Sync fetches, verifies every new entry and adds it, or gives an empty remote
what is here. Entries that were written here while there was no remote are pushed;
if the remote has moved on without them, they are signed anew on top, with the keys
of those who signed them. Commits of yours that change other files come along. It
never forces, and takes nothing back that the remote ever had: if the remote does
not contain what was seen before, it says who must look, and exits 3.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSync(cmd.Context(), e, o, keys) },
	}
	cmd.Flags().StringArrayVar(&keys, "key", nil, "`FILE` with a private key, for entries that have to be signed anew (default: all of yours)")
	return cmd
}

func runSync(ctx context.Context, e *env, o *ledgerOptions, keys []string) error {
	l, err := load(e, o, ledger.Open)
	if err != nil {
		return err
	}
	defer l.close()
	// What is behind here may be in the remote: that is looked at afterwards.
	fork := (*ledger.ForkError)(nil)
	if err := l.recall(); err != nil && !(errors.As(err, &fork) && fork.Rollback) {
		return keepProof(e, l.Checkpoint().Origin, err)
	}
	g, err := remote.Open(ctx, l.dir.Path())
	if err != nil {
		return err
	}
	if g == nil && fork != nil {
		return keepProof(e, l.Checkpoint().Origin, fork)
	}
	if g == nil {
		return &hintError{fmt.Errorf("%s has no git remote", l.dir.Path()), "git -C " + l.dir.Path() + " init; git -C " + l.dir.Path() + " remote add origin URL"}
	}
	defer g.Close()
	unlock, err := l.dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	b, err := l.anew(keys)
	if err != nil {
		return err
	}
	done, err := l.Sync(ctx, g, b)
	if errors.As(err, &fork) && fork.Unknown {
		return &hintError{err, "if they were written here: git -C " + l.dir.Path() + " update-ref refs/ccci/settled @{upstream}; then: abra-ccci ledger sync; if the remote had them, the adversaries must look: " + strings.Join(fork.Who, ", ")}
	}
	if err == nil {
		err = l.recall()
	}
	if err = keepProof(e, l.Checkpoint().Origin, err); err != nil {
		return err
	}
	if err := l.remember(); err != nil {
		return err
	}
	if o.json {
		return printJSON(e.stdout, map[string]any{"came": done.Came, "sent": done.Sent, "rebuilt": append([]ledger.Moved{}, done.Rebuilt...), "size": l.Checkpoint().Size})
	}
	fmt.Fprintf(e.stdout, "%d new, %d sent, size %d\n", done.Came, done.Sent, l.Checkpoint().Size)
	for _, m := range done.Rebuilt {
		fmt.Fprintf(e.stdout, "%s is %s now\n", m.From, m.To)
	}
	return nil
}

// anew is what it takes to sign entries again: the private keys in files, or
// all of the user's, and the memory of what was seen.
func (l *openLedger) anew(files []string) (*ledger.Rebuild, error) {
	named := len(files) > 0
	if !named {
		var err error
		if files, err = filepath.Glob(filepath.Join(l.e.keysDir(), "*.key")); err != nil {
			return nil, err
		}
	}
	var signers []*ledger.Signer
	for _, name := range files {
		s, err := readKeyFile(l, name)
		switch {
		case err == nil:
			signers = append(signers, s)
		case named:
			return nil, err
		}
	}
	find := func(entry *ledger.Entry) *ledger.Signer {
		for _, s := range signers {
			if entry.SignedBy(s) {
				return s
			}
		}
		return nil
	}
	return &ledger.Rebuild{Key: find, Now: l.e.now(), Forget: l.keepSeen}, nil
}
