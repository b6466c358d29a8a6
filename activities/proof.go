package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// Proof is what became of a call whose outcome was unknown. State is the remote customer, nil when the provider was
// asked completely and has none.
type Proof struct {
	State *tandem.RemoteState `json:"state,omitempty"`
}

// lookBack is how far before the claim a lookup begins: our clock and the provider's may differ.
const lookBack = 10 * time.Minute

// maxPages bounds a lookup: 100,000 remote customers made since the claim. More is a case for a person.
const maxPages = 1000

// ProveCall finds out whether a call happened. For an update that is one look at the remote customer. For a create the
// remote customer has to be found: first among those with its e-mail address, which is one page, then, because somebody
// may have changed that since, among all that were made since the claim. Only a complete list proves absence, and a list
// that cannot be read proves nothing.
func (a *Activities) ProveCall(ctx context.Context, call tandem.Call) (Proof, error) {
	provider, err := a.Providers.Get(call.Provider)
	if err != nil {
		return Proof{}, failed(ctx, err)
	}
	begun := time.Now()
	chaos.Point("prove.before_lookup")
	state, err := a.prove(ctx, provider, call)
	chaos.Point("prove.after_lookup_before_record")
	a.Metrics.ProviderCall(call.Provider, "prove", classOf(err), time.Since(begun))
	if err != nil {
		return Proof{}, failed(ctx, err)
	}
	if state != nil {
		state.Provider, state.After = call.Provider, call.MappingVersion
	}
	return Proof{state}, nil
}

func (a *Activities) prove(ctx context.Context, p tandem.Provider, call tandem.Call) (*tandem.RemoteState, error) {
	if call.Action != tandem.ActCreate {
		state, err := a.fetch(ctx, p, FetchInput{RemoteID: call.RemoteID, Why: ReadForProof})
		return &state, err
	}
	since := call.FrozenAt.Add(-lookBack)
	if email := call.Body.Email; email != nil && *email != "" {
		found, err := a.find(ctx, p, call, tandem.ListQuery{Email: *email, CreatedFrom: since})
		if found != nil || err != nil {
			return found, err
		}
	}
	return a.find(ctx, p, call, tandem.ListQuery{CreatedFrom: since})
}

// find walks a list until the remote customer of this call is seen: the one whose reserved metadata is what its body
// says, and that no mapping has named before. A customer that was linked again has an earlier one which says the same.
func (a *Activities) find(ctx context.Context, p tandem.Provider, call tandem.Call, q tandem.ListQuery) (*tandem.RemoteState, error) {
	for range maxPages {
		if err := a.spendRead(ctx, p, FetchInput{Why: ReadForProof}); err != nil {
			return nil, err
		}
		page, err := p.List(ctx, q)
		if err != nil {
			return nil, err
		}
		found, err := a.pick(ctx, page.Items, call)
		if found != nil || err != nil {
			return found, err
		}
		if page.Next == "" {
			return nil, nil
		}
		q.Cursor = page.Next
		activity.RecordHeartbeat(ctx, q.Cursor)
	}
	return nil, &tandem.Error{
		Class: tandem.Ambiguous, Code: codeLookupTooLarge, Message: "too many remote customers were made since the call",
		Err: errors.New("lookup stopped"),
	}
}

func (a *Activities) pick(ctx context.Context, items []tandem.RemoteState, call tandem.Call) (*tandem.RemoteState, error) {
	for _, item := range items {
		if !isOf(item, call) {
			continue
		}
		mapped, err := a.Store.Mapped(ctx, call.Provider, []string{item.RemoteID})
		if err != nil {
			return nil, err
		}
		if len(mapped) == 0 {
			item.Key = call.Key
			return &item, nil
		}
	}
	return nil, nil
}

const codeLookupTooLarge = "lookup_too_large"

func isOf(s tandem.RemoteState, call tandem.Call) bool {
	return s.Fields.Reserved[tandem.KeyCustomerID] == call.CustomerID &&
		s.Fields.Reserved[tandem.KeyEnvironment] == call.Body.Reserved[tandem.KeyEnvironment]
}
