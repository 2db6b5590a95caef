package inside

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MarkVariable is the environment variable that marks the processes of one
// exec, so that they can be ended: Docker has no call for that.
const MarkVariable = "CCCI_EXEC"

const (
	killTimeout = 10 * time.Second     // a process that survives SIGKILL that long hangs in the kernel
	killPoll    = 5 * time.Millisecond // between looks at what is left
)

// process is one line of the process table.
type process struct {
	pid, parent int
	marked      bool
}

// killMarked kills the marked processes and their descendants, again and
// again until none is left: one may fork while it is looked for. Descendants
// count because a process that changed its user hides its environment, also
// from root without SYS_PTRACE.
func killMarked(mark string) error {
	if mark == "" {
		return errors.New("empty mark")
	}
	deadline := time.Now().Add(killTimeout)
	for {
		all, err := processes("/proc", MarkVariable+"="+mark)
		if err != nil {
			return err
		}
		doomed := family(all, os.Getpid())
		if len(doomed) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", doomed)
		}
		for _, pid := range doomed {
			unix.Kill(pid, unix.SIGKILL) // gone already: the next look tells
		}
		time.Sleep(killPoll)
	}
}

// family is every marked process and every descendant of one, without self.
func family(all []process, self int) []int {
	in := map[int]bool{}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !in[p.pid] && p.pid != self && (p.marked || in[p.parent]) {
				in[p.pid], grown = true, true
			}
		}
	}
	var pids []int
	for _, p := range all {
		if in[p.pid] {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// processes reads the process table, without zombies and without those that
// end meanwhile.
func processes(proc, mark string) ([]process, error) {
	dirs, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s holds no processes", proc)
	}
	var all []process
	for _, dir := range dirs {
		if p, ok := readProcess(dir, mark); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

func readProcess(dir, mark string) (process, bool) {
	pid, err := strconv.Atoi(filepath.Base(dir))
	if err != nil {
		return process{}, false
	}
	line, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return process{}, false
	}
	state, parent, ok := parseStat(string(line))
	if !ok || state == "Z" || state == "X" {
		return process{}, false
	}
	environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // hidden: known by its parent only
	return process{pid, parent, hasVariable(environ, mark)}, true
}

// parseStat reads state and parent from /proc/PID/stat. The command's name
// stands in parentheses and may hold anything, also ")".
func parseStat(line string) (state string, parent int, ok bool) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return fields[0], parent, err == nil
}

func hasVariable(environ []byte, assignment string) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if string(v) == assignment {
			return true
		}
	}
	return false
}
