package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/ledger"
	"coopcloud.tech/abra-ccci/review"
	"coopcloud.tech/abra-ccci/runner"
)

// A review that is interrupted says so in the ledger, and nothing else.
func TestReviewInterrupted(t *testing.T) {
	t.Parallel()
	h := newHearing(t, "notes")
	h.branch("bump", "compose.yml", ".version=1.1.0+", ".version=1.1.1+")
	h.open("bump")
	runs := filepath.Join(h.bench.dir, "runs")
	c := &climber{b: h.bench, id: "*", runs: runs, ended: make(chan struct{})}
	c.cmd, c.stdout, c.stderr = h.command(h.reviewArgs()...)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.cmd.Wait(); close(c.ended) }()
	c.mustReach(runner.StageUpgrade, 2)
	c.signal(os.Interrupt)
	if code := c.exit(); code != exitInterrupted {
		t.Errorf("exit %d\n%s%s", code, c.stdout, c.stderr)
	}
	text := h.must("ledger", "show", "--phase", "notes")
	told(t, text, "INCONCLUSIVE", "the review did not come to its end")
	if strings.Contains(text, "pull_open") || strings.Contains(text, "ADV-") {
		t.Errorf("half of a review is told:\n%s", text)
	}
	told(t, h.must("ledger", "show", "--json"), `"scope": "partial"`)
}

// What would lead out of a clone is refused before anything of it runs.
func TestReviewOfHostileRepositories(t *testing.T) {
	t.Parallel()
	hostile := map[string]struct {
		plant func(h *hearing)
		want  string
	}{
		"a symlink out of the tree": {func(h *hearing) {
			if err := os.Symlink("/etc/passwd", filepath.Join(h.dir, "entrypoint.sh")); err != nil {
				h.t.Fatal(err)
			}
			h.git("add", "entrypoint.sh")
		}, "entrypoint.sh"},
		"a submodule at a local path": {func(h *hearing) {
			if err := os.WriteFile(filepath.Join(h.dir, ".gitmodules"), []byte("[submodule \"x\"]\n\tpath = x\n\turl = /etc\n"), 0o644); err != nil {
				h.t.Fatal(err)
			}
			h.git("add", ".gitmodules")
			h.git("update-index", "--add", "--cacheinfo", "160000,"+h.git("rev-parse", "HEAD")+",x")
		}, "submodule"},
		"a YAML bomb": {func(h *hearing) {
			bomb := "x-a0: &a0 [" + strings.Repeat("\"0123456789\",", 100) + "]\n"
			for i := 1; i < 9; i++ {
				bomb += strings.NewReplacer("I", string(rune('0'+i)), "P", string(rune('0'+i-1))).Replace("x-aI: &aI [*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP]\n")
			}
			name := filepath.Join(h.dir, "compose.yml")
			text, err := os.ReadFile(name)
			if err == nil {
				err = os.WriteFile(name, append(text, bomb...), 0o644)
			}
			if err != nil {
				h.t.Fatal(err)
			}
			h.git("add", "compose.yml")
		}, "compose.yml"},
	}
	for name, tt := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHearing(t, "notes")
			h.git("checkout", "-q", "-b", "hostile")
			tt.plant(h)
			h.git("commit", "-qm", "hostile")
			h.open("hostile")
			code, stdout, stderr := h.review()
			if code != exitUnknown || !strings.Contains(stderr, tt.want) || !strings.Contains(stdout, "INCONCLUSIVE") {
				t.Errorf("exit %d, %q is not said\n%s%s", code, tt.want, stdout, stderr)
			}
			if ran, err := filepath.Glob(filepath.Join(h.bench.dir, "runs", "*")); err != nil || len(ran) > 0 {
				t.Errorf("%v ran, %v", ran, err)
			}
			if left, err := filepath.Glob(filepath.Join(h.bench.dir, "state", "abra-ccci", "review-*")); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// A notedForge is a forge on which a pull request has moved. Gitea can be made to
// do that, but not in the moment between verdict and comment.
type notedForge struct {
	head     string
	comments []string
	statuses []review.CommitStatus
}

func (f *notedForge) Pull(context.Context, int) (review.Pull, error) {
	return review.Pull{Subject: review.Subject{Head: f.head}}, nil
}
func (f *notedForge) Comment(_ context.Context, _ int, head, body string) (string, error) {
	f.comments = append(f.comments, head+"\n"+body)
	return "http://forge/c", nil
}
func (f *notedForge) SetStatus(_ context.Context, _ string, s review.CommitStatus) error {
	f.statuses = append(f.statuses, s)
	return nil
}

// A head that moved during the review gets no status, and the comment says of
// which commit it speaks.
func TestPublishOfAHeadThatMoved(t *testing.T) {
	old, now := strings.Repeat("a", 40), strings.Repeat("b", 40)
	for _, moved := range []bool{false, true} {
		f := &notedForge{head: old}
		if moved {
			f.head = now
		}
		var stderr bytes.Buffer
		r := &reviewing{e: &env{stderr: &stderr}, forge: f, pull: review.Pull{Subject: review.Subject{Head: old, PR: 3}}}
		c := ledger.Content{Kind: ledger.VerdictKind, Claim: "M1", Verdict: ledger.Pass, Subject: ledger.Subject{Head: old}}
		if err := r.publish(t.Context(), c, ledger.Receipt{Entry: &ledger.Entry{Content: c}}); err != nil {
			t.Fatal(err)
		}
		if len(f.comments) != 1 || !strings.HasPrefix(f.comments[0], old) || strings.Contains(f.comments[0], "no longer the head") != moved {
			t.Errorf("moved %v: %q", moved, f.comments)
		}
		if (len(f.statuses) == 0) != moved {
			t.Errorf("moved %v: %+v", moved, f.statuses)
		}
	}
}
