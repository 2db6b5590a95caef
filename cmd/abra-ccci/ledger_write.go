package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/ledger/remote"
)

// initOptions are the flags of `ledger init`.
type initOptions struct {
	origin, keys         string
	adversaries          []string
	builders, publicKeys []string
}

func ledgerInit(e *env, o *ledgerOptions) *cobra.Command {
	var i initOptions
	cmd := &cobra.Command{
		Use:   "init --origin NAME --adversary NAME [--builder NAME]",
		Short: "begin a ledger: its policy, and keys for the roles",
		Long: `Init makes a ledger whose entry 0 says who may do what. Private keys are made for
the names given, in files that only you can read, outside the ledger; give each to
its person. Keys that exist already come in with --public ROLE=KEY.

The trust file that it writes (origin and digest of entry 0) is for everybody who
shall believe this ledger: publish it where the ledger's writers can't change it.`,
		Example: `  abra-ccci ledger init --origin example.org/ledger --adversary ada --builder bob`,
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return runLedgerInit(e, o, i) },
	}
	f := cmd.Flags()
	f.StringVar(&i.origin, "origin", "", "the log's `NAME` in the world, like example.org/ledger")
	f.StringVar(&i.keys, "keys", "", "`DIR` for private keys (default: beside the tool's other state)")
	f.StringArrayVar(&i.adversaries, "adversary", nil, "make a key for an adversary of this `NAME`")
	f.StringArrayVar(&i.builders, "builder", nil, "make a key for a builder of this `NAME`")
	f.StringArrayVar(&i.publicKeys, "public", nil, "`ROLE=KEY`: a public key that exists already")
	return cmd
}

func runLedgerInit(e *env, o *ledgerOptions, i initOptions) error {
	if i.origin == "" || len(i.adversaries) == 0 {
		return &usageError{&hintError{errors.New("a ledger needs an origin, and at least one new adversary to sign its policy"), "abra-ccci ledger init --origin example.org/ledger --adversary NAME"}}
	}
	if i.keys == "" {
		i.keys = e.keysDir()
	}
	dir := o.folder(e)
	if liesIn(i.keys, dir) {
		return &usageError{&hintError{fmt.Errorf("keys in %s would lie in the ledger", i.keys), "choose a folder outside it: --keys DIR"}}
	}
	d, err := ledger.MakeDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := ledger.Open(d); !errors.Is(err, ledger.ErrNone) {
		return &hintError{errors.Join(fmt.Errorf("%s holds a ledger already", dir), err), "abra-ccci ledger status --ledger " + dir}
	}
	keys, signer, err := makeKeys(e, i)
	if err != nil {
		return err
	}
	l, err := ledger.Init(d, i.origin, keys, newID(), signer, e.now())
	if err != nil {
		return err
	}
	return finishInit(e, o, &openLedger{Ledger: l, dir: d, e: e, o: o})
}

// makeKeys makes the private keys, and returns the policy's list and a signer for it.
func makeKeys(e *env, i initOptions) (keys []ledger.Key, signer *ledger.Signer, err error) {
	if err := os.MkdirAll(i.keys, 0o700); err != nil {
		return nil, nil, err
	}
	add := func(role ledger.Role, names []string) error {
		for _, name := range names {
			public, s, err := makeKey(e, i.keys, name)
			if err != nil {
				return err
			}
			keys = append(keys, ledger.Key{Role: role, Public: public})
			if signer == nil {
				signer = s
			}
		}
		return nil
	}
	if err := errors.Join(add(ledger.Adversary, i.adversaries), add(ledger.Builder, i.builders)); err != nil {
		return nil, nil, err
	}
	for _, p := range i.publicKeys {
		role, public, ok := strings.Cut(p, "=")
		if !ok {
			return nil, nil, &usageError{&hintError{fmt.Errorf("%q is not ROLE=KEY", p), "abra-ccci ledger show --policy"}}
		}
		keys = append(keys, ledger.Key{Role: ledger.Role(role), Public: public})
	}
	return keys, signer, nil
}

func makeKey(e *env, dir, name string) (public string, s *ledger.Signer, err error) {
	secret, public, err := ledger.NewKey(rand.Reader, name)
	if err != nil {
		return "", nil, &usageError{&hintError{err, "choose a plain name: --adversary ada"}}
	}
	file := filepath.Join(dir, name+".key")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", nil, &hintError{err, "an existing key comes in with --public ROLE=KEY"}
	}
	if _, err := io.WriteString(f, secret+"\n"); err != nil {
		return "", nil, errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return "", nil, err
	}
	fmt.Fprintf(e.stdout, "key    %s\n", file)
	s, err = ledger.ReadSigner(secret)
	return public, s, err
}

