package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// Names of the messages that the workflows take; people type some of them.
const (
	UpdateChange  = "change"  // Outbound: a caller's change
	UpdateLink    = "link"    // Outbound: a person links
	UpdateUnlink  = "unlink"  // Outbound: a person unlinks
	UpdateResolve = "resolve" // Outbound: a person decides a conflict
	SignalSync    = "sync"    // Outbound: look whether something is left to do
	SignalEvents  = "events"  // Inbound: events are waiting
	SignalRetry   = "retry"   // either: do not wait any longer; optional argument: the provider
	SignalSkip    = "skip"    // either: give up waiting; optional argument: the provider
	SignalFailing = "failing" // either: a provider call fails and is being retried; sent by the workers
	QueryState    = "state"
)

// OutboundID is the id of the one Outbound workflow a customer can have at a time.
func OutboundID(customerID string) string { return "outbound/" + customerID }

// OutboundInput starts Outbound. Providers are the enabled ones; Due says that they are known to have work, as after
// continue-as-new.
type OutboundInput struct {
	CustomerID string       `json:"customer_id"`
	Providers  []string     `json:"providers"`
	Due        bool         `json:"due,omitempty"`
	Cause      tandem.Cause `json:"cause,omitzero"`
}

// SyncSignal is the argument of SignalSync.
type SyncSignal struct {
	Cause tandem.Cause `json:"cause"`
	Force bool         `json:"force,omitempty"` // a person lets it pass the brake
}

// acts names the activities; it is never called through.
var acts *activities.Activities

// Outbound brings one customer's changes to every provider.
func Outbound(ctx workflow.Context, in OutboundInput) error {
	o := &outbound{in: in, cause: in.Cause, sign: newSign(ctx)}
	if err := o.setup(ctx); err != nil {
		return err
	}
	err := o.run(ctx)
	if !workflow.IsContinueAsNewError(err) { // the next run takes the sign over
		o.sign.show(ctx, standing{})
	}
	return err
}

type outbound struct {
	in               OutboundInput
	cause            tandem.Cause // of the latest wish: what is done now is done for its sake
	lanes            []*lane
	tickets, serving int  // whose turn it is to change something
	asked            bool // the lanes have been told to look
	sign             sign
}

func (o *outbound) setup(ctx workflow.Context) error {
	if o.cause.Kind == "" {
		o.cause.Kind = tandem.ByRetry // the journal wants a reason for what a run finds left to do
	}
	if o.in.CustomerID == "" || len(o.in.Providers) == 0 {
		return temporal.NewNonRetryableApplicationError("customer id and providers are required", string(tandem.Bug), nil)
	}
	for _, provider := range o.in.Providers {
		o.lanes = append(o.lanes, &lane{customerID: o.in.CustomerID, provider: provider, cause: &o.cause, tell: o.tell, show: o.show})
	}
	if o.in.Due {
		o.ask(ctx)
	}
	if err := workflow.SetQueryHandler(ctx, QueryState, o.state); err != nil {
		return err
	}
	workflow.GoNamed(ctx, "signals", o.listen)
	if err := o.takeLinks(ctx); err != nil {
		return err
	}
	return workflow.SetUpdateHandlerWithOptions(ctx, UpdateChange, o.apply, workflow.UpdateHandlerOptions{
		Validator: o.validateChange, Description: "a caller's change to the customer",
	})
}

// run ends when every wish has been answered and every lane rests.
func (o *outbound) run(ctx workflow.Context) error {
	for {
		err := workflow.Await(ctx, func() bool {
			return workflow.AllHandlersFinished(ctx) && (o.all((*lane).resting) || full(ctx) && o.all((*lane).interruptible))
		})
		switch {
		case err != nil:
			return err
		case full(ctx):
			next := o.in
			next.Due, next.Cause = true, o.cause
			return workflow.NewContinueAsNewError(ctx, Outbound, next)
		case o.asked:
			return nil
		}
		// No change was made in this run. Either nobody wished for one, or the wish was carried out by a worker that died
		// before saying so: the customer is stored and only the database knows.
		o.ask(ctx)
	}
}

