package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"
)

// What tandem-dev uses unless told otherwise.
const (
	apiKey        = "sk_dev_tandem"
	webhookSecret = "whsec_dev_tandem"
	stripeKey     = "sk_test_tandemdev"
	environment   = "dev"
)

var httpClient = &http.Client{
	Timeout:   90 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
}

// tester is a *testing.T, or the *assert.CollectT of a fact that may not be true yet.
type tester interface {
	require.TestingT
	Helper()
}

// object is a JSON object on its way out; nil clears a field.
type object = map[string]any

// answer is what the API said; it fits the document.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// try sends a request with the API key. A body that is no string is sent as JSON. Headers are pairs; "" takes one away.
func (s *stack) try(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	text, ok := body.(string)
	if !ok && body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		text = string(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.at.API+path, strings.NewReader(text))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("X-Api-Key", apiKey)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(res.Body); err != nil {
		return answer{}, err
	}
	return a, fitsDocument(req, a)
}

func (s *stack) call(t tester, method, path string, body any, headers ...string) answer {
	t.Helper()
	a, err := s.try(context.Background(), method, path, body, headers...)
	require.NoError(t, err, "%s %s", method, path)
	return a
}

func (s *stack) create(t tester, fields object, headers ...string) customer {
	t.Helper()
	return s.call(t, http.MethodPost, "/v1/customers", fields, headers...).customer(t, http.StatusCreated)
}

func (s *stack) edit(t tester, id string, patch object) customer {
	t.Helper()
	return s.call(t, http.MethodPatch, "/v1/customers/"+id, patch).customer(t, http.StatusOK)
}

func (s *stack) customer(t tester, id string) customer {
	t.Helper()
	return s.call(t, http.MethodGet, "/v1/customers/"+id, nil).customer(t, http.StatusOK)
}

// list answers with one page.
func (s *stack) list(t tester, query string) []customer {
	t.Helper()
	a := s.call(t, http.MethodGet, "/v1/customers?"+query, nil)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	var page struct{ Items []customer }
	require.NoError(t, json.Unmarshal(a.body, &page))
	return page.Items
}

// customer is what the API shows.
type customer struct {
	ID           string                  `json:"id"`
	ExternalID   string                  `json:"external_id"`
	Name         string                  `json:"name"`
	Email        string                  `json:"email"`
	Phone        string                  `json:"phone"`
	Line1        string                  `json:"address_line1"`
	Line2        string                  `json:"address_line2"`
	City         string                  `json:"address_city"`
	State        string                  `json:"address_state"`
	PostalCode   string                  `json:"address_postal_code"`
	Country      string                  `json:"address_country"`
	Metadata     map[string]string       `json:"metadata"`
	Status       string                  `json:"status"`
	Version      int64                   `json:"version"`
	ProviderInfo map[string]providerInfo `json:"provider_info"`
}

type providerInfo struct {
	RemoteID       string            `json:"provider_entity_id"`
	State          string            `json:"state"`
	LastError      *lastError        `json:"last_error"`
	SyncedAt       *time.Time        `json:"synced_at"`
	Metadata       map[string]string `json:"metadata"`
	ArchivedReason string            `json:"archived_reason"`
}

type lastError struct {
	Class     string     `json:"class"`
	Code      string     `json:"code"`
	Message   string     `json:"message"`
	Param     string     `json:"param"`
	RequestID string     `json:"request_id"`
	Attempt   int        `json:"attempt"`
	SkippedAt *time.Time `json:"skipped_at"`
}

func (c customer) stripe() providerInfo { return c.ProviderInfo["stripe"] }

func (a answer) customer(t tester, status int) customer {
	t.Helper()
	require.Equal(t, status, a.status, string(a.body))
	var c customer
	require.NoError(t, json.Unmarshal(a.body, &c), string(a.body))
	return c
}

// problem expects a refusal and returns its faults as "field code".
func (a answer) problem(t tester, status int, code string) []string {
	t.Helper()
	require.Equal(t, status, a.status, string(a.body))
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	var p struct {
		Status    int
		Code      string
		RequestID string `json:"request_id"`
		Errors    []struct{ Field, Code, Message string }
	}
	require.NoError(t, json.Unmarshal(a.body, &p), string(a.body))
	require.Equal(t, code, p.Code, string(a.body))
	require.Equal(t, status, p.Status)
	require.Equal(t, a.header.Get("X-Request-Id"), p.RequestID)
	faults := []string{}
	for _, e := range p.Errors {
		require.NotEmpty(t, e.Message)
		faults = append(faults, e.Field+" "+e.Code)
	}
	return faults
}

// document is the API's description, whose file a test holds equal to the served one.
var document = sync.OnceValues(func() (routers.Router, error) {
	raw, err := os.ReadFile("../api/openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

// fitsDocument holds an answer against openapi.yaml. What no route answers is not described.
func fitsDocument(req *http.Request, a answer) error {
	router, err := document()
	if err != nil {
		return err
	}
	described := req.Clone(context.Background())
	described.URL.Scheme, described.URL.Host, described.Host = "", "", "" // its server is "/"
	route, params, err := router.FindRoute(described)
	if err != nil || a.status == http.StatusMethodNotAllowed {
		return nil //nolint:nilerr // no route
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: described, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		return fmt.Errorf("%s %s answers %d %s, which does not fit openapi.yaml: %w", req.Method, req.URL.Path, a.status, a.body, err)
	}
	return nil
}

// sign makes a Stripe-Signature header by the rule in Stripe's documentation.
func sign(body, secret string, at time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// deliver posts a webhook as Stripe would, without any API key.
func (s *stack) deliver(ctx context.Context, body, signature string) (answer, error) {
	return s.try(ctx, http.MethodPost, "/v1/webhooks/stripe", body, "X-Api-Key", "", "Stripe-Signature", signature)
}

// atOnce calls n times at the same moment and fails with the first error.
func atOnce(t *testing.T, n int, call func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	start, errs := make(chan struct{}), make([]error, n)
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	group.Wait()
	require.NoError(t, errors.Join(errs...))
}

// wish says a word about a customer's sync.
func (s *stack) wish(t tester, id, action string) answer {
	t.Helper()
	return s.call(t, http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": action})
}

// wished expects the word to be taken.
func (s *stack) wished(t tester, id, action string) {
	t.Helper()
	a := s.wish(t, id, action)
	require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	var run struct {
		WorkflowID string `json:"workflow_id"`
	}
	a.read(t, &run)
	require.Equal(t, "outbound/"+id, run.WorkflowID)
}

// archive asks for the end of a customer; query is "" or starts with "?".
func (s *stack) archive(t tester, id, query string) {
	t.Helper()
	a := s.call(t, http.MethodDelete, "/v1/customers/"+id+query, nil)
	require.Equal(t, http.StatusNoContent, a.status, string(a.body))
	require.Empty(t, a.body)
}

func (a answer) read(t tester, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(a.body, into), string(a.body))
}
