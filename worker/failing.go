package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// telling has a workflow know that its call fails and is being retried, and why: Temporal tells it of the end only. The
// workflow shows it to people and does nothing about it, so nothing is lost when it cannot be told.
type telling struct {
	interceptor.WorkerInterceptorBase
	client   client.Client
	provider string
	log      *slog.Logger
}

func (t *telling) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	act := &tellingAct{telling: t}
	act.Next = next
	return act
}

type tellingAct struct {
	interceptor.ActivityInboundInterceptorBase
	*telling
}

func (a *tellingAct) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := a.Next.ExecuteActivity(ctx, in)
	if err != nil {
		a.tell(ctx, err)
	}
	return out, err
}

// told is kept in the act's heartbeat, from attempt to attempt.
type told struct {
	Class tandem.Class `json:"class"`
	Times int          `json:"times"`
}

// mostTold bounds what one call adds to the history of its workflow, should its failures take turns for weeks.
const mostTold = 20

// tell passes on what is news: the first failure may be the last, and is kept to itself.
func (a *tellingAct) tell(ctx context.Context, err error) {
	app, ours := errors.AsType[*temporal.ApplicationError](err)
	info := activity.GetInfo(ctx)
	if !ours || app.NonRetryable() || info.Attempt < 2 {
		return
	}
	failure := *activities.FailureOf(err, time.Now().UTC())
	var before told
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &before) != nil {
		before = told{} // a lookup says how far it has come
	}
	if before.Class == failure.Class || before.Times >= mostTold {
		return
	}
	failure.Message = "" // may quote a person
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	w := info.WorkflowExecution
	err = a.client.SignalWorkflow(ctx, w.ID, w.RunID, workflows.SignalFailing, workflows.Failing{Provider: a.provider, Failure: failure})
	if _, ended := errors.AsType[*serviceerror.NotFound](err); err != nil && !ended {
		a.log.Warn("worker.failure_not_told", "workflow_id", w.ID, "error", err)
		return
	}
	activity.RecordHeartbeat(ctx, told{failure.Class, before.Times + 1})
}
