package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func page(n, second int, name string) []tandem.RemoteState {
	states := make([]tandem.RemoteState, n)
	for i := range states {
		states[i] = event(fmt.Sprintf("cus_%d", i), second, tandem.Fields{Name: name, Email: fmt.Sprintf("%d@example.com", i), Reserved: map[string]string{}})
		states[i].Source = tandem.FromList
	}
	return states
}

func TestApplyRemoteIsSetBased(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	run := func(states []tandem.RemoteState) int {
		return len(p.during(func() {
			out, err := b.ApplyRemote(b.ctx, states, work)
			require.NoError(t, err)
			require.Len(t, out, len(states))
			for _, o := range out {
				require.Contains(t, []tandem.EventState{tandem.EventApplied, tandem.EventEcho}, o.State, o)
			}
		}))
	}
	one := []int{run(page(1, 10, "A")), run(page(1, 20, "B")), run(page(1, 30, "B"))}
	hundred := []int{run(page(100, 40, "A")), run(page(100, 50, "B")), run(page(100, 60, "B"))}
	t.Log("statements for 1 imported, merged, advanced:", one, "and for 100:", hundred)
	// The hundred hold one that is there already, so an update comes on top of the inserts: a kind of write, not a row.
	require.LessOrEqual(t, hundred[0], one[0]+2)
	require.Equal(t, one[1:], hundred[1:])
	require.Equal(t, 100, b.count(`SELECT count(*) FROM customers WHERE name = 'B' AND version >= 2`))
	require.Equal(t, 100, b.count(`SELECT count(*) FROM entity_integration_mappings WHERE state = 'synced'`))
	require.Equal(t, 100, b.count(`SELECT count(*) FROM journal WHERE action = 'create'`))

	gone := page(100, 70, "B")
	for i := range gone {
		gone[i] = deleted(gone[i])
	}
	first := run(gone[:1])
	require.Equal(t, 1, b.count(`SELECT count(*) FROM customers WHERE status = 'archived'`))
	require.Equal(t, first, len(p.during(func() {
		_, err := b.ApplyRemote(b.ctx, gone[1:], work)
		require.NoError(t, err)
	})))
	require.Equal(t, 100, b.count(`SELECT count(*) FROM customers WHERE status = 'archived'`))
	require.Equal(t, 100, b.count(`SELECT count(*) FROM remote_tombstones`))
}

func TestTwoStatesOfOneRemoteInOneBatch(t *testing.T) {
	t.Parallel()

	t.Run("created and changed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		out, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{
			event("cus_1", 10, tandem.Fields{Name: "A"}), event("cus_1", 20, tandem.Fields{Name: "B"}),
		}, work)
		require.NoError(t, err)
		require.Equal(t, out[0].CustomerID, out[1].CustomerID)
		require.Equal(t, out[0].MappingID, out[1].MappingID)
		c, m := b.customer(out[0].CustomerID), b.mapping(out[0].CustomerID)
		require.Equal(t, "B", c.Name)
		require.Equal(t, int64(1), c.Version)
		require.Equal(t, m.Version, out[1].MappingVersion)
		require.Equal(t, at(20), m.AsOf)
		require.Equal(t, "B", m.Base.Name)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
		require.Equal(t, []string{"inbound create", "inbound update"}, b.story(c.ID))
	})

	t.Run("changed twice is one new version", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, tandem.Fields{Name: "A"})).CustomerID
		_, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{
			event("cus_1", 20, tandem.Fields{Name: "B"}), event("cus_1", 30, tandem.Fields{Name: "C"}),
		}, work)
		require.NoError(t, err)
		require.Equal(t, "C", b.customer(id).Name)
		require.Equal(t, int64(2), b.customer(id).Version)
		require.Equal(t, int64(2), b.mapping(id).Version)
		entries, err := b.Journal(t.Context(), id, 10)
		require.NoError(t, err)
		require.Equal(t, []tandem.FieldChange{{Field: "name", Before: "B", After: "C"}}, entries[2].Changes)
	})

	t.Run("created and deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		out, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{
			event("cus_1", 10, tandem.Fields{Name: "A"}), deleted(event("cus_1", 20, tandem.Fields{})),
		}, work)
		require.NoError(t, err)
		m := b.mapping(out[0].CustomerID)
		require.Equal(t, tandem.Ended, m.State)
		require.Equal(t, tandem.DeletedRemote, m.ArchivedReason)
		require.Equal(t, tandem.Archived, b.customer(out[0].CustomerID).Status)
	})

	t.Run("deleted and created late", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		out, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{
			deleted(event("cus_1", 20, tandem.Fields{})), event("cus_1", 10, tandem.Fields{Name: "A"}),
		}, work)
		require.NoError(t, err)
		require.Equal(t, tandem.EventIgnored, out[1].State)
		require.Equal(t, 0, b.count(`SELECT count(*) FROM customers`))
	})

	t.Run("two with one external id: the second is a conflict", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ext := map[string]string{tandem.KeyExternalID: "ext"}
		out, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{
			event("cus_1", 10, tandem.Fields{Name: "A", Reserved: ext}), event("cus_2", 10, tandem.Fields{Name: "B", Reserved: ext}),
		}, work)
		require.NoError(t, err)
		require.Equal(t, tandem.EventConflict, out[1].State)
		require.Equal(t, tandem.ReasonExternalTaken, out[1].Reason)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
	})

	t.Run("in doubt after a merge: the fetch is after the merge's version", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := b.apply(event("cus_1", 10, tandem.Fields{Name: "A"})).CustomerID
		out, err := b.ApplyRemote(t.Context(), []tandem.RemoteState{
			event("cus_1", 20, tandem.Fields{Name: "B"}), event("cus_1", 20, tandem.Fields{Name: "C"}),
		}, work)
		require.NoError(t, err)
		require.True(t, out[1].Fetch)
		require.Equal(t, b.mapping(id).Version, out[1].MappingVersion)
	})

	t.Run("none is nothing", func(t *testing.T) {
		t.Parallel()
		out, err := setup(t).ApplyRemote(t.Context(), nil, work)
		require.NoError(t, err)
		require.Empty(t, out)
	})
}
