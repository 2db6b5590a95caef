package main

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
)

const maxText = 1 << 20 // bytes of one note sent by HTTP

func handler(s store, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		names, err := s.list()
		if answered(w, err) {
			return
		}
		fmt.Fprintf(w, "notes %s\n", version)
		for _, name := range names {
			fmt.Fprintln(w, name)
		}
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /notes/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, err := s.get(r.PathValue("name"))
		if answered(w, err) {
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write(text)
	})
	mux.Handle("PUT /notes/{name}", writers(token, func(r *http.Request, body []byte) error {
		return s.put(r.PathValue("name"), body)
	}))
	mux.Handle("DELETE /notes/{name}", writers(token, func(r *http.Request, _ []byte) error {
		return s.remove(r.PathValue("name"))
	}))
	return mux
}

// writers lets do happen for who knows the token.
func writers(token string, do func(*http.Request, []byte) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if token == "" || subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxText))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		if !answered(w, do(r, body)) {
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// answered tells the client about err, if there is one.
func answered(w http.ResponseWriter, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "no such note", http.StatusNotFound)
	case errors.Is(err, errName):
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		http.Error(w, "the note could not be kept or read", http.StatusInternalServerError)
	}
	return true
}
