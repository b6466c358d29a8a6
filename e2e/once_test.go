package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newEvent is a customer event as Stripe sends it, about a remote customer the stand-in knows nothing of.
func newEvent(kind string) (eventID, remoteID, body string) {
	unique := fmt.Sprint(time.Now().UnixNano())
	eventID, remoteID = "evt_e2e"+unique, "cus_e2e"+unique
	return eventID, remoteID, fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2023-10-16","created":%d,"livemode":false,`+
		`"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},"type":%q,"data":{"object":{"id":%q,"object":"customer",`+
		`"created":%[2]d,"name":"%[5]s %[6]s","email":"%[6]s@example.org","phone":null,"address":null,"metadata":{},"livemode":false}}}`,
		eventID, time.Now().Unix(), kind, remoteID, marker, unique)
}

func TestSameEventTwentyTimesAtOnceHasOneEffect(t *testing.T) {
	t.Parallel()
	eventID, remoteID, body := newEvent("customer.created")
	var deliveries atomic.Int64
	atOnce(t, 20, func(int) error {
		for {
			deliveries.Add(1)
			a, err := calm.deliver(t.Context(), body, sign(body, webhookSecret, time.Now()))
			// A stack that is too busy to take it may say so, and then Stripe delivers again.
			if err != nil || a.status == http.StatusOK {
				return err
			}
			if a.status != http.StatusServiceUnavailable {
				return fmt.Errorf("%d %s", a.status, a.body)
			}
		}
	})
	c := calm.imported(t, remoteID)
	calm.rests(t, c.ID)
	require.Equal(t, int64(1), calm.customer(t, c.ID).Version)
	require.Len(t, calm.journal(t, c.ID), 1)
	eventually(t, func(ct *assert.CollectT) {
		rows := calm.ledger(ct, remoteID)
		require.Len(ct, rows, 1)
		// A delivery that was refused because the machine is busy may not have reached the ledger.
		require.GreaterOrEqual(ct, rows[0].Deliveries, 20)
		require.LessOrEqual(ct, rows[0].Deliveries, int(deliveries.Load()))
		require.Equal(ct, []event{{EventID: eventID, Type: "customer.created", State: "applied", Deliveries: rows[0].Deliveries}}, rows)
	}, "the ledger")
	require.Equal(t, 1, calm.count(t, `SELECT count(*) FROM customers WHERE email = $1`, c.Email))
	require.Empty(t, calm.stripe.calls(t, c.ID, remoteID))
}

func TestSameCreateTwentyTimesAtOnceIsOneCustomer(t *testing.T) {
	t.Parallel()
	p := person("idempotent")
	key := "e2e " + p["email"].(string)
	var mu sync.Mutex
	bodies, replayed := map[string]int{}, 0
	atOnce(t, 20, func(int) error {
		a, err := calm.try(t.Context(), http.MethodPost, "/v1/customers", p, "Idempotency-Key", key)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		bodies[fmt.Sprint(a.status, " ", string(a.body))]++
		if a.header.Get("Idempotent-Replayed") == "true" {
			replayed++
		}
		return nil
	})
	require.Len(t, bodies, 1, "%v", bodies)
	require.Equal(t, 19, replayed)

	again := calm.call(t, http.MethodPost, "/v1/customers", p, "Idempotency-Key", key)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, 20, bodies[fmt.Sprint(http.StatusCreated, " ", string(again.body))])
	c := again.customer(t, http.StatusCreated)
	require.Equal(t, "/v1/customers/"+c.ID, again.header.Get("Location"))

	calm.agrees(t, c.ID)
	require.Equal(t, 1, calm.count(t, `SELECT count(*) FROM customers WHERE email = $1`, c.Email))
	require.Len(t, calm.stripe.of(t, c.ID), 1)
	require.Len(t, calm.stripe.calls(t, c.ID, ""), 1)

	p["name"] = marker + " somebody else"
	calm.call(t, http.MethodPost, "/v1/customers", p, "Idempotency-Key", key).
		problem(t, http.StatusUnprocessableEntity, "idempotency_key_reused")
	require.Equal(t, c.Version, calm.customer(t, c.ID).Version)
}

func TestOneExternalIDOneCustomerEvenAtOnce(t *testing.T) {
	t.Parallel()
	p := person("rivals")
	externalID := marker + "-" + p["email"].(string)
	var mu sync.Mutex
	answers := map[int]int{}
	atOnce(t, 10, func(int) error {
		a, err := calm.try(t.Context(), http.MethodPost, "/v1/customers", object{"external_id": externalID, "email": p["email"]})
		mu.Lock()
		defer mu.Unlock()
		answers[a.status]++
		return err
	})
	require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusConflict: 9}, answers)
	c := calm.call(t, http.MethodGet, "/v1/customers/external/"+externalID, nil).customer(t, http.StatusOK)
	calm.agrees(t, c.ID)
	require.Equal(t, 1, calm.count(t, `SELECT count(*) FROM customers WHERE email = $1`, c.Email))
}
