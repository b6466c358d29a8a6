package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

var holdNames = tandem.MergePolicy{"name": {Conflict: tandem.Hold}, "email": {Conflict: tandem.ProviderWins}}

// look is the look that a rename of a synced customer wants first, and what it sees.
func (b *bundle) look(t *testing.T, id, name string) (tandem.Call, tandem.RemoteState) {
	t.Helper()
	call := b.renamed(t, id, name)
	require.Equal(t, tandem.ActLook, call.Action)
	state, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
	require.NoError(t, err)
	return call, state
}

func (b *bundle) record(t *testing.T, call tandem.Call, state tandem.RemoteState) tandem.Call {
	t.Helper()
	out, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
	require.NoError(t, err)
	require.Nil(t, out.Fetch)
	return out.Next
}

func TestLookFirst(t *testing.T) {
	t.Parallel()

	t.Run("an edit nobody heard of is held, not overwritten", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, holdNames)
		id, remoteID := b.synced(t)
		b.edit(t, remoteID, "name", "Theirs") // its event is still on its way
		call, state := b.look(t, id, "Ours")
		require.Empty(t, state.Key)
		require.Equal(t, call.MappingVersion, state.After)
		require.Equal(t, tandem.ActNothing, b.record(t, call, state).Action)
		m := b.mapping(t, id)
		require.Equal(t, tandem.InConfl, m.State)
		require.Equal(t, []tandem.FieldConflict{{Field: "name", Platform: "Ours", Provider: "Theirs"}}, m.Conflicts)
		require.Equal(t, []string{"create applied", "retrieve"}, b.requests())
		require.Equal(t, []string{"stripe before_update"}, b.metrics.reads)
		require.Contains(t, b.metrics.calls, "stripe look ")

		// Recorded twice, the second time it may be as old as what is on hold: another look says that it is the same.
		out, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
		require.NoError(t, err)
		require.NotNil(t, out.Fetch)
		again, err := get(t, b, styles["activity"], b.acts.FetchRemote, *out.Fetch)
		require.NoError(t, err)
		require.Equal(t, tandem.ActNothing, b.record(t, call, again).Action)
		require.Equal(t, m.Conflicts, b.mapping(t, id).Conflicts)
	})
	t.Run("one that a person wishes is made when nothing is to be sent, and counted as such", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, remoteID := b.synced(t)
		require.Equal(t, tandem.ActNothing, b.planned(t, id).Action)
		call, err := get(t, b, styles["local activity"], b.acts.PlanCall, activities.PlanInput{
			CustomerID: id, Provider: "stripe", Ask: tandem.Ask{Look: true},
		})
		require.NoError(t, err)
		require.Equal(t, tandem.ActLook, call.Action)
		require.NoError(t, b.standIn.DeleteCustomer(remoteID))
		state, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
		require.NoError(t, err)
		require.Equal(t, []string{"stripe sync"}, b.metrics.reads)
		require.Equal(t, tandem.ActNothing, b.record(t, call, state).Action)
		c, err := b.store.Customer(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, tandem.Archived, c.Status)
	})
	t.Run("where the provider wins, its value comes in instead", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, holdNames)
		id, remoteID := b.synced(t)
		b.edit(t, remoteID, "email", "theirs@example.org")
		ch := tandem.Change{ID: newID("chg"), Kind: tandem.ChangeUpdate, CustomerID: id, Patch: tandem.Patch{Email: ptr("ours@example.org"), Phone: ptr("1")}}
		_, err := b.store.ApplyChange(t.Context(), ch, tandem.Work{Cause: byAPI})
		require.NoError(t, err)
		look := b.planned(t, id)
		state, err := get(t, b, styles["activity"], b.acts.CallProvider, look)
		require.NoError(t, err)
		next := b.record(t, look, state)
		require.Equal(t, tandem.Patch{Phone: ptr("1")}, next.Body, "only what nobody changed over there")
		require.Equal(t, "theirs@example.org", b.customer(t, id).Email)
	})
	t.Run("nothing new: one look, then the update, and no look for what comes right behind it", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, holdNames)
		id, remoteID := b.synced(t)
		look, state := b.look(t, id, "Ours")
		update := b.record(t, look, state)
		require.Equal(t, tandem.ActUpdate, update.Action)
		require.Equal(t, update, b.planned(t, id))
		answer, err := get(t, b, styles["activity"], b.acts.CallProvider, update)
		require.NoError(t, err)
		b.renamed(t, id, "Ours again") // while the answer is on its way
		second := b.record(t, update, answer)
		require.Equal(t, tandem.ActUpdate, second.Action, "the answer was a look")
		replayed, err := get(t, b, styles["activity"], b.acts.CallProvider, second)
		require.NoError(t, err)
		b.renamed(t, id, "Ours once more")
		replayed.Replayed = true
		require.Equal(t, tandem.ActLook, b.record(t, second, replayed).Action, "an answer from memory is no look at how it is now")
		c, ok := b.standIn.Customer(remoteID)
		require.True(t, ok)
		require.Equal(t, "Ours again", c.Name)
	})
	t.Run("a remote customer that was deleted ends the link", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, holdNames)
		id, remoteID := b.synced(t)
		require.NoError(t, b.standIn.DeleteCustomer(remoteID))
		look, state := b.look(t, id, "Ours")
		require.True(t, state.Deleted)
		require.Equal(t, tandem.ActNothing, b.record(t, look, state).Action)
		require.Equal(t, tandem.Archived, b.customer(t, id).Status)
	})
	t.Run("a look that fails is shown and tried again, for as long as it takes", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, holdNames)
		id, _ := b.synced(t)
		b.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error503})
		call := b.renamed(t, id, "Ours")
		_, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
		require.Positive(t, requireRetried(t, err))
		m := b.mapping(t, id)
		require.Equal(t, tandem.Retrying, m.State)
		require.Equal(t, tandem.Transient, m.LastError.Class)
		state, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
		require.NoError(t, err)
		require.Equal(t, tandem.ActUpdate, b.record(t, call, state).Action)
		require.Nil(t, b.mapping(t, id).LastError)
	})
	t.Run("a remote customer the provider never had is parked", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, holdNames)
		id, _ := b.synced(t)
		call := b.renamed(t, id, "Ours")
		call.RemoteID = "cus_of_another_account"
		_, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
		requireFinal(t, err)
		failure := activities.FailureOf(err, time.Now())
		require.Equal(t, tandem.Gone, failure.Class)
		require.NoError(t, run(t, b, styles["local activity"], b.acts.ParkCall, activities.ParkInput{Call: call, Failure: *failure, Cause: byAPI}))
		require.Equal(t, tandem.Parked, b.mapping(t, id).State)
	})
}
