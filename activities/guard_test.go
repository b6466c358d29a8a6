package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
)

// account is a provider that is asked whose key it is, and counts what reaches it.
type account struct {
	tandem.Provider
	id      string
	asked   chan struct{} // every question
	refuses atomic.Bool
	hold    chan struct{} // a question is answered when it is closed; nil: at once
	calls   atomic.Int64
}

func (a *account) Name() string { return "stripe" }

func (a *account) Account(context.Context) (string, error) {
	if a.hold != nil {
		<-a.hold
	}
	a.asked <- struct{}{}
	if a.refuses.Load() {
		return "", tandem.Errorf(tandem.Auth, "more_permissions_required", "no")
	}
	return a.id, nil
}

func (a *account) Create(context.Context, string, tandem.Patch) (tandem.RemoteState, error) {
	a.calls.Add(1)
	return tandem.RemoteState{}, nil
}

func (a *account) Update(context.Context, string, string, tandem.Patch) (tandem.RemoteState, error) {
	a.calls.Add(1)
	return tandem.RemoteState{}, nil
}

func (a *account) Fetch(context.Context, string) (tandem.RemoteState, error) {
	a.calls.Add(1)
	return tandem.RemoteState{}, nil
}

func (a *account) Delete(context.Context, string) (tandem.RemoteState, error) {
	a.calls.Add(1)
	return tandem.RemoteState{}, nil
}

func (a *account) List(context.Context, tandem.ListQuery) (tandem.Page, error) {
	a.calls.Add(1)
	return tandem.Page{}, nil
}

func (a *account) Events(context.Context, tandem.EventsQuery) (tandem.EventsPage, error) {
	a.calls.Add(1)
	return tandem.EventsPage{}, nil
}

// everyCall makes one call of each kind.
func everyCall(ctx context.Context, g *activities.Guard) []error {
	_, create := g.Create(ctx, "key", tandem.Patch{})
	_, update := g.Update(ctx, "cus_1", "key", tandem.Patch{})
	_, fetch := g.Fetch(ctx, "cus_1")
	_, remove := g.Delete(ctx, "cus_1")
	_, list := g.List(ctx, tandem.ListQuery{})
	_, events := g.Events(ctx, tandem.EventsQuery{})
	return []error{create, update, fetch, remove, list, events}
}

// book is what the database remembers.
type book struct{ known string }

func (b *book) MeetAccount(_ context.Context, _, account, accepted string) (string, error) {
	if b.known == "" || account == accepted {
		b.known = account
	}
	return b.known, nil
}

func newAccount(id string) *account { return &account{id: id, asked: make(chan struct{}, 100)} }

func TestGuardLetsNoCallThroughToAnotherAccount(t *testing.T) {
	t.Parallel()
	store, log := &book{known: "acct_1"}, &strings.Builder{}
	a := newAccount("acct_2")
	g := activities.NewGuard(a)
	g.Watch(t.Context(), store, "", slog.New(slog.NewTextHandler(log, nil)))
	for _, err := range everyCall(t.Context(), g) {
		require.Equal(t, tandem.Auth, tandem.ClassOf(err))
		require.Equal(t, tandem.CodeAccountChanged, tandem.CodeOf(err))
	}
	require.Zero(t, a.calls.Load())
	require.Contains(t, log.String(), "TANDEM_ACCEPT_ACCOUNT=acct_2")

	g = activities.NewGuard(a)
	g.Watch(t.Context(), store, "acct_2", slog.New(slog.DiscardHandler))
	require.NoError(t, errors.Join(everyCall(t.Context(), g)...))
	require.EqualValues(t, 6, a.calls.Load())
}

func TestGuardHoldsUpNothingWhereTheAccountIsNotTold(t *testing.T) {
	t.Parallel()
	a := newAccount("acct_1")
	a.refuses.Store(true)
	g := activities.NewGuard(a)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Watch(t.Context(), &book{known: "acct_2"}, "", slog.New(slog.DiscardHandler))
	}()
	<-a.asked
	require.NoError(t, errors.Join(everyCall(t.Context(), g)...))
	a.refuses.Store(false)
	<-ended // it has been asked again, and has told
	require.Error(t, everyCall(t.Context(), g)[0])
}

func TestGuardMakesTheFirstCallsWaitForTheAnswer(t *testing.T) {
	t.Parallel()
	a := newAccount("acct_2")
	a.hold = make(chan struct{})
	g := activities.NewGuard(a)
	go g.Watch(t.Context(), &book{known: "acct_1"}, "", slog.New(slog.DiscardHandler))
	first := make(chan error, 1)
	go func() {
		_, err := g.Create(t.Context(), "key", tandem.Patch{})
		first <- err
	}()
	require.Never(t, func() bool { return len(first) > 0 }, 100*time.Millisecond, 10*time.Millisecond)
	close(a.hold)
	require.Equal(t, tandem.CodeAccountChanged, tandem.CodeOf(<-first))
	require.Zero(t, a.calls.Load())
}
