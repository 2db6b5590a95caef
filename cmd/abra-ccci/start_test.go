package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// maxInit is what a package of ours may allocate before main, in bytes. A
// regular expression with counted repetitions takes more than all else.
const maxInit = 48 << 10

// Every command waits for what packages do before main, helpers in volumes and hooks of canaries too: so they do nearly nothing.
func TestStartsLean(t *testing.T) {
	path, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--help")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, trace.String())
	}
	seen := 0
	for line := range strings.Lines(trace.String()) {
		// init coopcloud.tech/abra-ccci/labels @4.2 ms, 0.29 ms clock, 37128 bytes, 317 allocs
		words := strings.Fields(line)
		if len(words) != 11 || words[0] != "init" || words[1] != "main" && !strings.HasPrefix(words[1], module) {
			continue
		}
		seen++
		if n, err := strconv.Atoi(words[7]); err != nil || n > maxInit {
			t.Errorf("package %s allocates %s bytes before main (%v)", words[1], words[7], err)
		}
	}
	if seen < 5 {
		t.Errorf("only %d packages of ours in the trace:\n%s", seen, trace.String())
	}
}
