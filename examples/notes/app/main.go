// Notes keeps short texts as files: the smallest app that a recipe, its
// backups and their tests can be tried on. It is one static binary, so that its image
// holds nothing else, not even a shell.
//
// Without arguments it serves HTTP on :8080 until SIGTERM:
//
//	GET    /              version and names, one on a line
//	GET    /health        "ok"
//	GET    /notes/NAME    the text, or 404
//	PUT    /notes/NAME    keeps the body as the text
//	DELETE /notes/NAME    removes it
//
// PUT and DELETE want "Authorization: Bearer TOKEN", with the token that is
// in the file NOTES_TOKEN_FILE (default /run/secrets/write_token).
//
// With arguments it works on the same files, which are in NOTES_DATA (default /data):
//
//	notes put NAME TEXT   keep TEXT; "-" reads it from stdin
//	notes get NAME        print it
//	notes list            print the names
//	notes rm NAME         remove it
//	notes health          ask the server on this machine
//	notes version
//
// Exit status: 0 done, 1 it could not be done, 2 usage, 4 no such note.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// version is set by the linker.
var version = "devel"

const addr = ":8080"

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitNoNote = 4
)

func main() {
	s := store{dir: getenv("NOTES_DATA", "/data")}
	if len(os.Args) > 1 {
		os.Exit(command(s, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := serve(s); err != nil {
		fmt.Fprintln(os.Stderr, "notes:", err)
		os.Exit(exitFailed)
	}
}

func getenv(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// serve listens until SIGTERM or SIGINT, and then ends at once: every write
// is whole or not there, so there is nothing to wait for.
func serve(s store) error {
	token, err := os.ReadFile(getenv("NOTES_TOKEN_FILE", "/run/secrets/write_token"))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &http.Server{Addr: addr, Handler: handler(s, strings.TrimSpace(string(token))), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// command does what args say and returns the exit status.
func command(s store, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var err error
	switch verb, rest := args[0], args[1:]; {
	case verb == "put" && len(rest) == 2:
		err = putText(s, rest[0], rest[1], stdin)
	case verb == "get" && len(rest) == 1:
		err = printText(s, rest[0], stdout)
	case verb == "list" && len(rest) == 0:
		err = printNames(s, stdout)
	case verb == "rm" && len(rest) == 1:
		err = s.remove(rest[0])
	case verb == "health" && len(rest) == 0:
		err = health("http://127.0.0.1" + addr + "/health")
	case verb == "version" && len(rest) == 0:
		fmt.Fprintln(stdout, version)
	default:
		fmt.Fprintln(stderr, "usage: notes [put NAME TEXT|- | get NAME | list | rm NAME | health | version]")
		return exitUsage
	}
	return status(err, stderr)
}

func status(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "notes:", err)
	if errors.Is(err, fs.ErrNotExist) {
		return exitNoNote
	}
	return exitFailed
}

func putText(s store, name, text string, stdin io.Reader) error {
	if text != "-" {
		return s.put(name, []byte(text))
	}
	data, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	return s.put(name, data)
}

func printText(s store, name string, w io.Writer) error {
	data, err := s.get(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

func printNames(s store, w io.Writer) error {
	names, err := s.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		fmt.Fprintln(w, name)
	}
	return nil
}

// health is what the image's healthcheck runs.
func health(url string) error {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s", resp.Status)
	}
	return nil
}
