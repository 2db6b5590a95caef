package recipe

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage"
)

// What a pack may hold: a few bytes can be inflated to a disk full, or name
// more objects than memory has room for.
const (
	maxGrowth  = 4 // times the limit of the transfer
	maxObjects = 500_000
	maxRefTags = 10_000
)

// pullRefs is what a forge says of a pull request now.
type pullRefs struct {
	head, tip plumbing.Hash
	tags      []*plumbing.Reference
}

// A remote is a repository on a forge, and how much may come from it.
type remote struct {
	url, token string // as in a PullSource
	limit      int64  // bytes
	transport  http.RoundTripper
}

// check refuses a remote before anybody is asked.
func (r *remote) check() error {
	u, err := url.Parse(r.url)
	switch {
	case err != nil:
		return errors.New("the URL of the repository cannot be read") // the error would repeat it, with what may be a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("a repository is fetched from http or https, not from %q", printable(u.Redacted()))
	case u.User != nil:
		return fmt.Errorf("the URL %q holds credentials; give the token apart", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "" || hasControl(u.Path):
		return fmt.Errorf("%q is not the URL of a repository", u.Redacted())
	case r.token != "" && u.Scheme == "http" && !loopback(u.Hostname()):
		return hinted("use https", "a token would go to %s for everybody to read", u.Host)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// transfer brings into a storer what pick wants of all that the forge tells,
// and what that leads to. In dir it keeps the pack until that was looked through.
func (r *remote) transfer(ctx context.Context, to storage.Storer, dir string, pick func(*packp.AdvRefs) ([]plumbing.Hash, error)) (err error) {
	m := newMeter(r.transport, r.limit)
	defer func() {
		if err != nil {
			err = m.explain(ctx, err)
		}
	}()
	session, err := r.session(m)
	if err != nil {
		return err
	}
	defer session.Close()
	told, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return err
	}
	wants, err := pick(told)
	if err != nil {
		return err
	}
	pack, err := os.CreateTemp(dir, "pack-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pack.Close(), os.Remove(pack.Name())) }()
	if err := download(ctx, session, told, wants, pack); err != nil {
		return err
	}
	if err := lookThrough(ctx, pack, maxGrowth*r.limit); err != nil {
		return err
	}
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return packfile.UpdateObjectStorage(to, whileReader{ctx, pack})
}

func (r *remote) session(m *meter) (transport.UploadPackSession, error) {
	at, err := transport.NewEndpoint(r.url)
	if err != nil {
		return nil, errors.New("the URL of the repository cannot be read")
	}
	var auth transport.AuthMethod
	if r.token != "" {
		auth = &githttp.BasicAuth{Username: "abra-ccci", Password: r.token}
	}
	client := &http.Client{Transport: m, CheckRedirect: sameHost}
	return githttp.NewClient(client).NewUploadPackSession(at, auth)
}

// errRedirect is the error of a redirect that is not followed.
var errRedirect = errors.New("the forge redirects to another host")

func sameHost(req *http.Request, via []*http.Request) error {
	was, now := via[0].URL, req.URL
	upgraded := was.Scheme == "http" && now.Scheme == "https" && was.Hostname() == now.Hostname() && was.Port() == "" && now.Port() == ""
	if was.Scheme == now.Scheme && was.Host == now.Host || upgraded {
		return nil
	}
	return errRedirect
}

// pick takes what is wanted out of everything that a forge advertises.
func (s *PullSource) pick(told *packp.AdvRefs) (refs pullRefs, err error) {
	name := pullRef(s.PR)
	if refs.head = told.References[string(name)]; refs.head.String() != s.Head {
		return refs, moved(name, s.Head, refs.head)
	}
	name = plumbing.NewBranchReferenceName(s.BaseRef)
	if refs.tip = told.References[string(name)]; refs.tip.IsZero() {
		return refs, moved(name, s.Base, refs.tip)
	}
	for full, hash := range told.References {
		if !strings.HasPrefix(full, "refs/tags/") {
			continue
		}
		tag := plumbing.ReferenceName(full)
		if err := checkRefName(tag); err != nil {
			return refs, err
		}
		refs.tags = append(refs.tags, plumbing.NewHashReference(tag, hash))
	}
	if len(refs.tags) > maxRefTags {
		return refs, fmt.Errorf("the repository has more than %d tags", maxRefTags)
	}
	return refs, nil
}

// wants are the objects that the refs name.
func (r pullRefs) wants() []plumbing.Hash {
	wants := []plumbing.Hash{r.head, r.tip}
	for _, t := range r.tags {
		wants = append(wants, t.Hash())
	}
	return wants
}

func moved(name plumbing.ReferenceName, pinned string, now plumbing.Hash) error {
	e := &MovedError{Ref: string(name), Pinned: pinned}
	if !now.IsZero() {
		e.Now = now.String()
	}
	return e
}

// download writes the pack that holds what is wanted and all that it leads to.
func download(ctx context.Context, session transport.UploadPackSession, told *packp.AdvRefs, wants []plumbing.Hash, to io.Writer) (err error) {
	req := packp.NewUploadPackRequestFromCapabilities(told.Capabilities)
	req.Capabilities.Delete(capability.ThinPack) // there is nothing here that it could rest on
	if told.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	req.Wants = wants
	answer, err := session.UploadPack(ctx, req)
	if err != nil {
		return err
	}
	defer answer.Close()
	var pack io.Reader = answer
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		pack = sideband.NewDemuxer(sideband.Sideband64k, answer)
	case req.Capabilities.Supports(capability.Sideband):
		pack = sideband.NewDemuxer(sideband.Sideband, answer)
	}
	_, err = io.Copy(to, pack)
	return err
}

// lookThrough reads a pack once without keeping anything, and refuses what
// would grow to more than limit bytes.
func lookThrough(ctx context.Context, pack io.ReadSeeker, limit int64) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return err
	}
	scan := packfile.NewScanner(pack)
	_, count, err := scan.Header()
	if err != nil {
		return err
	}
	if count > maxObjects {
		return fmt.Errorf("the repository has more than %d objects", maxObjects)
	}
	left := limit
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		size, err := inflatedSize(scan, left)
		if left -= size; errors.Is(err, errInflated) || left < 0 {
			return fmt.Errorf("the repository unpacks to more than %d MiB", limit>>20)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var errInflated = errors.New("too large when unpacked")

// inflatedSize is how large the next object is, in bytes. Of a delta that is
// what it says it makes, which nothing may exceed; go-git holds both to it.
func inflatedSize(scan *packfile.Scanner, left int64) (int64, error) {
	head, err := scan.NextObjectHeader()
	if err != nil {
		return 0, err
	}
	if head.Length < 0 || head.Length > left {
		return 0, errInflated
	}
	body, err := scan.ReadObject()
	if err != nil {
		return 0, err
	}
	defer body.Close()
	in, size := bufio.NewReader(body), head.Length
	if head.Type.IsDelta() {
		if _, err := binary.ReadUvarint(in); err != nil { // size of what it is applied to
			return 0, err
		}
		makes, err := binary.ReadUvarint(in)
		if err != nil {
			return 0, err
		}
		if makes > uint64(left) {
			return 0, errInflated
		}
		size += int64(makes)
	}
	_, err = io.Copy(io.Discard, in)
	return size, err
}

// maxPath is the longest path that is looked at, in bytes.
const maxPath = 1024

// refuseTree looks at a tree before any of it is written: its size, its depth,
// and submodules, which a checkout would leave empty, so that nobody would
// judge what is in them.
func refuseTree(c *object.Commit) error {
	tree, err := c.Tree()
	if err != nil {
		return err
	}
	if _, err := tree.FindEntry(".gitmodules"); err == nil {
		return submoduleError(c, ".gitmodules")
	}
	seen := 0
	walk := object.NewTreeWalker(tree, true, nil)
	defer walk.Close()
	for {
		name, entry, err := walk.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if seen++; seen > maxTreeEntries {
			return fmt.Errorf("commit %s: more than %d files and folders", c.Hash, maxTreeEntries)
		}
		if len(name) > maxPath {
			return fmt.Errorf("commit %s: a path is longer than %d bytes: %q…", c.Hash, maxPath, printable(name[:60]))
		}
		if entry.Mode == filemode.Submodule {
			return submoduleError(c, name)
		}
	}
}

func submoduleError(c *object.Commit, name string) error {
	return hinted("put the files into the recipe itself",
		"commit %s has the submodule %q, whose content nobody would review", c.Hash, printable(name))
}

// A meter is a transport that stops when too much was transferred.
type meter struct {
	next  http.RoundTripper
	limit int64
	read  atomic.Int64
}

func newMeter(next http.RoundTripper, limit int64) *meter {
	if next == nil {
		next = http.DefaultTransport
	}
	return &meter{next: next, limit: limit}
}

// RoundTrip implements http.RoundTripper.
func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := m.next.RoundTrip(req)
	if err == nil {
		res.Body = &meteredBody{res.Body, m}
	}
	return res, err
}

func (m *meter) tooMuch() error {
	return fmt.Errorf("the forge sends more than %d MiB", m.limit>>20)
}

// explain says in words of ours what went wrong: those of the forge may be
// anything, the token included.
func (m *meter) explain(ctx context.Context, err error) error {
	switch {
	case m.read.Load() > m.limit:
		return m.tooMuch()
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errRedirect):
		return errRedirect
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return hinted("give a token that may read the repository", "the forge wants a token, or another one")
	case errors.Is(err, transport.ErrRepositoryNotFound), errors.Is(err, transport.ErrEmptyRemoteRepository):
		return errors.New("the forge has no such repository, or shows it to others only")
	}
	var known *MovedError
	var hint *HintError
	if errors.As(err, &known) || errors.As(err, &hint) {
		return err
	}
	return errors.New(printable(err.Error()))
}

type meteredBody struct {
	io.ReadCloser
	m *meter
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.m.read.Add(int64(n)) > b.m.limit {
		return 0, b.m.tooMuch()
	}
	return n, err
}

// A whileReader reads until its context ends.
type whileReader struct {
	ctx context.Context
	io.Reader
}

func (r whileReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
