package runner

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report writes the results for people, as Markdown: the level and what
// stopped the climb first, the record's details last. Nothing that a recipe
// says becomes markup.
func Report(w io.Writer, r *Results) error {
	d := &document{}
	d.head(r)
	d.rungs(r)
	d.tests(r)
	d.coverage(r)
	d.notices(r)
	d.backups(r)
	d.deviations(r)
	d.run(r)
	_, err := io.WriteString(w, d.b.String())
	return err
}

// A document is Markdown being written. Every %s that comes from outside goes
// through markdownText in line and row.
type document struct{ b strings.Builder }

// line writes a line; the arguments are foreign text, the format is ours.
func (d *document) line(format string, args ...any) {
	for i, a := range args {
		args[i] = markdownText(fmt.Sprint(a))
	}
	fmt.Fprintf(&d.b, format+"\n", args...)
}

// section writes a heading, with a line between it and what was before.
func (d *document) section(title string) { d.line("\n## " + title + "\n") }

// table writes a table; an empty cell becomes a dash.
func (d *document) table(head []string, rows [][]string) {
	d.line("| " + strings.Join(head, " | ") + " |")
	d.line("|" + strings.Repeat("---|", len(head)))
	for _, row := range rows {
		cells := slices.Clone(row)
		for i, c := range cells {
			if cells[i] = markdownText(c); cells[i] == "" {
				cells[i] = "–"
			}
		}
		d.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
}

func (d *document) head(r *Results) {
	d.line("# %s %s: level %s of 5", r.Recipe, r.Version, r.Level)
	d.line("\n**Level %s of 5**: %s", r.Level, r.LevelReason)
	if r.Fault.Stage != "" {
		d.line("\n**The machine, not the recipe**: %s: %s", r.Fault.Stage, r.Fault.Reason)
	}
	if r.Fault.Hint != "" {
		d.line("\n**hint**: %s", r.Fault.Hint)
	}
	if r.Interrupted {
		d.line("\n**The run was interrupted.** What it did not reach is unver.")
	}
	if r.Finished.IsZero() {
		d.line("\n**The run has not finished.** What it has not reached is unver.")
	}
	for _, flag := range r.flags() {
		if flag.status != Pass {
			d.line("\n**%s: %s**", flag.name, flag.status)
		}
	}
}

// marks stand for statuses in what people read.
var marks = map[Status]string{Pass: "✔", Fail: "✘", Skip: "–", Unver: "?"}

// Mark is the sign for a status: ✔, ✘, – or ?.
func (s Status) Mark() string {
	if m, ok := marks[s]; ok {
		return m
	}
	return marks[Unver]
}

func (d *document) rungs(r *Results) {
	_, reasons := rungsOf(r.Stages)
	seconds := map[string]float64{}
	for _, s := range r.Stages {
		seconds[RungOf(s.Name)] += s.Seconds
	}
	var rows [][]string
	for i, rung := range Rungs {
		status := r.Rungs[rung]
		if status == "" {
			status = Unver
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), rung, status.Mark() + " " + string(status), fmt.Sprintf("%.1f s", seconds[rung]), reasons[rung]})
	}
	d.section("Rungs")
	d.table([]string{"", "rung", "status", "took", "why"}, rows)
}

// tests lists what did not pass, the worst first, then remarks on what did.
func (d *document) tests(r *Results) {
	titles := []struct {
		status Status
		title  string
	}{{Fail, "Failed"}, {Unver, "Could not be told"}, {Skip, "Does not apply"}, {Pass, "Remarks"}}
	for _, t := range titles {
		var lines []string
		for _, s := range r.Stages {
			lines = append(lines, testLines(s, t.status)...)
		}
		if len(lines) > 0 {
			d.section(t.title)
			d.b.WriteString(strings.Join(lines, ""))
		}
	}
}

// testLines are the list items of a stage's tests that have a status. A stage
// that has it without any of its tests stands for itself.
func testLines(s Stage, status Status) []string {
	d := &document{}
	var lines []string
	item := func(name, reason, log string) {
		d.b.Reset()
		d.b.WriteString("- **" + markdownText(name) + "**")
		if reason != "" {
			d.b.WriteString(": " + markdownText(reason))
		}
		if log != "" {
			d.b.WriteString(" (log: " + markdownText(log) + ")")
		}
		lines = append(lines, d.b.String()+"\n")
	}
	for _, t := range s.Tests {
		known := t.Status
		if _, ok := marks[known]; !ok {
			known = Unver
		}
		if known == status && (status != Pass || t.Reason != "") {
			item(t.Name, t.Reason, t.Log)
		}
	}
	if len(lines) == 0 && s.Status == status && status != Pass {
		item("stage "+s.Name, s.Reason, "")
	}
	return lines
}

func (d *document) coverage(r *Results) {
	d.section("What is saved, and what proves it")
	if len(r.Coverage) == 0 {
		d.line("No volume was looked at.")
		return
	}
	var rows [][]string
	for _, c := range r.Coverage {
		saved := "no"
		if c.Saved {
			saved = "yes"
		}
		rows = append(rows, []string{c.Volume, c.Path, c.Service + ":" + c.Mount, saved, string(c.Proof), strings.Join(c.Probes, ", "), c.Label, c.Reason})
	}
	d.table([]string{"volume", "path", "mounted at", "saved", "proof", "probes", "label", "why"}, rows)
}

func (d *document) notices(r *Results) {
	if len(r.Notices) == 0 {
		return
	}
	d.section("Notices")
	for _, n := range r.Notices {
		d.line("- **%s** %s, %s: %s. Advice: %s", n.Severity, n.ID, n.Where, n.Text, n.Advice)
	}
}

func (d *document) backups(r *Results) {
	if len(r.Snapshots) == 0 {
		return
	}
	d.section("Snapshots")
	var rows [][]string
	for _, s := range r.Snapshots {
		rows = append(rows, []string{s.ID, fmt.Sprint(s.Files), fmt.Sprint(s.Bytes)})
	}
	d.table([]string{"id", "files", "bytes"}, rows)
	if r.Drill.Seconds > 0 {
		d.line("\nThe drill brought %s bytes back in %s seconds, from an empty machine to the last green check.", r.Drill.Bytes, r.Drill.Seconds)
	}
}

func (d *document) deviations(r *Results) {
	if len(r.Deviations) == 0 {
		return
	}
	d.section("Where this deployment differs from a plain one")
	for _, x := range r.Deviations {
		d.line("- deviation: %s", x)
	}
}

func (d *document) run(r *Results) {
	d.section("The run")
	rows := [][]string{
		{"run", r.RunID}, {"head", r.Head}, {"upgrade from", r.UpgradeFrom},
		{"started", r.Started.UTC().Format(time.RFC3339)}, {"took", r.duration().Round(time.Second).String()},
		{"tool", strings.TrimSpace(r.Tool.Version + " " + r.Tool.Commit)}, {"engine", r.Engine.Version},
		{"deployer, backup engine", r.Deployer + ", " + r.BackupEngine},
	}
	if r.PR > 0 {
		rows = append(rows, []string{"pull request", fmt.Sprint(r.PR)})
	}
	for _, service := range slices.Sorted(maps.Keys(r.Images)) {
		rows = append(rows, []string{"image of " + service, r.Images[service]})
	}
	d.table([]string{"", ""}, rows)
}
