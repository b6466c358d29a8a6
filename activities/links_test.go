package activities_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// archived archives a customer and returns the call that is due.
func (b *bundle) archived(t *testing.T, id string, wish tandem.RemoteWish) tandem.Call {
	t.Helper()
	ch := tandem.Change{ID: newID("chg"), Kind: tandem.ChangeArchive, CustomerID: id, Remote: wish}
	_, err := b.store.ApplyChange(t.Context(), ch, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}})
	require.NoError(t, err)
	return b.planned(t, id)
}

// delete makes a delete and records its answer.
func (b *bundle) delete(t *testing.T, call tandem.Call) activities.Recorded {
	t.Helper()
	require.Equal(t, tandem.ActDelete, call.Action)
	state, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
	require.NoError(t, err)
	require.True(t, state.Deleted)
	recorded, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
	require.NoError(t, err)
	return recorded
}

// fetched is the remote customer as a link by hand looks at it.
func (b *bundle) fetched(t *testing.T, remoteID string) tandem.RemoteState {
	t.Helper()
	state, err := get(t, b, styles["activity"], b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: remoteID})
	require.NoError(t, err)
	return state
}

func (b *bundle) unlinked(t *testing.T) (id, remoteID string) {
	t.Helper()
	id, remoteID = b.synced(t)
	u := tandem.Unlink{ID: newID("unl"), CustomerID: id, MappingID: b.mapping(t, id).ID}
	require.NoError(t, run(t, b, styles["local activity"], b.acts.UnlinkCustomer, u))
	return id, remoteID
}

func TestDelete(t *testing.T) {
	t.Parallel()
	t.Run("the remote customer is deleted and the mapping ends", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, remoteID := b.synced(t)
		recorded := b.delete(t, b.archived(t, id, ""))
		require.Equal(t, tandem.EventApplied, recorded.Outcome)
		require.Equal(t, tandem.ActNothing, recorded.Next.Action)
		m := b.mapping(t, id)
		require.Equal(t, tandem.DeletedLocal, m.ArchivedReason)
		remote, _ := b.standIn.Customer(remoteID)
		require.True(t, remote.Deleted)
		b.ingest(t, remoteID) // its own event comes too, and changes nothing
		require.Equal(t, tandem.DeletedLocal, b.mapping(t, id).ArchivedReason)
		require.Equal(t, 1, count(b.story(t, id), "outbound delete stripe"))
	})
	t.Run("one that is gone already is deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, remoteID := b.synced(t)
		require.NoError(t, b.standIn.DeleteCustomer(remoteID))
		b.delete(t, b.archived(t, id, ""))
		require.Equal(t, tandem.DeletedLocal, b.mapping(t, id).ArchivedReason)
	})
	t.Run("made twice it is one delete", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, _ := b.synced(t)
		call := b.archived(t, id, "")
		_, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
		require.NoError(t, err)
		b.delete(t, call)
		require.Equal(t, 1, count(b.requests(), "delete applied"))
		require.Equal(t, tandem.DeletedLocal, b.mapping(t, id).ArchivedReason)
	})
	t.Run("kept, nothing is asked of the provider", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, remoteID := b.synced(t)
		before := len(b.requests())
		require.Equal(t, tandem.ActNothing, b.archived(t, id, tandem.KeepRemote).Action)
		require.Equal(t, tandem.Ended, b.mapping(t, id).State)
		require.Len(t, b.requests(), before)
		remote, _ := b.standIn.Customer(remoteID)
		require.False(t, remote.Deleted)
	})
	t.Run("a create in flight is answered with the delete that is due next", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, create := b.stored(t)
		require.Equal(t, create.Key, b.archived(t, id, "").Key)
		state, err := get(t, b, styles["activity"], b.acts.CallProvider, create)
		require.NoError(t, err)
		recorded, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: create, State: state, Cause: byAPI})
		require.NoError(t, err)
		b.delete(t, recorded.Next)
		require.Equal(t, tandem.DeletedLocal, b.mapping(t, id).ArchivedReason)
	})
}

