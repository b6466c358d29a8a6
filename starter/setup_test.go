package starter_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/goleak"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/starter"
	"github.com/tandem-sync/tandem/worker"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// stack is the real thing, but for Stripe: Temporal, Postgres, the workers, and a starter. Tests share one and keep
// apart by customer.
type stack struct {
	temporal *devstack.Temporal
	client   client.Client
	store    *db.Store
	standIn  *stripetest.Server
	stripe   *stripe.Provider
	starter  *starter.Starter
}

var quiet = slog.New(slog.DiscardHandler)

// startStack starts everything. When t and its subtests have ended everything is stopped, and nothing may be left.
func startStack(t *testing.T) *stack {
	t.Helper()
	return startStackWith(t, dbtest.Policy)
}

func startStackWith(t *testing.T, policy tandem.Policy) *stack {
	t.Helper()
	s := &stack{store: dbtest.New(t, policy)}
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		require.NoError(t, goleak.Find(before, goleak.IgnoreTopFunction("database/sql.(*DB).connectionCleaner")))
	})
	var err error
	s.temporal, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.temporal.Stop()) })
	s.standIn, err = stripetest.Start(stripetest.Options{})
	require.NoError(t, err)
	t.Cleanup(s.standIn.Close)
	s.stripe, err = stripe.New(stripe.Config{APIKey: "sk_test_stack", WebhookSecrets: []string{"whsec_stack"}, BaseURL: s.standIn.URL()})
	require.NoError(t, err)
	t.Cleanup(s.stripe.Close)
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: s.temporal.Address(), Identity: "tandem-test", Logger: log.NewStructuredLogger(quiet),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s.client = c
	s.starter = starter.New(c, []string{"stripe"})
	workers := worker.New(c, &activities.Activities{
		Store: s.store, Providers: tandem.Providers{s.stripe}, Starter: s.starter, Metrics: noMetrics{}, Logger: quiet,
	}, worker.Options{RequestsPerSecond: 1000, StopTimeout: 5 * time.Second, OnFatal: func(err error) { panic(err) }})
	require.NoError(t, workers.Start())
	t.Cleanup(workers.Stop)
	return s
}

// countingClient counts how often an Update-with-Start was sent.
type countingClient struct {
	client.Client
	updates atomic.Int64
}

func (c *countingClient) UpdateWithStartWorkflow(ctx context.Context, o client.UpdateWithStartWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	c.updates.Add(1)
	return c.Client.UpdateWithStartWorkflow(ctx, o)
}

type noMetrics struct{}

func (noMetrics) ProviderCall(string, string, tandem.Class, time.Duration) {}
func (noMetrics) ProviderRead(string, string, bool)                        {}
func (noMetrics) Applied(tandem.Direction, tandem.EventState)              {}

func newCustomerID() string { return "cust_" + ulid.Make().String() }
func newChangeID() string   { return "chg_" + ulid.Make().String() }

func ptr[T any](v T) *T { return &v }

func createOf(id string) tandem.Change {
	return tandem.Change{
		ID: newChangeID(), Kind: tandem.ChangeCreate, CustomerID: id,
		Patch: tandem.Patch{Name: ptr("Ada Example"), Email: ptr("ada@example.org")},
	}
}

func renameOf(id, name string) tandem.Change {
	return tandem.Change{ID: newChangeID(), Kind: tandem.ChangeUpdate, CustomerID: id, Patch: tandem.Patch{Name: &name}}
}

// customer makes a customer and waits until both sides have it.
func (s *stack) customer(t *testing.T) (id, remoteID string) {
	t.Helper()
	id = newCustomerID()
	_, err := s.starter.Change(t.Context(), createOf(id))
	require.NoError(t, err)
	s.settled(t, id)
	return id, s.mapping(t, id).RemoteID
}

func (s *stack) settled(t *testing.T, id string) {
	t.Helper()
	require.NoError(t, s.starter.Settle(t.Context(), id))
}

func (s *stack) mapping(t *testing.T, id string) tandem.Mapping {
	t.Helper()
	ms, err := s.store.Mappings(t.Context(), []string{id})
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return ms[0]
}

// remoteName is the remote customer's name as the stand-in has it.
func (s *stack) remoteName(t *testing.T, remoteID string) string {
	t.Helper()
	c, ok := s.standIn.Customer(remoteID)
	require.True(t, ok)
	return c.Name
}

// writes counts what was carried out at the stand-in for a customer: keys name it.
func (s *stack) writes(op, customerID string) int {
	n := 0
	for _, o := range s.standIn.Operations() {
		if o.Op == op && o.Applied && !o.Replayed && contains(o.IdempotencyKey, customerID) {
			n++
		}
	}
	return n
}

func (s *stack) awaitState(t *testing.T, id string, state tandem.MappingState) {
	t.Helper()
	require.Eventually(t, func() bool { return s.mapping(t, id).State == state }, 20*time.Second, 10*time.Millisecond)
}

// ingest stores the newest event about a remote customer that the ledger does not have, as the webhook handler does,
// and returns the ledger row.
func (s *stack) ingest(t *testing.T, remoteID string) tandem.Ingested {
	t.Helper()
	events := s.standIn.Events()
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].CustomerID != remoteID {
			continue
		}
		e, err := s.stripe.ParseEvent(events[i].Body)
		require.NoError(t, err)
		in, err := s.store.Ingest(t.Context(), "stripe", e)
		require.NoError(t, err)
		return in
	}
	require.FailNow(t, "no event about "+remoteID)
	return tandem.Ingested{}
}

// inbound takes the newest event in and waits until its run has ended.
func (s *stack) inbound(t *testing.T, remoteID string) tandem.Run {
	t.Helper()
	in := s.ingest(t, remoteID)
	require.True(t, in.Open, "the event was settled without a workflow: %s", in.State)
	run, err := s.starter.Inbound(t.Context(), "stripe", remoteID, []string{in.Row})
	require.NoError(t, err)
	s.ended(t, run)
	return run
}

func (s *stack) ended(t *testing.T, run tandem.Run) {
	t.Helper()
	require.NoError(t, s.client.GetWorkflow(t.Context(), run.WorkflowID, run.RunID).Get(t.Context(), nil))
}

// history is that of one run, the latest when runID is empty.
func (s *stack) history(t *testing.T, workflowID, runID string) *history.History {
	t.Helper()
	h := &history.History{}
	it := s.client.GetWorkflowHistory(t.Context(), workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, e)
	}
	return h
}

// describe shows a history on one line.
func describe(h *history.History) string {
	out := fmt.Sprintf("%d events:", len(h.Events))
	for _, e := range h.Events {
		out += " " + e.EventType.String()
	}
	return out
}
