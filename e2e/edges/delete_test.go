package edges_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// deletedThereWhileAnUpdateWaits: the update's 404 is not believed before a look has shown the deletion.
func deletedThereWhileAnUpdateWaits(t *testing.T) {
	w := newWorld(t)
	id, remoteID := w.linked(ada())
	w.edit(id, tandem.Patch{Name: ptr("Too late")})
	require.NoError(t, w.stripe.DeleteCustomer(remoteID))
	w.outbound(id)
	require.Equal(t, tandem.DeletedRemote, w.mapping(id).ArchivedReason)
	require.Len(t, w.calls("retrieve"), 1)
	w.ended(id, tandem.DeletedRemote)
	require.Len(t, w.calls("create"), 1, "nobody is made again by itself")
	require.Error(t, w.say(changeOf(id, tandem.ChangeUpdate, tandem.Patch{Name: ptr("Again")})))
}

// archivedHereWhileAnEventIsOnItsWay: an edit over there that is told after the archive brings nobody back.
func archivedHereWhileAnEventIsOnItsWay(t *testing.T) {
	for name, early := range map[string]bool{"told before the delete": true, "told after it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			id, remoteID := w.linked(ada())
			w.there(remoteID, "name", "Alive")
			e := w.last(remoteID)
			w.archive(id)
			if !early {
				w.outbound(id)
			}
			w.deliver(e)
			w.ended(id, tandem.DeletedLocal)
			require.Len(t, w.everybody(), 1)
			require.Len(t, w.calls("delete"), 1)
		})
	}
}

// deleteIsRepeated: what is gone already is success.
func deleteIsRepeated(t *testing.T) {
	w := newWorldThatWaits(t, time.Second)
	id, _ := w.linked(ada())
	w.stripe.AddFault(stripetest.Fault{Kind: stripetest.ApplyHang, Op: "delete"})
	w.archive(id)
	w.outbound(id)
	m := w.mapping(id)
	require.Equal(t, tandem.DeletedLocal, m.ArchivedReason)
	require.Nil(t, m.LastError)
	require.GreaterOrEqual(t, len(w.calls("delete")), 2)
	require.Equal(t, http.StatusNotFound, w.calls("delete")[1].Status)
	w.ended(id, tandem.DeletedLocal)
}

// deleteIsForGood: it ends subscriptions, so whoever archives can say keep, and a brake stops a mass of them.
func deleteIsForGood(t *testing.T) {
	t.Run("keep", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id, remoteID := w.linked(ada())
		ch := changeOf(id, tandem.ChangeArchive, tandem.Patch{})
		ch.Remote = tandem.KeepRemote
		require.NoError(t, w.say(ch))
		w.settle(id)
		require.Equal(t, tandem.DeletedLocal, w.mapping(id).ArchivedReason)
		there, _ := w.stripe.Customer(remoteID)
		require.False(t, there.Deleted)
		require.Empty(t, w.calls("delete"))
	})
	t.Run("brake", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(p *tandem.Policy) { p.Brake.Count = 1 })
		first, _ := w.linked(ada())
		second, remoteID := w.linked(ada())
		w.archive(first)
		w.ended(first, tandem.DeletedLocal)
		w.archive(second)
		w.outbound(second)
		m := w.mapping(second)
		require.Equal(t, tandem.Parked, m.State)
		require.Equal(t, tandem.CodeDeleteBrake, m.LastError.Code)
		there, _ := w.stripe.Customer(remoteID)
		require.False(t, there.Deleted)
	})
}

// deletedIsToldFirst: its updates and its creation come afterwards, and it stays deleted.
func deletedIsToldFirst(t *testing.T) {
	for name, known := range map[string]bool{"of a customer we know": true, "of a stranger": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			remoteID := w.foreign("name", "Mary", "email", "mary@example.org")
			created := w.last(remoteID)
			if known {
				w.deliver(created)
			}
			w.there(remoteID, "name", "Mary Late")
			updated := w.last(remoteID)
			require.NoError(t, w.stripe.DeleteCustomer(remoteID))

			w.deliver(w.last(remoteID))
			for _, e := range []stripetest.Event{updated, created, updated, created} {
				state, _ := w.deliver(e)
				require.Contains(t, []tandem.EventState{tandem.EventIgnored, tandem.EventApplied}, state)
				for _, c := range w.everybody() {
					require.Equal(t, tandem.Archived, c.Status, "still deleted")
				}
			}
			// And once more as events that nobody has seen before.
			for _, kind := range []string{"customer.updated", "customer.created"} {
				fresh, err := w.stripe.Emit(kind, json.RawMessage(`{"id":"`+remoteID+`","object":"customer","name":"Risen","livemode":false,"created":1700000000}`))
				require.NoError(t, err)
				for _, e := range fresh {
					state, reason := w.deliver(e)
					require.Equal(t, "ignored deleted", string(state)+" "+reason)
				}
			}
			if !known {
				require.Empty(t, w.everybody())
				return
			}
			require.Len(t, w.everybody(), 1)
			w.ended(w.everybody()[0].ID, tandem.DeletedRemote)
		})
	}
}
