package ledger

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// A move is something that happens to a claim before the gate is asked.
type move func(b *bench)

func say(v Verdict, scope Scope, change ...func(*Content)) move {
	return func(b *bench) {
		c := verdict(v)
		c.Scope = scope
		for _, f := range change {
			f(&c)
		}
		b.append(b.adversary, c)
	}
}

func opening(c *Content) { c.Opened = []Finding{{Title: "it is not so"}} }
func closing(c *Content) { c.Closed = []string{"ADV-mailu-01"} }

func retract(number string) move {
	return func(b *bench) {
		b.append(b.adversary, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: number})
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	other := func(change func(*Content)) move { return say(Pass, Full, change) }
	tests := []struct {
		name  string
		moves []move
		want  Verdict
		entry string
	}{
		{"nothing", nil, Inconclusive, ""},
		{"PASS", []move{say(Pass, Full)}, Pass, "E000001"},
		{"FAIL", []move{say(Fail, Full)}, Fail, "E000001"},
		{"INCONCLUSIVE", []move{say(Inconclusive, Full)}, Inconclusive, "E000001"},
		{"PASS of a quick review", []move{say(Pass, Quick)}, Inconclusive, "E000001"},
		{"PASS of a partial review", []move{say(Pass, Partial)}, Inconclusive, "E000001"},
		{"FAIL of a quick review", []move{say(Fail, Quick)}, Fail, "E000001"},
		{"FAIL, then PASS", []move{say(Fail, Full), say(Pass, Full)}, Pass, "E000002"},
		{"PASS, then FAIL", []move{say(Pass, Full), say(Fail, Full)}, Fail, "E000002"},
		{"FAIL stays over INCONCLUSIVE", []move{say(Fail, Full), say(Inconclusive, Full)}, Fail, "E000001"},
		{"FAIL stays over a quick PASS", []move{say(Fail, Full), say(Pass, Quick)}, Fail, "E000001"},
		{"PASS, then an interrupted review", []move{say(Pass, Full), say(Inconclusive, Partial)}, Inconclusive, "E000002"},
		{"PASS, then a quick PASS", []move{say(Pass, Full), say(Pass, Quick)}, Inconclusive, "E000002"},
		{"retracted PASS", []move{say(Pass, Full), retract("E000001")}, Inconclusive, "E000001"},
		{"retracted FAIL does not bring the PASS back", []move{say(Pass, Full), say(Fail, Full), retract("E000002")}, Inconclusive, "E000002"},
		{"retracted PASS does not bring the older PASS back", []move{say(Pass, Full), say(Pass, Full), retract("E000002")}, Inconclusive, "E000002"},
		{"one of two FAILs retracted", []move{say(Fail, Full), say(Fail, Full), retract("E000002")}, Fail, "E000001"},
		{"FAIL retracted after its PASS", []move{say(Fail, Full), say(Pass, Full), retract("E000001")}, Pass, "E000002"},
		{"retracted FAIL under INCONCLUSIVE", []move{say(Pass, Full), say(Fail, Full), say(Inconclusive, Full), retract("E000002")}, Inconclusive, "E000002"},
		{"finding open", []move{say(Fail, Full, opening), say(Pass, Full)}, Fail, "E000002"},
		{"finding closed", []move{say(Fail, Full, opening), say(Pass, Full, closing)}, Pass, "E000002"},
		{"finding open again, as what closed it was retracted", []move{say(Fail, Full, opening), say(Pass, Full, closing), say(Pass, Full), retract("E000002")}, Fail, "E000003"},
		{"finding of another head", []move{say(Fail, Full, opening, func(c *Content) { c.Head = otherSHA }), say(Pass, Full)}, Fail, "E000002"},
		{"another head", []move{other(func(c *Content) { c.Head = otherSHA })}, Inconclusive, ""},
		{"another pull request", []move{other(func(c *Content) { c.PR = 4 })}, Inconclusive, ""},
		{"another repo", []move{other(func(c *Content) { c.Repo = "coop-cloud/mailu2" })}, Inconclusive, ""},
		{"another claim", []move{other(func(c *Content) { c.Claim = "M2" })}, Inconclusive, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for _, m := range tt.moves {
				m(b)
			}
			if a := b.gate(question()); a.Verdict != tt.want || a.Entry != tt.entry {
				t.Errorf("%s by %q (%s), want %s by %q", a.Verdict, a.Entry, a.Reason, tt.want, tt.entry)
			}
			must(t, b.verify())
		})
	}
}

