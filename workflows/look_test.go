package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/workflows"
)

func (w *world) actions() (out []tandem.Action) {
	for _, c := range w.calls {
		out = append(out, c.Action)
	}
	return out
}

func TestOutbound_looks(t *testing.T) {
	t.Parallel()
	t.Run("before the update, on the provider's queue", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.look = true
		w.changeAt(0, "chg_1")
		require.NoError(t, w.run())
		require.Equal(t, []tandem.Action{tandem.ActLook, tandem.ActCreate}, w.actions())
		require.Equal(t, tandem.TaskQueue("stripe"), w.queues[0])
	})
	t.Run("as often as it takes", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.look = true
		w.fail = first(3, failure(tandem.Transient, tandem.CodeUnavailable))
		w.changeAt(0, "chg_1")
		require.NoError(t, w.run())
		require.Len(t, w.calls, 5)
		require.Empty(t, w.parks)
	})
	t.Run("one that no retry can help is parked, and retry looks again", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.look = true
		w.fail = first(1, failure(tandem.Gone, "resource_missing"))
		w.changeAt(0, "chg_1")
		w.at(time.Hour, func() {
			require.Len(t, w.parks, 1)
			require.Equal(t, tandem.ActLook, w.parks[0].Call.Action)
			require.Equal(t, tandem.Gone, w.parks[0].Failure.Class)
			w.env.SignalWorkflow(workflows.SignalRetry, "")
		})
		require.NoError(t, w.run())
		require.Equal(t, []tandem.Action{tandem.ActLook, tandem.ActLook, tandem.ActCreate}, w.actions())
	})
	t.Run("a person's wish outlives a look that failed", func(t *testing.T) {
		t.Parallel()
		p := newProver(t)
		p.version, p.looked = 1, true
		p.pushed["stripe"] = 1
		p.fail = first(1, failure(tandem.Gone, "resource_missing"))
		p.signalAt(0, workflows.SignalSync, workflows.SyncSignal{Cause: tandem.Cause{Kind: tandem.ByOperator}})
		p.signalAt(time.Hour, workflows.SignalRetry, "")
		require.NoError(t, p.run())
		require.Equal(t, []tandem.Action{tandem.ActLook, tandem.ActLook}, p.actions())
		require.Equal(t, []tandem.Ask{{Relink: true, Look: true}, {Force: true, Look: true}}, p.asks)
	})
}
