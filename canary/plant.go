package canary

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"coopcloud.tech/abra-ccci/recipe/history"
	"coopcloud.tech/abra-ccci/runner"
)

//go:embed all:recipes
var recipes embed.FS

// The releases of every good recipe: from the first one it upgrades to the
// second, which is the head.
const (
	baseVersion = "1.0.0+1"
	headVersion = "1.1.0+2"
)

// imageMark stands in compose files for the image of the app.
const imageMark = "STORE_IMAGE"

// An Edit changes one file of the head or the suite.
type Edit struct {
	File string // of the head, or runner.SuiteFile
	Old  string // must be there once; "": the file is new
	New  string
}

// Written says where Write put a recipe and its suite.
type Written struct {
	Recipe string // its clone
	Suite  string // the folder of suite.toml
}

// Write makes the canary's recipe and suite in dir, which must be empty, for
// an app of that image.
func (c Canary) Write(dir, image string) (Written, error) {
	w := Written{Recipe: filepath.Join(dir, "recipe"), Suite: filepath.Join(dir, "suite")}
	files, err := c.files(image)
	if err != nil {
		return w, fmt.Errorf("canary %s: %w", c.Name, err)
	}
	var commits []history.Commit
	for _, version := range []string{baseVersion, headVersion} {
		tree := filepath.Join(dir, version)
		for name, text := range files[version] {
			err = errors.Join(err, write(filepath.Join(tree, name), text))
		}
		commits = append(commits, history.Commit{Version: version, Branch: "main", Subject: "chore: publish " + version + " release", Tagged: true, Files: os.DirFS(tree)})
	}
	err = errors.Join(err, write(filepath.Join(w.Suite, runner.SuiteFile), files[suite][runner.SuiteFile]))
	if err != nil {
		return w, err
	}
	return w, history.Build(w.Recipe, commits)
}

// suite is where files keeps the suite, beside the releases.
const suite = "suite"

// files are the texts of base, head and suite, with everything planted.
func (c Canary) files(image string) (map[string]map[string]string, error) {
	base, err := read(path.Join("recipes", c.Of, baseVersion), nil)
	if err != nil {
		return nil, err
	}
	head, err := read(path.Join("recipes", c.Of, headVersion), base)
	if err != nil {
		return nil, err
	}
	text, err := recipes.ReadFile(path.Join("recipes", c.Of, runner.SuiteFile))
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]string{baseVersion: base, headVersion: head, suite: {runner.SuiteFile: string(text)}}
	for _, e := range c.Plant {
		in := head
		if e.File == runner.SuiteFile {
			in = out[suite]
		}
		if err := e.in(in); err != nil {
			return nil, err
		}
	}
	for _, version := range []string{baseVersion, headVersion} {
		for name, text := range out[version] {
			out[version][name] = strings.ReplaceAll(text, imageMark, image)
		}
	}
	return out, nil
}

// read returns the files below dir over those of the release before.
func read(dir string, before map[string]string) (map[string]string, error) {
	files := map[string]string{}
	for name, text := range before {
		files[name] = text
	}
	err := fs.WalkDir(recipes, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := recipes.ReadFile(p)
		files[strings.TrimPrefix(p, dir+"/")] = string(data)
		return err
	})
	return files, err
}

// in makes the edit, which must fit exactly one place.
func (e Edit) in(files map[string]string) error {
	text, there := files[e.File]
	switch {
	case e.Old == "" && there:
		return fmt.Errorf("%s is there already", e.File)
	case e.Old == "":
		files[e.File] = e.New
	case strings.Count(text, e.Old) != 1:
		return fmt.Errorf("%s holds %q %d times, not once", e.File, e.Old, strings.Count(text, e.Old))
	default:
		files[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return nil
}

func write(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
