package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// prover is a world whose provider can be asked what became of a call, and whose plans can be blocked.
type prover struct {
	*world
	asks    []tandem.Ask         // of every plan
	looked  bool                 // a wish to look is planned as one
	blocked *tandem.LastError    // instead of a plan, unless it is forced
	proofs  []tandem.Call        // every lookup
	queue   string               // of the last lookup
	renewed []tandem.Call        // claims given up
	looks   []tandem.RemoteState // taken in
	steps   []string             // what was done, in order

	find   func(call tandem.Call, attempt int) (activities.Proof, error)
	unsure int // looks that are answered with a doubt
}

func newProver(t *testing.T) *prover {
	t.Helper()
	w := &world{t: t, env: newEnv(t), pushed: map[string]int64{}, claims: map[string]tandem.Call{}}
	p := &prover{world: w}
	w.env.RegisterWorkflow(workflows.Outbound)
	w.env.OnActivity(acts.ChangeCustomer, mock.Anything, mock.Anything).Return(w.change)
	w.env.OnActivity(acts.PlanCall, mock.Anything, mock.Anything).Return(p.plan)
	w.env.OnActivity(acts.CallProvider, mock.Anything, mock.Anything).AfterFn(func() time.Duration { return w.took }).Return(p.call)
	w.env.OnActivity(acts.RecordAnswer, mock.Anything, mock.Anything).Return(w.record)
	w.env.OnActivity(acts.FetchRemote, mock.Anything, mock.Anything).Return(w.fetch)
	w.env.OnActivity(acts.ParkCall, mock.Anything, mock.Anything).Return(w.park)
	w.env.OnActivity(acts.SkipCall, mock.Anything, mock.Anything).Return(w.skip)
	w.env.OnActivity(acts.ProveCall, mock.Anything, mock.Anything).Return(p.prove)
	w.env.OnActivity(acts.RenewClaim, mock.Anything, mock.Anything).Return(p.renew)
	w.env.OnActivity(acts.ApplyFetched, mock.Anything, mock.Anything).Return(p.look)
	return p
}

func (p *prover) plan(ctx context.Context, in activities.PlanInput) (tandem.Call, error) {
	p.mu.Lock()
	p.asks = append(p.asks, in.Ask)
	p.steps = append(p.steps, "plan")
	blocked := p.blocked
	if in.Ask.Force {
		p.blocked = nil
	}
	p.mu.Unlock()
	if blocked != nil && !in.Ask.Force {
		return tandem.Call{Provider: in.Provider, CustomerID: in.CustomerID, Blocked: blocked}, nil
	}
	if p.looked && in.Ask.Look {
		return tandem.Call{Action: tandem.ActLook, Provider: in.Provider, CustomerID: customerID, RemoteID: "cus_1", Wished: true}, nil
	}
	return p.world.plan(ctx, in)
}

func (p *prover) call(ctx context.Context, call tandem.Call) (tandem.RemoteState, error) {
	p.mu.Lock()
	p.steps = append(p.steps, "call")
	p.mu.Unlock()
	return p.world.call(ctx, call)
}

func (p *prover) prove(ctx context.Context, call tandem.Call) (activities.Proof, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, "prove")
	p.proofs = append(p.proofs, call)
	p.queue = activity.GetInfo(ctx).TaskQueue
	if p.find == nil {
		return activities.Proof{}, nil
	}
	return p.find(call, len(p.proofs))
}

func (p *prover) renew(_ context.Context, in activities.RenewInput) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, "renew")
	p.renewed = append(p.renewed, in.Call)
	delete(p.claims, in.Call.Provider)
	p.epoch++
	return nil
}

func (p *prover) look(_ context.Context, in activities.StateInput) (activities.Applied, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, "look")
	p.looks = append(p.looks, in.State)
	if len(p.looks) <= p.unsure {
		return activities.Applied{Fetch: &activities.FetchInput{Provider: in.State.Provider, RemoteID: in.State.RemoteID, After: 7, Cause: in.Cause}}, nil
	}
	return activities.Applied{}, nil
}

// unproved is a failure that no repetition can clear up, as the acts make it.
func unproved(code string) error {
	last := tandem.LastError{Class: tandem.Ambiguous, Code: code, Message: "told by the test"}
	return temporal.NewApplicationErrorWithOptions("ambiguous/"+code, string(tandem.Ambiguous),
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{last}})
}

func found(call tandem.Call, _ int) (activities.Proof, error) {
	return activities.Proof{State: &tandem.RemoteState{Provider: call.Provider, RemoteID: "cus_found", Source: tandem.FromList, Key: call.Key}}, nil
}

