package activities

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tandem-sync/tandem"
)

// Accounts remembers which account a provider's customers belong to; db.Store is one.
type Accounts interface {
	MeetAccount(ctx context.Context, provider, account, accepted string) (known string, err error)
}

// Guard lets no call through to a provider whose key leads to another account than the one that the customers here belong
// to. Over there nobody knows them: updates would find nothing, and creates would make everybody anew.
type Guard struct {
	tandem.Provider
	opened sync.Once
	open   chan struct{} // closed when the account is known, or cannot be asked for just now

	mu   sync.Mutex
	stop error
}

// NewGuard guards a provider. Until Watch has asked once, calls wait, at most askTimeout.
func NewGuard(p tandem.Provider) *Guard { return &Guard{Provider: p, open: make(chan struct{})} }

const (
	askTimeout   = 5 * time.Second
	longestAsk   = 10 * time.Minute // a restricted key may never be allowed to ask
	firstAskWait = time.Second
)

// Watch asks until the provider has answered, then it knows. A provider that is away, or that does not allow the question,
// holds up nothing: its calls are answered as ever.
func (g *Guard) Watch(ctx context.Context, store Accounts, accepted string, logger *slog.Logger) {
	defer g.opened.Do(func() { close(g.open) })
	for pause := firstAskWait; ; pause = min(2*pause, longestAsk) {
		err := g.ask(ctx, store, accepted, logger)
		if err == nil || ctx.Err() != nil {
			return
		}
		if pause == firstAskWait {
			logger.Warn("provider.account_not_known", "provider", g.Name(), "class", tandem.ClassOf(err), "code", tandem.CodeOf(err))
		}
		g.opened.Do(func() { close(g.open) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (g *Guard) ask(ctx context.Context, store Accounts, accepted string, logger *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	account, err := g.Account(ctx)
	if err != nil {
		return err
	}
	known, err := store.MeetAccount(ctx, g.Name(), account, accepted)
	if err != nil || known == account {
		return err
	}
	logger.Error("provider.account_changed", "provider", g.Name(), "account", account, "known", known,
		"confirm", "TANDEM_ACCEPT_ACCOUNT="+account)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop = &tandem.Error{
		Class: tandem.Auth, Code: tandem.CodeAccountChanged,
		Message: "the key leads to the account " + account + ", the customers here belong to " + known + ": put the right key in place, or confirm the other account",
	}
	return nil
}

// pass says why a call must not be made.
func (g *Guard) pass(ctx context.Context) error {
	select {
	case <-g.open:
	case <-ctx.Done():
	case <-time.After(askTimeout):
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stop
}

// Create implements tandem.Provider.
func (g *Guard) Create(ctx context.Context, key string, body tandem.Patch) (tandem.RemoteState, error) {
	if err := g.pass(ctx); err != nil {
		return tandem.RemoteState{}, err
	}
	return g.Provider.Create(ctx, key, body)
}

// Update implements tandem.Provider.
func (g *Guard) Update(ctx context.Context, remoteID, key string, body tandem.Patch) (tandem.RemoteState, error) {
	if err := g.pass(ctx); err != nil {
		return tandem.RemoteState{}, err
	}
	return g.Provider.Update(ctx, remoteID, key, body)
}

// Fetch implements tandem.Provider.
func (g *Guard) Fetch(ctx context.Context, remoteID string) (tandem.RemoteState, error) {
	if err := g.pass(ctx); err != nil {
		return tandem.RemoteState{}, err
	}
	return g.Provider.Fetch(ctx, remoteID)
}

// Delete implements tandem.Provider. Over there the customer does not exist, which would look like success.
func (g *Guard) Delete(ctx context.Context, remoteID string) (tandem.RemoteState, error) {
	if err := g.pass(ctx); err != nil {
		return tandem.RemoteState{}, err
	}
	return g.Provider.Delete(ctx, remoteID)
}

// List implements tandem.Provider. A list of another account would prove absence.
func (g *Guard) List(ctx context.Context, q tandem.ListQuery) (tandem.Page, error) {
	if err := g.pass(ctx); err != nil {
		return tandem.Page{}, err
	}
	return g.Provider.List(ctx, q)
}

// Events implements tandem.Provider. Those of another account would bring its customers in.
func (g *Guard) Events(ctx context.Context, q tandem.EventsQuery) (tandem.EventsPage, error) {
	if err := g.pass(ctx); err != nil {
		return tandem.EventsPage{}, err
	}
	return g.Provider.Events(ctx, q)
}
