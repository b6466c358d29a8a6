package stripetest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestAnswersThatFail(t *testing.T) {
	t.Parallel()
	for kind, want := range map[stripetest.FaultKind]struct {
		status    int
		typ, code string
		header    map[string]string
		json      bool
		customers int
	}{
		stripetest.Error500:     {500, "api_error", "", map[string]string{"Original-Request": "req_"}, true, 0},
		stripetest.Error500Done: {500, "api_error", "", map[string]string{"Original-Request": "req_"}, true, 1},
		stripetest.Error503:     {503, "api_error", "", map[string]string{"Request-Id": "req_"}, true, 0},
		stripetest.HTML502:      {502, "", "", map[string]string{"Content-Type": "text/html"}, false, 0},
		stripetest.RateLimit:    {429, "invalid_request_error", "rate_limit", map[string]string{"Stripe-Rate-Limited-Reason": "endpoint-rate"}, true, 0},
		stripetest.LockTimeout:  {429, "invalid_request_error", "lock_timeout", map[string]string{"Request-Id": "", "Stripe-Rate-Limited-Reason": ""}, true, 0},
		stripetest.KeyInUse:     {409, "idempotency_error", "idempotency_key_in_use", nil, true, 0},
		stripetest.Unauthorized: {401, "invalid_request_error", "", map[string]string{"Request-Id": "", "Stripe-Version": ""}, true, 0},
		stripetest.Forbidden:    {403, "invalid_request_error", "more_permissions_required", map[string]string{"Request-Id": "req_"}, true, 0},
		stripetest.BadRequest:   {400, "invalid_request_error", "", nil, true, 0},
		stripetest.HTML200:      {200, "", "", map[string]string{"Content-Type": "text/html"}, false, 1},
		stripetest.SlowBody:     {200, "", "", map[string]string{"Request-Id": "req_"}, true, 1},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := setup(t, stripetest.Options{})
			w.AddFault(stripetest.Fault{Kind: kind})
			r := w.must("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
			require.Equal(t, want.status, r.status)
			require.Equal(t, want.json, r.body != nil, "%s", r.raw)
			for name, prefix := range want.header {
				require.True(t, strings.HasPrefix(r.header.Get(name), prefix), name)
				require.Equal(t, prefix == "", r.header.Get(name) == "", name)
			}
			if want.typ != "" {
				require.Equal(t, want.typ, r.errorField("type"))
			}
			if want.code != "" {
				require.Equal(t, want.code, r.errorField("code"))
			}
			require.NotEmpty(t, r.header.Get("Date"))
			require.Len(t, w.Customers(), want.customers)
			op := w.Operations()[0]
			require.Equal(t, string(kind), op.Fault)
			require.Equal(t, want.status, op.Status)
			require.Equal(t, want.customers == 1, op.Applied)
		})
	}
}

func TestConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	for kind, applied := range map[stripetest.FaultKind]bool{
		stripetest.DropBefore: false, stripetest.ApplyDrop: true, stripetest.ApplyHang: true, stripetest.Truncate: true,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := setup(t, stripetest.Options{})
			w.AddFault(stripetest.Fault{Kind: kind, Delay: 10 * time.Millisecond})
			_, err := w.send("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
			require.Error(t, err)
			require.Equal(t, applied, len(w.Customers()) == 1)
			r := w.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
			require.Equal(t, applied, r.header.Get("Idempotent-Replayed") == "true")
			require.Len(t, w.Customers(), 1)
			require.Equal(t, string(kind), w.Operations()[0].Fault)
		})
	}
}

