package ledger

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	}, "no key of the policy"},
	{"verdict replayed", func(b *bench) { b.forge([]byte(b.read("entries/000003.md")), b.builder) }, "index"},
	{"verdict of another ledger", func(b *bench) { b.forge(elsewhere(b, "example.org/other"), b.builder) }, "of the log example.org/other"},
	{"verdict of another ledger of the same name", func(b *bench) { b.forge(elsewhere(b, origin), b.builder) }, "on top of other entries"},
	{"verdict by a builder", func(b *bench) { b.forge(b.entry(b.builder, verdict(Pass)), b.builder) }, "can't sign a verdict"},
	{"verdict with a forged signature", func(b *bench) { b.forge(b.unsigned(verdict(Pass)), b.builder) }, "signature of key ci-adversary"},
	{"retraction with a forged signature", func(b *bench) {
		b.forge(b.unsigned(Content{Kind: Retract, Phase: "mailu", Claim: "M1", Retracts: "E000002"}), b.builder)
	}, "signature of key ci-adversary"},
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
			if tt.name != "invented phase" { // nothing in the log makes anybody write it
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

// disagrees runs the verifier in Python, which must find the ledger good or bad.
func disagrees(t *testing.T, b *bench, bad bool) {
	t.Helper()
	out, err := exec.Command("python3", "-I", "../docs/verify-ledger.py", b.dir).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("python3: %v\nhint: scripts/prepare test", err)
	}
	if (err != nil) != bad {
		t.Errorf("the verifier in Python says bad=%v: %s", err != nil, out)
	}
}

// On good ledgers both agree: also with an entry that is only claimed.
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
