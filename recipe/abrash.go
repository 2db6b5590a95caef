package recipe

import (
	"bytes"
	"fmt"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// parseExports reads the top-level `export NAME=literal` lines of an abra.sh.
// Nothing is executed: an export whose value would have to be computed is
// listed by name instead.
func parseExports(script []byte) (exports map[string]string, computed []string, err error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(script), "abra.sh")
	if err != nil {
		return nil, nil, fmt.Errorf("reading exports: %w", err)
	}
	exports = map[string]string{}
	for _, stmt := range file.Stmts {
		decl, ok := stmt.Cmd.(*syntax.DeclClause)
		if !ok || decl.Variant.Value != "export" {
			continue
		}
		for _, a := range decl.Args {
			if a.Name == nil || a.Naked {
				continue
			}
			if value, ok := literal(a); ok {
				exports[a.Name.Value] = value
			} else {
				delete(exports, a.Name.Value)
				computed = append(computed, a.Name.Value)
			}
		}
	}
	return exports, computed, nil
}

// literal is the value of an assignment that is nothing but text.
func literal(a *syntax.Assign) (string, bool) {
	if a.Append || a.Index != nil || a.Array != nil {
		return "", false
	}
	if a.Value == nil {
		return "", true
	}
	var b strings.Builder
	for _, part := range a.Value.Parts {
		if !writeLiteral(&b, part) {
			return "", false
		}
	}
	return b.String(), true
}

func writeLiteral(b *strings.Builder, part syntax.WordPart) bool {
	switch part := part.(type) {
	case *syntax.Lit:
		b.WriteString(part.Value)
		return !strings.Contains(part.Value, `\`) // an escape: rare, and not worth being wrong about
	case *syntax.SglQuoted:
		b.WriteString(part.Value)
		return !part.Dollar
	case *syntax.DblQuoted:
		for _, p := range part.Parts {
			if !writeLiteral(b, p) {
				return false
			}
		}
		return !part.Dollar
	}
	return false
}
