package labels

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	_ "unsafe" // for go:linkname

	"github.com/docker/cli/cli/compose/interpolation"
	"github.com/docker/cli/cli/compose/loader"
	"github.com/docker/cli/cli/compose/schema"
	composetypes "github.com/docker/cli/cli/compose/types"
	"github.com/xeipuuv/gojsonschema"
)

// load runs docker's loader over all files. It does not say which file an
// error is in, so that a failure is looked for again file by file.
func load(src Source, files []*composeFile) (*composetypes.Config, error) {
	cfg, err := loadFiles(src, files)
	if err == nil {
		slices.SortFunc(cfg.Services, func(a, b composetypes.ServiceConfig) int { return strings.Compare(a.Name, b.Name) })
		return cfg, nil
	}
	for _, f := range files {
		if _, err := loadFiles(src, []*composeFile{f}); err != nil {
			return nil, f.locate(err)
		}
	}
	var names []string
	for _, f := range files {
		names = append(names, f.name)
	}
	return nil, &SourceError{File: strings.Join(names, ":"), Err: err}
}

// loadFiles calls the loader, which panics on some documents that its schema
// lets pass.
func loadFiles(src Source, files []*composeFile) (cfg *composetypes.Config, err error) {
	defer func() {
		if p := recover(); p != nil {
			cfg, err = nil, fmt.Errorf("not a compose file: %v", p)
		}
	}()
	details := composetypes.ConfigDetails{WorkingDir: src.Dir, Environment: src.Env}
	for _, f := range files {
		details.ConfigFiles = append(details.ConfigFiles, composetypes.ConfigFile{Filename: f.name, Config: f.dict})
	}
	cfg, err = loadDetails(details)
	var forbidden *loader.ForbiddenPropertiesError
	if errors.As(err, &forbidden) {
		keys := slices.Sorted(maps.Keys(forbidden.Properties))
		err = fmt.Errorf("%q is not for a swarm: %s", keys[0], forbidden.Properties[keys[0]])
	}
	return cfg, err
}

// loadDetails is loader.Load, which compiles its JSON schema anew for each
// file. What its schema, compiled once, lets pass is loaded without asking it
// again; all else is the loader's to refuse, in its own words.
func loadDetails(details composetypes.ConfigDetails) (*composetypes.Config, error) {
	ready, ok := interpolated(details)
	if !ok {
		return loader.Load(details)
	}
	return loader.Load(ready, func(o *loader.Options) { o.SkipInterpolation, o.SkipValidation = true, true })
}

// interpolated puts the values of variables into all files, as the loader
// does, and tells whether every one is valid then.
func interpolated(details composetypes.ConfigDetails) (composetypes.ConfigDetails, bool) {
	opts := interpolation.Options{LookupValue: details.LookupEnv, TypeCastMapping: casts()}
	files := slices.Clone(details.ConfigFiles)
	for i := range files {
		before := files[i].Config
		after, err := interpolation.Interpolate(before, opts)
		if err != nil || schema.Version(after) != schema.Version(before) || !valid(after) {
			return details, false
		}
		files[i].Config = after
	}
	details.ConfigFiles = files
	return details, true
}

// casts say which strings become numbers and booleans once variables have
// their values. The loader tells its options alone.
var casts = sync.OnceValue(func() (m map[interpolation.Path]interpolation.Cast) {
	empty := composetypes.ConfigDetails{ConfigFiles: []composetypes.ConfigFile{{}}}
	loader.Load(empty, func(o *loader.Options) { // there is nothing to fail on
		m, o.SkipValidation = o.Interpolate.TypeCastMapping, true
	})
	return m
})

// valid tells whether a file passes the schema of its version. False if there
// is no such schema, or it can't be asked: then the loader will find that out, too.
func valid(dict map[string]any) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	s := compiled.version(schema.Version(dict))
	if s == nil {
		return false
	}
	result, err := s.Validate(gojsonschema.NewGoLoader(dict))
	return err == nil && result.Valid()
}

// schemas are the JSON schemas inside of docker/cli, which exports none of
// them: so they are of the very version that the loader comes from. If that
// keeps them elsewhere one day, the program does not link, and loadDetails has
// to be loader.Load until they are found.
//
//go:linkname schemas github.com/docker/cli/cli/compose/schema.schemas
var schemas embed.FS

// A schemaCache holds each schema that was asked for.
type schemaCache struct {
	mu      sync.Mutex
	schemas map[string]*gojsonschema.Schema
}

var compiled = schemaCache{schemas: map[string]*gojsonschema.Schema{}}

// version is the schema of a version of the format, nil if there is none.
func (c *schemaCache) version(v string) *gojsonschema.Schema {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[v]; s != nil {
		return s
	}
	data, err := schemas.ReadFile("data/config_schema_v" + v + ".json")
	if err != nil {
		return nil
	}
	s, err := gojsonschema.NewSchema(gojsonschema.NewBytesLoader(data))
	if err != nil {
		return nil
	}
	c.schemas[v] = s
	return s
}
