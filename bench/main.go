// Bench measures what the ladder costs and prints it as Markdown, side by side
// with what it is compared to, all in one run:
//
//	go run ./bench [PART...] [flags]
//
// The parts, in order; all of them if none is named:
//
//	small    start of the program, labels of 200 recipes, search for secrets
//	ledger   opening, verifying and appending as the log grows, beside git
//	ladder   the whole ladder beside ladder.sh, which does the same with the
//	         docker and restic commands and without a check
//	restore  the drill of 1 GB in 10 000 files beside restic restore on the host
//	review   the review of a pull request beside the test of its head
//	grow     wall time over services, probes, and runs at once
//
// It needs build/abra-ccci and build/restic, a swarm manager at DOCKER_HOST on
// this machine with the images of the examples, git, and root: ladder.sh reads
// and writes volumes where they lie. What is compared is run in turns, A B A B,
// and the ratio is the median of the pairs' ratios. With -write the report and
// its picture go into docs/. Nothing here is a test: it fails only if something
// could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A part is one section of the report.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

var parts = []part{
	{"small", (*bench).small},
	{"ledger", (*bench).ledger},
	{"ladder", (*bench).ladder},
	{"restore", (*bench).restore},
	{"review", (*bench).review},
	{"grow", (*bench).grow},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	b, wanted, err := parse(args)
	if err != nil {
		return err
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, p := range parts {
		if len(wanted) > 0 && !slices.Contains(wanted, p.name) {
			continue
		}
		if failed := p.run(b, ctx); failed != nil { // the other parts say something all the same
			err = errors.Join(err, fmt.Errorf("%s: %w", p.name, failed))
			b.line("This part was not measured to its end: %v.\n", failed)
		}
	}
	return errors.Join(err, b.finish())
}

// parse reads the command line; parts and flags may come in any order.
func parse(args []string) (*bench, []string, error) {
	b := &bench{}
	var recipes string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&b.pairs, "pairs", 3, "how often each comparison is made")
	f.StringVar(&recipes, "recipe", "notes,forum,mailu", "recipes of the part ladder, with commas")
	f.BoolVar(&b.quick, "quick", false, "small sizes: to try the program, not to measure")
	f.BoolVar(&b.write, "write", false, "write docs/performance.md and docs/performance.svg")
	f.BoolVar(&b.verbose, "v", false, "show what the measured programs say")
	var wanted []string
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return nil, nil, err
		}
		if args = f.Args(); len(args) > 0 {
			wanted = append(wanted, args[0])
			args = args[1:]
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == w }) {
			return nil, nil, fmt.Errorf("no part %q", w)
		}
	}
	b.recipes = strings.Split(recipes, ",")
	if b.pairs < 1 {
		return nil, nil, fmt.Errorf("-pairs %d", b.pairs)
	}
	var err error
	b.root, err = repository()
	return b, wanted, err
}

// repository is the folder of go.mod, at or above the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("not in the repository")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
