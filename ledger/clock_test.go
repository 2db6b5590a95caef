package ledger

import (
	"errors"
	"testing"
	"time"
)

// A clock that is a little behind is another machine's; one that runs
// backwards is refused, and times in the log never go back.
func TestClock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	start := b.now
	b.now = start.Add(-4 * time.Minute)
	if r := b.append(b.builder, claim("skewed")); !r.Entry.Time.Equal(start) {
		t.Errorf("time %v, want that of the entry before, %v", r.Entry.Time, start)
	}
	b.now = start.Add(-6 * time.Minute)
	var clock *ClockError
	if _, err := b.tryAppend(b.builder, claim("yesterday")); !errors.As(err, &clock) {
		t.Errorf("a clock that ran backwards: %v", err)
	}
	must(t, b.verify())
}
