package stripetest_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// quick makes failed deliveries come again at once.
var quick = stripetest.Settings{RetryFirst: time.Millisecond, RetryMax: 2 * time.Millisecond}

func TestWebhookIsSignedByEverySecret(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	w := setup(t, stripetest.Options{WebhookURL: rc.URL, WebhookSecrets: []string{"whsec_new", "whsec_old"}})
	made := w.ok("POST", "/v1/customers", "name=Jane&metadata[html]=%3Cb%3E", "Idempotency-Key", "op_1")
	w.idle()

	got := rc.all()
	require.Len(t, got, 1)
	for _, secret := range []string{"whsec_new", "whsec_old"} {
		_, err := webhook.ConstructEvent(got[0].raw, got[0].header.Get("Stripe-Signature"), secret)
		require.NoError(t, err, secret)
	}
	_, err := webhook.ConstructEvent(got[0].raw, got[0].header.Get("Stripe-Signature"), "whsec_other")
	require.ErrorIs(t, err, webhook.ErrNoValidSignature)
	require.Regexp(t, `^t=\d+,v1=[0-9a-f]{64},v1=[0-9a-f]{64},v0=[0-9a-f]{64}$`, got[0].header.Get("Stripe-Signature"))
	require.Equal(t, "application/json; charset=utf-8", got[0].header.Get("Content-Type"))

	e := got[0].event
	require.Contains(t, string(got[0].raw), "{\n  \"id\": \"evt_", "bodies are pretty-printed")
	require.Contains(t, string(got[0].raw), "<b>")
	require.Equal(t, "customer.created", e["type"])
	require.Equal(t, "2023-10-16", e["api_version"])
	require.Equal(t, false, e["livemode"])
	require.EqualValues(t, 1, e["pending_webhooks"])
	require.Equal(t, map[string]any{"id": made.header.Get("Request-Id"), "idempotency_key": "op_1"}, e["request"])
	require.Equal(t, made.body, got[0].object())
	require.Zero(t, w.Events()[0].PendingWebhooks)
}

func TestRetriesAreSignedAfresh(t *testing.T) {
	t.Parallel()
	answers := []int{500, 302, 400, 204}
	rc := newReceiver(t, func(n int) int { return answers[n-1] })
	settings := stripetest.Settings{RetryFirst: time.Hour, RetryMax: 4 * time.Hour}
	w := setup(t, stripetest.Options{WebhookURL: rc.URL, WebhookSecrets: []string{"whsec_x"}, Clock: frozen(noon), Settings: settings})
	w.ok("POST", "/v1/customers", "")
	for n := 1; n < len(answers); n++ {
		require.NoError(t, w.Wait(within(t), func() bool { return len(w.Deliveries()) == n }))
		require.Equal(t, 1, w.PendingDeliveries())
		w.AdvanceClock(w.Deliveries()[n-1].RetryIn)
	}
	w.idle()

	at := noon
	for i, d := range w.Deliveries() {
		require.Equal(t, i+1, d.Attempt)
		require.Equal(t, answers[i], d.Status)
		require.Contains(t, rc.all()[i].header.Get("Stripe-Signature"), fmt.Sprintf("t=%d,", at.Unix()))
		at = at.Add(d.RetryIn)
	}
	require.Equal(t, []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 0}, retries(w.Deliveries()))
}

func retries(ds []stripetest.Delivery) (out []time.Duration) {
	for _, d := range ds {
		out = append(out, d.RetryIn)
	}
	return out
}

func TestDeliveryGivesUp(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, func(int) int { return 500 })
	settings := quick
	settings.MaxAttempts = 3
	w := setup(t, stripetest.Options{WebhookURL: rc.URL, Settings: settings})
	w.ok("POST", "/v1/customers", "")
	w.idle()
	require.Len(t, rc.all(), 3)
	require.Equal(t, 1, w.Events()[0].PendingWebhooks)
	require.NoError(t, w.Redeliver(w.Events()[0].ID))
	w.idle()
	require.Len(t, rc.all(), 4, "asked for by hand: once, no retries")
	require.True(t, w.Deliveries()[3].Manual)
	require.Error(t, w.Redeliver("evt_no"))
}

