package activities_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

var epochOfTests = time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)

func nonRetryable(err error) bool {
	app, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && app.NonRetryable()
}

// lost makes a call whose answer is lost for good: the provider goes on answering its key with a failure from memory.
func (b *bundle) lost(t *testing.T, call tandem.Call, happened bool) {
	t.Helper()
	kind := stripetest.Error500
	if happened {
		kind = stripetest.Error500Done
	}
	b.standIn.AddFault(stripetest.Fault{Kind: kind, Method: http.MethodPost})
	_, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
	require.Error(t, err)
	b.standIn.ResetFaults()
}

func (b *bundle) prove(t *testing.T, call tandem.Call) *tandem.RemoteState {
	t.Helper()
	one, two := twice(t, b, styles["activity"], b.acts.ProveCall, call)
	require.Equal(t, one.State == nil, two.State == nil)
	return one.State
}

func TestProveCall(t *testing.T) {
	t.Parallel()
	t.Run("a create that happened is found by its address, and its state is the answer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, call := b.stored(t)
		b.lost(t, call, true)
		before := len(b.requests())
		state := b.prove(t, call)
		require.NotNil(t, state)
		require.Equal(t, []string{"list", "list"}, b.requests()[before:], "one page each time")
		require.Equal(t, call.Key, state.Key)
		require.Equal(t, "stripe", state.Provider)
		require.Equal(t, call.MappingVersion, state.After)
		recorded, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: *state, Cause: byAPI})
		require.NoError(t, err)
		require.Equal(t, tandem.EventApplied, recorded.Outcome)
		require.Equal(t, tandem.ActNothing, recorded.Next.Action)
		require.Equal(t, tandem.Synced, b.mapping(t, id).State)
		require.Equal(t, state.RemoteID, b.mapping(t, id).RemoteID)
		require.Len(t, b.standIn.Customers(), 1)
		require.Contains(t, b.metrics.calls, "stripe prove ")
	})
	t.Run("found although somebody has changed its address since, which is news", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, call := b.stored(t)
		b.lost(t, call, true)
		remoteID := b.standIn.Customers()[0].ID
		b.edit(t, remoteID, "email", "moved@example.org")
		b.crowd(t, 3, "other@example.org")
		state := b.prove(t, call)
		require.NotNil(t, state)
		require.Equal(t, remoteID, state.RemoteID)
		_, err := get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: *state, Cause: byAPI})
		require.NoError(t, err)
		require.Equal(t, "moved@example.org", b.customer(t, id).Email)
	})
	t.Run("found behind pages of others, by address and without", func(t *testing.T) {
		t.Parallel()
		for name, email := range map[string]string{"by address": canary, "without": "other@example.org"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				_, call := b.stored(t)
				b.lost(t, call, true)
				remoteID := b.standIn.Customers()[0].ID
				if email != canary {
					b.edit(t, remoteID, "email", "moved@example.org")
				}
				b.crowd(t, 205, email)
				state := b.prove(t, call)
				require.NotNil(t, state)
				require.Equal(t, remoteID, state.RemoteID)
			})
		}
	})
	t.Run("a create that did not happen is absent, whatever others there are", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, call := b.stored(t)
		b.lost(t, call, false)
		b.crowd(t, 101, canary) // the same address, and not ours
		other, _ := b.stored(t) // ours, the same address, and another customer
		_, err := get(t, b, styles["activity"], b.acts.CallProvider, b.planned(t, other))
		require.NoError(t, err)
		require.Nil(t, b.prove(t, call))
		require.Equal(t, tandem.Retrying, b.mapping(t, id).State)
	})
	t.Run("a customer without an address", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id := newID("cust")
		ch := tandem.Change{ID: newID("chg"), Kind: tandem.ChangeCreate, CustomerID: id, Patch: tandem.Patch{Name: ptr("Ada")}}
		_, err := b.store.ApplyChange(t.Context(), ch, tandem.Work{Cause: byAPI})
		require.NoError(t, err)
		call := b.planned(t, id)
		require.Nil(t, b.prove(t, call))
		b.lost(t, call, true)
		require.NotNil(t, b.prove(t, call))
	})
	t.Run("another installation's customer with the same id is not ours", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, call := b.stored(t)
		b.lost(t, call, true)
		b.edit(t, b.standIn.Customers()[0].ID, "metadata["+tandem.KeyEnvironment+"]", "elsewhere")
		require.Nil(t, b.prove(t, call))
	})
	t.Run("an update is proved by one look", func(t *testing.T) {
		t.Parallel()
		for happened, name := range map[bool]string{true: "Grace Example", false: "Ada Example"} {
			t.Run(strconv.FormatBool(happened), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				id, remoteID := b.synced(t)
				call := b.renamed(t, id, "Grace Example")
				b.lost(t, call, happened)
				state := b.prove(t, call)
				require.NotNil(t, state)
				require.Equal(t, remoteID, state.RemoteID)
				require.Equal(t, name, state.Fields.Name)
				require.Empty(t, state.Key, "it may show the call or not")
				require.Equal(t, call.MappingVersion, state.After)

				for range 2 {
					_, err := get(t, b, styles["local activity"], b.acts.ApplyFetched, activities.StateInput{State: *state, Cause: byAPI})
					require.NoError(t, err)
				}
				require.NoError(t, run(t, b, styles["local activity"], b.acts.RenewClaim, activities.RenewInput{Call: call, Cause: byAPI}))
				require.Equal(t, "Grace Example", b.customer(t, id).Name, "never undone")
				next := b.planned(t, id)
				if happened {
					require.Equal(t, tandem.ActNothing, next.Action)
					require.Equal(t, tandem.Synced, b.mapping(t, id).State)
					return
				}
				require.Equal(t, call.Body, next.Body)
				require.NotEqual(t, call.Key, next.Key)
				_, err := get(t, b, styles["activity"], b.acts.CallProvider, next)
				require.NoError(t, err, "the new key is free")
			})
		}
	})
	t.Run("an update whose remote customer is deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		id, remoteID := b.synced(t)
		call := b.renamed(t, id, "Grace Example")
		b.lost(t, call, false)
		require.NoError(t, b.standIn.DeleteCustomer(remoteID))
		state := b.prove(t, call)
		require.True(t, state.Deleted)
		_, err := get(t, b, styles["local activity"], b.acts.ApplyFetched, activities.StateInput{State: *state, Cause: byAPI})
		require.NoError(t, err)
		require.Equal(t, tandem.DeletedRemote, b.mapping(t, id).ArchivedReason)
		require.NoError(t, run(t, b, styles["local activity"], b.acts.RenewClaim, activities.RenewInput{Call: call, Cause: byAPI}))
	})
	t.Run("a list that cannot be read proves nothing", func(t *testing.T) {
		t.Parallel()
		for name, fault := range map[string]stripetest.Fault{
			"first page broken":    {Kind: stripetest.Error503},
			"connection broken":    {Kind: stripetest.DropBefore},
			"a page of a proxy":    {Kind: stripetest.HTML200},
			"cut off":              {Kind: stripetest.Truncate},
			"no permission":        {Kind: stripetest.Forbidden},
			"refused":              {Kind: stripetest.BadRequest, Code: "resource_missing", Param: "starting_after"},
			"second list broken":   {Kind: stripetest.Error503, Skip: 1},
			"a later page broken":  {Kind: stripetest.HTML502, Skip: 2},
			"a later page refused": {Kind: stripetest.BadRequest, Skip: 2},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				_, call := b.stored(t)
				b.crowd(t, 250, "other@example.org")
				fault.Op, fault.Count = "list", -1
				b.standIn.AddFault(fault)
				proof, err := get(t, b, styles["activity"], b.acts.ProveCall, call)
				require.Error(t, err, "absence was not proved")
				require.Nil(t, proof.State)
			})
		}
	})
	t.Run("a provider that is not configured any more", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, call := b.stored(t)
		call.Provider = "other"
		_, err := get(t, b, styles["activity"], b.acts.ProveCall, call)
		requireRefused(t, err, tandem.Invalid, tandem.CodeProviderUnknown)
	})
}
