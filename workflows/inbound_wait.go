package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// fetch is retried by Temporal. A person who says "retry" ends the present wait between attempts, one who says "skip"
// ends them all: the events stay in the ledger as received, and the next event of the customer, or a replay, tries again.
func (i *inbound) fetch(ctx workflow.Context, in activities.FetchInput) (state tandem.RemoteState, err error) {
	for i.failing.ReceiveAsync(nil) {
		continue // said of an earlier fetch
	}
	for {
		attempt, cancel := workflow.WithCancel(ctx)
		options := forProviderCall(attempt, i.in.Provider, "fetch from "+i.in.Provider)
		future := workflow.ExecuteActivity(options, acts.FetchRemote, in)
		word, err := i.hear(ctx, future)
		cancel()
		switch {
		case err != nil:
			return state, err
		case word == SignalSkip:
			return state, errSkipped
		case word == "":
			err = future.Get(ctx, &state)
			return state, err
		}
	}
}

// hear listens until the future is ready, which is no word, or a person says one.
func (i *inbound) hear(ctx workflow.Context, future workflow.Future) (word string, err error) {
	for {
		err := workflow.Await(ctx, func() bool {
			return future.IsReady() || i.failing.Len() > 0 || i.retry.Len() > 0 || i.skip.Len() > 0 && !i.deaf
		})
		switch {
		case err != nil || future.IsReady():
			return "", err
		case i.failing.Len() > 0:
			var f Failing
			i.failing.Receive(ctx, &f)
			i.stands(ctx, tandem.Retrying, &f.Failure, i.step)
		case i.retry.Len() > 0:
			i.retry.Receive(ctx, nil)
			return SignalRetry, nil
		case workflow.GetVersion(ctx, changeSkipDuringFetch, workflow.DefaultVersion, 1) == workflow.DefaultVersion:
			i.deaf = true
		default:
			i.skip.Receive(ctx, nil)
			return SignalSkip, nil
		}
	}
}

// wait is until a person, or another event, helps; false: a person gave up. The events stay in the ledger as received.
func (i *inbound) wait(ctx workflow.Context, err error) (again bool) {
	failure := activities.FailureOf(err, workflow.Now(ctx))
	if failure.Code == tandem.CodeReadBudgetSpent {
		return i.waitForBudget(ctx, failure)
	}
	i.stands(ctx, tandem.Parked, failure, "waits for a person: "+string(failure.Class)+"/"+failure.Code)
	workflow.GetLogger(ctx).Error("inbound.waits", "provider", i.in.Provider, "remote_id", i.in.RemoteID, "class", failure.Class, "code", failure.Code)
	selector := workflow.NewSelector(ctx)
	i.listen(ctx, selector, &again)
	selector.Select(ctx)
	return again
}

// waitForBudget is until the provider may be read again. Meanwhile another event may settle the question without a read.
func (i *inbound) waitForBudget(ctx workflow.Context, failure *tandem.LastError) (again bool) {
	i.stands(ctx, tandem.Retrying, failure, "waits for the day's read budget")
	timer, cancel := workflow.WithCancel(ctx)
	defer cancel()
	selector := workflow.NewSelector(ctx)
	selector.AddFuture(workflow.NewTimer(timer, untilBudget(workflow.Now(ctx), i.in.RemoteID)), func(f workflow.Future) {
		again = f.Get(ctx, nil) == nil
	})
	i.listen(ctx, selector, &again)
	selector.Select(ctx)
	return again
}

func budgetSpent(ctx workflow.Context, err error) bool {
	failure := activities.FailureOf(err, workflow.Now(ctx))
	return failure != nil && failure.Code == tandem.CodeReadBudgetSpent
}

// listen adds what ends a wait: a person's word, another event, or the end of the workflow.
func (i *inbound) listen(ctx workflow.Context, selector workflow.Selector, again *bool) {
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}) // a selector does not see it by itself
	for _, channel := range []workflow.ReceiveChannel{i.events, i.retry, i.skip} {
		selector.AddReceive(channel, func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(ctx, nil)
			*again = c != i.skip
		})
	}
}

// does says what the run is doing now.
func (i *inbound) does(ctx workflow.Context, step string) {
	i.step = step
	workflow.SetCurrentDetails(ctx, details(i.state, step, i.failure))
}

// stands says what stands in its way.
func (i *inbound) stands(ctx workflow.Context, state tandem.MappingState, failure *tandem.LastError, step string) {
	i.state, i.failure = state, failure
	i.does(ctx, step)
	i.sign.show(ctx, stands(state, i.in.Provider, failure))
}
