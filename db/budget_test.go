package db_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestSpendRead(t *testing.T) {
	t.Parallel()
	spend := func(b *bundle, why string, budget int, rows ...string) error {
		return b.SpendRead(context.Background(), "stripe", why, budget, rows)
	}

	t.Run("a day has so many, for each reason and provider", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		row := b.ingest(event("cus_1", 10, tandem.Fields{Name: "Ada"})).Row
		other := b.ingest(event("cus_2", 10, tandem.Fields{Name: "Ben"})).Row
		for range 3 {
			require.NoError(t, spend(b, "event_order", 3, row))
		}
		require.Equal(t, 0, b.count(`SELECT count(*) FROM provider_events WHERE reason <> ''`))
		for range 2 {
			requireCode(t, spend(b, "event_order", 3, row), tandem.RateLimited, tandem.CodeReadBudgetSpent)
		}
		require.Equal(t, 3, b.count(`SELECT reads FROM provider_reads WHERE day = (now() AT TIME ZONE 'UTC')::date`))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE id = $1 AND state = 'received' AND reason = $2`, row, tandem.CodeReadBudgetSpent))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE id = $1 AND reason = ''`, other))

		require.NoError(t, spend(b, "link", 0))
		require.NoError(t, spend(b, "event_order", 4, row), "the budget was raised")
		require.NoError(t, b.SpendRead(b.ctx, "other", "event_order", 1, nil))
		require.NoError(t, spend(b, "event_order", 0, row), "0 is no limit")
	})
	t.Run("the next day begins anew", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		require.NoError(t, spend(b, "event_order", 1))
		require.Error(t, spend(b, "event_order", 1))
		_, err := b.DB().Exec(`UPDATE provider_reads SET day = day - 1`)
		require.NoError(t, err)
		require.NoError(t, spend(b, "event_order", 1))
	})
	t.Run("many at once do not spend more than there is", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		made := 0
		for _, err := range together(func(int) error { return spend(b, "event_order", 7) }) {
			if err == nil {
				made++
				continue
			}
			assert.Equal(t, tandem.CodeReadBudgetSpent, tandem.CodeOf(err), err)
		}
		require.Equal(t, 7, made)
		require.Equal(t, 7, b.count(`SELECT reads FROM provider_reads`))
	})
	t.Run("an event that has its end keeps its reason", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		row := b.ingest(event("cus_1", 10, tandem.Fields{Name: "Ada"})).Row
		require.NoError(t, b.EndEvents(b.ctx, []string{row}, tandem.EventParked, "why"))
		require.NoError(t, spend(b, "event_order", 1, row))
		require.Error(t, spend(b, "event_order", 1, row))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE reason = 'why'`))
	})
}
