package runner

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"slices"
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

// A log is made printable the same way in however many writes it comes.
func TestCleanerInParts(t *testing.T) {
	for _, text := range []string{"plain\n\tlines\n", "\x1b[31mrød\x1b[0m\r\n", "\r\r\n\r", "😀\xf0\x9f\x98", "\xe2\x82", "a\xffb\u202e"} {
		for size := 1; size <= len(text); size++ {
			if got := cleaned(t, text, size); got != PrintableLines(text) {
				t.Errorf("%q in writes of %d: %q, want %q", text, size, got, PrintableLines(text))
			}
		}
	}
}

func cleaned(t *testing.T, text string, size int) string {
	t.Helper()
	var out nopCloser
	w := &cleaner{dst: &out}
	for chunk := range slices.Chunk([]byte(text), size) {
		if n, err := w.Write(chunk); n != len(chunk) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

type nopCloser struct{ strings.Builder }

func (*nopCloser) Close() error { return nil }

func TestEncodeJSON(t *testing.T) {
	in := map[string]string{"k\u202e\u009b": "<a&b> \x1b[2J \x7f\u009b \u2066 \U000e0041 \ufeff😀é\"\\"}
	var b bytes.Buffer
	if err := EncodeJSON(&b, in); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); PrintableLines(got) != got || !strings.Contains(got, "<a&b>") || !strings.Contains(got, "😀é") {
		t.Errorf("got %q", got)
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || !maps.Equal(back, in) {
		t.Errorf("read back: %q, %v", back, err)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[31m\u202e\n\xff\ufffe", uint8(2))
	f.Add("\r\r\n\xf0\x9f", uint8(1))
	f.Fuzz(func(t *testing.T, s string, size uint8) {
		if got := cleaned(t, s, max(1, int(size))); got != PrintableLines(s) {
			t.Errorf("%q in writes of %d: %q", s, size, got)
		}
		var plain bytes.Buffer
		if err := EncodeJSON(&plain, s); err != nil || PrintableLines(plain.String()) != plain.String() {
			t.Errorf("JSON of %q: %q, %v", s, plain.String(), err)
		}
		var decoded string
		if err := json.Unmarshal(plain.Bytes(), &decoded); err != nil || decoded != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("JSON brings %q back as %q, %v", s, decoded, err)
		}
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
