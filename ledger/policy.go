package ledger

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Role is what a key may do.
type Role string

// The roles.
const (
	Adversary Role = "adversary" // verdicts, orientation, policies
	Builder   Role = "builder"   // claims
)

// A Key is a public key with its role.
type Key struct {
	Role   Role   `json:"role"`
	Public string `json:"public"` // as note.NewVerifier reads it: name+hash+base64
}

// Name is the key's name.
func (k Key) Name() string { name, _, _ := strings.Cut(k.Public, "+"); return name }

// A Policy says who may do what, from the entry that holds it to the next one.
type Policy struct {
	Keys      []Key
	verifiers note.Verifiers
	byID      map[keyID]Role
}

type keyID struct {
	name string
	hash uint32
}

// newPolicy checks a list of keys.
func newPolicy(keys []Key) (*Policy, error) {
	p := &Policy{Keys: keys, byID: map[keyID]Role{}}
	names, publics := map[string]bool{}, map[string]bool{}
	var list []note.Verifier
	adversary := false
	for _, k := range keys {
		v, err := note.NewVerifier(k.Public)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", k.Public, err)
		}
		_, material, _ := strings.Cut(strings.TrimPrefix(k.Public, v.Name()+"+"), "+")
		switch {
		case k.Role != Adversary && k.Role != Builder:
			return nil, fmt.Errorf("key %s has the unknown role %q", v.Name(), k.Role)
		case names[v.Name()]:
			return nil, fmt.Errorf("two keys are called %s", v.Name())
		case publics[material]:
			return nil, fmt.Errorf("key %s is in the policy twice: nobody is builder and adversary", v.Name())
		case !nameForm.MatchString(v.Name()):
			return nil, fmt.Errorf("key name %q is not of letters, digits, dots and dashes", v.Name())
		}
		adversary = adversary || k.Role == Adversary
		names[v.Name()], publics[material] = true, true
		p.byID[keyID{v.Name(), v.KeyHash()}] = k.Role
		list = append(list, v)
	}
	if !adversary {
		return nil, errors.New("a policy needs an adversary: nobody else can make a verdict count")
	}
	p.verifiers = note.VerifierList(list...)
	return p, nil
}

// may tells whether the role may sign an entry of the kind. Retractions are
// bound to the key of what they retract besides.
func (r Role) may(k Kind) bool {
	switch k {
	case PolicyKind, VerdictKind, Orientation:
		return r == Adversary
	case Claim:
		return r == Builder
	case Response, Retract:
		return r == Builder || r == Adversary
	}
	return false
}

// May tells whether a key may sign an entry of the kind.
func (p *Policy) May(s *Signer, k Kind) bool {
	return p.byID[keyID{s.Name(), s.KeyHash()}].may(k)
}

// Names lists the keys that have the role.
func (p *Policy) Names(r Role) (names []string) {
	for _, k := range p.Keys {
		if k.Role == r {
			names = append(names, k.Name())
		}
	}
	slices.Sort(names)
	return names
}

// A Signer is a private key of the ledger.
type Signer struct{ note.Signer }

// NewKey makes a key. The text of secret belongs into a file that only its
// owner reads.
func NewKey(random io.Reader, name string) (secret, public string, err error) {
	if !nameForm.MatchString(name) {
		return "", "", fmt.Errorf("key name %q is not of letters, digits, dots and dashes", name)
	}
	return note.GenerateKey(random, name)
}

// ReadSigner reads the text of a private key. Its errors don't repeat it.
func ReadSigner(secret string) (*Signer, error) {
	s, err := note.NewSigner(strings.TrimSuffix(secret, "\n"))
	if err != nil {
		return nil, errors.New("this is no private key of a ledger")
	}
	return &Signer{s}, nil
}
