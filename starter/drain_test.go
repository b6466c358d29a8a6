package starter_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/starter"
)

// TestDrain has a stack of its own, since a drain takes in everything that waits, and runs beside no other, since a stack
// is held to leaving no goroutine behind.
func TestDrain(t *testing.T) { //nolint:paralleltest // see above
	s := startStack(t)

	t.Run("takes_in_what_waits_in_few_acts", func(t *testing.T) {
		remotes := make([]string, 50)
		for i := range remotes {
			remotes[i] = s.foreign(t)
			s.ingest(t, remotes[i])
		}
		s.drain(t)
		for _, id := range remotes {
			require.Equal(t, "Mary Example", s.byRemote(t, id).Name)
			require.Empty(t, s.writesTo(id))
		}
		h := s.history(t, "drain/stripe", "")
		t.Log(describe(h))
		require.LessOrEqual(t, len(h.Events), 12)
	})

	t.Run("leaves_what_is_in_doubt_to_its_own_workflow", func(t *testing.T) {
		s.inOneSecond(t)
		remoteID := s.foreign(t)
		s.ingest(t, remoteID)
		s.drain(t)
		_, err := s.standIn.EditCustomer(remoteID, url.Values{"name": {"Same Second"}})
		require.NoError(t, err)
		require.True(t, s.ingest(t, remoteID).Open)
		s.drain(t)
		s.ended(t, tandem.Run{WorkflowID: "inbound/stripe/" + remoteID})
		require.Equal(t, "Same Second", s.byRemote(t, remoteID).Name)
	})

	t.Run("wakes_nobody_who_is_up", func(t *testing.T) {
		s.inOneSecond(t)
		remoteID := s.foreign(t)
		s.inbound(t, remoteID)
		fault := s.standIn.AddFault(stripetest.Fault{Kind: stripetest.Hold, Op: "retrieve", Contains: remoteID})
		_, err := s.standIn.EditCustomer(remoteID, url.Values{"name": {"Held Example"}})
		require.NoError(t, err)
		in := s.ingest(t, remoteID)
		run, err := s.starter.Inbound(t.Context(), "stripe", remoteID, []string{in.Row})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		require.NoError(t, s.standIn.Wait(ctx, func() bool { return s.struck(fault) }))
		before := len(s.history(t, run.WorkflowID, run.RunID).Events)
		for range 3 {
			require.NoError(t, s.starter.Wake(t.Context(), "stripe", remoteID))
		}
		require.Len(t, s.history(t, run.WorkflowID, run.RunID).Events, before, "no signal, no new run")
		s.standIn.RemoveFault(fault)
		s.ended(t, run)
		require.Equal(t, "Held Example", s.byRemote(t, remoteID).Name)
	})

	t.Run("told_twenty_times_at_once_is_few_runs", func(t *testing.T) {
		remoteID := s.foreign(t)
		s.ingest(t, remoteID)
		errs := make([]error, 20)
		together(20, func(i int) { errs[i] = s.starter.Drain(t.Context(), "stripe") })
		for _, err := range errs {
			require.NoError(t, err)
		}
		s.ended(t, tandem.Run{WorkflowID: "drain/stripe"})
		s.byRemote(t, remoteID)
	})

	t.Run("by_schedule_too", func(t *testing.T) { testSchedules(t, s) })
	t.Run("a_scheduled_run_gets_an_id", func(t *testing.T) { testScheduledRun(t, s) })
}

// inOneSecond has the provider's clock stand still until the test ends, so that only a look can tell which edit came last.
func (s *stack) inOneSecond(t *testing.T) {
	t.Helper()
	still := time.Now().Truncate(time.Second)
	s.standIn.SetClock(func() time.Time { return still })
	t.Cleanup(func() { s.standIn.SetClock(time.Now) })
}

// drain signals, and waits for the end.
func (s *stack) drain(t *testing.T) {
	t.Helper()
	require.NoError(t, s.starter.Drain(t.Context(), "stripe"))
	s.ended(t, tandem.Run{WorkflowID: "drain/stripe"})
}

