package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const hostileSecret = `p<ä/"w+ &=%😀`

func vaultOf(t testing.TB, secrets ...string) *Vault {
	t.Helper()
	v := NewVault()
	for i := 0; i < len(secrets); i += 2 {
		if !v.Add(secrets[i], secrets[i+1]) {
			t.Fatalf("Add(%q, …) = false", secrets[i])
		}
	}
	return v
}

func TestVaultFindsEveryForm(t *testing.T) {
	asJSON, err := json.Marshal(hostileSecret)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, text, form string }{
		{"plain", hostileSecret, "plain"},
		{"base64", base64.StdEncoding.EncodeToString([]byte(hostileSecret)), "base64"},
		{"base64 after one byte", base64.StdEncoding.EncodeToString([]byte(":" + hostileSecret + "!")), "base64"},
		{"base64 after two bytes", base64.StdEncoding.EncodeToString([]byte("u:" + hostileSecret + "--")), "base64"},
		{"base64 after many bytes", base64.StdEncoding.EncodeToString([]byte("user:" + hostileSecret)), "base64"},
		{"URL base64", base64.URLEncoding.EncodeToString([]byte(hostileSecret)), "base64"},
		{"hex", hex.EncodeToString([]byte(hostileSecret)), "hex"},
		{"upper hex", fmt.Sprintf("%X", hostileSecret), "hex"},
		{"query", url.QueryEscape(hostileSecret), "url"},
		{"path", url.PathEscape(hostileSecret), "url"},
		{"lower-case digits", `p%3c%c3%a4%2f%22w%2b%20%26%3d%25%f0%9f%98%80`, "url"},
		{"python quote", `p%3C%C3%A4/%22w%2B%20%26%3D%25%F0%9F%98%80`, "url"},
		{"json", string(asJSON), "json"},
		{"json for browsers alone", `"p<ä/\"w+ &=%😀"`, "json"},
		{"ascii json", `"p<\u00e4/\"w+ &=%\ud83d\ude00"`, "json"},
		{"php json", `"p<\u00e4\/\"w+ &=%\ud83d\ude00"`, "json"},
		{"html", `p&lt;ä/&#34;w+ &amp;=%😀`, "html"},
	}
	v := vaultOf(t, "db", hostileSecret, "other", "completely-different")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff([]Leak{{"db", tt.form}}, v.Find("before "+tt.text+" after")); diff != "" {
				t.Errorf("Find (-want +got):\n%s", diff)
			}
			got := v.Redact("before " + tt.text + " after")
			if !strings.Contains(got, "[redacted:db]") || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("Redact = %q", got)
			}
		})
	}
	if got := v.Find("p<ä/w+ nothing of a secret"); got != nil {
		t.Errorf("Find in harmless text = %v", got)
	}
}

func TestVaultFindsQuotes(t *testing.T) {
	const value = `it's \ "so"`
	v := vaultOf(t, "db", value)
	for name, text := range map[string]string{
		"shell": `'it'\''s \ "so"'`, "yaml or sql": `'it''s \ "so"'`, "mysql": `'it\'s \\ "so"'`, "backslash alone": `'it\'s \ "so"'`,
	} {
		if diff := cmp.Diff([]Leak{{"db", "quoted"}}, v.Find(text)); diff != "" {
			t.Errorf("%s: Find (-want +got):\n%s", name, diff)
		}
	}
	if got := v.Find(fmt.Sprintf("%q", value)); len(got) != 1 {
		t.Errorf("Go: Find = %v", got)
	}
}

