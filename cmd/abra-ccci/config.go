package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"coopcloud.tech/abra-ccci/review/forge"
	"coopcloud.tech/abra-ccci/runner"
)

// A config is what an operator says once instead of with flags, in ccci.toml in
// $ABRA_DIR/ccci. docs/review.md has an example. No recipe and no pull request
// has a word in it.
type config struct {
	Recipes map[string]recipeConfig `toml:"recipe"`
}

// A recipeConfig is where the parts of one recipe are. What is empty is not said.
type recipeConfig struct {
	Repo      string `toml:"repo"`       // OWNER/NAME, or the address of the repository
	Forge     string `toml:"forge"`      // address of the forge
	SuiteRepo string `toml:"suite_repo"` // likewise to repo; where the suite is, if it is not with the recipe

	at repoPlace // of Repo and Forge together
}

const (
	configFile = "ccci.toml"
	// maxConfig bounds it, in bytes.
	maxConfig = 1 << 20
)

// readConfig reads the operator's file; none is empty.
func readConfig(e *env) (*config, error) {
	name := filepath.Join(e.abraDir(), "ccci", configFile)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &config{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxConfig)
	}
	if err != nil {
		return nil, err
	}
	return parseConfig(name, text)
}

// parseConfig reads the file strictly. Errors are *runner.SuiteError, and repeat
// no value that may hold a password.
func parseConfig(source string, text []byte) (*config, error) {
	c := &config{}
	if err := runner.DecodeTOML(source, text, c, []string{"recipe", "repo", "forge", "suite_repo"}); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Recipes)) {
		rc := c.Recipes[name]
		key, err := rc.check()
		if !recipeNames.MatchString(name) {
			key, err = "", &hintError{errors.New("that is not the name of a recipe"), `name it as its folder is named: [recipe.mailu]`}
		}
		if err != nil {
			where := fmt.Sprintf("recipe.%q", name)
			if key != "" {
				where += "." + key
			}
			return nil, &runner.SuiteError{File: source, Key: where, Msg: err.Error(), Tip: hintOf(err)}
		}
		c.Recipes[name] = rc
	}
	return c, nil
}

var recipeNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// check reads the places of a recipe; its error comes with the key that it is about.
func (c *recipeConfig) check() (key string, err error) {
	if c.Repo != "" {
		if c.at, err = repoAt(c.Repo); err != nil {
			return "repo", err
		}
	}
	if c.Forge != "" {
		if c.at.forge != "" {
			return "forge", &hintError{errors.New("repo is an address already, which names the forge"), "leave one of them out, or write: repo = \"OWNER/NAME\""}
		}
		if c.at.forge, err = forgeAt(c.Forge); err != nil {
			return "forge", err
		}
	}
	if c.SuiteRepo != "" {
		if _, err := repoAt(c.SuiteRepo); err != nil {
			return "suite_repo", err
		}
	}
	return "", nil
}

// A repoPlace is a repository on a forge. What is empty is not said.
type repoPlace struct {
	forge string // https://git.example.org
	repo  string // owner/name
}

// or is the place, with what it does not say taken from another one.
func (p repoPlace) or(other repoPlace) repoPlace {
	return repoPlace{cmp.Or(p.forge, other.forge), cmp.Or(p.repo, other.repo)}
}

// long is host/owner/name, as a ledger writes it.
func (p repoPlace) long() string {
	_, host, _ := strings.Cut(p.forge, "://")
	return host + "/" + p.repo
}

func (p repoPlace) cloneURL() string { return p.forge + "/" + p.repo + ".git" }

// repoAt reads OWNER/NAME, or the address of a repository: of the web, and without
// credentials, which the error does not repeat.
func repoAt(s string) (p repoPlace, err error) {
	wrong := &hintError{errors.New("that is no repository on a forge"), "write OWNER/NAME, or https://FORGE/OWNER/NAME"}
	if !strings.Contains(s, "://") {
		if strings.Count(s, "/") != 1 || strings.HasSuffix(s, "/") {
			return p, wrong
		}
		if _, p.repo, err = forge.RepoOf("https://forge/" + s); err != nil {
			return p, wrong
		}
		return p, nil
	}
	if err := webAddress(s); err != nil {
		return p, err
	}
	if p.forge, p.repo, err = forge.RepoOf(s); err != nil {
		return p, wrong
	}
	return p, nil
}

// forgeAt reads the address of a forge.
func forgeAt(s string) (string, error) {
	if err := webAddress(s); err != nil {
		return "", err
	}
	base, _, err := forge.RepoOf(strings.TrimRight(s, "/") + "/owner/name")
	if err != nil {
		return "", &hintError{errors.New("that is not the address of a forge"), "write https://FORGE"}
	}
	return base, nil
}

// errCredentials is the error of an address with a user or a password in it.
var errCredentials = &hintError{errors.New("the address holds credentials"), "take them out, and give the token in GITEA_TOKEN or a file: --token-file FILE; change it, if others can read this one"}

// noCredentials refuses an address of the web with credentials in it, which others
// can read where it was typed. The address itself is not repeated.
func noCredentials(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil && strings.Contains(s, "://"):
		return &hintError{errors.New("that is not an address"), "write https://FORGE/OWNER/NAME"}
	case err == nil && u.User != nil && (u.Scheme == "https" || u.Scheme == "http"):
		return errCredentials
	}
	return nil
}

// webAddress refuses what is no plain address of the web.
func webAddress(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return &hintError{errors.New("that is not an address of the web"), "write https://FORGE/OWNER/NAME"}
	case u.User != nil:
		return errCredentials
	}
	return nil
}