// A hang ends when the client gives up, not when the fault would.
func TestHangEndsWithTheClient(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	w.AddFault(stripetest.Fault{Kind: stripetest.ApplyHang, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", w.URL()+"/v1/customers", strings.NewReader("name=a"))
	require.NoError(t, err)
	req.Header = http.Header{"Authorization": {"Bearer sk_test_x"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	go func() {
		_ = w.Wait(ctx, func() bool { return w.Faults()[0].Hits == 1 })
		cancel()
	}()
	resp, err := w.client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, w.Customers(), 1)
}

func TestFaultMatching(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	a, b := w.ok("POST", "/v1/customers", "").id(), w.ok("POST", "/v1/customers", "").id()
	status := func(method, id, key string) int {
		return w.must(method, "/v1/customers/"+id, "", "Idempotency-Key", key).status
	}
	one := w.AddFault(stripetest.Fault{Kind: stripetest.Error503, Method: "post", Op: "update", Contains: a, Skip: 1, Count: 2})
	require.Equal(t, 200, status("POST", a, "1"), "skipped")
	require.Equal(t, 200, status("GET", a, ""))
	require.Equal(t, 200, status("POST", b, "2"))
	require.Equal(t, 503, status("POST", a, "3"))
	require.Equal(t, 503, status("POST", a, "4"))
	require.Equal(t, 200, status("POST", a, "5"), "spent")
	require.Equal(t, 4, w.Faults()[0].Seen)
	require.Equal(t, 2, w.Faults()[0].Hits)
	require.True(t, w.RemoveFault(one))
	require.False(t, w.RemoveFault(one))

	w.AddFault(stripetest.Fault{Kind: stripetest.HTML502, Contains: "key-x", Count: -1})
	for range 3 {
		require.Equal(t, 502, status("POST", b, "a-key-xy"))
	}
	require.Equal(t, 200, status("POST", b, "other"))
	w.ResetFaults()
	require.Equal(t, 200, status("POST", b, "a-key-xy"))
	require.Panics(t, func() { w.AddFault(stripetest.Fault{Kind: "no such"}) })
}

func TestCustomFault(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	w.AddFault(stripetest.Fault{Kind: stripetest.Custom, Status: 402, Type: "card_error", Code: "x", Param: "p", Message: "m"})
	r := w.must("GET", "/v1/account", "")
	require.Equal(t, 402, r.status)
	require.Equal(t, "card_error", r.errorField("type"))
	require.Equal(t, "x", r.errorField("code"))
	w.AddFault(stripetest.Fault{Kind: stripetest.Custom, Status: 500, Body: "{}"})
	require.Equal(t, "{}", string(w.must("GET", "/v1/account", "").raw))
}

func TestLatencyKeepsTheKeyInFlight(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Settings: stripetest.Settings{Latency: time.Millisecond, LatencyJitter: time.Millisecond}})
	w.AddFault(stripetest.Fault{Kind: stripetest.Slow, Delay: time.Millisecond})
	begun := time.Now()
	w.ok("POST", "/v1/customers", "")
	require.GreaterOrEqual(t, time.Since(begun), 2*time.Millisecond)
}

func TestHandlerWithoutListening(t *testing.T) {
	t.Parallel()
	srv, err := stripetest.New(stripetest.Options{DeterministicIDs: true, Seed: 7})
	require.NoError(t, err)
	defer srv.Close()
	twin, err := stripetest.New(stripetest.Options{DeterministicIDs: true, Seed: 7})
	require.NoError(t, err)
	defer twin.Close()
	for range 3 {
		_, err = srv.CreateCustomer(nil)
		require.NoError(t, err)
		_, err = twin.CreateCustomer(nil)
		require.NoError(t, err)
	}
	require.Equal(t, srv.Customers()[2].ID, twin.Customers()[2].ID)
	require.NotEqual(t, srv.Customers()[1].ID, srv.Customers()[2].ID)

	req := httptest.NewRequest("GET", "/v1/customers", nil)
	req.Header.Set("Authorization", "Bearer sk_test_x")
	rec := httptest.NewRecorder()
	srv.Handler().ServeHTTP(rec, req)
	require.Equal(t, 200, rec.Code)
	srv.Close()
	rec = httptest.NewRecorder()
	srv.Handler().ServeHTTP(rec, req)
	require.Equal(t, 503, rec.Code)
	body, _ := io.ReadAll(rec.Body)
	require.Contains(t, string(body), "closed")
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	_, err := stripetest.New(stripetest.Options{WebhookSecrets: []string{"whsec_x"}})
	require.ErrorContains(t, err, "WebhookURL")
	_, err = stripetest.Start(stripetest.Options{Addr: "no address"})
	require.Error(t, err)
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	r := w.must("POST", "/v1/customers", `{"name":"x"}`, "Content-Type", "application/json")
	require.Equal(t, 400, r.status)
	require.Contains(t, r.errorField("message"), "application/x-www-form-urlencoded")
	r = w.must("POST", "/v1/customers", "name="+strings.Repeat("x", 1<<20))
	require.Equal(t, 413, r.status)
	r = w.must("POST", "/v1/customers", "", "Stripe-Version", "nonsense")
	require.Equal(t, 400, r.status)
	r = w.ok("POST", "/v1/customers?name=query", "email=a@b.org", "Stripe-Version", "2020-08-27")
	require.Equal(t, "query", r.body["name"])
	require.Equal(t, "2020-08-27", r.header.Get("Stripe-Version"))
}
