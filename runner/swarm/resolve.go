package swarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/jsonmessage"
	"golang.org/x/sync/errgroup"

	"coopcloud.tech/abra-ccci/runner"
)

// images remembers what each image name was resolved to, so that a name means
// the same bytes all through a run.
type images struct {
	mu    sync.Mutex
	known map[string]string
}

// pin resolves names to what services are given: name@digest where a registry
// knows the image, the image's id where only this engine does. What is absent
// is pulled. The error names every image that is not to be had.
func (a *App) pin(ctx context.Context, names []string) (map[string]string, error) {
	var mu sync.Mutex
	pinned, missing := map[string]string{}, map[string]error{}
	var g errgroup.Group
	g.SetLimit(4)
	for _, name := range names {
		g.Go(func() error {
			ref, err := a.pinOne(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			pinned[name] = ref
			if err != nil {
				missing[name] = err
			}
			return nil
		})
	}
	g.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("resolve images: %w", ctx.Err())
	}
	return pinned, notToBeHad(missing)
}

func notToBeHad(missing map[string]error) error {
	if len(missing) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(missing))
	var quoted, reasons []string
	for _, n := range names {
		quoted = append(quoted, fmt.Sprintf("%q", n))
		reasons = append(reasons, strings.TrimSpace(missing[n].Error()))
	}
	return &runner.InfraError{
		Op:   "image not to be had: " + strings.Join(quoted, ", "),
		Hint: "docker pull " + names[0],
		Err:  errors.New(strings.Join(slices.Compact(reasons), "; ")),
	}
}

func (a *App) pinOne(ctx context.Context, name string) (string, error) {
	a.images.mu.Lock()
	ref, ok := a.images.known[name]
	a.images.mu.Unlock()
	if ok {
		return ref, nil
	}
	img, err := a.cli.ImageInspect(ctx, name)
	if cerrdefs.IsNotFound(err) {
		if err := a.pull(ctx, name); err != nil {
			return "", err
		}
		img, err = a.cli.ImageInspect(ctx, name)
	}
	if err != nil {
		return "", err
	}
	ref = pinnedRef(name, img)
	a.images.mu.Lock()
	defer a.images.mu.Unlock()
	if a.images.known == nil {
		a.images.known = map[string]string{}
	}
	a.images.known[name] = ref
	return ref, nil
}

// pinnedRef is name with the digest that its own repository knows the image
// by, or else the image's id.
func pinnedRef(name string, img image.InspectResponse) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return img.ID // name was an id
	}
	if _, ok := named.(reference.Canonical); ok {
		return name
	}
	for _, d := range img.RepoDigests {
		known, err := reference.ParseNormalizedNamed(d)
		if err != nil || known.Name() != named.Name() {
			continue
		}
		if c, ok := known.(reference.Canonical); ok {
			if full, err := reference.WithDigest(reference.TagNameOnly(named), c.Digest()); err == nil {
				return reference.FamiliarString(full)
			}
		}
	}
	return img.ID
}

func (a *App) pull(ctx context.Context, name string) error {
	runner.Waiting(ctx, "pulling "+name)
	fmt.Fprintf(runner.StepLog(ctx), "pull %s\n", name)
	auth, err := a.RegistryAuth(name)
	if err != nil {
		return err
	}
	body, err := a.cli.ImagePull(ctx, name, image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer body.Close()
	return pullResult(body)
}

// pullResult reads a pull's progress to its end, where an error may be.
func pullResult(r io.Reader) error {
	for dec := json.NewDecoder(r); ; {
		var m jsonmessage.JSONMessage
		switch err := dec.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case m.Error != nil:
			return m.Error
		}
	}
}

// configuredAuth reads credentials as docker does, helpers included.
func configuredAuth(name string) (string, error) {
	return command.RetrieveAuthTokenFromImage(config.LoadDefaultConfigFile(os.Stderr), name)
}
