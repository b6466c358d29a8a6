package workflows

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// lane is the way to one provider. Lanes run beside each other: one that waits for a person holds up no other.
type lane struct {
	customerID string
	provider   string
	cause      *tandem.Cause

	due     bool // somebody asked to look, since the last look
	busy    bool // the lane's coroutine runs
	calling bool // it stays until a provider call is answered
	waiting bool // it waits for a person
	retry   bool // a person said so
	relink  bool // a person asked to link again what was unlinked
	look    bool // a person wants the remote customer looked at, should there be nothing to do
	force   bool // a person lets the next plan pass the brake
	skip    bool // a person said so
	skips   bool // this run hears "skip" during a call, and notes it on the mapping

	step       string                 // what it is doing
	state      tandem.MappingState    // Retrying or Parked while something stands in the way
	failure    *tandem.LastError      // what that is
	tell, show func(workflow.Context) // people, who read, and those who search
}

// LaneState is what people see of a lane.
type LaneState struct {
	Provider  string            `json:"provider"`
	Step      string            `json:"step"`
	LastError *tandem.LastError `json:"last_error,omitempty"`
}

// ask has the lane look whether something is left to do. Asked while it is busy, it looks again afterwards: a change
// that arrives during a call is never swallowed.
func (l *lane) ask(ctx workflow.Context) {
	l.due = true
	if l.busy {
		return
	}
	l.busy = true
	workflow.GoNamed(ctx, "lane "+l.provider, func(ctx workflow.Context) {
		for l.due && !full(ctx) {
			l.due = false
			l.sync(ctx)
		}
		l.busy = false
		l.stands(ctx, "", "rests")
	})
}

// resting lanes have nothing left to do.
func (l *lane) resting() bool { return !l.busy && !l.due }

// interruptible lanes are inside no act: the run can be cut here without repeating one.
func (l *lane) interruptible() bool { return !l.busy || l.waiting }

// sync plans, calls and records until nothing is left to do, or something stands in the way and a person lets it go.
func (l *lane) sync(ctx workflow.Context) {
	call, err := l.plan(ctx)
	for err == nil && call.Action != tandem.ActNothing {
		if full(ctx) {
			l.due = true // the claim is stored; the next run goes on from it
			return
		}
		call, err = l.act(ctx, call)
	}
	switch {
	case errors.Is(err, errSkipped):
		l.giveUp(ctx)
		return
	case err != nil:
		l.park(ctx, call, err)
		l.look = l.look || call.Wished // whoever says "retry" means the look that failed
	case call.Blocked != nil:
		l.failure = call.Blocked
	default:
		l.failure = nil
		return
	}
	l.wait(ctx)
}

// act makes one call and returns the next, or the failed call and its error.
func (l *lane) act(ctx workflow.Context, call tandem.Call) (tandem.Call, error) {
	state, err := l.call(ctx, call)
	if failure := activities.FailureOf(err, workflow.Now(ctx)); failure != nil {
		switch {
		case failure.Code == tandem.CodeClaimEnded:
			return l.plan(ctx) // its event, or a deletion, was taken in while the call was being retried
		case activities.NeedsProof(failure.Code):
			return l.prove(ctx, call, failure)
		}
		return call, err
	}
	return l.take(ctx, call, state)
}

// take records an answer and returns the next call. Whatever fails in here is not the call, which has been answered.
func (l *lane) take(ctx workflow.Context, call tandem.Call, state tandem.RemoteState) (tandem.Call, error) {
	for {
		recorded, err := l.record(ctx, call, state)
		if err != nil {
			return call, unproved(ctx, err)
		}
		if recorded.Fetch == nil {
			return recorded.Next, nil
		}
		// Something else was recorded while the call was under way: which came first, only the provider can say.
		if state, err = l.fetch(ctx, *recorded.Fetch); err != nil {
			return call, unproved(ctx, err)
		}
	}
}

func (l *lane) plan(ctx workflow.Context) (call tandem.Call, err error) {
	l.does(ctx, "plans")
	call = tandem.Call{Provider: l.provider, CustomerID: l.customerID}
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "plan for "+l.provider), acts.PlanCall,
		activities.PlanInput{
			CustomerID: l.customerID, Provider: l.provider, Ask: tandem.Ask{Force: l.force, Relink: l.relink, Look: l.look},
		}).Get(ctx, &call)
	l.force, l.relink, l.look = false, false, false
	return call, err
}

func (l *lane) record(ctx workflow.Context, call tandem.Call, state tandem.RemoteState) (out activities.Recorded, err error) {
	l.does(ctx, "records")
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "record the answer of "+l.provider), acts.RecordAnswer,
		activities.AnswerInput{Call: call, State: state, Cause: *l.cause}).Get(ctx, &out)
	return out, err
}

// call makes the call. It is retried by Temporal; a person who says "retry" ends the present wait between attempts,
// which for Temporal is the same request once more.
func (l *lane) call(ctx workflow.Context, call tandem.Call) (state tandem.RemoteState, err error) {
	l.does(ctx, "calls: "+string(call.Action))
	err = l.untilDone(ctx, func(ctx workflow.Context) workflow.Future {
		ctx = workflow.WithPriority(forProviderCall(ctx, l.provider, string(call.Action)+" in "+l.provider), priorityFor(*l.cause))
		return workflow.ExecuteActivity(ctx, acts.CallProvider, call)
	}, &state)
	return state, err
}

func (l *lane) fetch(ctx workflow.Context, in activities.FetchInput) (state tandem.RemoteState, err error) {
	l.does(ctx, "fetches")
	err = l.untilDone(ctx, func(ctx workflow.Context) workflow.Future {
		return workflow.ExecuteActivity(forProviderCall(ctx, l.provider, "fetch from "+l.provider), acts.FetchRemote, in)
	}, &state)
	return state, err
}

// park shows on the mapping what stands in the way. If even that fails, the workflow itself is the place to look.
func (l *lane) park(ctx workflow.Context, call tandem.Call, failure error) {
	l.failure = activities.FailureOf(failure, workflow.Now(ctx))
	logger := workflow.GetLogger(ctx)
	logger.Warn("sync.parked", "customer_id", l.customerID, "provider", l.provider, "class", l.failure.Class, "code", l.failure.Code)
	if call.Action == tandem.ActNothing {
		return
	}
	err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "park: "+string(l.failure.Class)), acts.ParkCall,
		activities.ParkInput{Call: call, Failure: *l.failure, Cause: *l.cause}).Get(ctx, nil)
	if err != nil {
		logger.Error("sync.parking_failed", "customer_id", l.customerID, "provider", l.provider, "class", activities.FailureOf(err, workflow.Now(ctx)).Class)
	}
}
