package ledger

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	mrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// judged makes a ledger in which M1 failed, M2 passed, and another phase is
// under review too.
func judged(t *testing.T) *bench {
	b := newBench(t)
	b.append(b.builder, claim("level 5"))
	f := verdict(Fail)
	opening(&f)
	b.append(b.adversary, f)
	p := verdict(Pass)
	p.Claim = "M2"
	b.append(b.adversary, p)
	p = verdict(Pass)
	p.Phase, p.Repo = "notes", "coop-cloud/notes"
	b.append(b.adversary, p)
	must(t, b.verify())
	return b
}

// edit replaces text in a file of the ledger.
func (b *bench) edit(name, old, new string) {
	b.t.Helper()
	text := b.read(name)
	if !strings.Contains(text, old) {
		b.t.Fatalf("%s has no %q", name, old)
	}
	b.write(name, strings.Replace(text, old, new, 1))
}

func (b *bench) rename(old, new string) {
	b.t.Helper()
	must(b.t, os.Rename(filepath.Join(b.dir, old), filepath.Join(b.dir, new)))
}

func (b *bench) remove(name string) {
	b.t.Helper()
	must(b.t, os.Remove(filepath.Join(b.dir, name)))
}

// forge puts bytes at the end of the log, and a checkpoint over them that is
// right but for them, signed by a key: what a builder with write access can do.
func (b *bench) forge(raw []byte, key *Signer) {
	b.t.Helper()
	l, err := Open(b.folder())
	must(b.t, err)
	n := l.tree.n
	b.write(entryName(n), string(raw))
	must(b.t, l.tree.add(tlog.RecordHash(raw)))
	c, err := l.checkpoint()
	must(b.t, err)
	note, err := c.sign(key)
	must(b.t, err)
	b.write(checkpointName(n+1), string(note))
}

// entry makes the next entry as its signer wants it, whatever the rules say.
func (b *bench) entry(key *Signer, c Content) []byte {
	b.t.Helper()
	l, err := Open(b.folder())
	must(b.t, err)
	index, root, err := l.next()
	must(b.t, err)
	b.n++
	c.ID = b.id("forged" + c.Prose)
	raw, err := Sign(&Entry{Content: c, Time: b.now, Previous: root, Index: index, Origin: origin}, key)
	must(b.t, err)
	return raw
}

// unsigned makes an entry that says it is by the adversary, signed by another.
func (b *bench) unsigned(c Content) []byte {
	honest := string(b.entry(b.adversary, c))
	forged := string(b.entry(b.builder, c))
	h, f := strings.LastIndex(honest, "\n— "), strings.LastIndex(forged, "\n— ")
	name, good, _ := strings.Cut(honest[h+len("\n— "):], " ")
	_, bad, _ := strings.Cut(forged[f+len("\n— "):], " ")
	// The first four bytes are the key's hash: those of the adversary, too.
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(bad))
	must(b.t, err)
	hash, err := base64.StdEncoding.DecodeString(strings.TrimSpace(good))
	must(b.t, err)
	copy(sig, hash[:4])
	return []byte(honest[:h] + "\n— " + name + " " + base64.StdEncoding.EncodeToString(sig) + "\n")
}

