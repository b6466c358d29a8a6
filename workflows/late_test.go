package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/workflows"
)

// A person's word to pass the brake, said while the lane waits at it, holds for the next plan and for that one only.
func TestOutbound_force_while_it_waits(t *testing.T) {
	t.Parallel()
	brake := &tandem.LastError{Class: tandem.Conflict, Code: tandem.CodeDeleteBrake, Message: "told by the test"}
	forced := workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByRetry, ID: "op_1"}, Force: true}

	t.Run("at the brake", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.blocked, p.took = brake, 2*time.Hour
		p.changeAt(0, "chg_1")
		p.signalAt(time.Hour, workflows.SignalSync, workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByWebhook}}) // nobody's leave to pass
		p.at(2*time.Hour, func() {
			require.Empty(t, p.calls)
			p.env.SignalWorkflow(workflows.SignalSync, forced)
		})
		p.changeAt(3*time.Hour, "chg_2")
		require.NoError(t, p.run())
		require.Equal(t, []tandem.Ask{{}, {}, {Force: true}, {}}, p.asks, "one word, one plan")
		require.EqualValues(t, 2, p.pushed["stripe"])
	})
	t.Run("after a refused call", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.fail = first(1, failure(tandem.Conflict, "no_use"))
		p.changeAt(0, "chg_1")
		p.signalAt(time.Hour, workflows.SignalSync, forced)
		require.NoError(t, p.run())
		require.Equal(t, []tandem.Ask{{}, {Force: true}}, p.asks)
		require.Len(t, p.calls, 2)
	})
	t.Run("while a call is made: it holds for the plan after it", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.took = time.Minute
		p.changeAt(0, "chg_1")
		p.signalAt(30*time.Second, workflows.SignalSync, forced)
		require.NoError(t, p.run())
		require.Equal(t, []tandem.Ask{{}, {Force: true}}, p.asks)
		require.Len(t, p.calls, 1)
	})
}

// Whoever asked first is served first, whatever is asked: the versions that callers see rise in the order of their wishes.
func TestOutbound_serves_in_order(t *testing.T) {
	t.Parallel()
	t.Run("changes, links, unlinks and choices", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1")) // its look takes five seconds
		l.changeAt(time.Second, "chg_1")
		l.sendAt(2*time.Second, workflows.UpdateUnlink, "unl_1", tandem.Unlink{ID: "unl_1", CustomerID: customerID, MappingID: "eim_1"})
		l.sendAt(3*time.Second, workflows.UpdateResolve, "res_1", tandem.Resolve{
			ID: "res_1", CustomerID: customerID, Provider: "stripe", Winners: map[string]tandem.Winner{"name": tandem.PlatformWins},
		})
		l.sendAt(3500*time.Millisecond, workflows.UpdateLink, "lnk_2", linkOf("lnk_2"))
		l.changeAt(4*time.Second, "chg_2")
		require.NoError(t, l.run())
		require.Equal(t, []string{
			"look cus_other", "link lnk_1", "change chg_1", "unlink unl_1", "resolve res_1", "look cus_other", "link lnk_2", "change chg_2",
		}, l.did)
	})
	t.Run("also behind those that are refused", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.say = failure(tandem.Conflict, "no_use")
		l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		l.sendAt(time.Second, workflows.UpdateUnlink, "unl_1", tandem.Unlink{ID: "unl_1", CustomerID: customerID, MappingID: "eim_1"})
		l.changeAt(2*time.Second, "chg_1")
		l.sendAt(3*time.Second, workflows.UpdateResolve, "res_1", tandem.Resolve{
			ID: "res_1", CustomerID: customerID, Provider: "stripe", Winners: map[string]tandem.Winner{"name": tandem.PlatformWins},
		})
		require.NoError(t, l.run())
		require.Equal(t, []string{"look cus_other", "link lnk_1", "unlink unl_1", "change chg_1", "resolve res_1"}, l.did)
	})
	t.Run("twenty changes behind one link", func(t *testing.T) {
		t.Parallel()
		l := newLinker(t)
		l.sendAt(0, workflows.UpdateLink, "lnk_1", linkOf("lnk_1"))
		want, answers := []string{"look cus_other", "link lnk_1"}, []*answer{}
		for i := range 20 {
			id := "chg_" + string(rune('a'+i))
			answers = append(answers, l.changeAt(time.Second+time.Duration(i)*10*time.Millisecond, id))
			want = append(want, "change "+id)
		}
		require.NoError(t, l.run())
		require.Equal(t, want, l.did)
		for i, a := range answers {
			require.NoError(t, a.err)
			require.Equal(t, int64(i+1), a.customer.Version)
		}
	})
}
