package stripetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// strikeFront answers in place of the API.
func (s *Server) strikeFront(c *call, f *Fault) answer {
	if f.Kind == DropBefore {
		s.mu.Lock()
		s.record(c.entry)
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	if f.Kind == HTML502 {
		return s.proxyPage(c, http.StatusBadGateway, "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>\n")
	}
	if f.Body != "" {
		return s.proxyPage(c, orElse(f.Status, http.StatusBadRequest), f.Body)
	}
	return s.refuse(c, f.apiError(c))
}

func (f *Fault) apiError(c *call) *apiError {
	switch f.Kind {
	case Error503:
		e := serverError()
		e.status = http.StatusServiceUnavailable
		return e
	case RateLimit:
		return rateLimited(orElse(f.Reason, "endpoint-rate"))
	case LockTimeout:
		return lockTimeout()
	case KeyInUse:
		return keyInUse(c.key)
	case Unauthorized:
		return invalidKey("sk_test_revokedkey0000")
	case Forbidden:
		return &apiError{status: http.StatusForbidden, Type: typeInvalid, Code: "more_permissions_required",
			Message: "The provided key does not have the required permissions for this endpoint. " +
				"Having the 'rak_customer_write' permission would allow this request to continue."}
	default: // Custom, BadRequest
		return &apiError{status: orElse(f.Status, http.StatusBadRequest), Type: orElse(f.Type, typeInvalid),
			Code: f.Code, Param: f.Param, Message: orElse(f.Message, "The request was refused by a fault.")}
	}
}

// proxyPage is an answer from in front of the API: none of its headers.
func (s *Server) proxyPage(c *call, status int, body string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entry.Status = status
	s.record(c.entry)
	kind := "text/html"
	if strings.HasPrefix(body, "{") {
		kind = "application/json"
	}
	return answer{status: status, body: []byte(body), bare: true, header: http.Header{"Content-Type": {kind}}}
}

func (s *Server) strikeWait(f *Fault) {
	if f.Kind == Slow {
		s.pause(s.ctx, f.Delay)
		return
	}
	select {
	case <-f.gone:
	case <-s.ctx.Done():
	}
}

// strikeAnswer spoils the answer of a request that was executed.
func (s *Server) strikeAnswer(w http.ResponseWriter, c *call, a answer, f *Fault) {
	c.setHeaders(w.Header(), a)
	switch f.Kind {
	case ApplyHang:
		s.pause(c.http.Context(), orElse(f.Delay, time.Minute))
	case Truncate:
		w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
	case HTML200:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>OK</body></html>\n"))
		return
	case SlowBody:
		s.trickle(w, c, a, f.Delay)
		return
	}
	panic(http.ErrAbortHandler) // net/http closes the connection
}

func (s *Server) trickle(w http.ResponseWriter, c *call, a answer, over time.Duration) {
	const pieces = 20
	w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	w.WriteHeader(a.status)
	size := len(a.body)/pieces + 1
	for piece := range slices.Chunk(a.body, size) {
		s.pause(c.http.Context(), over/pieces)
		if _, err := w.Write(piece); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}
