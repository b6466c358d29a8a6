package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/activities"
	"github.com/tandem-sync/tandem/workflows"
)

// linker is a world in which people link; it writes down what was done, in order.
type linker struct {
	*prover
	did    []string
	linked activities.LinkInput
	say    error // instead of doing what a person asks
	lost   error // instead of the look at the other side
}

func newLinker(t *testing.T) *linker {
	t.Helper()
	l := &linker{}
	l.prover = &prover{world: &world{t: t, env: newEnv(t), pushed: map[string]int64{}, claims: map[string]tandem.Call{}}}
	l.env.RegisterWorkflow(workflows.Outbound)
	l.env.OnActivity(acts.ChangeCustomer, mock.Anything, mock.Anything).Return(func(ctx context.Context, ch tandem.Change) (activities.Changed, error) {
		l.note("change " + ch.ID)
		return l.change(ctx, ch)
	})
	l.env.OnActivity(acts.PlanCall, mock.Anything, mock.Anything).Return(l.plan)
	l.env.OnActivity(acts.CallProvider, mock.Anything, mock.Anything).Return(l.call)
	l.env.OnActivity(acts.RecordAnswer, mock.Anything, mock.Anything).Return(l.record)
	l.env.OnActivity(acts.FetchRemote, mock.Anything, mock.Anything).After(5 * time.Second).Return(func(_ context.Context, in activities.FetchInput) (tandem.RemoteState, error) {
		l.note("look " + in.RemoteID)
		if l.lost != nil {
			return tandem.RemoteState{}, l.lost
		}
		return tandem.RemoteState{Provider: in.Provider, RemoteID: in.RemoteID, Source: tandem.FromFetch}, nil
	})
	l.env.OnActivity(acts.SkipCall, mock.Anything, mock.Anything).Return(l.skip)
	l.env.OnActivity(acts.LinkCustomer, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.LinkInput) (tandem.Mapping, error) {
		l.note("link " + in.Link.ID)
		l.linked = in
		return tandem.Mapping{ID: "eim_1", RemoteID: in.Link.RemoteID}, l.say
	})
	l.env.OnActivity(acts.UnlinkCustomer, mock.Anything, mock.Anything).Return(func(_ context.Context, u tandem.Unlink) error {
		l.note("unlink " + u.ID)
		return l.say
	})
	l.env.OnActivity(acts.ResolveConflict, mock.Anything, mock.Anything).Return(func(_ context.Context, r tandem.Resolve) (tandem.Mapping, error) {
		l.note("resolve " + r.ID)
		return tandem.Mapping{ID: "eim_1"}, l.say
	})
	return l
}

func (l *linker) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did = append(l.did, what)
}

// reply is what a person gets.
type reply struct {
	mapping tandem.Mapping
	err     error
	done    bool
}

func (l *linker) sendAt(d time.Duration, update, id string, arg any) *reply {
	r := &reply{}
	l.at(d, func() {
		l.env.UpdateWorkflow(update, id, &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(err error) { r.err, r.done = err, true },
			OnComplete: func(result any, err error) {
				r.err, r.done = err, true
				r.mapping, _ = result.(tandem.Mapping)
			},
		}, arg)
	})
	return r
}

func linkOf(id string) tandem.Link {
	return tandem.Link{ID: id, CustomerID: customerID, Provider: "stripe", RemoteID: "cus_other", Winner: tandem.ProviderWins}
}