// Without a repo the gate answers only if there is no choice; with a phase it
// looks at no other.
func TestGateChoice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.append(b.adversary, verdict(Pass))
	q := question()
	q.Repo = ""
	if a := b.gate(q); a.Verdict != Pass || a.Repo != "coop-cloud/mailu" {
		t.Errorf("%+v", a)
	}
	q.Phase = "nextcloud"
	if a := b.gate(q); a.Verdict != Inconclusive {
		t.Errorf("another phase: %+v", a)
	}
	q.Phase = ""
	c := verdict(Pass)
	c.Repo = "coop-cloud/fork"
	b.append(b.adversary, c)
	if a := b.gate(q); a.Verdict != Inconclusive || !strings.Contains(a.Reason, "more than one repo") {
		t.Errorf("two repos: %+v", a)
	}
}

func TestQuestion(t *testing.T) {
	t.Parallel()
	must(t, question().Check())
	tests := []struct {
		name   string
		change func(*Question)
	}{
		{"prefix of a SHA", func(q *Question) { q.Head = headSHA[:12] }},
		{"one digit short", func(q *Question) { q.Head = headSHA[:39] }},
		{"upper case", func(q *Question) { q.Head = strings.ToUpper(headSHA) }},
		{"branch", func(q *Question) { q.Head = "main" }},
		{"no head", func(q *Question) { q.Head = "" }},
		{"no pull request", func(q *Question) { q.PR = 0 }},
		{"no claim", func(q *Question) { q.Claim = "" }},
		{"claim that is none", func(q *Question) { q.Claim = "m1" }},
		{"repo that is a path", func(q *Question) { q.Repo = "../mailu" }},
		{"phase that is a path", func(q *Question) { q.Phase = "a/b" }},
	}
	for _, tt := range tests {
		q := question()
		tt.change(&q)
		if q.Check() == nil {
			t.Errorf("%s: %+v is a question", tt.name, q)
		}
	}
}

