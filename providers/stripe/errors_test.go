package stripe

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// stripeError is the envelope of every error of Stripe's.
func stripeError(kind, code, param, message string) string {
	return `{"error":{"type":"` + kind + `","code":"` + code + `","param":"` + param + `","message":"` + message + `"}}`
}

const page = "<html><body>Bad gateway</body></html>"

// TestTranslate has a row for every line of the table of failures, over real HTTP. Read, write and del are the classes
// of a fetch, an update and a delete; code is the update's.
func TestTranslate(t *testing.T) {
	t.Parallel()
	const bad, api = "invalid_request_error", "api_error"
	retry := []string{"Stripe-Should-Retry", "true"}
	rows := []struct {
		name             string
		status           int
		body             string
		headers          []string
		read, write, del tandem.Class // "" is success
		code             string
	}{
		{"html 200", 200, page, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"empty 200", 200, "", nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"empty object 200", 200, "{}", nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"null 200", 200, "null", nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"array 200", 200, "[]", nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"another customer", 200, `{"id":"cus_2","object":"customer"}`, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"another object", 200, `{"id":"cus_1","object":"charge"}`, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"no content", 204, "", nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeUnreadable},
		{"redirect", 302, `{"id":"cus_1","object":"customer"}`, []string{"Location", "/elsewhere"}, tandem.Bug, tandem.Bug, tandem.Bug, CodeWrongURL},
		{"idempotency key in use", 409, stripeError(bad, "idempotency_key_in_use", "", "m"), retry, tandem.RateLimited, tandem.RateLimited, tandem.RateLimited, "idempotency_key_in_use"},
		{"409 of a proxy", 409, page, nil, tandem.RateLimited, tandem.RateLimited, tandem.RateLimited, "idempotency_key_in_use"},
		{"rate limit", 429, stripeError(bad, "rate_limit", "", "m"), []string{"Stripe-Rate-Limited-Reason", "endpoint-rate"}, tandem.RateLimited, tandem.RateLimited, tandem.RateLimited, "rate_limit"},
		{"lock timeout", 429, stripeError(bad, "lock_timeout", "", "m"), retry, tandem.RateLimited, tandem.RateLimited, tandem.RateLimited, "lock_timeout"},
		{"429 of a proxy", 429, page, nil, tandem.RateLimited, tandem.RateLimited, tandem.RateLimited, "rate_limit"},
		{"500", 500, stripeError(api, "", "", "m"), []string{"Stripe-Should-Retry", "false"}, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeSaved500},
		{"500 html", 500, page, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeSaved500},
		{"502 html", 502, page, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
		{"503", 503, stripeError(api, "", "", "m"), nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
		{"504 empty", 504, "", nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
		{"530 of a CDN", 530, page, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
		{"408", 408, page, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
		{"424", 424, stripeError(api, "", "", "m"), nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
		{"key with other parameters", 400, stripeError("idempotency_error", "", "", "m"), nil, tandem.Ambiguous, tandem.Ambiguous, tandem.Ambiguous, CodeIdempotency},
		{"bad email", 400, stripeError(bad, "email_invalid", "email", "m"), nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, "email_invalid"},
		{"too long", 400, stripeError(bad, "", "name", "m"), nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, CodeParameterInvalid},
		{"unknown parameter", 400, stripeError(bad, "parameter_unknown", "foo", "m"), nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, "parameter_unknown"},
		{"400 of a proxy", 400, page, nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, CodeParameterInvalid},
		{"400, told to retry", 400, stripeError(bad, "", "name", "m"), retry, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, CodeParameterInvalid},
		{"bad key", 401, stripeError(bad, "", "", "m"), nil, tandem.Auth, tandem.Auth, tandem.Auth, "api_key_invalid"},
		{"expired key", 401, stripeError(bad, "api_key_expired", "", "m"), nil, tandem.Auth, tandem.Auth, tandem.Auth, "api_key_expired"},
		{"restricted key", 403, stripeError(bad, "more_permissions_required", "", "m"), nil, tandem.Auth, tandem.Auth, tandem.Auth, "more_permissions_required"},
		{"403 of a firewall", 403, page, nil, tandem.Auth, tandem.Auth, tandem.Auth, "permission_denied"},
		{"missing customer", 404, stripeError(bad, "resource_missing", "id", "m"), nil, tandem.Gone, tandem.Gone, "", tandem.CodeRemoteGone},
		{"unknown URL", 404, stripeError(bad, "", "", "Unrecognized request URL"), nil, tandem.Bug, tandem.Bug, tandem.Bug, CodeWrongURL},
		{"404 of a web server", 404, page, nil, tandem.Bug, tandem.Bug, tandem.Bug, CodeWrongURL},
		{"405", 405, page, nil, tandem.Bug, tandem.Bug, tandem.Bug, CodeWrongURL},
		{"402", 402, stripeError("card_error", "card_declined", "", "m"), nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, "card_declined"},
		{"teapot", 418, page, nil, tandem.Bug, tandem.Bug, tandem.Bug, CodeWrongURL},
		{"422 of Stripe", 422, stripeError(bad, "odd", "", "m"), nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, "odd"},
		{"error of an odd shape", 400, `{"error":{"message":{"a":1}}}`, nil, tandem.Invalid, tandem.Invalid, tandem.Invalid, CodeParameterInvalid},
		{"error that is a text", 503, `{"error":"down"}`, nil, tandem.Transient, tandem.Ambiguous, tandem.Ambiguous, "unavailable"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p := setup(t, answering(r.status, r.body, append(r.headers, "Request-Id", "req_1")...))
			_, err := p.Fetch(t.Context(), "cus_1")
			require.Equal(t, r.read, tandem.ClassOf(err), "fetch: %v", err)
			_, err = p.Delete(t.Context(), "cus_1")
			if r.del == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, r.del, tandem.ClassOf(err), "delete: %v", err)
			}
			_, err = p.Update(t.Context(), "cus_1", "key", tandem.Patch{})
			require.Equal(t, r.write, tandem.ClassOf(err), "update: %v", err)
			require.Equal(t, r.code, tandem.CodeOf(err))
			require.Equal(t, "req_1", asError(t, err).RequestID)
		})
	}
}

func TestTranslateKeepsWhatAPersonNeeds(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(400, stripeError("invalid_request_error", "email_invalid", "email", "Invalid email address: x"), "Request-Id", "req_9"))
	_, err := p.Create(t.Context(), "key", tandem.Patch{})
	e := asError(t, err)
	require.Equal(t, "Invalid email address: x", e.Message)
	require.Equal(t, "email", e.Param)
	require.Equal(t, "req_9", e.RequestID)
	require.NoError(t, e.Err, "a cause is logged, so it must not quote")
}

func TestTranslateCreateNeverSaysGone(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(404, stripeError("invalid_request_error", "resource_missing", "test_clock", "m")))
	_, err := p.Create(t.Context(), "key", tandem.Patch{})
	require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
	require.Equal(t, "resource_missing", tandem.CodeOf(err))
}

func TestTranslateHidesTheKeyAndBoundsTheMessage(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(401, stripeError("invalid_request_error", "", "", "Invalid API Key provided: "+testKey+strings.Repeat("é", 2000))))
	_, err := p.Fetch(t.Context(), "cus_1")
	e := asError(t, err)
	require.NotContains(t, e.Error(), testKey)
	require.LessOrEqual(t, len([]rune(e.Message)), maxMessage+1)
}

