package db_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestApplyChange_ownedByProvider(t *testing.T) {
	t.Parallel()
	b := setupWith(t, func(p *tandem.Policy) {
		p.Merge = tandem.MergePolicy{"name": {Owner: tandem.OwnedByProvider}, "phone": {Owner: tandem.NotSynced}}
	})
	refuse := func(ch tandem.Change) {
		t.Helper()
		before := b.picture()
		_, err := b.ApplyChange(b.ctx, ch, apiWork(ch))
		requireCode(t, err, tandem.Invalid, tandem.CodeOwnedByProvider)
		require.Equal(t, before, b.picture())
	}
	refuse(creation(tandem.Patch{Name: ptr("Ada")}))

	c := b.change(creation(tandem.Patch{Email: ptr("ada@example.com"), Phone: ptr("1")}))
	call := b.plan(c.ID)
	require.Nil(t, call.Body.Phone, "what is not synced stays here")
	b.apply(answer(call, "cus_1", 10))
	f := *b.mapping(c.ID).Base
	f.Name, f.Phone = "Theirs", "2"
	b.apply(event("cus_1", 20, f))
	require.Equal(t, "Theirs", b.customer(c.ID).Name)

	// A caller who read the customer before that, and sends it back whole.
	refuse(update(c.ID, tandem.Patch{Name: ptr(""), Email: ptr("new@example.com")}))
	c = b.change(update(c.ID, tandem.Patch{Name: ptr("Theirs"), Email: ptr("new@example.com"), Phone: ptr("3")}))
	require.Equal(t, "3", c.Phone)
	require.Equal(t, tandem.Patch{Email: ptr("new@example.com")}, b.plan(c.ID).Body)
}

// edited is a linked customer with an edit that wants a look first, and the look.
func edited(t testing.TB) (*bundle, tandem.Customer, tandem.Call) {
	t.Helper()
	b := setupWith(t, func(p *tandem.Policy) { p.Merge = tandem.MergePolicy{"name": {Conflict: tandem.Hold}} })
	c := b.linked("cus_1")
	c = b.change(update(c.ID, tandem.Patch{Name: ptr("Ours")}))
	return b, c, b.plan(c.ID)
}

// seen is what a look shows that was made for the call.
func (b *bundle) seen(call tandem.Call, second int, edit tandem.Patch) tandem.RemoteState {
	s := event(call.RemoteID, second, b.mapping(call.CustomerID).Base.With(edit))
	s.Source, s.After, s.EventID, s.EventType = tandem.FromFetch, call.MappingVersion, "", ""
	return s
}

func TestPlan_looksFirst(t *testing.T) {
	t.Parallel()

	t.Run("only where a policy needs it, and it freezes nothing", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Call{
			Action: tandem.ActLook, Provider: "stripe", CustomerID: c.ID, MappingID: m.ID, MappingVersion: m.Version, RemoteID: "cus_1",
		}, look)
		require.Nil(t, m.Claim)
		before := b.picture()
		require.Equal(t, look, b.plan(c.ID), "asked again, it is the same look")
		require.Equal(t, before, b.picture())

		other := b.linked("cus_2")
		b.change(update(other.ID, tandem.Patch{Email: ptr("new@example.com")}))
		require.Equal(t, tandem.ActUpdate, b.plan(other.ID).Action)
	})
	t.Run("nothing new over there: the update goes out, and is not looked at twice", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		require.Equal(t, tandem.EventEcho, b.apply(b.seen(look, 20, tandem.Patch{})).State)
		call := b.planAfterLook(c.ID)
		require.Equal(t, tandem.ActUpdate, call.Action)
		require.Equal(t, tandem.Patch{Name: ptr("Ours")}, call.Body)
		require.Equal(t, call, b.plan(c.ID), "frozen is frozen")
	})
	t.Run("what somebody did over there is held, not overwritten", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		b.change(update(c.ID, tandem.Patch{Email: ptr("new@example.com")}))
		b.apply(b.seen(look, 20, tandem.Patch{Name: ptr("Theirs")}))
		require.Equal(t, []tandem.FieldConflict{{Field: "name", Platform: "Ours", Provider: "Theirs"}}, b.mapping(c.ID).Conflicts)
		call := b.planAfterLook(c.ID)
		require.Equal(t, tandem.Patch{Email: ptr("new@example.com")}, call.Body, "the rest goes out")
		require.Equal(t, tandem.InConfl, b.mapping(c.ID).State)
	})
	t.Run("nothing is left to do: the mapping is synced", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		require.NoError(t, b.NoteAttempt(b.ctx, look, errors.New("lost"), 1))
		require.Equal(t, tandem.EventApplied, b.apply(b.seen(look, 20, tandem.Patch{Name: ptr("Ours")})).State, "they made the same edit")
		require.Equal(t, tandem.ActNothing, b.planAfterLook(c.ID).Action)
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Synced, m.State)
		require.Nil(t, m.LastError)
	})
}

