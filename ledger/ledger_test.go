package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	headSHA  = "edc0201a79d36bc87696b0f93f1ee88ad7bd10ed"
	otherSHA = "edc0201a79d36bc87696b0f93f1ee88ad7bd10ee"
	origin   = "example.org/ledger"
)

// A bench is a ledger in a folder of its own, with its people.
type bench struct {
	t                          testing.TB
	dir                        string
	adversary, builder, second *Signer // second is another adversary
	keys                       []Key
	now                        time.Time
	n                          int // ids given out
}

// newBench makes a ledger with two adversaries and a builder.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "ledger"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
	b.adversary = b.key(Adversary, "ci-adversary")
	b.builder = b.key(Builder, "ci-builder")
	b.second = b.key(Adversary, "second-adversary")
	d, err := MakeDir(b.dir)
	must(t, err)
	defer d.Close()
	_, err = Init(d, origin, b.keys, b.id("init"), b.adversary, b.now)
	must(t, err)
	return b
}

func (b *bench) key(role Role, name string) *Signer {
	secret, public, err := NewKey(rand.Reader, name)
	must(b.t, err)
	b.keys = append(b.keys, Key{role, public})
	s, err := ReadSigner(secret)
	must(b.t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// id is an id for a name.
func (b *bench) id(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// folder opens the ledger's folder until the test ends.
func (b *bench) folder() *Dir {
	b.t.Helper()
	d, err := OpenDir(b.dir)
	must(b.t, err)
	b.t.Cleanup(func() { d.Close() })
	return d
}

// append appends with a fresh ledger, and gives the content an id if it has none.
func (b *bench) append(key *Signer, c Content) Receipt {
	b.t.Helper()
	r, err := b.tryAppend(key, c)
	if err != nil {
		b.t.Fatalf("append %s: %v", c.Kind, err)
	}
	return r
}

func (b *bench) tryAppend(key *Signer, c Content) (Receipt, error) {
	b.t.Helper()
	d, err := OpenDir(b.dir)
	must(b.t, err)
	defer d.Close()
	if c.ID == "" {
		b.n++
		c.ID = b.id(fmt.Sprint("entry ", b.n))
	}
	l, err := Open(d)
	if err != nil {
		return Receipt{}, err
	}
	return l.Append(c, key, b.now)
}

// mailu is what claims and verdicts of the seed speak of.
func mailu() Subject { return Subject{Repo: "coop-cloud/mailu", PR: 3, Head: headSHA} }

func claim(summary string) Content {
	return Content{Kind: Claim, Phase: "mailu", Claim: "M1", Subject: mailu(), Summary: summary}
}

// verdict is one from a full review.
func verdict(v Verdict) Content {
	return Content{Kind: VerdictKind, Phase: "mailu", Claim: "M1", Subject: mailu(), Verdict: v, Scope: Full,
		Checks: []Check{{Status: "pass", Text: "labels correct"}}}
}

func (b *bench) gate(q Question) Answer {
	b.t.Helper()
	a, err := b.tryGate(q)
	must(b.t, err)
	return a
}

func (b *bench) tryGate(q Question) (Answer, error) {
	b.t.Helper()
	d, err := OpenDir(b.dir)
	if err != nil {
		return Answer{}, err
	}
	defer d.Close()
	g := NewGate(q)
	l, err := Open(d, g.Visit)
	if err != nil {
		return Answer{}, err
	}
	return g.Answer(l), nil
}

func question() Question {
	return Question{Repo: "coop-cloud/mailu", PR: 3, Head: headSHA, Claim: "M1"}
}

// verify checks everything.
func (b *bench) verify() error {
	b.t.Helper()
	d, err := OpenDir(b.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	_, _, err = Verify(d)
	return err
}

func (b *bench) read(name string) string {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, name))
	must(b.t, err)
	return string(text)
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	must(b.t, os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644))
}

// The seed's review: a FAIL with its finding, a PASS after the fix, and a second PASS.
func (b *bench) seed() {
	b.append(b.adversary, Content{Kind: Orientation, Phase: "mailu", Prose: "Mailu compose.yml analyzed. Critical durable volumes:\n\n- `mailu:/data` on `admin`: SQLite\n- `mail:/mail` on `imap`: Maildir"})
	b.now = b.now.Add(3 * time.Hour)
	b.append(b.builder, claim("build #473 LEVEL 5 PASS, backup→wipe→restore on real seeded mail data proven."))
	f := verdict(Fail)
	f.Summary = "the test exercises only the SQLite /data volume; the Maildir /mail is NOT tested"
	f.Checks = append(f.Checks, Check{Status: "fail", Text: "every saved path has app proof", Detail: []string{"`imap:/mail`: none"}})
	f.Opened = []Finding{{Title: "no test looks whether mail comes back", Text: "Repro: if /mail was not restored, this test would still PASS.\n\nFix: seed a message."}}
	b.append(b.adversary, f)
	b.now = b.now.Add(2 * time.Minute)
	b.append(b.builder, claim("build #477 LEVEL 5 PASS, ADV-mailu-01 fix applied"))
	p := verdict(Pass)
	p.Closed = []string{"ADV-mailu-01"}
	b.append(b.adversary, p)
}

func TestSeed(t *testing.T) {
	b := newBench(t)
	b.seed()
	must(t, b.verify())
	if a := b.gate(question()); a.Verdict != Pass || a.Entry != "E000005" || a.Signer != "ci-adversary" || len(a.Open) != 0 {
		t.Errorf("%+v", a)
	}
	review := b.read("REVIEW-mailu.md")
	for _, want := range []string{"## E000003 · M1 · FAIL · 2026-06-11T20:59Z\n", "\nopened: ADV-mailu-01\n", "\n> - ✗ every saved path has app proof\n>   - `imap:/mail`: none\n"} {
		if !strings.Contains(review, want) {
			t.Errorf("no %q in\n%s", want, review)
		}
	}
}
