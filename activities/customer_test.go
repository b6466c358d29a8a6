package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

func TestChangeCustomer(t *testing.T) {
	t.Parallel()
	t.Run("a create run twice is one customer with one claim", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id := newID("cust")
			one, two := twice(t, b, s, b.acts.ChangeCustomer, createOf(id))
			require.Equal(t, one, two)
			require.EqualValues(t, 1, one.Customer.Version)
			require.Equal(t, canary, one.Customer.Email)
			require.Equal(t, []string{"outbound create"}, b.story(t, id))
			m := b.mapping(t, id)
			require.Equal(t, tandem.Pending, m.State)
			require.Equal(t, tandem.ActCreate, m.Claim.Action)
			require.Empty(t, b.requests())
			js, err := b.store.Journal(t.Context(), id, 1)
			require.NoError(t, err)
			require.Equal(t, "default-test-workflow-id", js[0].Work.WorkflowID, "the journal names the run")
		})
	})
	t.Run("an update run twice is one new version", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			ch := renameOf(id, "Grace Example")
			ch.ExpectedVersion = 1 // is not true any more at the second run
			one, two := twice(t, b, s, b.acts.ChangeCustomer, ch)
			require.Equal(t, one, two)
			require.EqualValues(t, 2, one.Customer.Version)
			require.Equal(t, tandem.Pending, b.mapping(t, id).State)
		})
	})
	t.Run("a change that changes nothing is answered, not journaled", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			story := b.story(t, id)
			one, two := twice(t, b, s, b.acts.ChangeCustomer, renameOf(id, "Ada Example"))
			require.Equal(t, one, two)
			require.EqualValues(t, 1, one.Customer.Version)
			require.Equal(t, story, b.story(t, id))
			require.Equal(t, tandem.Synced, b.mapping(t, id).State)
		})
	})
	t.Run("a refusal is final, carries its code, and writes nothing", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			taken := createOf(newID("cust"))
			taken.ExternalID = ptr("crm-1")
			_, err := get(t, b, s, b.acts.ChangeCustomer, taken)
			require.NoError(t, err)
			again := createOf(newID("cust"))
			again.ExternalID = ptr("crm-1")
			stale := renameOf(taken.CustomerID, "Grace Example")
			stale.ExpectedVersion = 9
			for code, ch := range map[string]tandem.Change{
				tandem.CodeExternalIDTaken:  again,
				tandem.CodeCustomerNotFound: renameOf(newID("cust"), "Nobody"),
				tandem.CodeVersionMismatch:  stale,
				tandem.CodeCustomerExists:   createOf(taken.CustomerID),
			} {
				for range 2 {
					_, err := get(t, b, s, b.acts.ChangeCustomer, ch)
					require.Equal(t, code, activities.FailureOf(err, time.Now()).Code)
					requireFinal(t, err)
					require.NotContains(t, err.Error(), canary)
				}
			}
			var customers int
			require.NoError(t, b.store.DB().GetContext(t.Context(), &customers, `SELECT count(*) FROM customers`))
			require.Equal(t, 1, customers)
		})
	})
}

