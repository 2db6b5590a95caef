package ledger

import (
	"errors"
	"io/fs"
)

// Attributes is what .gitattributes holds beside a ledger. Without it git may
// change line ends when it writes files, and no hash would be right any more.
const Attributes = "* -text\n"

const attributesName = ".gitattributes"

// CheckAttributes looks whether git is kept from touching line ends. If not, the
// error is an *AttributesError.
func (l *Ledger) CheckAttributes() error {
	text, err := l.folder.Read(attributesName)
	switch {
	case err == nil && string(text) == Attributes:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &AttributesError{"is missing"}
	case err == nil || errors.As(err, new(*CorruptError)):
		return &AttributesError{"is not what it was"}
	}
	return err
}

// An AttributesError says what is wrong with .gitattributes.
type AttributesError struct{ What string }

func (e *AttributesError) Error() string {
	return attributesName + " " + e.What + ": git may change line ends, and a clone would look as if somebody had changed the log"
}

// ExitCode is that of what could not be told, and not that of a fail: no signature
// covers the file, it says nothing, and it is lost by whoever copies a folder
// without dot files. What was signed is all there. But the ledger is not well:
// nobody knows what the next checkout makes of it.
func (e *AttributesError) ExitCode() int { return 1 }

// Hint is what to do.
func (e *AttributesError) Hint() string {
	return "in the ledger's folder: rm -f " + attributesName + "; printf '* -text\\n' >" + attributesName + "; git add " + attributesName + " && git commit; then: abra-ccci ledger verify"
}
