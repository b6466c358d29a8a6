package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
)

// listed is a remote customer as a page of the list shows it.
func listed(remoteID string, second int, f tandem.Fields) tandem.RemoteState {
	if f.Reserved == nil {
		f.Reserved = map[string]string{}
	}
	return tandem.RemoteState{
		RemoteID: remoteID, Source: tandem.FromList, SeenFrom: at(second - 1), SeenTo: at(second), Created: at(0), Fields: f,
	}
}

// own is what a remote customer that Tandem made looks like.
func own(f tandem.Fields, id string) tandem.Fields {
	f.Reserved = map[string]string{tandem.KeyCustomerID: id, tandem.KeyEnvironment: "test"}
	return f
}

func (b *bundle) paged(run tandem.BulkRun, states ...tandem.RemoteState) tandem.BulkRun {
	b.t.Helper()
	next, err := b.ApplyPages(b.ctx, run, []tandem.WalkedPage{{Range: tandem.Range{Cursor: "next"}, Items: states, Asked: 1}},
		tandem.Work{Cause: run.Cause(), WorkflowID: "reconcile/stripe"})
	require.NoError(b.t, err)
	return next
}

// kinds is the report in short: subject → kind and reason.
func (b *bundle) kinds(runID string) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, f := range b.report(runID) {
		who := f.RemoteID
		if who == "" {
			who = f.CustomerID
		}
		out[who] = string(f.Kind)
		if f.Reason != "" {
			out[who] += " " + f.Reason
		}
	}
	return out
}

