package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker/docker/client"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// minFree is the room on disk, in bytes, under which a run is likely to fail.
const minFree = 2 << 30

// A finding of the doctor: what was looked at, what was seen, and how to mend
// it if that is not well. What only makes some recipes harder is a remark.
type checkup struct {
	name, seen, mend string
	bad, remark      bool
}

func doctorCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "what is missing here, and the command that mends it",
		Long: `Doctor looks at everything that a run needs: the Docker engine, its swarm, IPVS,
restic, the helper image, room on disk, and abra. It changes nothing but the
helper image, which it builds.

Exit status: 0 all is well, 1 something is missing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sick := false
			for _, c := range examine(cmd.Context(), e) {
				mark := "ok     "
				switch {
				case c.bad:
					mark, sick = "missing", true
				case c.remark:
					mark = "note   "
				}
				fmt.Fprintf(e.stdout, "%s  %-7s  %s\n", mark, c.name, runner.Printable(c.seen))
				if c.mend != "" {
					fmt.Fprintf(e.stdout, "         %-7s  mend: %s\n", "", runner.Printable(c.mend))
				}
			}
			if sick {
				return codeError(exitUnknown)
			}
			return nil
		},
	}
}

// examine looks at one thing after the other; what needs an engine is not
// looked at without one.
func examine(ctx context.Context, e *env) []checkup {
	checks := examineEngine(ctx, e)
	checks = append(checks, examineDisk(e.stateDir()))
	if path, err := exec.LookPath("abra"); err == nil {
		checks = append(checks, checkup{name: "abra", seen: path})
	} else {
		checks = append(checks, checkup{name: "abra", seen: "not on PATH; recipes are found in " + e.abraDir() + " or by path all the same", remark: true,
			mend: "see docs.coopcloud.tech for how to install abra"})
	}
	return checks
}

func examineEngine(ctx context.Context, e *env) []checkup {
	c, facts, err := swarm.Connect(ctx, e.getenv)
	if c == nil {
		return []checkup{{name: "engine", seen: err.Error(), mend: hintOf(err), bad: true}}
	}
	defer c.Close()
	if err != nil {
		return []checkup{{name: "engine", seen: "Docker " + facts.Version}, {name: "swarm", seen: err.Error(), mend: hintOf(err), bad: true}}
	}
	checks := []checkup{
		{name: "engine", seen: "Docker " + facts.Version},
		{name: "swarm", seen: fmt.Sprintf("manager, %d node(s)", facts.Nodes)},
	}
	return append(checks, examineHelper(ctx, e, c)...)
}

func examineHelper(ctx context.Context, e *env, c *client.Client) []checkup {
	id, err := helperImage(ctx, e, c)
	if err != nil {
		return []checkup{{name: "helper", seen: err.Error(), mend: hintOf(err), bad: true}}
	}
	s := &site{client: c, helper: id, e: e}
	checks := []checkup{{name: "helper", seen: id}}
	if out, err := swarm.RunOnce(ctx, c, id, []string{"/restic", "version"}); err != nil || out.Exit != 0 {
		checks = append(checks, checkup{name: "restic", seen: fmt.Sprintf("does not run in the helper image: %v %s", err, out.Stderr), mend: "make build/restic", bad: true})
	} else {
		checks = append(checks, checkup{name: "restic", seen: strings.TrimSpace(string(out.Stdout))})
	}
	switch ipvs, err := s.hasIPVS(ctx); {
	case err != nil:
		checks = append(checks, checkup{name: "IPVS", seen: err.Error(), bad: true})
	case ipvs:
		checks = append(checks, checkup{name: "IPVS", seen: "the kernel has it"})
	default:
		checks = append(checks, checkup{name: "IPVS", seen: "the kernel lacks it: services get endpoint mode dnsrr, and results say so", remark: true, mend: "modprobe ip_vs"})
	}
	return checks
}

func examineDisk(dir string) checkup {
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return checkup{name: "disk", seen: err.Error(), bad: true}
	}
	free := st.Bavail * uint64(st.Bsize)
	c := checkup{name: "disk", seen: fmt.Sprintf("%d MiB free at %s", free>>20, dir)}
	if free < minFree {
		c.bad, c.mend = true, "docker system df"
	}
	return c
}
