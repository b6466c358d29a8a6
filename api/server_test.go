package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		headers []string
		status  int
	}{
		"bearer":             {nil, http.StatusOK},
		"bearer_in_any_case": {[]string{"Authorization", "bearer " + apiKey}, http.StatusOK},
		"x_api_key":          {[]string{"Authorization", "", "X-Api-Key", apiKey}, http.StatusOK},
		"second_key":         {[]string{"Authorization", "Bearer sk_other"}, http.StatusOK},
		"no_key":             {[]string{"Authorization", ""}, http.StatusUnauthorized},
		"wrong_key":          {[]string{"Authorization", "Bearer sk_wrong"}, http.StatusUnauthorized},
		"empty_bearer":       {[]string{"Authorization", "Bearer "}, http.StatusUnauthorized},
		"basic":              {[]string{"Authorization", "Basic " + apiKey}, http.StatusUnauthorized},
		"prefix":             {[]string{"Authorization", "Bearer " + apiKey[:8]}, http.StatusUnauthorized},
		"bare":               {[]string{"Authorization", apiKey}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			r := f.call(t, http.MethodGet, "/v1/customers", "", tc.headers...)
			assert.Equal(t, tc.status, r.status)
			if tc.status == http.StatusUnauthorized {
				r.problem(t, http.StatusUnauthorized, "unauthorized")
				assert.NotEmpty(t, r.header.Get("WWW-Authenticate"))
				assert.Empty(t, f.store.calls)
			}
		})
	}

	t.Run("guards_every_route_but_the_public_ones", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		public := []string{"/livez", "/readyz", "/openapi.yaml", "/v1/webhooks/:provider"}
		for _, r := range f.Routes() {
			got := f.call(t, r.Method, r.Path, `{}`, "Authorization", "").status == http.StatusUnauthorized
			assert.NotEqual(t, slices.Contains(public, r.Path), got, r.Path)
		}
		f.call(t, http.MethodGet, "/v1/secrets", "", "Authorization", "").problem(t, http.StatusUnauthorized, "unauthorized")
		assert.Empty(t, f.store.calls)
	})

	t.Run("accepts_nobody_without_keys", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(d *api.Deps) { d.APIKeys = nil })
		f.call(t, http.MethodGet, "/v1/customers", "").problem(t, http.StatusUnauthorized, "unauthorized")
	})
}

func TestServer(t *testing.T) {
	t.Parallel()

	t.Run("answers_unknown_paths_with_a_problem", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.call(t, http.MethodGet, "/nothing", "").problem(t, http.StatusNotFound, "not_found")
		f.call(t, http.MethodGet, "/v1/nothing", "").problem(t, http.StatusNotFound, "not_found")
		f.call(t, http.MethodGet, "/metrics", "").problem(t, http.StatusNotFound, "not_found")
		f.call(t, http.MethodGet, "/debug/pprof/", "").problem(t, http.StatusNotFound, "not_found")
		r := f.call(t, http.MethodDelete, "/v1/customers", "")
		r.problem(t, http.StatusMethodNotAllowed, "method_not_allowed")
		assert.Contains(t, r.header.Get("Allow"), "POST")
	})

	t.Run("survives_a_panic", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.starter.settle = func(context.Context, string) error { panic("canary-person@example.com") }
		r := f.call(t, http.MethodPatch, "/v1/customers/"+idA+"?wait=1s", `{"name":"Jen"}`)
		r.problem(t, http.StatusInternalServerError, tandem.CodeInternal)
		assert.Contains(t, f.logs.String(), "http.panic")
		assert.NotContains(t, f.logs.String(), "canary-person")
	})

	t.Run("sets_the_same_headers_everywhere", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		for _, target := range []string{"/livez", "/v1/customers", "/nothing"} {
			h := f.call(t, http.MethodGet, target, "", "Origin", "https://evil.example").header
			assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
			assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"))
			assert.Equal(t, "no-store", h.Get("Cache-Control"))
			assert.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
			assert.NotContains(t, h, "Server")
			assert.NotContains(t, h, "Access-Control-Allow-Origin")
		}
	})

	for name, tc := range map[string]struct{ sent, want string }{
		"sane":     {"Req_1.a-b", "^Req_1.a-b$"},
		"none":     {"", "^[0-9A-Z]{26}$"},
		"forging":  {"a\nb", "^[0-9A-Z]{26}$"},
		"too_long": {strings.Repeat("a", 129), "^[0-9A-Z]{26}$"},
	} {
		t.Run("request_id_"+name, func(t *testing.T) {
			t.Parallel()
			r := setup(t).call(t, http.MethodGet, "/livez", "", "X-Request-Id", tc.sent)
			assert.Regexp(t, tc.want, r.header.Get("X-Request-Id"))
		})
	}

	t.Run("says_nothing_to_a_caller_who_has_gone", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.err = context.Canceled
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/customers", nil)
		req.Header.Set("X-Api-Key", apiKey)
		rec := httptest.NewRecorder()
		f.Handler().ServeHTTP(rec, req)
		assert.Equal(t, 499, rec.Code)
		assert.NotContains(t, f.logs.String(), "http.failed")
	})
}

