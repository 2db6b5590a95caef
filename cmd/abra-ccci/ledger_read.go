package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/ledger"
)

func ledgerShow(e *env, o *ledgerOptions) *cobra.Command {
	r := &ledger.Review{}
	var policy bool
	cmd := &cobra.Command{
		Use:   "show [--phase PHASE] [--claim M1]",
		Short: "the review, as people read it",
		Long: `Show prints entries as Markdown, after it has verified their signatures: with
colours and folded lines on a terminal. --raw prints the signed blocks as they are.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := open(e, o, ledger.Open, r.Visit)
			if err != nil {
				return err
			}
			defer l.close()
			switch {
			case policy:
				for _, k := range l.Policy().Keys {
					fmt.Fprintf(e.stdout, "%-9s  %s\n", k.Role, k.Public)
				}
				return nil
			case o.json:
				return printJSON(e.stdout, append([]*ledger.Entry{}, r.Entries()...))
			}
			text := r.Markdown(l.Ledger)
			if !r.Raw {
				text = e.markdown(text)
			}
			_, err = io.WriteString(e.stdout, text)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.Phase, "phase", "", "only this `PHASE`")
	f.StringVar(&r.Claim, "claim", "", "only this `CLAIM`")
	f.BoolVar(&r.Raw, "raw", false, "the signed blocks as they are")
	f.BoolVar(&policy, "policy", false, "roles and keys, instead of entries")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func ledgerStatus(e *env, o *ledgerOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "where each claim stands, and who must move next",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s := ledger.NewStatus()
			l, err := open(e, o, ledger.Open, s.Visit)
			if err != nil {
				return err
			}
			defer l.close()
			rows := s.Rows(l.Ledger)
			if o.json {
				return printJSON(e.stdout, rows)
			}
			return printStatus(e.stdout, rows)
		},
	}
}

func printStatus(w io.Writer, rows []ledger.Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PHASE\tCLAIM\tVERDICT\tENTRY\tREPO\tPR\tHEAD\tOPEN\tNEXT")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%.12s\t%s\t%s\n", r.Phase, r.Claim, orDash(string(r.Verdict)), orDash(r.Entry),
			r.Repo, r.PR, r.Head, orDash(strings.Join(r.Open, " ")), orDash(r.Next))
	}
	return t.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func ledgerVerify(e *env, o *ledgerOptions) *cobra.Command {
	var review string
	cmd := &cobra.Command{
		Use:   "verify [--review FILE --trust FILE]",
		Short: "check every entry, signature, checkpoint and rendering",
		Long: `Verify checks all of the ledger. Renderings that are right but behind, or not
there, are made anew; one that was changed by hand is told, and stays as it is.
A log that is right is still told as not well if the .gitattributes beside it does
not keep git from changing line ends.

With --review it checks a REVIEW-<phase>.md alone, which needs no ledger beside it.

Exit status: 0 all is well, 1 could not tell, 3 something was changed.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if review != "" {
				return verifyReview(e, o, review)
			}
			return runVerify(e, o)
		},
	}
	cmd.Flags().StringVar(&review, "review", "", "`FILE`: a REVIEW-<phase>.md by itself")
	return cmd
}

func verifyReview(e *env, o *ledgerOptions, name string) error {
	if o.trust == "" {
		return &usageError{&hintError{errors.New("a review alone needs something to trust"), "get the trust file from the ledger's adversaries: --trust FILE"}}
	}
	text, err := os.ReadFile(o.trust)
	if err != nil {
		return &hintError{err, "get the trust file from the ledger's adversaries: --trust FILE"}
	}
	trust, err := ledger.ParseTrust(text)
	if err != nil {
		return fmt.Errorf("%s: %w", o.trust, err)
	}
	if text, err = os.ReadFile(name); err != nil {
		return &hintError{err, "name a REVIEW-<phase>.md: --review FILE"}
	}
	c, err := ledger.VerifyReview(text, trust)
	if err != nil {
		return &ledger.CorruptError{Where: name, Err: err}
	}
	fmt.Fprintf(e.stdout, "%s: right, of the log %s at size %d\n", name, c.Origin, c.Size)
	return nil
}

func runVerify(e *env, o *ledgerOptions) error {
	var stale []string
	l, err := open(e, o, func(f ledger.Folder, visits ...ledger.Visit) (l *ledger.Ledger, err error) {
		l, stale, err = ledger.Verify(f, visits...)
		return l, err
	})
	if err != nil {
		return err
	}
	defer l.close()
	if len(stale) > 0 {
		if stale, err = renderAll(l); err != nil {
			return err
		}
	}
	c := l.Checkpoint()
	if o.json {
		text := map[string]any{"origin": c.Origin, "size": c.Size, "root": c.Root, "claimed": l.Claimed(), "rendered": append([]string{}, stale...), "remarks": l.remarks()}
		return cmp.Or(printJSON(e.stdout, text), l.CheckAttributes())
	}
	fmt.Fprintf(e.stdout, "%s: %d entries, root %s: every entry, signature and checkpoint is right\n", c.Origin, c.Size, c.Root)
	for _, name := range stale {
		fmt.Fprintf(e.stdout, "made anew: %s\n", name)
	}
	for _, remark := range l.remarks() {
		fmt.Fprintf(e.stdout, "remark: %s\n", remark)
	}
	return l.CheckAttributes()
}

