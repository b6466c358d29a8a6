package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

const customerID = "cust_01JD0000000000000000000001"

var acts *activities.Activities

// world plays the database and the providers to an Outbound run: changes raise the customer's version, a lane is done
// when its provider has that version, and a call that was planned stays planned until it is answered or refused.
type world struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment

	mu      sync.Mutex
	version int64
	pushed  map[string]int64
	claims  map[string]tandem.Call
	epoch   int
	plans   int
	calls   []tandem.Call // every attempt, as the act got it
	queues  []string      // of every attempt
	parks   []activities.ParkInput
	records []activities.AnswerInput
	fetches []activities.FetchInput
	skips   []activities.SkipInput

	look   bool                                                   // a look is wanted before the next call
	took   time.Duration                                          // by a provider call
	refuse func(ch tandem.Change) error                           // instead of making the change
	fail   func(call tandem.Call, attempt int) error              // instead of answering; attempt counts over all calls
	doubt  func(in activities.AnswerInput) *activities.FetchInput // instead of recording
	after  func(ch tandem.Change) error                           // having made the change: the commit's answer was lost

	parking func() // while a failure is being shown on the mapping
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, env: newEnv(t), pushed: map[string]int64{}, claims: map[string]tandem.Call{}}
	w.env.RegisterWorkflow(workflows.Outbound)
	w.env.OnActivity(acts.ChangeCustomer, mock.Anything, mock.Anything).Return(w.change)
	w.env.OnActivity(acts.PlanCall, mock.Anything, mock.Anything).Return(w.plan)
	w.env.OnActivity(acts.CallProvider, mock.Anything, mock.Anything).AfterFn(func() time.Duration { return w.took }).Return(w.call)
	w.env.OnActivity(acts.RecordAnswer, mock.Anything, mock.Anything).Return(w.record)
	w.env.OnActivity(acts.FetchRemote, mock.Anything, mock.Anything).Return(w.fetch)
	w.env.OnActivity(acts.ParkCall, mock.Anything, mock.Anything).Return(w.park)
	w.env.OnActivity(acts.SkipCall, mock.Anything, mock.Anything).Return(w.skip)
	return w
}

func newEnv(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterActivity(&activities.Activities{})
	env.SetTestTimeout(20 * time.Second)
	env.SetWorkflowRunTimeout(48 * time.Hour) // virtual: a run that hangs ends with a timeout instead of a panic
	return env
}

// run executes Outbound to its end. With a change as its first message it is what Update-with-Start does.
func (w *world) run(providers ...string) error {
	w.t.Helper()
	if len(providers) == 0 {
		providers = []string{"stripe"}
	}
	w.env.ExecuteWorkflow(workflows.Outbound, workflows.OutboundInput{CustomerID: customerID, Providers: providers})
	require.True(w.t, w.env.IsWorkflowCompleted())
	return w.env.GetWorkflowError()
}

// at schedules something on the workflow's clock; zero is together with the start.
func (w *world) at(d time.Duration, f func()) { w.env.RegisterDelayedCallback(f, d) }

func (w *world) signalAt(d time.Duration, name string, arg any) {
	w.at(d, func() { w.env.SignalWorkflow(name, arg) })
}

// answer is what a caller of the update gets.
type answer struct {
	customer tandem.Customer
	err      error
	rejected bool
	done     bool
}

// changeAt sends a change at that time; the answer is filled when it comes.
func (w *world) changeAt(d time.Duration, id string) *answer {
	a := &answer{}
	w.at(d, func() {
		w.env.UpdateWorkflow(workflows.UpdateChange, id, &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(err error) { a.err, a.rejected, a.done = err, true, true },
			OnComplete: func(result any, err error) {
				a.err, a.done = err, true
				if err == nil {
					a.customer = result.(tandem.Customer)
				}
			},
		}, tandem.Change{ID: id, Kind: tandem.ChangeUpdate, CustomerID: customerID})
	})
	return a
}

func (w *world) change(_ context.Context, ch tandem.Change) (activities.Changed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		if err := w.refuse(ch); err != nil {
			return activities.Changed{}, err
		}
	}
	w.version++
	if w.after != nil {
		if err := w.after(ch); err != nil {
			return activities.Changed{}, err
		}
	}
	return activities.Changed{Customer: tandem.Customer{ID: ch.CustomerID, Version: w.version}}, nil
}

