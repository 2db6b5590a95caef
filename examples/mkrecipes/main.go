// Mkrecipes writes the example recipes and their suites into a folder laid out
// as abra's own, $ABRA_DIR:
//
//	go run ./examples/mkrecipes build/abra
//
// Recipes of the same names that are there are replaced.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"coopcloud.tech/abra-ccci/examples"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mkrecipes DIR")
		os.Exit(2)
	}
	if err := examples.WriteTree(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "mkrecipes:", err)
		os.Exit(1)
	}
	for _, name := range examples.Names() {
		fmt.Println(filepath.Join(os.Args[1], "recipes", name))
	}
}
