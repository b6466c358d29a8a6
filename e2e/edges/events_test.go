package edges_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// changed is an event with another text in it. Stripe prints its events prettily, and so does the stand-in.
func changed(t *testing.T, e stripetest.Event, pairs ...string) []byte {
	t.Helper()
	body := []byte(e.Body)
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, string(body), pairs[i])
		body = bytes.ReplaceAll(body, []byte(pairs[i]), []byte(pairs[i+1]))
	}
	return body
}

// otherMode: an event of live mode on a test connection. It is taken, kept, and acted on by nobody.
func otherMode(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	before := w.customer(id)
	w.there(remoteID, "name", "Live")
	state, reason := w.post(changed(t, w.last(remoteID), `"livemode": false`, `"livemode": true`), secret)
	require.Equal(t, "ignored other_mode", string(state)+" "+reason)
	stranger := w.foreign("name", "Stranger")
	state, reason = w.post(changed(t, w.last(stranger), `"livemode": false`, `"livemode": true`), secret)
	require.Equal(t, "ignored other_mode", string(state)+" "+reason)
	require.Equal(t, before, w.customer(id))
	require.Len(t, w.everybody(), 1)
}

// otherAccount: an event of a connected account that shares the endpoint.
func otherAccount(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	before := w.customer(id)
	for _, e := range []stripetest.Event{w.last(remoteID), w.last(w.foreign("name", "Stranger"))} {
		body := changed(t, e, `"object": "event"`, `"object": "event", "account": "acct_connected"`, e.ID, e.ID+"c")
		state, reason := w.post(body, secret)
		require.Equal(t, "ignored other_account", string(state)+" "+reason)
	}
	require.Equal(t, before, w.customer(id))
	require.Len(t, w.everybody(), 1)
}

