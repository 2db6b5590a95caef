package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
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

// people are the same in all tests: what they sign twice is signed alike, and
// the verifier in Python has to do its sums only once.
var people = sync.OnceValues(func() (secrets, publics [3]string) {
	for i, name := range []string{"ci-adversary", "ci-builder", "second-adversary"} {
		var err error
		if secrets[i], publics[i], err = NewKey(rand.Reader, name); err != nil {
			panic(err)
		}
	}
	return secrets, publics
})

// newBench makes a ledger with two adversaries and a builder. It is not on a
// disk: these tests are about what is in it.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, dir: filepath.Join(inMemory(t), "ledger"), now: time.Date(2026, 6, 11, 17, 59, 0, 0, time.UTC)}
	secrets, publics := people()
	for i, key := range []**Signer{&b.adversary, &b.builder, &b.second} {
		var err error
		*key, err = ReadSigner(secrets[i])
		must(t, err)
		b.keys = append(b.keys, Key{[]Role{Adversary, Builder, Adversary}[i], publics[i]})
	}
	d, err := MakeDir(b.dir)
	must(t, err)
	defer d.Close()
	_, err = Init(d, origin, b.keys, b.id("init"), b.adversary, b.now)
	must(t, err)
	return b
}

// inMemory is a folder that no disk waits for.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "ccci-ledger-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
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

// has tells whether an entry with the id is in a ledger.
func has(l *Ledger, id string) bool {
	_, e, err := l.find(id)
	return e != nil && err == nil
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

// suiteSource is a suite in another repository.
func suiteSource() SuiteSource {
	return SuiteSource{SuiteRepo: "git.example.org:3000/coop-cloud/suites", SuiteHead: strings.Repeat("a", 40), SuiteBase: strings.Repeat("b", 40)}
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

// A slow folder waits with what comes late.
type slowFolder struct {
	Folder
	from    string
	late    chan struct{}
	reading atomic.Int64
}

func (f *slowFolder) Read(name string) ([]byte, error) {
	f.reading.Add(1)
	defer f.reading.Add(-1)
	if path.Dir(name) == entriesDir && name >= f.from {
		<-f.late
	}
	return f.Folder.Read(name)
}

// More entries than are read at a time, by several goroutines: they are seen
// in order, the first that is wrong is named, and after an error none is seen.
func TestManyEntries(t *testing.T) {
	t.Parallel()
	const n = 5*batch + 3
	b, l := grow(t, inMemory(t), n)
	f := l.folder
	var seen []int64
	visit := func(e *Entry, _ []byte, _ *Policy) error { seen = append(seen, e.Index); return nil }
	_, stale, err := Verify(f, visit)
	must(t, err)
	if len(seen) != n || !slices.IsSorted(seen) || len(stale) != 0 {
		t.Errorf("seen %d, stale %d", len(seen), len(stale))
	}
	b.remove("REVIEW-p1.md")
	b.remove("REVIEW-p4.md")
	if _, stale, err = Verify(f); err != nil || !slices.Equal(stale, []string{"REVIEW-p1.md", "REVIEW-p4.md"}) {
		t.Errorf("stale %v, %v", stale, err)
	}
	for _, phase := range l.Phases() {
		_, err := l.Render(phase)
		must(t, err)
	}

	seen = nil
	enough := errors.New("enough")
	slow := &slowFolder{Folder: f, from: entryName(3 * batch), late: make(chan struct{})}
	_, err = Open(slow, visit, func(e *Entry, _ []byte, _ *Policy) error {
		if e.Index == 2*batch+1 {
			close(slow.late)
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || len(seen) != 2*batch+2 {
		t.Errorf("%v after %d entries", err, len(seen))
	}
	if n := slow.reading.Load(); n != 0 {
		t.Errorf("%d files are still being read, of a folder that may be closed", n)
	}

	note := b.read(checkpointName(2*batch + 7))
	b.write(checkpointName(2*batch+7), b.read(checkpointName(2*batch+8)))
	if _, err := Open(f); err != nil {
		t.Errorf("opening looks at an old checkpoint: %v", err)
	}
	var broken *CorruptError
	if _, _, err := Verify(f); !errors.As(err, &broken) || broken.Where != checkpointName(2*batch+7) {
		t.Errorf("an old checkpoint: %v", err)
	}
	b.write(checkpointName(2*batch+7), note)
	for _, i := range []int64{n - 1, 4 * batch, 70} {
		b.write(entryName(i), strings.Replace(b.read(entryName(i)), "wipe", "wash", 1))
		if _, err := Open(f); !errors.As(err, &broken) || !slices.Contains([]string{entryName(i + 1), checkpointName(n)}, broken.Where) {
			t.Errorf("entry %d: %v", i, err)
		}
		if _, _, err := Verify(f); !errors.As(err, &broken) || broken.Where != entryName(i) {
			t.Errorf("entry %d, verified: %v", i, err)
		}
	}
}

// Findings are listed as they stand: a verdict closes one, and opens it again
// when it is retracted.
func TestBacklog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.seed()
	if backlog := b.read("BACKLOG-mailu.md"); !strings.Contains(backlog, "\n## Open\n\nNone.\n\n## Closed\n\n### ADV-mailu-01 · M1 · opened by E000003 2026-06-11T20:59Z · closed by E000005 2026-06-11T21:01Z\n\n> no test looks") {
		t.Errorf("%s", backlog)
	}
	b.append(b.adversary, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000005"})
	if backlog := b.read("BACKLOG-mailu.md"); !strings.Contains(backlog, "\n## Open\n\n### ADV-mailu-01 · M1 · opened by E000003 2026-06-11T20:59Z\n") || !strings.Contains(backlog, "\n## Closed\n\nNone.\n") {
		t.Errorf("what closed it was retracted:\n%s", backlog)
	}
	disagrees(t, b, false)
}

// A key that signs something else than it was given does not come into the
// ledger, neither under an entry nor under a checkpoint.
func TestBrokenSigner(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"## E", origin} {
		b := newBench(t)
		before := b.read(checkpointName(1))
		key := &Signer{garbling{b.adversary, what}}
		if _, err := b.tryAppend(key, verdict(Pass)); err == nil || !strings.Contains(err.Error(), "signature") {
			t.Errorf("%s: %v", what, err)
		}
		l, err := Open(b.folder())
		must(t, err)
		if l.Checkpoint().Size != 1 || b.read(checkpointName(1)) != before || l.Claimed() != (what == origin) {
			t.Errorf("%s: size %d, claimed %v", what, l.Checkpoint().Size, l.Claimed())
		}
		b.append(b.adversary, Content{Kind: Orientation, Phase: "mailu", Prose: "on"}) // and the ledger can be written on
		must(t, b.verify())
	}
}

// A garbling signer turns a bit in signatures of texts that begin with what.
type garbling struct {
	note.Signer
	what string
}

func (g garbling) Sign(text []byte) ([]byte, error) {
	sig, err := g.Signer.Sign(text)
	if strings.HasPrefix(string(text), g.what) {
		sig[7] ^= 1
	}
	return sig, err
}

func TestSeed(t *testing.T) {
	t.Parallel()
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