func TestApplyPages(t *testing.T) {
	t.Parallel()

	t.Run("an import makes customers, and the second one finds them equal and writes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		states := []tandem.RemoteState{
			listed("cus_1", 10, tandem.Fields{Name: "Ada", Email: "ada@example.com"}), listed("cus_2", 10, tandem.Fields{}),
		}
		run := b.begun(wish(tandem.ModeImport))
		next := b.paged(run, states...)
		require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 2, Created: 2}, next.Counts)
		require.Equal(t, []tandem.Range{{Cursor: "next"}}, next.Ranges)
		require.Equal(t, 2, b.count(`SELECT count(*) FROM entity_integration_mappings WHERE state = 'synced'`))
		found := b.report(run.ID)
		require.Len(t, found, 2)
		require.True(t, found[0].Done)
		require.Equal(t, "Ada", b.customer(found[0].CustomerID).Name)
		require.Contains(t, found[0].Changes, tandem.FieldChange{Field: "email", After: "ada@example.com"})
		lines, err := b.Journal(b.ctx, found[0].CustomerID, 10)
		require.NoError(t, err)
		require.Len(t, lines, 1)
		require.Equal(t, tandem.Cause{Kind: tandem.ByImport, ID: run.ID}, lines[0].Work.Cause)

		_, err = b.SetRunState(b.ctx, run.ID, tandem.RunDone, nil)
		require.NoError(t, err)
		before, rows := b.picture(), b.rowVersions()
		second := b.begun(wish(tandem.ModeImport))
		next = b.paged(second, states...)
		require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 2, Equal: 2}, next.Counts)
		require.Equal(t, before, b.picture())
		require.Equal(t, rows, b.rowVersions(), "not even a lock")
		require.Empty(t, b.report(second.ID))
	})

	t.Run("a page that is brought twice is taken once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		run := b.begun(wish(tandem.ModeImport))
		state := listed("cus_1", 10, tandem.Fields{Name: "Ada"})
		next := b.paged(run, state)
		before := b.picture()
		_, err := b.ApplyPages(b.ctx, run, []tandem.WalkedPage{{Items: []tandem.RemoteState{state}, Asked: 1}}, work)
		requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
		require.Equal(t, before, b.picture())
		now, err := b.BulkRun(b.ctx, run.ID)
		require.NoError(t, err)
		require.Equal(t, next, now)
	})

	t.Run("a page that many bring at once is taken once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		run := b.begun(wish(tandem.ModeImport))
		taken := 0
		for _, err := range together(func(int) error {
			_, err := b.ApplyPages(b.ctx, run, []tandem.WalkedPage{{Items: []tandem.RemoteState{listed("cus_1", 10, tandem.Fields{Name: "Ada"})}}}, work)
			return err
		}) {
			if err == nil {
				taken++
				continue
			}
			requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
		}
		require.Equal(t, 1, taken)
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
	})

	t.Run("ranges: one is replaced, the next is a new one, others are nobody's", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		run := b.paged(b.begun(wish(tandem.ModeImport)))
		run, err := b.ApplyPages(b.ctx, run, []tandem.WalkedPage{
			{Index: 0, Range: tandem.Range{From: at(5), Done: true}, Asked: 2}, {Index: 1, Range: tandem.Range{To: at(5)}},
		}, work)
		require.NoError(t, err)
		require.Equal(t, []tandem.Range{{From: at(5), Done: true}, {To: at(5)}}, run.Ranges)
		require.Equal(t, tandem.Counts{Requests: 3, Pages: 2}, run.Counts, "a range that was split off is no page")
		_, err = b.ApplyPages(b.ctx, run, []tandem.WalkedPage{{Index: 3}}, work)
		require.Equal(t, tandem.Bug, tandem.ClassOf(err))
	})

	t.Run("every kind is found, and done within what the mode may", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		run, states := b.mixed()
		next := b.paged(run, states...)
		require.Equal(t, map[string]string{
			"cus_new": "unlinked mode", "cus_ext": "linked", "cus_theirs": "updated", "cus_ours": "sent not_sent_yet",
			"cus_lost": "conflict unknown_customer", "cus_parked": "waiting parked",
		}, b.kinds(run.ID))
		require.Equal(t, tandem.Counts{
			Requests: 1, Pages: 1, Customers: 7, Unlinked: 1, Linked: 1, Updated: 1, Sent: 1, Conflicts: 1, Waiting: 1, Equal: 1,
		}, next.Counts)
		for _, f := range b.report(run.ID) {
			require.Equal(t, f.Kind == tandem.FoundLinked || f.Kind == tandem.FoundUpdated || f.Kind == tandem.FoundSent, f.Done, f)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM customers WHERE name = 'Changed over there'`))
		require.Equal(t, 7, b.count(`SELECT count(*) FROM reconcile_seen WHERE email = ''`))
	})

	t.Run("a plan reports the same and writes nothing else", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		run, states := b.mixed()
		plan := b.planOf(run)
		before, rows := b.picture(), b.rowVersions()
		planned := b.paged(plan, states...)
		require.Equal(t, before, b.picture())
		require.Equal(t, rows, b.rowVersions())
		for _, f := range b.report(plan.ID) {
			require.False(t, f.Done, f)
		}
		_, err := b.SetRunState(b.ctx, plan.ID, tandem.RunDone, nil)
		require.NoError(t, err)
		run = b.begun(wish(tandem.ModeReconcile))
		require.Equal(t, planned.Counts, b.paged(run, states...).Counts)
		require.Equal(t, b.kinds(plan.ID), b.kinds(run.ID))
	})

	t.Run("two of one external id in a page: the second is a conflict", func(t *testing.T) {
		t.Parallel()
		for _, plan := range []bool{false, true} {
			b := setup(t)
			w := wish(tandem.ModeImport)
			w.Plan = plan
			run := b.begun(w)
			ext := tandem.Fields{Name: "Ada", Reserved: map[string]string{tandem.KeyExternalID: "ext"}}
			next := b.paged(run, listed("cus_1", 10, ext), listed("cus_2", 10, ext))
			require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 2, Created: 1, Conflicts: 1}, next.Counts)
			require.Equal(t, map[string]string{"cus_1": "created", "cus_2": "conflict external_id_elsewhere"}, b.kinds(run.ID))
			if plan {
				require.Empty(t, b.report(run.ID)[0].CustomerID)
				require.Empty(t, b.report(run.ID)[1].CustomerID, "one that is only planned has no id to show")
			}
		}
	})

	t.Run("what Postgres cannot hold is reported, and stops nobody else", func(t *testing.T) {
		t.Parallel()
		for _, plan := range []bool{false, true} {
			b := setup(t)
			w := wish(tandem.ModeImport)
			w.Plan = plan
			run := b.begun(w)
			var states []tandem.RemoteState
			for i := range 20 {
				states = append(states, listed(fmt.Sprintf("cus_%d", i), 10, tandem.Fields{Name: "Ada"}))
			}
			states[3].Fields.Name, states[17].Fields.Metadata = "a\x00da", map[string]string{"a": "\x00"}
			next := b.paged(run, states...)
			require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 20, Created: 18, Rejected: 2}, next.Counts)
			require.Equal(t, "rejected unprocessable", b.kinds(run.ID)["cus_3"])
			require.Equal(t, "rejected unprocessable", b.kinds(run.ID)["cus_17"])
		}
	})

	t.Run("with match_email nobody is imported whose e-mail somebody here has", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.created("Ada", "ada@example.com")
		w := wish(tandem.ModeImport)
		w.MatchEmail = true
		run := b.begun(w)
		run = b.paged(run,
			listed("cus_1", 10, tandem.Fields{Email: "ada@example.com"}), listed("cus_2", 10, tandem.Fields{Email: "new@example.com"}),
			listed("cus_3", 10, tandem.Fields{Email: "new@example.com"}), listed("cus_4", 10, tandem.Fields{}))
		require.Equal(t, map[string]string{
			"cus_1": "review same_email", "cus_2": "created", "cus_3": "review same_email", "cus_4": "created",
		}, b.kinds(run.ID))
		require.Equal(t, 4, b.count(`SELECT count(*) FROM reconcile_seen`))
		b.paged(run, listed("cus_1", 10, tandem.Fields{Email: "other@example.com"}))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM reconcile_seen WHERE email = 'other@example.com'`), "the last look counts")
	})

	t.Run("a call in flight is left alone", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		b.change(update(c.ID, tandem.Patch{Name: ptr("Grace")}))
		call := b.planAfterLook(c.ID)
		before := b.picture()
		run := b.begun(wish(tandem.ModeReconcile))
		b.paged(run, listed("cus_1", 30, own(tandem.Fields{Name: "Ada", Email: "ada@example.com"}, c.ID)))
		require.Equal(t, "sent not_sent_yet", b.kinds(run.ID)["cus_1"])
		require.Equal(t, before, b.picture())
		require.Equal(t, tandem.EventApplied, b.apply(answer(call, "cus_1", 40)).State)
	})
}