func TestUnreachableAndDisabledEndpoints(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	rc.Close()
	settings := stripetest.Settings{RetryFirst: time.Hour}
	w := setup(t, stripetest.Options{WebhookURL: rc.URL, Settings: settings})
	w.ok("POST", "/v1/customers", "")
	require.NoError(t, w.Wait(within(t), func() bool { return len(w.Deliveries()) == 1 }))
	require.NotEmpty(t, w.Deliveries()[0].Error)
	require.NoError(t, w.EnableEndpoint(w.Endpoints()[0].ID, false))
	w.AdvanceClock(time.Hour)
	w.idle()
	require.Equal(t, "endpoint is disabled", w.Deliveries()[1].Error)
	w.ok("POST", "/v1/customers", "")
	require.Zero(t, w.PendingDeliveries(), "a disabled endpoint gets nothing new")
}

func TestPreviousAttributes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ before, edit, want string }{
		"scalar":               {"name=a", "name=b", `{"name":"a"}`},
		"from null":            {"", "email=a@x.org", `{"email":null}`},
		"first metadata key":   {"", "metadata[k]=v", `{"metadata":{}}`},
		"another metadata key": {"metadata[a]=1", "metadata[b]=2", `{"metadata":{"b":null}}`},
		"changed metadata":     {"metadata[a]=1&metadata[b]=2", "metadata[a]=3", `{"metadata":{"a":"1"}}`},
		"removed metadata":     {"metadata[a]=1", "metadata=", `{"metadata":{"a":"1"}}`},
		"address part":         {"address[city]=Oslo&address[line1]=x", "address[city]=Bergen", `{"address":{"city":"Oslo"}}`},
		"address from null":    {"", "address[city]=Bergen", `{"address":null}`},
		"address unset":        {"address[city]=Oslo", "address=", `{"address":{"city":"Oslo","country":null,"line1":null,"line2":null,"postal_code":null,"state":null}}`},
		"invoice settings":     {"", "invoice_settings[default_payment_method]=pm_1", `{"invoice_settings":{"default_payment_method":null}}`},
		"list, whole":          {"preferred_locales[]=a", "preferred_locales[]=b", `{"preferred_locales":["a"]}`},
		"unsynced field":       {"", "balance=5", `{"balance":0}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, stripetest.Options{})
			id := w.ok("POST", "/v1/customers", tc.before).id()
			w.ok("POST", "/v1/customers/"+id, tc.edit)
			var e struct {
				Data struct {
					Previous json.RawMessage `json:"previous_attributes"`
				}
			}
			require.NoError(t, json.Unmarshal(w.Events()[1].Body, &e))
			require.JSONEq(t, tc.want, string(e.Data.Previous))
		})
	}
}

func TestDeletedShapes(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	var shapes []bool
	for range 4 {
		id := w.ok("POST", "/v1/customers", "name=a").id()
		require.NoError(t, w.DeleteCustomer(id))
		events := w.Events()
		last := events[len(events)-1]
		require.Equal(t, id, last.CustomerID)
		var body struct {
			Data struct{ Object map[string]any }
		}
		require.NoError(t, json.Unmarshal(last.Body, &body))
		require.Equal(t, id, body.Data.Object["id"])
		_, stub := body.Data.Object["deleted"]
		shapes = append(shapes, stub)
	}
	require.Equal(t, []bool{false, true, false, true}, shapes)
}

func TestDeliveryKnobs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings stripetest.Settings
		want     []string // names, in the order received
		events   int
	}{
		"in order with one worker": {stripetest.Settings{WebhookConcurrency: 1}, []string{"a", "b", "c"}, 3},
		"duplicates":               {stripetest.Settings{WebhookConcurrency: 1, WebhookDuplicates: 1}, []string{"a", "a", "b", "b", "c", "c"}, 3},
		"reordered":                {stripetest.Settings{WebhookReorder: 3}, []string{"c", "b", "a"}, 3},
		"reordered by twos":        {stripetest.Settings{WebhookConcurrency: 1, WebhookReorder: 2, WebhookReorderWait: time.Millisecond}, []string{"b", "a", "c"}, 3},
		"two dropped":              {stripetest.Settings{WebhookDropNext: 2}, []string{"c"}, 3},
		"all dropped":              {stripetest.Settings{WebhookDropRate: 1}, nil, 3},
		"one never generated":      {stripetest.Settings{LoseEvents: 1, WebhookConcurrency: 1}, []string{"b", "c"}, 2},
		"twins":                    {stripetest.Settings{WebhookConcurrency: 1, TwinEvents: true}, []string{"a", "a", "b", "b", "c", "c"}, 6},
		"delayed":                  {stripetest.Settings{WebhookConcurrency: 1, WebhookDelay: time.Millisecond}, []string{"a", "b", "c"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rc := newReceiver(t, nil)
			w := setup(t, stripetest.Options{WebhookURL: rc.URL, Settings: tc.settings})
			w.PauseDelivery()
			for _, n := range []string{"a", "b", "c"} {
				_, err := w.CreateCustomer(form("name", n))
				require.NoError(t, err)
			}
			w.ResumeDelivery()
			w.idle()
			var names []string
			ids := map[string]bool{}
			for _, g := range rc.all() {
				names = append(names, g.object()["name"].(string))
				ids[g.id()] = true
			}
			require.Equal(t, tc.want, names)
			require.Len(t, w.Events(), tc.events)
			if name == "twins" {
				require.Len(t, ids, 6, "twins are distinct events")
			}
		})
	}
}

func TestPauseHoldsDeliveries(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	w := setup(t, stripetest.Options{WebhookURL: rc.URL, Settings: stripetest.Settings{EchoFirst: true}})
	w.PauseDelivery()
	require.True(t, w.DeliveryPaused())
	w.ok("POST", "/v1/customers", "") // does not wait for an echo that cannot come
	require.Equal(t, 1, w.PendingDeliveries())
	require.Empty(t, rc.all())
	w.ResumeDelivery()
	w.idle()
	require.Len(t, rc.all(), 1)
}

// With EchoFirst the receiver has heard of a write before its answer is sent,
// and can already read it back.
func TestEchoComesFirst(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	answered := false
	var w *world
	rc := newReceiver(t, func(int) int {
		mu.Lock()
		defer mu.Unlock()
		if answered {
			t.Error("the answer came before the echo")
		}
		r, err := w.send("GET", "/v1/customers/"+w.Customers()[0].ID, "")
		if err != nil || r.status != 200 {
			t.Errorf("status %d, error %v", r.status, err)
		}
		return 200
	})
	w = setup(t, stripetest.Options{Settings: stripetest.Settings{EchoFirst: true, EchoTimeout: time.Minute}})
	w.AddWebhookEndpoint(rc.URL)
	w.ok("POST", "/v1/customers", "name=a", "Idempotency-Key", "k")
	mu.Lock()
	answered = true
	mu.Unlock()
	require.Len(t, rc.all(), 1)
}

func TestEchoFirstIsBounded(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{
		WebhookURL: "http://127.0.0.1:1", // never tried: the delay is longer than the wait
		Settings:   stripetest.Settings{EchoFirst: true, EchoTimeout: time.Millisecond, WebhookDelay: time.Hour},
	})
	w.ok("POST", "/v1/customers", "")
	require.Empty(t, w.Deliveries())
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	w := setup(t, stripetest.Options{Clock: frozen(noon)})
	made := w.ok("POST", "/v1/webhook_endpoints", form("url", rc.URL, "enabled_events[0]", "customer.deleted", "api_version", "2020-08-27").Encode())
	secret := made.body["secret"].(string)
	require.Regexp(t, `^whsec_`, secret)
	list := w.ok("GET", "/v1/webhook_endpoints", "")
	require.NotContains(t, list.body["data"].([]any)[0], "secret", "the secret shows only at creation")
	require.NotContains(t, w.ok("GET", "/v1/webhook_endpoints/"+made.id(), "").body, "secret")

	id := w.ok("POST", "/v1/customers", "").id()
	w.ok("DELETE", "/v1/customers/"+id, "")
	w.idle()
	require.Len(t, rc.all(), 1, "only the types asked for")
	require.Equal(t, "2020-08-27", rc.all()[0].event["api_version"])
	require.Contains(t, string(w.Events()[1].Body), `"api_version": "2023-10-16"`, "the list shows the account's version")

	next, err := w.RollSecret(made.id(), "", time.Hour)
	require.NoError(t, err)
	require.Equal(t, []string{next, secret}, w.Endpoints()[0].Secrets)
	w.AdvanceClock(time.Hour)
	require.Equal(t, []string{next}, w.Endpoints()[0].Secrets)
}

func TestDeliveryTimesOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	rc := newReceiver(t, func(int) int { <-release; return 200 })
	w := setup(t, stripetest.Options{WebhookURL: rc.URL, Settings: stripetest.Settings{WebhookTimeout: time.Millisecond, MaxAttempts: 1}})
	w.ok("POST", "/v1/customers", "")
	w.idle()
	close(release)
	require.Contains(t, w.Deliveries()[0].Error, "deadline exceeded")
}
