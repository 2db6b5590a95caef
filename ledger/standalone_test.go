package ledger

import (
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// A review that was handed on alone proves itself, among entries of other
// phases, and no byte of its blocks, gaps or checkpoint can be changed.
func TestReviewAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 13 {
		phase := []string{"mailu", "notes", "other"}[i*i%3]
		b.append(b.adversary, Content{Kind: Orientation, Phase: phase, Prose: "x"})
	}
	nb := &bench{t: t}
	nb.key(Adversary, "third-adversary")
	b.append(b.adversary, Content{Kind: PolicyKind, Keys: append(nb.keys, b.keys...)})
	b.append(b.builder, claim("done"))
	l, err := Open(b.folder())
	must(t, err)
	trust, err := l.Trust()
	must(t, err)
	for _, phase := range l.Phases() {
		text := b.read(reviewName(phase))
		_, err := VerifyReview([]byte(text), trust)
		must(t, err)
		if phase != "mailu" {
			continue
		}
		from := strings.Index(text, "\n## E")
		for i := from + 1; i < len(text); i++ {
			if i > strings.Index(text, footer) && i < strings.LastIndex(text, "\n\n```\n") {
				continue // words
			}
			bad := []byte(text)
			bad[i] ^= 1
			if _, err := VerifyReview(bad, trust); err == nil {
				t.Fatalf("%s: byte %d (%q) can be changed", phase, i, text[i])
			}
		}
	}
	other := trust
	other.Digest = "sha256:" + strings.Repeat("0", 64)
	if _, err := VerifyReview([]byte(b.read("REVIEW-mailu.md")), other); err == nil {
		t.Error("a review of a ledger that is not trusted")
	}
}

// A review alone is not taken in by an entry that the ledger would refuse, in a
// rendering that is right otherwise: signed for by a builder.
func TestReviewAloneForged(t *testing.T) {
	t.Parallel()
	for want, raw := range map[string]func(*bench) []byte{
		"signature of key ci-adversary": func(b *bench) []byte { return b.unsigned(verdict(Pass)) },
		"can't sign a verdict":          func(b *bench) []byte { return b.entry(b.builder, verdict(Pass)) },
	} {
		b := newBench(t)
		b.append(b.builder, claim("done"))
		l, err := Open(b.folder())
		must(t, err)
		trust, err := l.Trust()
		must(t, err)
		forged := raw(b)
		b.forge(forged, b.builder)
		e, err := Parse(forged)
		must(t, err)
		must(t, l.add(e, tlog.RecordHash(forged)))
		text, err := l.review("mailu", 3)
		must(t, err)
		if _, err := VerifyReview(text, trust); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
