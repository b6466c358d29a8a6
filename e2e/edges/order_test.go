package edges_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// echoOfOwnUpdate: it changes nothing and asks nobody, before its answer or after.
func echoOfOwnUpdate(t *testing.T) {
	for name, early := range map[string]bool{"before its answer": true, "after it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, remoteID := w.linked(ada())
			before := len(w.calls(""))
			w.edit(id, tandem.Patch{Name: ptr("Ada Later")})
			echo := func() {
				state, reason := w.deliver(w.last(remoteID))
				require.Equal(t, "echo own_write", string(state)+" "+reason)
			}
			if early {
				w.meanwhile("update", echo)
			}
			w.outbound(id)
			if !early {
				echo()
			}
			require.Equal(t, int64(2), w.customer(id).Version)
			w.agree(id)
			require.Len(t, w.calls("")[before:], 1)
		})
	}
}

// echoWithForeignChange: the event has our key and a value that is not ours. Somebody changed it in between, and that is
// news.
func echoWithForeignChange(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	w.edit(id, tandem.Patch{Name: ptr("Ada Later")})
	w.before("update", func() { w.there(remoteID, "phone", "+1 555 0100") })
	w.meanwhile("update", func() { w.deliver(w.last(remoteID)) }) // the event of the edit itself is still on its way
	c, _ := w.agree(id)
	require.Equal(t, "+1 555 0100", c.Phone)
	require.Equal(t, "Ada Later", c.Name)
}

// twoUpdatesInOneSecond: their order cannot be read from their time, so the provider is asked.
func twoUpdatesInOneSecond(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	second := w.stripe.Now().Truncate(time.Second).Add(time.Minute)
	w.stripe.SetClock(func() time.Time { return second })
	w.there(remoteID, "name", "First", "phone", "+1 555 0001")
	w.there(remoteID, "name", "Second")
	events := w.events(remoteID)
	require.Len(t, events, 2)
	require.Equal(t, events[0].Created, events[1].Created)
	w.deliver(events[1])
	w.deliver(events[0])
	require.Equal(t, "Second", w.customer(id).Name, "the last state wins")
	require.NotEmpty(t, w.calls("retrieve"))
	c, _ := w.agree(id)
	require.Equal(t, "Second", c.Name)
	require.Equal(t, "+1 555 0001", c.Phone)
	require.Empty(t, w.calls("update"))
}

// eventOfTheDayBeforeYesterday: an event that is retried for two days overwrites nothing.
func eventOfTheDayBeforeYesterday(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	w.stripe.AdvanceClock(time.Minute)
	w.there(remoteID, "name", "Long ago", "phone", "")
	old := w.last(remoteID)
	w.stripe.AdvanceClock(48 * time.Hour)
	w.there(remoteID, "name", "Today")
	state, _ := w.deliver(w.last(remoteID))
	require.Equal(t, tandem.EventApplied, state)
	before := w.customer(id)
	state, reason := w.deliver(old)
	require.Equal(t, "stale older", string(state)+" "+reason)
	require.Equal(t, before, w.customer(id))
	w.agree(id)
	require.Len(t, w.calls(""), 1, "an old event costs no call")
}

// sameEventAgain: counted, and nothing else.
func sameEventAgain(t *testing.T) {
	w := newWorld(t)
	remoteID := w.foreign("name", "Mary")
	e := w.last(remoteID)
	for range 3 {
		state, _ := w.deliver(e)
		require.Equal(t, tandem.EventApplied, state)
	}
	c := w.by(remoteID)
	require.Equal(t, int64(1), c.Version)
	require.Len(t, w.everybody(), 1)
	rows, err := w.store.ListEvents(t.Context(), tandem.EventQuery{ObjectID: remoteID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, 3, rows[0].Deliveries)
	w.agree(c.ID)
}

// twoEventsForOneChange: two ids, one effect.
func twoEventsForOneChange(t *testing.T) {
	w := newWorld(t)
	w.stripe.Configure(func(s *stripetest.Settings) { s.TwinEvents = true })
	remoteID := w.foreign("name", "Mary")
	w.there(remoteID, "phone", "+1 555 0100")
	require.Len(t, w.events(remoteID), 4)
	for _, e := range w.events(remoteID) {
		w.deliver(e)
	}
	c, _ := w.agree(w.by(remoteID).ID)
	require.LessOrEqual(t, c.Version, int64(2))
	require.Len(t, w.everybody(), 1)
}

// bothSidesEditDifferentFields: both have both.
func bothSidesEditDifferentFields(t *testing.T) {
	for name, first := range map[string]bool{"the event comes first": true, "the call goes first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, remoteID := w.linked(ada())
			w.edit(id, tandem.Patch{Name: ptr("Ada Here"), Metadata: map[string]string{"here": "1"}})
			w.there(remoteID, "phone", "+1 555 0100", "metadata[there]", "2")
			if first {
				w.deliver(w.last(remoteID))
			}
			c, _ := w.agree(id)
			require.Equal(t, "Ada Here", c.Name)
			require.Equal(t, "+1 555 0100", c.Phone)
			require.Equal(t, map[string]string{"plan": "pro", "here": "1", "there": "2"}, c.Metadata)
			require.Len(t, w.calls("update"), 1)
			require.Equal(t, form("name", "Ada Here", "metadata[here]", "1"), w.calls("update")[0].Form)
		})
	}
}

