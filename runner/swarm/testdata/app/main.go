// App is the program in the images that this package's tests deploy, and the
// one in their helper containers: one static binary.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fatal("usage: app COMMAND")
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "serve":
		serve(args)
	case "both":
		io.Copy(os.Stdout, os.Stdin)
		fmt.Fprint(os.Stderr, strings.Join(args[1:], " "))
		os.Exit(int(args[0][0] - '0'))
	case "spin":
		spin(args)
	case "spill":
		os.Stdout.Write(bytes.Repeat([]byte("x"), 3<<20))
	case "ps":
		ps()
	case "read":
		b, err := os.ReadFile(args[0])
		check(err)
		os.Stdout.Write(b)
	case "write":
		check(os.MkdirAll(filepath.Dir(args[0]), 0o755))
		check(os.WriteFile(args[0], []byte(args[1]), 0o644))
	case "exists":
		_, err := os.Stat(args[0])
		check(err)
	case "stop":
		check(syscall.Kill(1, syscall.SIGKILL))
		check(syscall.Kill(1, syscall.SIGTERM))
		time.Sleep(time.Minute)
	case "sleep":
		wait(false)
	case "kill":
		kill("CCCI_EXEC=" + args[0])
	case "ask":
		ask()
	default:
		fatal("what is %q?", os.Args[1])
	}
}

func fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fatal("%v", err)
	}
}

// serve is a service: it says and writes what it is told to, answers HTTP, but for
// /never, and ends at SIGTERM.
func serve(args []string) {
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	say := f.String("say", "", "a line for the log")
	write := f.String("write", "", "comma-separated files to write")
	exit := f.Int("exit", -1, "end at once with this status")
	deaf := f.Bool("deaf", false, "ignore SIGTERM")
	body := f.String("body", "ok", "what to answer")
	f.Parse(args)
	if *say != "" {
		fmt.Println(*say)
	}
	for _, name := range strings.FieldsFunc(*write, func(r rune) bool { return r == ',' }) {
		check(os.MkdirAll(filepath.Dir(name), 0o755))
		check(os.WriteFile(name, []byte("x"), 0o644))
	}
	if *exit >= 0 {
		os.Exit(*exit)
	}
	go http.ListenAndServe(":8080", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/never" {
			<-r.Context().Done()
		}
		io.WriteString(w, *body)
	}))
	wait(*deaf)
	fmt.Println("good bye")
}

func wait(deaf bool) {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	for range term {
		if !deaf {
			return
		}
	}
}

// spin starts a child that starts a child, and all stay.
func spin(args []string) {
	if len(args) < 3 {
		cmd := exec.Command("/proc/self/exe", append([]string{"spin"}, append(args, "deeper")...)...)
		check(cmd.Start())
		fmt.Println("spinning")
	}
	time.Sleep(time.Hour)
}

func processes() map[string]string {
	out := map[string]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		if b, err := os.ReadFile(filepath.Join(d, "cmdline")); err == nil {
			out[d] = strings.ReplaceAll(string(b), "\x00", " ")
		}
	}
	return out
}

func ps() {
	for _, cmd := range processes() {
		fmt.Println(cmd)
	}
}

func kill(mark string) {
	for found := true; found; {
		found = false
		for d := range processes() {
			env, _ := os.ReadFile(filepath.Join(d, "environ"))
			var pid int
			fmt.Sscanf(filepath.Base(d), "%d", &pid)
			if pid != os.Getpid() && bytes.Contains(env, []byte(mark)) {
				found = true
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// Network serves what a helper in a task's network does.
type Network struct{}

// A Response is runner.Response.
type Response struct {
	Status int    `json:"status"`
	Body   []byte `json:"body"`
}

// Get makes one request.
func (Network) Get(q struct{ URL string }, out *Response) error {
	r, err := http.Get(q.URL)
	if err != nil {
		return err
	}
	out.Status = r.StatusCode
	out.Body, err = io.ReadAll(r.Body)
	return err
}

func ask() {
	check(rpc.Register(Network{}))
	rpc.ServeCodec(jsonrpc.NewServerCodec(struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout}))
}
