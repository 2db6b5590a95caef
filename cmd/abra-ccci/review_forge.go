package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/recipe"
	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/review/forge"
)

// pin asks the forge which pull request it is, at which commits. Everything
// after speaks of those.
func (r *reviewing) pin(ctx context.Context) (err error) {
	if r.conf, err = readConfig(r.e); err != nil {
		return err
	}
	base, repo, err := r.repository()
	if err != nil {
		return err
	}
	r.place = repoPlace{strings.TrimRight(base, "/"), repo}
	if r.token, err = r.readToken(); err != nil {
		return err
	}
	if r.forge, err = forge.New(forge.Options{URL: base, Repo: repo, Token: r.token}); err != nil {
		return err
	}
	r.pull, err = r.forge.Pull(ctx, r.o.pr)
	return err
}

// repository is where the pull request is: what the flags say of it, then the
// operator's file, then the origin of the recipe's clone.
func (r *reviewing) repository() (base, repo string, err error) {
	if strings.Contains(r.o.repo, "://") {
		return forge.RepoOf(r.o.repo)
	}
	place := repoPlace{forge: r.o.forge, repo: r.o.repo}.or(r.configured().at)
	if place.forge == "" || place.repo == "" {
		rec, err := recipe.Open(r.e.abraDir(), r.o.recipe)
		if err != nil {
			return "", "", &hintError{fmt.Errorf("which repository? %w", err), "abra-ccci review --pr N --repo https://FORGE/OWNER/NAME"}
		}
		var origin repoPlace
		if origin.forge, origin.repo, err = forge.RepoOf(rec.Origin()); err != nil {
			return "", "", &hintError{fmt.Errorf("origin of %s: %w", rec.Dir, err), "abra-ccci review --pr N --repo https://FORGE/OWNER/NAME"}
		}
		place = place.or(origin)
	}
	return place.forge, place.repo, nil
}

// configured is what the operator's file says of the recipe. Which one it is, is
// the operator's word, too: a flag's, or the name of the folder; a commit can
// call itself anything.
func (r *reviewing) configured() recipeConfig {
	name := r.o.recipe
	switch {
	case name == "." && r.o.repo != "":
		name = strings.TrimSuffix(r.o.repo[strings.LastIndexByte(r.o.repo, '/')+1:], ".git")
	case name == "." || name == ".." || strings.ContainsRune(name, filepath.Separator):
		if dir, err := filepath.Abs(name); err == nil {
			name = filepath.Base(dir)
		}
	}
	return r.conf.Recipes[name]
}

// readToken is the forge's token, "" for none. It is never an argument.
func (r *reviewing) readToken() (string, error) {
	if r.o.tokenFile == "" {
		return strings.TrimSpace(r.e.getenv("GITEA_TOKEN")), nil
	}
	f, err := os.Open(r.o.tokenFile)
	if err != nil {
		return "", &hintError{err, "name the file of a token that may read the repository: --token-file FILE"}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(text)), err
}

const (
	// maxEvidence bounds a builder's results.json, in bytes.
	maxEvidence = 16 << 20
	// evidenceTime bounds fetching it.
	evidenceTime = time.Minute
)

// evidence reads the builder's results.json, if there is one. It is data.
func (r *reviewing) evidence(ctx context.Context) ([]byte, error) {
	if r.o.results == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, evidenceTime)
	defer cancel()
	in, err := openEvidence(ctx, r.o.results)
	if err != nil {
		return nil, &hintError{err, "name the results.json of the builder's run: --results FILE"}
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxEvidence+1))
	if err == nil && len(text) > maxEvidence {
		err = fmt.Errorf("%s is larger than %d bytes", r.o.results, maxEvidence)
	}
	return text, err
}

func openEvidence(ctx context.Context, where string) (io.ReadCloser, error) {
	if !strings.HasPrefix(where, "https://") && !strings.HasPrefix(where, "http://") {
		return os.Open(where)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("%s: %s", where, res.Status)
	}
	return res.Body, nil
}

// publish writes the comment, and the status of a head that has not moved.
func (r *reviewing) publish(ctx context.Context, c ledger.Content, receipt ledger.Receipt) error {
	now, err := r.forge.Pull(ctx, r.o.pr)
	if err != nil {
		return fmt.Errorf("the verdict is in the ledger, and not on the forge: %w", err)
	}
	moved := now.Head != r.pull.Head
	url, err := r.forge.Comment(ctx, r.o.pr, r.pull.Head, review.Comment(c, receipt, moved))
	if err != nil {
		return fmt.Errorf("the verdict is in the ledger, and not on the forge: %w", err)
	}
	r.say("commented: %s", url)
	if moved {
		r.say("the head has moved to %.12s meanwhile: no commit status was set", now.Head)
		return nil
	}
	return r.forge.SetStatus(ctx, r.pull.Head, review.StatusOf(c, url))
}
