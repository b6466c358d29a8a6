package activities_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// bundle is what the acts work with: a real database, the real adapter, and the stand-in behind it.
type bundle struct {
	acts    *activities.Activities
	store   *db.Store
	standIn *stripetest.Server
	stripe  *stripe.Provider
	starter *wishes
	metrics *counts
	logs    *lockedBuffer
}

func setup(t *testing.T) *bundle { return setupWith(t, nil) }

func setupWith(t *testing.T, merge tandem.MergePolicy) *bundle {
	t.Helper()
	policy := dbtest.Policy
	policy.Merge = merge
	b := &bundle{store: dbtest.New(t, policy), starter: &wishes{}, metrics: &counts{}, logs: &lockedBuffer{}}
	var err error
	b.standIn, err = stripetest.Start(stripetest.Options{})
	require.NoError(t, err)
	t.Cleanup(b.standIn.Close)
	logger := slog.New(slog.NewTextHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.stripe, err = stripe.New(stripe.Config{
		APIKey: "sk_test_acts", WebhookSecrets: []string{"whsec_acts"}, BaseURL: b.standIn.URL(), Timeout: 3 * time.Second, Logger: logger,
	})
	require.NoError(t, err)
	t.Cleanup(b.stripe.Close)
	b.acts = &activities.Activities{
		Store: b.store, Providers: tandem.Providers{b.stripe}, Starter: b.starter, Metrics: b.metrics, Logger: logger,
	}
	return b
}

// wishes is a starter that writes down what it is asked for.
type wishes struct {
	tandem.Starter
	mu    sync.Mutex
	syncs []string
	woken []string
	err   error
}

func (w *wishes) Wake(_ context.Context, _, remoteID string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.woken = append(w.woken, remoteID)
	return w.err
}

func (w *wishes) Sync(_ context.Context, customerID string, _ tandem.Cause) (tandem.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.syncs = append(w.syncs, customerID)
	return tandem.Run{}, w.err
}

// counts is the metrics of the acts.
type counts struct {
	mu      sync.Mutex
	calls   []string // provider operation class
	reads   []string // provider why, and "not made" when the budget was spent
	applied []tandem.EventState
}

func (c *counts) ProviderCall(provider, operation string, class tandem.Class, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, provider+" "+operation+" "+string(class))
}

func (c *counts) ProviderRead(provider, why string, made bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := provider + " " + why
	if !made {
		line += " not made"
	}
	c.reads = append(c.reads, line)
}

func (c *counts) Applied(_ tandem.Direction, state tandem.EventState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = append(c.applied, state)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// style is one of the two ways in which Temporal runs an act.
type style func(env *testsuite.TestActivityEnvironment, act any, args ...any) (converter.EncodedValue, error)

var styles = map[string]style{
	"activity":       (*testsuite.TestActivityEnvironment).ExecuteActivity,
	"local activity": (*testsuite.TestActivityEnvironment).ExecuteLocalActivity,
}

// eachStyle runs the test for both ways, each on a database of its own.
func eachStyle(t *testing.T, test func(t *testing.T, b *bundle, s style)) {
	t.Helper()
	for name, s := range styles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t), s)
		})
	}
}

// run runs an act once.
func run[T any](t *testing.T, b *bundle, s style, act func(context.Context, T) error, in T) error {
	t.Helper()
	_, err := b.execute(s, act, in)
	return err
}

// get runs an act that answers once.
func get[In, Out any](t *testing.T, b *bundle, s style, act func(context.Context, In) (Out, error), in In) (Out, error) {
	t.Helper()
	var out Out
	v, err := b.execute(s, act, in)
	if err == nil {
		require.NoError(t, v.Get(&out))
	}
	return out, err
}

// twice runs an act two times in a row, as when a worker dies after the first.
func twice[In, Out any](t *testing.T, b *bundle, s style, act func(context.Context, In) (Out, error), in In) (one, two Out) {
	t.Helper()
	one, err := get(t, b, s, act, in)
	require.NoError(t, err)
	two, err = get(t, b, s, act, in)
	require.NoError(t, err)
	return one, two
}

// execute runs an act, and sends its error over the wire and back, as Temporal does before a workflow sees it. The test
// environment hands a local activity's error over as it is.
func (b *bundle) execute(s style, act, in any) (converter.EncodedValue, error) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.NewTextHandler(b.logs, nil))))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(b.acts)
	v, err := s(env, act, in)
	return v, overTheWire(err)
}

func overTheWire(err error) error {
	fc := temporal.GetDefaultFailureConverter()
	return fc.FailureToError(fc.ErrorToFailure(err))
}

func ptr[T any](v T) *T { return &v }

func newID(prefix string) string { return prefix + "_" + ulid.Make().String() }

func createOf(id string) tandem.Change {
	return tandem.Change{
		ID: newID("chg"), Kind: tandem.ChangeCreate, CustomerID: id,
		Patch: tandem.Patch{Name: ptr("Ada Example"), Email: ptr(canary)},
	}
}