// What somebody with write access does to get a PASS for M1.
var attacks = []struct {
	name string
	do   func(b *bench)
	want string
}{
	{"entry truncated", func(b *bench) { b.write("entries/000002.md", b.read("entries/000002.md")[:300]) }, "entries/000002.md"},
	{"entry emptied", func(b *bench) { b.write("entries/000002.md", "") }, "entries/000002.md"},
	{"entry that is too big", func(b *bench) { must(b.t, os.Truncate(filepath.Join(b.dir, "entries/000002.md"), 1<<20)) }, "more than an entry has"},
	{"checkpoint truncated", func(b *bench) { b.write("checkpoints/000005", b.read("checkpoints/000005")[:40]) }, "checkpoints/000005"},
	{"verdict edited", func(b *bench) { b.edit("entries/000002.md", "verdict: FAIL", "verdict: PASS") }, "entries/000002.md"},
	{"verdict edited all over", func(b *bench) {
		b.edit("entries/000002.md", "verdict: FAIL", "verdict: PASS")
		b.edit("entries/000002.md", "· FAIL ·", "· PASS ·")
		b.edit("entries/000002.md", "opened: ADV-mailu-01\n", "")
		text := b.read("entries/000002.md")
		i, j := strings.Index(text, "\n### ADV"), strings.LastIndex(text, "\n— ")
		b.write("entries/000002.md", text[:i]+text[j:])
	}, "entries/000002.md"},
	{"head edited", func(b *bench) { b.edit("entries/000003.md", headSHA, otherSHA) }, "entries/000003.md"},
	{"pull request edited", func(b *bench) { b.edit("entries/000003.md", "pr: 3\n", "pr: 4\n") }, "entries/000003.md"},
	{"repo edited", func(b *bench) { b.edit("entries/000004.md", "repo: coop-cloud/notes", "repo: coop-cloud/mailu") }, "entries/000004.md"},
	{"claim edited", func(b *bench) {
		b.edit("entries/000003.md", "claim: M2", "claim: M1")
		b.edit("entries/000003.md", " · M2 · ", " · M1 · ")
	}, "entries/000003.md"},
	{"entry removed", func(b *bench) { b.remove("entries/000002.md") }, "files are missing"},
	{"checkpoint removed", func(b *bench) { b.remove("checkpoints/000002") }, "files are missing"},
	{"phase removed", func(b *bench) { b.remove("entries/000004.md"); b.remove("REVIEW-notes.md") }, "files are missing"},
	{"entry added in between", func(b *bench) { b.write("entries/000006.md", b.read("entries/000003.md")) }, "files are missing"},
	{"blocks swapped", func(b *bench) {
		b.rename("entries/000002.md", "x")
		b.rename("entries/000003.md", "entries/000002.md")
		b.rename("x", "entries/000003.md")
	}, "index"},
	{"block moved to another phase", func(b *bench) { b.edit("entries/000004.md", "phase: notes", "phase: mailu") }, "entries/000004.md"},
	{"entry with line ends of Windows", func(b *bench) {
		b.write("entries/000002.md", strings.ReplaceAll(b.read("entries/000002.md"), "\n", "\r\n"))
	}, "entries/000002.md"},
	{"checkpoint with line ends of Windows", func(b *bench) {
		b.write("checkpoints/000005", strings.ReplaceAll(b.read("checkpoints/000005"), "\n", "\r\n"))
	}, "checkpoints/000005"},
	{"blank line at the end", func(b *bench) { b.write("entries/000002.md", b.read("entries/000002.md")+"\n") }, "entries/000002.md"},
	{"second signature line", func(b *bench) {
		text := b.read("entries/000002.md")
		b.write("entries/000002.md", text+text[strings.LastIndex(text, "— "):])
	}, "signature line"},
	{"second signature line of a checkpoint", func(b *bench) {
		text := b.read("checkpoints/000005")
		b.write("checkpoints/000005", text+text[strings.LastIndex(text, "— "):])
	}, "signature line"},
	{"checkpoint of an earlier size", func(b *bench) { b.write("checkpoints/000005", b.read("checkpoints/000004")) }, "size 4"},
	{"an old checkpoint that says something else", func(b *bench) {
		note, err := Checkpoint{origin, 2, [32]byte{1}}.sign(b.adversary)
		must(b.t, err)
		b.write("checkpoints/000002", string(note))
	}, "checkpoints/000002"},
	{"checkpoint of another log", func(b *bench) {
		l, err := Open(b.folder())
		must(b.t, err)
		c := l.Checkpoint()
		c.Origin = "example.org/other"
		note, err := c.sign(b.adversary)
		must(b.t, err)
		b.write("checkpoints/000005", string(note))
	}, "of the log example.org/other"},
	{"checkpoint by a stranger", func(b *bench) {
		l, err := Open(b.folder())
		must(b.t, err)
		note, err := l.Checkpoint().sign((&bench{t: b.t}).key(Adversary, "stranger"))
		must(b.t, err)
		b.write("checkpoints/000005", string(note))
		b.remove("REVIEW-notes.md") // which has it, too
	}, "no key of the policy"},
	{"verdict replayed", func(b *bench) { b.forge([]byte(b.read("entries/000003.md")), b.builder) }, "index"},
	{"verdict of another ledger", func(b *bench) { b.forge(elsewhere(b, "example.org/other"), b.builder) }, "of the log example.org/other"},
	{"verdict of another ledger of the same name", func(b *bench) { b.forge(elsewhere(b, origin), b.builder) }, "on top of other entries"},
	{"verdict by a builder", func(b *bench) { b.forge(b.entry(b.builder, verdict(Pass)), b.builder) }, "can't sign a verdict"},
	{"verdict with a forged signature", func(b *bench) { b.forge(b.unsigned(verdict(Pass)), b.builder) }, "signature of key ci-adversary"},
	{"retraction with a forged signature", func(b *bench) {
		b.forge(b.unsigned(Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000002"}), b.builder)
	}, "signature of key ci-adversary"},
	{"retraction by a builder", func(b *bench) {
		b.forge(b.entry(b.builder, Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000002"}), b.builder)
	}, "only that key retracts it"},
	{"bidi in words that an adversary signed", func(b *bench) {
		c := verdict(Pass)
		c.Prose = "never say this"
		text, _, _, err := splitSignature(b.entry(b.adversary, c))
		must(b.t, err)
		text = strings.Replace(text, "never say", "\u202enever say", 1)
		// What signs notes refuses that, so it is signed by hand.
		sig, err := b.adversary.Sign([]byte(text))
		must(b.t, err)
		sig = append(binary.BigEndian.AppendUint32(nil, b.adversary.KeyHash()), sig...)
		b.forge([]byte(text+"\n— "+b.adversary.Name()+" "+base64.StdEncoding.EncodeToString(sig)+"\n"), b.adversary)
	}, "no signed text of printing characters"},
	{"claim from before the last entry", func(b *bench) {
		b.now = b.now.Add(-time.Hour)
		b.forge(b.entry(b.builder, claim("earlier")), b.builder)
	}, "a clock ran backwards"},
	{"policy by a builder", func(b *bench) {
		own := (&bench{t: b.t})
		own.key(Adversary, "bob")
		b.forge(b.entry(b.builder, Content{Kind: PolicyKind, Keys: append(own.keys, b.keys...)}), b.builder)
	}, "can't sign a policy"},
	{"policy with a forged signature", func(b *bench) {
		own := (&bench{t: b.t})
		own.key(Adversary, "bob")
		b.forge(b.unsigned(Content{Kind: PolicyKind, Keys: append(own.keys, b.keys...)}), b.builder)
	}, "signature of key ci-adversary"},
	{"policy changed and used in one change", func(b *bench) {
		own := (&bench{t: b.t})
		bob := own.key(Adversary, "bob")
		b.edit("entries/000000.md", "key: builder", own.keysLine()+"key: builder")
		b.write(entryName(5), string(b.entry2(bob, verdict(Pass))))
	}, "entries/000000.md"},
	{"finding with a number that is taken", func(b *bench) {
		c := verdict(Fail)
		c.Opened = []Finding{{ID: "ADV-mailu-01", Title: "another one"}}
		b.forge(b.entry(b.adversary, c), b.adversary)
	}, "the next finding is ADV-mailu-02"},
	{"finding that leaves out a number", func(b *bench) {
		c := verdict(Fail)
		c.Opened = []Finding{{ID: "ADV-mailu-03", Title: "another one"}}
		b.forge(b.entry(b.adversary, c), b.adversary)
	}, "the next finding is ADV-mailu-02"},
	{"id a second time", func(b *bench) { // entry gives all without prose the same one
		b.forge(b.entry(b.builder, claim("once")), b.builder)
		b.forge(b.entry(b.builder, claim("twice")), b.builder)
	}, "its id is that of"},
	{"symlink for an entry", func(b *bench) {
		b.rename("entries/000002.md", "elsewhere.md")
		must(b.t, os.Symlink("../elsewhere.md", filepath.Join(b.dir, "entries/000002.md")))
	}, "symlink"},
	{"symlink for the entries", func(b *bench) {
		b.rename("entries", "elsewhere")
		must(b.t, os.Symlink("elsewhere", filepath.Join(b.dir, "entries")))
	}, "symlink"},
	{"symlink for a checkpoint", func(b *bench) {
		b.rename("checkpoints/000005", "elsewhere")
		must(b.t, os.Symlink("../elsewhere", filepath.Join(b.dir, "checkpoints/000005")))
	}, "symlink"},
	{"fifo for an entry", func(b *bench) {
		b.remove("entries/000002.md")
		must(b.t, syscall.Mkfifo(filepath.Join(b.dir, "entries/000002.md"), 0o644))
	}, "regular"},
	{"stranger among the entries", func(b *bench) { b.write("entries/17.md", "x") }, "no file of a ledger"},
	{"stranger among the checkpoints", func(b *bench) { b.write("checkpoints/0000005", "x") }, "no file of a ledger"},
}

// render writes a review of a phase, whether it is one or not.
func (b *bench) render(phase string) {
	b.t.Helper()
	l, err := Open(b.folder())
	must(b.t, err)
	text, err := l.review(phase, l.tree.n)
	must(b.t, err)
	b.write(reviewName(phase), string(text))
}

// What is done to what people read.
var retouched = []struct {
	name string
	do   func(b *bench)
	want string
}{
	{"verdict", func(b *bench) { b.edit("REVIEW-mailu.md", "verdict: FAIL", "verdict: PASS") }, "REVIEW-mailu.md"},
	{"block removed", func(b *bench) {
		text := b.read("REVIEW-mailu.md")
		i, j := strings.Index(text, "\n## E000002"), strings.Index(text, "\n## E000003")
		b.write("REVIEW-mailu.md", text[:i]+text[j:])
	}, "REVIEW-mailu.md"},
	{"block of another phase", func(b *bench) {
		text := b.read("REVIEW-notes.md")
		i, j := strings.Index(text, "\n## E000004"), strings.Index(text, "\n---\n")
		b.edit("REVIEW-mailu.md", "\n---\n", text[i:j]+"\n---\n")
	}, "REVIEW-mailu.md"},
	{"older size", func(b *bench) { b.edit("REVIEW-mailu.md", "at size 4", "at size 3") }, "REVIEW-mailu.md"},
	{"invented phase", func(b *bench) {
		b.write("REVIEW-other.md", strings.ReplaceAll(b.read("REVIEW-mailu.md"), "mailu", "other"))
	}, "REVIEW-other.md"},
	{"words above the blocks", func(b *bench) { b.edit("REVIEW-mailu.md", "append-only.", "append-only. All is well.") }, "REVIEW-mailu.md"},
	{"words below the blocks", func(b *bench) {
		b.edit("REVIEW-mailu.md", "The signed checkpoint:", "All is well. The signed checkpoint:")
	}, "REVIEW-mailu.md"},
	{"finding closed", func(b *bench) {
		b.edit("BACKLOG-mailu.md", "## Open\n", "## Open\n\nNone.\n\n## Closed\n")
	}, "BACKLOG-mailu.md"},
	{"finding with another title", func(b *bench) { b.edit("BACKLOG-mailu.md", "> it is", "> it was") }, "BACKLOG-mailu.md"},
	{"finding opened by another verdict", func(b *bench) { b.edit("BACKLOG-mailu.md", "opened by E000002", "opened by E000003") }, "BACKLOG-mailu.md"},
	{"hash of what lies between", func(b *bench) {
		text := b.read("REVIEW-notes.md")
		i := strings.Index(text, "\ngap: 2 2 ") + len("\ngap: 2 2 ")
		other := map[bool]string{true: "B", false: "A"}[text[i] == 'A']
		b.write("REVIEW-notes.md", text[:i]+other+text[i+1:])
	}, "REVIEW-notes.md"},
	{"other entries between", func(b *bench) { b.edit("REVIEW-notes.md", "\ngap: 2 2 ", "\ngap: 2 1 ") }, "REVIEW-notes.md"},
	{"phase that has no entries", func(b *bench) { b.render("other") }, "REVIEW-other.md"},
	{"no phase", func(b *bench) { b.render("") }, "REVIEW-.md"},
	{"symlink", func(b *bench) {
		b.rename("REVIEW-mailu.md", "x.md")
		must(b.t, os.Symlink("x.md", filepath.Join(b.dir, "REVIEW-mailu.md")))
	}, "symlink"},
}

func (b *bench) keysLine() string {
	return "key: " + string(b.keys[0].Role) + " " + b.keys[0].Public + "\n"
}

// entry2 is entry for a log that does not open any more.
func (b *bench) entry2(key *Signer, c Content) []byte {
	c.ID = b.id("forged")
	raw, err := Sign(&Entry{Content: c, Time: b.now, Index: 5, Origin: origin}, key)
	must(b.t, err)
	return raw
}

// elsewhere is a true PASS for M1, at the same index of another ledger with
// the same keys.
func elsewhere(b *bench, name string) []byte {
	d := newDisk(nil)
	l, err := Init(d, name, b.keys, b.id("init elsewhere"), b.adversary, b.now)
	must(b.t, err)
	for i := range 4 {
		_, err := l.Append(Content{Kind: Orientation, Phase: "mailu", Prose: "x", ID: b.id(string(rune('a' + i)))}, b.adversary, b.now)
		must(b.t, err)
	}
	c := verdict(Pass)
	c.ID = b.id("elsewhere")
	_, err = l.Append(c, b.adversary, b.now)
	must(b.t, err)
	raw, err := d.Read(entryName(5))
	must(b.t, err)
	return raw
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := judged(t)
			tt.do(b)
			err := b.verify()
			var broken *CorruptError
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &broken) {
				t.Errorf("verify: %v, want %q", err, tt.want)
			}
			if a, err := b.tryGate(question()); err == nil && a.Verdict != Fail {
				t.Errorf("the gate says %s: %s", a.Verdict, a.Reason)
			}
			disagrees(t, b, true)
		})
	}
}

