package review

import (
	"fmt"
	"strings"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/runner"
)

// maxComment bounds a comment, in bytes: forges take 64 KiB or less.
const maxComment = 48 << 10

// Comment is what a pull request is told, as Markdown: the verdict, what is wrong
// and what would mend it, and where in the ledger it stands. Nothing that the
// pull request says becomes markup in it.
func Comment(c ledger.Content, r ledger.Receipt, moved bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s %s\n\n%s\n\n", c.Claim, c.Verdict, quiet(c.Summary))
	fmt.Fprintf(&b, "About commit `%s`", c.Head)
	if moved {
		b.WriteString(", which is no longer the head: what came after it was not looked at")
	}
	b.WriteString(".\n\n")
	for _, check := range c.Checks {
		fmt.Fprintf(&b, "- %s %s\n", runner.Status(check.Status).Mark(), quiet(check.Text))
	}
	for _, f := range r.Entry.Opened {
		fmt.Fprintf(&b, "\n**%s** %s\n\n%s\n", f.ID, quiet(f.Title), quiet(f.Text))
	}
	if len(c.Closed) > 0 {
		fmt.Fprintf(&b, "\nClosed: %s\n", list(c.Closed))
	}
	text := b.String()
	if len(text) > maxComment {
		text = strings.ToValidUTF8(text[:maxComment], "") + "\n\n… the rest is in the ledger\n"
	}
	return text + fmt.Sprintf("\nLedger entry %s, size %d, root `%s`.\n", r.Entry.Number(), r.Checkpoint.Size, r.Checkpoint.Root)
}

// quiet takes from neutral text what would call people: a forge looks for
// mentions where Markdown has none.
func quiet(s string) string { return strings.ReplaceAll(s, "@", "@\u2060") }

// StatusOf is the commit status of a verdict.
func StatusOf(c ledger.Content, url string) CommitStatus {
	s := CommitStatus{State: StateError, Context: "abra-ccci/review/" + c.Claim, Description: string(c.Verdict) + ": " + c.Summary, URL: url}
	switch c.Verdict {
	case ledger.Pass:
		s.State = StateSuccess
	case ledger.Fail:
		s.State = StateFailure
	}
	if r := []rune(s.Description); len(r) > 140 {
		s.Description = string(r[:139]) + "…"
	}
	return s
}
