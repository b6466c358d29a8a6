// Package activities holds the three acts of a sync: create or change the customer (customer.go), call the provider
// (provider.go, and reads.go where it only looks), write the mapping (mapping.go).
//
// Every act may run twice: a worker can die after it took effect and before Temporal heard of it. So each either finds
// its own traces (a change in the journal, a claim on the mapping, a state in the ledger) or repeats something that is
// harmless to repeat (the same request under the same idempotency key). And every act answers from what is, not from
// what it did: the second run must not say "nothing happened" because the first one did it.
package activities

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
)

// Store is what the acts need of the database; db.Store is one.
type Store interface {
	ApplyChange(ctx context.Context, ch tandem.Change, work tandem.Work) (tandem.Customer, error)
	Plan(ctx context.Context, customerID, provider string, ask tandem.Ask) (tandem.Call, error)
	ApplyRemote(ctx context.Context, states []tandem.RemoteState, work tandem.Work) ([]tandem.Outcome, error)
	NoteAttempt(ctx context.Context, call tandem.Call, failure error, attempt int) error
	Park(ctx context.Context, call tandem.Call, failure tandem.LastError, work tandem.Work) error
	Skip(ctx context.Context, customerID, provider string, failure *tandem.LastError, work tandem.Work) error
	Mapped(ctx context.Context, provider string, remoteIDs []string) ([]string, error)
	Renew(ctx context.Context, call tandem.Call, work tandem.Work) error
	Link(ctx context.Context, l tandem.Link, state tandem.RemoteState, work tandem.Work) (tandem.Mapping, error)
	Unlink(ctx context.Context, u tandem.Unlink, work tandem.Work) error
	Resolve(ctx context.Context, r tandem.Resolve, work tandem.Work) (tandem.Mapping, error)
	Waiting(ctx context.Context, provider string, remoteIDs []string, limit int) ([]tandem.LedgerRow, error)
	WaitingRemotes(ctx context.Context, provider, after string, limit int) (remoteIDs []string, next string, err error)
	EndEvents(ctx context.Context, rows []string, state tandem.EventState, reason string) error
	Unfinished(ctx context.Context, provider string, remoteIDs []string) ([]string, error)
	SpendRead(ctx context.Context, provider, why string, budget int, rows []string) error
	runStore
}

// Metrics counts what the acts do; app.Metrics is one.
type Metrics interface {
	ProviderCall(provider, operation string, class tandem.Class, took time.Duration)
	ProviderRead(provider, why string, made bool) // not made: the day's budget is spent
	Applied(direction tandem.Direction, state tandem.EventState)
}

// Activities is the receiver of all acts. Workflows name the methods of an empty one.
type Activities struct {
	Store     Store
	Providers tandem.Providers
	Starter   tandem.Starter
	Metrics   Metrics
	Logger    *slog.Logger

	ReadsPerDay int           // at each provider, for events whose order is in doubt; 0 is no limit
	BeatEvery   time.Duration // between two signs of life of a provider call; 0 is three seconds

	// Pace waits until the provider's lists may be asked once more; nil is no limit. Temporal limits calls by the number of
	// acts, and one act of a run asks many times.
	Pace func(ctx context.Context, provider string) error
}

// work says on whose behalf the running activity writes.
func work(ctx context.Context, cause tandem.Cause) tandem.Work {
	w := activity.GetInfo(ctx).WorkflowExecution
	return tandem.Work{Cause: cause, WorkflowID: w.ID, RunID: w.RunID}
}
