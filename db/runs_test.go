package db_test

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func wish(mode tandem.Mode) tandem.RunWish {
	return tandem.RunWish{ID: "run_" + ulid.Make().String(), Provider: "stripe", Mode: mode}
}

func (b *bundle) begun(w tandem.RunWish) tandem.BulkRun {
	b.t.Helper()
	run, err := b.BeginRun(b.ctx, w, "reconcile/stripe")
	require.NoError(b.t, err)
	return run
}

func TestBeginRun(t *testing.T) {
	t.Parallel()

	t.Run("twice is once", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		w := tandem.RunWish{ID: "run_" + ulid.Make().String(), Provider: "stripe", Mode: tandem.ModeExport, Plan: true, MatchEmail: true}
		run := b.begun(w)
		require.Equal(t, w, run.RunWish)
		require.Equal(t, tandem.RunRunning, run.State)
		require.Equal(t, tandem.StepList, run.Step)
		require.Equal(t, "reconcile/stripe", run.WorkflowID)
		require.Equal(t, int64(1), run.Version)
		require.WithinDuration(t, time.Now(), run.StartedAt, time.Minute)
		require.Equal(t, run, b.begun(w))
		open, err := b.OpenRun(b.ctx, "stripe")
		require.NoError(t, err)
		require.Equal(t, run, open)
	})

	t.Run("the same wish from many at once is one run", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		w := wish(tandem.ModeImport)
		for _, err := range together(func(int) error {
			_, err := b.BeginRun(b.ctx, w, "w")
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 1, b.count(`SELECT count(*) FROM reconcile_runs`))
	})

	t.Run("a provider has one run at a time", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := b.begun(wish(tandem.ModeImport))
		_, err := b.BeginRun(b.ctx, wish(tandem.ModeReconcile), "w")
		requireCode(t, err, tandem.Conflict, tandem.CodeRunOpen)
		other := wish(tandem.ModeImport)
		other.Provider = "other"
		b.begun(other)
		_, err = b.SetRunState(b.ctx, first.ID, tandem.RunCancelled, nil)
		require.NoError(t, err)
		second := b.begun(wish(tandem.ModeReconcile))
		require.Equal(t, tandem.RunCancelled, b.begun(first.RunWish).State, "the same wish is the same run after its end too")

		runs, err := b.Runs(b.ctx, tandem.RunQuery{Provider: "stripe", Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []string{second.ID, first.ID}, []string{runs[0].ID, runs[1].ID})
		runs, err = b.Runs(b.ctx, tandem.RunQuery{Provider: "stripe", After: second.ID, Limit: 10})
		require.NoError(t, err)
		require.Len(t, runs, 1)
		runs, err = b.Runs(b.ctx, tandem.RunQuery{State: tandem.RunRunning, Limit: 10})
		require.NoError(t, err)
		require.Len(t, runs, 2)
	})

	t.Run("what is not there is not found", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		_, err := b.BulkRun(b.ctx, "run_x")
		requireCode(t, err, tandem.Invalid, tandem.CodeRunNotFound)
		_, err = b.OpenRun(b.ctx, "stripe")
		requireCode(t, err, tandem.Invalid, tandem.CodeRunNotFound)
		_, err = b.SetRunState(b.ctx, "run_x", tandem.RunPaused, nil)
		requireCode(t, err, tandem.Invalid, tandem.CodeRunNotFound)
	})
}

func TestSetRunState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.begun(wish(tandem.ModeReconcile))
	failure := &tandem.LastError{Class: tandem.Auth, Code: "api_key_expired", At: at(1)}
	paused, err := b.SetRunState(b.ctx, run.ID, tandem.RunPaused, failure)
	require.NoError(t, err)
	require.Equal(t, tandem.RunPaused, paused.State)
	require.Equal(t, failure, paused.LastError)
	require.Equal(t, run.Version, paused.Version, "a page on its way is not lost")

	run = b.paged(run, listed("cus_1", 10, tandem.Fields{Name: "Ada"}))
	require.Equal(t, tandem.RunPaused, run.State)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM reconcile_seen`))

	resumed, err := b.SetRunState(b.ctx, run.ID, tandem.RunRunning, nil)
	require.NoError(t, err)
	require.Nil(t, resumed.LastError)
	ended, err := b.SetRunState(b.ctx, run.ID, tandem.RunDone, nil)
	require.NoError(t, err)
	require.NotNil(t, ended.EndedAt)
	require.Equal(t, 0, b.count(`SELECT count(*) FROM reconcile_seen`), "what it has seen goes with it")
	again, err := b.SetRunState(b.ctx, run.ID, tandem.RunRunning, failure)
	require.NoError(t, err)
	require.Equal(t, ended, again, "an end is an end")
	_, err = b.ApplyPages(b.ctx, ended, nil, work)
	requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
	_, err = b.MoveRun(b.ctx, ended, nil)
	requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)
}

func TestMoveRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	run := b.begun(wish(tandem.ModeExport))
	next := run
	next.Step, next.After, next.Counts.Review = tandem.StepMatch, "cus_1", 1
	next.Ranges = []tandem.Range{{To: at(5), Cursor: "c", Done: true}}
	lines := []tandem.Finding{
		{Kind: tandem.FoundReview, RemoteID: "cus_1", Reason: tandem.ReasonSameEmail},
		{Kind: tandem.FoundUnlinked, CustomerID: someCustomer},
	}
	moved, err := b.MoveRun(b.ctx, next, lines)
	require.NoError(t, err)
	next.Version, next.UpdatedAt = 2, moved.UpdatedAt
	require.Equal(t, next, moved)
	_, err = b.MoveRun(b.ctx, next, nil)
	require.NoError(t, err)
	_, err = b.MoveRun(b.ctx, next, lines)
	requireCode(t, err, tandem.Conflict, tandem.CodeRunMoved)

	found := b.report(run.ID)
	require.Len(t, found, 2)
	next.Version++
	_, err = b.MoveRun(b.ctx, next, []tandem.Finding{{Kind: tandem.FoundLinked, RemoteID: "cus_1", CustomerID: someCustomer, Done: true}})
	require.NoError(t, err)
	again := b.report(run.ID)
	require.Equal(t, found[0].ID, again[0].ID, "a line about the same customer takes the place of the one before")
	require.Equal(t, tandem.FoundLinked, again[0].Kind)
	require.True(t, again[0].Done)
	require.Empty(t, again[0].Reason)
	require.Equal(t, found[1], again[1])
}

// report is all lines of a run, read a page of two at a time.
func (b *bundle) report(runID string) []tandem.Finding {
	b.t.Helper()
	var out []tandem.Finding
	after := ""
	for {
		page, err := b.Findings(b.ctx, tandem.FindingQuery{RunID: runID, After: after, Limit: 2})
		require.NoError(b.t, err)
		out = append(out, page...)
		if len(page) < 2 {
			return out
		}
		after = page[1].ID
	}
}