func TestLinkCustomer(t *testing.T) {
	t.Parallel()
	t.Run("twice is once", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.unlinked(t)
			remoteID := b.foreign(t)
			b.edit(t, remoteID, "phone", "555")
			in := activities.LinkInput{
				Link:  tandem.Link{ID: newID("lnk"), CustomerID: id, Provider: "stripe", RemoteID: remoteID, Winner: tandem.ProviderWins},
				State: b.fetched(t, remoteID),
			}
			one, two := twice(t, b, s, b.acts.LinkCustomer, in)
			require.Equal(t, one.ID, two.ID)
			require.Equal(t, remoteID, two.RemoteID)
			require.Equal(t, 1, count(b.story(t, id), "inbound link stripe"))
			c := b.customer(t, id)
			require.Equal(t, "Mary Example", c.Name)
			require.Equal(t, "555", c.Phone)
			js, err := b.store.Journal(t.Context(), id, 100)
			require.NoError(t, err)
			for _, j := range js {
				if j.Action == "link" {
					require.Equal(t, tandem.Cause{Kind: tandem.ByOperator, ID: in.Link.ID}, j.Work.Cause)
				}
			}
		})
	})
	t.Run("a refusal says its code and is not repeated", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.synced(t)
			remoteID := b.foreign(t)
			_, err := get(t, b, s, b.acts.LinkCustomer, activities.LinkInput{
				Link: tandem.Link{ID: newID("lnk"), CustomerID: id, Provider: "stripe", RemoteID: remoteID}, State: b.fetched(t, remoteID),
			})
			requireRefused(t, err, tandem.Conflict, tandem.CodeCustomerLinked)
		})
	})
	t.Run("a remote customer that was deleted", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			id, _ := b.unlinked(t)
			remoteID := b.foreign(t)
			require.NoError(t, b.standIn.DeleteCustomer(remoteID))
			_, err := get(t, b, s, b.acts.LinkCustomer, activities.LinkInput{
				Link: tandem.Link{ID: newID("lnk"), CustomerID: id, Provider: "stripe", RemoteID: remoteID}, State: b.fetched(t, remoteID),
			})
			requireRefused(t, err, tandem.Conflict, tandem.CodeRemoteGone)
		})
	})
	t.Run("a remote customer that nobody has heard of", func(t *testing.T) {
		t.Parallel()
		eachStyle(t, func(t *testing.T, b *bundle, s style) {
			_, err := get(t, b, s, b.acts.FetchRemote, activities.FetchInput{Provider: "stripe", RemoteID: "cus_unheard"})
			requireRefused(t, err, tandem.Gone, "")
		})
	})
}

func requireRefused(t *testing.T, err error, class tandem.Class, code string) {
	t.Helper()
	failure := activities.FailureOf(err, epochOfTests)
	require.NotNil(t, failure)
	require.Equal(t, class, failure.Class)
	if code != "" {
		require.Equal(t, code, failure.Code)
	}
	require.True(t, nonRetryable(err))
}

func TestUnlinkCustomer(t *testing.T) {
	t.Parallel()
	eachStyle(t, func(t *testing.T, b *bundle, s style) {
		id, remoteID := b.synced(t)
		u := tandem.Unlink{ID: newID("unl"), CustomerID: id, MappingID: b.mapping(t, id).ID}
		for range 2 {
			require.NoError(t, run(t, b, s, b.acts.UnlinkCustomer, u))
		}
		require.Equal(t, 1, count(b.story(t, id), "outbound unlink stripe"))
		b.edit(t, remoteID, "name", "Theirs")
		state, reason := b.row(t, b.ingest(t, remoteID).Row)
		require.Equal(t, "ignored unlinked", state+" "+reason)
		require.Equal(t, tandem.ActNothing, b.renamed(t, id, "Ours").Action)

		call, err := get(t, b, s, b.acts.PlanCall, activities.PlanInput{CustomerID: id, Provider: "stripe", Ask: tandem.Ask{Relink: true}})
		require.NoError(t, err)
		require.Equal(t, tandem.ActCreate, call.Action)
		made, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
		require.NoError(t, err)
		require.NotEqual(t, remoteID, made.RemoteID, "not the old one from memory")

		u.MappingID = newID("eim")
		requireRefused(t, run(t, b, s, b.acts.UnlinkCustomer, u), tandem.Invalid, tandem.CodeMappingNotFound)
	})
}

func TestResolveConflict(t *testing.T) {
	t.Parallel()
	eachStyle(t, func(t *testing.T, b *bundle, s style) {
		id, _ := b.synced(t)
		_, err := get(t, b, s, b.acts.ResolveConflict, tandem.Resolve{
			ID: newID("res"), CustomerID: id, Provider: "stripe", Winners: map[string]tandem.Winner{"name": tandem.ProviderWins},
		})
		requireRefused(t, err, tandem.Invalid, tandem.CodeInvalidRequest)
	})
}

func TestRenewClaim(t *testing.T) {
	t.Parallel()
	eachStyle(t, func(t *testing.T, b *bundle, s style) {
		id, call := b.stored(t)
		for range 2 {
			require.NoError(t, run(t, b, s, b.acts.RenewClaim, activities.RenewInput{Call: call, Cause: byAPI}))
		}
		require.Equal(t, 1, count(b.story(t, id), "outbound renew stripe"))
		next := b.planned(t, id)
		require.Equal(t, call.Body, next.Body)
		require.NotEqual(t, call.Key, next.Key)
		require.Equal(t, 1, b.mapping(t, id).Epoch)
	})
}

// crowd makes remote customers that nobody looks for.
func (b *bundle) crowd(t *testing.T, n int, email string) {
	t.Helper()
	for range n {
		_, err := b.standIn.CreateCustomer(url.Values{"email": {email}})
		require.NoError(t, err)
	}
}
