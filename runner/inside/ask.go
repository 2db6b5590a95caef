package inside

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/rpc"
	"net/rpc/jsonrpc"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"coopcloud.tech/abra-ccci/runner"
)

const (
	askTimeout   = 60 * time.Second // for one exchange, if nobody ends it before
	maxRedirects = 10
)

// ask serves runner.AskMethod until stdin ends: a process for each request would
// cost ten times what the request does. As the first process of its container it
// must be asked to end, as sleep must.
func ask(stdin io.Reader, stdout io.Writer) error {
	server := rpc.NewServer()
	if err := server.RegisterName(runner.AskService, network{}); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	defer signal.Stop(signals)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.ServeCodec(jsonrpc.NewServerCodec(streams{stdin, stdout}))
	}()
	select {
	case <-ended:
	case <-signals:
	}
	return nil
}

// network is what this process can reach.
type network struct{}

// Get makes one request.
func (network) Get(q runner.Request, r *runner.Response) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	*r, err = get(ctx, q)
	return err
}

// streams are stdin and stdout as one.
type streams struct {
	io.Reader
	io.Writer
}

// Close implements io.Closer. There is nothing to close: the process ends.
func (streams) Close() error { return nil }

// get makes one GET. A redirect to a host that may not be asked is not
// followed: it is itself the response.
func get(ctx context.Context, q runner.Request) (runner.Response, error) {
	u, err := url.Parse(q.URL)
	if err != nil {
		return runner.Response{}, err
	}
	if !mayAsk(u, q.Hosts) {
		return runner.Response{}, fmt.Errorf("host %q may not be asked", u.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return runner.Response{}, err
	}
	resp, err := newClient(q.Hosts).Do(req)
	if err != nil {
		return runner.Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, runner.MaxOutput))
	if err != nil {
		return runner.Response{}, fmt.Errorf("body of %s: %w", u, err)
	}
	return runner.Response{Status: resp.StatusCode, Body: body}, nil
}

func newClient(hosts []string) *http.Client {
	return &http.Client{
		// No proxy: the request is meant for this network. No verification: a
		// service inside a stack has no certificate for its internal name,
		// the image has no authorities, and nothing secret is sent.
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if !mayAsk(next.URL, hosts) {
				return http.ErrUseLastResponse
			}
			if len(via) >= maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return nil
		},
	}
}

func mayAsk(u *url.URL, hosts []string) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && slices.Contains(hosts, u.Hostname())
}
