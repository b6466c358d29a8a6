package edges_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

func newEnv() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a machine may be busy for a second
	env.SetWorkflowRunTimeout(72 * time.Hour)                                   // virtual, as all waits are
	return env
}

// outbound runs the customer's workflow until it rests; the changes are its first messages. What waits for a person is
// let go after two days, its mapping parked. A run never fails because of a provider. The answer is how long it took, on
// the clock that skips the waits.
func (w *world) outbound(id string, changes ...tandem.Change) time.Duration {
	w.t.Helper()
	env := newEnv()
	env.RegisterWorkflow(workflows.Outbound)
	env.RegisterActivity(w.acts)
	w.mu.Lock()
	former := w.running[id]
	w.running[id] = env
	w.mu.Unlock()
	begun := env.Now()
	for _, ch := range changes {
		env.RegisterDelayedCallback(func() { sendChange(env, ch, func(error) {}) }, 0)
	}
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.SignalSkip, "") }, 48*time.Hour)
	env.ExecuteWorkflow(workflows.Outbound, workflows.OutboundInput{CustomerID: id, Providers: []string{"stripe"}})
	w.mu.Lock()
	if w.running[id] = former; former == nil {
		delete(w.running, id)
	}
	w.mu.Unlock()
	require.True(w.t, env.IsWorkflowCompleted())
	require.NoError(w.t, env.GetWorkflowError(), "a workflow never fails because of a provider")
	return env.Now().Sub(begun)
}

// called plans and makes the call that is due, as a worker does that dies before it can record the answer.
func (w *world) called(id string) error {
	w.t.Helper()
	call, err := w.store.Plan(w.t.Context(), id, "stripe", tandem.Ask{})
	require.NoError(w.t, err)
	require.NotEqual(w.t, tandem.ActNothing, call.Action)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(w.acts)
	_, err = env.ExecuteActivity(w.acts.CallProvider, call)
	return err
}

func sendChange(env *testsuite.TestWorkflowEnvironment, ch tandem.Change, done func(error)) {
	env.UpdateWorkflow(workflows.UpdateChange, ch.ID, &testsuite.TestUpdateCallback{
		OnAccept: func() {}, OnReject: done, OnComplete: func(_ any, err error) { done(err) },
	}, ch)
}

// inbound runs the remote customer's workflow until nothing waits.
func (w *world) inbound(remoteID string) {
	w.t.Helper()
	env := newEnv()
	env.RegisterWorkflow(workflows.Inbound)
	env.RegisterActivity(w.acts)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.SignalSkip, "") }, 48*time.Hour)
	env.ExecuteWorkflow(workflows.Inbound, workflows.InboundInput{Provider: "stripe", RemoteID: remoteID})
	require.True(w.t, env.IsWorkflowCompleted())
	require.NoError(w.t, env.GetWorkflowError())
}

// events are those about one remote customer that have not been delivered yet, in the order they happened.
func (w *world) events(remoteID string) (out []stripetest.Event) {
	for _, e := range w.stripe.Events() {
		if e.CustomerID == remoteID && !w.delivered[e.ID] {
			out = append(out, e)
		}
	}
	return out
}

// last is the newest event about a remote customer, delivered or not.
func (w *world) last(remoteID string) (out stripetest.Event) {
	for _, e := range w.stripe.Events() {
		if e.CustomerID == remoteID {
			out = e
		}
	}
	return out
}

// deliver is a webhook: verified, stored, decided on. It answers with what became of it.
func (w *world) deliver(e stripetest.Event) (state tandem.EventState, reason string) {
	w.t.Helper()
	w.delivered[e.ID] = true
	return w.post(e.Body, secret)
}

// post is a webhook with any body.
func (w *world) post(body []byte, secrets ...string) (tandem.EventState, string) {
	w.t.Helper()
	now := w.stripe.Now()
	e, err := w.adapter.VerifyWebhook(signature(body, now, secrets...), body, now)
	require.NoError(w.t, err)
	in, err := w.store.Ingest(w.t.Context(), "stripe", e)
	require.NoError(w.t, err)
	if in.Open && e.State != nil {
		w.inbound(e.ObjectID)
	}
	row, err := w.store.Event(w.t.Context(), in.Row)
	require.NoError(w.t, err)
	return row.State, row.Reason
}

func signature(body []byte, at time.Time, secrets ...string) http.Header {
	value := fmt.Sprintf("t=%d", at.Unix())
	for _, s := range secrets {
		value += fmt.Sprintf(",v1=%x", webhook.ComputeSignature(at, body, s))
	}
	return http.Header{"Stripe-Signature": {value}}
}

// settle delivers what was not delivered and runs what has something to do, until nothing is left of either.
func (w *world) settle(id string) {
	w.t.Helper()
	w.outbound(id)
	for range 20 {
		w.mu.Lock()
		poked := w.poked
		w.poked = nil
		w.mu.Unlock()
		for _, p := range poked {
			w.outbound(p)
		}
		waiting := w.undelivered()
		for _, e := range waiting {
			w.deliver(e)
		}
		if len(poked)+len(waiting) == 0 {
			return
		}
	}
	require.Fail(w.t, "both sides go on changing each other")
}

func (w *world) undelivered() (out []stripetest.Event) {
	for _, e := range w.stripe.Events() {
		if !w.delivered[e.ID] {
			out = append(out, e)
		}
	}
	return out
}
