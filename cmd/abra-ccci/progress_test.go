package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"golang.org/x/sys/unix"

	"coopcloud.tech/abra-ccci/runner"
)

// A terminal shows what was written to it, as people see it. It understands
// the few sequences that a screen may use; anything else is an error.
type terminal struct {
	t        *testing.T
	cells    [][]rune
	row, col int
	hidden   bool // the cursor
	coloured bool
}

var sequence = regexp.MustCompile(`^\x1b\[(\??)([0-9]*)([A-Za-z])`)

func (v *terminal) Write(p []byte) (int, error) {
	for s := string(p); s != ""; {
		if m := sequence.FindStringSubmatch(s); m != nil {
			v.obey(m[1]+m[3], m[2])
			s = s[len(m[0]):]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == '\n': // the line discipline adds the return
			v.row, v.col = v.row+1, 0
		case r == '\r':
			v.col = 0
		case unicode.IsPrint(r):
			v.put(r)
		default:
			v.t.Fatalf("terminal got %q", r)
		}
	}
	return len(p), nil
}

// put writes a character where the cursor is.
func (v *terminal) put(r rune) {
	for len(v.cells) <= v.row {
		v.cells = append(v.cells, nil)
	}
	for len(v.cells[v.row]) <= v.col {
		v.cells[v.row] = append(v.cells[v.row], ' ')
	}
	v.cells[v.row][v.col] = r
	v.col++
}

// obey carries out one sequence.
func (v *terminal) obey(what, n string) {
	switch what {
	case "A":
		up, _ := strconv.Atoi(n)
		if v.row -= up; v.row < 0 {
			v.t.Fatalf("cursor up %s, out of the screen", n)
		}
	case "J":
		v.obey("K", "")
		v.cells = v.cells[:min(v.row+1, len(v.cells))]
	case "K":
		if v.row < len(v.cells) {
			v.cells[v.row] = v.cells[v.row][:min(v.col, len(v.cells[v.row]))]
		}
	case "m":
		v.coloured = true
	case "?l":
		v.hidden = true
	case "?h":
		v.hidden = false
	default:
		v.t.Fatalf("terminal got CSI %s %s", n, what)
	}
}

// picture is what the terminal shows, without empty lines at the end.
func (v *terminal) picture() string {
	var rows []string
	for _, row := range v.cells {
		rows = append(rows, string(row))
	}
	return strings.TrimRight(strings.Join(rows, "\n"), "\n")
}

// watched is a progress with a clock that tests move.
type watched struct {
	*progress
	at   time.Time
	term *terminal
	tick chan time.Time
}

func watch(t *testing.T, columns, rows int) *watched {
	t.Helper()
	w := &watched{at: time.Date(2026, 6, 11, 20, 58, 3, 0, time.UTC), term: &terminal{t: t}, tick: make(chan time.Time)}
	e := &env{stderr: w.term, getenv: func(string) string { return "" }, now: func() time.Time { return w.at }}
	w.progress = newProgress(e, "mailu 3.0.2+2024.06.52")
	w.live(&screen{out: w.term, size: func() (int, int, error) { return columns, rows, nil }}, w.tick)
	t.Cleanup(w.Close)
	return w
}

// after lets time pass and the terminal be drawn again.
func (w *watched) after(d time.Duration) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
	w.redraw()
	return w.term.picture()
}

func stageDone(name string, s runner.Status, seconds float64, reason string) runner.Stage {
	return runner.Stage{Name: name, Status: s, Seconds: seconds, Reason: reason}
}

// play is a run in which the wipe removes nothing.
func play(o runner.Observer) {
	o.StageStarted("lint")
	o.StageStarted("upgrade")
	o.Step("upgrade_deploys_base")
	o.Step("lint_r001")
	o.TestDone("lint", runner.Test{Name: "lint_r001", Status: runner.Pass})
	o.StageDone(stageDone("lint", runner.Pass, 0.4, ""))
	o.Waiting("imap: 0 of 1 tasks healthy")
}

