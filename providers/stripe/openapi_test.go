package stripe_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"
	"github.com/stripe/stripe-mock/spec"
)

// tape keeps the requests of many connections. What the stand-in refuses on purpose is kept too: even a request that
// asks for something impossible must be well-formed.
type tape struct {
	mu       sync.Mutex
	requests []*http.Request
	bodies   [][]byte
}

// record returns a transport that keeps what passes through it.
func (tp *tape) record(t *testing.T) http.RoundTripper {
	t.Helper()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
			r.Body = io.NopCloser(bytes.NewReader(body)) // ours to change: the adapter clones before it comes here
		}
		tp.mu.Lock()
		tp.requests = append(tp.requests, r.Clone(t.Context()))
		tp.bodies = append(tp.bodies, body)
		tp.mu.Unlock()
		return base.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// check replays the tape to stripe-mock, which knows every parameter of API version 2023-10-16 and refuses all others.
// It does not check lengths, shapes of e-mail addresses or metadata limits; the stand-in does.
func (tp *tape) check(t *testing.T) {
	require.NotEmpty(t, tp.requests)
	mock := newStripeMock(t)
	seen := map[string]bool{}
	for i, r := range tp.requests {
		what := r.Method + " " + r.URL.RequestURI() + " " + string(tp.bodies[i])
		if seen[what] {
			continue
		}
		seen[what] = true
		require.Equal(t, "2023-10-16", r.Header.Get("Stripe-Version"))
		w := ask(mock, r, tp.bodies[i])
		require.Equal(t, http.StatusOK, w.Code, "%s\n%s", what, w.Body)
		if r.Method == http.MethodPost { // proof that it looks
			w = ask(mock, r, append(tp.bodies[i], "&fax=1"...))
			require.Equal(t, http.StatusBadRequest, w.Code, what)
		}
	}
	for _, route := range []string{"POST /v1/customers ", "POST /v1/customers/", "GET /v1/customers?", "GET /v1/customers/", "DELETE /v1/customers/", "GET /v1/events?", "GET /v1/account "} {
		require.True(t, anyStarts(seen, route), "the contract never made a %s", route)
	}
}

func ask(mock *server.StubServer, r *http.Request, body []byte) *httptest.ResponseRecorder {
	replay := httptest.NewRequest(r.Method, r.URL.RequestURI(), bytes.NewReader(body))
	replay.Header = r.Header.Clone()
	replay.Header.Set("Authorization", "Bearer sk_test_123") // stripe-mock knows no other form
	w := httptest.NewRecorder()
	mock.HandleRequest(w, replay)
	return w
}

func anyStarts(set map[string]bool, prefix string) bool {
	for s := range set {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// newStripeMock loads the document pruned to customers, which makes it forty times quicker.
func newStripeMock(t *testing.T) *server.StubServer {
	t.Helper()
	mute(t)
	doc, err := server.LoadSpec(embedded.OpenAPISpec, "")
	require.NoError(t, err)
	require.Equal(t, "2023-10-16", doc.Info.Version)
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	require.NoError(t, err)
	paths := map[spec.Path]map[spec.HTTPVerb]*spec.Operation{}
	for _, p := range []spec.Path{"/v1/customers", "/v1/customers/{customer}", "/v1/events", "/v1/account"} {
		require.Contains(t, doc.Paths, p)
		paths[p] = doc.Paths[p]
	}
	doc.Paths = paths
	mock, err := server.NewStubServer(fixtures, doc, true, false)
	require.NoError(t, err)
	return mock
}

// mute: stripe-mock prints several lines for each request, to nowhere else than standard output.
func mute(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	out := os.Stdout
	os.Stdout = null
	t.Cleanup(func() {
		os.Stdout = out
		_ = null.Close()
	})
}
