package inside

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"coopcloud.tech/abra-ccci/runner"
)

const (
	askTimeout   = 60 * time.Second // for the whole exchange, if nobody ends it before
	maxRedirects = 10
)

// ask makes the request on stdin and writes the response.
func ask(stdin io.Reader, stdout io.Writer) error {
	var q runner.Request
	if err := json.NewDecoder(io.LimitReader(stdin, runner.MaxOutput)).Decode(&q); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	r, err := get(ctx, q)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(r)
}

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
