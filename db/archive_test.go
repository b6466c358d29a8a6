package db_test

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

func archival(id string, wish tandem.RemoteWish) tandem.Change {
	return tandem.Change{ID: "chg_" + ulid.Make().String(), Kind: tandem.ChangeArchive, CustomerID: id, Remote: wish}
}

// setupWith is a store with other rules.
func setupWith(t testing.TB, rules func(*tandem.Policy)) *bundle {
	t.Helper()
	p := dbtest.Policy
	rules(&p)
	return &bundle{Store: dbtest.New(t, p), t: t, ctx: t.Context()}
}

// deletion is what the provider says to a delete.
func deletion(call tandem.Call, second int) tandem.RemoteState {
	s := answer(call, call.RemoteID, second)
	s.Deleted, s.Fields = true, tandem.Fields{}
	return s
}

func (b *bundle) forced(id string) tandem.Call {
	b.t.Helper()
	call, err := b.Plan(b.ctx, id, "stripe", tandem.Ask{Force: true})
	require.NoError(b.t, err)
	return call
}

// tell counts the lines of a customer's story.
func (b *bundle) tell(id string) map[string]int {
	b.t.Helper()
	n := map[string]int{}
	for _, line := range b.story(id) {
		n[line]++
	}
	return n
}

func (b *bundle) requireEnded(id string, reason tandem.ArchivedReason) tandem.Mapping {
	b.t.Helper()
	m := b.mapping(id)
	require.Equal(b.t, tandem.Ended, m.State)
	require.Equal(b.t, reason, m.ArchivedReason)
	require.NotNil(b.t, m.ArchivedAt)
	require.Nil(b.t, m.Claim)
	require.Nil(b.t, m.LastError)
	return m
}

