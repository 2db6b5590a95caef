package canary

import (
	"context"

	"coopcloud.tech/abra-ccci/runner"
)

// forgetful is a deployer that leaves the volumes.
type forgetful struct{ runner.Deployer }

func forgetVolumes(d runner.Deployer) runner.Deployer { return forgetful{d} }

func (f forgetful) Undeploy(ctx context.Context, r runner.Removal) error {
	r.Volumes = false
	return f.Deployer.Undeploy(ctx, r)
}
