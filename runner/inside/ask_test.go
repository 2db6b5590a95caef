package inside

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
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
	return runMain(fmt.Sprintf(`{"method": %q, "params": [%s], "id": 7}`, runner.AskMethod, q), "ask")
}

// An answer is what comes for a call.
type answer struct {
	ID     int
	Result runner.Response
	Error  string
}

// answered is the answers to calls, by their ids.
func answered(t *testing.T, got outcome) map[int]answer {
	t.Helper()
	if got.exit != exitDone || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	all := map[int]answer{}
	for d := json.NewDecoder(strings.NewReader(got.stdout)); d.More(); {
		var a answer
		must(t, d.Decode(&a))
		all[a.ID] = a
	}
	return all
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
			got := answered(t, askFor(t, base.JoinPath(tt.path).String(), base.Hostname()))
			r := got[7].Result
			if len(got) != 1 || got[7].Error != "" || r.Status != tt.status || !strings.Contains(string(r.Body), tt.body) || len(r.Body) > runner.MaxOutput {
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
			got := answered(t, askFor(t, tt.url, "127.0.0.1"))
			if len(got) != 1 || !strings.Contains(got[7].Error, tt.want) || got[7].Result.Status != 0 {
				t.Errorf("%+v, want %q", got, tt.want)
			}
		})
	}
	if got := answered(t, runMain("{", "ask")); len(got) != 0 {
		t.Errorf("half a request: %+v", got)
	}
}

// What takes long does not keep another from being answered.
func TestAskAtOnce(t *testing.T) {
	base := site(t)
	first := make(chan bool)
	var once sync.Once
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			<-first
			return
		}
		once.Do(func() { close(first) })
	}))
	t.Cleanup(slow.Close)
	call := func(id int, u string) string {
		return fmt.Sprintf(`{"method": %q, "params": [{"url": %q, "hosts": ["127.0.0.1"]}], "id": %d}`+"\n", runner.AskMethod, u, id)
	}
	got := answered(t, runMain(call(1, slow.URL+"/first")+call(2, slow.URL+"/second")+call(3, base.JoinPath("/page").String()), "ask"))
	if len(got) != 3 || got[1].Result.Status != 200 || got[2].Result.Status != 200 || string(got[3].Result.Body) != "GET page" {
		t.Errorf("%+v", got)
	}
}
