// Starts a private engine on the directory in its argument, says so, and
// waits to be killed.
package main

import (
	"context"
	"fmt"
	"os"

	"coopcloud.tech/abra-ccci/runner/swarm"
)

func main() {
	p, err := swarm.StartPrivate(context.Background(), swarm.PrivateOptions{Dir: os.Args[1], Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.Host())
	select {}
}
