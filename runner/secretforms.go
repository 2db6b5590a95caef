package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A pattern is one way in which a secret may be written.
type pattern struct {
	text string
	leak Leak
	word bool // counts only where no letter or digit touches it
}

// patternsOf lists the ways to write a value, the plain one first. Ways that
// come out alike are listed once.
func patternsOf(name, value string) []pattern {
	var out []pattern
	easy := isEasy(value)
	add := func(form string, texts ...string) {
		for _, text := range texts {
			if len(text) >= MinSecret && !slices.ContainsFunc(out, func(p pattern) bool { return p.text == text }) {
				out = append(out, pattern{text: text, leak: Leak{name, form}, word: easy})
			}
		}
	}
	add("plain", value, lineEnds.ReplaceAllString(value, ""))
	if utf8.ValidString(value) { // else JSON can't hold it
		for _, once := range jsonForms(value) {
			add("json", once)
			if once != value {
				add("json", jsonForms(once)...)
			}
		}
	}
	add("url", urlForms(value)...)
	add("html", htmlForms(value)...)
	add("quoted", quotedForms(value)...)
	easy = false // what follows is no word of any language
	add("hex", hexForms(value)...)
	add("url", separated(value, "%%%02x", ""), separated(value, "%%%02X", ""))
	add("bytes", separated(value, "%d", " "), separated(value, "%d", ", "), separated(value, "%d", ","))
	for offset := range 3 {
		add("base64", base64At(base64.RawStdEncoding, value, offset), base64At(base64.RawURLEncoding, value, offset))
	}
	return out
}

// lineEnds are what a value loses where it is written in one line, or
// indented: with the line breaks taken out of both, they are the same.
var lineEnds = regexp.MustCompile(`[\r\n][\r\n\t ]*`)

// easyGuesses is the binary logarithm of how many values of its kind there
// are below which a value is easy: logs hold such ones by chance.
const easyGuesses = 40

// isEasy tells whether a value may stand in a log by chance: a word, a number
// of up to twelve digits, or a few characters repeated.
func isEasy(value string) bool {
	kinds := map[string]float64{} // by kind of character: how many there are
	distinct := map[rune]bool{}
	for _, r := range value {
		distinct[r] = true
		switch {
		case r >= '0' && r <= '9':
			kinds["digit"] = 10
		case r >= 'a' && r <= 'z':
			kinds["lower"] = 26
		case r >= 'A' && r <= 'Z':
			kinds["upper"] = 26
		default:
			kinds["other"] = 33
		}
	}
	sum := 0.0
	for _, n := range kinds {
		sum += n
	}
	return len(distinct) < 5 || math.Log2(sum)*float64(utf8.RuneCountInString(value)) < easyGuesses
}

// separated writes each byte of a value in a format, with something between.
func separated(value, format, between string) string {
	parts := make([]string, len(value))
	for i := range parts {
		parts[i] = fmt.Sprintf(format, value[i])
	}
	return strings.Join(parts, between)
}

// hexForms are hex digits in a row, or by byte as openssl, hexdump and escapes
// write them.
func hexForms(value string) []string {
	forms := []string{hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value)))}
	for _, between := range []string{":", " ", "-"} {
		forms = append(forms, separated(value, "%02x", between), separated(value, "%02X", between))
	}
	return append(forms, separated(value, `\x%02x`, ""), separated(value, `\x%02X`, ""), separated(value, "0x%02x", ", "))
}

// htmlForms are what encoders for HTML and XML make of a value.
func htmlForms(value string) []string {
	plain := html.EscapeString(value) // &#34; and &#39;
	named := strings.NewReplacer("&#34;", "&quot;", "&#39;", "&apos;")
	return []string{plain, named.Replace(plain), strings.ReplaceAll(plain, "&#34;", "&quot;"),
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(value)}
}

// base64At is what is certain of a value's base64 where offset bytes (mod 3)
// stand before it: without the characters at either edge that also hold bits
// of its neighbours.
func base64At(enc *base64.Encoding, value string, offset int) string {
	text := enc.EncodeToString([]byte(strings.Repeat("\x00", offset) + value))
	first := (offset*8 + 5) / 6
	last := (offset + len(value)) * 8 / 6
	return text[first:last]
}

// jsonForms are what encoders of different languages make of a string:
// with and without \u003c for <, with \/ for /, with \u00e9 for é.
func jsonForms(value string) []string {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.Encode(value) // a string always encodes
	plain := strings.TrimSuffix(buf.String(), "\n")
	plain = plain[1 : len(plain)-1]
	escaped, _ := json.Marshal(value)
	forms := []string{plain, string(escaped[1 : len(escaped)-1])}
	for _, f := range slices.Clone(forms) {
		forms = append(forms, strings.ReplaceAll(f, "/", `\/`), asciiJSON(f), strings.ReplaceAll(asciiJSON(f), "/", `\/`))
	}
	return forms
}

// asciiJSON escapes everything outside ASCII as JSON does, in UTF-16.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	return b.String()
}

// quotedForms are what stands between the quotes where a shell, YAML, SQL, a
// Python repr or Go's %q writes a value, and what Printable makes of it.
func quotedForms(value string) []string {
	inGo, inASCII := strconv.Quote(value), strconv.QuoteToASCII(value)
	forms := []string{inGo[1 : len(inGo)-1], inASCII[1 : len(inASCII)-1], Printable(value), PrintableLines(value)}
	for _, quote := range []string{`'\''`, `''`, `\'`} {
		forms = append(forms, strings.ReplaceAll(value, `'`, quote))
	}
	return append(forms, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
}

var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

// urlForms are what encoders of different languages make of a value in a URL:
// Go's two, JavaScript's encodeURIComponent and Python's quote, with upper-
// and lower-case digits.
func urlForms(value string) []string {
	query := url.QueryEscape(value)
	script := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(query)
	forms := []string{query, url.PathEscape(value), script, strings.ReplaceAll(strings.ReplaceAll(query, "+", "%20"), "%2F", "/")}
	for _, f := range slices.Clone(forms) {
		forms = append(forms, percent.ReplaceAllStringFunc(f, strings.ToLower))
	}
	return forms
}
