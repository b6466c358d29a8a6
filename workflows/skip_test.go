package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// slow is a failure whose next attempt is hours away.
func slow(class tandem.Class) error {
	return temporal.NewApplicationErrorWithOptions(string(class)+"/no_use", string(class), temporal.ApplicationErrorOptions{
		NextRetryDelay: 10 * time.Hour, Details: []any{tandem.LastError{Class: class, Code: "no_use"}},
	})
}

func TestSkip(t *testing.T) {
	t.Parallel()
	t.Run("ends a backoff: the run ends, the skip is noted, the claim stays", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(99, slow(tandem.Auth))
		w.changeAt(0, "chg_1")
		w.signalAt(time.Minute, workflows.SignalSkip, "stripe")
		begun := w.env.Now()
		require.NoError(t, w.run())
		require.WithinDuration(t, begun.Add(time.Minute), w.env.Now(), time.Second)
		require.Len(t, w.calls, 1)
		require.Equal(t, []activities.SkipInput{{
			CustomerID: customerID, Provider: "stripe", Cause: tandem.Cause{Kind: tandem.ByOperator},
		}}, w.skips)
		require.Contains(t, w.claims, "stripe")
		require.Empty(t, w.parks)
	})
	t.Run("also while a change waits behind the call; the next change tries again, with the same call first", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(1, slow(tandem.Transient))
		w.changeAt(0, "chg_1")
		w.changeAt(time.Minute, "chg_2")
		w.signalAt(2*time.Minute, workflows.SignalSkip, "")
		w.fail = func(_ tandem.Call, attempt int) error {
			if attempt == 1 {
				return slow(tandem.Transient)
			}
			return nil
		}
		require.NoError(t, w.run())
		require.Len(t, w.calls, 1, "what was given up was tried again")
		require.Len(t, w.skips, 1)

		next := newWorld(t)
		next.version, next.claims = w.version, w.claims
		next.changeAt(0, "chg_3")
		require.NoError(t, next.run())
		require.Equal(t, []string{"stripe:1.0", "stripe:3.0"}, next.keys())
	})
	t.Run("one lane's skip leaves the others to themselves", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = func(call tandem.Call, attempt int) error {
			if attempt <= 2 {
				return slow(tandem.Transient)
			}
			return nil
		}
		w.changeAt(0, "chg_1")
		w.signalAt(time.Minute, workflows.SignalSkip, "other")
		w.at(time.Hour, func() { require.Equal(t, "rests", w.state().Lanes[1].Step) })
		require.NoError(t, w.run("stripe", "other"))
		require.Len(t, w.skips, 1)
		require.Equal(t, "other", w.skips[0].Provider)
		require.EqualValues(t, 1, w.pushed["stripe"])
		require.Zero(t, w.pushed["other"])
	})
	t.Run("of a lane that waits for a person is noted too", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.fail = first(99, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.signalAt(time.Hour, workflows.SignalSkip, "")
		require.NoError(t, w.run())
		require.Len(t, w.skips, 1)
		require.Equal(t, "email_invalid", w.skips[0].Failure.Code)
	})
	t.Run("said while nothing waits, it is not kept for later", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.took = time.Minute
		w.fail = first(1, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.signalAt(0, workflows.SignalSkip, "") // before anything began
		w.at(time.Hour, func() { require.Equal(t, "waits for a person", w.state().Lanes[0].Step) })
		w.signalAt(2*time.Hour, workflows.SignalRetry, "")
		require.NoError(t, w.run())
		require.EqualValues(t, 1, w.pushed["stripe"])
		require.Empty(t, w.skips)
	})
}

func TestSkip_of_a_call_in_doubt(t *testing.T) {
	t.Parallel()
	t.Run("ends the quiet; nothing is looked up, nothing is given up", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(1, unproved(tandem.CodeSavedFailure))
		p.changeAt(0, "chg_1")
		p.signalAt(2*time.Second, workflows.SignalSkip, "")
		require.NoError(t, p.run())
		require.Equal(t, []string{"plan", "call"}, p.steps)
		require.Len(t, p.skips, 1)
		require.Equal(t, tandem.CodeSavedFailure, p.skips[0].Failure.Code)
		require.Contains(t, p.claims, "stripe")
	})
	t.Run("ends a lookup that fails", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(1, unproved(tandem.CodeKeyExpired))
		p.find = func(tandem.Call, int) (activities.Proof, error) { return activities.Proof{}, slow(tandem.RateLimited) }
		p.changeAt(0, "chg_1")
		p.signalAt(time.Minute, workflows.SignalSkip, "")
		require.NoError(t, p.run())
		require.Equal(t, []string{"plan", "call", "prove"}, p.steps)
		require.Len(t, p.skips, 1)
		require.Contains(t, p.claims, "stripe")
	})
	t.Run("after the quiet, a claim that its event has completed is not looked up", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(1, unproved(tandem.CodeSavedFailure))
		p.changeAt(0, "chg_1")
		p.at(5*time.Second, func() { // the event comes
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.claims, "stripe")
			p.pushed["stripe"] = p.version
		})
		require.NoError(t, p.run())
		require.Equal(t, []string{"plan", "call", "plan"}, p.steps)
		require.Len(t, p.calls, 1)
		require.Nil(t, p.state().Lanes[0].LastError)
	})
}

func TestSkip_of_a_fetch(t *testing.T) {
	t.Parallel()
	backsOff := func(t *testing.T) *ledger {
		l := newLedger(t)
		l.applied = func(n int, out *activities.Applied) error {
			if n == 1 {
				out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID}
			}
			return nil
		}
		l.fetch = func(int) error { return slow(tandem.Transient) }
		l.eventAt(0)
		return l
	}
	t.Run("ends the backoff and the run; nothing is settled", func(t *testing.T) {
		t.Parallel()
		l := backsOff(t)
		begun := l.env.Now()
		l.at(time.Minute, func() { l.env.SignalWorkflow(workflows.SignalSkip, "") })
		require.NoError(t, l.run())
		require.WithinDuration(t, begun.Add(time.Minute), l.env.Now(), time.Second)
		require.Len(t, l.fetched, 1)
		require.Empty(t, l.settled)
		require.Empty(t, l.ended)
	})
	t.Run("an event that came meanwhile is taken in all the same", func(t *testing.T) {
		t.Parallel()
		l := backsOff(t)
		l.eventAt(30 * time.Second)
		l.at(time.Minute, func() { l.env.SignalWorkflow(workflows.SignalSkip, "") })
		require.NoError(t, l.run())
		require.Equal(t, []int{1, 1}, l.batches)
	})
}