func TestLook_fails(t *testing.T) {
	t.Parallel()
	gone := tandem.LastError{Class: tandem.Gone, Code: "resource_missing", Message: "never heard of it", At: at(1), Attempt: 1}

	t.Run("its attempts are shown, until it succeeds", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		require.NoError(t, b.NoteAttempt(b.ctx, look, tandem.Errorf(tandem.Transient, "http_500", "no"), 3))
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Retrying, m.State)
		require.Equal(t, "http_500", m.LastError.Code)
		require.Equal(t, look.MappingVersion, m.Version, "an attempt is no news")
		b.apply(b.seen(look, 20, tandem.Patch{}))
		b.planAfterLook(c.ID)
		m = b.mapping(c.ID)
		require.Equal(t, tandem.Pending, m.State)
		require.Nil(t, m.LastError)
	})
	t.Run("parked once, and the next change tries again", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		require.NoError(t, b.Park(b.ctx, look, gone, work))
		before := b.picture()
		require.NoError(t, b.Park(b.ctx, look, gone, work))
		require.Equal(t, before, b.picture())
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Parked, m.State)
		require.Equal(t, &gone, m.LastError)
		require.Equal(t, "outbound park", b.story(c.ID)[len(b.story(c.ID))-1])
		b.change(update(c.ID, tandem.Patch{Name: ptr("Ours again")}))
		require.Equal(t, tandem.ActLook, b.plan(c.ID).Action)
	})
	t.Run("a look that came too late says nothing of what was decided since", func(t *testing.T) {
		t.Parallel()
		b, c, look := edited(t)
		b.planAfterLook(c.ID) // somebody else's look was quicker
		before := b.picture()
		require.NoError(t, b.Park(b.ctx, look, gone, work))
		requireCode(t, b.NoteAttempt(b.ctx, look, errors.New("late"), 1), tandem.Conflict, tandem.CodeClaimEnded)
		require.Equal(t, before, b.picture())

		b, c, look = edited(t)
		b.apply(deleted(event("cus_1", 30, tandem.Fields{})))
		before = b.picture()
		require.NoError(t, b.Park(b.ctx, look, gone, work))
		requireCode(t, b.NoteAttempt(b.ctx, look, errors.New("late"), 1), tandem.Conflict, tandem.CodeClaimEnded)
		require.Equal(t, before, b.picture())
		require.Equal(t, tandem.ActNothing, b.planAfterLook(c.ID).Action)
	})
}

func TestHeld_editedHere(t *testing.T) {
	t.Parallel()

	t.Run("the conflict shows the newest value, and resolve pushes it", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Ours, newer"), Email: ptr("new@example.com")}))
		require.Equal(t, []tandem.FieldChange{{Field: "email", After: "new@example.com"}}, tandem.Diff(tandem.Fields{}, tandem.Fields{}.With(b.plan(c.ID).Body)))
		shown := map[string]string{}
		for _, f := range b.mapping(c.ID).Conflicts {
			shown[f.Field] = f.Platform + " or " + f.Provider
		}
		require.Equal(t, "Ours, newer or Theirs", shown["name"])
		require.Equal(t, "gold or silver", shown["metadata.tier"])
		before := b.picture()
		b.plan(c.ID)
		require.Equal(t, before, b.picture(), "shown once")

		b.apply(answerTo(b, b.plan(c.ID), 40))
		b.resolve(resolution(c.ID, map[string]tandem.Winner{"name": tandem.PlatformWins}))
		require.Equal(t, ptr("Ours, newer"), b.planAfterLook(c.ID).Body.Name)
	})
	t.Run("an edit to their value ends it", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Theirs"), Address: &theirs, Metadata: map[string]string{"tier": "silver"}}))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Synced, m.State)
		require.Empty(t, m.Conflicts)
		require.Equal(t, tandem.EventEcho, b.apply(event("cus_1", 50, *m.Base)).State)
	})
}

// answerTo is the provider's answer to an update, held values included.
func answerTo(b *bundle, call tandem.Call, second int) tandem.RemoteState {
	s := answer(call, call.RemoteID, second)
	m := b.mapping(call.CustomerID)
	s.Fields = *m.Base
	s.Fields.Name, s.Fields.Address, s.Fields.Metadata = "Theirs", theirs, map[string]string{"tier": "silver"}
	s.Fields = s.Fields.With(call.Body)
	return s
}
