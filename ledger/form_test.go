package ledger

import (
	"regexp"
	"strings"
	"testing"
)

// Every form takes what it is for, and what is near that just as its pattern says.
func TestForms(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0a", 20)
	tests := []struct {
		form        form
		takes, nots []string
	}{
		{nameForm, []string{"a", strings.Repeat("a", 64)}, []string{"", "-a", strings.Repeat("a", 65), "a\n"}},
		{phaseForm, []string{"mailu", strings.Repeat("a", 40)}, []string{"", "Mailu", "a-", strings.Repeat("a", 41)}},
		{claimForm, []string{"M1", "M9999"}, []string{"M0", "m1", "M10000"}},
		{repoForm, []string{"coop-cloud/mailu", "git.example.org:3000/a/b/c"}, []string{"mailu", "a//b", "a/b/c/d/e", "a/" + strings.Repeat("b", 101)}},
		{commitForm, []string{hex, strings.Repeat("0", 64)}, []string{hex[1:], strings.ToUpper(hex)}},
		{digestForm, []string{"sha256:" + strings.Repeat("0", 64)}, []string{strings.Repeat("0", 64), "sha256:" + hex}},
		{wordForm, []string{"1.0.0+1", strings.Repeat("a", 128)}, []string{"a b", strings.Repeat("a", 129)}},
		{idForm, []string{hex[:32]}, []string{hex}},
		{entryForm, []string{"E000017"}, []string{"E17", "000017"}},
		{originForm, []string{"example.org/ledger", strings.Repeat("a", 127)}, []string{"A", strings.Repeat("a", 128)}},
	}
	for _, tt := range tests {
		pattern := regexp.MustCompile(tt.form.String())
		for _, s := range append(tt.takes, tt.nots...) {
			for _, near := range nearby(s) {
				if tt.form.MatchString(near) != pattern.MatchString(near) {
					t.Errorf("%s takes %q: %v", tt.form, near, !pattern.MatchString(near))
				}
			}
		}
		for _, s := range tt.takes {
			if !tt.form.MatchString(s) {
				t.Errorf("%s does not take %q", tt.form, s)
			}
		}
		for _, s := range tt.nots {
			if tt.form.MatchString(s) {
				t.Errorf("%s takes %q", tt.form, s)
			}
		}
		if s := tt.form.String(); !strings.HasPrefix(s, "^") || !strings.HasSuffix(s, "$") {
			t.Errorf("%q is not about the whole text", s)
		}
	}
}

// nearby are texts that differ from s in one place, and s.
func nearby(s string) []string {
	list := []string{s, s + s, s + "/" + s, s + "\n"}
	for i := range len(s) + 1 {
		for _, c := range []string{"0", "1", "9", "a", "f", "g", "z", "A", "M", "Z", ".", ":", "_", "/", "+", "-", " ", "\n", "é", "\xff"} {
			list = append(list, s[:i]+c+s[i:])
			if i < len(s) {
				list = append(list, s[:i]+c+s[i+1:])
			}
		}
		if i < len(s) {
			list = append(list, s[:i]+s[i+1:])
		}
	}
	return list
}

// What may stand before the text of a line.
func TestLineStart(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`^(?: |>|[-*+] |[0-9]{1,9}[.)] )*`)
	for _, s := range []string{"", "x", "- x", "* + > x", " 1. x", "123456789) - x", "1234567890. x", "-", "1.", "1", "> > 12. * y"} {
		for _, near := range nearby(s) {
			if n, want := lineStart(near), len(pattern.FindString(near)); n != want {
				t.Errorf("%q: %d, want %d", near, n, want)
			}
		}
	}
}

// What is harmless without a closer look stays what it is when one is taken.
func TestHarmless(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "a b", "a\nb", "a\n\nb", " a", "é"} {
		for _, near := range nearby(s) {
			if looked := neutralLines(near); harmless(near) && looked != near {
				t.Errorf("%q is %q", near, looked)
			}
		}
	}
}
