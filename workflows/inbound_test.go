package workflows_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

const remoteID = "cus_000000000001"

// ledger plays the database to an Inbound run. Every apply takes what waits at that moment.
type ledger struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment

	mu      sync.Mutex
	waiting int
	batches []int // how many events each apply took
	fetched []activities.FetchInput
	settled []activities.StateInput
	ended   []activities.EndInput
	pokes   []activities.PokeInput

	took    time.Duration                              // by a fetch
	applied func(n int, out *activities.Applied) error // n-th apply
	fetch   func(n int) error                          // n-th fetch
	settle  func(n int, out *activities.Applied) error // n-th ApplyFetched
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{t: t, env: newEnv(t)}
	l.env.RegisterWorkflow(workflows.Inbound)
	l.env.OnActivity(acts.ApplyEvents, mock.Anything, mock.Anything).Return(l.apply)
	l.env.OnActivity(acts.FetchRemote, mock.Anything, mock.Anything).AfterFn(func() time.Duration { return l.took }).Return(
		func(_ context.Context, in activities.FetchInput) (tandem.RemoteState, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.fetched = append(l.fetched, in)
			state := tandem.RemoteState{Provider: in.Provider, RemoteID: in.RemoteID, After: in.After, EventRows: in.EventRows}
			if l.fetch != nil {
				return state, l.fetch(len(l.fetched))
			}
			return state, nil
		})
	l.env.OnActivity(acts.ApplyFetched, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.StateInput) (activities.Applied, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.settled = append(l.settled, in)
			var out activities.Applied
			if l.settle != nil {
				return out, l.settle(len(l.settled), &out)
			}
			return out, nil
		})
	l.env.OnActivity(acts.EndEvents, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.EndInput) error { l.ended = append(l.ended, in); return nil })
	l.env.OnActivity(acts.PokeOutbound, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.PokeInput) error { l.pokes = append(l.pokes, in); return nil })
	return l
}

func (l *ledger) apply(_ context.Context, in activities.EventsInput) (activities.Applied, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Equal(l.t, activities.EventsInput{Provider: "stripe", RemoteID: remoteID}, in)
	l.batches = append(l.batches, l.waiting)
	var out activities.Applied
	if l.applied != nil {
		if err := l.applied(len(l.batches), &out); err != nil {
			return activities.Applied{}, err
		}
	}
	l.waiting = 0
	return out, nil
}

// eventAt stores an event and signals, as the webhook handler does.
func (l *ledger) eventAt(d time.Duration) {
	l.env.RegisterDelayedCallback(func() {
		l.mu.Lock()
		l.waiting++
		l.mu.Unlock()
		l.env.SignalWorkflow(workflows.SignalEvents, workflows.EventsSignal{Rows: []string{"pev_1"}})
	}, d)
}

func (l *ledger) at(d time.Duration, f func()) { l.env.RegisterDelayedCallback(f, d) }

func (l *ledger) run() error {
	l.t.Helper()
	l.env.ExecuteWorkflow(workflows.Inbound, workflows.InboundInput{Provider: "stripe", RemoteID: remoteID})
	require.True(l.t, l.env.IsWorkflowCompleted())
	return l.env.GetWorkflowError()
}

func (l *ledger) step() string {
	l.t.Helper()
	v, err := l.env.QueryWorkflow(workflows.QueryState)
	require.NoError(l.t, err)
	return decode[workflows.State](l.t, v).Step
}

