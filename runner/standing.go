package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// trusted turns a miss into an error where it proves nothing: while a service
// of the stack is down, or has only just come back, the app may say "not
// found" of data that is all there.
func (x *exerciser) trusted(ctx context.Context, r reply) reply {
	if r.answer != misses || x.standing == nil {
		return r
	}
	st, err := x.standing(ctx)
	switch {
	case err != nil:
		return failed(err)
	case len(st.Down) == 0:
		return r
	}
	return reply{answer: broken, reason: fmt.Sprintf("%s, but that proves nothing: %s", r.reason, falls(st.Down))}
}

// falls puts into words what is not up.
func falls(all []Fall) string {
	var out []string
	for _, f := range all {
		out = append(out, fmt.Sprintf("service %s: %s", f.Service, f.Reason))
	}
	return strings.Join(out, "; ")
}

// newFalls lists what has fallen since it was last asked.
func (r *Run) newFalls(ctx context.Context) ([]Fall, error) {
	if r.Standing == nil || r.running == nil {
		return nil, nil
	}
	st, err := r.Standing(ctx)
	if err != nil {
		return nil, err
	}
	var out []Fall
	for _, f := range st.Fallen {
		known := r.told[f.Service]
		r.told[f.Service] = f.Count
		if f.Count > known {
			f.Count -= known
			out = append(out, f)
		}
	}
	return out, nil
}

// staysUp fails if a task of the stack has ended by itself since the stack
// converged, or since it was last asked: what starts and then crashes is not running.
func (r *Run) staysUp(ctx context.Context) error {
	fell, err := r.newFalls(ctx)
	if err != nil || len(fell) == 0 {
		return err
	}
	return fmt.Errorf("after the stack had converged, %s", fellHow(fell))
}

// mayFall notes what has fallen where we ourselves may be the cause: data was
// wiped or restored under a running app, or a hook stops it.
func (r *Run) mayFall(ctx context.Context) error {
	fell, err := r.newFalls(ctx)
	if err != nil || len(fell) == 0 {
		return err
	}
	return note("while its data changed, " + fellHow(fell))
}

func fellHow(fell []Fall) string {
	var out []string
	for _, f := range fell {
		tasks, self := "a task", "itself"
		if f.Count > 1 {
			tasks, self = fmt.Sprintf("%d tasks", f.Count), "themselves"
		}
		out = append(out, fmt.Sprintf("%s of service %s ended by %s: %s", tasks, f.Service, self, f.Reason))
	}
	return strings.Join(out, "; ")
}

// wipedFrom proves that a wipe removed data and did not just stop who would
// show it: what ran before runs after. before is how the stack stood then.
func (r *Run) wipedFrom(ctx context.Context, before Standing, p *tracked) error {
	if r.Standing == nil {
		return nil
	}
	after, err := r.Standing(ctx)
	if err != nil {
		return err
	}
	for _, service := range before.Running {
		if !slices.Contains(after.Running, service) {
			return unver("the wipe left service %s without a task, so that nothing can be said of its data", service)
		}
	}
	if count(after.Fallen) > count(before.Fallen) {
		return r.ex.absent(ctx, p) // asked of what was about to end, perhaps: once more
	}
	return nil
}

func count(all []Fall) (n int) {
	for _, f := range all {
		n += f.Count
	}
	return n
}

// stood is how the stack stands now; empty if nobody can tell.
func (r *Run) stood(ctx context.Context) (Standing, error) {
	if r.Standing == nil {
		return Standing{}, nil
	}
	return r.Standing(ctx)
}