func TestRetouched(t *testing.T) {
	t.Parallel()
	for _, tt := range retouched {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := judged(t)
			tt.do(b)
			var broken *CorruptError
			if err := b.verify(); err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &broken) {
				t.Errorf("verify: %v, want %q", err, tt.want)
			}
			if strings.HasSuffix(tt.want, "-mailu.md") { // what an entry of mailu is rendered to
				c := claim("again")
				_, err := b.tryAppend(b.builder, c)
				var rendering *RenderError
				if !errors.As(err, &rendering) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("append: %v, want that it could not render over %q", err, tt.want)
				}
			}
			disagrees(t, b, true)
		})
	}
}

// disagrees asks the verifier in Python, which must find the ledger good or bad.
func disagrees(t *testing.T, b *bench, bad bool) {
	t.Helper()
	answer, err := python()(b.dir)
	if err != nil {
		t.Fatalf("python3: %v\nhint: scripts/prepare test", err)
	}
	if said, ok := strings.CutPrefix(answer, map[bool]string{true: "bad: ", false: "good: "}[bad]); !ok || said == "" {
		t.Errorf("the verifier in Python says %q", answer)
	}
}

// python is the verifier in Python as a process that is asked about many
// ledgers: most of them are nearly the same, and a signature that it has
// verified once it knows.
var python = sync.OnceValue(func() func(dir string) (answer string, err error) {
	cmd := exec.Command("python3", "-E", "-s", "-B", "-c", `
import contextlib, functools, io, sys
sys.path.insert(0, "../docs")
import ed25519
ed25519.verify = functools.cache(ed25519.verify)
code = compile(open("../docs/verify-ledger.py").read(), "verify-ledger.py", "exec")
for line in sys.stdin:
    sys.argv = ["verify-ledger.py", line.rstrip("\n")]
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, {"__name__": "__main__"})
        answer = "good: " + out.getvalue()
    except SystemExit as end:
        answer = f"bad: {end}"
    except Exception as end:
        answer = f"broken: {end!r}"
    print(answer.strip().replace("\n", " "), flush=True)`)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	err = errors.Join(err, err2)
	if err == nil {
		err = cmd.Start() // it ends with its input, when the tests do
	}
	answers := bufio.NewReader(out)
	var mu sync.Mutex
	return func(dir string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			return "", err
		}
		fmt.Fprintln(in, dir)
		return answers.ReadString('\n')
	}
})

