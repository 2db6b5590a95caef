package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"coopcloud.tech/abra-ccci/runner/swarm"
)

func engineRun(t *testing.T, stdout io.Writer, args ...string) (code int, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	e := &env{stdin: strings.NewReader(""), stdout: stdout, stderr: &errs, getenv: os.Getenv}
	code = execute(t.Context(), e, append([]string{"engine", "run"}, args...))
	return code, errs.String()
}

// The command gets the engine's address, its status is ours, and the engine
// is gone afterwards.
func TestEngineRun(t *testing.T) {
	t.Setenv("DOCKER_CONTEXT", "elsewhere")
	var out bytes.Buffer
	code, stderr := engineRun(t, &out, "--", "sh", "-c", `s=${DOCKER_HOST#unix://}; test -S "$s" && test -z "$DOCKER_CONTEXT" && echo "$s"; exit 7`)
	socket := strings.TrimSpace(out.String())
	if code != 7 || socket == "" {
		t.Fatalf("exit %d, socket %q, stderr:\n%s", code, socket, stderr)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the engine's socket is still there: %v", err)
	}
}

func TestEngineRunWithoutCommand(t *testing.T) {
	if code, stderr := engineRun(t, io.Discard, "--"); code != exitUsage || !strings.Contains(stderr, "no command") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestEngineRunUnknownCommand(t *testing.T) {
	code, stderr := engineRun(t, io.Discard, "--", "/no/such/program")
	if code != exitUnknown || !strings.Contains(stderr, "/no/such/program") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A signal reaches the command; how that ended is the answer.
func TestSignalsAreForwarded(t *testing.T) {
	tests := []struct {
		name, script string
		want         codeError
	}{
		{"handled", `trap "exit 9" TERM; echo ready; while :; do read x <&3; done`, 9},
		{"not handled", `echo ready; exec cat <&3`, 128 + codeError(syscall.SIGTERM)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			e := &env{stdin: r, stdout: onWrite(func() { syscall.Kill(os.Getpid(), syscall.SIGTERM) }), stderr: io.Discard}
			err = e.runForwarding([]string{"sh", "-c", "exec 3<&0; " + tt.script}, os.Environ())
			if err != tt.want {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// onWrite calls itself for what is written.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// A kernel is asked from here if it is this one, and answers as it does in a
// container.
func TestIPVSIsAskedHere(t *testing.T) {
	t.Parallel()
	built, err := tool()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{client: engine(t)}
	if _, s.facts, err = swarm.Connect(t.Context(), os.Getenv); err != nil || !s.facts.Here {
		t.Fatalf("the engine is not seen to be here: %+v, %v", s.facts, err)
	}
	here, err := s.hasIPVS(t.Context())
	if err != nil {
		t.Fatalf("without a container: %v", err)
	}
	if s.helper, err = swarm.HelperImage(t.Context(), s.client, built, os.Getenv("CCCI_RESTIC")); err != nil {
		t.Fatal(err)
	}
	s.facts.Here = false
	if there, err := s.hasIPVS(t.Context()); err != nil || there != here {
		t.Errorf("here %v, in a container %v, %v", here, there, err)
	}
}
