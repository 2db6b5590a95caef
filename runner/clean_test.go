package runner

import (
	"encoding/xml"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ name, in, line, lines string }{
		{"plain", "admin: 3/3 ✔ für œuvre 日本", "admin: 3/3 ✔ für œuvre 日本", "admin: 3/3 ✔ für œuvre 日本"},
		{"line ends", "a\r\nb\nc\td\re", `a\r\nb\nc\td\re`, "a\nb\nc\td\\re"},
		{"terminal sequence", "\x1b[2J\x1b]0;title\a", `\x1b[2J\x1b]0;title\x07`, `\x1b[2J\x1b]0;title\x07`},
		{"8-bit control", "\u009b31m", `\u009b31m`, `\u009b31m`},
		{"bidi", "user\u202etxt.exe\u2066", `user\u202etxt.exe\u2066`, `user\u202etxt.exe\u2066`},
		{"invisible", "a\u200bb\ufeffc\u00add", `a\u200bb\ufeffc\u00add`, `a\u200bb\ufeffc\u00add`},
		{"line separators", "a\u2028b\u0085c", `a\u2028b\u0085c`, `a\u2028b\u0085c`},
		{"no character", "\uffff\U000e0041\x00", `\uffff\U000e0041\x00`, `\uffff\U000e0041\x00`},
		{"not UTF-8", "a\xff\xc3(", `a\xff\xc3(`, `a\xff\xc3(`},
		{"replacement character", "\ufffd", "\ufffd", "\ufffd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Printable(tt.in); got != tt.line {
				t.Errorf("Printable = %q, want %q", got, tt.line)
			}
			if got := PrintableLines(tt.in); got != tt.lines {
				t.Errorf("PrintableLines = %q, want %q", got, tt.lines)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[31m\u202e\n\xff\ufffe")
	f.Fuzz(func(t *testing.T, s string) {
		got := Printable(s)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q holds %q", got, r)
			}
		}
		if !utf8.ValidString(got) || Printable(got) != got {
			t.Errorf("%q is not clean", got)
		}
		var back string
		var doc strings.Builder
		if err := xml.NewEncoder(&doc).Encode(PrintableLines(s)); err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal([]byte(doc.String()), &back); err != nil || back != PrintableLines(s) {
			t.Errorf("XML brings %q back as %q, %v", PrintableLines(s), back, err)
		}
	})
}
