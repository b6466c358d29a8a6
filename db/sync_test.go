package db_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestOutbound(t *testing.T) {
	t.Parallel()

	t.Run("create, plan, answer: synced", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		call := b.plan(c.ID)
		require.Equal(t, tandem.ActCreate, call.Action)
		require.Equal(t, call, b.plan(c.ID), "planning again answers with the same claim")

		out := b.apply(answer(call, "cus_1", 10))
		require.Equal(t, tandem.EventApplied, out.State)
		require.Equal(t, c.ID, out.CustomerID)
		m := b.mapping(c.ID)
		require.Equal(t, out.MappingVersion, m.Version)
		require.Equal(t, tandem.Synced, m.State)
		require.Equal(t, "cus_1", m.RemoteID)
		require.Nil(t, m.Claim)
		require.NotNil(t, m.SyncedAt)
		require.Equal(t, at(8), m.AsOfFrom)
		require.False(t, m.AsOf.Before(at(10)))
		require.Equal(t, tandem.Fields{}.With(call.Body), *m.Base)
		require.Equal(t, "ada@example.com", m.Metadata["stripe_customer_email"])
		require.Equal(t, tandem.PlatformToProvider, m.Metadata[tandem.MetaSyncDirection])
		require.Equal(t, []string{"outbound create", "outbound create"}, b.story(c.ID))
		require.Equal(t, c, b.customer(c.ID), "the customer itself was not changed")
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
	})

	t.Run("an answer twice is one answer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		s := answer(b.plan(c.ID), "cus_1", 10)
		b.apply(s)
		before, version := b.story(c.ID), b.mapping(c.ID).Version
		require.Equal(t, tandem.EventEcho, b.apply(s).State)
		require.Equal(t, before, b.story(c.ID))
		require.LessOrEqual(t, b.mapping(c.ID).Version, version+1)
		require.Equal(t, c, b.customer(c.ID))
	})

	t.Run("an update carries only what changed, under a key of its own", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("New")}))
		call := b.plan(c.ID)
		require.Equal(t, tandem.ActUpdate, call.Action)
		require.Equal(t, tandem.Patch{Name: ptr("New")}, call.Body)
		require.Equal(t, "cus_1", call.RemoteID)
		require.Equal(t, call, b.plan(c.ID))

		s := answer(call, "cus_1", 20)
		s.Fields = b.mapping(c.ID).Base.With(call.Body)
		require.Equal(t, tandem.EventApplied, b.apply(s).State)
		require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
		require.Equal(t, "New", b.mapping(c.ID).Base.Name)
	})

	t.Run("what the provider changed meanwhile flows back with the answer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("New")}))
		call := b.plan(c.ID)
		s := answer(call, "cus_1", 20)
		s.Fields = b.mapping(c.ID).Base.With(call.Body)
		s.Fields.Phone = "+1555"
		b.apply(s)
		got := b.customer(c.ID)
		require.Equal(t, "New", got.Name)
		require.Equal(t, "+1555", got.Phone)
		require.Equal(t, int64(3), got.Version)
		require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
	})

	t.Run("a change during the call is planned afterwards", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		require.Equal(t, call.Key, b.plan(c.ID).Key, "the frozen call comes first")
		require.True(t, b.apply(answer(call, "cus_1", 10)).Poke)
		require.Equal(t, tandem.Patch{Name: ptr("Later")}, b.plan(c.ID).Body)
	})

	t.Run("the same body again gets another key", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		repair := func(second int) tandem.Call { // somebody edits our metadata over there, and it is put right
			f := *b.mapping(c.ID).Base
			f.Reserved = map[string]string{tandem.KeyCustomerID: "mangled", tandem.KeyEnvironment: "test"}
			require.True(t, b.apply(event("cus_1", second, f)).Poke)
			call := b.plan(c.ID)
			s := answer(call, "cus_1", second+5)
			s.Fields = f.With(call.Body)
			b.apply(s)
			return call
		}
		first, second := repair(20), repair(40)
		require.Equal(t, first.Body, second.Body)
		require.NotEqual(t, first.Key, second.Key, "the provider would answer the old key from memory and do nothing")
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()

	t.Run("an attempt is shown, twice the same", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		failure := &tandem.Error{Class: tandem.Transient, Code: "api_error", Message: "no", RequestID: "req_1"}
		for range 2 {
			require.NoError(t, b.NoteAttempt(t.Context(), call, failure, 3))
			m := b.mapping(c.ID)
			require.Equal(t, tandem.Retrying, m.State)
			require.Equal(t, "req_1", m.LastError.RequestID)
			require.Equal(t, 3, m.LastError.Attempt)
			require.Equal(t, call.MappingVersion, m.Version)
		}
		b.apply(answer(call, "cus_1", 10))
		require.Nil(t, b.mapping(c.ID).LastError)
	})

	t.Run("an attempt of a call that is over changes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		b.apply(answer(call, "cus_1", 10))
		before := b.picture()
		if err := b.NoteAttempt(t.Context(), call, errors.New("late"), 1); err != nil {
			require.NotEqual(t, tandem.Bug, tandem.ClassOf(err), err.Error())
		}
		require.Equal(t, before, b.picture())
	})

	t.Run("an invalid call is parked once, and the next change freezes a new body", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "not-an-address")
		call := b.plan(c.ID)
		failure := tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", Param: "email", RequestID: "req_2", At: at(5), Attempt: 1}
		require.NoError(t, b.Park(t.Context(), call, failure, work))
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Parked, m.State)
		require.Equal(t, "email_invalid", m.LastError.Code)
		require.Nil(t, m.Claim)
		before := b.picture()
		require.NoError(t, b.Park(t.Context(), call, failure, work))
		require.Equal(t, before, b.picture())

		b.change(update(c.ID, tandem.Patch{Email: ptr("ada@example.com")}))
		next := b.plan(c.ID)
		require.Equal(t, tandem.ActCreate, next.Action)
		require.Equal(t, "ada@example.com", *next.Body.Email)
		require.NotEqual(t, call.Key, next.Key)
		require.Equal(t, []string{"outbound create", "outbound park", "outbound update"}, b.story(c.ID))
	})

	t.Run("after any other failure the claim stays, parked once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		failure := tandem.LastError{Class: tandem.Ambiguous, Code: "x", At: time.Now().UTC().Truncate(time.Microsecond), Attempt: 9}
		require.NoError(t, b.Park(t.Context(), call, failure, work))
		require.Equal(t, call.Key, b.mapping(c.ID).Claim.Key)
		before := b.picture()
		require.NoError(t, b.Park(t.Context(), call, failure, work))
		require.Equal(t, before, b.picture())
		require.Equal(t, call.Key, b.plan(c.ID).Key, "tried again, it is the same call")
	})

	t.Run("a parking whose time has nanoseconds is recognised too", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		call := b.plan(c.ID)
		failure := tandem.LastError{Class: tandem.Ambiguous, Code: "x", At: at(5).Add(123456789), Attempt: 9}
		require.NoError(t, b.Park(t.Context(), call, failure, work))
		before := b.picture()
		require.NoError(t, b.Park(t.Context(), call, failure, work))
		require.Equal(t, before, b.picture())
	})
}
