package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestInbound(t *testing.T) {
	t.Parallel()
	ada := tandem.Fields{Name: "Ada", Email: "ada@example.com", Metadata: map[string]string{"tier": "gold"}, Reserved: map[string]string{}}

	t.Run("an unknown remote customer becomes a customer, once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		s := event("cus_1", 10, ada)
		out := b.apply(s)
		require.Equal(t, tandem.EventApplied, out.State)
		require.False(t, out.Poke)
		c, m := b.customer(out.CustomerID), b.mapping(out.CustomerID)
		require.Equal(t, tandem.Fields{Name: ada.Name, Email: ada.Email, Metadata: ada.Metadata}, c.Fields())
		require.Equal(t, int64(1), c.Version)
		require.Equal(t, tandem.Synced, m.State)
		require.Equal(t, at(10), m.AsOf)
		require.Equal(t, ada, *m.Base)
		require.Equal(t, map[string]string{
			tandem.MetaSyncDirection: tandem.ProviderToPlatform, tandem.MetaCreatedVia: tandem.ByWebhook,
			"stripe_customer_email": "ada@example.com", "stripe_customer_name": "Ada",
			tandem.MetaWebhookEvent: "customer.updated", tandem.MetaWebhookID: "evt_cus_1_10",
			tandem.MetaLastWebhookEvent: "customer.updated", tandem.MetaLastWebhookID: "evt_cus_1_10",
		}, m.Metadata)
		require.Equal(t, []string{"inbound create"}, b.story(c.ID))

		require.Equal(t, tandem.EventEcho, b.apply(s).State)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, []string{"inbound create"}, b.story(c.ID))
		require.Equal(t, c, b.customer(c.ID))
	})

	t.Run("a remote customer without any field becomes a customer without any", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		out := b.apply(event("cus_1", 10, tandem.Fields{}))
		require.Empty(t, b.customer(out.CustomerID).Name)
		require.Equal(t, tandem.EventApplied, b.apply(event("cus_1", 20, ada)).State)
	})

	t.Run("what an event leaves to do is done for that event's sake", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		b.change(update(id, tandem.Patch{Phone: ptr("+1")}))
		there := ada
		there.Name = "Ada L."
		require.True(t, b.apply(event("cus_1", 20, there)).Poke)
		poked := tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook}, WorkflowID: "outbound/" + id, RunID: "run"} // after a crash nobody knows more
		pushed := answer(b.plan(id), "cus_1", 30)
		pushed.Fields = there.With(tandem.Patch{Phone: ptr("+1")})
		_, err := b.ApplyRemote(b.ctx, []tandem.RemoteState{pushed}, poked)
		require.NoError(t, err)
		entries, err := b.Journal(b.ctx, id, 100)
		require.NoError(t, err)
		last := entries[len(entries)-1]
		require.Equal(t, "update", last.Action)
		require.Equal(t, tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_cus_1_20"}, last.Work.Cause)
	})

	t.Run("both sides changed different fields: both have both", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		b.change(update(id, tandem.Patch{Phone: ptr("+1")}))
		there := ada
		there.Name = "Ada L."
		out := b.apply(event("cus_1", 20, there))
		require.True(t, out.Poke)
		c := b.customer(id)
		require.Equal(t, "Ada L.", c.Name)
		require.Equal(t, "+1", c.Phone)
		require.Equal(t, tandem.Patch{Phone: ptr("+1")}, b.plan(id).Body)
		require.Equal(t, tandem.EventEcho, b.apply(event("cus_1", 20, there)).State)
		require.Equal(t, c, b.customer(id))
	})

	t.Run("both sides changed one field: the platform wins", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		b.change(update(id, tandem.Patch{Name: ptr("Here")}))
		there := ada
		there.Name = "There"
		require.True(t, b.apply(event("cus_1", 20, there)).Poke)
		require.Equal(t, "Here", b.customer(id).Name)
		require.Equal(t, tandem.Patch{Name: ptr("Here")}, b.plan(id).Body)
	})

	t.Run("an older event is stale, a cleared field is cleared", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		there := ada
		there.Email = ""
		require.Equal(t, tandem.EventApplied, b.apply(event("cus_1", 20, there)).State)
		require.Empty(t, b.customer(id).Email)
		before := b.picture()
		require.Equal(t, tandem.EventStale, b.apply(event("cus_1", 15, ada)).State)
		require.Equal(t, before, b.picture())
	})

	t.Run("in doubt nothing is written and a fetch is asked for", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		row := b.ingest(event("cus_1", 11, ada))
		require.False(t, row.Open)
		there := ada
		there.Name = "There"
		s := event("cus_1", 11, there)
		s.EventID = "evt_same_second"
		s.EventRows = []string{b.ingest(s).Row}
		before := b.picture()
		out := b.apply(s)
		require.True(t, out.Fetch)
		require.Equal(t, b.mapping(id).Version, out.MappingVersion)
		require.Equal(t, before, b.picture())

		fetched := tandem.RemoteState{
			Provider: "stripe", RemoteID: "cus_1", Source: tandem.FromFetch, SeenFrom: at(9), SeenTo: at(11), Fields: there,
			After: out.MappingVersion, EventRows: s.EventRows,
		}
		require.Equal(t, tandem.EventApplied, b.apply(fetched).State)
		require.Equal(t, "There", b.customer(id).Name)
		require.Equal(t, 0, b.count(`SELECT count(*) FROM provider_events WHERE state = 'received'`))
	})

	t.Run("an external id links an unlinked customer and wipes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ch := creation(tandem.Patch{Name: ptr("Here"), Phone: ptr("+1")})
		ch.ExternalID = ptr("ext")
		c := b.change(ch)
		_, err := b.DB().ExecContext(t.Context(), `DELETE FROM entity_integration_mappings`)
		require.NoError(t, err)
		there := tandem.Fields{Name: "There", Email: "e@example.com", Reserved: map[string]string{tandem.KeyExternalID: "ext"}}
		out := b.apply(event("cus_1", 10, there))
		require.Equal(t, c.ID, out.CustomerID)
		got := b.customer(c.ID)
		require.Equal(t, []string{"Here", "e@example.com", "+1"}, []string{got.Name, got.Email, got.Phone})
		call := b.plan(c.ID)
		require.Equal(t, tandem.Patch{Name: ptr("Here"), Phone: ptr("+1")}, call.Body)
	})

	t.Run("an event completes the create whose answer is late", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		s := event("cus_1", 9, tandem.Fields{}.With(call.Body))
		s.Key = call.Key
		require.Equal(t, c.ID, b.apply(s).CustomerID)
		require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
		before := b.story(c.ID)
		require.Equal(t, tandem.EventEcho, b.apply(answer(call, "cus_1", 10)).State)
		require.Equal(t, before, b.story(c.ID))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
	})
}

