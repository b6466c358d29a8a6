package activities

import (
	"cmp"
	"context"
	"slices"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// Changed is the answer of ChangeCustomer.
type Changed struct {
	Customer tandem.Customer `json:"customer"`
}

// ChangeCustomer writes a caller's change to the customer and reserves its mappings, in one transaction.
func (a *Activities) ChangeCustomer(ctx context.Context, ch tandem.Change) (Changed, error) {
	c, err := a.Store.ApplyChange(ctx, ch, work(ctx, tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}))
	chaos.Point("act.change.after_commit")
	return Changed{c}, failed(ctx, err)
}

// EventsInput names the remote customer whose waiting events are to be applied.
type EventsInput struct {
	Provider string `json:"provider"`
	RemoteID string `json:"remote_id"`
}

// Applied is what became of a batch of remote states.
type Applied struct {
	States []tandem.EventState `json:"states,omitempty"` // one per event, in their order
	More   bool                `json:"more,omitempty"`   // the batch was full: there may be others
	Fetch  *FetchInput         `json:"fetch,omitempty"`  // set when the order of some event is in doubt
	Poke   []string            `json:"poke,omitempty"`   // customers with something left to do at the provider
	Cause  tandem.Cause        `json:"cause,omitzero"`   // the event that left it to do, if it was taken in just now
}

// ApplyEvents takes all waiting events of one remote customer in, in their order. The workflow carries references
// only; what the events say never leaves the database.
func (a *Activities) ApplyEvents(ctx context.Context, in EventsInput) (Applied, error) {
	provider, err := a.Providers.Get(in.Provider)
	if err != nil {
		return Applied{}, failed(ctx, err)
	}
	rows, err := a.Store.Waiting(ctx, in.Provider, []string{in.RemoteID}, waitingAtOnce)
	if err != nil {
		return Applied{}, failed(ctx, err)
	}
	states, unreadable := read(provider, rows)
	if err := a.Store.EndEvents(ctx, unreadable, tandem.EventParked, "unreadable"); err != nil {
		return Applied{}, failed(ctx, err)
	}
	out := Applied{More: len(rows) == waitingAtOnce}
	if len(states) > 0 {
		chaos.Point("inbound.before_apply")
		cause := tandem.Cause{Kind: tandem.ByWebhook, ID: states[len(states)-1].EventID}
		outcomes, err := a.Store.ApplyRemote(ctx, states, work(ctx, cause))
		if err != nil {
			return Applied{}, failed(ctx, err)
		}
		a.sum(&out, in, states, outcomes, cause)
		if out.Fetch != nil && slices.Contains(out.States, tandem.EventApplied) {
			out.Fetch, out.More = nil, true // what was applied may have settled the order without a read
		}
		chaos.Point("inbound.after_apply_before_poke")
	}
	out.Poke, err = a.Store.Unfinished(ctx, in.Provider, []string{in.RemoteID})
	return out, failed(ctx, err)
}

// waitingAtOnce bounds how many events of one remote customer are taken in by one transaction; the rest follows in the next.
const waitingAtOnce = 100

func read(provider tandem.Provider, rows []tandem.LedgerRow) (states []tandem.RemoteState, unreadable []string) {
	for _, row := range rows {
		e, err := provider.ParseEvent(row.Payload)
		if err != nil || e.State == nil {
			unreadable = append(unreadable, row.ID)
			continue
		}
		e.State.EventRows = []string{row.ID}
		states = append(states, *e.State)
	}
	return states, unreadable
}

// sum turns outcomes into what the workflow has to do next. The fetch settles every event that asked for one: it
// begins after they were received, so it knows what they know.
func (a *Activities) sum(out *Applied, in EventsInput, states []tandem.RemoteState, outcomes []tandem.Outcome, cause tandem.Cause) {
	for i, o := range outcomes {
		out.States = append(out.States, o.State)
		if o.Poke {
			out.Cause = tandem.Cause{Kind: cause.Kind, ID: cmp.Or(states[i].EventID, cause.ID)}
		}
		if !o.Fetch {
			a.taken(states[i], o)
			continue
		}
		if out.Fetch == nil {
			out.Fetch = &FetchInput{Provider: in.Provider, RemoteID: in.RemoteID, Why: ReadForProof, Cause: cause}
		}
		if len(states[i].EventRows) > 0 {
			out.Fetch.Why = ReadForEvents
		}
		out.Fetch.After = o.MappingVersion
		out.Fetch.EventRows = append(out.Fetch.EventRows, states[i].EventRows...)
	}
}

// taken counts a state that was taken in. A conflict is told too: nobody is waiting for an answer.
func (a *Activities) taken(s tandem.RemoteState, o tandem.Outcome) {
	a.Metrics.Applied(tandem.Inbound, o.State)
	if o.State == tandem.EventConflict {
		a.Logger.Warn("inbound.conflict", "provider", s.Provider, "remote_id", s.RemoteID, "reason", o.Reason, "event_id", s.EventID)
	}
}

// PokeInput names a customer that has something left to do.
type PokeInput struct {
	CustomerID string       `json:"customer_id"`
	Cause      tandem.Cause `json:"cause"`
}

// PokeOutbound has the customer's Outbound workflow look.
func (a *Activities) PokeOutbound(ctx context.Context, in PokeInput) error {
	chaos.Point("inbound.before_poke")
	_, err := a.Starter.Sync(ctx, in.CustomerID, in.Cause)
	chaos.Point("inbound.after_poke")
	return failed(ctx, err)
}