// Its arithmetic is that of Go: every bit of key, text and signature counts.
func TestPythonEd25519(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	var want []string
	ask := func(key ed25519.PublicKey, text, sig []byte) {
		fmt.Fprintf(&in, "%x %x %x\n", key, text, sig)
		want = append(want, map[bool]string{true: "True", false: "False"}[ed25519.Verify(key, text, sig)])
	}
	for i := range 4 {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		text := []byte(strings.Repeat("x", 1+i*i))
		sig := ed25519.Sign(private, text)
		ask(public, text, sig)
		for _, part := range [][]byte{public, text, sig} {
			for range 8 {
				at := mrand.IntN(8 * len(part))
				part[at/8] ^= 1 << (at % 8)
				ask(public, text, sig)
				part[at/8] ^= 1 << (at % 8)
			}
		}
		// The same signature with a scalar beyond the group's order is another one.
		ask(public, text, append(slices.Clone(sig[:32]), plusOrder(sig[32:])...))
	}
	cmd := exec.Command("python3", "-E", "-s", "-B", "-c", `
import sys
sys.path.insert(0, "../docs")
import ed25519
for line in sys.stdin:
    print(ed25519.verify(*(bytes.fromhex(part) for part in line.split())))`)
	cmd.Stdin, cmd.Stderr = strings.NewReader(in.String()), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\nhint: scripts/prepare test", err)
	}
	if got := strings.Fields(string(out)); !slices.Equal(got, want) {
		t.Errorf("in Python\n%v, in Go\n%v", got, want)
	}
}

