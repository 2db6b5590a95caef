package restic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
	"golang.org/x/mod/semver"
)

const (
	program    = "/restic"
	repository = "/repository/restic"
	password   = "/repository/password"
	minVersion = "v0.17.0" // the first with exit status 10 and counts in snapshots
)

// restic's exit statuses.
const (
	exitIncomplete   = 3
	exitNoRepository = 10
)

// message is any line of restic's --json output, with the fields of all of
// the kinds that are read here.
type message struct {
	MessageType string `json:"message_type"` // "summary", "error", "exit_error", "snapshot", "node", …

	// summary of backup and restore
	SnapshotID     string `json:"snapshot_id"`
	FilesProcessed int    `json:"total_files_processed"`
	BytesProcessed int64  `json:"total_bytes_processed"`
	TotalFiles     int    `json:"total_files"`
	FilesSkipped   int    `json:"files_skipped"`

	// error; exit_error has message at top level
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
	Item    string `json:"item"`
	Message string `json:"message"`
}

// result is a restic that ended.
type result struct {
	exit   int
	stderr []byte
	items  []string // what it could not do, item by item
	fatal  string   // why it gave up, if it said so
}

// run runs one restic command; each line of its stdout goes to line. The
// error tells that restic could not be run or said something unreadable.
func (e *Engine) run(ctx context.Context, line func([]byte) error, args ...string) (result, error) {
	argv := append([]string{program, "--repo", repository, "--password-file", password, "--no-cache", "--json"}, args...)
	log := runner.StepLog(ctx)
	fmt.Fprintf(log, "restic %s\n", quoted(args))
	ctx, stalled, stop := watch(ctx, stallTime)
	defer stop()
	lines := &lineWriter{line: func(b []byte) error { stalled.line(b); return line(b) }}
	exit, stderr, err := e.box.Stream(ctx, argv, nil, lines)
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return result{}, &runner.InfraError{Op: "restic " + args[0], Err: fmt.Errorf("%w after %v: %s", errStalled, stallTime, lastLines(stderr, 3))}
	}
	if err == nil {
		err = lines.close()
	}
	if err != nil {
		return result{}, fmt.Errorf("restic %s: %w", args[0], err)
	}
	fmt.Fprintf(log, "exit %d\n%s", exit, stderr)
	r := result{exit: exit, stderr: stderr}
	r.readErrors()
	return r, nil
}

// readErrors picks the messages out of stderr; what is no JSON stays there.
func (r *result) readErrors() {
	for line := range bytes.Lines(r.stderr) {
		var m message
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		switch m.MessageType {
		case "error":
			r.items = append(r.items, fmt.Sprintf("%q: %s", m.Item, m.Error.Message))
		case "exit_error":
			r.fatal = m.Message
		}
	}
}

// maxItems bounds how many items an error names.
const maxItems = 5

// reason says in words why restic failed.
func (r result) reason() string {
	if n := len(r.items); n > maxItems {
		return fmt.Sprintf("%s; and %d more", strings.Join(r.items[:maxItems], "; "), n-maxItems)
	} else if n > 0 {
		return strings.Join(r.items, "; ")
	}
	if r.fatal != "" {
		return strings.TrimSpace(r.fatal)
	}
	return lastLines(r.stderr, 3)
}

// fault is the error for a restic that failed. What it says of single items
// is about the app's files; anything else, a full disk too, is the machine's.
func (r result) fault(op string) error {
	err := fmt.Errorf("exit %d: %s", r.exit, r.reason())
	if len(r.items) > 0 && !bytes.Contains(r.stderr, []byte("no space left on device")) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &runner.InfraError{Op: op, Err: err}
}

// Prepare makes sure, once, that restic can be used and its repository exists.
func (e *Engine) Prepare(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ready {
		return nil
	}
	if err := e.checkVersion(ctx); err != nil {
		return err
	}
	if err := e.init(ctx); err != nil {
		return err
	}
	e.ready = true
	return nil
}

func (e *Engine) init(ctx context.Context) error {
	r, err := e.run(ctx, ignore, "cat", "config")
	if err != nil || r.exit == 0 {
		return err
	}
	if r.exit != exitNoRepository {
		return r.fault("open the backup repository")
	}
	// restic init would stretch the password, which takes seconds: see inside.
	exit, stderr, err := e.box.Stream(ctx, []string{"/abra-ccci", "inside", "repository", repository, password}, nil, io.Discard)
	if err == nil && exit != 0 {
		err = &runner.InfraError{Op: "make the backup repository", Err: fmt.Errorf("exit %d: %s", exit, lastLines(stderr, 3))}
	}
	return err
}

// checkVersion refuses a restic that is too old to be trusted to tell.
func (e *Engine) checkVersion(ctx context.Context) error {
	var v struct {
		Version string `json:"version"`
	}
	var out bytes.Buffer
	exit, stderr, err := e.box.Stream(ctx, []string{program, "version", "--json"}, nil, &out)
	if err != nil {
		return fmt.Errorf("restic version: %w", err)
	}
	if exit == 0 && json.Unmarshal(out.Bytes(), &v) == nil && semver.Compare("v"+v.Version, minVersion) >= 0 {
		return nil
	}
	return &runner.InfraError{
		Op:   "ask restic for its version",
		Hint: "make build/restic",
		Err:  fmt.Errorf("want at least %s, got exit %d: %s %s", minVersion[1:], exit, bytes.TrimSpace(out.Bytes()), lastLines(stderr, 1)),
	}
}

func ignore([]byte) error { return nil }

// summary returns a line function that keeps the summary message in m.
func summary(m *message) func([]byte) error {
	return func(line []byte) error {
		var got message
		if err := json.Unmarshal(line, &got); err != nil {
			return fmt.Errorf("unreadable line %q: %w", line, err)
		}
		if got.MessageType == "summary" {
			*m = got
		}
		return nil
	}
}

// maxLine bounds one line of restic's output, in bytes.
const maxLine = 1 << 20

// lineWriter cuts what is written to it into lines.
type lineWriter struct {
	line func([]byte) error
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			break
		}
		if err := w.take(line); err != nil {
			return 0, err
		}
		w.rest = rest
	}
	if len(w.rest) > maxLine {
		return 0, fmt.Errorf("line longer than %d bytes", maxLine)
	}
	return len(p), nil
}

func (w *lineWriter) take(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	return w.line(line)
}

// close takes a last line that has no newline.
func (w *lineWriter) close() error { return w.take(w.rest) }

var _ io.Writer = (*lineWriter)(nil)

func quoted(args []string) string {
	q := make([]string, len(args))
	for i, a := range args {
		q[i] = fmt.Sprintf("%q", a)
	}
	return strings.Join(q, " ")
}

// lastLines is the last n lines of what a program wrote, in one line.
func lastLines(b []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " / ")
}
