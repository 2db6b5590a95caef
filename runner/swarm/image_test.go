package swarm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
)

// dropsOtherBuilds proves which helper images go: those of other builds that
// no container has, and nothing else. The engine has the one that is kept.
func dropsOtherBuilds(t *testing.T, c *client.Client, tool, kept string) {
	used, unused := anotherBuild(t, c, tool, 1), anotherBuild(t, c, tool, 2)
	importFile(t, c, "somebody/elses:1", "file", tool)
	_, err := c.ContainerCreate(t.Context(), &container.Config{Image: used}, nil, nil, nil, "holds-it")
	ok(t, err)
	if removed, err := DropHelperImages(t.Context(), c, kept, time.Hour); err != nil || len(removed) > 0 {
		t.Errorf("within the hour: %v, %v", removed, err)
	}
	removed, err := DropHelperImages(t.Context(), c, kept, 0)
	ok(t, err)
	if said := strings.Join(removed, "\n"); !strings.Contains(said, "ccci/helper:") || !strings.Contains(said, unused[:19]) {
		t.Errorf("removed %v, does not name %s", removed, unused)
	}
	has := func(ref string) bool {
		id, err := imageID(t.Context(), c, ref)
		ok(t, err)
		return id != ""
	}
	if got, want := []bool{has(kept), has(used), has(unused), has("somebody/elses:1")}, []bool{true, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("kept, used, unused, another's are there: %v, want %v", got, want)
	}
	ok(t, c.ContainerRemove(t.Context(), "holds-it", container.RemoveOptions{}))
}

func anotherBuild(t *testing.T, c *client.Client, tool string, n byte) (id string) {
	t.Helper()
	b, err := os.ReadFile(tool)
	ok(t, err)
	other := filepath.Join(t.TempDir(), "tool")
	ok(t, os.WriteFile(other, append(b, 'b', n), 0o755))
	id, err = HelperImage(t.Context(), c, other, "../../build/restic")
	ok(t, err)
	return id
}

// buildsItAgain proves that a run whose image was removed gets another one.
func buildsItAgain(t *testing.T, c *client.Client, id string) {
	o := Options{Client: c, RunID: "again", HostID: "again", Stack: "again", Deadline: time.Now().Add(time.Hour)}
	o.Helper = Helper{Image: "sha256:" + strings.Repeat("0", 64)}
	helps := func() error {
		app, err := New(o)
		ok(t, err)
		defer app.Close(context.Background())
		out, err := app.runHelper(t.Context(), "test", []string{"/restic", "version"}, &container.HostConfig{})
		if err == nil && out.Exit != 0 {
			err = fmt.Errorf("exit %d", out.Exit)
		}
		return err
	}
	if err := helps(); err == nil || !strings.Contains(strings.ToLower(err.Error()), "no such image") {
		t.Errorf("without an image: %v", err)
	}
	o.Helper.Again = func(context.Context) (string, error) { return id, nil }
	ok(t, helps())
}