// plusOrder adds the order of the group to a scalar in little-endian bytes.
func plusOrder(s []byte) []byte {
	order, _ := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	out, carry := make([]byte, len(s)), 0
	for i := range s {
		carry += int(s[i]) + int(order[i])
		out[i], carry = byte(carry), carry>>8
	}
	return out
}

// On good ledgers both agree: also with an entry that is only claimed. As a
// program the verifier in Python says so by its exit status, and knows a trust file.
func TestPythonAgrees(t *testing.T) {
	t.Parallel()
	b := judged(t)
	disagrees(t, b, false)
	b.write(entryName(5), string(b.entry(b.adversary, verdict(Pass))))
	must(t, b.verify())
	disagrees(t, b, false)
	b = newBench(t)
	b.seed()
	nb := &bench{t: t}
	nb.key(Adversary, "third-adversary")
	b.append(b.adversary, Content{Kind: PolicyKind, Keys: append(nb.keys, b.keys[1])})
	disagrees(t, b, false)

	l, err := Open(b.folder())
	must(t, err)
	trust, err := l.Trust()
	must(t, err)
	b.write("../trust", trust.String())
	b.write("../other", Trust{trust.Origin, digest(nil)}.String())
	for _, tt := range []struct {
		trust string
		good  bool
	}{{"trust", true}, {"other", false}} {
		out, err := exec.Command("python3", "-E", "-s", "-B", "../docs/verify-ledger.py", b.dir, filepath.Join(b.dir, "..", tt.trust)).CombinedOutput()
		if tt.good != (err == nil) || strings.Contains(string(out), "Traceback") {
			t.Errorf("with the file %s: %v\n%s", tt.trust, err, out)
		}
	}
}