func TestDeleted(t *testing.T) {
	t.Parallel()

	t.Run("archives both and stays deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		gone := deleted(event("cus_1", 20, tandem.Fields{}))
		require.Equal(t, tandem.EventApplied, b.apply(gone).State)
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Ended, m.State)
		require.Equal(t, tandem.DeletedRemote, m.ArchivedReason)
		require.NotNil(t, m.ArchivedAt)
		require.Equal(t, tandem.Archived, b.customer(c.ID).Status)
		require.Equal(t, []string{"outbound create", "outbound create", "inbound unlink", "inbound archive"}, b.story(c.ID))

		before := b.picture()
		require.Equal(t, tandem.EventIgnored, b.apply(gone).State)
		require.Equal(t, tandem.EventIgnored, b.apply(event("cus_1", 19, tandem.Fields{Name: "Late"})).State)
		require.Equal(t, tandem.EventIgnored, b.apply(event("cus_1", 30, tandem.Fields{Name: "Later"})).State)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, before, b.picture())
	})

	t.Run("an unknown one leaves a tombstone, so its late creation is ignored", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, tandem.EventIgnored, b.apply(deleted(event("cus_9", 20, tandem.Fields{}))).State)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = 'cus_9'`))
		require.Equal(t, tandem.EventIgnored, b.apply(event("cus_9", 10, tandem.Fields{Name: "Late"})).State)
		require.Equal(t, 0, b.count(`SELECT count(*) FROM customers`))
	})

	t.Run("one deleted before the answer to its create is over as well", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		b.apply(deleted(event("cus_1", 9, tandem.Fields{}.With(call.Body))))
		b.apply(answer(call, "cus_1", 10))
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Ended, m.State)
		require.Nil(t, m.Claim)
		require.Equal(t, "cus_1", m.RemoteID)
		require.Equal(t, tandem.Archived, b.customer(c.ID).Status)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
	})
}
