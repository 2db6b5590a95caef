package runner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/sync/errgroup"
)

// A tracked probe knows the tokens that were seeded, and so must come back.
type tracked struct {
	Probe
	slug   string
	tokens []string
}

// newToken makes a value that nothing else holds: letters and digits alone, a
// letter first, so that it fits into names, addresses and patterns.
func newToken() string {
	const letters, all = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789"
	b := []byte{pick(letters)}
	for len(b) < 12 {
		b = append(b, pick(all))
	}
	return string(b)
}

func pick(from string) byte {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(from))))
	if err != nil {
		panic("crypto/rand: " + err.Error()) // documented never to happen
	}
	return from[n.Int64()]
}

func (x *exerciser) token(t string) vars { return x.vars.with("TOKEN", t) }

// asError turns a reply into what a test makes of it, if holding was wanted.
func (r reply) asError() error {
	switch {
	case r.answer == holds:
		return nil
	case r.infra != nil:
		return r.infra
	default:
		return fmt.Errorf("%s: %s", r.answer, r.reason)
	}
}

// cause is why something could not be done.
func (r reply) cause() error {
	if r.infra != nil {
		return r.infra
	}
	return errors.New(r.reason)
}

// seed writes a new piece of data and sees it there. Whatever goes wrong is
// unver: nothing can be proven of data that never was.
func (x *exerciser) seed(ctx context.Context, p *tracked) error {
	token := newToken()
	fmt.Fprintf(StepLog(ctx), "# seed %s with token %s\n", p.Name, token)
	if r := x.do(ctx, p.Seed, x.token(token)); r.answer != holds {
		return unver("could not seed: %w", r.cause())
	}
	if r := x.holdsWithin(ctx, p.Check, x.token(token)); r.answer != holds {
		return unver("seeded, but the check does not see it: %w", r.asError())
	}
	p.tokens = append(p.tokens, token)
	return nil
}

// each asks for every token that was seeded, some at the same time. The replies
// are in the order of seeding.
func (x *exerciser) each(p *tracked, ask func(vars) reply) []reply {
	replies := make([]reply, len(p.tokens))
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i, token := range p.tokens {
		all.Go(func() error {
			replies[i] = ask(x.token(token))
			return nil
		})
	}
	_ = all.Wait() // what went wrong is in the replies
	return replies
}

// present asks for every token that was seeded: all must be there.
func (x *exerciser) present(ctx context.Context, p *tracked) reply {
	for i, r := range x.each(p, func(v vars) reply { return x.holdsWithin(ctx, p.Check, v) }) {
		if r.answer != holds {
			r.reason = fmt.Sprintf("seeding %d of %d: %s", i+1, len(p.tokens), r.reason)
			return r
		}
	}
	return reply{answer: holds}
}

// absent asks for every token that was seeded: all must miss, asked twice.
func (x *exerciser) absent(ctx context.Context, p *tracked) error {
	for i, r := range x.each(p, func(v vars) reply { return x.missesWithin(ctx, p.Check, v) }) {
		switch {
		case r.infra != nil:
			return r.infra
		case r.answer == holds:
			return fmt.Errorf("%w for seeding %d of %d", errStillHolds, i+1, len(p.tokens))
		case r.answer == broken:
			return unver("the check of seeding %d of %d gives an error, which proves nothing: %s", i+1, len(p.tokens), r.reason)
		}
	}
	return nil
}

// errStillHolds is the answer of a check whose data was to be gone.
var errStillHolds = errors.New("the check still holds")

// blind tells whether a check holds for a token that was never seeded: it
// looks at something else than the data.
func (x *exerciser) blind(ctx context.Context, p *tracked) bool {
	return x.all(ctx, p.Check, x.token(newToken())).answer == holds
}

// A sighting says how much of a probe's data the app shows.
type sighting struct {
	green   bool // all of it
	missing bool // none of it: every token was asked for properly, and missed
	missed  bool // not all of it: a token was asked for properly, and missed
	reason  string
	infra   error
}

// look asks for every token as patiently as a check that should hold, so
// that data which comes late is not taken for missing.
func (x *exerciser) look(ctx context.Context, p *tracked) sighting {
	return x.see(p, func(v vars) reply { return x.holdsWithin(ctx, p.Check, v) })
}

// glance asks for every token once.
func (x *exerciser) glance(ctx context.Context, p *tracked) sighting {
	return x.see(p, func(v vars) reply { return x.all(ctx, p.Check, v) })
}

// see sums up what asking for each token came to.
func (x *exerciser) see(p *tracked, ask func(vars) reply) sighting {
	s := sighting{green: true, missing: true}
	for _, r := range x.each(p, ask) {
		s.green = s.green && r.answer == holds
		s.missing = s.missing && r.answer == misses
		s.missed = s.missed || r.answer == misses
		if r.answer != holds {
			s.reason = r.reason
		}
		if r.infra != nil {
			return sighting{reason: r.reason, infra: r.infra}
		}
	}
	if len(p.tokens) == 0 {
		return sighting{reason: "never seeded"}
	}
	return s
}

// wipe removes every piece that was seeded.
func (x *exerciser) wipe(ctx context.Context, p *tracked) error {
	for _, token := range slices.Backward(p.tokens) {
		if r := x.do(ctx, p.Wipe, x.token(token)); r.answer != holds {
			return unver("could not wipe: %w", r.cause())
		}
	}
	return nil
}