func TestVaultRedacts(t *testing.T) {
	tests := []struct {
		name    string
		secrets []string
		in      string
		want    string
		seen    []Leak
	}{
		{"nothing known", nil, "s3cret-value", "s3cret-value", nil},
		{"in the middle", []string{"a", "s3cret-value"}, "x s3cret-value y", "x [redacted:a] y", []Leak{{"a", "plain"}}},
		{"alone", []string{"a", "s3cret-value"}, "s3cret-value", "[redacted:a]", []Leak{{"a", "plain"}}},
		{"twice, touching", []string{"a", "s3cret"}, "s3crets3cret", "[redacted:a][redacted:a]", []Leak{{"a", "plain"}}},
		{"overlapping itself", []string{"a", "abcabc"}, "-abcabcabc-", "-[redacted:a]-", []Leak{{"a", "plain"}}},
		{"overlapping another", []string{"a", "hello-12", "b", "12-world"}, "<hello-12-world>", "<[redacted:a]>", []Leak{{"a", "plain"}, {"b", "plain"}}},
		{"one inside another", []string{"short", "secret", "long", "my-secret-value"}, "my-secret-value secret", "[redacted:long] [redacted:short]", []Leak{{"long", "plain"}, {"short", "plain"}}},
		{"a beginning of another", []string{"short", "secret", "long", "secret-value"}, "secret-value secret-val", "[redacted:long] [redacted:short]-val", []Leak{{"long", "plain"}, {"short", "plain"}}},
		{"a beginning at the end", []string{"a", "s3cret-value"}, "x s3cret-valu", "x s3cret-valu", nil},
		{"same value twice", []string{"a", "s3cret", "b", "s3cret"}, "s3cret", "[redacted:a]", []Leak{{"a", "plain"}, {"b", "plain"}}},
		{"hostile name", []string{"\x1b[2J\"é\\", "s3cret"}, "s3cret", "[redacted:__2J___]", []Leak{{"__2J___", "plain"}}},
		{"line end around the value", []string{"a", "s3cret\n"}, "s3cret,", "[redacted:a],", []Leak{{"a", "plain"}}},
		{"longer than a window can be", []string{"a", strings.Repeat("long-", 200)}, "x" + strings.Repeat("long-", 200) + "y", "x[redacted:a]y", []Leak{{"a", "plain"}}},
		{"not UTF-8", []string{"a", "\xff\xfe\xfd\xfc\xfb\xfa"}, `"\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd" ` + "\xff\xfe\xfd\xfc\xfb\xfa", `"\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd" [redacted:a]`, []Leak{{"a", "plain"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := vaultOf(t, tt.secrets...)
			for _, size := range []int{1, 2, 7, 1 << 20} {
				out, seen := throughWriter(t, v, tt.in, size)
				if out != tt.want {
					t.Errorf("in writes of %d: %q, want %q", size, out, tt.want)
				}
				slices.SortFunc(seen, func(a, b Leak) int { return strings.Compare(a.Name, b.Name) })
				if diff := cmp.Diff(tt.seen, seen); diff != "" {
					t.Errorf("in writes of %d, seen (-want +got):\n%s", size, diff)
				}
			}
			if got := v.Redact(tt.in); got != tt.want {
				t.Errorf("Redact = %q, want %q", got, tt.want)
			}
		})
	}
}

// throughWriter sends text through a vault's writer in writes of size bytes.
func throughWriter(t testing.TB, v *Vault, text string, size int) (string, []Leak) {
	t.Helper()
	var out bytes.Buffer
	var seen []Leak
	w := v.Writer(&out, func(name, form string) { seen = append(seen, Leak{name, form}) })
	for chunk := range slices.Chunk([]byte(text), size) {
		if n, err := w.Write(chunk); n != len(chunk) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String(), seen
}

func TestVaultRefusesShortValues(t *testing.T) {
	v := NewVault()
	if v.Add("pin", "12345") || v.Add("pin", "12345\n\n") {
		t.Error("Add accepted a value of 5 bytes")
	}
	if got := v.Redact("12345"); got != "12345" {
		t.Errorf("Redact = %q", got)
	}
}

func TestWriterHoldsBackOnlyWhatMayBeASecret(t *testing.T) {
	v := vaultOf(t, "a", "s3cret-value")
	var out bytes.Buffer
	w := v.Writer(&out, nil)
	for _, step := range []struct{ write, want string }{
		{"a line\n", "a line\n"},
		{"x s3cr", "a line\nx "},
		{"et and", "a line\nx s3cret and"},
		{" s3cret-valu", "a line\nx s3cret and "},
		{"e", "a line\nx s3cret and [redacted:a]"},
	} {
		fmt.Fprint(w, step.write)
		if out.String() != step.want {
			t.Errorf("after %q: %q, want %q", step.write, out.String(), step.want)
		}
	}
}

func TestWriterSearchesValuesAddedLater(t *testing.T) {
	v := NewVault()
	var out bytes.Buffer
	w := v.Writer(&out, nil)
	fmt.Fprint(w, "new-secret ")
	v.Add("a", "new-secret")
	fmt.Fprint(w, "new-secret")
	w.Close()
	if want := "new-secret [redacted:a]"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return 0, errors.New("disk full")
	}
	d.room -= len(p)
	return len(p), nil
}

func TestWriterReportsErrors(t *testing.T) {
	v := vaultOf(t, "a", "s3cret-value")
	w := v.Writer(&fullDisk{room: redactChunk}, nil)
	n, err := w.Write(make([]byte, 3*redactChunk))
	if n != redactChunk || err == nil {
		t.Errorf("Write = %d, %v, want %d and an error", n, err, redactChunk)
	}
	if err := w.Close(); err == nil {
		t.Error("Close forgot the error")
	}
}

func TestVaultConcurrently(t *testing.T) {
	v := vaultOf(t, "a", "s3cret-value")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			v.Add(fmt.Sprint("n", i), fmt.Sprint("another-value-", i))
			for range 50 {
				if got := v.Redact("x s3cret-value y"); got != "x [redacted:a] y" {
					t.Errorf("Redact = %q", got)
				}
			}
		})
	}
	wg.Wait()
}

