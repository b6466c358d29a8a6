// Package edges goes through what can happen between a customer and its remote customer, one named case after the other:
// docs/decisions/0009-forty-edge-cases.md is its index. Workflows, acts, store, adapter, Postgres and stand-in are the
// real ones; only Temporal is its test environment, which skips the waits. So the order in which things happen is chosen
// here, where the black-box tests next door can only hope for it.
package edges_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	secret  = "whsec_edges"
	rolling = "whsec_edges_rolling"
)

// world is both sides and what is between them. Events are delivered when the test says so.
type world struct {
	t       *testing.T
	store   *db.Store
	stripe  *stripetest.Server
	adapter *stripe.Provider
	acts    *activities.Activities
	metrics *counts
	hooks   hooks

	mu        sync.Mutex
	running   map[string]*testsuite.TestWorkflowEnvironment // Outbound, by customer
	poked     []string
	delivered map[string]bool
}

func newWorld(t *testing.T, change ...func(*tandem.Policy)) *world {
	t.Helper()
	return newWorldThatWaits(t, 5*time.Second, change...)
}

// newWorldThatWaits is one whose adapter waits that long for an answer.
func newWorldThatWaits(t *testing.T, timeout time.Duration, change ...func(*tandem.Policy)) *world {
	t.Helper()
	policy := dbtest.Policy
	for _, c := range change {
		c(&policy)
	}
	w := &world{t: t, store: dbtest.New(t, policy), metrics: &counts{seen: map[string]int{}}, running: map[string]*testsuite.TestWorkflowEnvironment{}}
	w.acts = &activities.Activities{
		Store: w.store, Providers: tandem.Providers{&w.hooks}, Starter: starter{world: w}, Metrics: w.metrics, Logger: slog.New(slog.DiscardHandler),
	}
	w.meet(timeout)
	return w
}

// meet gives the world a provider's account in which nobody is yet.
func (w *world) meet(timeout time.Duration) {
	w.t.Helper()
	server, err := stripetest.Start(stripetest.Options{})
	require.NoError(w.t, err)
	w.t.Cleanup(server.Close)
	adapter, err := stripe.New(stripe.Config{
		APIKey: "sk_test_edges", WebhookSecrets: []string{secret, rolling}, BaseURL: server.URL(), Timeout: timeout,
	})
	require.NoError(w.t, err)
	w.t.Cleanup(adapter.Close)
	w.stripe, w.adapter, w.delivered = server, adapter, map[string]bool{}
	w.hooks.Provider, w.hooks.before, w.hooks.after = adapter, nil, nil
}

// guarded is what a worker does when it starts: it asks whose customers the key leads to.
func (w *world) guarded(accepted string) {
	w.t.Helper()
	g := activities.NewGuard(&w.hooks)
	g.Watch(w.t.Context(), w.store, accepted, slog.New(slog.DiscardHandler))
	w.acts.Providers = tandem.Providers{g}
}

// stranger is another account, and the way to it.
func (w *world) stranger(account string) (*stripetest.Server, tandem.Provider) {
	w.t.Helper()
	server, err := stripetest.Start(stripetest.Options{AccountID: account})
	require.NoError(w.t, err)
	w.t.Cleanup(server.Close)
	adapter, err := stripe.New(stripe.Config{APIKey: "sk_test_other", WebhookSecrets: []string{secret}, BaseURL: server.URL()})
	require.NoError(w.t, err)
	w.t.Cleanup(adapter.Close)
	return server, adapter
}

// hooks lets something happen at the moment between a provider's answer and its record, or right before a call.
type hooks struct {
	tandem.Provider
	mu            sync.Mutex
	before, after map[string]func()
}

func (h *hooks) run(table *map[string]func(), op string) {
	h.mu.Lock()
	f := (*table)[op]
	delete(*table, op) // once
	h.mu.Unlock()
	if f != nil {
		f()
	}
}

func (h *hooks) set(table *map[string]func(), op string, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *table == nil {
		*table = map[string]func(){}
	}
	(*table)[op] = f
}

func (h *hooks) Create(ctx context.Context, key string, body tandem.Patch) (tandem.RemoteState, error) {
	h.run(&h.before, "create")
	defer h.run(&h.after, "create")
	return h.Provider.Create(ctx, key, body)
}

func (h *hooks) Update(ctx context.Context, remoteID, key string, body tandem.Patch) (tandem.RemoteState, error) {
	h.run(&h.before, "update")
	defer h.run(&h.after, "update")
	return h.Provider.Update(ctx, remoteID, key, body)
}

func (h *hooks) Delete(ctx context.Context, remoteID string) (tandem.RemoteState, error) {
	h.run(&h.before, "delete")
	defer h.run(&h.after, "delete")
	return h.Provider.Delete(ctx, remoteID)
}

// before has something happen when the next call of that kind is about to be made.
func (w *world) before(op string, f func()) { w.hooks.set(&w.hooks.before, op, f) }

// meanwhile has something happen when the next call of that kind is over and its answer is not recorded yet.
func (w *world) meanwhile(op string, f func()) { w.hooks.set(&w.hooks.after, op, f) }

// starter passes a wish to the run that is open, or notes it for settle.
type starter struct {
	tandem.Starter
	world *world
}

func (s starter) Sync(_ context.Context, customerID string, cause tandem.Cause) (tandem.Run, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if env := s.world.running[customerID]; env != nil {
		env.SignalWorkflow(workflows.SignalSync, workflows.SyncSignal{Cause: cause})
	} else {
		s.world.poked = append(s.world.poked, customerID)
	}
	return tandem.Run{}, nil
}

// counts is the metrics of the acts.
type counts struct {
	mu   sync.Mutex
	seen map[string]int // "operation class"
}

func (c *counts) ProviderCall(_, operation string, class tandem.Class, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[operation+" "+string(class)]++
}

func (c *counts) Applied(tandem.Direction, tandem.EventState) {}

func (c *counts) ProviderRead(string, string, bool) {}