func testSchedules(t *testing.T, s *stack) {
	ctx := t.Context()
	require.NoError(t, s.starter.EnsureSchedules(ctx, starter.Every{Drain: time.Second}))
	schedule := s.client.ScheduleClient().GetHandle(ctx, "drain/stripe")

	remoteID := s.foreign(t)
	s.ingest(t, remoteID) // and nobody says so
	require.Eventually(t, func() bool {
		waiting, err := s.store.Waiting(ctx, "stripe", []string{remoteID}, 1)
		require.NoError(t, err)
		return len(waiting) == 0
	}, 30*time.Second, 50*time.Millisecond)
	s.byRemote(t, remoteID)

	require.NoError(t, schedule.Pause(ctx, client.SchedulePauseOptions{Note: "by hand"}))
	require.NoError(t, s.starter.EnsureSchedules(ctx, starter.Every{Drain: time.Hour}), "at the next start, configured differently")
	d, err := schedule.Describe(ctx)
	require.NoError(t, err)
	require.True(t, d.Schedule.State.Paused, "stays paused")
	require.Equal(t, time.Hour, d.Schedule.Spec.Intervals[0].Every)
	require.Len(t, d.Schedule.Spec.Intervals, 1)
	require.Equal(t, enums.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
	action, ok := d.Schedule.Action.(*client.ScheduleWorkflowAction)
	require.True(t, ok, fmt.Sprintf("%T", d.Schedule.Action))
	require.Equal(t, "drain/stripe", action.ID)

	for _, id := range []string{"catch-up/stripe", "reconcile/stripe/scheduled"} {
		_, err := s.client.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
		require.Error(t, err, "%s is not wanted", id)
		every := starter.Every{Drain: time.Hour, CatchUp: 15 * time.Minute, Reconcile: 24 * time.Hour}
		require.NoError(t, s.starter.EnsureSchedules(ctx, every))
		d, err := s.client.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
		require.NoError(t, err)
		require.Contains(t, []time.Duration{every.CatchUp, every.Reconcile}, d.Schedule.Spec.Intervals[0].Every)
		require.NoError(t, s.starter.EnsureSchedules(ctx, starter.Every{Drain: time.Hour}))
	}
}

// A run that the schedule starts has no id yet, and an act that is made again finds the one it gave it.
func testScheduledRun(t *testing.T, s *stack) {
	ctx := t.Context()
	every := starter.Every{Drain: time.Hour, Reconcile: time.Hour}
	require.NoError(t, s.starter.EnsureSchedules(ctx, every))
	remoteID := s.foreign(t)
	s.ingest(t, remoteID)
	s.inbound(t, remoteID)
	require.NoError(t, s.client.ScheduleClient().GetHandle(ctx, "reconcile/stripe/scheduled").Trigger(ctx, client.ScheduleTriggerOptions{}))
	var run tandem.BulkRun
	require.Eventually(t, func() bool {
		runs, err := s.store.Runs(ctx, tandem.RunQuery{Limit: 1})
		require.NoError(t, err)
		if len(runs) > 0 {
			run = runs[0]
		}
		return run.State == tandem.RunDone
	}, time.Minute, 20*time.Millisecond)
	require.Equal(t, tandem.ModeReconcile, run.Mode)
	require.Contains(t, run.WorkflowID, "reconcile/stripe/scheduled-")
	require.Positive(t, run.Counts.Customers)
	again, err := s.store.BeginRun(ctx, tandem.RunWish{Provider: "stripe", Mode: tandem.ModeReconcile}, run.WorkflowID)
	require.NoError(t, err)
	require.Equal(t, run.ID, again.ID)
	s.ended(t, tandem.Run{WorkflowID: run.WorkflowID})
	err = s.starter.Steer(ctx, run.WorkflowID, tandem.WordPause)
	require.Equal(t, tandem.CodeRunEnded, tandem.CodeOf(err))
	require.NoError(t, s.starter.EnsureSchedules(ctx, starter.Every{Drain: time.Hour}))
}
