package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tandem-sync/tandem"
)

// readyTimeout is below the patience of the usual probes.
const readyTimeout = 3 * time.Second

var (
	healthy  = map[string]string{"status": "ok"}
	degraded = map[string]string{"status": "degraded"}
)

// livez says that the process answers; it must not depend on anything that a restart would not mend.
func (s *Server) livez(c echo.Context) error { return c.JSON(http.StatusOK, healthy) }

// readyz says whether requests should be sent here: without Temporal they should, since webhooks are taken in and reads
// are answered. The reason names parts of the installation, so it goes to the log and to the private listener, not to
// the public.
func (s *Server) readyz(c echo.Context) error {
	missing, err := s.checkReady(c.Request().Context())
	switch {
	case err != nil:
		return &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "not ready", Err: err}
	case missing != nil:
		return c.JSON(http.StatusOK, degraded)
	}
	return c.JSON(http.StatusOK, healthy)
}

// checkReady answers what is missing for everything to work, and what is missing for anything to work.
func (s *Server) checkReady(ctx context.Context) (missing, err error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.whole(ctx), nil
}

// AdminHandler serves what must never be public: metrics, profiles, and the probes with their reasons. It asks for no
// key and belongs on a private listener.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.adminReadyz)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // go tool pprof posts to it
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *Server) adminReadyz(w http.ResponseWriter, r *http.Request) {
	missing, err := s.checkReady(r.Context())
	switch {
	case err != nil:
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "health.not_ready", slog.Any("error", err))
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case missing != nil:
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "health.degraded", slog.Any("error", missing))
		_, _ = fmt.Fprintln(w, "degraded:", missing)
	default:
		_, _ = w.Write([]byte("ok\n"))
	}
}
