package swarm

import (
	"context"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
)

// RunOnce runs one command in a container of the helper image, without
// network, and removes it: how the engine's own kernel and the image itself
// are asked, before there is an app.
func RunOnce(ctx context.Context, cli client.APIClient, image string, argv []string) (runner.Output, error) {
	a := &App{Options: Options{Client: cli, Helper: Helper{Image: image}}, cli: cli}
	return a.runHelper(ctx, "once", argv, &container.HostConfig{NetworkMode: "none"})
}
