package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// quiet is how long a saved failure is left alone before anybody looks whether the call happened after all: Stripe says
// that a 500 may still take effect (docs: error handling), and its lists show what has.
const quiet = 10 * time.Second

// prove finds out what became of a call that cannot be sent again, and returns what comes next. Found, the remote
// customer is the answer. Not found in a complete list, the call did not happen: its claim is given up, and the next
// plan may send a new one. As long as nothing is proved, nothing is sent.
func (l *lane) prove(ctx workflow.Context, call tandem.Call, failure *tandem.LastError) (tandem.Call, error) {
	l.failure = failure
	l.stands(ctx, tandem.Retrying, "waits, then looks whether it happened")
	if failure.Code == tandem.CodeSavedFailure {
		again, err := l.afterQuiet(ctx, call)
		if err != nil || again.Key != call.Key {
			return again, err
		}
		call = again
	}
	l.does(ctx, "looks whether it happened")
	var proof activities.Proof
	err := l.untilDone(ctx, func(ctx workflow.Context) workflow.Future {
		return workflow.ExecuteActivity(forLookup(ctx, l.provider), acts.ProveCall, call)
	}, &proof)
	switch {
	case err != nil:
		return call, unproved(ctx, err)
	case call.Action == tandem.ActCreate && proof.State != nil:
		return l.take(ctx, call, *proof.State)
	case proof.State != nil:
		if err := l.takeLook(ctx, *proof.State); err != nil {
			return call, unproved(ctx, err)
		}
	}
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "give up the claim"), acts.RenewClaim,
		activities.RenewInput{Call: call, Cause: *l.cause}).Get(ctx, nil)
	if err != nil {
		return call, err
	}
	return l.plan(ctx)
}

// afterQuiet leaves the failure alone for a while and then plans again: the call's event may have told meanwhile that
// it happened, which saves walking the provider's lists.
func (l *lane) afterQuiet(ctx workflow.Context, call tandem.Call) (tandem.Call, error) {
	l.retry, l.skip, l.calling = false, false, true
	defer func() { l.calling = false }()
	options := workflow.AwaitOptions{Timeout: quiet, TimerOptions: workflow.TimerOptions{Summary: "leave the saved failure alone"}}
	if _, err := workflow.AwaitWithOptions(ctx, options, func() bool { return l.retry || l.skip }); err != nil {
		return call, err
	}
	if l.skip {
		return call, errSkipped
	}
	if workflow.GetVersion(ctx, changePlanAfterQuiet, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return call, nil
	}
	again, err := l.plan(ctx)
	if err != nil {
		return call, err
	}
	return again, nil
}

// unproved keeps the claim: a look-up that was refused says nothing about the call, but ParkCall takes invalid for the
// refusal of the call itself.
func unproved(ctx workflow.Context, err error) error {
	failure := activities.FailureOf(err, workflow.Now(ctx))
	if failure.Class != tandem.Invalid {
		return err
	}
	failure.Class = tandem.Bug
	return temporal.NewNonRetryableApplicationError(string(tandem.Bug)+"/"+failure.Code, string(tandem.Bug), err, *failure)
}

// takeLook takes in how the remote customer is, with the claim still standing: what the claim set and the look shows
// counts as agreed, whatever else it shows is news.
func (l *lane) takeLook(ctx workflow.Context, state tandem.RemoteState) error {
	for {
		var out activities.Applied
		err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "apply what was fetched"), acts.ApplyFetched,
			activities.StateInput{State: state, Cause: *l.cause}).Get(ctx, &out)
		if err != nil || out.Fetch == nil {
			return err
		}
		if state, err = l.fetch(ctx, *out.Fetch); err != nil {
			return err
		}
	}
}
