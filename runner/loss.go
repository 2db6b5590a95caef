package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/labels"
)

// outsideTest looks at what tasks hold outside named volumes now that data was
// seeded: a deployment that has just begun holds nothing there yet. It passes
// whatever it finds, since scratch files are no loss; what it found may
// explain one.
func (r *Run) outsideTest(ctx context.Context) error {
	if r.Outside == nil {
		return nil
	}
	found, err := r.Outside(ctx)
	if err != nil {
		return err
	}
	r.outside, r.looked = found, true
	var words []string
	for _, o := range found {
		r.notice(outsideNotice(o))
		words = append(words, o.words())
	}
	if len(words) == 0 {
		return nil
	}
	return note("no backup sees " + strings.Join(words, ", "))
}

// words say where something is that no backup sees.
func (o Outside) words() string {
	kind := o.Kind
	if kind == "layer" {
		kind = "the container's writable layer"
	}
	return fmt.Sprintf("%s of service %s (%s)", o.Path, o.Service, kind)
}

// lost adds to the error of a probe whose data did not come back what may
// explain it: that no label saves what the probe covers, and what the app
// writes where no backup looks.
func (r *Run) lost(plan *labels.Plan, p *tracked, err error) error {
	var infra *InfraError
	var u *undecided
	if err == nil || errors.As(err, &infra) || errors.As(err, &u) {
		return err
	}
	var words []string
	for _, cover := range r.unsaved(plan, p) {
		words = append(words, fmt.Sprintf("no label saves %s, which it covers", cover))
	}
	for _, o := range r.outside {
		if p.uses(o.Service) {
			words = append(words, "the app writes to "+o.words()+", which no backup sees")
		}
	}
	if len(words) == 0 {
		return err
	}
	return fmt.Errorf("%w; %s", err, strings.Join(words, "; "))
}

// unsaved lists the covers of a probe of which nothing is saved.
func (r *Run) unsaved(plan *labels.Plan, p *tracked) []string {
	var out []string
	for _, cover := range p.Covers {
		c, err := coverOf(r.running.Stack, cover)
		if err == nil && !slices.ContainsFunc(plan.Saved(), c.touches) {
			out = append(out, cover)
		}
	}
	return out
}

// uses tells whether a probe has anything to do with a service.
func (p Probe) uses(service string) bool {
	steps := slices.Concat(p.Seed, p.Check, p.Wipe)
	return slices.ContainsFunc(steps, func(st Step) bool { return st.Service == service }) ||
		slices.ContainsFunc(p.Covers, func(c string) bool { return strings.HasPrefix(c, service+":") })
}