// Any bit of any file: what is flipped is found. Renderings are slower to
// check, and one bit of each of their bytes is flipped.
func TestEveryBit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := newDisk(nil)
	l, err := Init(d, origin, b.keys[:1], b.id("init"), b.adversary, b.now)
	must(t, err)
	_, err = l.Append(func() Content { c := verdict(Fail); opening(&c); c.ID = b.id("x"); return c }(), b.adversary, b.now)
	must(t, err)
	files := d.files()
	_, _, err = Verify(newDisk(files))
	must(t, err)
	for name, data := range files {
		if isTemp(name) {
			continue
		}
		_, rendering := isDerived(name)
		for i := range data {
			for bit := range 8 {
				if rendering && bit != i%8 {
					continue
				}
				data[i] ^= 1 << bit
				if _, _, err := Verify(newDisk(files)); err == nil {
					t.Errorf("%s: bit %d of byte %d (%q) can be flipped", name, bit, i, data[i]^1<<bit)
				}
				data[i] ^= 1 << bit
			}
		}
	}
}

// A fresh ledger in the place of the old one is not the trusted one.
func TestTrust(t *testing.T) {
	t.Parallel()
	b := judged(t)
	l, err := Open(b.folder())
	must(t, err)
	trust, err := l.Trust()
	must(t, err)
	back, err := ParseTrust([]byte(trust.String()))
	if err != nil || back != trust {
		t.Errorf("%v, %v", back, err)
	}
	_, err = Open(b.folder(), trust.Visit)
	must(t, err)
	// The same people and keys, even: only entry 0 is another one.
	d := newDisk(nil)
	_, err = Init(d, origin, b.keys, b.id("another"), b.adversary, b.now.Add(time.Minute))
	must(t, err)
	var broken *CorruptError
	if _, err := Open(d, trust.Visit); !errors.As(err, &broken) || !strings.Contains(err.Error(), "another ledger is in its place") {
		t.Errorf("a fresh ledger: %v", err)
	}
	for _, bad := range []string{"", origin, trust.String() + "x", strings.ToUpper(trust.String()), trust.Digest + "\n" + trust.Origin + "\n"} {
		if _, err := ParseTrust([]byte(bad)); err == nil {
			t.Errorf("%q is a trust file", bad)
		}
	}
}

