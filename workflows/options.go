package workflows

import (
	"hash/fnv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
)

// TaskQueue is where both directions run. Provider calls have queues of their own, tandem.TaskQueue.
const TaskQueue = "tandem"

// forever is a year: how long an act is tried while the database or a provider is away. Something has to be said,
// because the SDK gives a local activity no more than one attempt's time otherwise.
const forever = 365 * 24 * time.Hour

// answering is for acts a caller waits for: better a clear error after this time, and the same request again, than an
// answer nobody reads any more.
const answering = 20 * time.Second

// forDatabaseAct is for the short transactions around a provider call: tried for as long as it takes.
func forDatabaseAct(ctx workflow.Context, summary string) workflow.Context {
	return databaseAct(ctx, summary, forever)
}

// forAnsweredAct is for the transaction behind an Update.
func forAnsweredAct(ctx workflow.Context, summary string) workflow.Context {
	return databaseAct(ctx, summary, answering)
}

func databaseAct(ctx workflow.Context, summary string, total time.Duration) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    10 * time.Second,
		ScheduleToCloseTimeout: total,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 50 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second,
		},
		Summary: summary,
	})
}

// forProviderCall is for everything that goes to a provider. The attempt's time is above the adapter's own deadline
// (20 s), so that the adapter is the one to say what happened. How long to wait between attempts is decided where the
// failure is known, in activities/errors.go; the policy here is what remains for time-outs. A worker that dies within a
// call is missed when its signs of life, one every three seconds, have failed to come.
func forProviderCall(ctx workflow.Context, provider, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           tandem.TaskQueue(provider),
		StartToCloseTimeout: 30 * time.Second,
		HeartbeatTimeout:    10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 2 * time.Minute,
		},
		Summary:  summary,
		Priority: temporal.Priority{PriorityKey: interactive},
	})
}

// forLookup is for walking the provider's lists: minutes of pages, each of which is a sign of life.
func forLookup(ctx workflow.Context, provider string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           tandem.TaskQueue(provider),
		StartToCloseTimeout: 30 * time.Minute,
		HeartbeatTimeout:    time.Minute,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 2 * time.Minute,
		},
		Summary:  "look whether it happened in " + provider,
		Priority: temporal.Priority{PriorityKey: interactive},
	})
}

// forAnsweredCall is for a read at the provider that a caller waits for.
func forAnsweredCall(ctx workflow.Context, provider, summary string) workflow.Context {
	ctx = forProviderCall(ctx, provider, summary)
	return workflow.WithScheduleToCloseTimeout(ctx, answering)
}

// untilBudget is how long to wait for a day's budget that is spent: until the next day (UTC), spread over some minutes
// by the remote customer so that not everybody comes at midnight, and at most an hour, because a person may raise the
// budget.
func untilBudget(now time.Time, remoteID string) time.Duration {
	spread := fnv.New32a()
	_, _ = spread.Write([]byte(remoteID)) // a hash takes everything
	now = now.UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	return min(midnight.Sub(now), 50*time.Minute) + time.Duration(spread.Sum32()%600)*time.Second
}

// interactive work goes before bulk work on a provider's queue: a person waits for it. Lower is sooner; 3 is Temporal's
// default.
const interactive = 2

// bulk work gives way: whole books can wait for one customer, not the other way round.
const bulk = 4

// forSlice is for some seconds of a run over whole books.
func forSlice(ctx workflow.Context, provider string, step tandem.RunStep) workflow.Context {
	return workflow.WithHeartbeatTimeout(forReading(ctx, provider, "books: "+string(step)), 10*time.Second)
}

func forCatchUp(ctx workflow.Context, provider string) workflow.Context {
	return forReading(ctx, provider, "read the events of "+provider)
}

// forReading is for acts that ask a provider many times, each time a sign of life.
func forReading(ctx workflow.Context, provider, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           tandem.TaskQueue(provider),
		StartToCloseTimeout: time.Hour,
		HeartbeatTimeout:    30 * time.Second, // a page may take twenty
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 2 * time.Minute,
		},
		Summary:             summary,
		Priority:            temporal.Priority{PriorityKey: bulk},
		WaitForCancellation: true,
	})
}

// priorityFor is bulk for what a run over whole books has left to do.
func priorityFor(cause tandem.Cause) temporal.Priority {
	if cause.Kind == tandem.ByImport || cause.Kind == tandem.ByReconcile {
		return temporal.Priority{PriorityKey: bulk}
	}
	return temporal.Priority{PriorityKey: interactive}
}
