package db_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestIngest(t *testing.T) {
	t.Parallel()
	ada := tandem.Fields{Name: "Ada", Reserved: map[string]string{}}

	t.Run("a new event waits, its second delivery is counted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		e := event("cus_1", 10, ada)
		e.Key = "some:key"
		first := b.ingest(e)
		require.True(t, first.Open)
		require.Equal(t, first, b.ingest(e))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE deliveries = 2 AND state = 'received'
			AND request_idempotency_key = 'some:key' AND api_version = '2023-10-16' AND object_id = 'cus_1' AND NOT livemode`))
		rows, err := b.Waiting(t.Context(), "stripe", []string{"cus_1"}, 100)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, first.Row, rows[0].ID)
		require.Equal(t, at(10), rows[0].Created)
		require.JSONEq(t, `{"id":"evt_cus_1_10"}`, string(rows[0].Payload))
		n, oldest, err := b.Backlog(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.GreaterOrEqual(t, oldest, 0*oldest)
	})

	t.Run("what is finished stays finished", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		e := event("cus_1", 10, ada)
		e.EventRows = []string{b.ingest(e).Row}
		b.apply(e)
		again := b.ingest(e)
		require.False(t, again.Open)
		require.Equal(t, tandem.EventApplied, again.State)
		require.NoError(t, b.EndEvents(t.Context(), e.EventRows, tandem.EventParked, "unreadable"))
		require.Equal(t, tandem.EventApplied, b.ingest(e).State, "an end is not overwritten")
	})

	t.Run("an echo is finished at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		in := b.ingest(event("cus_1", 20, ada))
		require.Equal(t, tandem.EventEcho, in.State)
		require.False(t, in.Open)
		require.Equal(t, at(20), b.mapping(id).AsOf, "the base was still true then")
		require.Equal(t, tandem.EventStale, b.ingest(event("cus_1", 15, tandem.Fields{Name: "Between"})).State)
	})

	t.Run("an event about something else is kept and done", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		in, err := b.Ingest(t.Context(), "stripe", tandem.Event{ID: "evt_1", Type: "invoice.paid", Created: at(1), Payload: []byte(`{}`)})
		require.NoError(t, err)
		require.Equal(t, tandem.EventIgnored, in.State)
		require.False(t, in.Open)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE reason = 'not_a_customer'`))
	})

	t.Run("a conflict waits for the transaction that tells the journal", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		strange := tandem.Fields{Name: "X", Reserved: map[string]string{tandem.KeyEnvironment: "test", tandem.KeyCustomerID: customerID()}}
		require.True(t, b.ingest(event("cus_1", 10, strange)).Open)
	})

	t.Run("one event id of two types is two events, of two providers too", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		e := delivery(event("cus_1", 10, ada))
		for _, provider := range []string{"stripe", "other"} {
			for _, kind := range []string{"customer.created", "customer.updated"} {
				e.Type = kind
				_, err := b.Ingest(t.Context(), provider, e)
				require.NoError(t, err)
			}
		}
		require.Equal(t, 4, b.count(`SELECT count(*) FROM provider_events`))
	})

	t.Run("events wait in the order they happened, of one remote customer, a hundred at once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for second := 130; second > 0; second-- {
			b.ingest(event("cus_1", second, ada))
		}
		b.ingest(event("cus_2", 5, ada))
		rows, err := b.Waiting(t.Context(), "stripe", []string{"cus_1"}, 100)
		require.NoError(t, err)
		require.Len(t, rows, 100)
		for i, row := range rows {
			require.Equal(t, at(i+1), row.Created)
		}
	})

	t.Run("ending rows twice is ending them once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		row := b.ingest(event("cus_1", 10, ada)).Row
		require.NoError(t, b.EndEvents(t.Context(), []string{row}, tandem.EventParked, "unreadable"))
		before := b.picture()
		require.NoError(t, b.EndEvents(t.Context(), []string{row}, tandem.EventIgnored, "else"))
		require.NoError(t, b.EndEvents(t.Context(), nil, tandem.EventIgnored, "else"))
		require.Equal(t, before, b.picture())
	})

	t.Run("unfinished names the customer with something left to do, however often it is asked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		ids, err := b.Unfinished(t.Context(), "stripe", []string{"cus_1"})
		require.NoError(t, err)
		require.Empty(t, ids)
		b.change(update(c.ID, tandem.Patch{Name: ptr("New")}))
		for range 2 {
			ids, err = b.Unfinished(t.Context(), "stripe", []string{"cus_1"})
			require.NoError(t, err)
			require.Equal(t, []string{c.ID}, ids)
		}
	})

	t.Run("unfinished names the customer of a conflict, of which a part was taken back over there", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		now := event("cus_1", 40, *b.mapping(c.ID).Base)
		now.Fields.Address, now.Fields.Metadata = theirs, map[string]string{"tier": "silver"}
		require.True(t, b.apply(now).Poke)
		require.Len(t, b.mapping(c.ID).Conflicts, 2)

		ids, err := b.Unfinished(t.Context(), "stripe", []string{"cus_1"})
		require.NoError(t, err)
		require.Equal(t, []string{c.ID}, ids)
		require.Equal(t, ptr("Ours"), b.planAfterLook(c.ID).Body.Name)
	})
}