// What the ledger refuses to take.
func TestRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.append(b.builder, claim("done"))
	b.append(b.adversary, func() Content { c := verdict(Fail); opening(&c); return c }())
	b.append(b.adversary, func() Content { c := verdict(Fail); opening(&c); return c }())
	b.append(b.adversary, func() Content { c := verdict(Fail); c.Closed = []string{"ADV-mailu-02"}; return c }())
	back := Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000003"}
	b.append(b.adversary, back)
	b.append(b.adversary, func() Content { c := verdict(Fail); opening(&c); return c }())
	size := checkpointName(7)
	again, err := note.NewEd25519VerifierKey("ada", publicKey(t, b.keys[0]))
	must(t, err)
	stranger := (&bench{t: t}).key(Adversary, "ci-adversary")
	with := func(v Verdict, change func(*Content)) Content { c := verdict(v); change(&c); return c }
	tests := []struct {
		name string
		key  *Signer
		c    Content
		want string
	}{
		{"verdict by a builder", b.builder, verdict(Pass), "it can't sign a verdict"},
		{"orientation by a builder", b.builder, Content{Kind: Orientation, Phase: "mailu", Prose: "x"}, "can't sign"},
		{"policy by a builder", b.builder, Content{Kind: PolicyKind, Keys: b.keys}, "can't sign a policy"},
		{"claim by an adversary", b.adversary, claim("done"), "can't sign a claim"},
		{"key of the same name", stranger, verdict(Pass), "the policy has no key"},
		{"retraction by another adversary", b.second, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000002"}, "only that key retracts it"},
		{"retraction of the policy", b.adversary, Content{Kind: Retract, Phase: "mailu", Retracts: "E000000"}, "can't be retracted"},
		{"retraction of nothing", b.adversary, Content{Kind: Retract, Phase: "mailu", Retracts: "E000009"}, "there is no E000009"},
		{"retraction of a retraction", b.adversary, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000005"}, "E000005 is a retract"},
		{"retraction a second time", b.adversary, back, "retracted already"},
		{"retraction in another phase", b.adversary, Content{Kind: Retract, Phase: "other", Claim: "M1", Retracts: "E000002"}, "is about mailu M1"},
		{"policy without an adversary", b.adversary, Content{Kind: PolicyKind, Keys: b.keys[1:2]}, "needs an adversary"},
		{"policy with a key under two names", b.adversary, Content{Kind: PolicyKind, Keys: append([]Key{{Builder, again}}, b.keys...)}, "in the policy twice"},
		{"policy with a key in both roles", b.adversary, Content{Kind: PolicyKind, Keys: append([]Key{{Builder, b.keys[0].Public}}, b.keys...)}, "two keys are called"},
		{"policy with a line end in a key", b.adversary, Content{Kind: PolicyKind, Keys: append([]Key{{Builder, again[:30] + "\n" + again[30:]}}, b.keys[1:]...)}, "does not read back"},
		{"closing what was never opened", b.adversary, with(Pass, func(c *Content) { c.Closed = []string{"ADV-mailu-09"} }), "never opened"},
		{"closing what is closed", b.adversary, with(Pass, func(c *Content) { c.Closed = []string{"ADV-mailu-02"} }), "which is closed"},
		{"closing one twice", b.adversary, with(Pass, func(c *Content) { c.Closed = []string{"ADV-mailu-01", "ADV-mailu-01"} }), "not in order"},
		{"closing in another order", b.adversary, with(Pass, func(c *Content) { c.Closed = []string{"ADV-mailu-03", "ADV-mailu-01"} }), "not in order"},
		{"closing for another claim", b.adversary, with(Pass, func(c *Content) { c.Claim = "M2"; closing(c) }), "is about M1"},
		{"closing from another phase", b.adversary, with(Pass, func(c *Content) { c.Phase = "other"; closing(c) }), "never opened in other"},
		{"closing by a quick review", b.adversary, with(Pass, func(c *Content) { c.Scope = Quick; closing(c) }), "closes findings"},
		{"closing without telling", b.adversary, with(Inconclusive, closing), "closes findings"},
		{"PASS over a failed check", b.adversary, with(Pass, func(c *Content) { c.Checks[0].Status = "fail" }), "did not pass"},
		{"PASS over a check that could not tell", b.adversary, with(Pass, func(c *Content) { c.Checks[0].Status = "unver" }), "did not pass"},
		{"PASS over a surviving mutant", b.adversary, with(Pass, func(c *Content) { c.Mutants = &Mutants{Killed: 3, Survived: 1} }), "not killed"},
		{"PASS that opens a finding", b.adversary, with(Pass, opening), "opens findings"},
		{"verdict without scope", b.adversary, with(Pass, func(c *Content) { c.Scope = "" }), "without scope"},
		{"SHA prefix", b.adversary, with(Pass, func(c *Content) { c.Head = headSHA[:12] }), "not of the form"},
		{"claim with a verdict", b.builder, func() Content { c := claim(""); c.Verdict = Pass; return c }(), "claim with verdict"},
		{"phase that leaves the folder", b.adversary, with(Pass, func(c *Content) { c.Phase = "../x" }), "not of the form"},
		{"id that is none", b.adversary, with(Pass, func(c *Content) { c.ID = "x" }), "not of the form"},
		{"SHA prefix of a suite", b.builder, claimOf(func(s *SuiteSource) { s.SuiteHead = headSHA[:12] }), "not of the form"},
		{"suite without its base", b.builder, claimOf(func(s *SuiteSource) { s.SuiteBase = "" }), "go together"},
		{"commits of a suite that is nowhere", b.builder, claimOf(func(s *SuiteSource) { s.SuiteRepo = "" }), "go together"},
		{"suite at an address", b.builder, claimOf(func(s *SuiteSource) { s.SuiteRepo = "https://git.example.org/a/b" }), "not of the form"},
		{"field with a line end", b.adversary, with(Pass, func(c *Content) { c.Run = "1\nverdict: PASS" }), "not of the form"},
		{"field with bidi", b.adversary, with(Pass, func(c *Content) { c.Suite = "a\u202eb" }), "not of the form"},
		{"tool with a line end", b.adversary, with(Pass, func(c *Content) { c.Tool = "x\nverdict: PASS" }), "not one plain line"},
		{"too big", b.adversary, with(Fail, func(c *Content) { c.Prose = strings.Repeat("x\n", maxEntry) }), "at most"},
	}
	for _, tt := range tests {
		before := b.read(size)
		_, err := b.tryAppend(tt.key, tt.c)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		var refused *RefusedError
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("%s: %T is no refusal", tt.name, err)
		}
		if l, err := Open(b.folder()); err != nil || l.Checkpoint().Size != 7 || b.read(size) != before {
			t.Fatalf("%s: the ledger changed: %v", tt.name, err)
		}
	}
}

