package inside

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mdlayher/genetlink"
)

// HasIPVS tells whether the kernel under this program has IPVS. A no is worth
// something only as root, for whom the kernel loads modules.
func HasIPVS() (bool, error) {
	err := ipvs()
	if errors.Is(err, errNo) {
		return false, nil
	}
	return err == nil, err
}

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