func TestInbound(t *testing.T) {
	t.Parallel()
	t.Run("one event is applied, and the run ends", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Equal(t, []int{1}, l.batches)
		require.Empty(t, l.fetched)
		require.Empty(t, l.pokes)
	})
	t.Run("events that are signalled together are applied together", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		for range 20 {
			l.eventAt(0)
		}
		require.NoError(t, l.run())
		require.Equal(t, []int{20}, l.batches)
	})
	t.Run("an event that is signalled while others are processed is not lost", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.took = 10 * time.Second
		l.applied = func(n int, out *activities.Applied) error {
			if n == 1 {
				out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID}
			}
			return nil
		}
		l.eventAt(0)
		l.eventAt(5 * time.Second)
		l.eventAt(6 * time.Second)
		require.NoError(t, l.run())
		require.Equal(t, []int{1, 2}, l.batches)
	})
	t.Run("a full batch is followed by the next", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(n int, out *activities.Applied) error { out.More = n < 3; return nil }
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Len(t, l.batches, 3)
	})
	t.Run("an order in doubt is settled by a fetch", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		in := activities.FetchInput{
			Provider: "stripe", RemoteID: remoteID, After: 3, EventRows: []string{"pev_1", "pev_2"},
			Cause: tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_2"},
		}
		l.applied = func(_ int, out *activities.Applied) error { out.Fetch = &in; return nil }
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Equal(t, []activities.FetchInput{in}, l.fetched)
		require.Equal(t, []activities.StateInput{{
			State: tandem.RemoteState{Provider: "stripe", RemoteID: remoteID, After: 3, EventRows: in.EventRows}, Cause: in.Cause,
		}}, l.settled)
	})
	t.Run("a fetch that settles nothing, because something was recorded meanwhile, is made again", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(_ int, out *activities.Applied) error {
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID, After: 3}
			return nil
		}
		l.settle = func(n int, out *activities.Applied) error {
			if n == 1 {
				out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID, After: 4}
			}
			return nil
		}
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Len(t, l.fetched, 2)
		require.EqualValues(t, 4, l.fetched[1].After)
	})
	t.Run("events of a customer that the provider does not know are parked", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(_ int, out *activities.Applied) error {
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID, EventRows: []string{"pev_1"}}
			return nil
		}
		l.fetch = func(int) error { return failure(tandem.Gone, tandem.CodeRemoteGone) }
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Equal(t, []activities.EndInput{
			{Rows: []string{"pev_1"}, State: tandem.EventParked, Reason: tandem.CodeRemoteGone},
		}, l.ended)
		require.Empty(t, l.settled)
	})
	t.Run("a fetch that can be retried is retried", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(_ int, out *activities.Applied) error {
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID}
			return nil
		}
		l.fetch = func(n int) error {
			if n < 6 {
				return failure(tandem.RateLimited, "rate_limit")
			}
			return nil
		}
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Len(t, l.fetched, 6)
		require.Len(t, l.settled, 1)
	})
	t.Run("retry wakes a fetch that backs off at once", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(_ int, out *activities.Applied) error {
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID}
			return nil
		}
		l.fetch = func(n int) error {
			if n == 1 {
				return temporal.NewApplicationErrorWithOptions("transient/unavailable", string(tandem.Transient),
					temporal.ApplicationErrorOptions{NextRetryDelay: 10 * time.Hour, Details: []any{tandem.LastError{Class: tandem.Transient}}})
			}
			return nil
		}
		begun := l.env.Now()
		l.eventAt(0)
		l.at(time.Minute, func() { l.env.SignalWorkflow(workflows.SignalRetry, "") })
		require.NoError(t, l.run())
		require.Len(t, l.fetched, 2)
		require.WithinDuration(t, begun.Add(time.Minute), l.env.Now(), time.Second)
	})
	t.Run("what is left to do at the provider is passed on", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(_ int, out *activities.Applied) error { out.Poke = []string{customerID}; return nil }
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Equal(t, []activities.PokeInput{{CustomerID: customerID, Cause: tandem.Cause{Kind: tandem.ByWebhook}}}, l.pokes)
	})
	t.Run("what an event leaves to do is passed on in its name", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		cause := tandem.Cause{Kind: tandem.ByWebhook, ID: "evt_1"}
		l.applied = func(_ int, out *activities.Applied) error {
			out.Poke, out.Cause = []string{customerID}, cause
			return nil
		}
		l.eventAt(0)
		require.NoError(t, l.run())
		require.Equal(t, []activities.PokeInput{{CustomerID: customerID, Cause: cause}}, l.pokes)
	})
	t.Run("continues as new between two batches", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.env.SetContinueAsNewSuggested(true)
		l.applied = func(_ int, out *activities.Applied) error { out.More = true; return nil }
		l.eventAt(0)
		var can *workflow.ContinueAsNewError
		require.ErrorAs(t, l.run(), &can)
		require.Len(t, l.batches, 1)
	})
}

func TestInbound_waits(t *testing.T) {
	t.Parallel()
	broken := func(until int) func(int, *activities.Applied) error {
		return func(n int, _ *activities.Applied) error {
			if n < until {
				return failure(tandem.Bug, tandem.CodeInternal)
			}
			return nil
		}
	}
	for name, signal := range map[string]string{"a person": workflows.SignalRetry, "another event": workflows.SignalEvents} {
		t.Run("after a failure no retry can help, until "+name+" comes", func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.applied = broken(2)
			l.eventAt(0)
			l.at(time.Hour, func() {
				require.Equal(t, []int{1}, l.batches)
				require.Equal(t, "waits for a person: bug/internal", l.step())
				l.env.SignalWorkflow(signal, nil)
			})
			require.NoError(t, l.run())
			require.Equal(t, []int{1, 1}, l.batches, "the event was still there")
		})
	}
	t.Run("again and again", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = broken(4)
		for i := range 4 {
			l.eventAt(time.Duration(i) * time.Hour)
		}
		require.NoError(t, l.run())
		require.Equal(t, []int{1, 2, 3, 4}, l.batches)
	})
	t.Run("skip gives up waiting: the run ends, the events stay", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = broken(99)
		l.eventAt(0)
		l.at(time.Hour, func() { l.env.SignalWorkflow(workflows.SignalSkip, nil) })
		require.NoError(t, l.run())
		require.Equal(t, []int{1}, l.batches)
		require.Equal(t, 1, l.waiting)
	})
	t.Run("and grows no history without end", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = broken(99)
		l.eventAt(0)
		l.at(time.Hour, func() { l.env.SetContinueAsNewSuggested(true) })
		l.eventAt(2 * time.Hour)
		l.eventAt(3 * time.Hour)
		var can *workflow.ContinueAsNewError
		require.ErrorAs(t, l.run(), &can)
	})
}

