package api

import (
	"net/http"
	"time"
)

// How long a client may take. Answers that wait for a sync (?wait) move their own deadline: see settle.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10

	// requestBudget bounds the work on one request. Reading it and working on it fit into the write timeout.
	requestBudget = 10 * time.Second
)

// NewHTTPServer is a server that slow or greedy clients cannot hold up; net/http sets no limit by itself. Both
// listeners use it.
func NewHTTPServer(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
