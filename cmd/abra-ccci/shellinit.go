package main

import (
	_ "embed"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The shell functions, one file for each shell. abra has no plugin dispatch,
// so a function named abra stands before it.
var (
	//go:embed shellinit/abra.bash
	shellinitBash string
	//go:embed shellinit/abra.zsh
	shellinitZsh string
	//go:embed shellinit/abra.fish
	shellinitFish string
)

func shellinitCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shellinit bash|zsh|fish",
		Short: "make `abra ccci …` work in your shell",
		Long: `Shellinit prints a shell function that makes "abra ccci test mailu" run
"abra-ccci test mailu". Every other abra command stays as it was: the function
hands it on, with its arguments, to the abra that was there before, be it a
program, a function or an alias. Where abra's own completion is loaded, it
completes "abra ccci" too.`,
		Example: `  echo 'eval "$(abra-ccci shellinit bash)"' >> ~/.bashrc
  echo 'eval "$(abra-ccci shellinit zsh)"' >> ~/.zshrc
  echo 'abra-ccci shellinit fish | source' >> ~/.config/fish/config.fish`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE:      func(_ *cobra.Command, args []string) error { return shellinit(e.stdout, args[0]) },
	}
	return cmd
}

func shellinit(w io.Writer, shell string) error {
	script, ok := map[string]string{"bash": shellinitBash, "zsh": shellinitZsh, "fish": shellinitFish}[shell]
	if !ok {
		return &usageError{fmt.Errorf("no shell %q; shells are bash, zsh and fish", shell)}
	}
	_, err := io.WriteString(w, script)
	return err
}
