package swarm

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"coopcloud.tech/abra-ccci/runner"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/jsonmessage"
)

const (
	helperName    = "ccci/helper"
	helperLayout  = "2" // counted up when the image changes for the same two programs
	helperLabel   = "ccci.helper"
	resticInImage = "/usr/bin/restic"
)

// helperLinks are names in PATH by which the tool's program is called as
// another: the helper image is also an app's, on an engine that has no other.
var helperLinks = []string{"sh", "store"}

// HelperImage returns the id of the helper image, which is built on the
// engine unless it has it. The image holds two static programs and nothing
// else but links to the first one, so that nothing is pulled: /abra-ccci, a
// copy of the file tool (empty: the running program), and /restic, a copy of
// the file restic (empty: the one beside tool, else a static one in PATH, else
// the one in a restic/restic image that the engine has). It is tagged
// ccci/helper:<hash of both>. A missing or dynamically linked program is an
// InfraError with a hint. When an image is built, those of other builds go, as
// DropHelperImages says.
func HelperImage(ctx context.Context, c *client.Client, tool, restic string) (id string, err error) {
	own, err := openTool(tool)
	if err != nil {
		return "", err
	}
	defer own.Close()
	saver, err := openRestic(ctx, c, restic, filepath.Dir(own.name))
	if err != nil {
		return "", err
	}
	defer saver.Close()
	ref := helperName + ":" + helperTag(own, saver)
	if id, err := imageID(ctx, c, ref); err != nil || id != "" {
		return id, err
	}
	fmt.Fprintf(runner.StepLog(ctx), "building helper image %s\n", ref)
	if err := importHelper(ctx, c, ref, own, saver); err != nil {
		return "", &runner.InfraError{Op: "build helper image", Err: err}
	}
	if id, err = imageID(ctx, c, ref); err == nil {
		DropHelperImages(ctx, c, id, HelperAge) // what stays only takes room
	}
	return id, err
}

// HelperAge is how old a helper image of another build is before it may be
// removed: a build that was used within the hour is likely to be used again.
const HelperAge = time.Hour

// DropHelperImages removes the helper images that no container refers to and
// that are older than age, but for the one with the id keep, and returns their
// names. A run that has no container at the moment builds its image anew when it
// needs it, see Helper.
func DropHelperImages(ctx context.Context, c client.APIClient, keep string, age time.Duration) (removed []string, err error) {
	images, err := c.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", helperLabel))})
	if err != nil {
		return nil, fault(ctx, "list helper images", err)
	}
	used, err := c.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return nil, fault(ctx, "list containers", err)
	}
	for _, img := range images {
		young := time.Since(time.Unix(img.Created, 0)) < age
		inUse := slices.ContainsFunc(used, func(o container.Summary) bool { return o.ImageID == img.ID })
		if img.ID == keep || young || inUse {
			continue
		}
		// Not by force: the engine refuses if a container came up meanwhile.
		if _, err := c.ImageRemove(ctx, img.ID, image.RemoveOptions{PruneChildren: true}); err == nil {
			removed = append(removed, strings.Join(append(img.RepoTags, img.ID[:min(len(img.ID), 19)]), " "))
		}
	}
	return removed, nil
}

// ImageName is a name that the engine has for an image, as compose files want
// one; the image's id if it has none.
func ImageName(ctx context.Context, c *client.Client, id string) (string, error) {
	img, err := c.ImageInspect(ctx, id)
	if err != nil {
		return "", &runner.InfraError{Op: "look for image " + id, Err: err}
	}
	for _, name := range img.RepoTags {
		return name, nil
	}
	return img.ID, nil
}

// A program is a static program for the image. It is an open file, which stays
// what was hashed whatever its name comes to mean, and is never in memory whole.
type program struct {
	*os.File
	name string
	size int64
	sum  [sha256.Size]byte
}

// imageID is the id of a local image; "" if the engine lacks it.
func imageID(ctx context.Context, c *client.Client, ref string) (string, error) {
	img, err := c.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", &runner.InfraError{Op: "look for image " + ref, Err: err}
	}
	return img.ID, nil
}

