package forge

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"code.gitea.io/sdk/gitea"

	"coopcloud.tech/abra-ccci/review"
)

const defaultTimeout = 30 * time.Second

// Options say which repository on which forge, and who asks.
type Options struct {
	// URL of the forge, such as https://git.coopcloud.tech; http only for a
	// loopback address. It holds no credentials.
	URL string
	// Repo is owner/name.
	Repo string
	// Token of the account that asks; empty for what anybody may read. Writing
	// needs one.
	Token string
	// Timeout of each call of Pull, Comment and SetStatus; 0 is 30 s.
	Timeout time.Duration
	// Proxy as in http.Transport; nil for none.
	Proxy func(*http.Request) (*url.URL, error)
}

// A Gitea is one repository on a forge. Its methods may be called at the same time.
type Gitea struct {
	url, owner, name string
	token            string
	timeout          time.Duration
	http             *http.Client
}

var _ review.Forge = (*Gitea)(nil)

// New is the repository that the options name. It asks the forge nothing.
func New(o Options) (*Gitea, error) {
	base, err := baseURL(o.URL)
	if err != nil {
		return nil, err
	}
	owner, name, ok := splitRepo(o.Repo)
	if !ok {
		return nil, &Error{What: fmt.Sprintf("%q is not a repository on a forge", clip(o.Repo)), Tip: "name it as owner/name"}
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &Error{What: "the token holds what no token holds, such as a space or a line's end", Tip: "let GITEA_TOKEN or its file hold the token alone"}
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Gitea{url: base, owner: owner, name: name, token: o.Token, timeout: o.Timeout, http: newHTTP(o.Proxy)}, nil
}

// baseURL checks a forge's address and writes it without a slash at its end. What it
// refuses it does not repeat: it may hold a password.
func baseURL(raw string) (string, error) {
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	if err != nil || u.Host == "" || u.Opaque != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !isHost(u.Host) || !isBasePath(u.Path) || u.RawPath != "" {
		return "", &Error{What: "the forge's address is not one", Tip: "give it as https://git.example.org"}
	}
	if u.User != nil {
		return "", &Error{What: "the forge's address holds credentials", Tip: "give the address without them; the token has a place of its own"}
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", &Error{What: fmt.Sprintf("%s is not asked over %q: who listens on the way would read the token", u.Host, u.Scheme), Tip: "give the forge's https:// address"}
	}
	return u.Scheme + "://" + u.Host + u.Path, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (g *Gitea) repo() string { return g.owner + "/" + g.name }

// A call is one call of a Forge's method: the SDK keeps its context in the client, so
// each call has a client of its own. The connections are shared.
type call struct {
	*gitea.Client
	*Gitea
	ctx context.Context
}

// begin starts a call, which ends with cancel.
func (g *Gitea) begin(ctx context.Context) (*call, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	// Version "": what is asked here every Gitea since 1.11 answers, and Forgejo
	// has versions of its own.
	client, err := gitea.NewClient(g.url, gitea.SetGiteaVersion(""), gitea.SetToken(g.token),
		gitea.SetHTTPClient(g.http), gitea.SetContext(ctx), gitea.SetUserAgent("abra-ccci"))
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return &call{client, g, ctx}, cancel, nil
}

// beginWriting is begin for what needs a token.
func (g *Gitea) beginWriting(ctx context.Context, what string) (*call, context.CancelFunc, error) {
	if g.token == "" {
		return nil, nil, &Error{What: what + " needs a token", Tip: tokenTip}
	}
	return g.begin(ctx)
}
