package forge

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	maxBody   = 8 << 20 // of an answer, unpacked
	maxHeader = 64 << 10
)

var errTooLarge = errors.New("the answer is longer than 8 MiB")

// newHTTP is a client that follows no redirect and reads no endless answer. Its
// deadlines are those of the requests' contexts.
func newHTTP(proxy func(*http.Request) (*url.URL, error)) *http.Client {
	return &http.Client{
		Transport: bounded{&http.Transport{
			Proxy:                  proxy,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxHeader,
		}},
		// The header with the token would go to another port of the same host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded limits what is read of an answer.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &limited{resp.Body, maxBody}
	return resp, nil
}

// limited fails where io.LimitedReader would feign an end: half a list of comments
// must not be taken for all of it.
type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if int64(n) > l.left {
		return 0, errTooLarge
	}
	l.left -= int64(n)
	return n, err
}
