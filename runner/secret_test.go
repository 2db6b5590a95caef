package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
		{"twice, touching", []string{"a", "s3-crEt"}, "s3-crEts3-crEt", "[redacted:a][redacted:a]", []Leak{{"a", "plain"}}},
		{"overlapping itself", []string{"a", "abXY-abXY-ab"}, "<abXY-abXY-abXY-ab>", "<[redacted:a]>", []Leak{{"a", "plain"}}},
		{"overlapping another", []string{"a", "hello-12", "b", "12-world"}, "<hello-12-world>", "<[redacted:a]>", []Leak{{"a", "plain"}, {"b", "plain"}}},
		{"one inside another", []string{"short", "sEcr3t!", "long", "my-sEcr3t!-value"}, "my-sEcr3t!-value sEcr3t!", "[redacted:long] [redacted:short]", []Leak{{"long", "plain"}, {"short", "plain"}}},
		{"a beginning of another", []string{"short", "sEcr3t!", "long", "sEcr3t!-value"}, "sEcr3t!-value sEcr3t!-val", "[redacted:long] [redacted:short]-val", []Leak{{"long", "plain"}, {"short", "plain"}}},
		{"easy, as a word", []string{"a", "hunter2"}, "hunter2 hunter22 hunter2\nxhunter2 (hunter2)", "[redacted:a] hunter22 [redacted:a]\nxhunter2 ([redacted:a])", []Leak{{"a", "plain"}}},
		{"easy, at the end", []string{"a", "123456"}, "1234567 123456", "1234567 [redacted:a]", []Leak{{"a", "plain"}}},
		{"easy, cut by a line end", []string{"a", "123456"}, "took 123\n456", "took 123\n456", nil},
		{"easy, in base64", []string{"a", "hunter2"}, "dTpodW50ZXIyOg==", "dTp[redacted:a]Og==", []Leak{{"a", "base64"}}},
		{"few characters", []string{"a", "0000000000000000"}, "00000000000000000 0000000000000000", "00000000000000000 [redacted:a]", []Leak{{"a", "plain"}}},
		{"cut by a line end", []string{"a", "s3cret-value"}, "x s3cret\n-value y", "x [redacted:a] y", []Leak{{"a", "plain"}}},
		{"cut after each character", []string{"a", "s3cret-value"}, "s\n3\nc\nr\ne\nt\n-\nv\na\nl\nu\ne\n", "[redacted:a]\n", []Leak{{"a", "plain"}}},
		{"folded and indented", []string{"a", "s3cret-value"}, "x: s3cret-\r\n\t  \n value\n", "x: [redacted:a]\n", []Leak{{"a", "plain"}}},
		{"cut too far apart", []string{"a", "s3cret-value"}, "s3cret" + strings.Repeat("\n", maxBreak+1) + "-value", "s3cret" + strings.Repeat("\n", maxBreak+1) + "-value", nil},
		{"cut by as much as is looked at", []string{"a", "s3cret-value"}, "s3cret" + strings.Repeat("\n", maxBreak) + "-value", "[redacted:a]", []Leak{{"a", "plain"}}},
		{"indented, but not cut", []string{"a", "s3cret-value"}, "s3cret -value\n  s3cret-value", "s3cret -value\n  [redacted:a]", []Leak{{"a", "plain"}}},
		{"begins with a space", []string{"a", "  s3cret-value"}, "x\n  s3cret-value", "x\n[redacted:a]", []Leak{{"a", "plain"}}},
		{"several lines", []string{"a", "first-l1ne\nsecond-l1ne"}, "first-l1ne\nsecond-l1ne\n  first-l1ne\r\n  second-l1ne\n", "[redacted:a]\n  [redacted:a]\n", []Leak{{"a", "plain"}}},
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
		{" s3cret" + strings.Repeat("\n", maxBreak), "a line\nx s3cret and [redacted:a] "},
		{"\n", "a line\nx s3cret and [redacted:a] s3cret" + strings.Repeat("\n", maxBreak+1)},
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
		end, name := i, ""
		for _, p := range patterns {
			if n := matchSlowly(p, s, i); n > end {
				end, name = n, p.leak.Name
			}
		}
		if end > i && i >= hidden {
			out.WriteString("[redacted:" + name + "]")
		}
		if hidden = max(hidden, end); i >= hidden {
			out.WriteByte(s[i])
		}
	}
	return out.String()
}

var anyBreak = regexp.MustCompile(`^[\r\n][\r\n\t ]*`)

// matchSlowly is where a pattern that begins at i ends; -1 if none does.
func matchSlowly(p pattern, s string, i int) int {
	cut := !p.word && !strings.ContainsAny(p.text, "\r\n") && !strings.HasPrefix(p.text, " ") && !strings.HasPrefix(p.text, "\t")
	at := i
	for k := range len(p.text) {
		if br := anyBreak.FindString(s[at:]); k > 0 && cut && br != "" && len(br) <= maxBreak {
			at += len(br)
		}
		if at >= len(s) || s[at] != p.text[k] {
			return -1
		}
		at++
	}
	alnum := regexp.MustCompile(`^[0-9A-Za-z]{2}$`)
	if p.word && (i > 0 && alnum.MatchString(s[i-1:i+1]) || at < len(s) && alnum.MatchString(s[at-1:at+1])) {
		return -1
	}
	return at
}