func (b *bundle) tombstones(remoteID string) int {
	b.t.Helper()
	return b.count(`SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, remoteID)
}

func TestArchive(t *testing.T) {
	t.Parallel()

	t.Run("the customer is archived at once, the remote one is deleted afterwards", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		got := b.change(archival(c.ID, ""))
		require.Equal(t, tandem.Archived, got.Status)
		require.Equal(t, b.customer(c.ID), got)
		require.Equal(t, c.Name, got.Name, "history keeps its name")
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Pending, m.State)
		require.Equal(t, tandem.DeleteRemote, m.OnArchive)

		call := b.plan(c.ID)
		require.Equal(t, tandem.ActDelete, call.Action)
		require.Equal(t, "cus_1", call.RemoteID)
		require.True(t, call.Body.IsEmpty())
		require.NotEmpty(t, call.Key)
		require.Equal(t, call, b.plan(c.ID), "planned twice is one call")

		require.Equal(t, tandem.EventApplied, b.apply(deletion(call, 30)).State)
		b.requireEnded(c.ID, tandem.DeletedLocal)
		require.Equal(t, 1, b.tombstones("cus_1"))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		story := b.tell(c.ID)
		require.Equal(t, 1, story["outbound archive"])
		require.Equal(t, 1, story["outbound delete"])
		require.Zero(t, story["inbound archive"])

		before := b.picture()
		require.Equal(t, tandem.EventIgnored, b.apply(deletion(call, 30)).State, "the answer again")
		require.Equal(t, before, b.picture())
	})

	t.Run("keep ends the mapping without a call", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(archival(c.ID, tandem.KeepRemote))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		b.requireEnded(c.ID, tandem.DeletedLocal)
		require.Zero(t, b.tombstones("cus_1"))
		before := b.picture()
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, before, b.picture())

		out := b.apply(event("cus_1", 40, tandem.Fields{Name: "Kept"}))
		require.Equal(t, tandem.EventIgnored, out.State, "what was kept is not imported anew")
		require.Equal(t, tandem.ReasonCustomerGone, out.Reason)
	})

	t.Run("the installation's policy holds unless the caller says", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, func(p *tandem.Policy) { p.OnArchive = tandem.KeepRemote })
		kept, gone := b.linked("cus_1"), b.linked("cus_2")
		b.change(archival(kept.ID, ""))
		b.change(archival(gone.ID, tandem.DeleteRemote))
		require.Equal(t, tandem.ActNothing, b.plan(kept.ID).Action)
		require.Equal(t, tandem.ActDelete, b.plan(gone.ID).Action)
	})

	t.Run("twice is once, also as another wish", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		ch := archival(c.ID, tandem.KeepRemote)
		first := b.change(ch)
		before := b.picture()
		require.Equal(t, first, b.change(ch))
		require.Equal(t, first, b.change(archival(c.ID, tandem.DeleteRemote)))
		require.Equal(t, before, b.picture())
	})

	t.Run("a version that was read before is checked", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		ch := archival(c.ID, "")
		ch.ExpectedVersion = c.Version
		before := b.picture()
		_, err := b.ApplyChange(b.ctx, ch, apiWork(ch))
		requireCode(t, err, tandem.Conflict, tandem.CodeVersionMismatch)
		require.Equal(t, before, b.picture())
	})

	t.Run("a create in flight is finished first, then deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		create := b.plan(c.ID)
		b.change(archival(c.ID, ""))
		require.Equal(t, create.Key, b.plan(c.ID).Key, "it may have happened already")
		require.Equal(t, tandem.ActCreate, b.plan(c.ID).Action)
		out := b.apply(answer(create, "cus_1", 10))
		require.Equal(t, tandem.EventApplied, out.State)
		require.True(t, out.Poke)
		call := b.plan(c.ID)
		require.Equal(t, tandem.ActDelete, call.Action)
		require.Equal(t, "cus_1", call.RemoteID)
		b.apply(deletion(call, 20))
		b.requireEnded(c.ID, tandem.DeletedLocal)
	})

	t.Run("a create in flight is finished and kept", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		create := b.plan(c.ID)
		b.change(archival(c.ID, tandem.KeepRemote))
		require.Equal(t, tandem.ActCreate, b.plan(c.ID).Action)
		b.apply(answer(create, "cus_1", 10))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, "cus_1", b.requireEnded(c.ID, tandem.DeletedLocal).RemoteID)
	})

	t.Run("a create that was refused made nothing, so nothing is called", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "wrong")
		require.NoError(t, b.Park(b.ctx, b.plan(c.ID), tandem.LastError{Class: tandem.Invalid, Code: "email_invalid", At: at(1)}, work))
		b.change(archival(c.ID, ""))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Empty(t, b.requireEnded(c.ID, tandem.DeletedLocal).RemoteID)
	})

	t.Run("a create that was proved not to have happened is not made any more", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		call := b.plan(c.ID)
		b.change(archival(c.ID, ""))
		require.NoError(t, b.Renew(b.ctx, call, work))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		b.requireEnded(c.ID, tandem.DeletedLocal)
	})

	for name, failure := range map[string]*tandem.LastError{
		"in flight":          nil,
		"parked as refused":  {Class: tandem.Invalid, Code: "email_invalid", At: at(1)},
		"parked as conflict": {Class: tandem.Conflict, Code: "no_use", At: at(1)},
		"parked as a bug":    {Class: tandem.Bug, Code: "no_use", At: at(1)},
	} {
		t.Run("delete wins over an update that is "+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c := b.linked("cus_1")
			b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
			call := b.plan(c.ID)
			require.Equal(t, tandem.ActUpdate, call.Action)
			if failure != nil {
				require.NoError(t, b.Park(b.ctx, call, *failure, work))
			}
			b.change(archival(c.ID, ""))
			del := b.plan(c.ID)
			require.Equal(t, tandem.ActDelete, del.Action)
			require.NotEqual(t, call.Key, del.Key)
			m := b.mapping(c.ID)
			require.Equal(t, tandem.Pending, m.State)
			require.Nil(t, m.LastError)
			b.apply(deletion(del, 30))
			b.requireEnded(c.ID, tandem.DeletedLocal)
		})
	}

	t.Run("an update that was decided on and not yet sent is never sent", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		b.change(archival(c.ID, ""))
		require.Equal(t, tandem.ActDelete, b.plan(c.ID).Action)
	})

	t.Run("a conflict that nobody decided is deleted with its customer", func(t *testing.T) {
		t.Parallel()
		b, c := held(t, "cus_1")
		b.change(archival(c.ID, ""))
		call := b.plan(c.ID)
		require.Equal(t, tandem.ActDelete, call.Action)
		b.apply(deletion(call, 60))
		b.requireEnded(c.ID, tandem.DeletedLocal)
	})

	t.Run("the event of our own delete overtakes its answer", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(archival(c.ID, ""))
		call := b.plan(c.ID)
		b.apply(deleted(event("cus_1", 30, tandem.Fields{})))
		b.requireEnded(c.ID, tandem.DeletedLocal)
		out := b.apply(deletion(call, 30))
		require.Equal(t, tandem.EventIgnored, out.State)
		require.Equal(t, tandem.ReasonDeleted, out.Reason)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, 1, b.tell(c.ID)["outbound delete"])
		require.Equal(t, 1, b.tombstones("cus_1"))
		err := b.NoteAttempt(b.ctx, call, tandem.Errorf(tandem.Transient, "http_500", "late"), 2)
		requireCode(t, err, tandem.Conflict, tandem.CodeClaimEnded)
	})

	t.Run("deleted over there before our delete was decided on", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(archival(c.ID, ""))
		b.apply(deleted(event("cus_1", 30, tandem.Fields{})))
		b.requireEnded(c.ID, tandem.DeletedRemote)
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		require.Equal(t, 1, b.tell(c.ID)["outbound archive"])
		require.Zero(t, b.tell(c.ID)["inbound archive"], "archived once")
	})

	t.Run("what was unlinked is not deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		require.NoError(t, b.Unlink(b.ctx, unlinking(c.ID, b.mapping(c.ID).ID), work))
		b.change(archival(c.ID, ""))
		require.Equal(t, tandem.ActNothing, b.plan(c.ID).Action)
		b.requireEnded(c.ID, tandem.Unlinked)
	})

	t.Run("an archived customer is not linked again by asking", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(archival(c.ID, tandem.KeepRemote))
		b.plan(c.ID)
		call, err := b.Plan(b.ctx, c.ID, "stripe", tandem.Ask{Relink: true})
		require.NoError(t, err)
		require.Equal(t, tandem.ActNothing, call.Action)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM entity_integration_mappings`))
	})

	t.Run("the external id is free again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ch := creation(tandem.Patch{Name: ptr("Ada")})
		ch.ExternalID = ptr("ext_1")
		c := b.change(ch)
		other := creation(tandem.Patch{Name: ptr("Grace")})
		other.ExternalID = ptr("ext_1")
		_, err := b.ApplyChange(b.ctx, other, apiWork(other))
		requireCode(t, err, tandem.Conflict, tandem.CodeExternalIDTaken)
		b.change(archival(c.ID, ""))
		require.Equal(t, "ext_1", b.change(other).ExternalID)
		require.Equal(t, "ext_1", b.customer(c.ID).ExternalID, "history keeps it")
	})
}