// full reports that the history has grown enough for a new run.
func full(ctx workflow.Context) bool { return workflow.GetInfo(ctx).GetContinueAsNewSuggested() }

func (o *outbound) all(is func(*lane) bool) bool {
	for _, l := range o.lanes {
		if !is(l) {
			return false
		}
	}
	return true
}

// ask has every lane look whether something is left to do.
func (o *outbound) ask(ctx workflow.Context) {
	o.asked = true
	for _, l := range o.lanes {
		l.ask(ctx)
	}
}

// apply makes a caller's change. Callers take turns, so that the versions they see rise one by one.
func (o *outbound) apply(ctx workflow.Context, ch tandem.Change) (tandem.Customer, error) {
	var out activities.Changed
	err := o.inTurn(ctx, tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}, func() error {
		return workflow.ExecuteLocalActivity(forAnsweredAct(ctx, string(ch.Kind)+" the customer"), acts.ChangeCustomer, ch).Get(ctx, &out)
	})
	return out.Customer, err
}

// refused reports that the change was certainly not made. After any other failure the commit may have happened, and the
// lanes have to look, or the customer would stay ahead of its providers until somebody touches it again.
func refused(ctx workflow.Context, err error) bool {
	failure := activities.FailureOf(err, workflow.Now(ctx))
	return failure != nil && (failure.Class == tandem.Invalid || failure.Class == tandem.Conflict || failure.Class == tandem.Gone)
}

// listen takes signals for as long as the workflow runs.
func (o *outbound) listen(ctx workflow.Context) {
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(workflow.GetSignalChannel(ctx, SignalSync), func(c workflow.ReceiveChannel, _ bool) {
		var s SyncSignal
		c.Receive(ctx, &s)
		if s.Cause.Kind != tandem.ByWebhook || s.Cause.ID != "" || o.cause.ID == "" { // a name is not given up for none
			o.cause = s.Cause
		}
		for _, l := range o.lanes {
			l.relink = l.relink || s.Cause.Kind == tandem.ByOperator
			l.look = l.look || s.Cause.Kind == tandem.ByOperator
			l.force = l.force || s.Force
		}
		o.ask(ctx)
	})
	for _, name := range []string{SignalRetry, SignalSkip} {
		selector.AddReceive(workflow.GetSignalChannel(ctx, name), func(c workflow.ReceiveChannel, _ bool) {
			var provider string
			c.Receive(ctx, &provider)
			meant := false
			for _, l := range o.lanes {
				if provider == "" || provider == l.provider {
					meant = true
					l.nudge(ctx, name)
				}
			}
			if !meant { // a signal has no answer; the API refuses such a name
				workflow.GetLogger(ctx).Warn("signal.provider_unknown", "signal", name, "known", o.in.Providers)
			}
		})
	}
	selector.AddReceive(workflow.GetSignalChannel(ctx, SignalFailing), func(c workflow.ReceiveChannel, _ bool) {
		var f Failing
		c.Receive(ctx, &f)
		for _, l := range o.lanes {
			if l.provider == f.Provider {
				l.fails(ctx, f.Failure)
			}
		}
	})
	for {
		selector.Select(ctx)
	}
}

// State is the answer to QueryState: of every lane for Outbound, of the one way there is for Inbound.
type State struct {
	Lanes     []LaneState       `json:"lanes,omitempty"`
	Step      string            `json:"step,omitempty"`
	LastError *tandem.LastError `json:"last_error,omitempty"`
}

func (o *outbound) state() (State, error) {
	var s State
	for _, l := range o.lanes {
		s.Lanes = append(s.Lanes, LaneState{Provider: l.provider, Step: l.step, LastError: l.failure})
	}
	return s, nil
}