func resolveOf(id string) tandem.Resolve {
	return tandem.Resolve{ID: id, CustomerID: customerID, Provider: "stripe", Winners: map[string]tandem.Winner{"name": tandem.PlatformWins}}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	t.Run("a link looks at the other side, joins, answers, and has the lanes look", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.version = 1 // something is left to do once they are joined
		r := l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		require.NoError(t, l.run())
		require.NoError(t, r.err)
		require.Equal(t, "cus_other", r.mapping.RemoteID)
		require.Equal(t, []string{"look cus_other", "link lnk_1"}, l.did)
		require.Equal(t, linkOf("lnk_1"), l.linked.Link)
		require.Equal(t, "cus_other", l.linked.State.RemoteID)
		require.Len(t, l.records, 1)
		require.Equal(t, tandem.Cause{Kind: tandem.ByOperator, ID: "lnk_1"}, l.records[0].Cause)
		require.Equal(t, []tandem.Ask{{}}, l.asks, "a link by hand is no wish for another one")
	})
	t.Run("unlink and resolve", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		u := l.sendAt(0, workflows.UpdateUnlink, "unl_1", tandem.Unlink{ID: "unl_1", CustomerID: customerID, MappingID: "eim_1"})
		r := l.sendAt(0, workflows.UpdateResolve, "res_1", resolveOf("res_1"))
		require.NoError(t, l.run())
		require.NoError(t, u.err)
		require.NoError(t, r.err)
		require.Equal(t, "eim_1", r.mapping.ID)
		require.Equal(t, []string{"unlink unl_1", "resolve res_1"}, l.did)
		require.NotEmpty(t, l.asks)
	})
	t.Run("people and callers take turns", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		a := l.changeAt(time.Second, "chg_1") // while the link looks
		l.sendAt(2*time.Second, workflows.UpdateUnlink, "unl_1", tandem.Unlink{ID: "unl_1", CustomerID: customerID, MappingID: "eim_1"})
		l.changeAt(3*time.Second, "chg_2")
		l.sendAt(4*time.Second, workflows.UpdateResolve, "res_1", resolveOf("res_1"))
		l.at(4*time.Second, func() { require.False(t, a.done) })
		require.NoError(t, l.run())
		require.True(t, a.done)
		require.Equal(t, []string{"look cus_other", "link lnk_1"}, l.did[:2], "nobody comes in between")
		require.ElementsMatch(t, []string{"change chg_1", "unlink unl_1", "change chg_2", "resolve res_1"}, l.did[2:])
	})
	t.Run("a link of what the provider does not know is refused, and the run ends", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.lost = failure(tandem.Gone, "resource_missing")
		r := l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		a := l.changeAt(time.Second, "chg_1")
		require.NoError(t, l.run())
		require.Equal(t, tandem.Gone, activities.FailureOf(r.err, time.Now()).Class)
		require.Equal(t, "look cus_other", l.did[0])
		require.NotContains(t, l.did, "link lnk_1")
		require.NoError(t, a.err, "the next in line is not held up")
		require.Empty(t, l.parks)
	})
	for _, class := range []tandem.Class{tandem.Conflict, tandem.Invalid} {
		t.Run("a refusal of class "+string(class)+" reaches whoever asked", func(t *testing.T) {
			t.Parallel()
			l := newLinker(t)
			l.say = failure(class, "no_use")
			replies := []*reply{
				l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1")),
				l.sendAt(time.Second, workflows.UpdateUnlink, "unl_1", tandem.Unlink{ID: "unl_1", CustomerID: customerID, MappingID: "eim_1"}),
				l.sendAt(2*time.Second, workflows.UpdateResolve, "res_1", resolveOf("res_1")),
			}
			require.NoError(t, l.run())
			require.ElementsMatch(t, []string{"look cus_other", "link lnk_1", "unlink unl_1", "resolve res_1"}, l.did, "once each")
			for _, r := range replies {
				require.Equal(t, "no_use", activities.FailureOf(r.err, time.Now()).Code)
			}
		})
	}
	t.Run("a look that takes too long is told, and frees the way", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.lost = failure(tandem.Transient, "http_503")
		r := l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		a := l.changeAt(time.Second, "chg_1")
		l.at(time.Minute, func() {
			require.True(t, r.done)
			require.True(t, a.done)
		})
		l.blocked = &tandem.LastError{Class: tandem.Conflict, Code: tandem.CodeDeleteBrake} // keeps the run open
		l.signalAt(2*time.Minute, workflows.SignalSkip, "")
		require.NoError(t, l.run())
		require.Error(t, r.err)
		require.NoError(t, a.err)
		require.NotContains(t, l.did, "link lnk_1")
	})
	t.Run("a link ends the wait of a parked lane", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.env.OnActivity(acts.ParkCall, mock.Anything, mock.Anything).Return(l.park)
		l.fail = first(1, failure(tandem.Invalid, "email_invalid"))
		l.changeAt(0, "chg_1")
		r := l.sendAt(time.Hour, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		require.NoError(t, l.run())
		require.NoError(t, r.err)
		require.Len(t, l.calls, 2)
	})
}