// Rollbacks and forks are found from a checkpoint that was seen, and both
// signed notes are there to show.
func TestSeen(t *testing.T) {
	t.Parallel()
	b := judged(t)
	l, err := Open(b.folder())
	must(t, err)
	seen := l.Note()
	must(t, l.Extends(seen))
	b.append(b.builder, claim("more"))
	l, err = Open(b.folder())
	must(t, err)
	must(t, l.Extends(seen))
	newer := l.Note()

	// Rolled back by one: everything left is right.
	b.remove("entries/000005.md")
	b.remove("checkpoints/000006")
	b.remove("REVIEW-mailu.md")
	b.remove("BACKLOG-mailu.md")
	must(t, b.verify())
	l, err = Open(b.folder())
	must(t, err)
	var fork *ForkError
	if err := l.Extends(newer); !errors.As(err, &fork) || !fork.Rollback || fork.ExitCode() != 3 {
		t.Errorf("rolled back: %v", err)
	}
	// And written on differently: a consistent fork.
	b.append(b.builder, claim("something else"))
	b.append(b.builder, claim("and more"))
	must(t, b.verify())
	l, err = Open(b.folder())
	must(t, err)
	if err := l.Extends(newer); !errors.As(err, &fork) || fork.Rollback {
		t.Fatalf("forked: %v", err)
	}
	if !strings.Contains(fork.Hint(), "ci-adversary, second-adversary") {
		t.Errorf("nobody must look: %s", fork.Hint())
	}
	proof := string(fork.Proof())
	if !strings.Contains(proof, string(newer)) || !strings.Contains(proof, b.read("checkpoints/000006")) {
		t.Errorf("the proof lacks a note:\n%s", proof)
	}
	if err := l.Extends([]byte("x")); err == nil {
		t.Error("what is no checkpoint was seen")
	}
	of := l.Checkpoint()
	of.Origin = "example.org/other"
	other, err := of.sign(b.adversary)
	must(t, err)
	if err := l.Extends(other); err == nil || !strings.Contains(err.Error(), "is of the log example.org/other") {
		t.Errorf("a checkpoint of another log was seen: %v", err)
	}
}

func TestNoLedger(t *testing.T) {
	t.Parallel()
	d, err := MakeDir(t.TempDir())
	must(t, err)
	defer d.Close()
	if _, err := Open(d); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	if _, err := OpenDir(filepath.Join(t.TempDir(), "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
