package restic

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Prepare makes dir, on the host, the directory to be mounted at /repository
// in the helper container: it writes a new random password there unless one
// exists. Only the owner can read either.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("backup repository: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, filepath.Base(password)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("password of the backup repository: %w", err)
	}
	_, err = f.WriteString(rand.Text() + "\n")
	return errors.Join(err, f.Close())
}
