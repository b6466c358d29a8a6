package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

var adaThere = tandem.Fields{Name: "Ada", Reserved: map[string]string{}}

func named(name string) tandem.Fields {
	return tandem.Fields{Name: name, Reserved: map[string]string{}}
}

// takenIn is a delivery while workflows cannot keep up.
func (b *bundle) takenIn(s tandem.RemoteState) tandem.Ingested {
	b.t.Helper()
	in, err := b.IngestAndApply(b.ctx, "stripe", delivery(s))
	require.NoError(b.t, err)
	return in
}

// together is many of them in one transaction, in the order they came; it returns what became of each.
func (b *bundle) together(states ...tandem.RemoteState) []tandem.EventState {
	b.t.Helper()
	events := make([]tandem.Event, len(states))
	for i, s := range states {
		events[i] = delivery(s)
	}
	ins, errs := b.IngestTogether(b.ctx, "stripe", events...)
	out := make([]tandem.EventState, len(ins))
	for i, in := range ins {
		require.NoError(b.t, errs[i])
		require.Equal(b.t, in.State == tandem.EventReceived, in.Open)
		out[i] = in.State
	}
	return out
}

// linkedTo is the customer that a remote customer has.
func (b *bundle) linkedTo(remoteID string) tandem.Customer {
	b.t.Helper()
	ms, err := b.ListMappings(b.ctx, tandem.MappingQuery{RemoteID: remoteID, Limit: 2})
	require.NoError(b.t, err)
	require.Len(b.t, ms, 1)
	return b.customer(ms[0].CustomerID)
}

func TestIngestAndApply(t *testing.T) {
	t.Parallel()

	t.Run("an event is stored and applied by one transaction, and its journal line names it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, tandem.Ingested{Row: b.takenIn(event("cus_1", 10, adaThere)).Row, State: tandem.EventApplied}, b.takenIn(event("cus_1", 10, adaThere)))
		c := b.linkedTo("cus_1")
		require.Equal(t, "Ada", c.Name)
		require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
		story, err := b.Journal(b.ctx, c.ID, 10)
		require.NoError(t, err)
		require.Len(t, story, 1)
		require.Equal(t, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_cus_1_10"}}, story[0].Work)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE state = 'applied' AND processed_at IS NOT NULL AND deliveries = 2`))
		n, _, err := b.Backlog(b.ctx)
		require.NoError(t, err)
		require.Zero(t, n)
	})

	t.Run("it ends as the drain would have ended it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(event("cus_1", 10, adaThere))
		for _, tt := range []struct {
			s    tandem.RemoteState
			want tandem.EventState
		}{
			{event("cus_1", 20, adaThere), tandem.EventEcho},
			{event("cus_1", 15, named("Between")), tandem.EventStale},
			{event("cus_1", 30, named("Grace")), tandem.EventApplied},
			{deleted(event("cus_1", 40, tandem.Fields{})), tandem.EventApplied},
			{event("cus_1", 50, adaThere), tandem.EventIgnored},
			{deleted(event("cus_2", 10, tandem.Fields{})), tandem.EventIgnored},
			{event("cus_2", 20, adaThere), tandem.EventIgnored},
		} {
			require.Equal(t, tt.want, b.takenIn(tt.s).State, "%s", tt.s.EventID)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers WHERE name = 'Grace' AND status = 'archived'`))
		require.Equal(t, 2, b.count(`SELECT count(*) FROM remote_tombstones`))
		in, err := b.IngestAndApply(b.ctx, "stripe", tandem.Event{ID: "evt_1", Type: "invoice.paid", Created: at(1), Payload: []byte(`{}`)})
		require.NoError(t, err)
		require.Equal(t, tandem.EventIgnored, in.State)
	})

	t.Run("events of one customer that come together are applied in the order they happened", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.Equal(t, []tandem.EventState{tandem.EventApplied, tandem.EventApplied, tandem.EventApplied, tandem.EventApplied},
			b.together(event("cus_1", 30, named("Third")), event("cus_1", 10, named("First")), event("cus_2", 5, adaThere), event("cus_1", 20, named("Second"))))
		c := b.linkedTo("cus_1")
		require.Equal(t, "Third", c.Name)
		require.Equal(t, at(30), b.mapping(c.ID).AsOf)
		story, err := b.Journal(b.ctx, c.ID, 10)
		require.NoError(t, err)
		var names []string
		for _, line := range story {
			names = append(names, line.Changes[0].After)
		}
		require.Equal(t, []string{"First", "Second", "Third"}, names)
	})

	t.Run("a base that is seen unchanged before, between and after edits that come along", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(event("cus_1", 10, adaThere))
		id := b.linkedTo("cus_1").ID
		version := b.mapping(id).Version
		require.Equal(t, []tandem.EventState{tandem.EventEcho, tandem.EventEcho}, b.together(event("cus_1", 30, adaThere), event("cus_1", 20, adaThere)))
		require.Equal(t, at(30), b.mapping(id).AsOf)
		require.Equal(t, version+1, b.mapping(id).Version)
		require.Equal(t, []tandem.EventState{tandem.EventEcho, tandem.EventApplied, tandem.EventEcho, tandem.EventStale},
			b.together(event("cus_1", 40, adaThere), event("cus_1", 50, named("Grace")), event("cus_1", 60, named("Grace")), event("cus_1", 25, named("Late"))))
		require.Equal(t, at(60), b.mapping(id).AsOf)
		require.Equal(t, version+2, b.mapping(id).Version)
		require.Equal(t, "Grace", b.customer(id).Name)
	})

	t.Run("many customers at once each keep their order", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		at300(func(i int) {
			for n := range 4 {
				in, err := b.IngestAndApply(b.ctx, "stripe", delivery(event(fmt.Sprintf("cus_%d", i), 10*(n+1), named(fmt.Sprint("edit ", n)))))
				if err != nil || in.State != tandem.EventApplied {
					t.Errorf("%d of %d: %v, %v", n, i, in, err)
				}
			}
		})
		require.Equal(t, 300, b.count(`SELECT count(*) FROM customers WHERE name = 'edit 3' AND version = 4`))
		require.Equal(t, 1200, b.count(`SELECT count(*) FROM journal`))
	})

	t.Run("two deliveries of one event in a transaction are one row, applied once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		e := event("cus_1", 10, adaThere)
		require.Equal(t, []tandem.EventState{tandem.EventApplied, tandem.EventApplied, tandem.EventApplied}, b.together(e, event("cus_2", 10, adaThere), e))
		require.Equal(t, []tandem.EventState{tandem.EventApplied, tandem.EventApplied}, b.together(e, e))
		require.Equal(t, 4, b.count(`SELECT deliveries FROM provider_events WHERE object_id = 'cus_1'`))
		require.Equal(t, []string{"inbound create"}, b.story(b.linkedTo("cus_1").ID))
	})

	t.Run("twenty deliveries of one event at once are applied once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, err := range together(func(int) error {
			in, err := b.IngestAndApply(b.ctx, "stripe", delivery(event("cus_1", 10, adaThere)))
			if err == nil && in.State != tandem.EventApplied {
				err = fmt.Errorf("it is %s", in.State)
			}
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, crowd, b.count(`SELECT deliveries FROM provider_events`))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM journal`))
	})

	t.Run("what has an end is not applied by another delivery", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		row := b.ingest(event("cus_1", 10, adaThere)).Row
		require.NoError(t, b.EndEvents(b.ctx, []string{row}, tandem.EventParked, "unreadable"))
		require.Equal(t, tandem.EventParked, b.takenIn(event("cus_1", 10, adaThere)).State)
		require.Zero(t, b.count(`SELECT count(*) FROM customers`))
	})
}

