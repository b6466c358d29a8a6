package activities_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

const runID = "run_01JD0000000000000000000001"

func (b *bundle) begin(t *testing.T, w tandem.RunWish) tandem.BulkRun {
	t.Helper()
	w.Provider = "stripe"
	run, err := b.store.BeginRun(t.Context(), w, "reconcile/stripe/"+w.ID)
	require.NoError(t, err)
	return run
}

func (b *bundle) books(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, b.standIn.Seed(fmt.Appendf(nil, `{"id":"cus_%05d","created":%d,"name":"Person %d"}`, i, 1_600_000_000+i/7, i)))
	}
}

func (w *wishes) Drain(context.Context, string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.syncs = append(w.syncs, "drain")
	return w.err
}

func (w *wishes) Runs(context.Context, string) (bool, error) { return false, w.err }

func TestRunSlice(t *testing.T) {
	t.Parallel()
	asActivity := styles["activity"]

	t.Run("run twice takes everybody in once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.books(t, 350)
		b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeImport})
		run, again := twice(t, b, asActivity, b.acts.RunSlice, runID)
		require.Equal(t, run, again)
		require.Equal(t, tandem.StepEnd, run.Step)
		require.Equal(t, 350, run.Counts.Created)
		require.Equal(t, 4, run.Counts.Requests)
	})

	t.Run("two at once count nothing twice", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.books(t, 900)
		b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeImport})
		var both sync.WaitGroup
		for range 2 { // an act that was taken for dead, and the one in its place
			both.Go(func() { _, _ = get(t, b, asActivity, b.acts.RunSlice, runID) }) // one of them may find that the run has moved
		}
		both.Wait()
		run, err := get(t, b, asActivity, b.acts.RunSlice, runID)
		require.NoError(t, err)
		require.Equal(t, tandem.StepEnd, run.Step)
		require.Equal(t, 900, run.Counts.Created, "%+v", run.Counts)
		require.Equal(t, 900, run.Counts.Customers)
	})

	t.Run("slow pages are walked in ranges, and nobody is lost or counted twice", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.books(t, 1400)
		b.standIn.Configure(func(s *stripetest.Settings) { s.Latency = 40 * time.Millisecond })
		b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeImport})
		run, err := get(t, b, asActivity, b.acts.RunSlice, runID)
		require.NoError(t, err)
		require.Equal(t, tandem.StepEnd, run.Step)
		require.Greater(t, len(run.Ranges), 1)
		require.Equal(t, 1400, run.Counts.Created)
		require.Equal(t, 1400, run.Counts.Customers)
	})

	t.Run("goes on where the remote customer it stood at was deleted", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.books(t, 250)
		b.standIn.Configure(func(s *stripetest.Settings) { s.ForgetDeletedCursors = true })
		run := b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeImport})
		page, err := b.stripe.List(t.Context(), tandem.ListQuery{})
		require.NoError(t, err)
		r := tandem.Range{Cursor: page.Next, Last: page.Items[len(page.Items)-1].Created}
		_, err = b.store.ApplyPages(t.Context(), run, []tandem.WalkedPage{{Range: r, Items: page.Items, Asked: 1}}, tandem.Work{Cause: run.Cause()})
		require.NoError(t, err)
		require.NoError(t, b.standIn.DeleteCustomer(page.Next))
		run, err = get(t, b, asActivity, b.acts.RunSlice, runID)
		require.NoError(t, err)
		require.Equal(t, tandem.StepEnd, run.Step)
		require.Equal(t, 250, run.Counts.Created, "one of them was deleted after it was taken in")
	})

	t.Run("a refused list is no end of it", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.books(t, 10)
		b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeReconcile})
		fault := b.standIn.AddFault(stripetest.Fault{Kind: stripetest.Unauthorized, Op: "list"})
		_, err := get(t, b, asActivity, b.acts.RunSlice, runID)
		require.Equal(t, tandem.Auth, activities.FailureOf(err, time.Now()).Class)
		run, err := b.store.BulkRun(t.Context(), runID)
		require.NoError(t, err)
		require.Equal(t, tandem.StepList, run.Step)
		b.standIn.RemoveFault(fault)
		run, err = get(t, b, asActivity, b.acts.RunSlice, runID)
		require.NoError(t, err)
		require.Equal(t, tandem.StepEnd, run.Step)
	})

	t.Run("waits its turn", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.books(t, 450)
		var turns atomic.Int64
		b.acts.Pace = func(context.Context, string) error { turns.Add(1); return nil }
		b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeImport})
		run, err := get(t, b, asActivity, b.acts.RunSlice, runID)
		require.NoError(t, err)
		require.EqualValues(t, run.Counts.Requests, turns.Load())
	})
}

func TestBeginRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := styles["local activity"]
	first := tandem.RunWish{ID: runID, Provider: "stripe", Mode: tandem.ModeImport}
	run, again := twice(t, b, s, b.acts.BeginRun, first)
	require.Equal(t, run, again)

	_, err := get(t, b, s, b.acts.BeginRun, tandem.RunWish{ID: runID, Provider: "nobody", Mode: tandem.ModeImport})
	require.Equal(t, tandem.CodeProviderUnknown, activities.FailureOf(err, time.Now()).Code)

	second := tandem.RunWish{ID: "run_01JD0000000000000000000002", Provider: "stripe", Mode: tandem.ModeExport}
	run, err = get(t, b, s, b.acts.BeginRun, second)
	require.NoError(t, err, "the workflow of the first has ended without a word")
	require.Equal(t, second.ID, run.ID)
	ended, err := b.store.BulkRun(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, tandem.RunCancelled, ended.State)

	done, again := twice(t, b, s, b.acts.SetRunState, activities.RunStateInput{ID: second.ID, State: tandem.RunDone})
	require.Equal(t, done, again)
}

func TestCatchUp(t *testing.T) {
	t.Parallel()

	t.Run("run twice finds each event once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		s := styles["activity"]
		known := b.foreign(t)
		b.ingest(t, known)
		b.foreign(t)
		b.foreign(t)
		first, second := twice(t, b, s, b.acts.CatchUp, activities.CatchUpInput{Provider: "stripe"})
		require.Zero(t, first.Missed, "they are young: their webhooks may be on their way")
		require.Zero(t, second.Missed)
		waiting, _, err := b.store.WaitingRemotes(t.Context(), "stripe", "", 10)
		require.NoError(t, err)
		require.Len(t, waiting, 3)
		require.Equal(t, []string{"drain"}, b.starter.syncs)
	})

	t.Run("says when webhooks are missing, and when the provider has forgotten", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		s := styles["activity"]
		in := activities.CatchUpInput{Provider: "stripe"}
		begun, err := get(t, b, s, b.acts.CatchUp, in)
		require.NoError(t, err)
		b.foreign(t)
		b.standIn.AdvanceClock(time.Hour)
		found, err := get(t, b, s, b.acts.CatchUp, in)
		require.NoError(t, err)
		require.Equal(t, 1, found.Missed)
		require.Nil(t, found.GapSince)
		require.True(t, found.UpTo.After(begun.UpTo))

		b.standIn.AdvanceClock(31 * 24 * time.Hour)
		found, err = get(t, b, s, b.acts.CatchUp, in)
		require.NoError(t, err)
		require.NotNil(t, found.GapSince)
		require.Contains(t, b.logs.String(), "catch_up.reconcile_needed")
		found, err = get(t, b, s, b.acts.CatchUp, in)
		require.NoError(t, err)
		require.NotNil(t, found.GapSince, "until a reconcile has ended")
		run := b.begin(t, tandem.RunWish{ID: runID, Mode: tandem.ModeReconcile})
		_, err = get(t, b, s, b.acts.SetRunState, activities.RunStateInput{ID: run.ID, State: tandem.RunDone})
		require.NoError(t, err)
		found, err = b.store.CatchUp(t.Context(), "stripe")
		require.NoError(t, err)
		require.Nil(t, found.GapSince)
	})
}
