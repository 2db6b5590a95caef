package inside

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mdlayher/genetlink"
)

// ipvs asks the kernel for its IPVS family, as Docker's network library does
// before it gives a service a virtual address. Asking makes the kernel load
// the module if it has one.
func ipvs() error {
	c, err := genetlink.Dial(nil)
	if err != nil {
		return fmt.Errorf("generic netlink: %w", err)
	}
	defer c.Close()
	_, err = c.GetFamily("IPVS")
	if errors.Is(err, fs.ErrNotExist) {
		return errNo
	}
	return err
}
