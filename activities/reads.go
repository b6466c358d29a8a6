package activities

import (
	"cmp"
	"context"
	"time"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// Why a remote customer is read. Providers ration reads; what is read for whom is counted per day. Only events wait when
// the day's budget is spent: how many of them are in doubt is up to others. All else is as often as somebody here wants
// something done.
const (
	ReadForEvents    = "event_order"   // events whose order is in doubt
	ReadForAnswer    = "answer_order"  // the answer to our own call, whose order is in doubt
	ReadBeforeUpdate = "before_update" // a policy other than the platform's wants it
	ReadForLink      = "link"          // a person links by hand
	ReadForSync      = "sync"          // a person asks for a sync, and nothing is to be sent
	ReadForProof     = "proof"         // what became of a call
)

// FetchInput asks how a remote customer is now. After is the mapping's version before the fetch.
type FetchInput struct {
	Provider  string       `json:"provider"`
	RemoteID  string       `json:"remote_id"`
	After     int64        `json:"after,omitempty"`
	Key       string       `json:"key,omitempty"`
	EventRows []string     `json:"event_rows,omitempty"`
	Why       string       `json:"why,omitempty"`
	Cause     tandem.Cause `json:"cause"`
}

// FetchRemote reads the remote customer.
func (a *Activities) FetchRemote(ctx context.Context, in FetchInput) (tandem.RemoteState, error) {
	begun := time.Now()
	provider, err := a.Providers.Get(in.Provider)
	if err != nil {
		return tandem.RemoteState{}, failed(ctx, err)
	}
	under, done := a.alive(ctx)
	state, err := a.fetch(under, provider, in)
	done()
	if tandem.CodeOf(err) != tandem.CodeReadBudgetSpent { // nobody was asked
		a.Metrics.ProviderCall(in.Provider, "fetch", classOf(err), time.Since(begun))
	}
	if err != nil {
		class := tandem.ClassOf(err)
		return tandem.RemoteState{}, failedAs(ctx, err, in.Why == ReadForLink && (class == tandem.Gone || class == tandem.Invalid))
	}
	state.Provider, state.After, state.Key, state.EventRows = in.Provider, in.After, in.Key, in.EventRows
	return state, nil
}

// fetch makes one read, counted before it is made: a read whose count was lost would be one too many.
func (a *Activities) fetch(ctx context.Context, p tandem.Provider, in FetchInput) (tandem.RemoteState, error) {
	if err := a.spendRead(ctx, p, in); err != nil {
		return tandem.RemoteState{}, err
	}
	chaos.Point("fetch.before_stripe")
	state, err := p.Fetch(ctx, in.RemoteID)
	chaos.Point("fetch.after_stripe_before_complete")
	return state, err
}

func (a *Activities) spendRead(ctx context.Context, p tandem.Provider, in FetchInput) error {
	why, budget := cmp.Or(in.Why, "other"), 0
	if why == ReadForEvents {
		budget = a.ReadsPerDay
	}
	err := a.Store.SpendRead(ctx, p.Name(), why, budget, in.EventRows)
	if spent := tandem.CodeOf(err) == tandem.CodeReadBudgetSpent; spent || err == nil {
		a.Metrics.ProviderRead(p.Name(), why, !spent)
	}
	return err
}
