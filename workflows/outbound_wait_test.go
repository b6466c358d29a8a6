package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

func rejected(t *testing.T) *testsuite.TestUpdateCallback {
	t.Helper()
	return &testsuite.TestUpdateCallback{
		OnAccept:   func() { require.Fail(t, "the update was accepted") },
		OnReject:   func(err error) { require.Error(t, err) },
		OnComplete: func(any, error) {},
	}
}

func TestOutbound_parked(t *testing.T) {
	t.Parallel()
	for _, class := range []tandem.Class{tandem.Invalid, tandem.Gone, tandem.Conflict, tandem.Bug} {
		t.Run(string(class)+" parks at the first failure and waits; retry goes on", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fail = first(1, failure(class, "no_use"))
			w.changeAt(0, "chg_1")
			w.at(time.Hour, func() {
				require.Len(t, w.calls, 1)
				require.Len(t, w.parks, 1)
				require.Equal(t, w.calls[0], w.parks[0].Call)
				require.Equal(t, class, w.parks[0].Failure.Class)
				require.Equal(t, "no_use", w.parks[0].Failure.Code)
				s := w.state()
				require.Equal(t, "waits for a person", s.Lanes[0].Step)
				require.Equal(t, class, s.Lanes[0].LastError.Class)
				w.env.SignalWorkflow(workflows.SignalRetry, "")
			})
			require.NoError(t, w.run())
			require.Len(t, w.calls, 2)
			require.EqualValues(t, 1, w.pushed["stripe"])
			require.Nil(t, w.state().Lanes[0].LastError)
		})
	}
	t.Run("a retry after a refusal is a new request, any other the same one", func(t *testing.T) {
		t.Parallel()
		for class, same := range map[tandem.Class]bool{tandem.Invalid: false, tandem.Conflict: true} {
			w := newWorld(t)
			w.fail = first(1, failure(class, "no_use"))
			w.changeAt(0, "chg_1")
			w.signalAt(time.Hour, workflows.SignalRetry, "")
			require.NoError(t, w.run())
			require.Equal(t, same, w.calls[0].Key == w.calls[1].Key, class)
		}
	})
	t.Run("a retry that fails parks again and waits again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(3, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		for i := 1; i <= 3; i++ {
			w.signalAt(time.Duration(i)*time.Hour, workflows.SignalRetry, "")
		}
		require.NoError(t, w.run())
		require.Len(t, w.parks, 3)
		require.Len(t, w.calls, 4)
	})
	t.Run("skip ends the run with the mapping parked", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(99, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.signalAt(time.Hour, workflows.SignalSkip, "")
		require.NoError(t, w.run())
		require.Len(t, w.calls, 1)
		require.Equal(t, "email_invalid", w.state().Lanes[0].LastError.Code)
	})
	t.Run("the customer's next change is tried without a person", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(1, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.changeAt(time.Hour, "chg_2")
		require.NoError(t, w.run())
		require.Equal(t, []string{"stripe:1.0", "stripe:2.1"}, w.keys())
		require.EqualValues(t, 2, w.pushed["stripe"])
	})
	t.Run("one provider that waits holds up no other, and keeps the run open", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = func(call tandem.Call, _ int) error {
			if call.Provider == "other" && w.epoch < 2 {
				return failure(tandem.Invalid, "email_invalid")
			}
			return nil
		}
		w.changeAt(0, "chg_1")
		w.at(time.Hour, func() {
			require.EqualValues(t, 1, w.pushed["stripe"])
			require.Equal(t, "rests", w.state().Lanes[0].Step)
			require.Equal(t, "waits for a person", w.state().Lanes[1].Step)
		})
		w.signalAt(2*time.Hour, workflows.SignalRetry, "stripe") // not meant for the one that waits
		w.at(3*time.Hour, func() { require.Equal(t, 1, w.callsTo("other")) })
		w.changeAt(4*time.Hour, "chg_2")
		w.at(5*time.Hour, func() {
			require.EqualValues(t, 2, w.pushed["stripe"])
			require.Equal(t, 2, w.callsTo("other"))
		})
		w.signalAt(6*time.Hour, workflows.SignalRetry, "other")
		require.NoError(t, w.run("stripe", "other"))
		require.EqualValues(t, 2, w.pushed["other"])
		require.Equal(t, 2, w.callsTo("stripe"))
	})
	t.Run("retry wakes a backoff at once, with the same call", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		again := temporal.NewApplicationErrorWithOptions("transient/unavailable", string(tandem.Transient),
			temporal.ApplicationErrorOptions{NextRetryDelay: 10 * time.Hour, Details: []any{tandem.LastError{Class: tandem.Transient}}})
		w.fail = first(1, again)
		w.changeAt(0, "chg_1")
		begun := w.env.Now()
		w.signalAt(time.Minute, workflows.SignalRetry, "")
		require.NoError(t, w.run())
		require.Len(t, w.calls, 2)
		require.Equal(t, w.calls[0], w.calls[1])
		require.WithinDuration(t, begun.Add(time.Minute), w.env.Now(), time.Second)
	})
	t.Run("a failure without words of ours is a bug, a time-out an open question", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(1, temporal.NewNonRetryableApplicationError("boom", "Whatever", nil))
		w.changeAt(0, "chg_1")
		w.signalAt(time.Hour, workflows.SignalRetry, "")
		require.NoError(t, w.run())
		require.Equal(t, tandem.Bug, w.parks[0].Failure.Class)
		require.Equal(t, tandem.Ambiguous, activities.FailureOf(temporal.NewTimeoutError(1, nil), time.Now()).Class)
	})
}