func renderAll(l *openLedger) (written []string, err error) {
	for _, phase := range l.Phases() {
		names, err := l.Render(phase)
		if err != nil {
			return nil, err
		}
		written = append(written, names...)
	}
	return written, nil
}

// remarks are what an answer does not cover.
func (l *openLedger) remarks() []string {
	remarks := []string{}
	if !l.trusted {
		remarks = append(remarks, "no trust file: another ledger in the place of this one would not be noticed")
	}
	if !l.known {
		remarks = append(remarks, "rollback not excluded: no checkpoint of this ledger was seen before")
	}
	if l.Claimed() {
		remarks = append(remarks, "an entry is written but not committed: it does not count yet")
	}
	return remarks
}

// A gateAnswer is what `ledger gate` prints.
type gateAnswer struct {
	ledger.Answer
	Question ledger.Question `json:"-"`
	Remarks  []string        `json:"remarks"`
}

func ledgerGate(e *env, o *ledgerOptions) *cobra.Command {
	var q ledger.Question
	cmd := &cobra.Command{
		Use:   "gate --pr N --head SHA --claim M1",
		Short: "may this commit pass? PASS, FAIL or INCONCLUSIVE",
		Long: `Gate answers for one repo, pull request, exact commit and claim. PASS needs a
PASS verdict by an adversary's key, from a full review of that very commit, and
no open finding on the claim. A FAIL stays until a later PASS. What could not be
told is never a pass.

The root of trust comes from outside the ledger (--trust); without one the answer
is INCONCLUSIVE. --seen is the last checkpoint seen, and is brought up to date;
without one the gate says that a rollback is not excluded.

Exit status: 0 PASS, 3 FAIL, or the ledger was tampered with, 1 INCONCLUSIVE.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return runGate(e, o, q) },
	}
	f := cmd.Flags()
	f.StringVar(&q.Repo, "repo", "", "`OWNER/NAME` (default: the only one that the ledger has for the pull request)")
	f.IntVar(&q.PR, "pr", 0, "`NUMBER` of the pull request")
	f.StringVar(&q.Head, "head", "", "full `SHA` of the commit")
	f.StringVar(&q.Claim, "claim", "", "the `CLAIM`, M1")
	f.StringVar(&q.Phase, "phase", "", "the `PHASE` (default: any)")
	return cmd
}

func runGate(e *env, o *ledgerOptions, q ledger.Question) error {
	if err := q.Check(); err != nil {
		return &usageError{&hintError{err, "abra-ccci ledger gate --pr 3 --head $(git rev-parse HEAD) --claim M1"}}
	}
	g := ledger.NewGate(q)
	l, err := open(e, o, ledger.Open, g.Visit)
	if err != nil {
		return err
	}
	defer l.close()
	a := gateAnswer{Answer: g.Answer(l.Ledger), Question: q, Remarks: l.remarks()}
	if !l.trusted && a.Verdict == ledger.Pass {
		a.Verdict, a.Reason = ledger.Inconclusive, "the verdict is PASS, but in a ledger that nothing outside it vouches for"
	}
	if o.json {
		if err := printJSON(e.stdout, a); err != nil {
			return err
		}
	} else {
		a.print(e.stdout)
	}
	return a.exit(e, l)
}

func (a gateAnswer) print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s PR#%d %s %s: %s\n", a.Verdict, orDash(a.Repo), a.Question.PR, a.Question.Claim, a.Question.Head, a.Reason)
	if a.Entry != "" {
		fmt.Fprintf(w, "decided by %s of phase %s, signed by %s at %s\n", a.Entry, a.Phase, a.Signer, a.Time.Format("2006-01-02T15:04Z"))
	}
	if len(a.Open) > 0 {
		fmt.Fprintf(w, "open: %s\n", strings.Join(a.Open, ", "))
	}
	for _, r := range a.Remarks {
		fmt.Fprintf(w, "remark: %s\n", r)
	}
}

// exit is the exit status, with a hint where there is something to do.
func (a gateAnswer) exit(e *env, l *openLedger) error {
	hint, code := "", exitUnknown
	switch {
	case a.Verdict == ledger.Pass:
		return nil
	case a.Verdict == ledger.Fail:
		hint, code = fmt.Sprintf("read what is held against it: abra-ccci ledger show --claim %s; mend it and claim again", a.Question.Claim), exitFail
	case !l.trusted:
		hint = "get the trust file from the ledger's adversaries, not from the ledger: --trust FILE"
	case strings.Contains(a.Reason, "more than one repo"):
		hint = "say which: --repo OWNER/NAME"
	default:
		hint = fmt.Sprintf("an adversary has to review it: abra-ccci ledger status; has it been claimed? abra-ccci ledger claim %s --pr %d --head %s", a.Question.Claim, a.Question.PR, a.Question.Head)
	}
	fmt.Fprintf(e.stderr, "abra-ccci: hint: %s\n", hint)
	return codeError(code)
}
