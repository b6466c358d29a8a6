package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// TestIngestTogether: calls that come at once share transactions, and nobody can tell.
func TestIngestTogether(t *testing.T) {
	t.Parallel()
	const many = 300

	t.Run("each_event_once_each_delivery_counted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		rows := make([]string, many)
		at300(func(i int) {
			in, err := b.Ingest(b.ctx, "stripe", delivery(event(fmt.Sprintf("cus_%d", i%100), 10, tandem.Fields{Name: "Ada"})))
			if err == nil && in.Open {
				rows[i] = in.Row
			}
		})
		for i, row := range rows {
			require.NotEmpty(t, row)
			require.Equal(t, rows[i%100], row, "one event, one row")
		}
		require.Equal(t, 100, b.count(`SELECT count(*) FROM provider_events WHERE deliveries = 3`))
		require.Equal(t, 100, b.count(`SELECT count(*) FROM provider_events`))
	})

	t.Run("each_is_told_its_own_end", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ada := tandem.Fields{Name: "Ada", Reserved: map[string]string{}}
		for i := range 10 {
			b.apply(event(fmt.Sprintf("cus_%d", i), 10, ada))
		}
		states := make([]tandem.EventState, many)
		at300(func(i int) {
			remote := fmt.Sprintf("cus_%d", i%10)
			var e tandem.Event
			switch i % 3 {
			case 0: // nothing new, at thirty different times
				e = delivery(event(remote, 20+i, ada))
			case 1:
				e = delivery(event(remote, 400+i, tandem.Fields{Name: "Grace", Reserved: map[string]string{}}))
			case 2:
				e = tandem.Event{ID: fmt.Sprint("evt_", i), Type: "invoice.paid", Created: epoch, Payload: []byte(`{}`)}
			}
			in, err := b.Ingest(b.ctx, "stripe", e)
			if err == nil {
				states[i] = in.State
			}
		})
		for i, state := range states {
			switch i % 3 {
			case 0:
				require.Contains(t, []tandem.EventState{tandem.EventEcho, tandem.EventStale, tandem.EventReceived}, state)
			case 1:
				require.Equal(t, tandem.EventReceived, state)
			case 2:
				require.Equal(t, tandem.EventIgnored, state)
			}
		}
		require.Equal(t, many, b.count(`SELECT count(*) FROM provider_events`))
	})

	t.Run("one_base_seen_unchanged_twice_in_one_transaction_is_an_echo_twice", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ada := tandem.Fields{Name: "Ada", Reserved: map[string]string{}}
		id := b.apply(event("cus_1", 10, ada)).CustomerID
		states := make([]tandem.EventState, many)
		at300(func(i int) {
			in, err := b.Ingest(b.ctx, "stripe", delivery(event("cus_1", 20, ada)))
			if err == nil {
				states[i] = in.State
			}
		})
		for _, state := range states {
			require.Equal(t, tandem.EventEcho, state)
		}
		require.Equal(t, at(20), b.mapping(id).AsOf)
	})

	t.Run("what_the_database_refuses_fails_alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		errs := make([]error, many)
		at300(func(i int) {
			e := delivery(event(fmt.Sprintf("cus_%d", i), 10, tandem.Fields{Name: "Ada"}))
			if i == 150 {
				e.Type = "nul\x00" // no provider sends it: parsing refuses what does not print
			}
			_, errs[i] = b.Ingest(b.ctx, "stripe", e)
		})
		for i, err := range errs {
			if i == 150 {
				require.Error(t, err)
				continue
			}
			require.NoError(t, err)
		}
		require.Equal(t, many-1, b.count(`SELECT count(*) FROM provider_events`))
	})

	t.Run("a_caller_that_has_gone_holds_up_nobody", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		gone, cancel := context.WithCancel(b.ctx)
		cancel()
		errs := make([]error, many)
		at300(func(i int) {
			ctx := b.ctx
			if i%2 == 0 {
				ctx = gone
			}
			_, errs[i] = b.Ingest(ctx, "stripe", delivery(event(fmt.Sprintf("cus_%d", i), 10, tandem.Fields{Name: "Ada"})))
		})
		for i, err := range errs {
			if i%2 == 1 {
				require.NoError(t, err)
			} else if err != nil {
				require.True(t, errors.Is(err, context.Canceled) || tandem.ClassOf(err) == tandem.Transient, err)
			}
		}
		require.GreaterOrEqual(t, b.count(`SELECT count(*) FROM provider_events`), many/2)
	})

	t.Run("two_providers_at_once_keep_apart", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		errs := make([]error, many)
		at300(func(i int) {
			_, errs[i] = b.Ingest(b.ctx, []string{"stripe", "other"}[i%2], delivery(event(fmt.Sprintf("cus_%d", i/2), 10, tandem.Fields{Name: "Ada"})))
		})
		require.NoError(t, errors.Join(errs...))
		require.Equal(t, 150, b.count(`SELECT count(*) FROM provider_events WHERE provider_type = 'other'`))
		require.Equal(t, 150, b.count(`SELECT count(*) FROM provider_events WHERE provider_type = 'stripe'`))
	})
}

// at300 calls f three hundred times at once.
func at300(f func(i int)) {
	var all sync.WaitGroup
	for i := range 300 {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func TestWaitingRemotes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var rows []string
	for i := range 7 {
		rows = append(rows, b.ingest(event(fmt.Sprintf("cus_%d", i%3), 10+i, tandem.Fields{Name: "Ada"})).Row)
	}
	remotes, next, err := b.WaitingRemotes(b.ctx, "stripe", "", 4)
	require.NoError(t, err)
	require.Equal(t, []string{"cus_0", "cus_1", "cus_2"}, remotes)
	require.Equal(t, rows[3], next)
	remotes, next, err = b.WaitingRemotes(b.ctx, "stripe", next, 4)
	require.NoError(t, err)
	require.Equal(t, []string{"cus_1", "cus_2", "cus_0"}, remotes)
	require.Empty(t, next, "there were no more")
	remotes, _, err = b.WaitingRemotes(b.ctx, "other", "", 4)
	require.NoError(t, err)
	require.Empty(t, remotes)
}
