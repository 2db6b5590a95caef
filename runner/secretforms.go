package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
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
}

// patternsOf lists the ways to write a value, the plain one first. Ways that
// come out alike are listed once.
func patternsOf(name, value string) []pattern {
	var out []pattern
	add := func(form string, texts ...string) {
		for _, text := range texts {
			if !slices.ContainsFunc(out, func(p pattern) bool { return p.text == text }) {
				out = append(out, pattern{text, Leak{name, form}})
			}
		}
	}
	add("plain", value)
	if utf8.ValidString(value) { // else JSON can't hold it
		add("json", jsonForms(value)...)
	}
	add("url", urlForms(value)...)
	add("html", html.EscapeString(value))
	add("quoted", quotedForms(value)...)
	lower := hex.EncodeToString([]byte(value))
	add("hex", lower, strings.ToUpper(lower))
	for offset := range 3 {
		add("base64", base64At(base64.RawStdEncoding, value, offset), base64At(base64.RawURLEncoding, value, offset))
	}
	return out
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
// Python repr or Go's %q writes a value.
func quotedForms(value string) []string {
	inGo, inASCII := strconv.Quote(value), strconv.QuoteToASCII(value)
	forms := []string{inGo[1 : len(inGo)-1], inASCII[1 : len(inASCII)-1]}
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
