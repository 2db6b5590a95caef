package labels

import (
	"bytes"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	composetypes "github.com/docker/cli/cli/compose/types"
	"mvdan.cc/sh/v3/syntax"
)

// imageDirs are places where an image may well have its own programs.
var imageDirs = []string{
	"/app", "/bin", "/dev", "/etc", "/home", "/lib", "/lib64", "/nix", "/opt", "/proc",
	"/root", "/run", "/sbin", "/srv", "/tmp", "/usr", "/var",
}

// shells are programs whose arguments are shell again.
var shells = []string{"sh", "ash", "bash", "dash", "ksh", "zsh", "su", "runuser"}

// A hookReader collects what is to be said about one hook.
type hookReader struct {
	subject Subject
	service *Service
	where   string
	source  string          // "" for the label itself, else the script's name
	read    map[string]bool // scripts that were read already
	notices []Notice
}

func checkHooks(s Subject) []Notice {
	var notices []Notice
	for _, l := range s.Stack.backupLabels() {
		if l.kind != keyHook {
			continue
		}
		if strings.TrimSpace(l.value) == "" {
			notices = append(notices, note("hook-empty", l.String(), "the hook runs nothing"))
			continue
		}
		h := &hookReader{subject: s, service: s.Stack.service(l.service), where: l.String(), read: map[string]bool{}}
		if err := h.script(l.value, shellOptions{}); err != nil {
			h.add("hook-syntax", "%v", err)
		}
		notices = append(notices, h.notices...)
	}
	return notices
}

func (h *hookReader) add(id, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if h.source != "" {
		text = h.source + ": " + text
	}
	h.notices = append(h.notices, note(id, h.where, "%s", text))
}

// script reads shell text. It is parsed as bash, which allows more than any
// other shell: what a poorer one makes of it, a run will show.
func (h *hookReader) script(text string, set shellOptions) error {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return err
	}
	told := map[syntax.Node]bool{} // pipes within a pipe that has its notice
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.File:
			h.ending(n.Stmts, text, set)
		case *syntax.Block:
			h.ending(n.Stmts, text, set)
		case *syntax.Subshell:
			h.ending(n.Stmts, text, set)
		case *syntax.CallExpr:
			args := words(n, text)
			set = set.after(args)
			h.call(args, set)
		case *syntax.BinaryCmd:
			if isPipe(n) && !set.pipefail && !told[n] && mayFail(n.X) {
				h.add("hook-pipe", "in %q a failure before the last | goes unnoticed", brief(n))
				told[n.X.Cmd] = true
			}
			if n.Op == syntax.OrStmt && succeeds(n.Y, text) && matters(n.X, text) {
				h.add("hook-swallows", "in %q a failure counts as success", brief(n))
			}
		}
		return true
	})
	return nil
}

// ending looks at the last of several commands: where it can only succeed, nobody
// hears of those before it, unless the shell ends at the first failure.
func (h *hookReader) ending(list []*syntax.Stmt, text string, set shellOptions) {
	if len(list) == 0 || !succeeds(list[len(list)-1], text) {
		return
	}
	for _, s := range list[:len(list)-1] {
		call, plain := s.Cmd.(*syntax.CallExpr)
		if plain {
			set = set.after(words(call, text))
		}
		if !set.errexit && matters(s, text) && !(plain && len(call.Args) == 0) {
			h.add("hook-swallows", "%q goes on with %q, and a failure counts as success", brief(s), brief(list[len(list)-1]))
			return
		}
	}
}

// succeeds tells whether a command does nothing but succeed.
func succeeds(s *syntax.Stmt, text string) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || s.Negated {
		return false
	}
	args := words(call, text)
	return len(args) > 0 && (slices.Contains([]string{"true", ":", "echo", "printf"}, args[0]) || slices.Equal(args, []string{"exit", "0"}))
}

// matters is false for commands whose failure loses nothing: what tidies up,
// makes folders, or asks whether something is there.
func matters(s *syntax.Stmt, text string) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok {
		return true
	}
	args := words(call, text)
	return len(args) == 0 || !slices.Contains([]string{"rm", "mkdir", "rmdir", "test", "[", "echo", "printf", "true", ":", "kill", "sleep", "set", "cd", "export", "umask"}, args[0])
}

func isPipe(b *syntax.BinaryCmd) bool { return b.Op == syntax.Pipe || b.Op == syntax.PipeAll }

// mayFail is false for what only prints.
func mayFail(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return true
	}
	return !slices.Contains([]string{"echo", "printf", "true", ":"}, call.Args[0].Lit())
}

func brief(n syntax.Node) string {
	var b bytes.Buffer
	if err := syntax.NewPrinter(syntax.SingleLine(true)).Print(&b, n); err != nil {
		return "the hook"
	}
	if r := []rune(b.String()); len(r) > 60 {
		return string(r[:57]) + "..."
	}
	return b.String()
}

// shellOptions are those that decide what becomes of a failure.
type shellOptions struct{ pipefail, errexit bool }

// after is the options once a command has run: set changes them.
func (o shellOptions) after(args []string) shellOptions {
	if len(args) == 0 || args[0] != "set" {
		return o
	}
	o, _ = o.read(args[1:])
	return o
}

