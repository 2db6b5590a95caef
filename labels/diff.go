package labels

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// Diff returns what changes from base to head for a reader of the running
// services: deploy labels, what is saved of each volume, hooks, and notices of
// Check and CheckAgainst.
func Diff(base, head Subject) []Change {
	base, head = base.withPlan(), head.withPlan()
	var changes []Change
	changes = append(changes, diffMaps("label", base.Stack.allLabels(), head.Stack.allLabels())...)
	changes = append(changes, diffMaps("volume", base.Plan.rowWords(), head.Plan.rowWords())...)
	changes = append(changes, diffMaps("hook", base.Plan.hookWords(), head.Plan.hookWords())...)
	now := append(Check(head), CheckAgainst(base, head)...)
	return append(changes, diffMaps("notice", noticeWords(Check(base)), noticeWords(now))...)
}

func diffMaps(kind string, old, new map[string]string) []Change {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(old)), maps.Keys(new))
	slices.Sort(keys)
	var changes []Change
	for _, what := range slices.Compact(keys) {
		was, hadIt := old[what]
		is, hasIt := new[what]
		c := Change{Kind: kind, What: what, Old: was, New: is}
		switch {
		case !hadIt:
			c.Op, c.Text = "added", fmt.Sprintf("%s %s is new: %s", kind, what, is)
		case !hasIt:
			c.Op, c.Text = "removed", fmt.Sprintf("%s %s is gone, it was: %s", kind, what, was)
		case was != is:
			c.Op, c.Text = "changed", fmt.Sprintf("%s %s is now: %s, it was: %s", kind, what, is, was)
		default:
			continue
		}
		changes = append(changes, c)
	}
	return changes
}

// allLabels are the deploy labels, and the backup labels that are on
// containers by mistake, by "service key".
func (s *Stack) allLabels() map[string]string {
	m := map[string]string{}
	if s == nil {
		return m
	}
	for _, svc := range s.Services {
		for k, v := range svc.Labels {
			m[svc.Name+" "+k] = v
		}
		for k, v := range svc.ContainerLabels {
			if isBackupKey(k) {
				m[svc.Name+" labels "+k] = v
			}
		}
	}
	return m
}

func (p *Plan) rowWords() map[string]string {
	m := map[string]string{}
	if p == nil {
		return m
	}
	for _, v := range p.Volumes {
		m[v.Volume] = v.words()
	}
	return m
}

// words tells a row in one line.
func (v VolumePlan) words() string {
	if !v.Saved {
		return fmt.Sprintf("not saved, %s (%s)", v.Why, mountWords(v.Mounts))
	}
	return fmt.Sprintf("%s saved by %s (%s)", pathWords(v.Paths), v.Label, mountWords(v.Mounts))
}

func (p *Plan) hookWords() map[string]string {
	m := map[string]string{}
	if p == nil {
		return m
	}
	for _, h := range p.Hooks {
		m[h.Service+" "+string(h.Kind)] = h.Command
	}
	return m
}

// noticeWords joins the texts of notices with the same id and place.
func noticeWords(notices []Notice) map[string]string {
	m := map[string]string{}
	for _, n := range notices {
		key := n.ID + " (" + n.Where + ")"
		text := string(n.Severity) + ", " + n.Text
		if m[key] != "" {
			text = m[key] + "; " + text
		}
		m[key] = text
	}
	return m
}

// contextLines is how many equal lines a textual diff shows around a change.
const contextLines = 3

// TextDiff compares files line by line and writes the differences as a unified
// diff. A file that is not there, or can't be read, is as good as empty, and
// the header says /dev/null.
func TextDiff(base, head fs.FS, names []string) string {
	var b strings.Builder
	for _, name := range names {
		was, is := textOf(base, name), textOf(head, name)
		if was.text == is.text && was.there == is.there {
			continue
		}
		fmt.Fprintf(&b, "--- %s\n+++ %s\n", was.label("a/"+name), is.label("b/"+name))
		for _, h := range hunks(diffLines(was.text, is.text)) {
			b.WriteString(h)
		}
	}
	return b.String()
}

// Sources are the files of a recipe that its stack is made of, by name: compose
// files, .env.sample and abra.sh, and what configs and secrets hold.
func (s *Stack) Sources() []string {
	names, _ := composeFiles(s.Env)
	names = append(names, ".env.sample", "abra.sh")
	if s.Compose != nil {
		for _, name := range s.configFiles() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

type textFile struct {
	text  string
	there bool
}

func (f textFile) label(name string) string {
	if !f.there {
		return "/dev/null"
	}
	return name
}

func textOf(files fs.FS, name string) textFile {
	data, err := readRecipeFile(files, name)
	var se *SourceError
	if errors.As(err, &se) {
		return textFile{}
	}
	return textFile{string(data), true}
}

// A diffLine is one line with its sign: ' ', '-' or '+'.
type diffLine struct {
	sign byte
	text string
}

func diffLines(a, b string) []diffLine {
	dmp := diffmatchpatch.New()
	dmp.DiffTimeout = 0 // the same answer on a slow machine
	ra, rb, lines := dmp.DiffLinesToRunes(a, b)
	var out []diffLine
	for _, d := range dmp.DiffCharsToLines(dmp.DiffMainRunes(ra, rb, false), lines) {
		sign := map[diffmatchpatch.Operation]byte{diffmatchpatch.DiffDelete: '-', diffmatchpatch.DiffInsert: '+', diffmatchpatch.DiffEqual: ' '}[d.Type]
		for _, l := range strings.SplitAfter(d.Text, "\n") {
			if l != "" {
				out = append(out, diffLine{sign, l})
			}
		}
	}
	return out
}

// hunks cuts a diff into the parts around its changes.
func hunks(lines []diffLine) []string {
	var out []string
	a, b := 1, 1 // numbers of the next line of either file
	for i := 0; i < len(lines); {
		end := hunkEnd(lines, i)
		if end == i { // equal, and far from the next change
			a, b, i = a+1, b+1, i+1
			continue
		}
		text, na, nb := writeHunk(lines[i:end], a, b)
		out = append(out, text)
		a, b, i = a+na, b+nb, end
	}
	return out
}

// hunkEnd is where a hunk that begins at i ends; i if none begins there.
func hunkEnd(lines []diffLine, i int) int {
	end := i
	for j := i; j < len(lines) && j <= end+2*contextLines; j++ {
		if lines[j].sign != ' ' && (end > i || j <= i+contextLines) {
			end = j + 1
		}
	}
	if end == i {
		return i
	}
	return min(len(lines), end+contextLines)
}

func writeHunk(lines []diffLine, a, b int) (text string, na, nb int) {
	var body strings.Builder
	for _, l := range lines {
		if l.sign != '+' {
			na++
		}
		if l.sign != '-' {
			nb++
		}
		body.WriteByte(l.sign)
		body.WriteString(l.text)
		if !strings.HasSuffix(l.text, "\n") {
			body.WriteString("\n\\ No newline at end of file\n")
		}
	}
	return fmt.Sprintf("@@ -%s +%s @@\n", hunkRange(a, na), hunkRange(b, nb)) + body.String(), na, nb
}

// hunkRange writes where a hunk lies; an empty one lies after the line before.
func hunkRange(from, count int) string {
	if count == 0 {
		from--
	}
	return fmt.Sprintf("%d,%d", from, count)
}
