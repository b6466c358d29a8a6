package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

const apiKey = "sk_test_canary_7d1f"

// fixture is a server on in-memory fakes of its ports.
type fixture struct {
	*api.Server
	store    *fakeStore
	starter  *fakeStarter
	clock    time.Time
	logs     *lockedBuffer
	registry *prometheus.Registry
}

func setup(t testing.TB, change ...func(*api.Deps)) *fixture {
	t.Helper()
	f := &fixture{
		clock: time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC), logs: &lockedBuffer{}, registry: prometheus.NewRegistry(),
	}
	f.store = newFakeStore(f.clock)
	f.starter = &fakeStarter{store: f.store}
	deps := api.Deps{
		Store: f.store, Starter: f.starter, Providers: tandem.Providers{fakeProvider{}},
		APIKeys:  [][32]byte{api.HashKey("sk_other"), api.HashKey(apiKey)},
		Logger:   slog.New(slog.NewJSONHandler(f.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registry: f.registry, Now: func() time.Time { return f.clock },
	}
	for _, c := range change {
		c(&deps)
	}
	f.Server = api.New(deps)
	t.Cleanup(f.Close)
	return f
}

// response is an answer that fits openapi.yaml.
type response struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request with the API key; headers are pairs, and "" takes a header away.
func (f *fixture) call(t testing.TB, method, target, body string, headers ...string) response {
	t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+apiKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	rec := httptest.NewRecorder()
	f.Handler().ServeHTTP(rec, req)
	r := response{status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
	fitsDocument(t, req, r)
	return r
}

type object = map[string]any

func (r response) json(t testing.TB) object {
	t.Helper()
	var o object
	require.NoError(t, json.Unmarshal(r.body, &o), string(r.body))
	return o
}

type problem struct {
	Type, Title, Detail, Code string
	Status                    int
	RequestID                 string `json:"request_id"`
	Errors                    []tandem.FieldError
}

// problem expects a refusal with this status and code, well formed, and returns it.
func (r response) problem(t testing.TB, status int, code string) problem {
	t.Helper()
	var p problem
	require.NoError(t, json.Unmarshal(r.body, &p), string(r.body))
	require.Equal(t, status, r.status, string(r.body))
	require.Equal(t, code, p.Code, string(r.body))
	require.Equal(t, status, p.Status)
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
	require.Equal(t, r.header.Get("X-Request-Id"), p.RequestID)
	return p
}

func (p problem) fields() []string {
	out := []string{}
	for _, e := range p.Errors {
		out = append(out, e.Field+" "+e.Code)
	}
	return out
}

var document = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Document)
	if err != nil {
		panic(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return doc, router
})

// fitsDocument holds an answer against openapi.yaml, undocumented statuses and fields included. What no route answers
// must be a problem.
func fitsDocument(t testing.TB, req *http.Request, r response) {
	t.Helper()
	doc, router := document()
	route, params, err := router.FindRoute(req)
	if err != nil || r.status == http.StatusMethodNotAllowed { // this router takes a missing id for an empty one
		schema := doc.Components.Schemas["Problem"].Value
		require.NoError(t, schema.VisitJSON(r.json(t)), string(r.body))
		return
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 r.status, Header: r.header, Body: io.NopCloser(bytes.NewReader(r.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	require.NoError(t, err, "%s %s answers %d %s", req.Method, req.URL, r.status, r.body)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