func (w *world) plan(_ context.Context, in activities.PlanInput) (tandem.Call, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plans++
	return w.planned(in.Provider), nil
}

func (w *world) planned(provider string) tandem.Call {
	if w.look {
		return tandem.Call{Action: tandem.ActLook, Provider: provider, CustomerID: customerID, MappingID: "eim_1", RemoteID: "cus_" + provider}
	}
	if claim, ok := w.claims[provider]; ok {
		return claim
	}
	call := tandem.Call{Provider: provider, CustomerID: customerID}
	if w.pushed[provider] == w.version {
		return call
	}
	call.Action = tandem.ActUpdate
	if w.pushed[provider] == 0 {
		call.Action = tandem.ActCreate
	}
	call.Key = fmt.Sprintf("%s:%d.%d", provider, w.version, w.epoch)
	call.MappingVersion = w.version
	w.claims[provider] = call
	return call
}

func (w *world) call(ctx context.Context, call tandem.Call) (tandem.RemoteState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call)
	w.queues = append(w.queues, activity.GetInfo(ctx).TaskQueue)
	if w.fail != nil {
		if err := w.fail(call, len(w.calls)); err != nil {
			return tandem.RemoteState{}, err
		}
	}
	return tandem.RemoteState{Provider: call.Provider, RemoteID: "cus_" + call.Provider, Key: call.Key}, nil
}

func (w *world) record(_ context.Context, in activities.AnswerInput) (activities.Recorded, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, in)
	if w.doubt != nil {
		if fetch := w.doubt(in); fetch != nil {
			return activities.Recorded{Fetch: fetch}, nil
		}
	}
	if in.Call.Action == tandem.ActLook {
		w.look = false
		return activities.Recorded{Outcome: tandem.EventEcho, Next: w.planned(in.Call.Provider)}, nil
	}
	w.pushed[in.Call.Provider] = in.Call.MappingVersion
	delete(w.claims, in.Call.Provider)
	return activities.Recorded{Outcome: tandem.EventApplied, Next: w.planned(in.Call.Provider)}, nil
}

func (w *world) fetch(_ context.Context, in activities.FetchInput) (tandem.RemoteState, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches = append(w.fetches, in)
	return tandem.RemoteState{Provider: in.Provider, RemoteID: in.RemoteID, Source: tandem.FromFetch, Key: in.Key}, nil
}

// park releases the claim of a call that can never work, as the store does.
func (w *world) park(_ context.Context, in activities.ParkInput) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parks = append(w.parks, in)
	if w.parking != nil {
		w.parking()
	}
	if in.Failure.Class == tandem.Invalid {
		delete(w.claims, in.Call.Provider)
		w.epoch++
	}
	return nil
}

func (w *world) skip(_ context.Context, in activities.SkipInput) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skips = append(w.skips, in)
	return nil
}

func (w *world) state() workflows.State {
	w.t.Helper()
	v, err := w.env.QueryWorkflow(workflows.QueryState)
	require.NoError(w.t, err)
	var s workflows.State
	require.NoError(w.t, v.Get(&s))
	return s
}

func (w *world) keys() []string {
	var keys []string
	for _, c := range w.calls {
		keys = append(keys, c.Key)
	}
	return keys
}

// callsTo counts the calls a provider got.
func (w *world) callsTo(provider string) int {
	return len(slices.DeleteFunc(slices.Clone(w.calls), func(c tandem.Call) bool { return c.Provider != provider }))
}

// failure is an error as the acts make it: see activities/errors.go.
func failure(class tandem.Class, code string) error {
	last := tandem.LastError{Class: class, Code: code, Message: "told by the test"}
	options := temporal.ApplicationErrorOptions{NonRetryable: !class.Retryable(), Details: []any{last}}
	if class.Retryable() {
		options.NextRetryDelay = time.Second
	}
	return temporal.NewApplicationErrorWithOptions(string(class)+"/"+code, string(class), options)
}

// first fails the first attempts and lets the others through.
func first(attempts int, err error) func(tandem.Call, int) error {
	return func(_ tandem.Call, attempt int) error {
		if attempt <= attempts {
			return err
		}
		return nil
	}
}

func decode[T any](t *testing.T, v converter.EncodedValue) T {
	t.Helper()
	var out T
	require.NoError(t, v.Get(&out))
	return out
}
