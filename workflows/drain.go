package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem/activities"
)

// DrainID is the id of the one Drain workflow a provider has at a time. Runs that the schedule starts have the time of
// their start behind it.
func DrainID(provider string) string { return "drain/" + provider }

// DrainInput starts Drain.
type DrainInput struct {
	Provider string `json:"provider"`
}

// Drain takes in what waits in the ledger: events that came while Temporal was away, or faster than one workflow each
// could be started. It walks the ledger in the order things came in, applies the events of hundreds of remote customers
// in one transaction, and leaves to their own Inbound workflow those that need the provider to be asked.
func Drain(ctx workflow.Context, in DrainInput) error {
	d := &drain{provider: in.Provider, step: "begins"}
	if err := workflow.SetQueryHandler(ctx, QueryState, func() (State, error) { return State{Step: d.step}, nil }); err != nil {
		return err
	}
	events := workflow.GetSignalChannel(ctx, SignalEvents)
	for {
		for events.ReceiveAsync(nil) {
			continue // what came in is in the ledger; the signal only wakes
		}
		err := d.walk(ctx)
		switch {
		case err != nil:
			return err
		case full(ctx):
			return workflow.NewContinueAsNewError(ctx, Drain, in) // begins at the head again: what is done does not wait any more
		case events.Len() == 0:
			return nil
		}
	}
}

type drain struct {
	provider string
	step     string
}

// walk goes through the ledger once, or until the history has grown enough. What comes in while it walks is signalled, and
// gathers meanwhile: ten batches of a hundred cost more than one of a thousand.
func (d *drain) walk(ctx workflow.Context) error {
	for q := (activities.Queue{}); !full(ctx); {
		d.step = "looks what waits"
		in := activities.QueueInput{Provider: d.provider, After: q.Next}
		q = activities.Queue{}
		if err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "look what waits"), acts.NextWaiting, in).Get(ctx, &q); err != nil {
			return err
		}
		if err := d.apply(ctx, q.RemoteIDs); err != nil || q.Next == "" {
			return err
		}
	}
	return nil
}

func (d *drain) apply(ctx workflow.Context, remoteIDs []string) error {
	for more := len(remoteIDs) > 0; more; {
		d.step = "applies events"
		var out activities.Drained
		err := workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "apply waiting events"), acts.DrainEvents,
			activities.DrainInput{Provider: d.provider, RemoteIDs: remoteIDs}).Get(ctx, &out)
		if err != nil {
			return err
		}
		if err := d.handOver(ctx, out); err != nil {
			return err
		}
		more = out.More && !full(ctx)
	}
	return nil
}

func (d *drain) handOver(ctx workflow.Context, out activities.Drained) error {
	if len(out.Leave)+len(out.Poke) == 0 {
		return nil
	}
	d.step = "hands over"
	return workflow.ExecuteLocalActivity(forDatabaseAct(ctx, "start the workflows of the rest"), acts.HandOver,
		activities.HandOverInput{Provider: d.provider, RemoteIDs: out.Leave, Customers: out.Poke}).Get(ctx, nil)
}
