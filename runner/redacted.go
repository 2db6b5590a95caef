package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// redacted returns a copy of r without the secrets of v. They are taken out of
// what others wrote, before anything is made of it: not out of this tool's own
// words, nor out of finished JSON, XML or Markdown, whose names and marks a
// secret may be like; and a value that is escaped already might not be found.
func (r *Results) redacted(v *Vault) (*Results, error) {
	var plain bytes.Buffer
	if err := r.Encode(&plain); err != nil {
		return nil, err
	}
	var clean Results
	if err := json.Unmarshal(plain.Bytes(), &clean); err != nil {
		return nil, fmt.Errorf("copy the results: %w", err)
	}
	clean.foreign(v.Redact)
	clean.LevelReason = v.Redact(clean.LevelReason) // made of what others wrote
	for rung, reason := range clean.Skips.Intentional {
		clean.Skips.Intentional[rung] = v.Redact(reason)
	}
	return &clean, nil
}

// leaks lists the secrets of v in what others wrote.
func (r *Results) leaks(v *Vault) []Leak {
	var all []Leak
	r.foreign(func(s string) string {
		all = append(all, v.Find(s)...)
		return s
	})
	return all
}

// foreign puts f(s) in the place of every text s in r that others wrote.
func (r *Results) foreign(f func(string) string) {
	each := func(texts ...*string) {
		for _, t := range texts {
			*t = f(*t)
		}
	}
	each(&r.Recipe, &r.Version, &r.UpgradeFrom, &r.Engine.Version, &r.Fault.Reason, &r.Fault.Hint)
	images := map[string]string{}
	for service, image := range r.Images {
		images[f(service)] = f(image)
	}
	r.Images = images
	for i := range r.Stages {
		s := &r.Stages[i]
		each(&s.Reason)
		for j := range s.Tests {
			each(&s.Tests[j].Reason)
		}
	}
	for i := range r.Coverage {
		c := &r.Coverage[i]
		each(&c.Volume, &c.Path, &c.Service, &c.Mount, &c.Label, &c.Reason)
		for j := range c.Probes {
			each(&c.Probes[j])
		}
	}
	for i := range r.Notices {
		n := &r.Notices[i]
		each(&n.Where, &n.Text)
	}
	for i := range r.Lint.Rules {
		each(&r.Lint.Rules[i].Where, &r.Lint.Rules[i].Reason)
	}
	for i := range r.Deviations {
		each(&r.Deviations[i])
	}
}
