package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// takeLinks takes what people do to the link itself. It goes through the customer's workflow like any change, so that a
// link and a sync never race each other.
func (o *outbound) takeLinks(ctx workflow.Context) error {
	for _, update := range []struct {
		name, about        string
		handler, validator any
	}{
		{UpdateLink, "a person links", o.link, o.validateLink},
		{UpdateUnlink, "a person unlinks", o.unlink, o.validateUnlink},
		{UpdateResolve, "a person decides a conflict", o.resolve, o.validateResolve},
	} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, update.name, update.handler, workflow.UpdateHandlerOptions{
			Validator: update.validator, Description: update.about,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// link verifies the other side, which only the provider can, and joins the two.
func (o *outbound) link(ctx workflow.Context, in tandem.Link) (out tandem.Mapping, err error) {
	err = o.inTurn(ctx, tandem.Cause{Kind: tandem.ByOperator, ID: in.ID}, func() error {
		var state tandem.RemoteState
		err := workflow.ExecuteActivity(forAnsweredCall(ctx, in.Provider, "look at what is to be linked"), acts.FetchRemote,
			activities.FetchInput{Provider: in.Provider, RemoteID: in.RemoteID, Why: activities.ReadForLink}).Get(ctx, &state)
		if err != nil {
			return err
		}
		return workflow.ExecuteLocalActivity(forAnsweredAct(ctx, "link"), acts.LinkCustomer,
			activities.LinkInput{Link: in, State: state}).Get(ctx, &out)
	})
	return out, err
}

func (o *outbound) unlink(ctx workflow.Context, in tandem.Unlink) error {
	return o.inTurn(ctx, tandem.Cause{Kind: tandem.ByOperator, ID: in.ID}, func() error {
		return workflow.ExecuteLocalActivity(forAnsweredAct(ctx, "unlink"), acts.UnlinkCustomer, in).Get(ctx, nil)
	})
}

func (o *outbound) resolve(ctx workflow.Context, in tandem.Resolve) (out tandem.Mapping, err error) {
	err = o.inTurn(ctx, tandem.Cause{Kind: tandem.ByOperator, ID: in.ID}, func() error {
		return workflow.ExecuteLocalActivity(forAnsweredAct(ctx, "resolve"), acts.ResolveConflict, in).Get(ctx, &out)
	})
	return out, err
}

// inTurn makes one change at a time, first come first served, and has the lanes look afterwards unless it was refused.
func (o *outbound) inTurn(ctx workflow.Context, cause tandem.Cause, act func() error) error {
	ticket := o.tickets // the SDK's mutex would serve the youngest first
	o.tickets++
	if err := workflow.Await(ctx, func() bool { return o.serving == ticket }); err != nil {
		return err
	}
	defer func() { o.serving++ }()
	err := act()
	if refused(ctx, err) {
		return err
	}
	o.cause = cause
	o.ask(ctx)
	return err
}