// mixed is one remote customer of every kind, and the run they are for.
func (b *bundle) mixed() (tandem.BulkRun, []tandem.RemoteState) {
	b.t.Helper()
	ada := tandem.Fields{Name: "Ada", Email: "ada@example.com"}
	equal, theirs, ours, parked := b.linked("cus_equal"), b.linked("cus_theirs"), b.linked("cus_ours"), b.linked("cus_parked")
	require.NotEqual(b.t, equal.ID, theirs.ID)
	b.change(update(ours.ID, tandem.Patch{Name: ptr("Grace")}))
	b.change(update(parked.ID, tandem.Patch{Name: ptr("Grace")}))
	call := b.planAfterLook(parked.ID)
	require.NoError(b.t, b.Park(b.ctx, call, tandem.LastError{Class: tandem.Invalid, Code: "name_invalid", At: at(11)}, work))
	ext := creation(tandem.Patch{Name: ptr("Ada")})
	ext.ExternalID = ptr("ext")
	b.change(ext)
	// Only a customer without a create on its way can be linked by its external id.
	_, err := b.DB().ExecContext(b.ctx, `UPDATE entity_integration_mappings SET claim = NULL WHERE entity_id = $1`, ext.CustomerID)
	require.NoError(b.t, err)
	changed := ada
	changed.Name = "Changed over there"
	return b.begun(wish(tandem.ModeReconcile)), []tandem.RemoteState{
		listed("cus_new", 30, ada), listed("cus_ext", 30, tandem.Fields{Name: "Ada", Reserved: map[string]string{tandem.KeyExternalID: "ext"}}),
		listed("cus_equal", 30, own(ada, equal.ID)), listed("cus_theirs", 30, own(changed, theirs.ID)),
		listed("cus_ours", 30, own(ada, ours.ID)), listed("cus_parked", 30, own(ada, parked.ID)),
		listed("cus_lost", 30, own(ada, noCustomer)),
	}
}