// spent is the refusal of a read that Temporal is not to try again.
func spent() error {
	last := tandem.LastError{Class: tandem.RateLimited, Code: tandem.CodeReadBudgetSpent}
	return temporal.NewApplicationErrorWithOptions("rate_limited/read_budget_spent", string(last.Class),
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{last}})
}

func TestInbound_readBudget(t *testing.T) {
	t.Parallel()
	doubtful := func(t *testing.T, until int) *ledger {
		l := newLedger(t)
		l.env.SetStartTime(time.Date(2031, 5, 1, 21, 0, 0, 0, time.UTC))
		l.applied = func(_ int, out *activities.Applied) error {
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID, Why: activities.ReadForEvents}
			return nil
		}
		l.fetch = func(n int) error {
			if n < until {
				return spent()
			}
			return nil
		}
		l.eventAt(0)
		return l
	}
	t.Run("the event is tried again by itself, within an hour each time and soon after midnight", func(t *testing.T) {
		t.Parallel()
		l := doubtful(t, 1000)
		fetch := l.fetch
		l.fetch = func(n int) error {
			if now := l.env.Now().UTC(); now.Day() == 2 {
				require.Less(t, now.Hour()*60+now.Minute(), 11, "not the whole night later")
				return nil
			}
			return fetch(n)
		}
		l.at(30*time.Minute, func() { require.Equal(t, "waits for the day's read budget", l.step()) })
		require.NoError(t, l.run())
		require.Len(t, l.settled, 1)
		require.GreaterOrEqual(t, len(l.fetched), 4, "three hours")
		require.LessOrEqual(t, len(l.fetched), 6)
	})
	for name, signal := range map[string]string{"a person": workflows.SignalRetry, "another event": workflows.SignalEvents} {
		t.Run(name+" ends the wait", func(t *testing.T) {
			t.Parallel()
			l := doubtful(t, 2)
			begun := l.env.Now()
			l.at(time.Minute, func() { l.env.SignalWorkflow(signal, nil) })
			require.NoError(t, l.run())
			require.Len(t, l.settled, 1)
			require.Len(t, l.batches, 2, "what waits is decided anew: another event may have settled it")
			require.WithinDuration(t, begun.Add(time.Minute), l.env.Now(), time.Second)
		})
	}
	t.Run("what other events left to do is passed on at once", func(t *testing.T) {
		t.Parallel()
		l := doubtful(t, 2)
		applied := l.applied
		l.applied = func(n int, out *activities.Applied) error { out.Poke = []string{customerID}; return applied(n, out) }
		l.at(time.Minute, func() { require.Len(t, l.pokes, 1) })
		require.NoError(t, l.run())
	})
	t.Run("skip gives up waiting", func(t *testing.T) {
		t.Parallel()
		l := doubtful(t, 1000)
		l.at(time.Minute, func() { l.env.SignalWorkflow(workflows.SignalSkip, nil) })
		require.NoError(t, l.run())
		require.Empty(t, l.settled)
	})
	t.Run("cancelled, it ends", func(t *testing.T) {
		t.Parallel()
		l := doubtful(t, 1000)
		l.at(time.Minute, l.env.CancelWorkflow)
		requireCanceled(t, l.run())
	})
}

// A cancelled run has to end. One that went on waiting would take the signals of all later events and apply none.
func TestInbound_cancelled(t *testing.T) {
	t.Parallel()
	t.Run("while it waits for a person", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(int, *activities.Applied) error { return failure(tandem.Bug, tandem.CodeInternal) }
		l.eventAt(0)
		l.at(time.Hour, l.env.CancelWorkflow)
		requireCanceled(t, l.run())
	})
	t.Run("while a fetch backs off", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		l.applied = func(_ int, out *activities.Applied) error {
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID}
			return nil
		}
		l.fetch = func(int) error {
			return temporal.NewApplicationErrorWithOptions("transient/unavailable", string(tandem.Transient),
				temporal.ApplicationErrorOptions{NextRetryDelay: time.Minute, Details: []any{tandem.LastError{Class: tandem.Transient}}})
		}
		l.eventAt(0)
		l.at(time.Second, l.env.CancelWorkflow)
		requireCanceled(t, l.run())
	})
}
