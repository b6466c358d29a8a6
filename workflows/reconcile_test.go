package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// shelf plays the database to a run: it takes so many slices.
type shelf struct {
	env    *testsuite.TestWorkflowEnvironment
	run    tandem.BulkRun
	slices int
	took   int
	states []tandem.RunState
	slice  func(n int) error // instead of working
	refuse error
}

func newShelf(t *testing.T, slices int) *shelf {
	t.Helper()
	s := &shelf{env: newEnv(t), slices: slices}
	s.env.RegisterWorkflow(workflows.Reconcile)
	s.env.OnActivity(acts.BeginRun, mock.Anything, mock.Anything).Return(func(_ context.Context, w tandem.RunWish) (tandem.BulkRun, error) {
		s.run = tandem.BulkRun{RunWish: w, State: tandem.RunRunning, Step: tandem.StepList}
		return s.run, s.refuse
	})
	s.env.OnActivity(acts.SetRunState, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.RunStateInput) (tandem.BulkRun, error) {
		s.states = append(s.states, in.State)
		s.run.State, s.run.LastError = in.State, in.Failure
		return s.run, nil
	})
	s.env.OnActivity(acts.RunSlice, mock.Anything, mock.Anything).Return(func(context.Context, string) (tandem.BulkRun, error) {
		s.took++
		if s.slice != nil {
			if err := s.slice(s.took); err != nil {
				return s.run, err
			}
		}
		if s.slices--; s.slices <= 0 {
			s.run.Step = tandem.StepEnd
		}
		return s.run, nil
	})
	return s
}

func (s *shelf) execute(t *testing.T) error {
	t.Helper()
	s.env.ExecuteWorkflow(workflows.Reconcile, workflows.ReconcileInput{Wish: tandem.RunWish{ID: "run_1", Provider: "stripe", Mode: tandem.ModeImport}})
	require.True(t, s.env.IsWorkflowCompleted())
	return s.env.GetWorkflowError()
}

func refusal(code string) error {
	return temporal.NewApplicationErrorWithOptions(code, string(tandem.Conflict), temporal.ApplicationErrorOptions{
		NonRetryable: true, Details: []any{tandem.LastError{Class: tandem.Conflict, Code: code, At: time.Now()}},
	})
}

func TestReconcile(t *testing.T) {
	t.Parallel()

	t.Run("goes on until the last step is done", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 3)
		require.NoError(t, s.execute(t))
		require.Equal(t, 3, s.took)
		require.Equal(t, []tandem.RunState{tandem.RunDone}, s.states)
	})

	t.Run("ends when another run is open, and says so to who began it", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 1)
		s.refuse = refusal(tandem.CodeRunOpen)
		var answered error
		s.env.RegisterDelayedCallback(func() {
			s.env.UpdateWorkflow(workflows.UpdateBegin, "run_1", &testsuite.TestUpdateCallback{
				OnAccept: func() {}, OnReject: func(err error) { answered = err },
				OnComplete: func(_ any, err error) { answered = err },
			})
		}, 0)
		require.NoError(t, s.execute(t))
		require.Equal(t, tandem.CodeRunOpen, activities.FailureOf(answered, time.Now()).Code)
		require.Zero(t, s.took)
	})

	t.Run("pauses between slices, and goes on", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 3)
		s.slice = func(n int) error {
			if n == 1 {
				s.env.SignalWorkflow(workflows.SignalPause, nil)
			}
			return nil
		}
		s.env.RegisterDelayedCallback(func() {
			require.Equal(t, 1, s.took)
			s.env.SignalWorkflow(workflows.SignalResume, nil)
		}, time.Hour)
		require.NoError(t, s.execute(t))
		require.Equal(t, []tandem.RunState{tandem.RunPaused, tandem.RunRunning, tandem.RunDone}, s.states)
		require.Equal(t, 3, s.took)
	})

	t.Run("can be cancelled, paused or not", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 3)
		s.slice = func(n int) error { s.env.SignalWorkflow(workflows.SignalPause, nil); return nil }
		s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalCancel, nil) }, time.Hour)
		require.NoError(t, s.execute(t))
		require.Equal(t, []tandem.RunState{tandem.RunPaused, tandem.RunCancelled}, s.states)
	})

	t.Run("cancelled as workflows are", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 3)
		s.slice = func(int) error { s.env.SignalWorkflow(workflows.SignalPause, nil); return nil }
		s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Hour)
		require.Error(t, s.execute(t))
		require.Equal(t, []tandem.RunState{tandem.RunPaused, tandem.RunCancelled}, s.states)
	})

	t.Run("waits for a person where no retry helps", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 2)
		s.slice = func(n int) error {
			if n == 1 {
				return refusal("account_changed")
			}
			return nil
		}
		s.env.RegisterDelayedCallback(func() {
			require.Equal(t, "account_changed", s.run.LastError.Code)
			s.env.SignalWorkflow(workflows.SignalRetry, nil)
		}, time.Hour)
		require.NoError(t, s.execute(t))
		require.Equal(t, []tandem.RunState{tandem.RunPaused, tandem.RunRunning, tandem.RunDone}, s.states)
	})

	t.Run("goes on when another act had moved the run", func(t *testing.T) {
		t.Parallel()
		s := newShelf(t, 2)
		s.slice = func(n int) error {
			if n == 1 {
				return refusal(tandem.CodeRunMoved)
			}
			return nil
		}
		require.NoError(t, s.execute(t))
		require.Equal(t, 3, s.took)
		require.Equal(t, []tandem.RunState{tandem.RunDone}, s.states)
	})
}

func TestCatchUp(t *testing.T) {
	t.Parallel()

	start := func(t *testing.T, missed ...int) (time.Duration, int) {
		t.Helper()
		env, n := newEnv(t), new(int)
		begun := env.Now()
		env.RegisterWorkflow(workflows.CatchUp)
		env.OnActivity(acts.CatchUp, mock.Anything, mock.Anything).Return(func(context.Context, activities.CatchUpInput) (tandem.CatchUp, error) {
			*n++
			if *n > len(missed) {
				return tandem.CatchUp{}, nil
			}
			return tandem.CatchUp{Missed: missed[*n-1]}, nil
		})
		env.ExecuteWorkflow(workflows.CatchUp, workflows.CatchUpInput{Provider: "stripe"})
		require.True(t, env.IsWorkflowCompleted())
		require.NoError(t, env.GetWorkflowError())
		return env.Now().Sub(begun), *n
	}

	t.Run("reads once while webhooks come", func(t *testing.T) {
		t.Parallel()
		_, n := start(t)
		require.Equal(t, 1, n)
	})

	t.Run("reads every minute for as long as they do not", func(t *testing.T) {
		t.Parallel()
		took, n := start(t, 7, 3)
		require.Equal(t, 3, n)
		require.GreaterOrEqual(t, took, 2*time.Minute)
	})
}
