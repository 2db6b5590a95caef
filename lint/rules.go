package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	composetypes "github.com/docker/cli/cli/compose/types"

	"coopcloud.tech/abra-ccci/labels"
)

// rules are abra's, in the order of their ids.
var rules = []rule{
	{id: "R001", name: "compose config has expected version", severity: labels.Warning,
		fix: `ensure 'version: "3.8"' in compose configs`, check: expectedVersion},
	{id: "R002", name: "healthcheck enabled for all services", severity: labels.Warning,
		fix: "wire up healthchecks", check: healthchecks},
	{id: "R003", name: "all images use a tag", severity: labels.Warning,
		fix: "use a tag for all images", check: images(tagged)},
	{id: "R004", name: "no unstable tags", severity: labels.Warning,
		fix: "tag all images with stable tags", check: images(stable)},
	{id: "R005", name: "tags use semver-like format", severity: labels.Warning,
		fix: "use semver-like tags", check: images(semverLike)},
	{id: "R006", name: "has published catalogue version", severity: labels.Warning,
		fix: "publish a recipe version to the catalogue", check: published},
	{id: "R007", name: "README.md metadata filled in", severity: labels.Warning,
		fix: "fill out all the metadata", check: metadata},
	{id: "R008", name: ".env.sample provided", severity: labels.Error,
		fix: "create an example .env.sample", check: sample},
	{id: "R009", name: "one service named 'app'", severity: labels.Error,
		fix: "name a service 'app'", check: appService},
	{id: "R010", name: "traefik routing enabled", severity: labels.Error,
		fix: `include "traefik.enable=true" deploy label`, check: traefik, skip: notRouted},
	{id: "R011", name: "all services have images", severity: labels.Error,
		fix: `ensure "image: ..." set on all services`, check: hasImages},
	{id: "R012", name: "config version are vendored", severity: labels.Error,
		fix: "vendor config versions in an abra.sh", check: vendored},
	{id: "R013", name: "git.coopcloud.tech repo exists", severity: labels.Warning,
		fix: "upload your recipe to git.coopcloud.tech/coop-cloud/...", check: hosted},
	{id: "R014", name: "only annotated tags used for recipe version", severity: labels.Error,
		fix: "replace lightweight tag with annotated tag", check: annotated},
	{id: "R015", name: "long secret names", severity: labels.Warning,
		fix: "reduce length of secret names to 12 chars", check: shortSecrets},
}

// composeVersion is the one version that R001 is content with.
const composeVersion = "3.8"

func expectedVersion(s *subject) (bad []offence, err error) {
	if s.raw == nil {
		return nil, s.configErr
	}
	for _, f := range s.raw {
		if v := fmt.Sprint(f.dict["version"]); f.dict["version"] == nil {
			bad = append(bad, offence{f.name, "there is no version"})
		} else if v != composeVersion {
			bad = append(bad, offence{f.name, fmt.Sprintf("the version is %q", v)})
		}
	}
	return bad, nil
}

// eachService applies a check to every service of the merged configuration.
func eachService(s *subject, check func(composetypes.ServiceConfig) string) (bad []offence, err error) {
	if s.config == nil {
		return nil, s.configErr
	}
	for _, service := range s.config.Services {
		if what := check(service); what != "" {
			bad = append(bad, offence{"service " + service.Name, what})
		}
	}
	return bad, nil
}

func healthchecks(s *subject) ([]offence, error) {
	return eachService(s, func(c composetypes.ServiceConfig) string {
		switch {
		case c.HealthCheck == nil:
			return "there is no healthcheck"
		case c.HealthCheck.Disable:
			return "the healthcheck is disabled"
		}
		return ""
	})
}

// images makes a rule of a check of one image; "" is left to R011.
func images(check func(image string) string) func(*subject) ([]offence, error) {
	return func(s *subject) ([]offence, error) {
		return eachService(s, func(c composetypes.ServiceConfig) string {
			if c.Image == "" {
				return ""
			}
			return check(c.Image)
		})
	}
}

// imageTag is an image's tag; ok is false if it can't be read as an image.
func imageTag(image string) (tag string, digested, ok bool) {
	ref, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", false, false
	}
	if t, isTagged := ref.(reference.Tagged); isTagged {
		tag = t.Tag()
	}
	_, digested = ref.(reference.Digested)
	return tag, digested, true
}

func tagged(image string) string {
	switch tag, digested, ok := imageTag(image); {
	case !ok:
		return fmt.Sprintf("%q cannot be read as an image", image)
	case tag == "" && !digested:
		return fmt.Sprintf("%q has no tag", image)
	}
	return ""
}

// unstableTags are moved from one image to the next.
var unstableTags = []string{"latest", "nightly", "edge", "main", "master", "dev", "develop", "development", "unstable", "snapshot", "beta", "alpha", "next"}

func stable(image string) string {
	tag, digested, _ := imageTag(image)
	if tag == "" && !digested {
		return fmt.Sprintf("%q means latest, which moves", image)
	}
	if slices.Contains(unstableTags, tag) {
		return fmt.Sprintf("the tag of %q moves", image)
	}
	return ""
}

