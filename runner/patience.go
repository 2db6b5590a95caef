package runner

import (
	"context"
	"time"
)

type patienceKey struct{}

// WithPatience returns a context of which Outlast knows how long whoever waits
// is patient: until the end of patience. The end of ctx itself says only that
// the work is over, and leaves time to clear away.
func WithPatience(ctx, patience context.Context) context.Context {
	return context.WithValue(ctx, patienceKey{}, patience)
}

// Outlast is for clearing away: a context that goes on after ctx has ended, for
// at most limit, and only while whoever waits is patient.
func Outlast(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	patience, ok := ctx.Value(patienceKey{}).(context.Context)
	if !ok {
		return late, cancel
	}
	stop := context.AfterFunc(patience, cancel)
	return late, func() { stop(); cancel() }
}