func TestProgressOnATerminal(t *testing.T) {
	w := watch(t, 80, 24)
	play(w)
	check := func(got, want string) {
		t.Helper()
		if diff := cmp.Diff(strings.TrimLeft(want, "\n"), got); diff != "" {
			t.Errorf("picture (-want +got):\n%s", diff)
		}
	}
	check(w.after(12300*time.Millisecond), `
mailu 3.0.2+2024.06.52  12.3s
  · install
  ▸ upgrade          12.3s
  · backup_restore
  · functional
  ✔ lint              0.4s
  upgrade · upgrade_deploys_base
  waiting: imap: 0 of 1 tasks healthy`)

	w.StageDone(stageDone("upgrade", runner.Skip, 34.1, "nothing changed"))
	w.StageStarted("backup")
	w.StageDone(stageDone("backup", runner.Pass, 4, ""))
	w.StageStarted("restore")
	w.Step("wipe_removes_mail_message")
	w.TestDone("restore", runner.Test{Name: "wipe_removes_mail_message", Status: runner.Fail, Reason: "the check still holds"})
	w.TestDone("restore", runner.Test{Name: "restore_returns_mail_message", Status: runner.Unver, Reason: "blocked by wipe_removes_mail_message"})
	check(w.after(time.Minute), `
  ✘ fail  wipe_removes_mail_message: the check still holds
mailu 3.0.2+2024.06.52  1m12s
  · install
  – upgrade          34.1s
  ▸ backup_restore   1m04s
  · functional
  ✔ lint              0.4s
  restore · wipe_removes_mail_message`)

	w.StageDone(stageDone("restore", runner.Fail, 60, "wipe_removes_mail_message: the check still holds"))
	w.StageStarted("install")
	w.StageDone(stageDone("install", runner.Unver, 1, "image not to be had"))
	w.StageStarted("drill")
	w.StageDone(stageDone("drill", runner.Unver, 0, "blocked by install"))
	w.Close()
	check(w.term.picture(), `
  ✘ fail  wipe_removes_mail_message: the check still holds
  ? unver  install: image not to be had
mailu 3.0.2+2024.06.52  1m12s
  ? install           1.0s
  – upgrade          34.1s
  ✘ backup_restore   1m04s
  · functional
  ✔ lint              0.4s`)
	if w.term.hidden {
		t.Error("the cursor was not given back")
	}
	if w.term.coloured {
		t.Error("colours, though none were wanted")
	}
}

// A line that stays may be shorter than what was drawn where it stands.
func TestProgressErasesWhatWasThere(t *testing.T) {
	w := watch(t, 80, 24)
	w.TestDone("restore", runner.Test{Name: "t", Status: runner.Fail, Reason: "r"})
	if got := w.after(0); !strings.HasPrefix(got, "  ✘ fail  t: r\nmailu") {
		t.Errorf("picture:\n%s", got)
	}
}

// What comes after Close, which may come twice, no longer touches the terminal.
func TestProgressAfterClose(t *testing.T) {
	w := watch(t, 80, 24)
	if !w.term.hidden {
		t.Error("the cursor is in the way")
	}
	w.Close()
	want := w.term.picture()
	w.Close()
	select {
	case w.tick <- w.at:
		t.Error("somebody still listens to the clock")
	default:
	}
	if w.term.hidden || w.term.picture() != want {
		t.Errorf("cursor hidden: %v, picture:\n%s", w.term.hidden, w.term.picture())
	}
}

func TestProgressDrawsAtEveryTick(t *testing.T) {
	w := watch(t, 80, 24)
	w.mu.Lock()
	w.at = w.at.Add(7 * time.Second)
	w.mu.Unlock()
	w.tick <- w.at
	w.tick <- w.at // taken only once the first was drawn
	w.mu.Lock()
	defer w.mu.Unlock()
	if !strings.Contains(w.term.picture(), "7.0s") {
		t.Errorf("picture:\n%s", w.term.picture())
	}
}

func TestProgressFitsTheTerminal(t *testing.T) {
	for _, columns := range []int{1, 2, 10, 20, 33} {
		for _, rows := range []int{1, 3, 8} {
			w := watch(t, columns, rows)
			play(w)
			w.Step("日本語日本語日本語日本語日本語")
			got := w.after(time.Second)
			for l := range strings.SplitSeq(got, "\n") {
				if n := runewidth.StringWidth(l); n > max(columns-1, 1) {
					t.Errorf("%d columns: %q is %d wide", columns, l, n)
				}
			}
			if n := strings.Count(got, "\n") + 1; n > max(rows-1, 1) {
				t.Errorf("%d rows: %d lines", rows, n)
			}
		}
	}
}

