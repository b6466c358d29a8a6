package activities

import (
	"cmp"
	"context"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// PlanInput names the customer and the provider to plan for.
type PlanInput struct {
	CustomerID string     `json:"customer_id"`
	Provider   string     `json:"provider"`
	Ask        tandem.Ask `json:"ask,omitzero"`
}

// PlanCall finds what is to be done next at the provider and freezes it. A customer that does not exist, because the
// change that was to create it was refused, has nothing to do.
func (a *Activities) PlanCall(ctx context.Context, in PlanInput) (tandem.Call, error) {
	call, err := a.Store.Plan(ctx, in.CustomerID, in.Provider, in.Ask)
	chaos.Point("plan.after_commit")
	if tandem.CodeOf(err) == tandem.CodeCustomerNotFound {
		return tandem.Call{Provider: in.Provider, CustomerID: in.CustomerID}, nil
	}
	return call, failed(ctx, err)
}

// StateInput is a remote state to take in.
type StateInput struct {
	State tandem.RemoteState `json:"state"`
	Cause tandem.Cause       `json:"cause"`
}

// RecordAnswer takes the provider's answer to a call in, as the remote state it is, and plans what comes next. When
// the order of the answer is in doubt Fetch is set and nothing was written: the claim stays until a fetch settles it.
func (a *Activities) RecordAnswer(ctx context.Context, in AnswerInput) (Recorded, error) {
	outcomes, err := a.Store.ApplyRemote(ctx, []tandem.RemoteState{in.State}, work(ctx, in.Cause))
	if err != nil {
		return Recorded{}, failed(ctx, err)
	}
	if o := outcomes[0]; o.Fetch {
		return Recorded{Fetch: &FetchInput{
			Provider: in.State.Provider, RemoteID: in.State.RemoteID, After: o.MappingVersion, Key: in.State.Key, Why: ReadForAnswer,
			Cause: in.Cause,
		}}, nil
	}
	chaos.PointOf(string(in.Call.Action), "after_mapping_before_complete")
	a.Metrics.Applied(tandem.Outbound, outcomes[0].State)
	// What was recorded is a look, and no other is needed before the next call, unless it came from the provider's memory.
	next, err := a.PlanCall(ctx, PlanInput{
		CustomerID: in.Call.CustomerID, Provider: in.Call.Provider, Ask: tandem.Ask{Looked: !in.State.Replayed},
	})
	if err == nil && next.Action != tandem.ActNothing && next.Key == in.Call.Key {
		return Recorded{}, failed(ctx, a.unfit(ctx, outcomes[0], in))
	}
	return Recorded{Outcome: outcomes[0].State, Next: next}, err
}

// unfit is for an answer that did not end its own claim, so it cannot be about this customer: calling again would go in
// circles. It was taken in for the customer it is about, whose own workflow has to hear of it if something is left to do.
func (a *Activities) unfit(ctx context.Context, o tandem.Outcome, in AnswerInput) error {
	if o.CustomerID == "" || o.CustomerID == in.Call.CustomerID {
		return tandem.Errorf(tandem.Conflict, cmp.Or(o.Reason, tandem.CodeInternal), "the provider's answer does not fit the mapping")
	}
	owners, err := a.Store.Unfinished(ctx, in.State.Provider, []string{in.State.RemoteID})
	for _, owner := range owners {
		if err == nil {
			_, err = a.Starter.Sync(ctx, owner, in.Cause)
		}
	}
	if err != nil {
		return err
	}
	return tandem.Errorf(tandem.Conflict, tandem.CodeRemoteLinked, "the provider answered with %s, which is linked to another customer", o.RemoteID)
}

// AnswerInput is the provider's answer to a call.
type AnswerInput struct {
	Call  tandem.Call        `json:"call"`
	State tandem.RemoteState `json:"state"`
	Cause tandem.Cause       `json:"cause"`
}

// Recorded says what the answer led to.
type Recorded struct {
	Outcome tandem.EventState `json:"outcome,omitempty"`
	Next    tandem.Call       `json:"next"`
	Fetch   *FetchInput       `json:"fetch,omitempty"`
}

// ApplyFetched takes a fetched remote customer in, and settles the events that asked for it.
func (a *Activities) ApplyFetched(ctx context.Context, in StateInput) (Applied, error) {
	chaos.Point("inbound.after_fetch_before_apply")
	outcomes, err := a.Store.ApplyRemote(ctx, []tandem.RemoteState{in.State}, work(ctx, in.Cause))
	if err != nil {
		return Applied{}, failed(ctx, err)
	}
	out := Applied{}
	a.sum(&out, EventsInput{in.State.Provider, in.State.RemoteID}, []tandem.RemoteState{in.State}, outcomes, in.Cause)
	chaos.Point("inbound.after_fetched_before_poke")
	out.Poke, err = a.Store.Unfinished(ctx, in.State.Provider, []string{in.State.RemoteID})
	return out, failed(ctx, err)
}

// ParkInput is a call that no retry can help.
type ParkInput struct {
	Call    tandem.Call      `json:"call"`
	Failure tandem.LastError `json:"failure"`
	Cause   tandem.Cause     `json:"cause"`
}

// ParkCall shows the failure on the mapping and in the journal.
func (a *Activities) ParkCall(ctx context.Context, in ParkInput) error {
	err := a.Store.Park(ctx, in.Call, in.Failure, work(ctx, in.Cause))
	chaos.Point("park.after_commit")
	return failed(ctx, err)
}

// SkipInput is a customer's wait for a provider that a person gave up. Failure is what it waited for, as far as the
// workflow knows.
type SkipInput struct {
	CustomerID string            `json:"customer_id"`
	Provider   string            `json:"provider"`
	Failure    *tandem.LastError `json:"failure,omitempty"`
	Cause      tandem.Cause      `json:"cause"`
}

// SkipCall shows on the mapping that a person gave up waiting. A customer that was never stored has nothing to show.
func (a *Activities) SkipCall(ctx context.Context, in SkipInput) error {
	err := a.Store.Skip(ctx, in.CustomerID, in.Provider, in.Failure, work(ctx, in.Cause))
	if tandem.CodeOf(err) == tandem.CodeCustomerNotFound {
		return nil
	}
	return failed(ctx, err)
}

// EndInput gives ledger rows an end.
type EndInput struct {
	Rows   []string          `json:"rows"`
	State  tandem.EventState `json:"state"`
	Reason string            `json:"reason"`
}

// EndEvents ends events that can't be applied, visibly.
func (a *Activities) EndEvents(ctx context.Context, in EndInput) error {
	return failed(ctx, a.Store.EndEvents(ctx, in.Rows, in.State, in.Reason))
}

// LinkInput is a link by hand and the remote customer as it was fetched for it.
type LinkInput struct {
	Link  tandem.Link        `json:"link"`
	State tandem.RemoteState `json:"state"`
}

// LinkCustomer joins the two.
func (a *Activities) LinkCustomer(ctx context.Context, in LinkInput) (tandem.Mapping, error) {
	m, err := a.Store.Link(ctx, in.Link, in.State, work(ctx, tandem.Cause{Kind: tandem.ByOperator, ID: in.Link.ID}))
	chaos.Point("link.after_commit")
	return m, failed(ctx, err)
}

// UnlinkCustomer takes a mapping apart.
func (a *Activities) UnlinkCustomer(ctx context.Context, u tandem.Unlink) error {
	err := a.Store.Unlink(ctx, u, work(ctx, tandem.Cause{Kind: tandem.ByOperator, ID: u.ID}))
	chaos.Point("unlink.after_commit")
	return failed(ctx, err)
}

// ResolveConflict decides fields on hold as a person chose.
func (a *Activities) ResolveConflict(ctx context.Context, r tandem.Resolve) (tandem.Mapping, error) {
	m, err := a.Store.Resolve(ctx, r, work(ctx, tandem.Cause{Kind: tandem.ByOperator, ID: r.ID}))
	chaos.Point("resolve.after_commit")
	return m, failed(ctx, err)
}

// RenewClaim gives up a call that was proved not to have happened.
func (a *Activities) RenewClaim(ctx context.Context, in RenewInput) error {
	err := a.Store.Renew(ctx, in.Call, work(ctx, in.Cause))
	chaos.Point("renew.after_commit")
	return failed(ctx, err)
}

// RenewInput is the call that did not happen.
type RenewInput struct {
	Call  tandem.Call  `json:"call"`
	Cause tandem.Cause `json:"cause"`
}
