package swarm

import (
	"context"
	"encoding/json"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"coopcloud.tech/abra-ccci/runner"
)

// maxRoom bounds how many apps a run has at once: more of them wait for the
// engine, and not for themselves.
const maxRoom = 4

// Room tells for how many apps like this one, as it runs now, the engine has room,
// this one included: one for each core, while all of them take at most half of its
// memory. It is one where that can't be told.
func (a *App) Room(ctx context.Context, f Facts) int {
	used, err := a.memory(ctx)
	if err != nil {
		fmt.Fprintf(runner.StepLog(ctx), "# how much memory the app takes can't be told: %v\n", err)
		return 1
	}
	return room(f, used)
}

func room(f Facts, used int64) int {
	if used <= 0 || f.Memory <= 0 {
		return 1
	}
	return int(max(1, min(maxRoom, int64(f.CPUs), f.Memory/2/used)))
}

// memory is what the app's containers take now, in bytes, without what the kernel
// could let go of.
func (a *App) memory(ctx context.Context) (int64, error) {
	list, err := a.cli.ContainerList(ctx, container.ListOptions{Filters: a.mine()})
	if err != nil {
		return 0, fault(ctx, "list containers", err)
	}
	var sum int64
	for _, c := range list {
		n, err := a.memoryOf(ctx, c.ID)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (a *App) memoryOf(ctx context.Context, id string) (int64, error) {
	answer, err := a.cli.ContainerStatsOneShot(ctx, id)
	if cerrdefs.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fault(ctx, "ask for a container's memory", err)
	}
	defer answer.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return 0, fault(ctx, "read a container's memory", err)
	}
	// As `docker stats` counts it: cgroups name it differently in versions 1 and 2.
	cache := stats.MemoryStats.Stats["total_inactive_file"]
	if v2, ok := stats.MemoryStats.Stats["inactive_file"]; ok && cache == 0 {
		cache = v2
	}
	return int64(stats.MemoryStats.Usage - min(cache, stats.MemoryStats.Usage)), nil
}
