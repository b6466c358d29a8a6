package activities_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/db"
)

// restarting is a database that is away for the first few transactions.
type restarting struct {
	*db.Store
	away atomic.Int64
}

func (r *restarting) Plan(ctx context.Context, customerID, provider string, ask tandem.Ask) (tandem.Call, error) {
	if r.away.Add(-1) >= 0 {
		return tandem.Call{}, &tandem.Error{Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "the database is not available"}
	}
	return r.Store.Plan(ctx, customerID, provider, ask)
}

// A local activity is retried as its policy says, in milliseconds: somebody waits for it, and the workflow task with
// it. The delays of provider calls, up to minutes, are not for it.
func TestLocalActivity_is_retried_at_its_own_pace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id, call := b.stored(t)
	store := &restarting{Store: b.store}
	store.away.Store(6)
	b.acts.Store = store
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(b.acts)
	plan := func(ctx workflow.Context) (took time.Duration, err error) {
		ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
			StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: time.Hour,
			RetryPolicy: &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Second},
		})
		begun := workflow.Now(ctx)
		var got tandem.Call
		err = workflow.ExecuteLocalActivity(ctx, b.acts.PlanCall, activities.PlanInput{CustomerID: id, Provider: "stripe"}).Get(ctx, &got)
		if err == nil && got.Key != call.Key {
			err = temporal.NewApplicationError("another call", "")
		}
		return workflow.Now(ctx).Sub(begun), err
	}
	env.RegisterWorkflow(plan)
	env.ExecuteWorkflow(plan)
	require.NoError(t, env.GetWorkflowError())
	var took time.Duration
	require.NoError(t, env.GetWorkflowResult(&took))
	require.Less(t, took, 5*time.Second, "50 + 100 + 200 + 400 + 800 + 1000 ms are due")
}