// An event that is equal to the base proves when the base was true. A look that was under way meanwhile may be older
// than that, so it must not count as the newest by causality any more: here somebody changed the name and took that
// back, and the fetch that saw the change comes last.
func TestAnEchoOutdatesALookUnderWay(t *testing.T) {
	t.Parallel()
	ada, there := tandem.Fields{Name: "Ada", Reserved: map[string]string{}}, tandem.Fields{Name: "There", Reserved: map[string]string{}}
	look := func(after int64) tandem.RemoteState {
		return tandem.RemoteState{
			Provider: "stripe", RemoteID: "cus_1", Source: tandem.FromFetch, SeenFrom: at(10), SeenTo: at(12), Fields: there, After: after,
		}
	}
	for name, tt := range map[string]struct {
		second int
		arrive func(b *bundle, s tandem.RemoteState)
	}{
		"finished at once":                          {12, func(b *bundle, s tandem.RemoteState) { require.False(b.t, b.ingest(s).Open) }},
		"finished at once, in the base's second":    {10, func(b *bundle, s tandem.RemoteState) { require.False(b.t, b.ingest(s).Open) }},
		"by the workflow":                           {12, func(b *bundle, s tandem.RemoteState) { b.apply(s) }},
		"by the workflow, in the base's second":     {10, func(b *bundle, s tandem.RemoteState) { b.apply(s) }},
		"in the second after, within the tolerance": {11, func(b *bundle, s tandem.RemoteState) { b.apply(s) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			id := b.apply(event("cus_1", 10, ada)).CustomerID
			after := b.mapping(id).Version
			back := event("cus_1", tt.second, ada)
			back.EventID = "evt_back"
			tt.arrive(b, back)
			require.True(t, b.apply(look(after)).Fetch, "the look may be older than the event")
			require.Equal(t, "Ada", b.customer(id).Name)
		})
	}
}

// What is no JSON at all is refused before the ledger; everything else has to be stored, whatever it holds.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, tt := range []struct{ name, payload string }{
		{"an escaped NUL", `{"id":"x","name":"a\u0000b"}`},
		{"an escaped NUL in a key", `{"id":"x","a\u0000b":1}`},
		{"an escaped backslash before u0000", `{"id":"x","name":"a\\u0000b"}`},
		{"a lone high surrogate", `{"id":"x","name":"a\ud800b"}`},
		{"a lone low surrogate", `{"id":"x","name":"a\uDC00b"}`},
		{"a pair", `{"id":"x","name":"\ud83d\ude00"}`},
		{"invalid UTF-8", "{\"id\":\"x\",\"name\":\"a\xffb\"}"},
		{"a big number", `{"id":"x","n":123456789012345678901234567890.5}`},
		{"a number beyond numeric", `{"id":"x","n":1e200000}`},
		{"duplicate keys", `{"id":"x","id":"y"}`},
		{"deep", `{"id":"x","d":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := "evt_" + string(rune('a'+i))
			_, err := b.Ingest(t.Context(), "stripe", tandem.Event{
				ID: id, Type: "customer.updated", ObjectID: id, Created: at(1), Payload: []byte(tt.payload),
				State: &tandem.RemoteState{RemoteID: id, Source: tandem.FromEvent, SeenFrom: at(1), SeenTo: at(1)},
			})
			require.NoError(t, err, "an event that is refused is delivered for three days")
			rows, err := b.Waiting(t.Context(), "stripe", []string{id}, 100)
			require.NoError(t, err)
			require.Len(t, rows, 1)
			require.True(t, json.Valid(rows[0].Payload))
		})
	}
}

// What a person typed anywhere has to be stored as it was typed, wherever it is stored.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, value := range []string{"\u2028", "\uFFFD", "\U0001F600", "'; DROP TABLE customers; --", `{"a":1}`, `\`, `{NULL,"x"}`, "NULL"} {
		f := tandem.Fields{Name: value, Address: tandem.Address{Line1: value}, Metadata: map[string]string{"k": value, value: "v"}}
		id := "cus_" + string(rune('a'+i))
		out, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{event(id, 10, f)}, work)
		require.NoError(t, err, "%q", value)
		require.Equal(t, tandem.EventApplied, out[0].State)
		require.Equal(t, tandem.EventEcho, b.apply(event(id, 10, f)).State, "%q is stored as something else", value)
	}
}
