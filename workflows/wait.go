package workflows

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// errSkipped says that a person gave up waiting for a provider.
var errSkipped = errors.New("a person gave up waiting")

// nudge passes a person's word on to whatever waits. Runs from before "skip" was heard during a call go on as they
// began: there it counts for a lane that waits for a person, and is forgotten by any other.
func (l *lane) nudge(ctx workflow.Context, word string) {
	switch {
	case !l.busy:
	case word == SignalRetry:
		l.retry = true
	case workflow.GetVersion(ctx, changeSkipDuringCall, workflow.DefaultVersion, 1) == workflow.DefaultVersion:
		l.skip = l.skip || l.waiting
	default:
		l.skip, l.skips = l.waiting || l.calling, true
	}
}

// fails takes in what a worker says about a call that is being retried: Temporal tells a workflow only of the end.
func (l *lane) fails(ctx workflow.Context, failure tandem.LastError) {
	if !l.calling {
		return // it was answered, or given up, meanwhile
	}
	l.failure = &failure
	l.stands(ctx, tandem.Retrying, l.step)
}

// untilDone stays with a call until it is answered. "retry" ends the present wait between attempts, which for Temporal
// is the same request once more. "skip" gives up waiting, not the call: an attempt that is under way is not called back,
// and whoever looks next finds what became of it.
func (l *lane) untilDone(ctx workflow.Context, start func(workflow.Context) workflow.Future, out any) error {
	l.skip, l.calling = false, true
	defer func() { l.calling = false }()
	for {
		l.retry = false
		attempt, cancel := workflow.WithCancel(ctx)
		future := start(attempt)
		err := workflow.Await(ctx, func() bool { return future.IsReady() || l.retry || l.skip })
		answered := future.IsReady() // asked before cancelling, which makes it ready too
		cancel()
		switch {
		case err != nil:
			return err
		case answered:
			return future.Get(ctx, out)
		case l.skip:
			return errSkipped
		}
	}
}

// wait is until a person or a change helps. "skip" lets the lane rest with its mapping parked.
func (l *lane) wait(ctx workflow.Context) {
	// A person who saw the failure may have said "retry" before the lane came here, as when the worker died in between.
	said := l.retry && workflow.GetVersion(ctx, changeRetryWhileParking, workflow.DefaultVersion, 1) != workflow.DefaultVersion
	l.waiting, l.retry, l.skip = true, said, false
	l.stands(ctx, tandem.Parked, "waits for a person")
	defer func() { l.waiting = false }()
	if workflow.Await(ctx, func() bool { return l.due || l.retry || l.skip }) != nil {
		return // the workflow was cancelled
	}
	if l.skip && !l.due && l.skips {
		l.giveUp(ctx)
		return
	}
	l.force = l.force || l.retry
	l.due = l.due || l.retry && !l.skip
}

// giveUp shows that a person gave up waiting. Changes that were made before count as given up too, until the next one:
// the lane that looked at them at once would be back where it was.
func (l *lane) giveUp(ctx workflow.Context) {
	l.due = false
	l.does(ctx, "gives up, as a person said")
	err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "skip "+l.provider), acts.SkipCall, activities.SkipInput{
		CustomerID: l.customerID, Provider: l.provider, Failure: l.failure, Cause: tandem.Cause{Kind: tandem.ByOperator},
	}).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Error("sync.skip_not_shown", "customer_id", l.customerID, "provider", l.provider,
			"class", activities.FailureOf(err, workflow.Now(ctx)).Class)
	}
}
