package stripetest_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestReplay(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	const body = "email=jane%40example.org&metadata[a]=1&metadata[b]=2"
	first := w.ok("POST", "/v1/customers", body, "Idempotency-Key", "k1")
	require.Equal(t, "k1", first.header.Get("Idempotency-Key"))
	require.Equal(t, first.header.Get("Request-Id"), first.header.Get("Original-Request"))
	require.Equal(t, "false", first.header.Get("Stripe-Should-Retry"))
	require.Empty(t, first.header.Get("Idempotent-Replayed"))

	_, err := w.EditCustomer(first.id(), form("name", "changed since"))
	require.NoError(t, err)
	again := w.ok("POST", "/v1/customers", "metadata[b]=2&metadata[a]=1&email=jane%40example.org", "Idempotency-Key", "k1")
	require.Equal(t, string(first.raw), string(again.raw), "a replay is byte-identical")
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, first.header.Get("Request-Id"), again.header.Get("Original-Request"))
	require.NotEqual(t, first.header.Get("Request-Id"), again.header.Get("Request-Id"))

	other := w.must("POST", "/v1/customers", body+"&name=x", "Idempotency-Key", "k1")
	require.Equal(t, 400, other.status)
	require.Equal(t, "idempotency_error", other.errorField("type"))
	require.Nil(t, other.errorField("code"))
	otherPath := w.must("POST", "/v1/customers/"+first.id(), body, "Idempotency-Key", "k1")
	require.Equal(t, "idempotency_error", otherPath.errorField("type"), "the endpoint is part of the parameters")

	require.Len(t, w.Customers(), 1)
	require.True(t, w.Operations()[2].Replayed)
	require.Equal(t, first.id(), w.Operations()[2].CustomerID)

	w.AdvanceClock(24*time.Hour + time.Second)
	w.ok("POST", "/v1/customers", body, "Idempotency-Key", "k1")
	require.Len(t, w.Customers(), 2, "a pruned key executes again")
}

func TestWhatIsSaved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault stripetest.Fault
		path  string
		form  string
		first int
		then  int
	}{
		"500 is replayed":               {stripetest.Fault{Kind: stripetest.Error500}, "/v1/customers", "name=a", 500, 500},
		"500 after commit is replayed":  {stripetest.Fault{Kind: stripetest.Error500Done}, "/v1/customers", "name=a", 500, 500},
		"404 on update is replayed":     {stripetest.Fault{Kind: stripetest.Slow}, "/v1/customers/cus_no", "name=a", 404, 404},
		"validation is not saved":       {stripetest.Fault{Kind: stripetest.Slow}, "/v1/customers", "email=x", 400, 400},
		"429 is not saved":              {stripetest.Fault{Kind: stripetest.RateLimit}, "/v1/customers", "name=a", 429, 200},
		"lock timeout is not saved":     {stripetest.Fault{Kind: stripetest.LockTimeout}, "/v1/customers", "name=a", 429, 200},
		"409 is not saved":              {stripetest.Fault{Kind: stripetest.KeyInUse}, "/v1/customers", "name=a", 409, 200},
		"401 is not saved":              {stripetest.Fault{Kind: stripetest.Unauthorized}, "/v1/customers", "name=a", 401, 200},
		"403 is not saved":              {stripetest.Fault{Kind: stripetest.Forbidden}, "/v1/customers", "name=a", 403, 200},
		"a proxy's 502 is not saved":    {stripetest.Fault{Kind: stripetest.HTML502}, "/v1/customers", "name=a", 502, 200},
		"a 503 is not saved":            {stripetest.Fault{Kind: stripetest.Error503}, "/v1/customers", "name=a", 503, 200},
		"a custom refusal is not saved": {stripetest.Fault{Kind: stripetest.BadRequest, Code: "c", Param: "p"}, "/v1/customers", "name=a", 400, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, stripetest.Options{})
			w.AddFault(tc.fault)
			first := w.must("POST", tc.path, tc.form, "Idempotency-Key", "k")
			require.Equal(t, tc.first, first.status, "%s", first.raw)
			then := w.must("POST", tc.path, tc.form, "Idempotency-Key", "k")
			require.Equal(t, tc.then, then.status, "%s", then.raw)
			replayed := strings.Contains(name, "replayed")
			require.Equal(t, replayed, then.header.Get("Idempotent-Replayed") == "true")
			if replayed {
				require.Equal(t, string(first.raw), string(then.raw))
			}
			fresh := w.must("POST", tc.path, "name=b", "Idempotency-Key", "k")
			if name == "validation is not saved" {
				require.Equal(t, 200, fresh.status, "the key is free for other parameters")
			} else {
				require.Equal(t, 400, fresh.status)
			}
		})
	}
}

func TestKeyInFlight(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	hold := w.AddFault(stripetest.Fault{Kind: stripetest.Hold})
	var first reply
	var err error
	var wg sync.WaitGroup
	wg.Go(func() { first, err = w.send("POST", "/v1/customers", "name=a", "Idempotency-Key", "k") })
	require.NoError(t, w.Wait(within(t), func() bool { return w.Faults()[0].Hits == 1 }))

	second := w.must("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
	require.Equal(t, 409, second.status)
	require.Equal(t, "idempotency_key_in_use", second.errorField("code"))
	require.True(t, w.RemoveFault(hold))
	wg.Wait()
	require.NoError(t, err)
	require.Equal(t, 200, first.status)
	require.Equal(t, string(first.raw), string(w.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k").raw))
}

func TestKeyOnGetAndDeleteHasNoEffect(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	id := w.ok("POST", "/v1/customers", "").id()
	w.ok("DELETE", "/v1/customers/"+id, "", "Idempotency-Key", "k")
	r := w.must("DELETE", "/v1/customers/"+id, "", "Idempotency-Key", "k")
	require.Equal(t, 404, r.status)
	require.Empty(t, r.header.Get("Idempotency-Key"))
	require.Equal(t, 400, w.must("POST", "/v1/customers", "", "Idempotency-Key", strings.Repeat("k", 256)).status)
}

// Whatever the interleaving, one key makes one customer.
func TestSameKeyAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	w.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 20
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := w.send("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
			if err != nil || r.status != 200 && r.status != 409 {
				t.Errorf("status %d, error %v", r.status, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, w.Customers(), 1)
	require.Len(t, w.Events(), 1)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Settings: stripetest.Settings{RatePerEndpoint: 0.001}})
	w.ok("GET", "/v1/account", "")
	w.ok("GET", "/v1/customers", "")
	r := w.must("GET", "/v1/account", "")
	require.Equal(t, 429, r.status)
	require.Equal(t, "rate_limit", r.errorField("code"))
	require.Equal(t, "endpoint-rate", r.header.Get("Stripe-Rate-Limited-Reason"))
	require.NotEmpty(t, r.header.Get("Request-Id"))
	w.Configure(func(s *stripetest.Settings) { s.RatePerEndpoint, s.RateGlobal = 0, 0.001 })
	w.ok("GET", "/v1/account", "")
	require.Equal(t, "global-rate", w.must("GET", "/v1/customers", "").header.Get("Stripe-Rate-Limited-Reason"))
}