// semverTag is a number, more of them after dots, and words after dashes: 1.2.3, v15, 8.0-fpm.
var semverTag = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)*([._+-][0-9A-Za-z]+)*$`)

func semverLike(image string) string {
	if tag, _, _ := imageTag(image); !semverTag.MatchString(tag) {
		return fmt.Sprintf("the tag of %q is no version", image)
	}
	return ""
}

func published(s *subject) ([]offence, error) {
	return ask(s, s.Published, "catalogue", "it has no version of the recipe")
}

func hosted(s *subject) ([]offence, error) {
	return ask(s, s.Hosted, "git.coopcloud.tech", "it has no such repository")
}

func ask(s *subject, lookup func(string) (bool, error), where, what string) ([]offence, error) {
	if lookup == nil {
		return nil, errors.New("asks the network, which was not to be asked")
	}
	switch found, err := lookup(s.Checkout.Recipe); {
	case err != nil:
		return nil, fmt.Errorf("asking %s: %w", where, plain(err))
	case !found:
		return []offence{{where, what}}, nil
	}
	return nil, nil
}

// metadataFields are those that abra wants to be filled in.
var metadataFields = []string{"Category", "Image", "Healthcheck", "Backups", "Email", "SSO"}

var metadataLine = regexp.MustCompile(`(?m)^[*-] \*\*([A-Za-z]+)\*\*:[ \t]*(.*?)[ \t\r]*$`)

func metadata(s *subject) (bad []offence, err error) {
	const name = "README.md"
	data, err := readFile(s.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return []offence{{name, "there is none"}}, nil
	}
	if err != nil {
		return nil, err
	}
	_, block, found := strings.Cut(string(data), "<!-- metadata -->")
	block, _, closed := strings.Cut(block, "<!-- endmetadata -->")
	if !found || !closed {
		return []offence{{name, "there is no metadata block"}}, nil
	}
	filled := map[string]bool{}
	for _, m := range metadataLine.FindAllStringSubmatch(block, -1) {
		filled[m[1]] = m[2] != ""
	}
	for _, field := range metadataFields {
		if !filled[field] {
			bad = append(bad, offence{name, field + " is not filled in"})
		}
	}
	return bad, nil
}

func sample(s *subject) ([]offence, error) {
	_, err := readFile(s.files, ".env.sample")
	if errors.Is(err, fs.ErrNotExist) {
		return []offence{{".env.sample", "there is none"}}, nil
	}
	return nil, err
}

func appService(s *subject) ([]offence, error) {
	if s.config == nil {
		return nil, s.configErr
	}
	for _, service := range s.config.Services {
		if service.Name == "app" {
			return nil, nil
		}
	}
	return []offence{{"services", "none is named app"}}, nil
}

// notRouted is abra's own condition for skipping R010.
func notRouted(s *subject) string {
	if _, ok := s.Checkout.Sample.Lookup("DOMAIN"); ok {
		return ""
	}
	if _, err := readFile(s.files, ".env.sample"); err != nil {
		return "" // nothing says that it is not routed
	}
	return ".env.sample has no DOMAIN: the app is not reached from outside"
}

func traefik(s *subject) ([]offence, error) {
	if s.config == nil {
		return nil, s.configErr
	}
	for _, service := range s.config.Services {
		if service.Deploy.Labels["traefik.enable"] == "true" {
			return nil, nil
		}
	}
	return []offence{{"services", "none has the deploy label traefik.enable=true"}}, nil
}

func hasImages(s *subject) ([]offence, error) {
	return eachService(s, func(c composetypes.ServiceConfig) string {
		if c.Image == "" {
			return "there is no image, with the values of .env.sample"
		}
		return ""
	})
}

// configVersion finds the variables that version a config's name.
var configVersion = regexp.MustCompile(`\$\{?([A-Za-z0-9_]+_VERSION)\b`)

func vendored(s *subject) (bad []offence, err error) {
	if s.raw == nil {
		return nil, s.configErr
	}
	for _, f := range s.raw {
		configs, _ := f.dict["configs"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(configs)) {
			config, _ := configs[name].(map[string]any)
			text, _ := config["name"].(string)
			for _, m := range configVersion.FindAllStringSubmatch(text, -1) {
				if what := unvendored(s, m[1]); what != "" {
					bad = append(bad, offence{"config " + name, what})
				}
			}
		}
	}
	return bad, nil
}

func unvendored(s *subject, variable string) string {
	if s.Checkout.Exports[variable] != "" {
		return ""
	}
	if slices.Contains(s.Checkout.Computed, variable) {
		return fmt.Sprintf("abra.sh computes %s, where a plain value is wanted", variable)
	}
	return fmt.Sprintf("abra.sh does not export %s", variable)
}

func annotated(s *subject) (bad []offence, err error) {
	for _, t := range s.Tags {
		if t.IsVersion && !t.Annotated {
			bad = append(bad, offence{"tag " + t.Name, "it is lightweight"})
		}
	}
	return bad, nil
}

// maxSecret is abra's limit, in bytes: Docker's 64 minus a stack's name and a version.
const maxSecret = 12

func shortSecrets(s *subject) (bad []offence, err error) {
	if s.config == nil {
		return nil, s.configErr
	}
	for _, name := range slices.Sorted(maps.Keys(s.config.Secrets)) {
		if len(name) > maxSecret {
			bad = append(bad, offence{"secret " + name, fmt.Sprintf("longer than %d characters", maxSecret)})
		}
	}
	return bad, nil
}
