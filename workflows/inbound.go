package workflows

import (
	"cmp"
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// InboundID is the id of the one Inbound workflow a remote customer can have at a time.
func InboundID(provider, remoteID string) string { return "inbound/" + provider + "/" + remoteID }

// InboundInput starts Inbound.
type InboundInput struct {
	Provider string `json:"provider"`
	RemoteID string `json:"remote_id"`
}

// EventsSignal is the argument of SignalEvents: ledger rows, so that a reader of the history finds the events. What is
// processed is whatever waits.
type EventsSignal struct {
	Rows []string `json:"rows"`
}

// Inbound takes the waiting events of one remote customer in.
func Inbound(ctx workflow.Context, in InboundInput) error {
	i := &inbound{
		in: in, sign: newSign(ctx),
		events: workflow.GetSignalChannel(ctx, SignalEvents), retry: workflow.GetSignalChannel(ctx, SignalRetry),
		skip: workflow.GetSignalChannel(ctx, SignalSkip), failing: workflow.GetSignalChannel(ctx, SignalFailing),
	}
	if err := workflow.SetQueryHandler(ctx, QueryState, i.answer); err != nil {
		return err
	}
	err := i.run(ctx)
	if !workflow.IsContinueAsNewError(err) { // the next run takes the sign over
		i.sign.show(ctx, standing{})
	}
	return err
}

type inbound struct {
	in      InboundInput
	step    string
	state   tandem.MappingState // Retrying or Parked while something stands in the way
	failure *tandem.LastError
	sign    sign

	events, retry, skip, failing workflow.ReceiveChannel
	deaf                         bool // a run from before "skip" was heard during a fetch
}

func (i *inbound) answer() (State, error) { return State{Step: i.step, LastError: i.failure}, nil }

// run processes until nothing waits. A signal that arrives while the last batch is processed is seen before the end:
// Temporal refuses to close a workflow over an unread one.
func (i *inbound) run(ctx workflow.Context) error {
	for {
		for i.events.ReceiveAsync(nil) {
			continue // what was signalled is in the ledger; the signal only wakes
		}
		more, err := i.once(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, errSkipped) {
			more = i.wait(ctx, err)
		}
		if ctx.Err() != nil {
			return ctx.Err() // cancelled; the events stay in the ledger
		}
		if !more && i.events.Len() == 0 {
			return nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Inbound, i.in)
		}
	}
}

// once applies one batch, fetching where the order is in doubt.
func (i *inbound) once(ctx workflow.Context) (more bool, err error) {
	i.does(ctx, "applies events")
	var out activities.Applied
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "apply waiting events"), acts.ApplyEvents,
		activities.EventsInput{Provider: i.in.Provider, RemoteID: i.in.RemoteID}).Get(ctx, &out)
	if err != nil {
		return false, err
	}
	more = out.More
	for out.Fetch != nil {
		fetch, left := *out.Fetch, out
		if out, err = i.settle(ctx, fetch); err != nil {
			if budgetSpent(ctx, err) { // what other events left to do must not wait for the next day
				if err := i.poke(ctx, left); err != nil {
					return false, err
				}
			}
			return false, err
		}
	}
	return more, i.poke(ctx, out)
}

// settle asks the provider how the customer is now, and takes that in.
func (i *inbound) settle(ctx workflow.Context, in activities.FetchInput) (activities.Applied, error) {
	i.does(ctx, "fetches")
	state, err := i.fetch(ctx, in)
	if failure := activities.FailureOf(err, workflow.Now(ctx)); failure != nil && failure.Class == tandem.Gone {
		// The provider does not know the customer its own event is about: another account's key. A person has to look.
		return activities.Applied{}, workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "park events"), acts.EndEvents,
			activities.EndInput{Rows: in.EventRows, State: tandem.EventParked, Reason: failure.Code}).Get(ctx, nil)
	}
	if err != nil {
		return activities.Applied{}, err
	}
	i.does(ctx, "applies what was fetched")
	var out activities.Applied
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "apply what was fetched"), acts.ApplyFetched,
		activities.StateInput{State: state, Cause: in.Cause}).Get(ctx, &out)
	return out, err
}

// poke passes on what is left to do, in the event's name. After a crash in between nobody knows the event any more; what
// is left to do is still known.
func (i *inbound) poke(ctx workflow.Context, out activities.Applied) error {
	cause := tandem.Cause{Kind: cmp.Or(out.Cause.Kind, tandem.ByWebhook), ID: out.Cause.ID}
	for _, id := range out.Poke {
		err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "poke outbound"), acts.PokeOutbound,
			activities.PokeInput{CustomerID: id, Cause: cause}).Get(ctx, nil)
		if err != nil {
			return err
		}
	}
	return nil
}
