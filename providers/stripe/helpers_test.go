package stripe

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const (
	testKey    = "sk_test_adapter"
	testSecret = "whsec_adapter"
)

// setup returns a provider that talks to the handler.
func setup(t *testing.T, h http.HandlerFunc, turn ...func(*Config)) *Provider {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg := Config{APIKey: testKey, WebhookSecrets: []string{testSecret}, BaseURL: srv.URL, Timeout: 10 * time.Second}
	for _, f := range turn {
		f(&cfg)
	}
	p, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// answering returns a handler that always gives the same answer.
func answering(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may be gone; that is then the test's point
	}
}

// asError insists on the house's error type.
func asError(t *testing.T, err error) *tandem.Error {
	t.Helper()
	var e *tandem.Error
	require.ErrorAs(t, err, &e)
	return e
}
