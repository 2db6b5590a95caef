package runner

import (
	"testing"
	"testing/synctest"
	"time"
)

// Two intervals that overlap count twice among the parts, and once in what is
// left for the tool itself.
func TestMeterCountsOverlapOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		start := time.Now()
		time.Sleep(1 * time.Second)
		deployed := m.begin(deploying)
		time.Sleep(2 * time.Second)
		asked := m.begin(executing)
		time.Sleep(3 * time.Second)
		deployed()
		time.Sleep(4 * time.Second)
		asked()
		time.Sleep(5 * time.Second)
		m.begin(backingUp) // never closed: it does not count
		got := m.spent(time.Since(start))
		if want := (Spent{Total: 15, Deploy: 5, Exec: 7, Own: 6}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
