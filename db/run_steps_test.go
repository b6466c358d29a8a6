package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

// reservedAll goes on until the run says that it was all.
func (b *bundle) reservedAll(run tandem.BulkRun, limit int) tandem.BulkRun {
	b.t.Helper()
	for range 20 {
		next, done, err := b.ReserveNext(b.ctx, run, limit, work)
		require.NoError(b.t, err)
		run = next
		if done {
			return run
		}
	}
	require.Fail(b.t, "it never ends")
	return run
}

// alone is a customer from before there was a provider: it has no mapping.
func (b *bundle) alone(name, email string) tandem.Customer {
	b.t.Helper()
	c := b.created(name, email)
	_, err := b.DB().ExecContext(b.ctx, `DELETE FROM entity_integration_mappings WHERE entity_id = $1`, c.ID)
	require.NoError(b.t, err)
	return c
}

func TestReserveNext(t *testing.T) {
	t.Parallel()

	t.Run("creates are reserved as a change would, once for everybody who may have one", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		want := b.created("Ada", "ada@example.com") // reserved by its change
		shape := b.mapping(want.ID)
		linked, unlinked, gone := b.linked("cus_1"), b.linked("cus_2"), b.linked("cus_3")
		require.NoError(t, b.Unlink(b.ctx, tandem.Unlink{ID: "u", CustomerID: unlinked.ID, MappingID: b.mapping(unlinked.ID).ID}, work))
		_, err := b.DB().ExecContext(b.ctx, `
			UPDATE entity_integration_mappings SET state = 'archived', archived_at = now(), archived_reason = 'deleted_remote'
			WHERE entity_id = $1`, gone.ID)
		require.NoError(t, err)
		ada, grace, eve := b.alone("Ada", "ada@example.com"), b.alone("Grace", ""), b.alone("Eve", "")
		b.change(tandem.Change{ID: "chg_x", Kind: tandem.ChangeArchive, CustomerID: b.alone("Gone", "").ID})

		run := b.begun(wish(tandem.ModeExport))
		plan := b.planOf(run)
		before := b.picture()
		planned := b.reservedAll(plan, 2)
		require.Equal(t, before, b.picture(), "a plan only reports")
		_, err = b.SetRunState(b.ctx, plan.ID, tandem.RunDone, nil)
		require.NoError(t, err)

		run = b.reservedAll(b.begun(wish(tandem.ModeExport)), 2)
		require.Equal(t, tandem.Counts{Created: 3, Unlinked: 2}, run.Counts)
		require.Equal(t, planned.Counts, run.Counts)
		require.Equal(t, eve.ID, run.After)
		kinds := map[string]string{
			ada.ID: "created no_remote_customer", grace.ID: "created no_remote_customer", eve.ID: "created no_remote_customer",
			unlinked.ID: "unlinked unlinked_by_person", gone.ID: "unlinked deleted",
		}
		require.Equal(t, kinds, b.kinds(run.ID))
		require.Equal(t, kinds, b.kinds(plan.ID))
		require.Equal(t, "cus_1", b.mapping(linked.ID).RemoteID)

		got := b.mapping(ada.ID)
		require.Equal(t, tandem.Pending, got.State)
		require.Equal(t, shape.Metadata, got.Metadata)
		require.Equal(t, tandem.CreateKey("test", ada.ID, 0), got.Claim.Key)
		require.Equal(t, shape.Claim.Body.Email, got.Claim.Body.Email)
		require.Equal(t, int64(1), got.Claim.Version)
		require.Equal(t, got.Claim.Key, b.plan(ada.ID).Key, "Outbound takes it from here")

		ids, err := b.PendingNext(b.ctx, "stripe", "", 2)
		require.NoError(t, err)
		require.Equal(t, []string{want.ID, ada.ID}, ids)
		ids, err = b.PendingNext(b.ctx, "stripe", ada.ID, 10)
		require.NoError(t, err)
		require.Equal(t, []string{grace.ID, eve.ID}, ids)
		ids, err = b.PendingNext(b.ctx, "other", "", 10)
		require.NoError(t, err)
		require.Empty(t, ids)
		require.NoError(t, b.Park(b.ctx, b.plan(eve.ID), tandem.LastError{Class: tandem.Auth, Code: "x", At: at(1)}, work))
		n, err := b.StillPending(b.ctx, "stripe", []string{ada.ID, grace.ID, grace.ID, eve.ID, linked.ID, noCustomer})
		require.NoError(t, err)
		require.Equal(t, 2, n, "one is parked, one is there")
	})

	t.Run("the epoch goes on where an earlier mapping stopped", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		_, err := b.DB().ExecContext(b.ctx, `
			UPDATE entity_integration_mappings SET state = 'archived', archived_at = now(), archived_reason = 'deleted_local', epoch = 4`)
		require.NoError(t, err)
		b.reservedAll(b.begun(wish(tandem.ModeExport)), 10)
		require.Equal(t, 5, b.mapping(c.ID).Epoch)
		require.Equal(t, tandem.CreateKey("test", c.ID, 5), b.mapping(c.ID).Claim.Key)
	})

	t.Run("a page that is brought twice is reserved once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.alone("Ada", "")
		run := b.begun(wish(tandem.ModeExport))
		b.reservedAll(run, 10)
		before := b.picture()
		_, _, err := b.ReserveNext(b.ctx, run, 10, work)
		requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
		require.Equal(t, before, b.picture())
	})

	t.Run("the statements do not grow with the page", func(t *testing.T) {
		t.Parallel()
		b, p := throughProxy(t)
		run := b.begun(wish(tandem.ModeExport))
		b.alone("Ada", "")
		one := len(p.during(func() { run = b.reservedAll(run, 100) }))
		for i := range 50 {
			b.alone(fmt.Sprint("Ada ", i), "")
		}
		fifty := len(p.during(func() { run = b.reservedAll(run, 100) }))
		t.Log("statements for 1:", one, "for 50:", fifty)
		require.Equal(t, one, fifty)
		require.Equal(t, 51, run.Counts.Created)
	})

	t.Run("whose e-mail somebody over there has is not created again", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		linked, twin := b.linked("cus_1"), b.alone("Ada", "ada@example.com") // the other one's is taken by a linked one
		lonely := b.alone("Eve", "eve@example.com")
		w := wish(tandem.ModeExport)
		w.MatchEmail = true
		run := b.paged(b.begun(w),
			listed("cus_1", 30, own(tandem.Fields{Name: "Ada", Email: "ada@example.com"}, linked.ID)),
			listed("cus_2", 30, tandem.Fields{Email: "eve@example.com"}))
		run = b.reservedAll(run, 10)
		require.Equal(t, "review same_email", b.kinds(run.ID)[lonely.ID])
		require.Equal(t, "created no_remote_customer", b.kinds(run.ID)[twin.ID])
	})
}

func TestEmailMatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.alone("One", "one@example.com"), b.alone("Two", "two@example.com")
	b.alone("Twin", "twin@example.com")
	b.alone("Twin", "twin@example.com")
	b.alone("Wanted", "wanted@example.com")
	b.created("On its way", "way@example.com") // its create is claimed
	parted := b.linked("cus_parted")
	require.NoError(t, b.Unlink(b.ctx, tandem.Unlink{ID: "u", CustomerID: parted.ID, MappingID: b.mapping(parted.ID).ID}, work))
	w := wish(tandem.ModeReconcile)
	w.MatchEmail = true
	mail := func(id, email string) tandem.RemoteState { return listed(id, 30, tandem.Fields{Email: email}) }
	run := b.paged(b.begun(w),
		mail("cus_1", "one@example.com"), mail("cus_2", "two@example.com"), mail("cus_3", "twin@example.com"),
		mail("cus_4", "wanted@example.com"), mail("cus_5", "wanted@example.com"), mail("cus_6", "nobody@example.com"),
		mail("cus_7", "way@example.com"), mail("cus_8", "ada@example.com"), mail("cus_9", ""))
	matches, err := b.EmailMatches(b.ctx, run, 10)
	require.NoError(t, err)
	require.Equal(t, []tandem.EmailMatch{{CustomerID: one.ID, RemoteID: "cus_1"}, {CustomerID: two.ID, RemoteID: "cus_2"}}, matches)
	matches, err = b.EmailMatches(b.ctx, run, 1)
	require.NoError(t, err)
	require.Len(t, matches, 1)
	run.After = "cus_1"
	matches, err = b.EmailMatches(b.ctx, run, 10)
	require.NoError(t, err)
	require.Equal(t, two.ID, matches[0].CustomerID)
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	there, gone, kept := b.linked("cus_1"), b.linked("cus_2"), b.linked("cus_3")
	b.created("Pending", "")
	run := b.begun(wish(tandem.ModeReconcile))
	b.linked("cus_4") // younger than the run
	run = b.paged(run, listed("cus_1", 30, own(tandem.Fields{Name: "Ada", Email: "ada@example.com"}, there.ID)))
	ids, err := b.Absent(b.ctx, run, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"cus_2", "cus_3"}, ids)
	first, err := b.Absent(b.ctx, run, 1)
	require.NoError(t, err)
	require.Equal(t, ids[:1], first)

	state := listed("cus_2", 40, tandem.Fields{})
	state.Deleted, state.Source = true, tandem.FromFetch
	next := run
	next.Step, next.After, next.Counts.Review = tandem.StepAbsent, "cus_3", next.Counts.Review+1
	others := []tandem.Finding{{Kind: tandem.FoundReview, RemoteID: "cus_3", CustomerID: kept.ID, Reason: tandem.ReasonNotListed}}
	moved, err := b.ApplyAbsent(b.ctx, next, []tandem.RemoteState{state}, others, tandem.Work{Cause: run.Cause()})
	require.NoError(t, err)
	require.Equal(t, "cus_3", moved.After)
	require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 1, Equal: 1, Review: 1, Archived: 1}, moved.Counts)
	require.Equal(t, map[string]string{"cus_2": "archived", "cus_3": "review not_listed"}, b.kinds(run.ID))
	require.Equal(t, tandem.Archived, b.customer(gone.ID).Status)
	require.Equal(t, tandem.Active, b.customer(kept.ID).Status)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = 'cus_2'`))
	before := b.picture()
	_, err = b.ApplyAbsent(b.ctx, next, []tandem.RemoteState{state}, others, work)
	requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
	require.Equal(t, before, b.picture())

	b.planned(state)
}

// planned shows that a plan archives nobody.
func (b *bundle) planned(state tandem.RemoteState) {
	b.t.Helper()
	linked := b.linked("cus_9")
	open, err := b.OpenRun(b.ctx, "stripe")
	require.NoError(b.t, err)
	plan := b.planOf(open)
	state.RemoteID = "cus_9"
	before := b.picture()
	_, err = b.ApplyAbsent(b.ctx, plan, []tandem.RemoteState{state}, nil, work)
	require.NoError(b.t, err)
	require.Equal(b.t, before, b.picture())
	found := b.report(plan.ID)
	require.Len(b.t, found, 1)
	require.Equal(b.t, tandem.FoundArchived, found[0].Kind)
	require.Equal(b.t, linked.ID, found[0].CustomerID)
	require.False(b.t, found[0].Done)
}

func TestAbsentBrakes(t *testing.T) {
	t.Parallel()
	policy := dbtest.Policy
	policy.Brake = tandem.Brake{Count: 3}
	b := &bundle{Store: dbtest.New(t, policy), t: t, ctx: t.Context()}
	for deletions, want := range []bool{false, false, false, true, true} {
		brakes, err := b.AbsentBrakes(b.ctx, "stripe", deletions)
		require.NoError(t, err)
		require.Equal(t, want, brakes, deletions)
	}
}