// twoEndpointsOneURL: every event comes twice, signed with either secret. The second is a repetition.
func twoEndpointsOneURL(t *testing.T) {
	w := newWorld(t)
	remoteID := w.foreign("name", "Mary")
	for _, s := range []string{secret, rolling} {
		state, _ := w.post(w.last(remoteID).Body, s)
		require.Equal(t, tandem.EventApplied, state)
	}
	rows, err := w.store.ListEvents(t.Context(), tandem.EventQuery{ObjectID: remoteID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, 2, rows[0].Deliveries)
	w.agree(w.by(remoteID).ID)
}

// secretRotation: old, new and both are good while both are configured; one that is not deployed yet is refused, so that
// Stripe tells again.
func secretRotation(t *testing.T) {
	w := newWorld(t)
	remoteID := w.foreign("name", "Mary")
	body, now := []byte(w.last(remoteID).Body), w.stripe.Now()
	for name, secrets := range map[string][]string{
		"old": {secret}, "new": {rolling}, "both": {rolling, secret}, "one of them unknown": {"whsec_next", secret},
	} {
		_, err := w.adapter.VerifyWebhook(signature(body, now, secrets...), body, now)
		require.NoError(t, err, name)
	}
	_, err := w.adapter.VerifyWebhook(signature(body, now, "whsec_next"), body, now)
	require.Equal(t, tandem.CodeSignatureInvalid, tandem.CodeOf(err), "the API answers 400 to this")
	require.Empty(t, w.everybody())
}

// clocksApart: a signature from another time is refused, past or future, and says by how much.
func clocksApart(t *testing.T) {
	w := newWorld(t)
	body, now := []byte(w.last(w.foreign("name", "Mary")).Body), w.stripe.Now()
	for after, says := range map[time.Duration]string{
		4 * time.Minute: "", 6 * time.Minute: "6m0s ago", 24 * time.Hour: "24h0m0s ago", -30 * time.Second: "", -6 * time.Minute: "6m0s in the future",
	} {
		_, err := w.adapter.VerifyWebhook(signature(body, now, secret), body, now.Truncate(time.Second).Add(after))
		if says == "" {
			require.NoError(t, err, after)
			continue
		}
		require.ErrorContains(t, err, says)
		require.Equal(t, tandem.CodeSignatureInvalid, tandem.CodeOf(err))
	}
}

// newerVersion: an event of another API version is read for what it has. What it does not carry is not cleared.
func newerVersion(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	w.stripe.AdvanceClock(time.Minute)
	w.there(remoteID, "name", "Ada Dahlia")
	body := changed(t, w.last(remoteID), `"api_version": "2023-10-16"`, `"api_version": "2026-08-26.dahlia"`,
		`"phone": `, `"business_name": null, "telephone": `)
	state, _ := w.post(body, secret)
	require.Equal(t, tandem.EventApplied, state)
	c := w.customer(id)
	require.Equal(t, "Ada Dahlia", c.Name)
	require.Equal(t, *ada().Phone, c.Phone, "unknown is not empty")
	w.agree(id)
}

// unknownEvents: a thin event of API v2, another type, and one about something else. All are taken, all are kept.
func unknownEvents(t *testing.T) {
	for name, body := range map[string]string{
		"thin": `{"id":"evt_v2","object":"v2.core.event","type":"v2.core.account.updated","livemode":false,
			"created":"2026-11-23T10:00:00.000Z","related_object":{"id":"acct_1","type":"v2.core.account","url":"/v2/core/accounts/acct_1"}}`,
		"invoice":             `{"id":"evt_inv","object":"event","type":"invoice.paid","created":1764000000,"livemode":false,"data":{"object":{"id":"in_1","object":"invoice"}}}`,
		"customer's discount": `{"id":"evt_disc","object":"event","type":"customer.discount.created","created":1764000000,"livemode":false,"data":{"object":{"id":"di_1","object":"discount","customer":"cus_1"}}}`,
		"without an object":   `{"id":"evt_none","object":"event","type":"customer.updated","created":1764000000,"livemode":false,"data":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			state, reason := w.post([]byte(body), secret)
			require.Equal(t, tandem.EventIgnored, state, reason)
			require.Empty(t, w.everybody())
		})
	}
}

// revokedKey: nothing can be called; changes and events go on being taken. It goes on by itself when the key works.
func revokedKey(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	for _, kind := range []stripetest.FaultKind{stripetest.Unauthorized, stripetest.Forbidden} {
		w.stripe.AddFault(stripetest.Fault{Kind: kind, Op: "update", Count: 4})
	}
	w.edit(id, tandem.Patch{Name: ptr("Ada Later")})
	var while tandem.Mapping
	w.before("update", func() {
		w.before("update", func() { // the second attempt
			while = w.mapping(id)
			w.edit(id, tandem.Patch{Phone: ptr("")})
			w.there(remoteID, "metadata[there]", "yes")
			state, _ := w.deliver(w.last(remoteID))
			require.Equal(t, tandem.EventApplied, state)
			require.Equal(t, "yes", w.customer(id).Metadata["there"])
		})
	})
	took := w.outbound(id)
	require.Equal(t, tandem.Retrying, while.State)
	require.Equal(t, tandem.Auth, while.LastError.Class)
	require.Greater(t, took, 30*time.Second, "it does not hammer")
	c, _ := w.agree(id)
	require.Equal(t, "Ada Later", c.Name)
	require.NotContains(t, w.story(id), "outbound park")
	require.GreaterOrEqual(t, w.metrics.seen["update auth"], 4)
}

// keyOfAnotherAccount: nobody is made anew over there, and what is not found there does not count as gone. It goes on when
// the key is put right, or when a person has accepted the account.
func keyOfAnotherAccount(t *testing.T) {
	w := newWorld(t)
	known, _ := w.linked(ada())
	w.guarded("")
	w.edit(known, tandem.Patch{Name: ptr("Ada Second")})
	w.agree(known)

	ours := w.hooks.Provider
	other, theirs := w.stranger("acct_other")
	w.hooks.Provider = theirs
	w.guarded("")
	w.edit(known, tandem.Patch{Name: ptr("Ada Third")})
	fresh := w.stored(ada())
	for _, id := range []string{known, fresh} {
		require.Error(t, w.called(id))
		m := w.mapping(id)
		require.Equal(t, tandem.Retrying, m.State)
		require.Equal(t, "auth/"+tandem.CodeAccountChanged, string(m.LastError.Class)+"/"+m.LastError.Code)
		require.Contains(t, m.LastError.Message, "acct_other")
	}
	require.Empty(t, other.Customers())

	w.hooks.Provider = ours
	w.guarded("")
	for _, id := range []string{known, fresh} {
		w.agree(id)
		require.Equal(t, 1, w.made(id))
	}

	w.hooks.Provider = theirs
	w.guarded("acct_other")
	require.NoError(t, w.called(w.stored(ada())))
	require.Len(t, other.Customers(), 1, "a person has accepted it")
}

// rateLimits: slower with every refusal, under the same key, and no failure.
func rateLimits(t *testing.T) {
	for _, kind := range []stripetest.FaultKind{stripetest.RateLimit, stripetest.LockTimeout, stripetest.KeyInUse} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, _ := w.linked(ada())
			w.stripe.AddFault(stripetest.Fault{Kind: kind, Op: "update", Count: 6})
			w.edit(id, tandem.Patch{Name: ptr("Ada Later")})
			took := w.outbound(id)
			require.GreaterOrEqual(t, took, 30*time.Second, "half of 1+2+4+8+16+30 s at least")
			require.LessOrEqual(t, took, 62*time.Second)
			w.agree(id)
			posts := w.calls("update")
			require.Len(t, posts, 7)
			for _, p := range posts {
				require.Equal(t, posts[0].IdempotencyKey, p.IdempotencyKey)
				require.Equal(t, posts[0].Form, p.Form)
			}
			require.Equal(t, http.StatusOK, posts[6].Status)
			require.Equal(t, 6, w.metrics.seen["update rate_limited"])
			for _, class := range []tandem.Class{tandem.Transient, tandem.Ambiguous, tandem.Bug} {
				require.Zero(t, w.metrics.seen["update "+string(class)])
			}
			require.NotContains(t, w.story(id), "outbound park")
		})
	}
}