// finishInit writes what lies beside a new ledger: what keeps git from
// touching line ends, and the trust file.
func finishInit(e *env, o *ledgerOptions, l *openLedger) error {
	files := map[string]string{".gitattributes": ledger.Attributes, ".gitignore": ".lock\n.tmp-*\n"}
	for name, text := range files {
		if err := writeWhole(filepath.Join(l.dir.Path(), name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	trust, err := l.Trust()
	if err != nil {
		return err
	}
	name := o.trust
	if name == "" {
		name = filepath.Join(e.memory(trust.Origin), "trust")
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if err := writeWhole(name, []byte(trust.String()), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "trust  %s\nledger %s\n", name, l.dir.Path())
	return l.remember()
}

func (e *env) keysDir() string { return filepath.Join(e.stateDir(), "keys") }

// newID is an id that nobody else makes up.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// liesIn tells whether a path lies in a folder, symlinks followed.
func liesIn(name, dir string) bool {
	resolve := func(p string) string {
		p, _ = filepath.Abs(p)
		for rest := ""; ; {
			if real, err := filepath.EvalSymlinks(p); err == nil {
				return filepath.Join(real, rest)
			}
			if p == filepath.Dir(p) {
				return filepath.Join(p, rest)
			}
			rest = filepath.Join(filepath.Base(p), rest)
			p = filepath.Dir(p)
		}
	}
	rel, err := filepath.Rel(resolve(dir), resolve(name))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// A pen is what the writing commands have in common.
type pen struct {
	key, id string
	content ledger.Content
	before  func(*openLedger, *ledger.Content) error // fills in what the ledger knows
}

func (p *pen) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.key, "key", "", "`FILE` with the private key (default: yours that may sign it)")
	cmd.Flags().StringVar(&p.id, "id", "", "32 hex digits that name the entry: the same one is never added twice (default: random)")
}

// write appends to the ledger and prints what was acknowledged.
func (p *pen) write(ctx context.Context, e *env, o *ledgerOptions) error {
	l, err := open(e, o, ledger.Open)
	if err != nil {
		return err
	}
	defer l.close()
	r, err := p.add(ctx, e, l)
	return p.tell(e, o, l, r, err)
}

// add appends to an open ledger, and through its remote if it has one.
func (p *pen) add(ctx context.Context, e *env, l *openLedger) (r ledger.Receipt, err error) {
	c := p.content
	c.ID, c.Tool = p.id, strings.TrimSpace("abra-ccci "+build().Version+" "+build().Commit)
	if c.ID == "" {
		c.ID = newID()
	}
	if p.before != nil {
		if err := p.before(l, &c); err != nil {
			return r, err
		}
	}
	key, err := readKey(e, l, p.key, c.Kind)
	if err != nil {
		return r, err
	}
	g, err := remote.Open(ctx, l.dir.Path())
	if err != nil {
		return r, err
	}
	unlock, err := l.dir.Lock()
	if err != nil {
		return r, err
	}
	defer unlock()
	if g == nil {
		return l.Append(c, key, e.now())
	}
	defer g.Close()
	r, err = l.AppendTo(ctx, g, c, key, e.now())
	return r, keepProof(e, l.Checkpoint().Origin, err)
}

// tell prints what was acknowledged; an entry that could not be rendered was.
func (p *pen) tell(e *env, o *ledgerOptions, l *openLedger, r ledger.Receipt, err error) error {
	if r.Entry == nil {
		return err
	}
	if err := l.remember(); err != nil {
		return err
	}
	opened := []string{}
	for _, f := range r.Entry.Opened {
		opened = append(opened, f.ID)
	}
	if o.json {
		return errors.Join(printJSON(e.stdout, map[string]any{"entry": r.Entry.Number(), "id": r.Entry.ID, "again": r.Again, "opened": opened, "size": r.Checkpoint.Size, "root": r.Checkpoint.Root}), err)
	}
	fmt.Fprintf(e.stdout, "%s  %s\n", r.Entry.Number(), r.Entry.Kind)
	if len(opened) > 0 {
		fmt.Fprintf(e.stdout, "opened %s\n", strings.Join(opened, ", "))
	}
	if r.Again {
		fmt.Fprintln(e.stdout, "it was in the ledger already")
	}
	return err
}

var errNoKey = errors.New("no key to sign with")

// readKey reads the private key from a file that only its owner can read,
// outside the ledger. Without a file it is the only one of the user's keys
// that may sign the kind.
func readKey(e *env, l *openLedger, file string, kind ledger.Kind) (*ledger.Signer, error) {
	if file != "" {
		return readKeyFile(l, file)
	}
	files, err := filepath.Glob(filepath.Join(e.keysDir(), "*.key"))
	if err != nil {
		return nil, err
	}
	var fit []*ledger.Signer
	for _, name := range files {
		if s, err := readKeyFile(l, name); err == nil && l.Policy().May(s, kind) {
			fit = append(fit, s)
		}
	}
	if len(fit) != 1 {
		return nil, &hintError{fmt.Errorf("%w: %d keys in %s may sign a %s", errNoKey, len(fit), e.keysDir(), kind), "name the file: --key FILE"}
	}
	return fit[0], nil
}

func readKeyFile(l *openLedger, name string) (*ledger.Signer, error) {
	if liesIn(name, l.dir.Path()) {
		return nil, &hintError{fmt.Errorf("key %s lies in the ledger", name), "move it out, and make a new one: whoever reads the ledger has it"}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &hintError{err, "name the file of a private key: --key FILE"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, &hintError{fmt.Errorf("key %s can be read by others (mode %v)", name, info.Mode()), "chmod 600 " + name}
	}
	secret, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return nil, err
	}
	s, err := ledger.ReadSigner(string(secret))
	if err != nil {
		return nil, &hintError{fmt.Errorf("%s: %w", name, err), "abra-ccci ledger init makes keys"}
	}
	return s, nil
}

func ledgerAppend(e *env, o *ledgerOptions) *cobra.Command {
	var p pen
	var kind string
	cmd := &cobra.Command{
		Use:   "append FILE|-",
		Short: "add a note, a response, a verdict or a policy",
		Long: `Append adds an entry from a file, or from stdin. An orientation (of an adversary)
or a response (of anybody) is text. A verdict or a policy is JSON: docs/ledger.md
has the keys. The ledger numbers findings.

The same --id is never added twice: after an error, append it again with the same
one.`,
		Example: `  abra-ccci ledger append --kind orientation --phase mailu notes.md
  abra-ccci ledger append --kind verdict --key ada.key verdict.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readArg(e, args[0])
			if err != nil {
				return err
			}
			p.content.Kind = ledger.Kind(kind)
			if err := p.take(text); err != nil {
				return err
			}
			return p.write(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", string(ledger.Orientation), "orientation, response, verdict or policy")
	f.StringVar(&p.content.Phase, "phase", "", "the `PHASE` that it belongs to")
	f.StringVar(&p.content.Claim, "claim", "", "the `CLAIM` that a response is about")
	f.StringVar(&p.content.Summary, "summary", "", "one `LINE` above the text")
	p.flags(cmd)
	return cmd
}

func readArg(e *env, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(e.stdin)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, &hintError{err, "name a file, or - for stdin"}
	}
	return text, nil
}

// take makes the content of a text: prose, or JSON for the kinds that have more.
func (p *pen) take(text []byte) error {
	switch kind := p.content.Kind; kind {
	case ledger.Orientation, ledger.Response:
		p.content.Prose = string(text)
		return nil
	case ledger.VerdictKind, ledger.PolicyKind:
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		err := dec.Decode(&p.content)
		if err == nil && dec.More() {
			err = errors.New("there is more than one value")
		}
		if err == nil && p.content.Kind != kind {
			err = fmt.Errorf("it is a %s", p.content.Kind)
		}
		if err != nil {
			return &hintError{fmt.Errorf("the %s is not what JSON of a %s looks like: %w", kind, kind, err), "docs/ledger.md has an example"}
		}
		if p.id == "" {
			p.id = p.content.ID
		}
		return nil
	default:
		return &usageError{&hintError{fmt.Errorf("unknown kind %q", kind), "--kind orientation, response, verdict or policy; claims: abra-ccci ledger claim"}}
	}
}

func ledgerClaim(e *env, o *ledgerOptions) *cobra.Command {
	p := pen{content: ledger.Content{Kind: ledger.Claim}}
	var results string
	cmd := &cobra.Command{
		Use:   "claim M1 --pr N --head SHA [--results FILE] [TEXT]",
		Short: "say that something is done (a builder's key)",
		Long: `Claim records what the builder says is done, for one commit. Of the results file
the digest is recorded, and the run's id; it has to be of that very commit. Phase
and repo are those of the ledger's last claim, unless they are given. A suite that
lives in a repository of its own is named by that and two commits of it: the one that
the claim rests on, and the one that was in force before.`,
		Example: `  abra-ccci ledger claim M1 --phase mailu --repo coop-cloud/mailu --pr 3 --head $(git rev-parse HEAD) --results results.json "level 5"`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.content.Claim = args[0]
			if len(args) > 1 {
				p.content.Summary = args[1]
			}
			if err := checkSuiteSource(&p.content.SuiteSource); err != nil {
				return err
			}
			if results != "" {
				if err := p.evidence(results); err != nil {
					return err
				}
			}
			return p.write(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.content.Phase, "phase", "", "the `PHASE`")
	f.StringVar(&p.content.Repo, "repo", "", "`OWNER/NAME`")
	f.IntVar(&p.content.PR, "pr", 0, "`NUMBER` of the pull request")
	f.StringVar(&p.content.Head, "head", "", "full `SHA` of the commit")
	f.StringVar(&p.content.Base, "base", "", "full `SHA` of what it is compared with")
	f.StringVar(&p.content.Run, "run", "", "`ID` of the run that shows it")
	f.StringVar(&p.content.Suite, "suite", "", "commit or digest of the suite")
	f.StringVar(&p.content.SuiteRepo, "suite-repo", "", "`URL|OWNER/NAME` of a suite that is not in the recipe's repository")
	f.StringVar(&p.content.SuiteHead, "suite-head", "", "full `SHA` of the suite that is claimed with")
	f.StringVar(&p.content.SuiteBase, "suite-base", "", "full `SHA` of the suite that was in force before")
	f.StringVar(&results, "results", "", "`FILE`: the run's results.json")
	p.flags(cmd)
	p.before = lastClaim
	return cmd
}

// isSHA tells whether s is the whole id of a commit.
func isSHA(s string) bool { return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == "" }

// checkSuiteSource tells what is wrong with the flags about a suite in another
// repository. Of an address it keeps what the ledger takes: host and path.
func checkSuiteSource(s *ledger.SuiteSource) error {
	if *s == (ledger.SuiteSource{}) {
		return nil
	}
	for _, flag := range []struct{ name, value string }{{"--suite-head", s.SuiteHead}, {"--suite-base", s.SuiteBase}} {
		if !isSHA(flag.value) {
			return &usageError{&hintError{fmt.Errorf("%s: %q is not the whole id of a commit, 40 hex digits", flag.name, flag.value), "in the suite's repository: git rev-parse COMMIT"}}
		}
	}
	if s.SuiteRepo == "" {
		return &usageError{&hintError{errors.New("--suite-head and --suite-base are commits of which repository?"), "name it: --suite-repo OWNER/NAME"}}
	}
	if !strings.Contains(s.SuiteRepo, "://") {
		return nil
	}
	at, err := repoAt(s.SuiteRepo)
	if err != nil {
		return &usageError{fmt.Errorf("--suite-repo: %w", err)}
	}
	s.SuiteRepo = at.long()
	return nil
}

// evidence takes digest and run of a results file, which has to be of the head.
func (p *pen) evidence(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return &hintError{err, "name the results.json of a run: abra-ccci test --json prints it"}
	}
	var r struct {
		RunID string `json:"run_id"`
		Head  string `json:"head"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return &hintError{fmt.Errorf("%s: %w", file, err), "name the results.json of a run"}
	}
	if r.Head != p.content.Head {
		return &hintError{fmt.Errorf("%s is of commit %q, the claim of %q", file, r.Head, p.content.Head), "climb on the very commit: abra-ccci test RECIPE --ref " + p.content.Head}
	}
	sum := sha256.Sum256(text)
	p.content.Results = "sha256:" + hex.EncodeToString(sum[:])
	if p.content.Run == "" {
		p.content.Run = r.RunID
	}
	return nil
}

// lastClaim fills in phase and repo.
func lastClaim(l *openLedger, c *ledger.Content) error {
	if c.Phase != "" && c.Repo != "" {
		return nil
	}
	s := ledger.NewStatus()
	if _, err := ledger.Open(l.dir, s.Visit); err != nil {
		return err
	}
	for _, r := range s.Rows(l.Ledger) {
		if c.Phase == "" || r.Phase == c.Phase {
			c.Phase, c.Repo = r.Phase, r.Repo
		}
	}
	if c.Phase == "" || c.Repo == "" {
		return &usageError{&hintError{errors.New("the first claim needs a phase and a repo"), "abra-ccci ledger claim " + c.Claim + " --phase PHASE --repo OWNER/NAME …"}}
	}
	return nil
}

func ledgerRetract(e *env, o *ledgerOptions) *cobra.Command {
	p := pen{content: ledger.Content{Kind: ledger.Retract}}
	cmd := &cobra.Command{
		Use:   "retract E000017 [REASON]",
		Short: "take an entry back, with the key that signed it",
		Long: `Retract records that an entry counts no more. Nothing is removed. A verdict that
was retracted answers INCONCLUSIVE, never what was before it; findings that it
closed are open again, and findings that it opened stay open.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.content.Retracts = args[0]
			if len(args) > 1 {
				p.content.Summary = args[1]
			}
			return p.write(cmd.Context(), e, o)
		},
	}
	p.before = func(l *openLedger, c *ledger.Content) error {
		of, err := l.Named(c.Retracts)
		if err != nil {
			return err
		}
		if of == nil {
			return &hintError{fmt.Errorf("there is no entry %q", c.Retracts), "abra-ccci ledger show"}
		}
		c.Phase, c.Claim = of.Phase, of.Claim
		return nil
	}
	p.flags(cmd)
	return cmd
}
