package recipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A Recipe is a git repository that holds a recipe.
type Recipe struct {
	// Name is what abra calls it: the folder's name in $ABRA_DIR/recipes; for
	// a recipe opened by path, the TYPE of its .env.sample, else the folder's.
	Name string
	Dir  string // absolute

	repo *git.Repository
}

// A recipe's name has at most maxName of these characters: it becomes part of
// paths and labels.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const maxName = 64

func isName(s string) bool { return len(s) <= maxName && nameForm.MatchString(s) }

// Open finds a recipe: by path if arg is "." or ".." or contains a separator, else by
// name in abraDir/recipes. The error of an unknown name says where it was
// looked for and which names are near.
func Open(abraDir, arg string) (*Recipe, error) {
	if arg == "." || arg == ".." || strings.ContainsRune(arg, filepath.Separator) {
		return openPath(arg)
	}
	if !isName(arg) {
		return nil, hinted("give a name such as mailu, or a path such as ./mailu",
			"%q cannot be a recipe's name: letters, digits, dot, dash and underscore only, a letter or digit first", arg)
	}
	dir := filepath.Join(abraDir, "recipes", arg)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, unknownRecipe(abraDir, arg)
	}
	return openDir(dir, arg)
}

func openPath(arg string) (*Recipe, error) {
	if hasControl(arg) {
		return nil, fmt.Errorf("the path %q holds control characters", arg)
	}
	dir, err := filepath.Abs(arg)
	if err != nil {
		return nil, fmt.Errorf("finding recipe %q: %w", arg, err)
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, hinted("give a recipe's name, or the path of its clone", "no recipe at %q: %w", arg, err)
	} else if !info.IsDir() {
		return nil, hinted("give the folder that holds compose.yml", "%q is no folder", arg)
	}
	return openDir(dir, "")
}

// openDir opens the repository at dir; a name of "" is to be found out.
func openDir(dir, name string) (*Recipe, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, hinted("git clone the recipe, or in the folder: git init && git add . && git commit",
			"%q is no git repository, and what is tested is always a commit", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening git repository %q: %w", dir, err)
	}
	r := &Recipe{Name: name, Dir: dir, repo: repo}
	head, err := r.headTree()
	if err != nil {
		return nil, err
	}
	if _, err := head.File("compose.yml"); err != nil {
		return nil, r.noCompose()
	}
	if r.Name == "" {
		r.Name = nameFromTree(head, filepath.Base(dir))
	}
	if !isName(r.Name) {
		return nil, hinted("rename the folder, or set TYPE in .env.sample", "the folder's name %q cannot be a recipe's name", r.Name)
	}
	return r, nil
}

func (r *Recipe) headTree() (*object.Tree, error) {
	ref, err := r.repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, hinted(fmt.Sprintf("git -C %s add . && git -C %[1]s commit", shellWord(r.Dir)), "the repository %q has no commit", r.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading HEAD of %q: %w", r.Dir, err)
	}
	commit, err := r.repo.CommitObject(ref.Hash())
	if err != nil {
		return nil, fmt.Errorf("reading HEAD of %q: %w", r.Dir, err)
	}
	return commit.Tree()
}

func (r *Recipe) noCompose() error {
	if _, err := os.Lstat(filepath.Join(r.Dir, "compose.yml")); err == nil {
		return hinted(fmt.Sprintf("git -C %s add compose.yml && git -C %[1]s commit", shellWord(r.Dir)),
			"compose.yml of %q is not committed, and what is tested is always a commit", r.Dir)
	}
	return hinted("give the folder that holds compose.yml", "%q is no recipe: it has no compose.yml", r.Dir)
}

// typeLine finds the recipe's name in .env.sample: TYPE (or RECIPE), without a version.
var typeLine = regexp.MustCompile(`(?m)^(?:TYPE|RECIPE)=["']?([A-Za-z0-9._-]+)`)

func nameFromTree(tree *object.Tree, fallback string) string {
	file, err := tree.File(".env.sample")
	if err != nil {
		return fallback
	}
	text, err := file.Contents()
	if err != nil {
		return fallback
	}
	if m := typeLine.FindStringSubmatch(text); m != nil && isName(m[1]) {
		return m[1]
	}
	return fallback
}

func unknownRecipe(abraDir, name string) error {
	dir := filepath.Join(abraDir, "recipes")
	var near string
	if names := nearest(name, recipeNames(dir)); len(names) > 0 {
		near = fmt.Sprintf("; nearest: %s", strings.Join(names, ", "))
	}
	return hinted("abra recipe fetch "+name, "no recipe %q in %q%s", name, dir, near)
}

func recipeNames(dir string) (names []string) {
	entries, _ := os.ReadDir(dir) // no folder, no names
	for _, e := range entries {
		if isName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// nearest picks at most three names that name may have been meant for: two or
// a third of its letters wrong, or one the beginning of the other.
func nearest(name string, names []string) (near []string) {
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	for _, n := range names {
		far := distance(strings.ToLower(name), strings.ToLower(n))
		if far <= max(2, len(name)/3) || strings.HasPrefix(n, name) || strings.HasPrefix(name, n) {
			found = append(found, candidate{n, far})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.far - b.far })
	for _, c := range found[:min(3, len(found))] {
		near = append(near, c.name)
	}
	return near
}

// distance is the number of bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// Dirty reports whether the working tree differs from HEAD; untracked files
// count, as they do for abra.
func (r *Recipe) Dirty() (bool, error) {
	tree, err := r.repo.Worktree()
	if errors.Is(err, git.ErrIsBareRepository) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("working tree of %q: %w", r.Dir, err)
	}
	status, err := tree.Status()
	if err != nil {
		return false, fmt.Errorf("status of %q: %w", r.Dir, err)
	}
	return !status.IsClean(), nil
}

// Origin is the URL of the remote origin, without any password in it; "" if
// there is none.
func (r *Recipe) Origin() string {
	remote, err := r.repo.Remote("origin")
	if err != nil || len(remote.Config().URLs) == 0 {
		return ""
	}
	return withoutUserinfo(remote.Config().URLs[0])
}

// shellWord quotes s for a shell, where that is needed.
func shellWord(s string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`).MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// withoutUserinfo takes user and token out of an https URL: origins end up in results.
func withoutUserinfo(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || !strings.HasPrefix(scheme, "http") {
		return url
	}
	host, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	return scheme + "://" + host + "/" + path
}