// waitForHangUp returns when the client is gone, which a server notices only once the body is read.
func waitForHangUp(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// hijack answers by cutting the connection, after saying some bytes.
func hijack(t *testing.T, say string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		hj, ok := w.(http.Hijacker)
		require.True(t, ok)
		conn, _, err := hj.Hijack()
		if err == nil {
			_, _ = conn.Write([]byte(say))
			_ = conn.Close()
		}
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { waitForHangUp(r) }
	short := func(c *Config) { c.Timeout = 50 * time.Millisecond }
	half := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\nRequest-Id: req_2\r\n\r\n{\"id\":"
	rows := []struct {
		name    string
		handler http.HandlerFunc
		code    string
		turn    []func(*Config)
	}{
		{"cut", hijack(t, ""), CodeNetwork, nil},
		{"cut in the body", hijack(t, half), CodeNetwork, nil},
		{"not HTTP", hijack(t, "220 smtp.example.com ready\r\n"), CodeNetwork, nil},
		{"hangs", hang, CodeTimeout, []func(*Config){short}},
		{"endless", answering(200, strings.Repeat(" ", maxAnswer+10)), CodeUnreadable, nil},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p := setup(t, r.handler, r.turn...)
			_, err := p.Fetch(t.Context(), "cus_1")
			require.Equal(t, tandem.Transient, tandem.ClassOf(err), "%v", err)
			require.Equal(t, r.code, tandem.CodeOf(err), "%v", err)
			_, err = p.Create(t.Context(), "key", tandem.Patch{})
			require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err), "%v", err)
			require.Equal(t, r.code, tandem.CodeOf(err), "%v", err)
		})
	}
}

func TestNoAnswerWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		p := setup(t, nil, func(c *Config) { c.BaseURL = "http://" + l.Addr().String() })
		_, err = p.Create(t.Context(), "key", tandem.Patch{})
		require.Equal(t, tandem.Transient, tandem.ClassOf(err), "%v", err)
	})
	t.Run("the TLS handshake fails", func(t *testing.T) {
		t.Parallel()
		p := setup(t, answering(200, "{}"), func(c *Config) { c.BaseURL = strings.Replace(c.BaseURL, "http:", "https:", 1) })
		_, err := p.Create(t.Context(), "key", tandem.Patch{})
		require.Equal(t, tandem.Transient, tandem.ClassOf(err), "%v", err)
	})
	t.Run("the caller had given up before", func(t *testing.T) {
		t.Parallel()
		p := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing may be sent") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := p.Create(ctx, "key", tandem.Patch{})
		require.Equal(t, tandem.Transient, tandem.ClassOf(err), "%v", err)
		require.Equal(t, CodeCanceled, tandem.CodeOf(err))
	})
}

func TestNoAnswerWhenTheCallerGivesUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := setup(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); waitForHangUp(r) })
	_, err := p.Create(ctx, "key", tandem.Patch{})
	require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err), "%v", err)
	require.Equal(t, CodeCanceled, tandem.CodeOf(err))
	require.ErrorIs(t, err, context.Canceled)
}

func TestNoAnswerHidesTheURL(t *testing.T) {
	t.Parallel()
	p := setup(t, hijack(t, ""))
	_, err := p.List(t.Context(), tandem.ListQuery{Email: "ada@example.org"})
	e := asError(t, err)
	require.NotContains(t, e.Error(), "ada")
	require.NotContains(t, e.Err.Error(), "ada")
}

func TestBadCallsAreNotSent(t *testing.T) {
	t.Parallel()
	p := setup(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing may be sent") })
	ctx := t.Context()
	name := "Ada"
	rows := map[string]struct {
		call  func() error
		class tandem.Class
	}{
		"create without key":   {func() error { _, err := p.Create(ctx, "", tandem.Patch{}); return err }, tandem.Bug},
		"create with long key": {func() error { _, err := p.Create(ctx, strings.Repeat("k", 256), tandem.Patch{}); return err }, tandem.Bug},
		"create with odd key":  {func() error { _, err := p.Create(ctx, "a\nb", tandem.Patch{}); return err }, tandem.Bug},
		"update without key":   {func() error { _, err := p.Update(ctx, "cus_1", "", tandem.Patch{Name: &name}); return err }, tandem.Bug},
		"update without id":    {func() error { _, err := p.Update(ctx, "", "key", tandem.Patch{Name: &name}); return err }, tandem.Bug},
		"fetch without id":     {func() error { _, err := p.Fetch(ctx, ""); return err }, tandem.Bug},
		"delete without id":    {func() error { _, err := p.Delete(ctx, ""); return err }, tandem.Bug},
		"fetch of a folder":    {func() error { _, err := p.Fetch(ctx, ".."); return err }, tandem.Gone},
		"page too large":       {func() error { _, err := p.List(ctx, tandem.ListQuery{Limit: 101}); return err }, tandem.Bug},
		"bracket in a key": {func() error {
			_, err := p.Create(ctx, "key", tandem.Patch{Metadata: map[string]string{"a][b": "c"}})
			return err
		}, tandem.Invalid},
		"our mark from a user": {func() error {
			_, err := p.Update(ctx, "cus_1", "key", tandem.Patch{Metadata: map[string]string{tandem.KeyCustomerID: "cust_x"}})
			return err
		}, tandem.Invalid},
	}
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := r.call()
			require.Equal(t, r.class, tandem.ClassOf(err), "%v", err)
		})
	}
}