// Whatever the secrets and however the text comes in: the output is what the
// definition says, holds no secret in a known form, and a text without one
// passes unchanged.
func FuzzRedact(f *testing.F) {
	f.Add("s3cret-value", "secret", "s3cret-values3cret-value my-secret", uint8(3))
	f.Add("aaaaaa", "aaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaab", uint8(1))
	f.Add("abcabcab", "cabcabca", "abcabcabcabcabcab", uint8(5))
	f.Add(hostileSecret, "\xff\xfe\xfd\xfc\xfb\xfa", url.QueryEscape(hostileSecret)+hostileSecret, uint8(2))
	f.Add("s3cret-value", " \nline-1\n line-2", "s3cr\n  et-v\r\n\r\nalue x \n", uint8(1))
	f.Add("aaaaaa", "aaaaaa", "0", uint8(0))
	f.Add("s3cret-value", "123456", "s3cret"+strings.Repeat(" \n", maxBreak), uint8(1))
	f.Fuzz(func(t *testing.T, a, b, text string, size uint8) {
		if len(a)+len(b) > 200 || len(text) > 500 {
			return // the definition is slow
		}
		v := NewVault()
		v.Add("a", a)
		v.Add("b", b)
		half := len(b) / 2
		text = text + a + text + b[:half] + a + b + "\n" + b[:half] + "\n " + b[half:] + base64.StdEncoding.EncodeToString([]byte(b))
		whole, seen := throughWriter(t, v, text, len(text)+1)
		if want := redactSlowly(v.patterns, text); whole != want {
			t.Fatalf("redacting %q:\n got %q\nwant %q", text, whole, want)
		}
		if len(seen) == 0 && whole != text {
			t.Fatalf("%q became %q, and nothing was seen", text, whole)
		}
		parts, seenThen := throughWriter(t, v, text, max(int(size), 1))
		if parts != whole || len(seenThen) != len(seen) {
			t.Fatalf("in writes of %d:\n%q %v, in one:\n%q %v", size, parts, seenThen, whole, seen)
		}
		rests := strings.Split(strings.NewReplacer("[redacted:a]", "\x00", "[redacted:b]", "\x00").Replace(whole), "\x00")
		for _, p := range v.patterns {
			for _, rest := range rests {
				if !p.word && !strings.Contains(p.text, "\x00") && strings.Contains(rest, p.text) && !strings.Contains(text, "[redacted:") {
					t.Fatalf("%q is still in %q", p.text, whole)
				}
			}
		}
	})
}

func randomSecret(random *rand.Rand) string {
	s := make([]byte, 32)
	for i := range s {
		s[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[random.IntN(62)]
	}
	return string(s)
}

// benchmarkLog is 16 MB of log with what the search stumbles over: random
// names, numbers, base64 and hex.
func benchmarkLog(random *rand.Rand) []byte {
	var log bytes.Buffer
	for log.Len() < 16<<20 {
		id := make([]byte, 24)
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		fmt.Fprintf(&log, "2026-06-11T20:58:%02d.%06dZ imap[%d]: Login: user=<u%x@example.org>, method=PLAIN, rip=10.0.3.7, mpid=%d, session=<%s>\n",
			random.IntN(60), random.IntN(1e6), random.IntN(9999), id[:4], random.IntN(99999), base64.StdEncoding.EncodeToString(id))
	}
	return log.Bytes()
}

func BenchmarkRedact(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	data := benchmarkLog(random)
	lines := bytes.SplitAfter(data, []byte("\n"))
	for _, bench := range []struct {
		name string
		more []string
	}{{"secrets=10x32", nil}, {"secrets=10x32+7", []string{"xK4-9b!"}}, {"secrets=10x32+word", []string{"123456"}}} {
		v := NewVault()
		for i := range 10 {
			v.Add(fmt.Sprint(i), randomSecret(random))
		}
		for _, value := range bench.more {
			v.Add("short", value)
		}
		b.Run(bench.name+"/blocks", func(b *testing.B) { benchmarkWriter(b, v, [][]byte{data}) })
		b.Run(bench.name+"/lines", func(b *testing.B) { benchmarkWriter(b, v, lines) })
	}
}

// BenchmarkServiceLog is all that becomes of a task's log, line by line: most of it
// is more than is stored.
func BenchmarkServiceLog(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	r := runWith(b)
	for i := range 10 {
		r.Vault.Add(fmt.Sprint(i), randomSecret(random))
	}
	stdout, stderr := r.ServiceLog("app", "t1")
	benchmarkWrites(b, stdout, bytes.SplitAfter(benchmarkLog(random), []byte("\n")))
	if err := errors.Join(stdout.Close(), stderr.Close()); err != nil {
		b.Fatal(err)
	}
}

func benchmarkWriter(b *testing.B, v *Vault, writes [][]byte) {
	benchmarkWrites(b, v.Writer(io.Discard, nil), writes)
}

// benchmarkWrites also counts by the processor's time, which a busy machine
// leaves alone.
func benchmarkWrites(b *testing.B, w io.Writer, writes [][]byte) {
	size := 0
	for _, p := range writes {
		size += len(p)
	}
	b.SetBytes(int64(size))
	start := processorTime(b)
	for b.Loop() {
		for _, p := range writes {
			w.Write(p)
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/1e6/(processorTime(b)-start).Seconds(), "MB/cpu-s")
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
