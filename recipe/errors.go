package recipe

import (
	"fmt"
	"unicode"
)

// A HintError says what is wrong with what was asked for, and which command or
// edit helps.
type HintError struct {
	Err  error
	hint string
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// Hint is the next thing to do, as one line.
func (e *HintError) Hint() string { return e.hint }

func hinted(hint, format string, args ...any) error {
	return &HintError{Err: fmt.Errorf(format, args...), hint: hint}
}

// hasControl reports whether s holds what could steer a terminal or end a line.
func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Bidi_Control, r) {
			return true
		}
	}
	return false
}
