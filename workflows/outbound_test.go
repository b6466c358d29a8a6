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

func TestOutbound(t *testing.T) {
	t.Parallel()
	t.Run("a change is made, called, recorded, and the run ends", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.changeAt(0, "chg_1")
		require.NoError(t, w.run())
		require.NoError(t, a.err)
		require.Equal(t, customerID, a.customer.ID)
		require.Equal(t, []string{"stripe:1.0"}, w.keys())
		require.Equal(t, tandem.ActCreate, w.calls[0].Action)
		require.Len(t, w.records, 1)
		require.Equal(t, tandem.Cause{Kind: tandem.ByAPI, ID: "chg_1"}, w.records[0].Cause)
		require.Empty(t, w.parks)
	})
	t.Run("the caller is answered before the provider has been called", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.took = 10 * time.Second
		a := w.changeAt(0, "chg_1")
		w.at(time.Second, func() {
			require.True(t, a.done, "the call is still under way")
			require.Empty(t, w.records)
			require.Equal(t, "calls: create", w.state().Lanes[0].Step)
		})
		require.NoError(t, w.run())
		require.Len(t, w.records, 1)
	})
	t.Run("a change that arrives during a call is planned after it, as a call of its own", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.took = 10 * time.Second
		w.changeAt(0, "chg_1")
		second := w.changeAt(3*time.Second, "chg_2")
		require.NoError(t, w.run())
		require.NoError(t, second.err)
		require.Equal(t, []string{"stripe:1.0", "stripe:2.0"}, w.keys())
		require.Equal(t, tandem.ActUpdate, w.calls[1].Action)
		require.EqualValues(t, 2, w.pushed["stripe"])
	})
	t.Run("a poke that cannot say which event it is for does not take the change's name away", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.took = 10 * time.Second
		w.changeAt(0, "chg_1")
		w.signalAt(3*time.Second, workflows.SignalSync, workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByWebhook}})
		require.NoError(t, w.run())
		require.Equal(t, tandem.Cause{Kind: tandem.ByAPI, ID: "chg_1"}, w.records[0].Cause)
	})
	t.Run("changes that arrive together take turns and are answered with rising versions", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.took = 10 * time.Second
		var answers []*answer
		for _, id := range []string{"chg_1", "chg_2", "chg_3", "chg_4"} {
			answers = append(answers, w.changeAt(0, id))
		}
		require.NoError(t, w.run())
		for i, a := range answers {
			require.NoError(t, a.err)
			require.EqualValues(t, i+1, a.customer.Version)
		}
		require.EqualValues(t, 4, w.pushed["stripe"])
	})
	t.Run("a provider is called on its own queue", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.changeAt(0, "chg_1")
		require.NoError(t, w.run("stripe", "other"))
		require.ElementsMatch(t, []string{tandem.TaskQueue("stripe"), tandem.TaskQueue("other")}, w.queues)
	})
	t.Run("a failure that can be retried is retried as the same call", func(t *testing.T) {
		t.Parallel()
		for _, class := range []tandem.Class{tandem.Transient, tandem.Ambiguous, tandem.RateLimited, tandem.Auth} {
			w := newWorld(t)
			w.fail = first(5, failure(class, "again"))
			w.changeAt(0, "chg_1")
			require.NoError(t, w.run())
			require.Len(t, w.calls, 6)
			for _, c := range w.calls {
				require.Equal(t, w.calls[0], c, class)
			}
			require.Empty(t, w.parks)
			require.Len(t, w.records, 1)
		}
	})
	t.Run("a refused change tells its caller why, and ends without a call", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.refuse = func(tandem.Change) error { return failure(tandem.Conflict, tandem.CodeExternalIDTaken) }
		a := w.changeAt(0, "chg_1")
		require.NoError(t, w.run())
		require.False(t, a.rejected)
		require.Equal(t, tandem.CodeExternalIDTaken, activities.FailureOf(a.err, time.Now()).Code)
		require.Empty(t, w.calls)
		require.Empty(t, w.parks)
	})
	t.Run("a change for another customer, or without an id, is rejected", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		for _, ch := range []tandem.Change{{ID: "chg_1", CustomerID: "cust_other"}, {CustomerID: customerID}} {
			w.at(0, func() { w.env.UpdateWorkflow(workflows.UpdateChange, "u"+ch.ID, rejected(t), ch) })
		}
		require.NoError(t, w.run())
		require.Zero(t, w.version)
	})
	t.Run("started with nothing to do, it looks and ends at once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		begun := w.env.Now()
		require.NoError(t, w.run("stripe", "other"))
		require.Equal(t, 2, w.plans)
		require.Empty(t, w.calls)
		require.Equal(t, begun, w.env.Now())
	})
	t.Run("a sync that was asked for looks once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.version = 1
		w.signalAt(0, workflows.SignalSync, workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByOperator, ID: "op_1"}})
		require.NoError(t, w.run())
		require.Equal(t, 1, w.plans)
		require.Equal(t, []string{"stripe:1.0"}, w.keys())
		require.Equal(t, tandem.Cause{Kind: tandem.ByOperator, ID: "op_1"}, w.records[0].Cause)
	})
	t.Run("goes on from a claim that a worker left when it died before answering", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		claim := tandem.Call{Action: tandem.ActCreate, Provider: "stripe", CustomerID: customerID, Key: "left", MappingVersion: 1}
		w.version, w.claims["stripe"] = 1, claim
		require.NoError(t, w.run())
		require.Equal(t, []tandem.Call{claim}, w.calls)
		require.EqualValues(t, 1, w.pushed["stripe"])
	})
	t.Run("an answer whose order is in doubt is settled by a fetch", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.doubt = func(in activities.AnswerInput) *activities.FetchInput {
			if in.State.Source == tandem.FromFetch {
				return nil
			}
			return &activities.FetchInput{Provider: "stripe", RemoteID: in.State.RemoteID, After: 7, Key: in.Call.Key, Cause: in.Cause}
		}
		w.changeAt(0, "chg_1")
		require.NoError(t, w.run())
		require.Len(t, w.calls, 1)
		require.Len(t, w.fetches, 1)
		require.Equal(t, activities.FetchInput{
			Provider: "stripe", RemoteID: "cus_stripe", After: 7, Key: "stripe:1.0", Cause: tandem.Cause{Kind: tandem.ByAPI, ID: "chg_1"},
		}, w.fetches[0])
		require.Len(t, w.records, 2)
		require.Equal(t, tandem.FromFetch, w.records[1].State.Source)
	})
	t.Run("without a customer or a provider it fails, and is not retried", func(t *testing.T) {
		t.Parallel()
		for _, in := range []workflows.OutboundInput{{}, {CustomerID: customerID}, {Providers: []string{"stripe"}}} {
			w := newWorld(t)
			w.env.ExecuteWorkflow(workflows.Outbound, in)
			var app *temporal.ApplicationError
			require.ErrorAs(t, w.env.GetWorkflowError(), &app)
			require.True(t, app.NonRetryable())
		}
	})
}

// A commit whose answer was lost may have happened. The caller is told that nobody knows, and the lanes must look all
// the same: the customer may be ahead of its provider.
func TestOutbound_looks_after_a_change_whose_commit_is_in_doubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.took = 10 * time.Second
	w.after = func(ch tandem.Change) error {
		if ch.ID == "chg_2" {
			return temporal.NewNonRetryableApplicationError("ambiguous/unavailable", string(tandem.Ambiguous), nil,
				tandem.LastError{Class: tandem.Ambiguous, Code: tandem.CodeUnavailable})
		}
		return nil
	}
	w.fail = func(call tandem.Call, _ int) error {
		if call.Key == "stripe:1.0" {
			return failure(tandem.Invalid, "email_invalid")
		}
		return nil
	}
	w.changeAt(0, "chg_1")                          // is refused by the provider, and parks
	doubtful := w.changeAt(time.Minute, "chg_2")    // might mend it
	w.signalAt(time.Hour, workflows.SignalSkip, "") // or else this run would wait for ever
	require.NoError(t, w.run())
	require.Equal(t, tandem.Ambiguous, activities.FailureOf(doubtful.err, time.Now()).Class)
	require.EqualValues(t, 2, w.pushed["stripe"], "the stored change never reached the provider")
}
