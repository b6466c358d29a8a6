package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// backlog plays the ledger to a Drain run: every look finds the next page.
type backlog struct {
	env     *testsuite.TestWorkflowEnvironment
	pages   []activities.Queue // what the looks find, one after the other; then nothing
	looks   []string           // where each began
	drained [][]string
	handed  []activities.HandOverInput
	drain   func(n int, out *activities.Drained) error
}

func newBacklog(t *testing.T, pages ...activities.Queue) *backlog {
	t.Helper()
	b := &backlog{env: newEnv(t), pages: pages}
	b.env.RegisterWorkflow(workflows.Drain)
	b.env.OnActivity(acts.NextWaiting, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.QueueInput) (q activities.Queue, err error) {
			b.looks = append(b.looks, in.After)
			if len(b.pages) > 0 {
				q, b.pages = b.pages[0], b.pages[1:]
			}
			return q, nil
		})
	b.env.OnActivity(acts.DrainEvents, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.DrainInput) (out activities.Drained, err error) {
			b.drained = append(b.drained, in.RemoteIDs)
			if b.drain != nil {
				err = b.drain(len(b.drained), &out)
			}
			return out, err
		})
	b.env.OnActivity(acts.HandOver, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.HandOverInput) error {
			b.handed = append(b.handed, in)
			return nil
		})
	return b
}

func (b *backlog) run(t *testing.T) error {
	t.Helper()
	b.env.ExecuteWorkflow(workflows.Drain, workflows.DrainInput{Provider: "stripe"})
	require.True(t, b.env.IsWorkflowCompleted())
	return b.env.GetWorkflowError()
}

func TestDrain(t *testing.T) {
	t.Parallel()
	page := func(next string, ids ...string) activities.Queue { return activities.Queue{RemoteIDs: ids, Next: next} }

	t.Run("an_empty_ledger_is_one_look", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t)
		require.NoError(t, b.run(t))
		require.Equal(t, []string{""}, b.looks)
		require.Empty(t, b.drained)
	})

	t.Run("goes_page_by_page_and_hands_over_what_is_left", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t, page("pev_2", "cus_1", "cus_2"), page("", "cus_3"))
		b.drain = func(n int, out *activities.Drained) error {
			if n == 1 {
				out.Leave, out.Poke = []string{"cus_2"}, []string{"cust_9"}
			}
			return nil
		}
		require.NoError(t, b.run(t))
		require.Equal(t, []string{"", "pev_2"}, b.looks)
		require.Equal(t, [][]string{{"cus_1", "cus_2"}, {"cus_3"}}, b.drained)
		require.Equal(t, []activities.HandOverInput{{Provider: "stripe", RemoteIDs: []string{"cus_2"}, Customers: []string{"cust_9"}}}, b.handed)
	})

	t.Run("a_full_transaction_is_followed_by_another", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t, page("", "cus_1"))
		b.drain = func(n int, out *activities.Drained) error { out.More = n < 3; return nil }
		require.NoError(t, b.run(t))
		require.Len(t, b.drained, 3)
	})

	t.Run("a_signal_during_the_walk_is_another_walk", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t, page("", "cus_1"), page("", "cus_2"))
		b.drain = func(n int, _ *activities.Drained) error {
			if n == 1 {
				b.env.SignalWorkflow(workflows.SignalEvents, nil)
			}
			return nil
		}
		require.NoError(t, b.run(t))
		require.Equal(t, [][]string{{"cus_1"}, {"cus_2"}}, b.drained)
	})

	t.Run("a_database_that_is_away_is_waited_for", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t, page("", "cus_1"))
		b.drain = func(n int, _ *activities.Drained) error {
			if n < 4 {
				return failure(tandem.Transient, "unavailable")
			}
			return nil
		}
		require.NoError(t, b.run(t))
		require.Len(t, b.drained, 4)
	})

	t.Run("goes_on_in_a_new_run_before_the_history_grows", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t, page("pev_1", "cus_1"), page("", "cus_2"))
		b.drain = func(int, *activities.Drained) error { b.env.SetContinueAsNewSuggested(true); return nil }
		err := b.run(t)
		require.True(t, workflow.IsContinueAsNewError(err), err)
		require.Len(t, b.drained, 1)
	})

	t.Run("a_cancelled_run_ends", func(t *testing.T) {
		t.Parallel()
		b := newBacklog(t, page("", "cus_1"))
		b.drain = func(int, *activities.Drained) error { return failure(tandem.Transient, "unavailable") }
		b.env.RegisterDelayedCallback(b.env.CancelWorkflow, time.Minute)
		require.Error(t, b.run(t))
	})
}