func helperTag(programs ...*program) string {
	h := sha256.New()
	io.WriteString(h, helperLayout)
	for _, p := range programs {
		h.Write(p.sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// openTool opens the running program if name is empty.
func openTool(name string) (*program, error) {
	file := name
	if name == "" {
		file = "/proc/self/exe" // under our name there may be another build by now
		var err error
		if name, err = os.Executable(); err != nil {
			return nil, toolFault(err)
		}
	}
	p, err := openStatic(file)
	if err != nil {
		return nil, toolFault(err)
	}
	p.name = name
	return p, nil
}

func toolFault(err error) error {
	if err == nil {
		return nil
	}
	return &runner.InfraError{
		Op:   "helper image: own program",
		Hint: "build it static: CGO_ENABLED=0 go build -o build/abra-ccci ./cmd/abra-ccci",
		Err:  err,
	}
}

// openRestic finds restic; the first place that has a static one counts.
func openRestic(ctx context.Context, c *client.Client, name, beside string) (*program, error) {
	if name != "" {
		p, err := openStatic(name)
		return p, resticFault(err)
	}
	p, besideErr := openStatic(filepath.Join(beside, "restic"))
	if besideErr == nil {
		return p, nil
	}
	found, pathErr := exec.LookPath("restic")
	if pathErr == nil {
		if p, pathErr = openStatic(found); pathErr == nil {
			return p, nil
		}
	}
	p, imageErr := resticFromImage(ctx, c)
	if imageErr == nil {
		return p, nil
	}
	return nil, resticFault(fmt.Errorf("%w; %w; %w", besideErr, pathErr, imageErr))
}

func resticFault(err error) error {
	if err == nil {
		return nil
	}
	return &runner.InfraError{Op: "helper image: no static restic", Hint: "make build/restic", Err: err}
}

// openStatic opens and hashes a program, which must need no other file to run.
func openStatic(name string) (*program, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p, err := staticProgram(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

func staticProgram(f *os.File) (*program, error) {
	if err := checkStatic(f); err != nil {
		return nil, err
	}
	p := &program{File: f, name: f.Name()}
	h := sha256.New()
	var err error
	if p.size, err = io.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64)); err != nil {
		return nil, err
	}
	h.Sum(p.sum[:0])
	return p, nil
}

// checkStatic is an error for a program that asks for a dynamic loader: in an
// image with nothing else it could not start, and Docker would only say "no
// such file or directory".
func checkStatic(r io.ReaderAt) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("not a Linux program: %w", err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("dynamically linked, a static program is needed")
		}
	}
	return nil
}

// resticFromImage takes restic out of a restic/restic image that is there.
func resticFromImage(ctx context.Context, c *client.Client) (*program, error) {
	images, err := c.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", "restic/restic"))})
	if err != nil {
		return nil, err
	}
	if len(images) == 0 {
		return nil, errors.New("the engine has no image restic/restic")
	}
	made, err := c.ContainerCreate(ctx, &container.Config{Image: images[0].ID, Cmd: []string{"version"}}, nil, nil, nil, "")
	if err != nil {
		return nil, err
	}
	defer c.ContainerRemove(context.WithoutCancel(ctx), made.ID, container.RemoveOptions{Force: true})
	f, err := copyOut(ctx, c, made.ID, resticInImage)
	if err != nil {
		return nil, err
	}
	p, err := staticProgram(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s in image restic/restic: %w", resticInImage, err)
	}
	return p, nil
}

// copyOut copies a file of a container into one that has no name any more.
func copyOut(ctx context.Context, c *client.Client, id, name string) (*os.File, error) {
	r, _, err := c.CopyFromContainer(ctx, id, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	t := tar.NewReader(r)
	if _, err := t.Next(); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "ccci-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(f, t)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// importHelper makes the image from a tar of one layer. It is imported, not
// built: that needs no builder and leaves no cache.
func importHelper(ctx context.Context, c *client.Client, ref string, tool, restic *program) error {
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(writeHelper(pw, tool, restic)) }()
	defer pr.Close()
	resp, err := c.ImageImport(ctx, image.ImportSource{Source: pr, SourceName: "-"}, ref, image.ImportOptions{
		Changes: []string{`ENTRYPOINT ["/abra-ccci","inside"]`, `CMD ["sleep"]`, `LABEL ` + helperLabel + `=` + helperLayout},
	})
	if err != nil {
		return err
	}
	defer resp.Close()
	return jsonmessage.DisplayJSONMessagesStream(resp, io.Discard, 0, false, nil)
}

// writeHelper writes the image's files: the programs and links to them, a
// place for temporary files, and the points where volumes and repository are mounted.
func writeHelper(w io.Writer, tool, restic *program) error {
	t := tar.NewWriter(w)
	for _, dir := range []tar.Header{{Name: "tmp/", Mode: 0o1777}, {Name: "volumes/", Mode: 0o755}, {Name: "repository/", Mode: 0o700}, {Name: "bin/", Mode: 0o755}} {
		dir.Typeflag = tar.TypeDir
		if err := t.WriteHeader(&dir); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		at string
		*program
	}{{"abra-ccci", tool}, {"restic", restic}} {
		h := &tar.Header{Name: f.at, Mode: 0o755, Size: f.size, Typeflag: tar.TypeReg}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(t, io.NewSectionReader(f, 0, f.size)); err != nil {
			return err
		}
	}
	for _, link := range helperLinks {
		if err := t.WriteHeader(&tar.Header{Name: "bin/" + link, Linkname: "../abra-ccci", Mode: 0o777, Typeflag: tar.TypeSymlink}); err != nil {
			return err
		}
	}
	return t.Close()
}