// redactSlowly says what redaction means, byte by byte: every byte of every
// occurrence of a pattern goes; a mark stands where one begins that does not
// overlap one before it.
func redactSlowly(patterns []pattern, s string) string {
	var out strings.Builder
	hidden := 0
	for i := range len(s) {
		var longest pattern
		for _, p := range patterns {
			if strings.HasPrefix(s[i:], p.text) && len(p.text) > len(longest.text) {
				longest = p
			}
		}
		if longest.text != "" && i >= hidden {
			out.WriteString("[redacted:" + longest.leak.Name + "]")
		}
		if hidden = max(hidden, i+len(longest.text)); i >= hidden {
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

func FuzzRedact(f *testing.F) {
	f.Add("s3cret-value", "secret", "s3cret-values3cret-value my-secret", uint8(3))
	f.Add("aaaaaa", "aaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaab", uint8(1))
	f.Add("abcabcab", "cabcabca", "abcabcabcabcabcab", uint8(5))
	f.Add(hostileSecret, "\xff\xfe\xfd\xfc\xfb\xfa", url.QueryEscape(hostileSecret)+hostileSecret, uint8(2))
	f.Fuzz(func(t *testing.T, a, b, text string, size uint8) {
		v := NewVault()
		v.Add("a", a)
		v.Add("b", b)
		text = text + a + text + b[:len(b)/2] + a + b + base64.StdEncoding.EncodeToString([]byte(b))
		got, _ := throughWriter(t, v, text, max(int(size), 1))
		if want := redactSlowly(v.patterns, text); got != want {
			t.Fatalf("redacting %q:\n got %q\nwant %q", text, got, want)
		}
		for _, rest := range strings.FieldsFunc(strings.NewReplacer("[redacted:a]", "\x00", "[redacted:b]", "\x00").Replace(got), func(r rune) bool { return r == 0 }) {
			for _, p := range v.patterns {
				if strings.Contains(rest, p.text) && !strings.Contains(text, "[redacted:") {
					t.Fatalf("%q is still in %q", p.text, got)
				}
			}
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	value := func() string {
		s := make([]byte, 32)
		for i := range s {
			s[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[random.IntN(62)]
		}
		return string(s)
	}
	line := "2026-06-11T20:58:03Z imap: Login: user=<u4fe@example.org>, method=PLAIN, rip=10.0.3.7, lip=10.0.3.9, mpid=77, session=<abc>\n"
	data := bytes.Repeat([]byte(line), 16<<20/len(line))
	for _, shortest := range []int{32, MinSecret} {
		b.Run(fmt.Sprintf("shortest=%d", shortest), func(b *testing.B) {
			v := NewVault()
			for i := range 5 {
				v.Add(fmt.Sprint(i), value())
			}
			v.Add("short", value()[:shortest])
			w := v.Writer(&fullDisk{room: 1 << 62}, nil)
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				w.Write(data)
			}
		})
	}
}