func renameOf(id, name string) tandem.Change {
	return tandem.Change{ID: newID("chg"), Kind: tandem.ChangeUpdate, CustomerID: id, Patch: tandem.Patch{Name: &name}}
}

// canary must turn up nowhere but in the database, in the acts' inputs and at the provider.
const canary = "canary@example.org"

// stored makes a customer that no provider has yet, and returns the call that is due.
func (b *bundle) stored(t *testing.T) (id string, call tandem.Call) {
	t.Helper()
	id = newID("cust")
	_, err := b.store.ApplyChange(t.Context(), createOf(id), tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: newID("chg")}})
	require.NoError(t, err)
	return id, b.planned(t, id)
}

func (b *bundle) planned(t *testing.T, id string) tandem.Call {
	t.Helper()
	call, err := b.store.Plan(t.Context(), id, "stripe", tandem.Ask{})
	require.NoError(t, err)
	return call
}

// synced makes a customer that both sides have.
func (b *bundle) synced(t *testing.T) (id, remoteID string) {
	t.Helper()
	id, call := b.stored(t)
	state, err := get(t, b, styles["activity"], b.acts.CallProvider, call)
	require.NoError(t, err)
	_, err = get(t, b, styles["local activity"], b.acts.RecordAnswer, activities.AnswerInput{Call: call, State: state, Cause: byAPI})
	require.NoError(t, err)
	require.Equal(t, tandem.Synced, b.mapping(t, id).State)
	return id, state.RemoteID
}

// renamed makes a change of a synced customer and returns the call that is due.
func (b *bundle) renamed(t *testing.T, id, name string) tandem.Call {
	t.Helper()
	ch := renameOf(id, name)
	_, err := b.store.ApplyChange(t.Context(), ch, tandem.Work{Cause: tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}})
	require.NoError(t, err)
	return b.planned(t, id)
}

var byAPI = tandem.Cause{Kind: tandem.ByAPI, ID: "chg_test"}

func (b *bundle) customer(t *testing.T, id string) tandem.Customer {
	t.Helper()
	c, err := b.store.Customer(t.Context(), id)
	require.NoError(t, err)
	return c
}

func (b *bundle) mapping(t *testing.T, id string) tandem.Mapping {
	t.Helper()
	ms, err := b.store.Mappings(t.Context(), []string{id})
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return ms[0]
}

// story lists what the journal says was done to a customer: direction and action.
func (b *bundle) story(t *testing.T, id string) (lines []string) {
	t.Helper()
	js, err := b.store.Journal(t.Context(), id, 100)
	require.NoError(t, err)
	for _, j := range js {
		line := string(j.Direction) + " " + j.Action
		if j.Provider != "" {
			line += " " + j.Provider
		}
		lines = append(lines, line)
	}
	return lines
}

// requests lists what the adapter asked of the stand-in: operation, and whether it was carried out, replayed, or none.
func (b *bundle) requests() (lines []string) {
	for _, o := range b.standIn.Operations() {
		switch {
		case o.Actor != stripetest.ActorAPI:
			continue
		case o.Replayed:
			lines = append(lines, o.Op+" replayed")
		case o.Applied:
			lines = append(lines, o.Op+" applied")
		default:
			lines = append(lines, o.Op)
		}
	}
	return lines
}

// foreign makes a remote customer as a person in the dashboard would.
func (b *bundle) foreign(t *testing.T) string {
	t.Helper()
	c, err := b.standIn.CreateCustomer(url.Values{"name": {"Mary Example"}, "email": {canary}})
	require.NoError(t, err)
	return c.ID
}

func (b *bundle) edit(t *testing.T, remoteID, field, value string) {
	t.Helper()
	_, err := b.standIn.EditCustomer(remoteID, url.Values{field: {value}})
	require.NoError(t, err)
}

// ingest stores the newest event about a remote customer and returns its ledger row.
func (b *bundle) ingest(t *testing.T, remoteID string) tandem.Ingested {
	t.Helper()
	var newest *stripetest.Event
	for _, e := range b.standIn.Events() {
		if e.CustomerID == remoteID {
			newest = &e
		}
	}
	require.NotNil(t, newest)
	e, err := b.stripe.ParseEvent(newest.Body)
	require.NoError(t, err)
	in, err := b.store.Ingest(t.Context(), "stripe", e)
	require.NoError(t, err)
	return in
}

// row reads state and reason of a ledger row.
func (b *bundle) row(t *testing.T, id string) (state, reason string) {
	t.Helper()
	require.NoError(t, b.store.DB().QueryRowContext(t.Context(), `SELECT state, reason FROM provider_events WHERE id = $1`, id).Scan(&state, &reason))
	return state, reason
}

func (b *bundle) byRemote(t *testing.T, remoteID string) tandem.Customer {
	t.Helper()
	cs, err := b.store.Customers(t.Context(), tandem.CustomerQuery{ProviderEntityID: remoteID, Limit: 2})
	require.NoError(t, err)
	require.Len(t, cs, 1)
	return cs[0]
}