// read takes options, as set and a shell's command line have them, off the front.
func (o shellOptions) read(args []string) (_ shellOptions, rest []string) {
	for len(args) > 0 && len(args[0]) > 1 && (args[0][0] == '-' || args[0][0] == '+') {
		on, letters := args[0][0] == '-', args[0][1:]
		args = args[1:]
		if strings.HasPrefix(letters, "-") { // a long option, or the end of them
			continue
		}
		if strings.Contains(letters, "e") {
			o.errexit = on
		}
		if strings.HasSuffix(letters, "o") && len(args) > 0 {
			o.pipefail = args[0] == "pipefail" && on || args[0] != "pipefail" && o.pipefail
			o.errexit = args[0] == "errexit" && on || args[0] != "errexit" && o.errexit
			args = args[1:]
		}
	}
	return o, args
}

// call looks at one command: files that it runs, and scripts that it holds.
func (h *hookReader) call(args []string, set shellOptions) {
	for len(args) > 1 && slices.Contains([]string{"exec", "command", "source", "."}, args[0]) {
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	h.program(args[0])
	if args[0] == "eval" {
		h.nested(strings.Join(args[1:], " "), set)
	}
	for i, a := range args {
		if slices.Contains(shells, path.Base(a)) {
			h.shell(args[i+1:])
			return
		}
	}
}

// shell reads the arguments of a shell: options, then -c and a script, or a
// file. A new shell knows nothing of the outer one's options.
func (h *hookReader) shell(args []string) {
	set, rest := shellOptions{}.read(args)
	command := slices.ContainsFunc(args[:len(args)-len(rest)], func(a string) bool {
		return strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "c")
	})
	args = rest
	// `su postgres -c '…'` has its user first
	if i := slices.Index(args, "-c"); !command && i >= 0 {
		command, args = true, args[i+1:]
	}
	if len(args) == 0 {
		return
	}
	if command {
		h.nested(args[0], set)
		return
	}
	h.program(args[0])
}

// nested reads a script in an argument. The text may hold what the outer
// shell fills in, so that an error of syntax says nothing.
func (h *hookReader) nested(text string, set shellOptions) {
	_ = h.script(text, set)
}

// program says that a file is missing, or reads it if the recipe has it.
func (h *hookReader) program(p string) {
	if !path.IsAbs(p) {
		return
	}
	p = path.Clean(p)
	if h.config(p) || h.inContainer(p) {
		return
	}
	h.add("hook-file", "nothing puts %q into the containers of service %q", p, h.service.Name)
}

func (h *hookReader) inContainer(p string) bool {
	dirs := append(slices.Clone(imageDirs), h.service.Targets...)
	for _, m := range h.service.Mounts {
		dirs = append(dirs, m.Target)
	}
	if c := h.subject.Stack.composeService(h.service.Name); c != nil {
		for _, v := range c.Volumes {
			dirs = append(dirs, path.Clean(v.Target))
		}
	}
	return slices.ContainsFunc(dirs, func(d string) bool { return within(p, d) })
}

// config reads the script that a config puts at p, if one does.
func (h *hookReader) config(p string) bool {
	c := h.subject.Stack.composeService(h.service.Name)
	if c == nil || h.subject.Files == nil || h.read[p] {
		return h.read[p]
	}
	for _, o := range c.Configs {
		if objectTarget("/", composetypes.FileReferenceConfig(o)) != p {
			continue
		}
		h.read[p] = true
		name, ok := h.subject.Stack.inRecipe(h.subject.Stack.Compose.Configs[o.Source].File)
		if !ok {
			return true
		}
		if data, err := readRecipeFile(h.subject.Files, name); err == nil {
			inner := &hookReader{subject: h.subject, service: h.service, where: h.where, source: name, read: h.read}
			_ = inner.script(string(data), shellOptions{}) // a template may be no shell yet
			h.notices = append(h.notices, inner.notices...)
		}
		return true
	}
	return false
}

func (s *Stack) composeService(name string) *composetypes.ServiceConfig {
	if s.Compose == nil {
		return nil
	}
	for i := range s.Compose.Services {
		if s.Compose.Services[i].Name == name {
			return &s.Compose.Services[i]
		}
	}
	return nil
}

// inRecipe turns a path that the loader made absolute back into one of the
// recipe's own; false if it leaves the recipe.
func (s *Stack) inRecipe(file string) (string, bool) {
	rel, err := filepath.Rel(s.Dir, file)
	if file == "" || err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// words are the arguments of a call as far as the text tells: quotes are taken
// off, expansions are left as they are written.
func words(call *syntax.CallExpr, text string) []string {
	var out []string
	for _, w := range call.Args {
		var b strings.Builder
		for _, part := range w.Parts {
			b.WriteString(wordPart(part, text))
		}
		out = append(out, b.String())
	}
	return out
}

var unquoteDouble = strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`, "\\\n", "")

func wordPart(part syntax.WordPart, text string) string {
	switch part := part.(type) {
	case *syntax.Lit:
		return part.Value
	case *syntax.SglQuoted:
		return part.Value
	case *syntax.DblQuoted:
		from, to := int(part.Pos().Offset())+1, int(part.End().Offset())-1
		if part.Dollar {
			from++
		}
		if from <= to && to <= len(text) {
			return unquoteDouble.Replace(text[from:to])
		}
		return ""
	}
	from, to := int(part.Pos().Offset()), int(part.End().Offset())
	if from <= to && to <= len(text) {
		return text[from:to]
	}
	return ""
}
