package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"coopcloud.tech/abra-ccci/runner"
	"coopcloud.tech/abra-ccci/runner/inside"
	"coopcloud.tech/abra-ccci/runner/swarm"
)

// A site is the engine that a command works on: the one in use, or a private
// one that lives as long as the command.
type site struct {
	client  *client.Client
	facts   swarm.Facts
	helper  string // id of the helper image
	ipvs    bool
	private *swarm.Private // nil: the engine in use
	e       *env
}

// openSite connects, and makes sure that the engine can do what a run needs.
func openSite(ctx context.Context, e *env, engine string) (_ *site, err error) {
	s := &site{e: e}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	getenv := e.getenv
	if engine == "private" {
		fmt.Fprintln(e.stderr, "abra-ccci: starting a private engine")
		if s.private, err = swarm.StartPrivate(ctx, swarm.PrivateOptions{Log: io.Discard}); err != nil {
			return nil, err
		}
		getenv = atHost(e.getenv, s.private.Host())
	}
	if s.client, s.facts, err = swarm.Connect(ctx, getenv); err != nil {
		return nil, err
	}
	if s.helper, err = helperImage(ctx, e, s.client); err != nil {
		return nil, err
	}
	s.ipvs, err = s.hasIPVS(ctx)
	return s, err
}

// atHost is an environment in which the engine is the one at host.
func atHost(getenv func(string) string, host string) func(string) string {
	return func(key string) string {
		switch key {
		case "DOCKER_HOST":
			return host
		case "DOCKER_CONTEXT":
			return ""
		}
		return getenv(key)
	}
}

// helperImage builds the helper image from this very program and a restic.
func helperImage(ctx context.Context, e *env, c *client.Client) (string, error) {
	return swarm.HelperImage(ctx, c, "", e.getenv("CCCI_RESTIC"))
}

// again builds the helper image anew.
func (s *site) again(ctx context.Context) (string, error) { return helperImage(ctx, s.e, s.client) }

// hasIPVS asks the kernel under the engine, which may be another machine's:
// then in a container, which takes a second or two.
func (s *site) hasIPVS(ctx context.Context) (bool, error) {
	if s.facts.Here {
		if has, err := inside.HasIPVS(); err == nil && (has || os.Geteuid() == 0) {
			return has, nil
		}
	}
	out, err := swarm.RunOnce(ctx, s.client, s.helper, inside.Argv("ipvs"))
	switch {
	case err != nil:
		return false, err
	case out.Exit == 0:
		return true, nil
	case out.Exit == 3:
		return false, nil
	}
	return false, &runner.InfraError{Op: "asking the kernel for IPVS", Err: fmt.Errorf("exit %d: %s", out.Exit, bytes.TrimSpace(out.Stderr))}
}

// bring copies images that only the engine in use has into a private one.
func (s *site) bring(ctx context.Context, images []string) error {
	if s.private == nil {
		return nil
	}
	inUse, _, _ := swarm.Connect(ctx, s.e.getenv)
	if inUse == nil {
		return nil // then they must be pulled
	}
	defer inUse.Close()
	for _, ref := range images {
		if _, err := swarm.ImageName(ctx, s.client, ref); err == nil {
			continue // the helper image, which was built there
		}
		if err := swarm.CopyImage(ctx, inUse, s.client, ref); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// close ends a private engine, also after an interrupt.
func (s *site) close(ctx context.Context) error {
	ctx, cancel := runner.Outlast(ctx, closeTime)
	defer cancel()
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	if s.private != nil {
		err = errors.Join(err, s.private.Close(ctx))
	}
	return err
}