// planOf is a plan in place of a run.
func (b *bundle) planOf(run tandem.BulkRun) tandem.BulkRun {
	b.t.Helper()
	_, err := b.SetRunState(b.ctx, run.ID, tandem.RunCancelled, nil)
	require.NoError(b.t, err)
	w := wish(run.Mode)
	w.Plan = true
	return b.begun(w)
}

// rowVersions tells whether a row was so much as locked in between.
func (b *bundle) rowVersions() string {
	b.t.Helper()
	var out string
	require.NoError(b.t, b.DB().GetContext(b.ctx, &out, `
		SELECT COALESCE(string_agg(v, ' ' ORDER BY v), '') FROM (
		  SELECT 'c' || xmin || '/' || xmax AS v FROM customers
		  UNION ALL SELECT 'm' || xmin || '/' || xmax FROM entity_integration_mappings) rows`))
	return out
}

func TestApplyPagesIsSetBased(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	w := wish(tandem.ModeReconcile)
	w.Mode, w.MatchEmail = tandem.ModeImport, true
	run := b.begun(w)
	statements := func(states []tandem.RemoteState) int {
		return len(p.during(func() { run = b.paged(run, states...) }))
	}
	one := []int{statements(page(1, 10, "A")), statements(page(1, 10, "A")), statements(page(1, 20, "B"))}
	hundred := []int{statements(page(100, 30, "B")), statements(page(100, 40, "B")), statements(page(100, 50, "C"))}
	t.Log("statements for 1 imported, equal, merged:", one, "and for 100:", hundred)
	require.Equal(t, one, hundred)
	require.Equal(t, 100, run.Counts.Created)
	require.Equal(t, 102, run.Counts.Equal)
	require.Equal(t, 101, run.Counts.Updated)
}

func TestAPageWhoseCommitWasNotHeardOfIsTakenOnce(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	run := b.begun(wish(tandem.ModeImport))
	pages := []tandem.WalkedPage{{Items: page(3, 10, "Ada"), Asked: 1}}
	p.once("COMMIT", unheard)
	_, err := b.ApplyPages(b.ctx, run, pages, work)
	require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err))
	_, err = b.ApplyPages(b.ctx, run, pages, work)
	requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
	now, err := b.BulkRun(b.ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 3, Created: 3}, now.Counts)
	require.Equal(t, 3, b.count(`SELECT count(*) FROM customers`))
}

func TestACustomerThatIsChangedWhileItsPageIsJudgedIsJudgedOnceMore(t *testing.T) {
	t.Parallel()
	b, p := throughProxy(t)
	direct := &bundle{Store: openAt(t, p.direct, dbtest.Policy), t: t, ctx: t.Context()}
	run := b.begun(wish(tandem.ModeImport))
	p.before("pg_advisory_xact_lock", func() { direct.apply(event("cus_1", 10, tandem.Fields{Name: "Ada"})) })
	run = b.paged(run, listed("cus_1", 10, tandem.Fields{Name: "Ada"}))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM customers`))
	require.Equal(t, tandem.Counts{Requests: 1, Pages: 1, Customers: 1, Equal: 1}, run.Counts)
	require.Empty(t, b.report(run.ID))
}

func TestADatabaseThatTakesNobodyIsNotThePagesFault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.begun(wish(tandem.ModeImport))
	_, err := b.DB().ExecContext(b.ctx, `ALTER TABLE journal RENAME COLUMN detail TO details`)
	require.NoError(t, err)
	_, err = b.ApplyPages(b.ctx, run, []tandem.WalkedPage{{Items: page(20, 10, "Ada")}}, work)
	require.Equal(t, tandem.Bug, tandem.ClassOf(err))
	now, err := b.BulkRun(b.ctx, run.ID)
	require.NoError(t, err)
	require.Equal(t, run, now)
	require.Empty(t, b.report(run.ID))
}

func TestMoreThanOneTransactionTakesIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.begun(wish(tandem.ModeImport))
	_, err := b.ApplyPages(b.ctx, run, []tandem.WalkedPage{{Items: page(1001, 10, "A")}}, work)
	require.Equal(t, tandem.Bug, tandem.ClassOf(err))
	require.Equal(t, 0, b.count(`SELECT count(*) FROM customers`))
}
