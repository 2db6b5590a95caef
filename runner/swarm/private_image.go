package swarm

import (
	"context"
	"fmt"
	"io"

	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
)

// CopyImage copies a local image from one engine to another, for a private
// engine that can't pull it. It goes through memory in pieces, never as a
// whole. Its id stays; its registry digest does not come along.
func CopyImage(ctx context.Context, from, to *client.Client, ref string) error {
	saved, err := from.ImageSave(ctx, []string{ref})
	if err != nil {
		return fmt.Errorf("copy image %q: %w", ref, err)
	}
	defer saved.Close()
	loaded, err := to.ImageLoad(ctx, saved, client.ImageLoadWithQuiet(true))
	if err != nil {
		return fmt.Errorf("copy image %q: %w", ref, err)
	}
	defer loaded.Body.Close()
	if !loaded.JSON {
		_, err = io.Copy(io.Discard, loaded.Body)
	} else {
		err = jsonmessage.DisplayJSONMessagesStream(loaded.Body, io.Discard, 0, false, nil)
	}
	if err != nil {
		return fmt.Errorf("copy image %q: %w", ref, err)
	}
	return nil
}
