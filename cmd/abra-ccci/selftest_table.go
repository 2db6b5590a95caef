package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"coopcloud.tech/abra-ccci/canary"
	"coopcloud.tech/abra-ccci/runner"
)

// reasonWidth is how much of a reason the table shows, in characters.
const reasonWidth = 72

// print writes the table, and below it what is not proven and why.
func (t *selftest) print(w io.Writer, took time.Duration) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "canary\trung\ttest\tstatus\tproven\treason")
	proven := 0
	for _, r := range t.rows {
		mark := "NO"
		if r.verdict.Outcome == canary.Proven {
			mark = "yes"
			proven++
		}
		got := r.verdict.Got
		if r.good {
			got = canary.Finding{Rung: "all five", Test: "-", Status: runner.Pass, Reason: "a good recipe"}
			if mark == "NO" {
				got.Status, got.Reason = "-", ""
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", r.canary.Name, got.Rung, got.Test, got.Status, mark, excerpt(runner.Printable(got.Reason), r.canary.Want.Reason))
	}
	err := tw.Flush()
	for _, r := range t.rows {
		if r.verdict.Outcome == canary.Proven {
			continue
		}
		fmt.Fprintf(w, "%s: %s: %s\n", r.verdict.Outcome, r.canary.Name, runner.Printable(r.verdict.Why))
		if r.folder != "" {
			fmt.Fprintf(w, "  its run: %s\n", r.folder)
		}
	}
	fmt.Fprintf(w, "%d of %d proven in %s\n", proven, len(t.rows), clock(took))
	return err
}

// excerpt is the part of a text that the words are in.
func excerpt(text, words string) string {
	r := []rune(text)
	if len(r) <= reasonWidth {
		return text
	}
	from := 0
	if i := strings.Index(text, words); i > 0 {
		at := len([]rune(text[:i]))
		if end := at + len([]rune(words)); end > reasonWidth-1 {
			from = min(at-1, len(r)-reasonWidth+1)
		}
	}
	to := min(len(r), from+reasonWidth-1)
	cut := string(r[from:to])
	if from > 0 {
		cut = "…" + string(r[from+1:to])
	}
	if to < len(r) {
		cut += "…"
	}
	return cut
}

// selftestRecord is what --json prints.
type selftestRecord struct {
	Tool    runner.Tool       `json:"tool"`
	Engine  runner.EngineInfo `json:"engine"`
	Seconds float64           `json:"seconds"`
	Rows    []rowRecord       `json:"rows"`
}

// rowRecord is a row of the table.
type rowRecord struct {
	Canary  string         `json:"canary"`
	Wrong   string         `json:"wrong"` // empty: a good recipe
	Of      string         `json:"of"`    // the good recipe that it was planted in
	Rung    string         `json:"rung"`
	Test    string         `json:"test"`
	Status  runner.Status  `json:"status"`
	Reason  string         `json:"reason"`
	Outcome canary.Outcome `json:"outcome"`
	Why     string         `json:"why"`    // unless it is proven
	Folder  string         `json:"folder"` // of the run, if it is not proven
	Seconds float64        `json:"seconds"`
}

// encode writes the table as JSON.
func (t *selftest) encode(w io.Writer, took time.Duration) error {
	rec := selftestRecord{Tool: build(), Engine: runner.EngineInfo{Version: t.site.facts.Version}, Seconds: took.Round(time.Millisecond).Seconds(), Rows: []rowRecord{}}
	for _, r := range t.rows {
		got := r.verdict.Got
		rec.Rows = append(rec.Rows, rowRecord{
			Canary: r.canary.Name, Wrong: r.canary.Wrong, Of: r.canary.Of, Rung: got.Rung, Test: got.Test, Status: got.Status, Reason: got.Reason,
			Outcome: r.verdict.Outcome, Why: r.verdict.Why, Folder: r.folder, Seconds: r.took.Round(time.Millisecond).Seconds(),
		})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(rec)
}
