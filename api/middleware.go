package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
)

// saneRequestID is what is taken over from a client: nothing that could forge a log line or a header.
var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// identify gives the request an id, the caller's own if it is a sane one, and sends it back.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !saneRequestID.MatchString(id) {
			id = newULID()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// secureHeaders: an answer is data, never a page, and never kept by a cache in between.
func secureHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderReferrerPolicy, "no-referrer")
		h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
		h.Set(echo.HeaderCacheControl, "no-store")
		return next(c)
	}
}

// observe writes the one log line and the metrics of a request. It names the route's pattern, never the path or the
// query: they carry external ids and e-mail addresses.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		took, status := time.Since(start), c.Response().Status
		s.metrics.request(route(c), c.Request().Method, status, took)
		s.log.LogAttrs(c.Request().Context(), accessLevel(c, status), "http.request",
			slog.String("method", knownMethod(c.Request().Method)), slog.String("route", route(c)), slog.Int("status", status),
			slog.Duration("duration", took), slog.String("request_id", requestID(c)))
		return nil
	}
}

// accessLevel keeps the probes, which come every few seconds, out of an ordinary log.
func accessLevel(c echo.Context, status int) slog.Level {
	if status == http.StatusOK && (c.Path() == "/livez" || c.Path() == "/readyz") {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// route is the pattern that matched, a bounded set.
func route(c echo.Context) string {
	if p := c.Path(); p != "" {
		return p
	}
	return "unmatched"
}

// recoverPanic turns a panic into an ordinary error. The value may quote what was being worked on, so only the
// runtime's own are told; the stack says the rest.
func (s *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			r := recover()
			if r == nil {
				return
			}
			if r == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
				panic(r)
			}
			s.log.LogAttrs(c.Request().Context(), slog.LevelError, "http.panic", slog.String("request_id", requestID(c)),
				slog.String("route", route(c)), slog.String("panic", describePanic(r)), slog.String("stack", string(debug.Stack())))
			err = errors.New("panic")
		}()
		return next(c)
	}
}

func describePanic(r any) string {
	if e, ok := r.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", r)
}
