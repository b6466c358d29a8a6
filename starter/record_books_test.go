package starter_test

import (
	"os"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

// TestRecordHistories_of_books records runs over whole books, and readings of the provider's events.
func TestRecordHistories_of_books(t *testing.T) {
	if os.Getenv("TANDEM_RECORD_HISTORIES") == "" {
		t.Skip("set TANDEM_RECORD_HISTORIES to the version that is recorded")
	}
	s := startStack(t)
	s.findable(t)
	r := recorder{s}
	for direction, records := range map[string]map[string]func(*testing.T) tandem.Run{
		"reconcile": {"import": r.imported, "paused_then_resumed": r.paused, "refused_then_cancelled": r.stuck},
		"catchUp":   {"nothing_missed": r.caughtUp, "missed_then_now": r.missed},
	} {
		t.Run(direction, func(t *testing.T) {
			for name, record := range records {
				t.Run(name, func(t *testing.T) { r.write(t, direction, name, record(t)) })
			}
		})
	}
}

func (r recorder) begin(t *testing.T) tandem.BulkRun {
	t.Helper()
	run, err := r.starter.BeginRun(t.Context(), tandem.RunWish{ID: "run_" + ulid.Make().String(), Provider: "stripe", Mode: tandem.ModeImport})
	require.NoError(t, err)
	return run
}

func (r recorder) over(t *testing.T, run tandem.BulkRun, state tandem.RunState) tandem.Run {
	t.Helper()
	r.reaches(t, run, state)
	out := tandem.Run{WorkflowID: workflows.ReconcileID("stripe", run.ID)}
	r.ended(t, out)
	return out
}

func (r recorder) reaches(t *testing.T, run tandem.BulkRun, state tandem.RunState) {
	t.Helper()
	require.Eventually(t, func() bool {
		now, err := r.store.BulkRun(t.Context(), run.ID)
		require.NoError(t, err)
		return now.State == state
	}, time.Minute, 20*time.Millisecond, state)
}

func (r recorder) imported(t *testing.T) tandem.Run {
	for range 3 {
		r.foreign(t)
	}
	return r.over(t, r.begin(t), tandem.RunDone)
}

// paused by a failure that no retry helps, and sent on by a person once it is mended.
func (r recorder) paused(t *testing.T) tandem.Run {
	fault := r.standIn.AddFault(stripetest.Fault{Kind: stripetest.BadRequest, Op: "list"})
	run := r.begin(t)
	r.reaches(t, run, tandem.RunPaused)
	r.standIn.RemoveFault(fault)
	require.NoError(t, r.starter.Steer(t.Context(), run.WorkflowID, tandem.WordResume))
	return r.over(t, run, tandem.RunDone)
}

// stuck is refused in a way that no retry helps, and given up by a person.
func (r recorder) stuck(t *testing.T) tandem.Run {
	fault := r.standIn.AddFault(stripetest.Fault{Kind: stripetest.BadRequest, Op: "list"})
	defer r.standIn.RemoveFault(fault)
	run := r.begin(t)
	r.reaches(t, run, tandem.RunPaused)
	require.NoError(t, r.starter.Steer(t.Context(), run.WorkflowID, tandem.WordCancel))
	return r.over(t, run, tandem.RunCancelled)
}

func (r recorder) caughtUp(t *testing.T) tandem.Run {
	run, err := r.starter.CatchUp(t.Context(), "stripe")
	require.NoError(t, err)
	r.ended(t, run)
	return run
}

func (r recorder) missed(t *testing.T) tandem.Run {
	r.caughtUp(t)
	r.foreign(t)
	r.standIn.AdvanceClock(3 * time.Minute)
	run, err := r.starter.CatchUp(t.Context(), "stripe")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		c, err := r.store.CatchUp(t.Context(), "stripe")
		require.NoError(t, err)
		return c.Missed > 0
	}, time.Minute, 20*time.Millisecond)
	_, err = r.starter.CatchUp(t.Context(), "stripe")
	require.NoError(t, err)
	r.ended(t, run)
	return run
}
