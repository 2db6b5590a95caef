package restic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

// A hanging restic is one that goes on saying where it is until it is killed.
// The real one hangs now and then on a full disk, and can't be made to.
type hanging struct {
	status func(n int) string
	lines  int // after so many it ends well; 0: never
}

func (h hanging) Stream(ctx context.Context, _ []string, _ io.Reader, stdout io.Writer) (int, []byte, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; h.lines == 0 || n <= h.lines; n++ {
		fmt.Fprintln(stdout, h.status(n))
		select {
		case <-ctx.Done():
			return 0, []byte("Save(<data/1>) failed: no space left on device\n"), fmt.Errorf("killed: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return 0, nil, nil
}

func TestStalledResticIsKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(hanging{status: func(n int) string {
			return fmt.Sprintf(`{"message_type":"status","seconds_elapsed":%d,"bytes_done":7}`, n)
		}}, nil)
		began := time.Now()
		_, err := e.run(t.Context(), ignore, "backup")
		var infra *runner.InfraError
		if !errors.As(err, &infra) || !strings.Contains(err.Error(), "did not get on") || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("error is %v", err)
		}
		if took := time.Since(began).Round(time.Second); took < stallTime || took > stallTime+time.Second {
			t.Errorf("killed after %v", took)
		}
	})
}

// However long it takes, one that gets on is left alone.
func TestSlowResticIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(hanging{func(n int) string { return fmt.Sprintf(`{"message_type":"status","bytes_done":%d}`, n) }, 1000}, nil)
		if r, err := e.run(t.Context(), ignore, "backup"); err != nil || r.exit != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