func TestOutbound_cancelled(t *testing.T) {
	t.Parallel()
	t.Run("while it waits for a person", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(99, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.at(time.Hour, w.env.CancelWorkflow)
		requireCanceled(t, w.run())
		require.Len(t, w.parks, 1)
	})
	t.Run("while a call backs off; the claim stays for the next run", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(99, failure(tandem.Transient, "unavailable"))
		w.changeAt(0, "chg_1")
		w.at(500*time.Millisecond, w.env.CancelWorkflow)
		requireCanceled(t, w.run())
		require.Contains(t, w.claims, "stripe")
		require.Empty(t, w.parks, "a person's cancelling is no failure of the call")
	})
}

func requireCanceled(t *testing.T, err error) {
	t.Helper()
	var canceled *temporal.CanceledError
	require.ErrorAs(t, err, &canceled)
}

func TestOutbound_continues_as_new(t *testing.T) {
	t.Parallel()
	next := func(t *testing.T, err error) workflows.OutboundInput {
		t.Helper()
		var can *workflow.ContinueAsNewError
		require.ErrorAs(t, err, &can)
		var in workflows.OutboundInput
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(can.Input, &in))
		return in
	}
	t.Run("between two calls, with the rest of the work due", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.took = 10 * time.Second
		w.changeAt(0, "chg_1")
		w.changeAt(time.Second, "chg_2")
		w.at(2*time.Second, func() { w.env.SetContinueAsNewSuggested(true) })
		in := next(t, w.run())
		require.Equal(t, workflows.OutboundInput{
			CustomerID: customerID, Providers: []string{"stripe"}, Due: true, Cause: tandem.Cause{Kind: tandem.ByAPI, ID: "chg_2"},
		}, in)
		require.Equal(t, []string{"stripe:1.0"}, w.keys(), "the second call is the next run's")
		require.Len(t, w.records, 1, "what was called was recorded")
	})
	t.Run("a run that is told of work due does it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.version = 1
		w.env.ExecuteWorkflow(workflows.Outbound, workflows.OutboundInput{
			CustomerID: customerID, Providers: []string{"stripe"}, Due: true, Cause: tandem.Cause{Kind: tandem.ByAPI, ID: "chg_2"},
		})
		require.NoError(t, w.env.GetWorkflowError())
		require.Equal(t, 1, w.plans)
		require.Equal(t, tandem.Cause{Kind: tandem.ByAPI, ID: "chg_2"}, w.records[0].Cause)
	})
	t.Run("a lane that waits for a person does not hold it up, one that calls does", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = func(call tandem.Call, attempt int) error {
			if call.Provider == "other" {
				return failure(tandem.Invalid, "email_invalid")
			}
			if attempt < 10 {
				return failure(tandem.Transient, "unavailable")
			}
			return nil
		}
		w.changeAt(0, "chg_1")
		w.at(2*time.Second, func() { w.env.SetContinueAsNewSuggested(true) })
		require.True(t, next(t, w.run("stripe", "other")).Due)
		require.EqualValues(t, 1, w.pushed["stripe"], "the call was cut off")
	})
	t.Run("not while a caller waits for its answer", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.env.SetContinueAsNewSuggested(true)
		a := w.changeAt(0, "chg_1")
		require.True(t, next(t, w.run()).Due)
		require.NoError(t, a.err)
		require.True(t, a.done)
		require.Empty(t, w.calls)
	})
}

// TestOutbound_retryWhileParking: the mapping shows the failure before the lane waits, and a person may be that quick, or
// a worker that dies in between that slow.
func TestOutbound_retryWhileParking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail = first(1, failure(tandem.Invalid, "email_invalid"))
	w.parking = func() { w.env.SignalWorkflow(workflows.SignalRetry, "stripe") }
	w.changeAt(0, "chg_1")
	w.signalAt(time.Hour, workflows.SignalSkip, "") // or it would wait for ever
	require.NoError(t, w.run())
	require.Len(t, w.calls, 2, "it was heard")
	require.Empty(t, w.skips)
}