func TestProve(t *testing.T) {
	t.Parallel()

	t.Run("a create whose failure is saved: quiet, then found, which is the answer", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail, p.find = first(1, unproved(tandem.CodeSavedFailure)), found
		p.changeAt(0, "chg_1")
		p.at(9*time.Second, func() {
			require.Empty(t, p.proofs, "it is left alone first")
			s := p.state().Lanes[0]
			require.Equal(t, "waits, then looks whether it happened", s.Step)
			require.Equal(t, tandem.CodeSavedFailure, s.LastError.Code)
		})
		p.at(11*time.Second, func() { require.Len(t, p.proofs, 1) })
		require.NoError(t, p.run())
		require.Equal(t, []string{"stripe:1.0"}, p.keys(), "never sent again")
		require.Equal(t, p.calls[0], p.proofs[0])
		require.Equal(t, tandem.TaskQueue("stripe"), p.queue)
		require.Len(t, p.records, 1)
		require.Equal(t, "cus_found", p.records[0].State.RemoteID)
		require.Equal(t, p.calls[0], p.records[0].Call)
		require.Empty(t, p.renewed)
		require.Empty(t, p.parks)
		require.Nil(t, p.state().Lanes[0].LastError)
	})
	t.Run("a create that is absent: the claim is given up and a new one is sent", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(1, unproved(tandem.CodeSavedFailure))
		p.changeAt(0, "chg_1")
		require.NoError(t, p.run())
		require.Equal(t, []string{"plan", "call", "plan", "prove", "renew", "plan", "call"}, p.steps)
		require.Equal(t, []string{"stripe:1.0", "stripe:1.1"}, p.keys())
		require.Equal(t, "stripe:1.0", p.renewed[0].Key)
		require.EqualValues(t, 1, p.pushed["stripe"])
	})
	t.Run("again and again", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(3, unproved(tandem.CodeSavedFailure))
		p.changeAt(0, "chg_1")
		require.NoError(t, p.run())
		require.Equal(t, []string{"stripe:1.0", "stripe:1.1", "stripe:1.2", "stripe:1.3"}, p.keys())
		require.Len(t, p.renewed, 3)
	})
	t.Run("an update: the look is taken in before the claim is given up", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.pushed["stripe"] = 5
		p.fail, p.find = first(1, unproved(tandem.CodeSavedFailure)), found
		p.changeAt(0, "chg_1")
		require.NoError(t, p.run())
		require.Equal(t, tandem.ActUpdate, p.calls[0].Action)
		require.Equal(t, []string{"plan", "call", "plan", "prove", "look", "renew", "plan", "call"}, p.steps)
		require.Equal(t, "cus_found", p.looks[0].RemoteID)
		require.Len(t, p.records, 1)
	})
	t.Run("an update whose look is in doubt is looked at again", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.pushed["stripe"], p.unsure = 5, 2
		p.fail, p.find = first(1, unproved(tandem.CodeSavedFailure)), found
		p.changeAt(0, "chg_1")
		require.NoError(t, p.run())
		require.Len(t, p.looks, 3)
		require.Len(t, p.fetches, 2)
		require.EqualValues(t, 7, p.fetches[0].After)
		require.Len(t, p.renewed, 1)
	})
	for _, code := range []string{tandem.CodeKeyExpired, tandem.CodeKeyReused} {
		t.Run(code+" is looked into at once", func(t *testing.T) {
			t.Parallel()
			p := newProver(t)
			p.fail, p.find = first(1, unproved(code)), found
			p.changeAt(0, "chg_1")
			p.at(2*time.Second, func() { require.Len(t, p.proofs, 1) })
			require.NoError(t, p.run())
			require.Len(t, p.calls, 1)
			require.Len(t, p.records, 1)
		})
	}
	t.Run("retry ends the quiet", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail, p.find = first(1, unproved(tandem.CodeSavedFailure)), found
		p.changeAt(0, "chg_1")
		p.signalAt(2*time.Second, workflows.SignalRetry, "stripe")
		p.at(3*time.Second, func() {
			require.Len(t, p.proofs, 1)
			require.Len(t, p.records, 1)
		})
		require.NoError(t, p.run())
		require.Len(t, p.proofs, 1)
	})
	t.Run("a lookup that fails is tried again; nothing is sent meanwhile", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(1, unproved(tandem.CodeSavedFailure))
		p.find = func(call tandem.Call, attempt int) (activities.Proof, error) {
			if attempt < 4 {
				return activities.Proof{}, failure(tandem.Transient, "http_503")
			}
			return found(call, attempt)
		}
		p.changeAt(0, "chg_1")
		require.NoError(t, p.run())
		require.Len(t, p.proofs, 4)
		require.Len(t, p.calls, 1)
		require.Empty(t, p.renewed)
		require.Len(t, p.records, 1)
	})
	t.Run("a lookup that cannot be finished parks the call with its claim; retry goes on", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(2, unproved(tandem.CodeSavedFailure))
		p.find = func(call tandem.Call, attempt int) (activities.Proof, error) {
			if attempt == 1 {
				return activities.Proof{}, unproved("lookup_too_large")
			}
			return found(call, attempt)
		}
		p.changeAt(0, "chg_1")
		p.at(time.Hour, func() {
			require.Len(t, p.parks, 1)
			require.Equal(t, "lookup_too_large", p.parks[0].Failure.Code)
			require.Equal(t, p.calls[0], p.parks[0].Call)
			require.Empty(t, p.renewed)
			require.Equal(t, "waits for a person", p.state().Lanes[0].Step)
			p.env.SignalWorkflow(workflows.SignalRetry, "")
		})
		require.NoError(t, p.run())
		require.Equal(t, []string{"stripe:1.0", "stripe:1.0"}, p.keys(), "the same call")
		require.Len(t, p.records, 1)
	})
	t.Run("a lookup that is refused proves nothing: the claim stays, and no second create is sent", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(2, unproved(tandem.CodeSavedFailure))
		p.find = func(call tandem.Call, attempt int) (activities.Proof, error) {
			if attempt == 1 {
				last := tandem.LastError{Class: tandem.Invalid, Code: "resource_missing", Message: "told by the test"}
				return activities.Proof{}, temporal.NewApplicationErrorWithOptions("invalid/resource_missing", string(tandem.Invalid),
					temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{last}})
			}
			return found(call, attempt)
		}
		p.changeAt(0, "chg_1")
		p.at(time.Hour, func() {
			require.Len(t, p.parks, 1)
			require.Equal(t, tandem.Bug, p.parks[0].Failure.Class, "invalid would say that the create was refused")
			require.Equal(t, "resource_missing", p.parks[0].Failure.Code)
			require.Empty(t, p.renewed)
			p.env.SignalWorkflow(workflows.SignalRetry, "")
		})
		require.NoError(t, p.run())
		require.Equal(t, []string{"stripe:1.0", "stripe:1.0"}, p.keys(), "never another key")
	})
	t.Run("a change during the quiet is planned afterwards", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail, p.find = first(1, unproved(tandem.CodeSavedFailure)), found
		p.changeAt(0, "chg_1")
		second := p.changeAt(5*time.Second, "chg_2")
		p.at(6*time.Second, func() { require.True(t, second.done, "nobody waits for the provider") })
		require.NoError(t, p.run())
		require.Equal(t, []string{"stripe:1.0", "stripe:2.0"}, p.keys())
	})
}

