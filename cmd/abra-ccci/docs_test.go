package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/labels"
)

var update = flag.Bool("update-docs", false, "write the generated parts of docs/")

// docs/notices.md is made from the table that the notices themselves are made from.
func TestNoticesDoc(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Notices\n\nWhat `abra-ccci labels` and `test` remark on labels and recipe. An **error** means\nthat data can be lost: it fails `backup_restore`, and `labels` exits 3. The ids are\nstable. This page is generated: `go test ./cmd/abra-ccci -run NoticesDoc -update-docs`.\n")
	for _, severity := range []labels.Severity{labels.Error, labels.Warning} {
		fmt.Fprintf(&b, "\n## %ss\n\n| id | what | advice |\n|---|---|---|\n", strings.ToUpper(string(severity[:1]))+string(severity[1:]))
		for _, k := range labels.Kinds() {
			if k.Severity == severity {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.ID, cell(k.About), cell(k.Advice))
			}
		}
	}
	const path = "../../docs/notices.md"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != b.String() {
		t.Errorf("docs/notices.md is not what the table says (%v): run with -update-docs", err)
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
