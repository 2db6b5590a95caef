package restic

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// stallTime is how long restic may go on without getting on. It writes where
// it is many times a second, and what it waits for is on this machine.
const stallTime = 3 * time.Minute

// errStalled is the cause of a context that a stall has ended.
var errStalled = errors.New("restic did not get on and was killed")

// progress is where restic says it is; times that pass are no progress.
type progress struct {
	FilesDone     int64 `json:"files_done"`
	BytesDone     int64 `json:"bytes_done"`
	FilesRestored int64 `json:"files_restored"`
	BytesRestored int64 `json:"bytes_restored"`
	FilesSkipped  int64 `json:"files_skipped"`
}

// A stall ends a restic that hangs: on a full disk it sometimes does, and
// says the same for hours.
type stall struct {
	limit time.Duration
	timer *time.Timer

	mu   sync.Mutex
	last progress
}

// watch returns a context that ends once restic has stalled for limit.
func watch(ctx context.Context, limit time.Duration) (context.Context, *stall, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stall{limit: limit}
	s.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	return ctx, s, func() {
		s.timer.Stop()
		cancel(nil)
	}
}

// line takes a line of restic's output. Only a status says whether it gets on;
// any other line is something new.
func (s *stall) line(line []byte) {
	var kind message
	var now progress
	if json.Unmarshal(line, &kind) == nil && kind.MessageType == "status" {
		json.Unmarshal(line, &now)
		s.mu.Lock()
		same := now == s.last
		s.last = now
		s.mu.Unlock()
		if same {
			return
		}
	}
	s.timer.Reset(s.limit)
}
