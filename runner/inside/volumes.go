package inside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"coopcloud.tech/abra-ccci/runner"
)

const (
	// Tool is where the tool is in the helper image.
	Tool = "/abra-ccci"
	// VolumesDir is where the stack's volumes are mounted, each by its compose name.
	VolumesDir = "/volumes"
)

// Argv is the command line of a subcommand in the helper image.
func Argv(subcommand string, args ...string) []string {
	return append([]string{Tool, "inside", subcommand}, args...)
}

// A Box runs programs in the helper container.
type Box interface {
	// Stream runs argv with stdin (which may be nil) and copies its stdout as
	// it comes. A program that ended is no error, whatever its exit status;
	// stderr is the last runner.MaxOutput bytes of it. The error tells that
	// it could not be run, or that stdout took no more. When ctx ends, the
	// program is killed before Stream returns.
	Stream(ctx context.Context, argv []string, stdin io.Reader, stdout io.Writer) (exit int, stderr []byte, err error)
}

// Volumes looks into the volumes that are mounted in a Box. It implements
// runner.Volumes and runner.Spoiler.
type Volumes struct{ Box Box }

var (
	_ runner.Volumes = Volumes{}
	_ runner.Spoiler = Volumes{}
)

// Manifest lists a whole volume, by its compose name.
func (v Volumes) Manifest(ctx context.Context, volume string) (runner.Manifest, error) {
	dir, err := volumeDir(volume)
	if err != nil {
		return nil, err
	}
	var d Decoder
	if err := v.run(ctx, &d, "manifest", dir); err != nil {
		return nil, fmt.Errorf("list volume %q: %w", volume, err)
	}
	m, err := d.Manifest()
	if err != nil {
		return nil, &runner.InfraError{Op: fmt.Sprintf("list volume %q", volume), Err: err}
	}
	return m, nil
}

// Decoy creates a file in a directory of a volume. dir is relative to the
// volume's root, name is a plain file name. The error is fs.ErrNotExist if
// there is no such directory.
func (v Volumes) Decoy(ctx context.Context, volume, dir, name string) error {
	root, err := volumeDir(volume)
	if err != nil {
		return err
	}
	switch err := v.run(ctx, io.Discard, "decoy", root, dir, name); {
	case errors.Is(err, errNo):
		return fmt.Errorf("decoy in volume %q: %q: %w", volume, dir, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("decoy in volume %q: %w", volume, err)
	}
	return nil
}

// Truncate cuts files of a volume to no bytes. Paths are relative to the
// volume's root.
func (v Volumes) Truncate(ctx context.Context, volume string, paths []string) error {
	return v.spoil(ctx, volume, spoilTruncate, paths)
}

// Remove removes files of a volume. One that is not there is no error.
func (v Volumes) Remove(ctx context.Context, volume string, paths []string) error {
	return v.spoil(ctx, volume, spoilRemove, paths)
}

func (v Volumes) spoil(ctx context.Context, volume, how string, paths []string) error {
	root, err := volumeDir(volume)
	if err != nil {
		return err
	}
	list := strings.NewReader(strings.Join(paths, "\x00"))
	if err := v.feed(ctx, list, io.Discard, "spoil", root, how); err != nil {
		return fmt.Errorf("%s files of volume %q: %w", how, volume, err)
	}
	return nil
}

func (v Volumes) run(ctx context.Context, stdout io.Writer, subcommand string, args ...string) error {
	return v.feed(ctx, nil, stdout, subcommand, args...)
}

func (v Volumes) feed(ctx context.Context, stdin io.Reader, stdout io.Writer, subcommand string, args ...string) error {
	exit, stderr, err := v.Box.Stream(ctx, Argv(subcommand, args...), stdin, stdout)
	if err != nil {
		return err
	}
	if exit == exitNo {
		return errNo
	}
	if exit != exitDone {
		return fmt.Errorf("exit %d: %s", exit, strings.TrimSpace(string(stderr)))
	}
	return nil
}

func volumeDir(volume string) (string, error) {
	if volume == "" || volume == "." || volume == ".." || strings.Contains(volume, "/") {
		return "", fmt.Errorf("%q is not the name of a volume", volume)
	}
	return path.Join(VolumesDir, volume), nil
}
