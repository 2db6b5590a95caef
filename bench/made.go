package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A made recipe exists for a measurement alone: as many services and probes as
// are asked for, and one commit.
type made struct {
	name     string
	services int // the first is notes, with the data; the others only run
	probes   int
}

// write makes the recipe's repository and its suite.
func (b *bench) make(ctx context.Context, m made) error {
	return b.recipe(ctx, m.name, m.compose(), m.suite())
}

// recipe writes a clone with one commit, and a suite.
func (b *bench) recipe(ctx context.Context, name, compose, suite string) error {
	dir, suites := b.clone(name), filepath.Join(b.abraDir(), "ccci", "suites", name)
	files := map[string]string{
		filepath.Join(dir, "compose.yml"):   compose,
		filepath.Join(dir, ".env.sample"):   "TYPE=" + name + "\nDOMAIN=" + name + ".example.com\nSECRET_WRITE_TOKEN_VERSION=v1 # length=32\n",
		filepath.Join(dir, "README.md"):     "# " + name + "\n\nMade to be measured.\n\n* **Category**: Utilities\n* **Status**: 0\n",
		filepath.Join(suites, "suite.toml"): suite,
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, git := range []string{"init -q -b main", "add .", "-c user.name=bench -c user.email=bench@example.com commit -q -m made"} {
		if _, err := b.must(ctx, append([]string{"git", "-C", dir}, strings.Fields(git)...)...); err != nil {
			return err
		}
	}
	return nil
}

// service is a compose service as the examples have them.
const service = `  %s:
    image: %s
    networks: [proxy]
    deploy:
      restart_policy: {condition: on-failure, delay: 1s}
      update_config: {failure_action: rollback, order: stop-first, monitor: 1s}
      labels:
        - "coop-cloud.${STACK_NAME}.version=0.1.0+1.0.0"
        - "traefik.enable=true"
`

const head = `---
version: "3.8"
networks:
  proxy:
    external: true
`

func (m made) compose() string {
	var c strings.Builder
	c.WriteString(head + "volumes:\n  data:\nsecrets:\n  write_token:\n    external: true\n    name: ${STACK_NAME}_write_token_${SECRET_WRITE_TOKEN_VERSION}\nservices:\n")
	fmt.Fprintf(&c, service, "app", "ccci/notes:1.1.0")
	c.WriteString(`        - "backupbot.backup=true"
    secrets: [write_token]
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "/notes", "health"], interval: 2s, timeout: 5s, retries: 10}
`)
	for i := 1; i < m.services; i++ {
		fmt.Fprintf(&c, service, fmt.Sprintf("idle%d", i), idleImage)
		c.WriteString("    command: [sleep, infinity]\n    init: true\n")
	}
	return c.String()
}

// idleImage has a shell and coreutils.
const idleImage = "ccci/debian:bookworm"

func (m made) suite() string {
	var s strings.Builder
	fmt.Fprintf(&s, "recipe = %q\n", m.name)
	for i := range m.probes {
		fmt.Fprintf(&s, `
[[probe]]
name   = "note %[1]d"
covers = ["app:/data"]
seed   = [{ service = "app", run = ["/notes", "put", "n%[1]d${TOKEN}", "kept ${TOKEN}"] }]
check  = [{ service = "app", run = ["/notes", "get", "n%[1]d${TOKEN}"], equals = "kept ${TOKEN}", gone_exit = [4] }]
wipe   = [{ service = "app", run = ["/notes", "rm", "n%[1]d${TOKEN}"] }]
`, i)
	}
	s.WriteString("\n[[functional]]\nname  = \"it answers\"\nsteps = [{ service = \"app\", http = \"http://localhost:8080/\", status = 200 }]\n")
	return s.String()
}
