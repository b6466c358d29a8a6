package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// Archived with keep while an update is in flight: the update gives way, nothing is called any more, and whatever is
// still said of it changes nothing.
func TestKeepWhileAnUpdateIsInFlight(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(b *bundle, call tandem.Call){
		"on its first attempt": func(*bundle, tandem.Call) {},
		"being retried": func(b *bundle, call tandem.Call) {
			require.NoError(b.t, b.NoteAttempt(b.ctx, call, tandem.Errorf(tandem.Ambiguous, "network", "no"), 3))
		},
		"parked with its claim": func(b *bundle, call tandem.Call) {
			require.NoError(b.t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Bug, Code: "no_use", At: at(1)}, work))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.linked("cus_1")
			b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
			call := b.plan(c.ID)
			before(b, call)
			answered := answer(call, "cus_1", 30)
			answered.Fields = b.mapping(c.ID).Base.With(call.Body)

			b.change(archival(c.ID, tandem.KeepRemote))
			require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
			b.requireEnded(c.ID, tandem.DeletedLocal)
			require.Zero(t, b.tombstones("cus_1"))
			picture := b.picture()
			require.Equal(t, tandem.ReasonCustomerGone, b.apply(answered).Reason)
			requireCode(t, b.NoteAttempt(b.ctx, call, tandem.Errorf(tandem.Ambiguous, "network", "no"), 4), tandem.Conflict, tandem.CodeClaimEnded)
			require.NoError(t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Bug, Code: "no_use", At: at(9)}, work))
			require.NoError(t, b.Renew(b.ctx, call, work))
			require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
			require.Equal(t, picture, b.picture())
		})
	}
	t.Run("answered before the next plan: the answer is taken in, then it ends", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		call := b.plan(c.ID)
		answered := answer(call, "cus_1", 30)
		answered.Fields = b.mapping(c.ID).Base.With(call.Body)
		b.change(archival(c.ID, tandem.KeepRemote))
		b.apply(answered)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		b.requireEnded(c.ID, tandem.DeletedLocal)
	})
}

// A conflict that nobody decided is never shown as synced, whatever else is done with the mapping meanwhile.
func TestAnOpenConflictIsNeverShownAsSynced(t *testing.T) {
	t.Parallel()
	// elsewhere is an update of a field that is not on hold, decided on and not answered yet.
	elsewhere := func(b *bundle, c tandem.Customer) tandem.Call {
		b.change(update(c.ID, tandem.Patch{Email: ptr("later@example.com")}))
		call := b.plan(c.ID)
		require.Equal(b.t, "later@example.com", *call.Body.Email)
		require.Nil(b.t, call.Body.Name)
		return call
	}
	for name, meanwhile := range map[string]func(b *bundle, c tandem.Customer){
		"looked at once more": func(b *bundle, c tandem.Customer) { b.plan(c.ID) },
		"another field was pushed": func(b *bundle, c tandem.Customer) {
			call := elsewhere(b, c)
			s := answer(call, "cus_1", 40)
			s.Fields = tandem.Fields{Name: "Theirs", Email: "later@example.com", Address: theirs, Metadata: map[string]string{"tier": "silver"}, Reserved: b.mapping(c.ID).Base.Reserved}
			b.apply(s)
			b.plan(c.ID)
		},
		"another field's push failed, was refused, and taken back": func(b *bundle, c tandem.Customer) {
			call := elsewhere(b, c)
			require.NoError(b.t, b.NoteAttempt(b.ctx, call, tandem.Errorf(tandem.Ambiguous, "network", "no"), 1))
			require.NoError(b.t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", At: at(1)}, work))
			require.Equal(b.t, tandem.Parked, b.mapping(c.ID).State)
			b.change(update(c.ID, tandem.Patch{Email: ptr("ada@example.com")}))
			b.plan(c.ID)
		},
		"another field's push was given up, and taken back": func(b *bundle, c tandem.Customer) {
			call := elsewhere(b, c)
			require.NoError(b.t, b.Renew(b.ctx, call, work))
			require.Equal(b.t, tandem.InConfl, b.mapping(c.ID).State)
			b.change(update(c.ID, tandem.Patch{Email: ptr("ada@example.com")}))
			b.plan(c.ID)
		},
		"another field's push was parked and given up": func(b *bundle, c tandem.Customer) {
			call := elsewhere(b, c)
			require.NoError(b.t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Ambiguous, Code: "no_use", At: at(1)}, work))
			require.NoError(b.t, b.Renew(b.ctx, call, work))
			require.Equal(b.t, tandem.InConfl, b.mapping(c.ID).State)
			b.change(update(c.ID, tandem.Patch{Email: ptr("ada@example.com")}))
			b.plan(c.ID)
		},
		"its own look was repeated": func(b *bundle, c tandem.Customer) {
			f := tandem.Fields{Name: "Theirs", Email: "ada@example.com", Address: theirs, Metadata: map[string]string{"tier": "silver"}, Reserved: b.mapping(c.ID).Base.Reserved}
			b.apply(event("cus_1", 50, f))
			b.plan(c.ID)
		},
		"one of three fields was decided": func(b *bundle, c tandem.Customer) {
			b.resolve(resolution(c.ID, map[string]tandem.Winner{"name": tandem.ProviderWins}))
			b.plan(c.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, c := held(t, "cus_1")
			meanwhile(b, c)
			m := b.mapping(c.ID)
			require.NotEmpty(t, m.Conflicts)
			require.Equal(t, tandem.InConfl, m.State)
			require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action, "what is on hold is pushed by nobody")
			require.Equal(t, tandem.InConfl, b.mapping(c.ID).State)
		})
	}
}

// A choice holds for the conflict it was made about. Sent again, after the field has come into a new one, it decides
// nothing; another choice does.
func TestResolveAgainAfterANewConflict(t *testing.T) {
	t.Parallel()
	b, c := held(t, "cus_1")
	first := resolution(c.ID, map[string]tandem.Winner{"name": tandem.ProviderWins, "address": tandem.ProviderWins, "metadata.tier": tandem.ProviderWins})
	b.resolve(first)
	b.plan(c.ID)
	require.Equal(t, tandem.Synced, b.mapping(c.ID).State)

	b.change(update(c.ID, tandem.Patch{Name: ptr("Ours again")}))
	f := *b.mapping(c.ID).Base
	f.Name = "Theirs again"
	b.apply(event("cus_1", 60, f))
	require.Equal(t, tandem.InConfl, b.mapping(c.ID).State)
	require.Len(t, b.mapping(c.ID).Conflicts, 1)

	before := b.picture()
	m := b.resolve(first)
	require.Equal(t, tandem.InConfl, m.State)
	require.Len(t, m.Conflicts, 1)
	require.Equal(t, before, b.picture(), "an old choice decided a new question")
	require.Equal(t, "Ours again", b.customer(c.ID).Name)

	b.resolve(resolution(c.ID, map[string]tandem.Winner{"name": tandem.PlatformWins}))
	call := b.planAfterLook(c.ID)
	require.Equal(t, tandem.Patch{Name: ptr("Ours again")}, call.Body)
	s := answer(call, "cus_1", 70)
	s.Fields = b.mapping(c.ID).Base.With(call.Body)
	b.apply(s)
	require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
	require.Equal(t, 2, b.tell(c.ID)["inbound resolve"])
}
