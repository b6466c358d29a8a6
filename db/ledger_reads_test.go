package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

func TestEvent(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t, dbtest.Policy)
	e := readsEvent(1, 1, "Jenny")
	e.Key = "key_1"
	row := take(t, store, e)

	got, err := store.Event(t.Context(), row)
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":"evt_1"}`, string(got.Payload))
	assert.False(t, got.ReceivedAt.IsZero())
	assert.NotNil(t, got.ProcessedAt)
	got.Payload, got.ReceivedAt, got.ProcessedAt = nil, e.Created, nil
	assert.Equal(t, tandem.LedgerRow{
		ID: row, Provider: "stripe", EventID: "evt_1", Type: "customer.updated", ObjectID: "cus_1", Created: e.Created,
		ReceivedAt: e.Created, APIVersion: "2023-10-16", Key: "key_1", Deliveries: 1, State: tandem.EventApplied,
	}, got)

	_, err = store.Event(t.Context(), noEvent)
	assert.Equal(t, tandem.CodeEventNotFound, tandem.CodeOf(err))
}

func TestListEvents(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t, dbtest.Policy)
	take(t, store, readsEvent(1, 5, "Jenny"))
	take(t, store, readsEvent(2, 1, "older"))
	take(t, store, tandem.Event{ID: "evt_3", Type: "invoice.paid", ObjectID: "in_1", Created: midnight, Payload: []byte(`{}`)})
	_, err := store.Ingest(t.Context(), "second", readsEvent(4, 9, "waits"))
	require.NoError(t, err)

	for name, tc := range map[string]struct {
		q    tandem.EventQuery
		want []string
	}{
		"newest_first":  {tandem.EventQuery{}, []string{"evt_4 received", "evt_3 ignored", "evt_2 stale", "evt_1 applied"}},
		"of_a_provider": {tandem.EventQuery{Provider: "second"}, []string{"evt_4 received"}},
		"with_an_id":    {tandem.EventQuery{EventID: "evt_2"}, []string{"evt_2 stale"}},
		"about_one":     {tandem.EventQuery{ObjectID: "cus_1"}, []string{"evt_4 received", "evt_2 stale", "evt_1 applied"}},
		"of_a_type":     {tandem.EventQuery{Type: "invoice.paid"}, []string{"evt_3 ignored"}},
		"in_a_state":    {tandem.EventQuery{State: tandem.EventApplied}, []string{"evt_1 applied"}},
		"all_filters":   {tandem.EventQuery{Provider: "stripe", EventID: "evt_1", ObjectID: "cus_1", Type: "customer.updated", State: tandem.EventApplied}, []string{"evt_1 applied"}},
		"of_nothing":    {tandem.EventQuery{EventID: "evt_9"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, after := []string{}, ""
			for range 5 { // pages of one
				tc.q.After, tc.q.Limit = after, 1
				rows, err := store.ListEvents(t.Context(), tc.q)
				require.NoError(t, err)
				if len(rows) == 0 {
					break
				}
				got, after = append(got, fmt.Sprint(rows[0].EventID, " ", rows[0].State)), rows[0].ID
				assert.Nil(t, rows[0].Payload)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()

	t.Run("has_a_finished_row_wait_again", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		row := take(t, store, readsEvent(1, 1, "Jenny"))
		first, err := store.Reopen(t.Context(), row)
		require.NoError(t, err)
		again, err := store.Reopen(t.Context(), row)
		require.NoError(t, err)
		assert.Equal(t, first, again)
		assert.Equal(t, tandem.EventReceived, again.State)
		assert.Equal(t, "replayed after applied", again.Reason)
		assert.Nil(t, again.ProcessedAt)
		assert.NotEmpty(t, again.Payload)
		waiting, err := store.Waiting(t.Context(), "stripe", []string{"cus_1"}, 100)
		require.NoError(t, err)
		require.Len(t, waiting, 1)
		assert.Equal(t, row, waiting[0].ID)
	})

	t.Run("of_what_was_applied_changes_nothing", func(t *testing.T) {
		t.Parallel()
		store := dbtest.New(t, dbtest.Policy)
		first, second := readsEvent(1, 1, "Jenny"), readsEvent(2, 2, "Jenny Rosen")
		rows := []string{take(t, store, first), take(t, store, second)}
		ms, err := store.ListMappings(t.Context(), tandem.MappingQuery{RemoteID: "cus_1", Limit: 1})
		require.NoError(t, err)
		before, err := store.Customer(t.Context(), ms[0].CustomerID)
		require.NoError(t, err)

		for i, e := range []tandem.Event{first, second} {
			_, err := store.Reopen(t.Context(), rows[i])
			require.NoError(t, err)
			apply(t, store, e, rows[i])
		}
		after, err := store.Customer(t.Context(), before.ID)
		require.NoError(t, err)
		assert.Equal(t, before, after)
		for i, want := range []tandem.EventState{tandem.EventStale, tandem.EventEcho} {
			row, err := store.Event(t.Context(), rows[i])
			require.NoError(t, err)
			assert.Equal(t, want, row.State)
			assert.Contains(t, row.Reason, "replayed after applied", "it has done something, the first time")
		}
		_, err = store.Reopen(t.Context(), rows[0])
		require.NoError(t, err)
		require.NoError(t, store.EndEvents(t.Context(), rows[:1], tandem.EventParked, "unreadable"))
		row, err := store.Event(t.Context(), rows[0])
		require.NoError(t, err)
		assert.Equal(t, "unreadable, replayed after applied", row.Reason, "what it did counts, not what became of it since")
		story, err := store.Journal(t.Context(), before.ID, 100)
		require.NoError(t, err)
		assert.Len(t, story, 2)
	})

	t.Run("of_an_unknown_row_is_refused", func(t *testing.T) {
		t.Parallel()
		_, err := dbtest.New(t, dbtest.Policy).Reopen(t.Context(), noEvent)
		assert.Equal(t, tandem.CodeEventNotFound, tandem.CodeOf(err))
	})
}
