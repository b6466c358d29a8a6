package workflows

import (
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
	i := &inbound{in: in}
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (State, error) { return State{Step: i.step}, nil }); err != nil {
		return err
	}
	return i.run(ctx)
}

type inbound struct {
	in   InboundInput
	step string
}

// run processes until nothing waits. A signal that arrives while the last batch is processed is seen before the end:
// Temporal refuses to close a workflow over an unread one.
func (i *inbound) run(ctx workflow.Context) error {
	events := workflow.GetSignalChannel(ctx, SignalEvents)
	for {
		for events.ReceiveAsync(nil) {
			continue // what was signalled is in the ledger; the signal only wakes
		}
		more, err := i.once(ctx)
		if err != nil && ctx.Err() == nil {
			more = i.wait(ctx, err)
		}
		if ctx.Err() != nil {
			return ctx.Err() // cancelled; the events stay in the ledger
		}
		if !more && events.Len() == 0 {
			return nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Inbound, i.in)
		}
	}
}

// once applies one batch, fetching where the order is in doubt.
func (i *inbound) once(ctx workflow.Context) (more bool, err error) {
	i.step = "applies events"
	var out activities.Applied
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "apply waiting events"), acts.ApplyEvents,
		activities.EventsInput{Provider: i.in.Provider, RemoteID: i.in.RemoteID}).Get(ctx, &out)
	if err != nil {
		return false, err
	}
	more = out.More
	for out.Fetch != nil {
		fetch, left := *out.Fetch, out.Poke
		if out, err = i.settle(ctx, fetch); err != nil {
			if budgetSpent(ctx, err) { // what other events left to do must not wait for the next day
				if err := i.poke(ctx, left); err != nil {
					return false, err
				}
			}
			return false, err
		}
	}
	return more, i.poke(ctx, out.Poke)
}

// settle asks the provider how the customer is now, and takes that in.
func (i *inbound) settle(ctx workflow.Context, in activities.FetchInput) (activities.Applied, error) {
	i.step = "fetches"
	state, err := i.fetch(ctx, in)
	if failure := activities.FailureOf(err, workflow.Now(ctx)); failure != nil && failure.Class == tandem.Gone {
		// The provider does not know the customer its own event is about: another account's key. A person has to look.
		return activities.Applied{}, workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "park events"), acts.EndEvents,
			activities.EndInput{Rows: in.EventRows, State: tandem.EventParked, Reason: failure.Code}).Get(ctx, nil)
	}
	if err != nil {
		return activities.Applied{}, err
	}
	i.step = "applies what was fetched"
	var out activities.Applied
	err = workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "apply what was fetched"), acts.ApplyFetched,
		activities.StateInput{State: state, Cause: in.Cause}).Get(ctx, &out)
	return out, err
}

// fetch is retried by Temporal; a person who says "retry" ends the present wait between attempts.
func (i *inbound) fetch(ctx workflow.Context, in activities.FetchInput) (state tandem.RemoteState, err error) {
	for done := false; !done; {
		attempt, cancel := workflow.WithCancel(ctx)
		options := forProviderCall(attempt, i.in.Provider, "fetch from "+i.in.Provider)
		selector := workflow.NewSelector(ctx)
		selector.AddFuture(workflow.ExecuteActivity(options, acts.FetchRemote, in), func(f workflow.Future) {
			done, err = true, f.Get(ctx, &state)
		})
		selector.AddReceive(workflow.GetSignalChannel(ctx, SignalRetry), func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
		selector.Select(ctx)
		cancel()
	}
	return state, err
}

func (i *inbound) poke(ctx workflow.Context, customers []string) error {
	for _, id := range customers {
		err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "poke outbound"), acts.PokeOutbound,
			activities.PokeInput{CustomerID: id, Cause: tandem.Cause{Kind: tandem.ByWebhook}}).Get(ctx, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// wait is until a person, or another event, helps; false: a person gave up. The events stay in the ledger as received.
func (i *inbound) wait(ctx workflow.Context, err error) (again bool) {
	if budgetSpent(ctx, err) {
		return i.waitForBudget(ctx)
	}
	failure := activities.FailureOf(err, workflow.Now(ctx))
	i.step = "waits for a person: " + string(failure.Class) + "/" + failure.Code
	workflow.GetLogger(ctx).Error("inbound.waits", "provider", i.in.Provider, "remote_id", i.in.RemoteID, "class", failure.Class, "code", failure.Code)
	selector := workflow.NewSelector(ctx)
	i.hear(ctx, selector, &again)
	selector.Select(ctx)
	return again
}

func budgetSpent(ctx workflow.Context, err error) bool {
	failure := activities.FailureOf(err, workflow.Now(ctx))
	return failure != nil && failure.Code == tandem.CodeReadBudgetSpent
}

// waitForBudget is until the provider may be read again. Meanwhile another event may settle the question without a read.
func (i *inbound) waitForBudget(ctx workflow.Context) (again bool) {
	i.step = "waits for the day's read budget"
	timer, cancel := workflow.WithCancel(ctx)
	defer cancel()
	selector := workflow.NewSelector(ctx)
	selector.AddFuture(workflow.NewTimer(timer, untilBudget(workflow.Now(ctx), i.in.RemoteID)), func(f workflow.Future) {
		again = f.Get(ctx, nil) == nil
	})
	i.hear(ctx, selector, &again)
	selector.Select(ctx)
	return again
}

// hear adds what ends a wait: a person's word, another event, or the end of the workflow.
func (i *inbound) hear(ctx workflow.Context, selector workflow.Selector, again *bool) {
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {}) // a selector does not see it by itself
	for _, name := range []string{SignalEvents, SignalRetry, SignalSkip} {
		selector.AddReceive(workflow.GetSignalChannel(ctx, name), func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(ctx, nil)
			*again = name != SignalSkip
		})
	}
}
