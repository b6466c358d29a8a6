package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// KeyLife is how long a claim may be sent under its idempotency key. Stripe remembers keys for at least 24 hours
// (docs: idempotent requests) and then makes the call anew; the hour is for clocks that disagree.
const KeyLife = 23 * time.Hour

// CallProvider makes the call as it was frozen. Any failure that can be retried is retried with the same key and body,
// and shown on the mapping meanwhile. Past the life of its key a call is not made again: it could be a second one.
func (a *Activities) CallProvider(ctx context.Context, call tandem.Call) (tandem.RemoteState, error) {
	chaos.PointOf(string(call.Action), "before_stripe")
	begun := time.Now()
	under, done := a.alive(ctx)
	state, err := a.call(under, call)
	done()
	chaos.PointOf(string(call.Action), "after_stripe_before_mapping")
	a.Metrics.ProviderCall(call.Provider, string(call.Action), classOf(err), time.Since(begun))
	if err != nil {
		return tandem.RemoteState{}, failed(ctx, a.noteAttempt(ctx, call, err))
	}
	state.Provider, state.Key, state.After = call.Provider, call.Key, call.MappingVersion
	return state, nil
}

func (a *Activities) call(ctx context.Context, call tandem.Call) (tandem.RemoteState, error) {
	provider, err := a.Providers.Get(call.Provider)
	if err != nil {
		return tandem.RemoteState{}, err
	}
	if age := time.Since(call.FrozenAt); age > KeyLife && (call.Action == tandem.ActCreate || call.Action == tandem.ActUpdate) {
		return tandem.RemoteState{}, &tandem.Error{
			Class: tandem.Ambiguous, Code: tandem.CodeKeyExpired,
			Message: fmt.Sprintf("the call was decided on %s ago and may have happened; its idempotency key is not safe any more", age.Round(time.Hour)),
		}
	}
	switch call.Action {
	case tandem.ActCreate:
		return provider.Create(ctx, call.Key, call.Body)
	case tandem.ActUpdate:
		state, err := provider.Update(ctx, call.RemoteID, call.Key, call.Body)
		if tandem.ClassOf(err) == tandem.Gone {
			return a.proveGone(ctx, provider, call, err)
		}
		return state, err
	case tandem.ActDelete:
		return provider.Delete(ctx, call.RemoteID)
	case tandem.ActLook:
		why := ReadBeforeUpdate
		if call.Wished {
			why = ReadForSync
		}
		return a.fetch(ctx, provider, FetchInput{RemoteID: call.RemoteID, Why: why})
	}
	return tandem.RemoteState{}, tandem.Errorf(tandem.Bug, tandem.CodeInternal, "unknown action %q", call.Action)
}

// proveGone asks again before a remote customer is taken for deleted: the provider answers the same "no such customer"
// with a key of another account, where it proves nothing.
func (a *Activities) proveGone(ctx context.Context, provider tandem.Provider, call tandem.Call, gone error) (tandem.RemoteState, error) {
	state, err := a.fetch(ctx, provider, FetchInput{RemoteID: call.RemoteID, Why: ReadForProof})
	switch {
	case err == nil && state.Deleted:
		return state, nil
	case err == nil:
		return state, &tandem.Error{Class: tandem.Transient, Code: tandem.CodeRemoteGone, Message: "the provider says both gone and there", Err: gone}
	case tandem.ClassOf(err) == tandem.Gone:
		return state, gone
	}
	return state, err
}

// noteAttempt shows a failure that is going to be retried, and answers with it unless there is nothing to retry any more.
func (a *Activities) noteAttempt(ctx context.Context, call tandem.Call, failure error) error {
	if !retryable(failure) && !NeedsProof(tandem.CodeOf(failure)) {
		return failure // the workflow parks it
	}
	attempt := int(activity.GetInfo(ctx).Attempt)
	// The call's own deadline may be what failed; showing that takes a moment of its own.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := a.Store.NoteAttempt(ctx, call, failure, attempt)
	chaos.Point("attempt.after_note_before_retry")
	if tandem.CodeOf(err) == tandem.CodeClaimEnded {
		return err
	}
	if err != nil {
		a.Logger.Warn("sync.attempt_not_shown", "customer_id", call.CustomerID, "provider", call.Provider, "class", classOf(err))
	}
	return failure
}
