package ledger

import (
	"strings"
	"testing"
)

// Every form is well-formed, as it is compiled late, takes what it is for and says what it is.
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
