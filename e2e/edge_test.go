package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEdge is about events that are none of our business: whoever sends them is told that they have arrived, because a
// refusal would bring them back for days. The others of docs/decisions/0009-forty-edge-cases.md are in e2e/edges.
func TestEdge(t *testing.T) {
	t.Parallel()
	mine := func(change func(body string) string) func() (eventID, body string) {
		return func() (string, string) {
			id, _, body := newEvent("customer.created")
			return id, change(body)
		}
	}
	thin := func() (eventID, body string) {
		id := fmt.Sprint("evt_thin", time.Now().UnixNano())
		return id, `{"id":"` + id + `","object":"v2.core.event","type":"v2.core.account.updated","livemode":false,` +
			`"created":"2026-11-23T10:00:00.000Z","related_object":{"id":"acct_1","type":"v2.core.account","url":"/v2/core/accounts/acct_1"}}`
	}
	for _, c := range []struct {
		name   string
		event  func() (eventID, body string)
		reason string
	}{
		{"29_event_of_the_other_mode_over_http", mine(func(b string) string { return strings.ReplaceAll(b, `"livemode":false`, `"livemode":true`) }), "other_mode"},
		{"30_event_of_a_connected_account_over_http", mine(func(b string) string {
			return strings.Replace(b, `"object":"event"`, `"object":"event","account":"acct_connected"`, 1)
		}), "other_account"},
		{"35_events_that_nobody_knows_over_http", thin, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eventID, body := c.event()
			customers := calm.count(t, `SELECT count(*) FROM customers WHERE name LIKE '%' || $1`, strings.TrimPrefix(eventID, "evt_e2e"))
			require.Zero(t, customers)
			eventually(t, func(ct *assert.CollectT) { // a machine that is busy may say so
				a, err := calm.deliver(t.Context(), body, sign(body, webhookSecret, time.Now()))
				require.NoError(ct, err)
				require.Equal(ct, http.StatusOK, a.status, string(a.body))
			}, "the answer to the delivery")
			eventually(t, func(ct *assert.CollectT) {
				rows := calm.news(ct, "event_id="+eventID)
				require.Len(ct, rows, 1)
				require.Equal(ct, "ignored", rows[0].State)
				if c.reason != "" {
					require.Equal(ct, c.reason, rows[0].Reason)
				}
			}, "the ledger")
			require.Zero(t, calm.count(t, `SELECT count(*) FROM customers WHERE name LIKE '%' || $1`, strings.TrimPrefix(eventID, "evt_e2e")))
		})
	}
}