// bothSidesEditTheSameField: the field's policy decides, once.
func bothSidesEditTheSameField(t *testing.T) {
	for winner, want := range map[tandem.Winner]string{"": "Ada Here", tandem.PlatformWins: "Ada Here", tandem.ProviderWins: "Ada There"} {
		t.Run("winner "+string(winner), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(p *tandem.Policy) { p.Merge = tandem.MergePolicy{tandem.FieldName: {Conflict: winner}} })
			id, remoteID := w.linked(ada())
			w.edit(id, tandem.Patch{Name: ptr("Ada Here")})
			w.there(remoteID, "name", "Ada There")
			w.deliver(w.last(remoteID))
			c, _ := w.agree(id)
			require.Equal(t, want, c.Name)
			require.LessOrEqual(t, len(w.calls("update")), 1, "ping-pong")
		})
	}
}

// bothSidesEditAFieldOnHold: neither is overwritten, and both are shown.
func bothSidesEditAFieldOnHold(t *testing.T) {
	w := newWorld(t, func(p *tandem.Policy) { p.Merge = tandem.MergePolicy{tandem.FieldName: {Conflict: tandem.Hold}} })
	id, remoteID := w.linked(ada())
	w.edit(id, tandem.Patch{Name: ptr("Ada Here"), Phone: ptr("")})
	w.there(remoteID, "name", "Ada There")
	w.deliver(w.last(remoteID))
	w.settle(id)
	m := w.mapping(id)
	require.Equal(t, tandem.InConfl, m.State)
	require.Equal(t, []tandem.FieldConflict{{Field: "name", Platform: "Ada Here", Provider: "Ada There"}}, m.Conflicts)
	require.Equal(t, "Ada Here", w.customer(id).Name)
	there, _ := w.stripe.Customer(remoteID)
	require.Equal(t, "Ada There", there.Name)
	require.Empty(t, there.Phone, "the other fields go on")
	require.Contains(t, w.story(id), "inbound conflict")
	w.quiet(id)
}

// valuesThatAProviderNormalises: white space and the case of a country are no change; what else a provider makes of a
// value is taken over, once.
func valuesThatAProviderNormalises(t *testing.T) {
	t.Run("no change", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		fields := ada()
		fields.Name, fields.Address.Country = ptr("  Ada Example "), "gb"
		id, remoteID := w.linked(fields)
		w.there(remoteID, "name", "Ada Example", "address[country]", "GB", "address[line2]", "")
		state, reason := w.deliver(w.last(remoteID))
		require.Equal(t, "echo equal", string(state)+" "+reason)
		w.settle(id)
		w.quiet(id)
		require.Equal(t, "  Ada Example ", w.customer(id).Name, "what the user wrote stays")
		require.Empty(t, w.calls("update"))
	})
	t.Run("a change", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id, remoteID := w.linked(ada())
		w.edit(id, tandem.Patch{Email: ptr("Ada@Example.org")})
		w.meanwhile("update", func() { w.there(remoteID, "email", "ada@example.org") })
		c, _ := w.agree(id)
		require.Equal(t, "ada@example.org", c.Email)
		require.Len(t, w.calls("update"), 1, "ping-pong")
	})
}