func TestBrake(t *testing.T) {
	t.Parallel()
	one := func(p *tandem.Policy) { p.Brake.Count = 1 }

	// stopped has deleted one remote customer, and wants to delete cus_2.
	stopped := func(t *testing.T) (*bundle, tandem.Customer) {
		b := setupWith(t, one)
		first, second := b.linked("cus_1"), b.linked("cus_2")
		b.change(archival(first.ID, ""))
		call := b.plan(first.ID)
		require.Nil(t, call.Blocked)
		b.apply(deletion(call, 20))
		b.change(archival(second.ID, ""))
		return b, second
	}

	t.Run("one delete too many waits for a person", func(t *testing.T) {
		t.Parallel()
		b, c := stopped(t)
		call := b.plan(c.ID)
		require.Equal(t, tandem.ActNothing, call.Action)
		require.Empty(t, call.Key)
		require.NotNil(t, call.Blocked)
		require.Equal(t, tandem.CodeDeleteBrake, call.Blocked.Code)
		m := b.mapping(c.ID)
		require.Equal(t, tandem.Parked, m.State)
		require.Equal(t, tandem.CodeDeleteBrake, m.LastError.Code)
		require.Nil(t, m.Claim)
		require.Equal(t, tandem.Archived, b.customer(c.ID).Status, "local first, brake or not")

		before := b.picture()
		require.Equal(t, tandem.CodeDeleteBrake, b.plan(c.ID).Blocked.Code)
		require.Equal(t, before, b.picture(), "asked again, nothing is written")

		call = b.forced(c.ID)
		require.Nil(t, call.Blocked)
		require.Equal(t, tandem.ActDelete, call.Action)
		require.Equal(t, call.Key, b.plan(c.ID).Key, "what a person let pass stays so")
		require.Equal(t, tandem.Pending, b.mapping(c.ID).State)
		b.apply(deletion(call, 30))
		b.requireEnded(c.ID, tandem.DeletedLocal)
	})

	t.Run("an hour later it goes on", func(t *testing.T) {
		t.Parallel()
		b, c := stopped(t)
		require.NotNil(t, b.plan(c.ID).Blocked)
		_, err := b.DB().ExecContext(b.ctx, `UPDATE entity_integration_mappings SET archived_at = archived_at - interval '61 minutes' WHERE archived_at IS NOT NULL`)
		require.NoError(t, err)
		call := b.plan(c.ID)
		require.Nil(t, call.Blocked)
		require.Equal(t, tandem.ActDelete, call.Action)
	})

	t.Run("what was deleted over there, unlinked or is only updated does not count", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, one)
		first, second, third := b.linked("cus_1"), b.linked("cus_2"), b.linked("cus_3")
		b.apply(deleted(event("cus_1", 20, tandem.Fields{})))
		b.requireEnded(first.ID, tandem.DeletedRemote)
		require.NoError(t, b.Unlink(b.ctx, unlinking(second.ID, b.mapping(second.ID).ID), work))
		b.change(archival(third.ID, ""))
		require.Nil(t, b.plan(third.ID).Blocked)
	})

	t.Run("an archive that kept its remote customer does not count", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, one)
		first, second := b.linked("cus_1"), b.linked("cus_2")
		b.change(archival(first.ID, tandem.KeepRemote))
		require.Equal(t, tandem.ActNothing, b.plan(first.ID).Action)
		b.requireEnded(first.ID, tandem.DeletedLocal)
		b.change(archival(second.ID, ""))
		require.Nil(t, b.plan(second.ID).Blocked)
	})

	t.Run("it holds up no update", func(t *testing.T) {
		t.Parallel()
		b, _ := stopped(t)
		c := b.linked("cus_3")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		call := b.plan(c.ID)
		require.Nil(t, call.Blocked)
		require.Equal(t, tandem.ActUpdate, call.Action)
	})

	t.Run("a delete that was decided on before goes on", func(t *testing.T) {
		t.Parallel()
		b := setupWith(t, one)
		first, second := b.linked("cus_1"), b.linked("cus_2")
		b.change(archival(first.ID, ""))
		b.change(archival(second.ID, ""))
		a, c := b.plan(first.ID), b.plan(second.ID)
		b.apply(deletion(a, 20))
		require.Equal(t, c, b.plan(second.ID))
	})

	t.Run("it has the last word over an update that was parked", func(t *testing.T) {
		t.Parallel()
		b, _ := stopped(t)
		c := b.linked("cus_3")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Later")}))
		require.NoError(t, b.Park(b.ctx, b.plan(c.ID), tandem.LastError{Class: tandem.Bug, Code: "no_use", At: time.Now()}, work))
		b.change(archival(c.ID, ""))
		require.NotNil(t, b.plan(c.ID).Blocked)
		require.Equal(t, tandem.CodeDeleteBrake, b.mapping(c.ID).LastError.Code)
		require.Equal(t, tandem.ActDelete, b.forced(c.ID).Action)
	})
}