// publicKey is the key without its name.
func publicKey(t *testing.T, k Key) ed25519.PublicKey {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(strings.SplitN(k.Public, "+", 3)[2])
	must(t, err)
	return data[1:] // behind the algorithm
}

// claimOf is a claim with a suite that lives elsewhere, changed.
func claimOf(change func(*SuiteSource)) Content {
	c := claim("done")
	c.SuiteSource = suiteSource()
	change(&c.SuiteSource)
	return c
}

// Roles change by a policy that an adversary of the one before signs; what
// was said before stays said.
func TestPolicyChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.append(b.adversary, verdict(Pass))
	nb := &bench{t: t}
	third := nb.key(Adversary, "third-adversary")
	// The signer takes itself out: its checkpoint over the policy still counts.
	b.append(b.adversary, Content{Kind: PolicyKind, Keys: append(nb.keys, b.keys[1])})
	must(t, b.verify())
	if a := b.gate(question()); a.Verdict != Pass {
		t.Errorf("%+v", a)
	}
	if _, err := b.tryAppend(b.adversary, verdict(Fail)); err == nil || !strings.Contains(err.Error(), "no key ci-adversary") {
		t.Errorf("a key that was taken out: %v", err)
	}
	b.append(third, verdict(Fail))
	// A key of the same name is another key.
	again := &bench{t: t}
	namesake := again.key(Adversary, "third-adversary")
	b.append(third, Content{Kind: PolicyKind, Keys: append(again.keys, b.keys[1])})
	if _, err := b.tryAppend(namesake, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000003"}); err == nil || !strings.Contains(err.Error(), "only that key retracts it") {
		t.Errorf("a key of the same name retracts: %v", err)
	}
	if a := b.gate(question()); a.Verdict != Fail || a.Signer != "third-adversary" {
		t.Errorf("%+v", a)
	}
	must(t, b.verify())
}

// An id is appended once, whatever happens in between; with other content it
// is refused.
func TestIdempotent(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := verdict(Fail)
	opening(&c)
	c.ID = b.id("x")
	first := b.append(b.adversary, c)
	b.append(b.builder, claim("again"))
	second := b.append(b.adversary, c)
	if first.Again || !second.Again || second.Entry.Number() != first.Entry.Number() || second.Entry.Opened[0].ID != "ADV-mailu-01" {
		t.Errorf("%+v, then %+v", first, second)
	}
	c.Summary = "something else"
	var taken *IDError
	if _, err := b.tryAppend(b.adversary, c); !errors.As(err, &taken) || taken.Entry != "E000001" {
		t.Errorf("other content: %v", err)
	}
}

// Who can write the folder, with a builder's key for the checkpoint, can put
// an entry there that says it is an adversary's. Opening does not look at its
// signature; whoever counts it does, also where nothing else stands in its way.
func TestForgedSignature(t *testing.T) {
	t.Parallel()
	pass, fail := verdict(Pass), verdict(Fail)
	tests := []struct {
		name   string
		before []Content
		forged Content
	}{
		{"PASS where nothing was", nil, pass},
		{"PASS over a FAIL", []Content{fail}, pass},
		{"FAIL over a PASS", []Content{pass}, fail},
		{"retraction of the FAIL over a PASS", []Content{pass, fail}, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000002"}},
	}
	readers := map[string]func() Visit{
		"gate":   func() Visit { return NewGate(question()).Visit },
		"status": func() Visit { return NewStatus().Visit },
		"show":   func() Visit { return (&Review{Phase: "mailu"}).Visit },
	}
	for _, tt := range tests {
		for name, visit := range readers {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				for _, c := range tt.before {
					b.append(b.adversary, c)
				}
				b.forge(b.unsigned(tt.forged), b.builder)
				_, err := Open(b.folder())
				must(t, err)
				var broken *CorruptError
				if _, err := Open(b.folder(), visit()); !errors.As(err, &broken) || !strings.Contains(err.Error(), "signature of key ci-adversary") {
					t.Errorf("%v", err)
				}
			})
		}
	}
}
