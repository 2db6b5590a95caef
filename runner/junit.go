package runner

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"
)

// The elements of JUnit XML that CI systems agree on.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Suites  []junitSuite `xml:"testsuite"`
		junitCounts
	}
	junitSuite struct {
		Name       string           `xml:"name,attr"`
		Timestamp  string           `xml:"timestamp,attr"`
		Time       string           `xml:"time,attr"`
		Properties *junitProperties `xml:"properties"`
		Cases      []junitCase      `xml:"testcase"`
		junitCounts
	}
	junitCounts struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	junitProperties struct {
		All []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitOutcome `xml:"failure"`
		Error   *junitOutcome `xml:"error"`
		Skipped *junitOutcome `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitOutcome struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the results as JUnit XML: a test suite for each stage, and one
// named ladder with the rungs, the flags and, as properties, what the run was,
// so that a run that was cut short is not green. A status that is not pass, fail or skip becomes an error.
func JUnit(w io.Writer, r *Results) error {
	doc := junitSuites{Name: Printable("abra-ccci " + r.Recipe), Time: junitSeconds(r.duration().Seconds())}
	suites := append([]junitSuite{junitLadder(r)}, junitStages(r)...)
	for _, s := range suites {
		for _, c := range s.Cases {
			s.count(c)
			doc.count(c)
		}
		doc.Suites = append(doc.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// duration is how long the run took; 0 while it goes on.
func (r *Results) duration() time.Duration { return max(0, r.Finished.Sub(r.Started)) }

func (n *junitCounts) count(c junitCase) {
	n.Tests++
	switch {
	case c.Failure != nil:
		n.Failures++
	case c.Error != nil:
		n.Errors++
	case c.Skipped != nil:
		n.Skipped++
	}
}

// junitLadder has a case for each rung and flag, whether it was reached or
// not, and before them one for the machine if that had a fault.
func junitLadder(r *Results) junitSuite {
	s := junitSuite{Name: "ladder", Timestamp: junitTime(r.Started), Time: junitSeconds(r.duration().Seconds()), Properties: propertiesOf(r)}
	if f := r.Fault; f.Stage != "" {
		s.Cases = append(s.Cases, junitTest(r, s.Name, Test{Name: "machine", Status: Unver, Reason: f.Stage + ": " + f.Reason}))
	}
	_, reasons := rungsOf(r.Stages)
	for _, rung := range Rungs {
		s.Cases = append(s.Cases, junitTest(r, s.Name, Test{Name: "rung_" + rung, Status: r.Rungs[rung], Reason: reasons[rung]}))
	}
	for _, flag := range r.flags() {
		s.Cases = append(s.Cases, junitTest(r, s.Name, Test{Name: "flag_" + flag.name, Status: flag.status}))
	}
	return s
}

// junitStages has a suite for each stage. A stage that is worse than its
// tests, or has none, gets a case of its own.
func junitStages(r *Results) []junitSuite {
	var suites []junitSuite
	for _, stage := range r.Stages {
		s := junitSuite{Name: Printable(stage.Name), Timestamp: junitTime(stage.Started), Time: junitSeconds(stage.Seconds)}
		seen := Pass
		for _, t := range stage.Tests {
			s.Cases = append(s.Cases, junitTest(r, stage.Name, t))
			if worse(t.Status, seen) {
				seen = t.Status
			}
		}
		if len(stage.Tests) == 0 || worse(stage.Status, seen) {
			whole := Test{Name: stage.Name + "_stage", Status: stage.Status, Reason: stage.Reason}
			s.Cases = append(s.Cases, junitTest(r, stage.Name, whole))
		}
		suites = append(suites, s)
	}
	return suites
}

func junitTest(r *Results, stage string, t Test) junitCase {
	c := junitCase{Class: Printable(r.Recipe + "." + stage), Name: Printable(t.Name), Time: junitSeconds(float64(t.MS) / 1000)}
	outcome := &junitOutcome{Message: Printable(t.Reason), Text: PrintableLines(t.Reason)}
	if t.Log != "" {
		outcome.Text += "\nlog: " + Printable(t.Log)
	}
	switch t.Status {
	case Pass:
		c.Out = PrintableLines(t.Reason) // a remark
	case Fail:
		c.Failure = outcome
	case Skip:
		c.Skipped = outcome
	default:
		c.Error = outcome
	}
	return c
}

func propertiesOf(r *Results) *junitProperties {
	props := []junitProperty{
		{"run_id", r.RunID}, {"recipe", r.Recipe}, {"version", r.Version}, {"head", r.Head},
		{"level", strconv.Itoa(r.Level)}, {"level_reason", r.LevelReason}, {"interrupted", strconv.FormatBool(r.Interrupted)},
		{"fault", r.Fault.Reason},
	}
	for _, flag := range r.flags() {
		props = append(props, junitProperty{flag.name, string(flag.status)})
	}
	for i := range props {
		props[i].Value = Printable(props[i].Value)
	}
	return &junitProperties{props}
}

type namedStatus struct {
	name   string
	status Status
}

// flags lists the flags under the names that results.json gives them.
func (r *Results) flags() []namedStatus {
	return []namedStatus{{"clean_teardown", r.Flags.CleanTeardown}, {"no_secret_leak", r.Flags.NoSecretLeak}}
}

func junitSeconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// junitTime writes a time as the format wants it: without a zone, in UTC.
func junitTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") }