func TestHealth(t *testing.T) {
	t.Parallel()

	t.Run("needs_no_key", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		for _, target := range []string{"/livez", "/readyz"} {
			r := f.call(t, http.MethodGet, target, "", "Authorization", "")
			assert.Equal(t, object{"status": "ok"}, r.json(t))
		}
	})

	t.Run("requests_are_welcome_while_something_is_missing", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(d *api.Deps) {
			d.Whole = func(context.Context) error { return errors.New("temporal: refused") }
		})
		r := f.call(t, http.MethodGet, "/readyz", "")
		assert.Equal(t, http.StatusOK, r.status)
		assert.Equal(t, object{"status": "degraded"}, r.json(t))
		status, body := f.admin(t, "/readyz")
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, body, "temporal: refused")
	})

	t.Run("tells_the_reason_in_private_only", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(d *api.Deps) {
			d.Ready = func(ctx context.Context) error {
				_, bounded := ctx.Deadline()
				return fmt.Errorf("postgres: refused (bounded %v)", bounded)
			}
		})
		r := f.call(t, http.MethodGet, "/readyz", "")
		r.problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
		assert.NotContains(t, string(r.body), "postgres")
		assert.Contains(t, f.logs.String(), "postgres: refused")
		assert.Equal(t, http.StatusOK, f.call(t, http.MethodGet, "/livez", "").status)

		status, body := f.admin(t, "/readyz")
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Contains(t, body, "postgres: refused (bounded true)")
	})
}

func (f *fixture) admin(t *testing.T, target string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	f.AdminHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, target, nil))
	return rec.Code, rec.Body.String()
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.call(t, http.MethodGet, "/v1/customers/external/canary-external", "")
	f.call(t, "BREW", "/v1/customers/canary-path", "")
	f.call(t, http.MethodGet, "/canary-unknown", "")
	f.deliver(t, updated, 0)

	for _, target := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine"} {
		status, _ := f.admin(t, target)
		assert.Equal(t, http.StatusOK, status, target)
	}
	_, metrics := f.admin(t, "/metrics")
	assert.Contains(t, metrics, `tandem_api_requests_total{code="404",method="GET",route="/v1/customers/external/:external_id"} 1`)
	assert.Contains(t, metrics, `tandem_api_requests_total{code="404",method="GET",route="unmatched"} 1`)
	assert.Contains(t, metrics, `method="other"`)
	assert.Contains(t, metrics, `tandem_api_request_duration_seconds_count{method="POST",route="/v1/webhooks/:provider"} 1`)
	assert.Contains(t, metrics, `tandem_webhook_ack_duration_seconds_count{provider="stripe"} 1`)
	assert.NotContains(t, metrics, "canary")
	assert.NotContains(t, metrics, "BREW")
}

// TestLogs sends canaries by every way in and looks for them in the log.
func TestLogs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	canary := `{"name":"canary-name","email":"canary@example.com","external_id":"canary-external","metadata":{"k":"canary-value"}}`
	f.call(t, http.MethodPost, "/v1/customers", canary, "Idempotency-Key", "canary-key")
	f.call(t, http.MethodPost, "/v1/customers", canary)
	f.call(t, http.MethodPost, "/v1/customers", `{"email":"canary"}`)
	f.call(t, http.MethodPost, "/v1/customers", `{"canary":`)
	f.call(t, http.MethodGet, "/v1/customers?email=canary@example.com", "")
	f.call(t, http.MethodGet, "/v1/customers/external/canary-external", "")
	f.call(t, http.MethodGet, "/v1/customers", "", "Authorization", "Bearer canary-wrong-key")
	f.call(t, http.MethodGet, "/canary", "", "X-Request-Id", "canary id")
	f.deliver(t, updated, 0)
	f.deliver(t, updated, time.Hour)
	f.eventually(t, func() bool { return len(f.starter.inbounds()) == 1 }) // behind the answer
	f.starter.err = &tandem.Error{Class: tandem.Bug, Code: "canary_code_is_fine", Message: "canary message", Err: errors.New("the cause")}
	f.call(t, http.MethodPost, "/v1/customers", `{}`)

	logs := strings.ReplaceAll(f.logs.String(), "canary_code_is_fine", "")
	assert.NotContains(t, logs, "canary")
	assert.Contains(t, logs, "the cause")
	assert.Contains(t, logs, `"route":"/v1/customers/external/:external_id","status":200`)
	assert.Contains(t, logs, `"event_id":"evt_1"`)
	assert.Equal(t, 11, strings.Count(logs, `"msg":"http.request"`))
}

func TestHTTPServer(t *testing.T) {
	t.Parallel()

	t.Run("sets_every_limit", func(t *testing.T) {
		t.Parallel()
		s := api.NewHTTPServer("127.0.0.1:8080", http.NotFoundHandler())
		assert.Equal(t, "127.0.0.1:8080", s.Addr)
		assert.Positive(t, s.ReadHeaderTimeout)
		assert.Positive(t, s.ReadTimeout)
		assert.Positive(t, s.WriteTimeout)
		assert.Positive(t, s.IdleTimeout)
		assert.Equal(t, 16<<10, s.MaxHeaderBytes)
	})

	t.Run("does_not_wait_for_a_slow_body", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		url := serve(t, f, func(s *http.Server) { s.ReadTimeout = 100 * time.Millisecond })
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		_, err = fmt.Fprintf(conn, "POST /v1/webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		defer res.Body.Close()
		assert.Equal(t, http.StatusRequestTimeout, res.StatusCode)
		assert.Zero(t, f.store.written())
	})

	t.Run("hangs_up_on_a_body_without_end", func(t *testing.T) {
		t.Parallel()
		url := serve(t, setup(t), func(*http.Server) {})
		zero, err := os.Open("/dev/zero")
		require.NoError(t, err)
		defer zero.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/webhooks/stripe", zero)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		if err != nil { // the connection may be reset before the client has read the answer
			return
		}
		defer res.Body.Close()
		assert.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	})
}
