package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"coopcloud.tech/abra-ccci/ledger"
)

// A tree reads the files of one commit. It is a ledger.Reader.
type tree struct {
	git    *Git
	ctx    context.Context
	commit string
	mu     sync.Mutex // one question at a time
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
}

// Read implements ledger.Reader.
func (t *tree) Read(name string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.start(); err != nil {
		return nil, err
	}
	if strings.ContainsAny(name, "\n\x00") {
		return nil, fs.ErrInvalid
	}
	if _, err := fmt.Fprintf(t.in, "%s:%s\n", t.commit, name); err != nil {
		return nil, err
	}
	header, err := t.out.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(header, " missing\n") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	fields := strings.Fields(header)
	if len(fields) != 3 || fields[1] != "blob" {
		return nil, &ledger.CorruptError{Where: "the remote's " + name, Err: errors.New("not a file")}
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil || size > 64<<20 {
		return nil, fmt.Errorf("the remote's %s: size %s", name, fields[2])
	}
	data := make([]byte, size+1)
	if _, err := io.ReadFull(t.out, data); err != nil {
		return nil, err
	}
	return data[:size], nil
}

func (t *tree) start() (err error) {
	if t.cmd != nil {
		return nil
	}
	cmd := t.git.command(t.ctx, "cat-file", "--batch")
	if t.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	t.cmd, t.out = cmd, bufio.NewReader(out)
	return cmd.Start()
}

func (t *tree) close() error {
	if t.cmd == nil {
		return nil
	}
	t.in.Close()
	return t.cmd.Wait()
}

// List implements ledger.Reader.
func (t *tree) List(dir string) (names []string, err error) {
	args := []string{"ls-tree", "-z", "--name-only", t.commit}
	if dir != "." {
		args = append(args, "--", filepath.ToSlash(dir)+"/")
	}
	out, err := t.git.run(t.ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(out, "\x00") {
		if name != "" {
			names = append(names, path.Base(name))
		}
	}
	return names, nil
}
