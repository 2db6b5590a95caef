package recipe

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
)

// A SecretSpec is what is known of one secret before it has a value.
type SecretSpec struct {
	Name     string // as the compose files call it
	FullName string // as Docker knows it: <stack>_<name>_<version>
	Variable string // SECRET_<X>_VERSION; "" if the version is written out
	Length   int    // characters
	Charset  string // as in .env.sample; "" is the default: letters and digits
	Generate bool   // false: somebody has to bring the value (# generate=false)
}

// DefaultLength is how long a secret becomes whose sample does not say, in
// characters. Maximum is what `length=` may ask for.
const (
	DefaultLength = 32
	maxLength     = 4096
)

var secretVariable = regexp.MustCompile(`^SECRET_[A-Z0-9_]+_VERSION$`)

// SecretSpecs lists the secrets that have to exist before the stack can be
// deployed, sorted by name: every external one of the stack's own, named
// ${STACK_NAME}_<name>_${SECRET_<X>_VERSION}. Length, charset and whether
// it is generated at all come from the comment on the variable's line in the
// app's env (# length=12 charset=hex generate=false). External secrets of
// other stacks are not listed: Refusals has them.
func SecretSpecs(stack *labels.Stack, app *labels.Env) ([]SecretSpec, error) {
	if stack.Compose == nil {
		return nil, nil
	}
	var specs []SecretSpec
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(stack.Compose.Secrets)) {
		s := stack.Compose.Secrets[key]
		if !s.External.External || !strings.HasPrefix(s.Name, stack.Name+"_") {
			continue
		}
		spec, err := secretSpec(stack, app, key, s.Name)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %q: %w", key, err))
			continue
		}
		specs = append(specs, spec)
	}
	return specs, errors.Join(errs...)
}

func secretSpec(stack *labels.Stack, app *labels.Env, key, fullName string) (SecretSpec, error) {
	spec := SecretSpec{Name: key, FullName: fullName, Length: DefaultLength, Generate: true}
	spec.Variable = versionVariable(stack, key)
	if strings.HasSuffix(fullName, "_") || spec.Variable != "" && stack.Env[spec.Variable] == "" {
		variable := spec.Variable
		if variable == "" {
			variable = "SECRET_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_")) + "_VERSION"
		}
		return spec, hinted(variable+"=v1 in .env.sample", "its name %q lacks a version: %s has no value", fullName, variable)
	}
	if spec.Variable == "" {
		return spec, nil
	}
	if err := spec.modify(app.Comment(spec.Variable)); err != nil {
		return spec, fmt.Errorf("comment on %s: %w", spec.Variable, err)
	}
	return spec, nil
}

// versionVariable is the variable that versions a secret's name.
func versionVariable(stack *labels.Stack, key string) string {
	for _, u := range stack.Uses {
		named := u.Key == "secrets."+key+".name" || u.Key == "secrets."+key+".external.name"
		if named && secretVariable.MatchString(u.Variable) {
			return u.Variable
		}
	}
	return ""
}

// modify reads "length=12 charset=hex generate=false" out of a comment; other words are prose.
func (s *SecretSpec) modify(comment string) error {
	for _, word := range strings.Fields(comment) {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		switch key {
		case "length":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > maxLength {
				return fmt.Errorf("length=%q is no number from 1 to %d", value, maxLength)
			}
			s.Length = n
		case "charset":
			if _, err := alphabet(value); err != nil {
				return err
			}
			s.Charset = value
		case "generate":
			b, err := strconv.ParseBool(value)
			if err != nil {
				return fmt.Errorf("generate=%q is neither true nor false", value)
			}
			s.Generate = b
		}
	}
	return nil
}

const (
	digits  = "0123456789"
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	special = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

var alphabets = map[string]string{
	"":             lower + upper + digits,
	"default":      lower + upper + digits,
	"alnum":        lower + upper + digits,
	"alphanumeric": lower + upper + digits,
	"alpha":        lower + upper,
	"numeric":      digits,
	"digits":       digits,
	"hex":          digits + "abcdef",
	"special":      special,
	"safespecial":  "!@#%^&*_-+=",
	"base64":       lower + upper + digits + "+/",
	"base64url":    lower + upper + digits + "-_",
}

// alphabet is the characters of a charset, each once; "default,special" is both.
func alphabet(charset string) (string, error) {
	var all string
	for _, name := range strings.Split(strings.ToLower(charset), ",") {
		chars, ok := alphabets[name]
		if !ok {
			known := slices.Sorted(maps.Keys(alphabets))
			return "", hinted("known charsets: "+strings.Join(known[1:], ", "), "charset=%q is unknown", name)
		}
		for _, c := range chars {
			if !strings.ContainsRune(all, c) {
				all += string(c)
			}
		}
	}
	return all, nil
}

// A NotGeneratedError is about a secret whose sample says generate=false: its
// value has to come from outside, an API key for instance.
type NotGeneratedError struct{ Name, Variable string }

func (e *NotGeneratedError) Error() string {
	return fmt.Sprintf("secret %q is not generated: .env.sample says generate=false on %s", e.Name, e.Variable)
}

// Hint is what to do about it.
func (e *NotGeneratedError) Hint() string {
	return fmt.Sprintf("give secret %q a value in the suite", e.Name)
}

// Generate makes up a value: Length characters, each of the charset's with
// the same probability. A nil random is crypto/rand's. The error of a secret that
// is not to be generated is a *NotGeneratedError.
func Generate(spec SecretSpec, random io.Reader) (string, error) {
	if !spec.Generate {
		return "", &NotGeneratedError{Name: spec.Name, Variable: spec.Variable}
	}
	if random == nil {
		random = rand.Reader
	}
	chars, err := alphabet(spec.Charset)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", spec.Name, err)
	}
	value := make([]byte, 0, spec.Length)
	fair := byte(256/len(chars)*len(chars) - 1) // a higher byte would favour the first characters
	var b [1]byte
	for len(value) < spec.Length {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("secret %q: %w", spec.Name, err)
		}
		if b[0] <= fair {
			value = append(value, chars[int(b[0])%len(chars)])
		}
	}
	return string(value), nil
}
