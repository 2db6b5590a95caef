// Package app is store, the program that canary stacks run: a small keeper of
// named texts, with the ways to fail that no label and no suite could plant.
//
//	store serve             serves HTTP on :8080 until it is told to stop
//	store put NAME TEXT     has the server keep a text
//	store get NAME          prints it
//	store rm NAME           has the server remove it
//	store dump              prints all texts as JSON
//	store load              reads such a dump from stdin and puts its texts back
//	store health [PORT]     asks the server of this machine how it is
//	store stop              has the server end
//
// Exit status: 0 done, 1 it could not be done, 2 usage, 4 no such text.
//
// The server answers GET, PUT and DELETE of /texts/NAME, GET /health, and GET
// /stop, after which it ends. Its files are in STORE_DIR (default /data):
// texts/NAME, and a journal of what was done. Where STORE_USER is a user's
// number, server and load become that user and make the files that user's.
//
// STORE_FAULT switches a fault on:
//
//	writeback   at its end the server writes the texts that it remembers over
//	            those that are there
//	recreate    a text that nobody ever removed is made up when it is asked for
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Exit statuses of Main.
const (
	exitDone  = 0
	exitFault = 1
	exitUsage = 2
	exitGone  = 4
)

// port is where the server listens.
const port = "8080"

// errUsage is the error of a command line that makes no sense.
var errUsage = errors.New("usage: store serve | put NAME TEXT | get NAME | rm NAME | dump | load | health [PORT] | stop")

// A World is what the program sees of the outside.
type World struct {
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Main does what argv says and returns the exit status. A server ends with ctx.
func Main(ctx context.Context, argv []string, w World) int {
	dir := w.Getenv("STORE_DIR")
	if dir == "" {
		dir = "/data"
	}
	err := command(ctx, argv, w, texts{dir})
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(w.Stderr, "store:", err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return exitGone
	case errors.Is(err, errUsage):
		return exitUsage
	}
	return exitFault
}

func command(ctx context.Context, argv []string, w World, kept texts) error {
	verb, args := "", []string(nil)
	if len(argv) > 0 {
		verb, args = argv[0], argv[1:]
	}
	switch {
	case verb == "serve" && len(args) == 0:
		return serve(ctx, kept, w.Getenv)
	case verb == "put" && len(args) == 2:
		return ask(http.MethodPut, port, "/texts/"+args[0], args[1], io.Discard)
	case verb == "get" && len(args) == 1:
		return ask(http.MethodGet, port, "/texts/"+args[0], "", w.Stdout)
	case verb == "rm" && len(args) == 1:
		return ask(http.MethodDelete, port, "/texts/"+args[0], "", io.Discard)
	case verb == "dump" && len(args) == 0:
		return dump(kept, w.Stdout)
	case verb == "load" && len(args) == 0:
		return load(kept, w.Stdin, w.Getenv("STORE_USER"))
	case verb == "health" && len(args) == 0:
		return ask(http.MethodGet, port, "/health", "", io.Discard)
	case verb == "health" && len(args) == 1:
		return ask(http.MethodGet, args[0], "/health", "", io.Discard)
	case verb == "stop" && len(args) == 0:
		return ask(http.MethodGet, port, "/stop", "", io.Discard)
	}
	return fmt.Errorf("%q is no command; %w", strings.Join(argv, " "), errUsage)
}

// ask makes one request of the server on this machine. Status 404 is fs.ErrNotExist.
func ask(method, port, path, body string, into io.Writer) error {
	req, err := http.NewRequest(method, "http://127.0.0.1:"+port+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(said)))
	}
	_, err = into.Write(said)
	return err
}

// dump writes every text, by name, as one JSON object.
func dump(kept texts, w io.Writer) error {
	all, err := kept.all()
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(all)
}

// load puts the texts of a dump back, as user, and keeps what else is there.
func load(kept texts, r io.Reader, user string) error {
	var all map[string]string
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return fmt.Errorf("reading the dump: %w", err)
	}
	if err := become(user); err != nil {
		return err
	}
	for name, text := range all {
		if err := kept.put(name, text); err != nil {
			return err
		}
	}
	return nil
}

// become gives up root for a user; "" stays who it is.
func become(user string) error {
	if user == "" {
		return nil
	}
	id, err := strconv.Atoi(user)
	if err != nil {
		return fmt.Errorf("STORE_USER: %w", err)
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(id), syscall.Setuid(id)); err != nil {
		return fmt.Errorf("becoming user %d: %w", id, err)
	}
	return nil
}

// own makes the store's folder, and makes it a user's.
func own(dir, user string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil || user == "" {
		return err
	}
	id, err := strconv.Atoi(user)
	if err != nil {
		return fmt.Errorf("STORE_USER: %w", err)
	}
	return os.Chown(dir, id, id)
}
