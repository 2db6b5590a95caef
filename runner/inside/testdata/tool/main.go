// A tool that knows `inside` alone: the smallest binary for a helper image.
package main

import (
	"os"

	"coopcloud.tech/abra-ccci/runner/inside"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "inside" {
		os.Exit(2)
	}
	os.Exit(inside.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
}