func count(statements []string, text string) (n int) {
	for _, s := range statements {
		if strings.HasPrefix(s, text) {
			n++
		}
	}
	return n
}

func TestWhatIngestCannotSettleWaits(t *testing.T) {
	t.Parallel()

	t.Run("what follows an event that waits", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.ingest(event("cus_1", 10, named("First"))) // its workflow has not come to it yet
		require.Equal(t, []tandem.EventState{tandem.EventReceived, tandem.EventApplied}, b.together(event("cus_1", 20, named("Second")), event("cus_2", 20, adaThere)))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		b.drained("cus_1", "First", "Second")
		require.Equal(t, "Second", b.linkedTo("cus_1").Name)
		require.Len(t, b.story(b.linkedTo("cus_1").ID), 2, "both were applied, in their order")
		require.Equal(t, tandem.EventApplied, b.takenIn(event("cus_1", 30, named("Third"))).State)
	})

	t.Run("one whose order only the provider knows, and what follows it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.apply(event("cus_1", 10, adaThere))
		doubt := event("cus_1", 10, named("Grace"))
		doubt.EventID = "evt_doubt"
		require.Equal(t, []tandem.EventState{tandem.EventReceived, tandem.EventReceived, tandem.EventApplied},
			b.together(event("cus_1", 20, named("Later")), doubt, event("cus_2", 20, adaThere)))
		require.Equal(t, "Ada", b.linkedTo("cus_1").Name)
	})

	t.Run("one that leaves something to do at the provider: a workflow has to hear of it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, adaThere)).CustomerID
		b.change(update(id, tandem.Patch{Phone: ptr("+1")}))
		before := b.picture()
		require.Equal(t, []tandem.EventState{tandem.EventReceived, tandem.EventReceived}, b.together(event("cus_1", 20, named("Grace")), event("cus_1", 30, named("Hopper"))))
		after := b.picture()
		require.NotEqual(t, before["provider_events"], after["provider_events"])
		delete(before, "provider_events")
		delete(after, "provider_events")
		require.Equal(t, before, after)
		outcomes := b.drained("cus_1", "Grace", "Hopper")
		require.True(t, outcomes[1].Poke)
		ids, err := b.Unfinished(b.ctx, "stripe", []string{"cus_1"})
		require.NoError(t, err)
		require.Equal(t, []string{id}, ids)
	})

	t.Run("a conflict", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		strange := tandem.Fields{Name: "X", Reserved: map[string]string{tandem.KeyEnvironment: "test", tandem.KeyCustomerID: customerID()}}
		require.Equal(t, []tandem.EventState{tandem.EventReceived, tandem.EventApplied}, b.together(event("cus_1", 10, strange), event("cus_2", 10, adaThere)))
	})

	t.Run("what the database refuses, alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		var states []tandem.RemoteState
		for i := range 21 {
			states = append(states, event(fmt.Sprintf("cus_%d", i), 10, adaThere))
		}
		states[13].Fields.Name = "Ada\x00" // what the drain reads from the ledger has something else in its place
		for i, state := range b.together(states...) {
			require.Equal(t, map[bool]tandem.EventState{false: tandem.EventApplied, true: tandem.EventReceived}[i == 13], state, "cus_%d", i)
		}
		require.Equal(t, 20, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, 21, b.count(`SELECT count(*) FROM provider_events WHERE deliveries = 1`))
	})

	t.Run("what somebody holds for long: the provider has its answer", func(t *testing.T) {
		t.Parallel()
		b, p := throughProxy(t)
		b.apply(event("cus_1", 10, adaThere))
		tx, err := b.DB().BeginTx(b.ctx, nil)
		require.NoError(t, err)
		_, err = tx.Exec(`SELECT 1 FROM customers FOR UPDATE`)
		require.NoError(t, err)
		statements := p.during(func() {
			require.Equal(t, tandem.EventReceived, b.takenIn(event("cus_1", 20, named("Grace"))).State)
		})
		require.Equal(t, 2, count(statements, "BEGIN"), "it is waited for once")
		require.NoError(t, tx.Rollback())
		b.drained("cus_1", "Grace")
		require.Equal(t, "Grace", b.linkedTo("cus_1").Name)
	})

	t.Run("what another process stores at the same moment", func(t *testing.T) {
		t.Parallel()
		b, p := throughProxy(t)
		other := &bundle{Store: openAt(t, p.direct, dbtest.Policy), t: t, ctx: b.ctx}
		e := event("cus_1", 10, adaThere)
		p.before("INSERT INTO provider_events", func() { other.ingest(e) })
		require.True(t, b.takenIn(e).Open, "its workflow is on its way")
		require.Zero(t, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, 2, b.count(`SELECT deliveries FROM provider_events`))
	})
}