// The terminal of these tests dies of any sequence that is not ours.
func TestProgressWithHostileText(t *testing.T) {
	const hostile = "\x1b[2J\x1b]0;owned\a\u202e\r\n\x9b31m"
	w := watch(t, 200, 24)
	w.title = hostile
	w.StageStarted(hostile)
	w.Step(hostile)
	w.TestDone(hostile, runner.Test{Name: hostile, Status: runner.Fail, Reason: hostile})
	w.Waiting(hostile)
	got := w.after(time.Second)
	w.StageDone(stageDone(hostile, runner.Fail, 1, hostile))
	if n := strings.Count(got, `\x1b[2J\x1b]0;owned\x07\u202e\r\n\x9b31m`); n != 6 {
		t.Errorf("shown %d times:\n%s", n, got)
	}
}

func TestProgressInColour(t *testing.T) {
	w := watch(t, 80, 24)
	w.screen.colour = true
	play(w)
	w.after(time.Second)
	if !w.term.coloured {
		t.Error("no colours")
	}
}

func TestProgressElsewhere(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 6, 11, 20, 58, 3, 0, time.UTC)
	p := newProgress(&env{stderr: &out, getenv: func(string) string { return "xterm" }, now: func() time.Time { return at }}, "mailu")
	play(p)
	p.StageDone(stageDone("upgrade", runner.Skip, 34.1, "there is no release before"))
	p.StageStarted("restore")
	p.TestDone("restore", runner.Test{Name: "wipe_removes_mailbox", Status: runner.Pass, Reason: "a remark"})
	p.TestDone("restore", runner.Test{Name: "wipe_removes_mail_message", Status: runner.Fail, Reason: "still \x1b[1mthere\nline"})
	p.TestDone("restore", runner.Test{Name: "restore_returns_mail_message", Status: runner.Unver, Reason: "blocked by wipe_removes_mail_message"})
	p.StageDone(stageDone("restore", runner.Fail, 312.4, "wipe_removes_mail_message: still there"))
	p.StageDone(stageDone("drill", runner.Unver, 0, "blocked by restore"))
	p.Close()
	want := `lint        pass     0.4s
upgrade     skip    34.1s  there is no release before
  ✘ fail  wipe_removes_mail_message: still \x1b[1mthere\nline
restore     fail    5m12s
drill       unver    0.0s  blocked by restore
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// pty opens a real terminal and returns its end for programs.
func pty(t *testing.T) *os.File {
	t.Helper()
	_, tty := realTerminal(t)
	return tty
}

// realTerminal opens a real terminal: the end that shows, and the one for programs.
func realTerminal(t *testing.T) (master, tty *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("%v; is /dev/pts mounted?", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return master, tty
}

func TestProgressKnowsATerminal(t *testing.T) {
	tests := []struct {
		name         string
		env          map[string]string
		live, colour bool
	}{
		{"xterm", map[string]string{"TERM": "xterm"}, true, true},
		{"no colour", map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, true, false},
		{"dumb", map[string]string{"TERM": "dumb"}, false, false},
		{"unknown", nil, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProgress(&env{stderr: pty(t), getenv: func(k string) string { return tt.env[k] }, now: time.Now}, "notes")
			defer p.Close()
			p.mu.Lock()
			defer p.mu.Unlock()
			if live := p.screen != nil; live != tt.live || live && p.screen.colour != tt.colour {
				t.Errorf("screen is %+v", p.screen)
			}
		})
	}
}

func TestClock(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0.0s": -time.Second, "0.4s": 449 * time.Millisecond, "59.9s": 59*time.Second + 999*time.Millisecond,
		"1m00s": time.Minute, "59m59s": time.Hour - 1, "1h02m03s": time.Hour + 2*time.Minute + 3*time.Second,
	} {
		if got := clock(d); got != want {
			t.Errorf("clock(%v) = %s, want %s", d, got, want)
		}
	}
}
