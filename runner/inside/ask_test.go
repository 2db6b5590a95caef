package inside

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"coopcloud.tech/abra-ccci/runner"
)

func site(t *testing.T) *url.URL {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte(r.Method + " page"))
	})
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/page", http.StatusFound) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/big", func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, runner.MaxOutput+1)) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write([]byte("half"))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	must(t, err)
	return u
}

func askFor(t *testing.T, u string, hosts ...string) outcome {
	t.Helper()
	q, err := json.Marshal(runner.Request{URL: u, Hosts: hosts})
	must(t, err)
	return runMain(string(q), "ask")
}

func TestAsk(t *testing.T) {
	base := site(t)
	tests := []struct {
		name, path string
		status     int
		body       string
	}{
		{"page", "/page", 418, "GET page"},
		{"redirect to an allowed host", "/here", 418, "GET page"},
		{"redirect elsewhere is the answer", "/away", 302, "elsewhere.example"},
		{"bounded", "/big", 200, strings.Repeat("\x00", 100)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := askFor(t, base.JoinPath(tt.path).String(), base.Hostname())
			if got.exit != exitDone {
				t.Fatalf("%+v", got)
			}
			var r runner.Response
			must(t, json.Unmarshal([]byte(got.stdout), &r))
			if r.Status != tt.status || !strings.Contains(string(r.Body), tt.body) || len(r.Body) > runner.MaxOutput {
				t.Errorf("status %d, %d bytes, want %d and %q", r.Status, len(r.Body), tt.status, tt.body)
			}
		})
	}
}

func TestAskFails(t *testing.T) {
	base := site(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := "http://" + l.Addr().String()
	must(t, l.Close())
	tests := []struct{ name, url, want string }{
		{"refused", closed, "connection refused"},
		{"no name", "http://nobody.invalid/", "may not be asked"},
		{"file", "file:///etc/passwd", "may not be asked"},
		{"not a URL", "http://[", "missing ']'"},
		{"round and round", base.JoinPath("/round").String(), "redirects"},
		{"cut off", base.JoinPath("/cut").String(), "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := askFor(t, tt.url, "127.0.0.1")
			if got.exit != exitFault || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("%+v, want exit 1 and %q", got, tt.want)
			}
		})
	}
	if got := runMain("{", "ask"); got.exit != exitFault || !strings.Contains(got.stderr, "request") {
		t.Errorf("half a request: %+v", got)
	}
}