func TestApplyEvents(t *testing.T) {
	t.Parallel()
	apply := func(t *testing.T, b *bundle, s style, remoteID string) (one, two activities.Applied) {
		return twice(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: remoteID})
	}
	t.Run("an unknown remote customer becomes one customer, without a call", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			remoteID := b.foreign(t)
			row := b.ingest(t, remoteID)
			one, two := apply(t, b, s, remoteID)
			require.Equal(t, activities.Applied{States: []tandem.EventState{tandem.EventApplied}}, one)
			require.Equal(t, activities.Applied{}, two)
			c := b.byRemote(t, remoteID)
			require.Equal(t, "Mary Example", c.Name)
			require.EqualValues(t, 1, c.Version)
			require.Equal(t, []string{"inbound create stripe"}, b.story(t, c.ID))
			state, _ := b.row(t, row.Row)
			require.Equal(t, "applied", state)
			require.Empty(t, b.requests())
			require.Equal(t, []tandem.EventState{tandem.EventApplied}, b.metrics.applied)
		})
	})
	t.Run("several events are applied in their order", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			remoteID := b.foreign(t)
			b.ingest(t, remoteID)
			for _, name := range []string{"Joan Example", "Jean Example"} {
				b.standIn.AdvanceClock(time.Minute)
				b.edit(t, remoteID, "name", name)
				b.ingest(t, remoteID)
			}
			one, two := apply(t, b, s, remoteID)
			require.Equal(t, []tandem.EventState{tandem.EventApplied, tandem.EventApplied, tandem.EventApplied}, one.States)
			require.Empty(t, two.States)
			require.Equal(t, "Jean Example", b.byRemote(t, remoteID).Name)
		})
	})
	t.Run("an order in doubt asks for a fetch, and goes on asking until one settles it", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			remoteID, row := b.doubtful(t, s)
			one, two := apply(t, b, s, remoteID)
			require.Equal(t, one, two)
			require.NotNil(t, one.Fetch)
			require.Equal(t, []string{row}, one.Fetch.EventRows)
			require.Positive(t, one.Fetch.After)
			state, _ := b.row(t, row)
			require.Equal(t, "received", state)
			require.Equal(t, "Joan Example", b.byRemote(t, remoteID).Name)
		})
	})
	t.Run("what is left to do at the provider is answered both times", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			b.renamed(t, id, "Grace Example")
			b.standIn.AdvanceClock(time.Minute)
			b.edit(t, remoteID, "phone", "+1 555 0100")
			b.ingest(t, remoteID)
			one, two := apply(t, b, s, remoteID)
			require.Equal(t, []string{id}, one.Poke)
			require.Equal(t, []string{id}, two.Poke)
			require.Equal(t, tandem.ByWebhook, one.Cause.Kind)
			require.Regexp(t, `^evt_`, one.Cause.ID, "the event that left it to do")
			c := b.customer(t, id)
			require.Equal(t, "+1 555 0100", c.Phone)
			require.Equal(t, "Grace Example", c.Name)
			require.EqualValues(t, 3, c.Version)
		})
	})
	t.Run("an event that cannot be read is parked and holds up no other", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			remoteID := b.foreign(t)
			good := b.ingest(t, remoteID)
			bad, err := b.store.Ingest(t.Context(), "stripe", tandem.Event{
				ID: "evt_unreadable", Type: "customer.updated", ObjectID: remoteID, Created: time.Now(), Payload: []byte(`{}`),
				State: &tandem.RemoteState{RemoteID: remoteID},
			})
			require.NoError(t, err)
			one, _ := apply(t, b, s, remoteID)
			require.Equal(t, []tandem.EventState{tandem.EventApplied}, one.States)
			state, reason := b.row(t, bad.Row)
			require.Equal(t, "parked unreadable", state+" "+reason)
			state, _ = b.row(t, good.Row)
			require.Equal(t, "applied", state)
		})
	})
	t.Run("a deleted remote customer archives the customer once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, remoteID := b.synced(t)
			require.NoError(t, b.standIn.DeleteCustomer(remoteID))
			b.ingest(t, remoteID)
			apply(t, b, s, remoteID)
			require.Equal(t, tandem.Archived, b.customer(t, id).Status)
			require.EqualValues(t, 2, b.customer(t, id).Version)
			require.Equal(t, tandem.DeletedRemote, b.mapping(t, id).ArchivedReason)
			require.Equal(t, []string{"create applied"}, b.requests())
		})
	})
	t.Run("an unknown provider is final", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			_, err := get(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "other", RemoteID: "cus_1"})
			require.Equal(t, tandem.CodeProviderUnknown, activities.FailureOf(err, time.Now()).Code)
			requireFinal(t, err)
		})
	})
}

// doubtful makes a remote customer and an event about it that is of the same second as what is known.
func (b *bundle) doubtful(t *testing.T, s style) (remoteID, row string) {
	t.Helper()
	remoteID = b.foreign(t)
	b.standIn.AdvanceClock(time.Minute)
	still := b.standIn.Now()
	b.standIn.SetClock(func() time.Time { return still })
	b.edit(t, remoteID, "name", "Joan Example")
	b.ingest(t, remoteID)
	_, err := get(t, b, s, b.acts.ApplyEvents, activities.EventsInput{Provider: "stripe", RemoteID: remoteID})
	require.NoError(t, err)
	b.edit(t, remoteID, "name", "Jean Example")
	in := b.ingest(t, remoteID)
	require.True(t, in.Open)
	return remoteID, in.Row
}

func TestPokeOutbound(t *testing.T) {
	t.Parallel()
	eachStyle(t, func(t *testing.T, b *bundle, s style) {
		in := activities.PokeInput{CustomerID: "cust_1", Cause: tandem.Cause{Kind: tandem.ByWebhook}}
		for range 2 {
			require.NoError(t, run(t, b, s, b.acts.PokeOutbound, in))
		}
		require.Equal(t, []string{"cust_1", "cust_1"}, b.starter.syncs, "a wish too many changes nothing")
		b.starter.err = &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable}
		requireRetried(t, run(t, b, s, b.acts.PokeOutbound, in))
	})
}
