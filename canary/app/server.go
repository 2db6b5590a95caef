package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"sync"
)

// A server keeps texts for those who ask it.
type server struct {
	kept  texts
	fault string
	stop  func()

	mu     sync.Mutex
	memory map[string]string // every text that it knows of
}

// serve listens until ctx ends or it is told to stop.
func serve(ctx context.Context, kept texts, getenv func(string) string) error {
	user := getenv("STORE_USER")
	if err := errors.Join(own(kept.dir, user), become(user)); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{kept: kept, fault: getenv("STORE_FAULT"), stop: stop}
	if err := s.remember(); err != nil {
		return err
	}
	h := &http.Server{Addr: ":" + port, Handler: s.handler()}
	ended := make(chan error, 1)
	context.AfterFunc(ctx, func() { ended <- h.Shutdown(context.WithoutCancel(ctx)) })
	if err := h.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return errors.Join(<-ended, s.end())
}

// remember reads what is there.
func (s *server) remember() (err error) {
	s.memory, err = s.kept.all()
	return err
}

// end is the last thing that a server does.
func (s *server) end() error {
	if s.fault != "writeback" {
		return nil
	}
	return s.kept.set(s.memory)
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /stop", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "stopping"); s.stop() })
	mux.HandleFunc("GET /texts/{name}", s.answer(s.get))
	mux.HandleFunc("PUT /texts/{name}", s.answer(s.put))
	mux.HandleFunc("DELETE /texts/{name}", s.answer(s.rm))
	return mux
}

// answer has one thing done at a time, and tells what came of it.
func (s *server) answer(do func(name, body string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		said := ""
		if err == nil {
			s.mu.Lock()
			said, err = do(r.PathValue("name"), string(body))
			s.mu.Unlock()
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.Error(w, "no such text", http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			io.WriteString(w, said)
		}
	}
}

func (s *server) get(name, _ string) (string, error) {
	text, err := s.kept.get(name)
	if errors.Is(err, fs.ErrNotExist) && s.fault == "recreate" && !s.kept.removed(name) {
		return s.put(name, name+" is new here")
	}
	return text, err
}

func (s *server) put(name, text string) (string, error) {
	err := s.kept.put(name, text)
	if err == nil {
		s.memory[name] = text
	}
	return text, err
}

func (s *server) rm(name, _ string) (string, error) {
	err := s.kept.rm(name)
	if err == nil {
		delete(s.memory, name)
	}
	return "", err
}
