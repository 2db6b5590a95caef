package recipe

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	composetypes "github.com/docker/cli/cli/compose/types"

	"coopcloud.tech/abra-ccci/labels"
)

// Docker's limits for names, in bytes.
const (
	maxServiceName = 63 // also a DNS label
	maxObjectName  = 64
)

var (
	serviceForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_-]*[a-zA-Z0-9])?$`)
	objectForm  = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9_.-]*[a-zA-Z0-9])?$`)
)

// A NamesError lists all names of a stack that Docker would not take.
type NamesError struct {
	Offenders []string // one sentence each
}

func (e *NamesError) Error() string {
	return "names that docker does not take: " + strings.Join(e.Offenders, "; ")
}

// Hint is what to do about it.
func (e *NamesError) Hint() string {
	return "give services, volumes, networks, secrets and configs shorter or plainer names in the compose files"
}

// CheckNames tells which names of the stack, as Docker will know them, are
// longer than Docker allows or hold what it does not: before anything is
// deployed, as the engine's own words come late and one at a time. The error
// is a *NamesError.
func CheckNames(stack *labels.Stack) error {
	var offenders []string
	for _, n := range objectNames(stack) {
		limit, form := maxObjectName, objectForm
		if n.kind == "service" {
			limit, form = maxServiceName, serviceForm
		}
		switch {
		case len(n.name) > limit:
			offenders = append(offenders, fmt.Sprintf("%s %q has %d characters, at most %d are allowed", n.kind, n.name, len(n.name), limit))
		case !form.MatchString(n.name):
			offenders = append(offenders, fmt.Sprintf("%s %q holds characters that are not allowed", n.kind, n.name))
		}
	}
	if len(offenders) > 0 {
		return &NamesError{Offenders: offenders}
	}
	return nil
}

type objectName struct{ kind, name string }

// objectNames are the names of everything that a deployment creates, by kind
// and name.
func objectNames(stack *labels.Stack) (names []objectName) {
	add := func(kind, key, explicit string) {
		if explicit == "" {
			explicit = stack.Name + "_" + key
		}
		names = append(names, objectName{kind, explicit})
	}
	for _, s := range stack.Services {
		add("service", s.Name, "")
	}
	cfg := stack.Compose
	if cfg == nil {
		cfg = &composetypes.Config{}
		for _, v := range stack.Volumes {
			add("volume", v, "")
		}
	}
	for key, v := range cfg.Volumes {
		if !v.External.External {
			add("volume", key, v.Name)
		}
	}
	for key, n := range cfg.Networks {
		if !n.External.External {
			add("network", key, n.Name)
		}
	}
	for key, s := range cfg.Secrets {
		add("secret", key, s.Name) // external ones too: the run creates them
	}
	for key, c := range cfg.Configs {
		if !c.External.External {
			add("config", key, c.Name)
		}
	}
	slices.SortFunc(names, func(a, b objectName) int {
		return strings.Compare(a.kind+" "+a.name, b.kind+" "+b.name)
	})
	return names
}