// A process may die, or lose its connection, at the commit: either nothing has happened, or everything has, and the
// provider, which got no answer, delivers again.
func TestIngestAndApplyAtABrokenCommit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		what       cut
		deliveries int
	}{"that did not happen": {unsent, 1}, "that happened": {unheard, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p := throughProxy(t)
			p.once("COMMIT", tt.what)
			_, err := b.IngestAndApply(b.ctx, "stripe", delivery(event("cus_1", 10, adaThere)))
			requireRetryable(t, err, tandem.Ambiguous)
			require.Equal(t, tt.deliveries-1, b.count(`SELECT count(*) FROM customers`))
			require.Equal(t, tandem.EventApplied, b.takenIn(event("cus_1", 10, adaThere)).State)
			require.Equal(t, tt.deliveries, b.count(`SELECT deliveries FROM provider_events`))
			require.Equal(t, []string{"inbound create"}, b.story(b.linkedTo("cus_1").ID))
		})
	}
}

// drained takes in what waits of a remote customer, as the drain does. Rows of these tests do not say what their events
// said, so that comes along.
func (b *bundle) drained(remoteID string, said ...string) []tandem.Outcome {
	b.t.Helper()
	rows, err := b.Waiting(b.ctx, "stripe", []string{remoteID}, 100)
	require.NoError(b.t, err)
	require.Len(b.t, rows, len(said))
	states := make([]tandem.RemoteState, len(rows))
	for i, row := range rows {
		states[i] = event(remoteID, int(row.Created.Sub(epoch).Seconds()), named(said[i]))
		states[i].EventRows = []string{row.ID}
	}
	out, err := b.ApplyRemote(b.ctx, states, work)
	require.NoError(b.t, err)
	return out
}
