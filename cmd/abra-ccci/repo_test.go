package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "coopcloud.tech/abra-ccci/"

// mayImport is the house's import rule: a package, and which of the others it
// may import. docs/design.md draws it. Tests are not bound by it.
var mayImport = map[string][]string{
	"labels":                 {},
	"recipe":                 {"labels"},
	"recipe/history":         {},
	"lint":                   {"labels", "recipe"},
	"ledger":                 {},
	"ledger/remote":          {"ledger"},
	"runner":                 {"labels", "recipe", "lint"},
	"runner/inside":          {"labels", "runner"},
	"runner/restic":          {"labels", "runner"},
	"runner/swarm":           {"labels", "runner"},
	"review":                 {"labels", "recipe", "runner", "ledger"},
	"review/forge":           {"review"},
	"review/forge/giteatest": {}, // for tests only: it reads CCCI_GITEA
	"canary":                 {"recipe/history", "runner"},
	"canary/app":             {},
	"canary/shell":           {},
	"cmd/abra-ccci":          {"canary", "canary/app", "canary/shell", "labels", "recipe", "lint", "ledger", "ledger/remote", "runner", "runner/inside", "runner/restic", "runner/swarm", "review", "review/forge"},
	"bench":                  {"labels", "runner", "examples"},
	"examples":               {"recipe/history"},
	"examples/mkrecipes":     {"examples"},
	"examples/notes/app":     {},
}

// onlyIn names modules that one package alone may know.
var onlyIn = map[string][]string{
	"github.com/docker/docker/":    {"runner/swarm", "cmd/abra-ccci"},
	"github.com/go-git/go-git/":    {"recipe", "recipe/history"},
	"code.gitea.io/sdk/":           {"review/forge"},
	"github.com/spf13/cobra":       {"cmd/abra-ccci"},
	"github.com/pelletier/go-toml": {"runner"},
}

// TestImports holds the import rule, and that no package reads the
// environment, the clock of the wall or the terminal but cmd.
func TestImports(t *testing.T) {
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata" || name == "build" || name == "tools") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		checkFile(t, name, src)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFile(t *testing.T, name string, src []byte) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range violations(path.Dir(name), file) {
		t.Errorf("%s: %s", name, bad)
	}
}

// violations lists what a file of package pkg imports or calls against the rule.
func violations(pkg string, file *ast.File) []string {
	allowed, known := mayImport[pkg]
	if !known {
		return []string{"package " + pkg + " is not in the import rule"}
	}
	var bad []string
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if own, ok := strings.CutPrefix(imported, module); ok && !contains(allowed, own) {
			bad = append(bad, "may not import "+own)
		}
		for prefix, pkgs := range onlyIn {
			if strings.HasPrefix(imported, prefix) && !contains(pkgs, pkg) {
				bad = append(bad, "may not import "+imported)
			}
		}
	}
	if pkg == "labels" || pkg == "lint" || pkg == "recipe" || pkg == "runner" || strings.HasPrefix(pkg, "ledger") || strings.HasPrefix(pkg, "review") && pkg != "review/forge/giteatest" {
		ast.Inspect(file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "os" && contains([]string{"Getenv", "LookupEnv", "Environ", "Exit", "Args"}, sel.Sel.Name) {
					bad = append(bad, "may not use os."+sel.Sel.Name)
				}
			}
			return true
		})
	}
	return bad
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// The rule itself must be able to fail.
func TestImportRuleBites(t *testing.T) {
	tests := []struct{ pkg, src, want string }{
		{"labels", `package labels; import "coopcloud.tech/abra-ccci/runner"`, "may not import runner"},
		{"runner/restic", `package restic; import "coopcloud.tech/abra-ccci/runner/swarm"`, "may not import runner/swarm"},
		{"runner", `package runner; import _ "github.com/docker/docker/client"`, "may not import github.com/docker/docker/client"},
		{"runner", `package runner; import "os"; var x = os.Getenv("X")`, "may not use os.Getenv"},
		{"util", `package util`, "not in the import rule"},
	}
	for _, tt := range tests {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", tt.src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(violations(tt.pkg, file), "; ")
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.src, got, tt.want)
		}
	}
}

// Interfaces have at most five methods, and no package is a drawer.
func TestHouse(t *testing.T) {
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "util", "utils", "common", "helpers", "misc":
				t.Errorf("%s: no drawers", name)
			case "build", "testdata", ".git", "tools":
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > 5 {
					t.Errorf("%s: interface %s has %d methods", name, spec.Name, i.Methods.NumFields())
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
