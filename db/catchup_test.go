package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestCatchUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got, err := b.CatchUp(b.ctx, "stripe")
	require.NoError(t, err)
	require.Equal(t, tandem.CatchUp{Provider: "stripe"}, got, "never")
	want := tandem.CatchUp{Provider: "stripe", UpTo: at(10), CheckedAt: at(20), Missed: 3, GapSince: ptr(at(5))}
	for _, c := range []tandem.CatchUp{{Provider: "stripe", CheckedAt: at(1)}, want, want} {
		require.NoError(t, b.SaveCatchUp(b.ctx, c))
		got, err = b.CatchUp(b.ctx, "stripe")
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
}

func TestIngestFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	known, missed := delivery(event("cus_1", 10, tandem.Fields{Name: "Ada"})), delivery(event("cus_1", 20, tandem.Fields{Name: "Grace"}))
	other := tandem.Event{ID: "evt_other", Type: "account.updated", Created: at(5), Payload: []byte(`{"a":"\u0000"}`)}
	_, err := b.Ingest(b.ctx, "stripe", known)
	require.NoError(t, err)

	found, err := b.IngestFound(b.ctx, "stripe", []tandem.Event{missed, known, other, missed})
	require.NoError(t, err)
	require.Equal(t, []tandem.Event{missed, other}, found, "each once, in their order")
	found, err = b.IngestFound(b.ctx, "stripe", []tandem.Event{missed, known, other})
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = b.IngestFound(b.ctx, "stripe", nil)
	require.NoError(t, err)
	require.Empty(t, found)

	waiting, err := b.Waiting(b.ctx, "stripe", []string{"cus_1"}, 10)
	require.NoError(t, err)
	require.Len(t, waiting, 2)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM provider_events WHERE deliveries = 0`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE deliveries = 1`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM provider_events WHERE event_id = 'evt_other' AND state = 'ignored' AND reason = 'not_a_customer'`))

	in, err := b.Ingest(b.ctx, "stripe", missed)
	require.NoError(t, err)
	require.True(t, in.Open)
	require.Equal(t, 1, b.count(`SELECT deliveries FROM provider_events WHERE event_id = $1`, missed.ID), "a webhook that comes after all counts itself")
}