func TestOutbound_blocked(t *testing.T) {
	t.Parallel()
	brake := &tandem.LastError{Class: tandem.Conflict, Code: tandem.CodeDeleteBrake, Message: "told by the test"}

	t.Run("a blocked plan waits for a person, whose retry lets one plan pass", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.blocked = brake
		p.changeAt(0, "chg_1")
		p.at(time.Hour, func() {
			require.Empty(t, p.calls)
			require.Empty(t, p.parks, "the store has shown it")
			s := p.state().Lanes[0]
			require.Equal(t, "waits for a person", s.Step)
			require.Equal(t, tandem.CodeDeleteBrake, s.LastError.Code)
			p.env.SignalWorkflow(workflows.SignalRetry, "stripe")
		})
		require.NoError(t, p.run())
		require.Equal(t, []tandem.Ask{{}, {Force: true}}, p.asks)
		require.Len(t, p.calls, 1)
		require.Nil(t, p.state().Lanes[0].LastError)
	})
	t.Run("a change alone does not let it pass", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.blocked = brake
		p.changeAt(0, "chg_1")
		p.changeAt(time.Hour, "chg_2")
		p.at(2*time.Hour, func() { require.Empty(t, p.calls) })
		p.signalAt(3*time.Hour, workflows.SignalRetry, "")
		require.NoError(t, p.run())
		require.Equal(t, []tandem.Ask{{}, {}, {Force: true}}, p.asks)
	})
	t.Run("skip ends the run", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.blocked = brake
		p.changeAt(0, "chg_1")
		p.signalAt(time.Hour, workflows.SignalSkip, "")
		require.NoError(t, p.run())
		require.Empty(t, p.calls)
	})
	t.Run("a run that a retry starts passes it", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.blocked, p.version = brake, 1
		p.signalAt(0, workflows.SignalSync, workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByRetry}, Force: true})
		require.NoError(t, p.run())
		require.Equal(t, tandem.Ask{Force: true}, p.asks[0])
		require.Len(t, p.calls, 1)
	})
	t.Run("a person's sync links anew and looks, anybody else's does not", func(t *testing.T) {
		t.Parallel()
		for kind, relink := range map[string]bool{tandem.ByOperator: true, tandem.ByWebhook: false, tandem.ByReconcile: false} {
			p := newProver(t)
			p.version = 1
			p.signalAt(0, workflows.SignalSync, workflows.SyncSignal{Cause: tandem.Cause{Kind: kind}})
			require.NoError(t, p.run())
			require.Equal(t, tandem.Ask{Relink: relink, Look: relink}, p.asks[0], kind)
		}
	})
}
