package api

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem"
)

// changesAtOnce is how many wishes of callers a process has under way unless told otherwise. What two processor cores
// cannot answer within the budget of a request is better refused at once than given up half-way: the abandoned ones
// would go on and hold up the next.
const changesAtOnce = 64

const codeOverloaded = "overloaded"

// errNotStarted marks a refusal before anything was done: the same request may be sent again, with or without a key.
var errNotStarted = errors.New("nothing was started")

// gate stands before the workflow service, for what callers wait for. Events do not pass it: handover has a limit of its
// own and may leave them for later, which a caller's change cannot.
type gate struct {
	tandem.Starter
	slots     chan struct{}
	reachable func(ctx context.Context) error
	refused   func(why string)
}

// enter refuses at once what could only wait. leave is called when the wish has been answered; waiting for a sync
// (Settle) is no change and takes no place.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	if err := g.reachable(ctx); err != nil {
		g.refused("away")
		return nil, &tandem.Error{
			Class: tandem.Transient, Code: tandem.CodeUnavailable, Message: "changes cannot be taken just now; nothing was started",
			Err: errors.Join(errNotStarted, err),
		}
	}
	select {
	case g.slots <- struct{}{}:
		return func() { <-g.slots }, nil
	default:
		g.refused(codeOverloaded)
		return nil, &tandem.Error{
			Class: tandem.RateLimited, Code: codeOverloaded, Message: "too many changes are under way here; nothing was started",
			Err: errNotStarted,
		}
	}
}

// through makes a wish behind the gate.
func through[T any](ctx context.Context, g *gate, wish func() (T, error)) (out T, err error) {
	leave, err := g.enter(ctx)
	if err != nil {
		return out, err
	}
	defer leave()
	return wish()
}

// Change implements tandem.Starter.
func (g *gate) Change(ctx context.Context, ch tandem.Change) (tandem.Customer, error) {
	return through(ctx, g, func() (tandem.Customer, error) { return g.Starter.Change(ctx, ch) })
}

// Sync implements tandem.Starter.
func (g *gate) Sync(ctx context.Context, customerID string, cause tandem.Cause) (tandem.Run, error) {
	return through(ctx, g, func() (tandem.Run, error) { return g.Starter.Sync(ctx, customerID, cause) })
}

// Nudge implements tandem.Starter.
func (g *gate) Nudge(ctx context.Context, customerID, provider string, word tandem.Word) (tandem.Run, error) {
	return through(ctx, g, func() (tandem.Run, error) { return g.Starter.Nudge(ctx, customerID, provider, word) })
}

// Link implements tandem.Starter.
func (g *gate) Link(ctx context.Context, l tandem.Link) (tandem.Mapping, error) {
	return through(ctx, g, func() (tandem.Mapping, error) { return g.Starter.Link(ctx, l) })
}

// Unlink implements tandem.Starter.
func (g *gate) Unlink(ctx context.Context, u tandem.Unlink) error {
	_, err := through(ctx, g, func() (struct{}, error) { return struct{}{}, g.Starter.Unlink(ctx, u) })
	return err
}

// Resolve implements tandem.Starter.
func (g *gate) Resolve(ctx context.Context, r tandem.Resolve) (tandem.Mapping, error) {
	return through(ctx, g, func() (tandem.Mapping, error) { return g.Starter.Resolve(ctx, r) })
}

// Inbound implements tandem.Starter: an event that a person replays.
func (g *gate) Inbound(ctx context.Context, provider, remoteID string, rows []string) (tandem.Run, error) {
	return through(ctx, g, func() (tandem.Run, error) { return g.Starter.Inbound(ctx, provider, remoteID, rows) })
}

// BeginRun implements tandem.Starter.
func (g *gate) BeginRun(ctx context.Context, w tandem.RunWish) (tandem.BulkRun, error) {
	return through(ctx, g, func() (tandem.BulkRun, error) { return g.Starter.BeginRun(ctx, w) })
}

// Steer implements tandem.Starter.
func (g *gate) Steer(ctx context.Context, workflowID string, word tandem.Word) error {
	_, err := through(ctx, g, func() (struct{}, error) { return struct{}{}, g.Starter.Steer(ctx, workflowID, word) })
	return err
}

// CatchUp implements tandem.Starter.
func (g *gate) CatchUp(ctx context.Context, provider string) (tandem.Run, error) {
	return through(ctx, g, func() (tandem.Run, error) { return g.Starter.CatchUp(ctx, provider) })
}
