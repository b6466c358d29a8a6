package activities_test

import (
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// A customer that was linked before has an earlier remote customer, which says that it is its own, too. The look-up of a
// new create passes over it, however its mapping ended.
func TestProveCall_passes_over_former_remote_customers(t *testing.T) {
	t.Parallel()
	for name, happened := range map[string]bool{"the create happened": true, "it did not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			id, former := b.synced(t)
			for range 2 { // linked anew twice, so that there are two former ones
				b.unlink(t, id)
				call, err := b.store.Plan(t.Context(), id, "stripe", tandem.Ask{Relink: true})
				require.NoError(t, err)
				require.Equal(t, tandem.ActCreate, call.Action)
				b.made(t, call)
			}
			b.unlink(t, id)
			call, err := b.store.Plan(t.Context(), id, "stripe", tandem.Ask{Relink: true})
			require.NoError(t, err)
			b.lost(t, call, happened)
			ours := b.named(id)
			state := b.prove(t, call)
			if !happened {
				require.Len(t, ours, 3)
				require.Nil(t, state, "a former one was taken for the new one")
				return
			}
			require.Len(t, ours, 4)
			require.NotNil(t, state)
			require.NotEqual(t, former, state.RemoteID)
			mapped, err := b.store.Mapped(t.Context(), "stripe", ours)
			require.NoError(t, err)
			require.NotContains(t, mapped, state.RemoteID)
			require.Len(t, mapped, 3)
		})
	}
	t.Run("nor one that another customer has", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, theirs := b.synced(t)
		id, call := b.stored(t)
		b.edit(t, theirs, "metadata["+tandem.KeyCustomerID+"]", id) // somebody copied it
		b.lost(t, call, false)
		require.Nil(t, b.prove(t, call))
	})
}

func (b *bundle) unlink(t *testing.T, id string) {
	t.Helper()
	u := tandem.Unlink{ID: ulid.Make().String(), CustomerID: id, MappingID: b.mapping(t, id).ID}
	require.NoError(t, b.store.Unlink(t.Context(), u, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByOperator, ID: u.ID}}))
}

// made makes a call and records its answer.
func (b *bundle) made(t *testing.T, call tandem.Call) {
	t.Helper()
	state, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
	require.NoError(t, err)
	_, err = b.store.ApplyRemote(t.Context(), []tandem.RemoteState{state}, tandem.Work{Cause: byAPI})
	require.NoError(t, err)
}

// named are the remote customers that say they belong to the customer.
func (b *bundle) named(id string) (ids []string) {
	for _, c := range b.standIn.Customers() {
		if c.Metadata[tandem.KeyCustomerID] == id {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
