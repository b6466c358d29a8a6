package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// knowing is a worker whose namespace has the search attributes, or not.
type knowing struct {
	interceptor.WorkerInterceptorBase
	interceptor.WorkflowInboundInterceptorBase
	known func() bool
}

func (k *knowing) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	run := &knowing{known: k.known}
	run.Next = next
	return run
}

func (k *knowing) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	return k.Next.ExecuteWorkflow(workflows.AttributesKnown(k.known).In(ctx), in)
}

// signs collects what a run shows, one line for each time it is changed.
func signs(env *testsuite.TestWorkflowEnvironment, known func() bool) *[]string {
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{&knowing{known: known}}})
	shown := &[]string{}
	env.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
		attributes := args.Get(0).(temporal.SearchAttributes)
		state, set := attributes.GetKeyword(workflows.AttributeState)
		provider, _ := attributes.GetKeyword(workflows.AttributeProvider)
		class, _ := attributes.GetKeyword(workflows.AttributeErrorClass)
		if !set {
			state = "nothing"
		}
		*shown = append(*shown, state+" "+provider+" "+class)
	}).Return(nil)
	return shown
}

func yes() bool { return true }

// failing is what a worker says about a call that is being retried.
func failing(provider string, class tandem.Class) workflows.Failing {
	return workflows.Failing{Provider: provider, Failure: tandem.LastError{Class: class, Code: "no_use", Attempt: 2}}
}

func TestSearchAttributes(t *testing.T) {
	t.Parallel()
	t.Run("a run that never waits has none", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		shown := signs(w.env, yes)
		w.changeAt(0, "chg_1")
		require.NoError(t, w.run())
		require.Empty(t, *shown)
	})
	t.Run("they follow a call that is retried, then parked, then made", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		shown := signs(w.env, yes)
		w.fail = func(_ tandem.Call, attempt int) error {
			switch attempt {
			case 1:
				return slow(tandem.Auth)
			case 2:
				return failure(tandem.Invalid, "email_invalid")
			}
			return nil
		}
		w.changeAt(0, "chg_1")
		w.signalAt(time.Minute, workflows.SignalFailing, failing("stripe", tandem.Auth))
		w.signalAt(2*time.Minute, workflows.SignalFailing, failing("stripe", tandem.Auth)) // no news
		w.signalAt(3*time.Minute, workflows.SignalFailing, failing("stripe", tandem.Transient))
		w.signalAt(time.Hour, workflows.SignalRetry, "")
		w.signalAt(2*time.Hour, workflows.SignalFailing, failing("stripe", tandem.Auth)) // of an attempt that was under way
		w.signalAt(3*time.Hour, workflows.SignalRetry, "")
		require.NoError(t, w.run())
		require.Equal(t, []string{"retrying stripe auth", "retrying stripe transient", "parked stripe invalid", "nothing  "}, *shown)
		require.EqualValues(t, 1, w.pushed["stripe"])
	})
	t.Run("a saved failure is retrying; skipped, the run ends without any", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		shown := signs(p.env, yes)
		p.fail = first(1, unproved(tandem.CodeSavedFailure))
		p.changeAt(0, "chg_1")
		p.signalAt(time.Second, workflows.SignalSkip, "")
		require.NoError(t, p.run())
		require.Equal(t, []string{"retrying stripe ambiguous", "nothing  "}, *shown)
	})
	t.Run("of several lanes they show one that is parked before one that is retried", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		shown := signs(w.env, yes)
		w.fail = func(call tandem.Call, attempt int) error {
			switch {
			case call.Provider == "stripe" && attempt <= 2:
				return slow(tandem.RateLimited)
			case call.Provider == "other" && w.epoch == 0:
				return failure(tandem.Invalid, "email_invalid")
			}
			return nil
		}
		w.changeAt(0, "chg_1")
		w.signalAt(time.Minute, workflows.SignalFailing, failing("stripe", tandem.RateLimited))
		w.signalAt(time.Hour, workflows.SignalRetry, "other")
		require.NoError(t, w.run("stripe", "other"))
		require.Equal(t, []string{"parked other invalid", "retrying stripe rate_limited", "nothing  "}, *shown)
	})
	t.Run("a cancelled run waits no more", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		shown := signs(w.env, yes)
		w.fail = first(99, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.at(time.Hour, w.env.CancelWorkflow)
		requireCanceled(t, w.run())
		require.Equal(t, []string{"parked stripe invalid", "nothing  "}, *shown)
	})
	t.Run("a run goes on with those of the run that it continues", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		shown := signs(w.env, yes)
		require.NoError(t, w.env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(
			workflows.AttributeState.ValueSet("parked"), workflows.AttributeProvider.ValueSet("stripe"), workflows.AttributeErrorClass.ValueSet("invalid"))))
		w.fail = first(1, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.signalAt(time.Hour, workflows.SignalRetry, "")
		require.NoError(t, w.run())
		require.Equal(t, []string{"nothing  "}, *shown)
	})
	t.Run("what the namespace does not know is not set, until it does", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		known := false
		shown := signs(w.env, func() bool { return known })
		w.fail = first(2, failure(tandem.Invalid, "email_invalid"))
		w.changeAt(0, "chg_1")
		w.at(time.Hour, func() {
			require.Empty(t, *shown)
			known = true
			w.env.SignalWorkflow(workflows.SignalRetry, "")
		})
		w.signalAt(2*time.Hour, workflows.SignalRetry, "")
		require.NoError(t, w.run())
		require.Equal(t, []string{"parked stripe invalid", "nothing  "}, *shown)
	})
	t.Run("inbound: a fetch that is retried, a failure that waits for a person", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		shown := signs(l.env, yes)
		l.applied = func(n int, out *activities.Applied) error {
			if n == 2 {
				return failure(tandem.Bug, tandem.CodeInternal)
			}
			out.Fetch = &activities.FetchInput{Provider: "stripe", RemoteID: remoteID}
			return nil
		}
		l.fetch = func(n int) error {
			if n == 1 {
				return slow(tandem.Auth)
			}
			return nil
		}
		l.eventAt(0)
		l.at(time.Minute, func() { l.env.SignalWorkflow(workflows.SignalFailing, failing("stripe", tandem.Auth)) })
		l.eventAt(2 * time.Minute)
		l.at(time.Hour, func() { l.env.SignalWorkflow(workflows.SignalRetry, nil) })
		l.at(2*time.Hour, func() { l.env.SignalWorkflow(workflows.SignalSkip, nil) })
		require.NoError(t, l.run())
		require.Equal(t, []string{"retrying stripe auth", "parked stripe bug", "nothing  "}, *shown)
	})
}
