package starter_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

// TestRecordHistories writes the histories that workflows/replay_test.go replays:
//
//	make record AS=v0.2
//
// Record on the commit that is deployed, never on the one that is to be tested: a history that was made by the changed
// code replays with it by nature and proves nothing. What is recorded is part of the files' names, and no file is ever
// written over: the old ones stay as long as runs of their time may be open. All data is made up.
func TestRecordHistories(t *testing.T) {
	if os.Getenv("TANDEM_RECORD_HISTORIES") == "" {
		t.Skip("set TANDEM_RECORD_HISTORIES to the version that is recorded")
	}
	s := startStack(t)
	s.findable(t)
	r := recorder{s}
	t.Run("outbound", func(t *testing.T) {
		for name, record := range map[string]func(*testing.T) tandem.Run{
			"create":               r.create,
			"create_retried":       r.createRetried,
			"update":               r.update,
			"change_during_call":   r.changeDuringCall,
			"refused_change":       r.refused,
			"parked_then_retried":  r.parkedThenRetried,
			"parked_then_skipped":  r.parkedThenSkipped,
			"parked_then_changed":  r.parkedThenChanged,
			"sync_nothing_to_do":   r.syncNothing,
			"retry_during_backoff": r.retryDuringBackoff,
			"skip_during_backoff":  r.skipDuringBackoff,
			"saved_failure":        r.savedFailure,
			"cancelled":            r.cancelled,
		} {
			t.Run(name, func(t *testing.T) { r.write(t, "outbound", name, record(t)) })
		}
	})
	t.Run("inbound", func(t *testing.T) {
		for name, record := range map[string]func(*testing.T) tandem.Run{
			"create": func(t *testing.T) tandem.Run { return s.inbound(t, s.foreign(t)) },
			"update": r.inboundUpdate,
			"fetch":  r.inboundFetch,
			"skip":   r.skipDuringFetch,
		} {
			t.Run(name, func(t *testing.T) { r.write(t, "inbound", name, record(t)) })
		}
	})
	t.Run("both", func(t *testing.T) {
		out, in := r.crossing(t)
		r.write(t, "outbound", "order_in_doubt", out)
		r.write(t, "inbound", "poke", in)
	})
}

type recorder struct{ *stack }

// write keeps a history, freed of what names the machine it was made on.
func (r recorder) write(t *testing.T, direction, name string, run tandem.Run) {
	t.Helper()
	h := r.history(t, run.WorkflowID, run.RunID)
	anonymous(h)
	b, err := temporalproto.CustomJSONMarshalOptions{Indent: "  "}.Marshal(h)
	require.NoError(t, err)
	dir := filepath.Join("..", "testdata", "histories", direction)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	file := filepath.Join(dir, name+"."+os.Getenv("TANDEM_RECORD_HISTORIES")+".json")
	require.NoFileExists(t, file)
	require.NoError(t, os.WriteFile(file, append(b, '\n'), 0o644))
	t.Log(describe(h))
}

func anonymous(h *history.History) {
	for _, e := range h.Events {
		if a := e.GetWorkflowTaskScheduledEventAttributes(); a != nil && a.TaskQueue.GetKind() == enums.TASK_QUEUE_KIND_STICKY {
			a.TaskQueue.Name = "sticky"
		}
	}
}

func (r recorder) latest(id string) tandem.Run {
	return tandem.Run{WorkflowID: workflows.OutboundID(id)}
}

func (r recorder) create(t *testing.T) tandem.Run {
	id, _ := r.customer(t)
	return r.latest(id)
}

func (r recorder) createRetried(t *testing.T) tandem.Run {
	id := newCustomerID()
	r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error503, Op: "create", Contains: id, Count: 2})
	r.change(t, createOf(id))
	r.settled(t, id)
	require.Equal(t, 1, r.writes("create", id))
	return r.latest(id)
}

func (r recorder) change(t *testing.T, ch tandem.Change) {
	t.Helper()
	_, err := r.starter.Change(t.Context(), ch)
	require.NoError(t, err)
}

func (r recorder) update(t *testing.T) tandem.Run {
	id, _ := r.customer(t)
	r.change(t, renameOf(id, "Grace Example"))
	r.settled(t, id)
	require.Equal(t, 1, r.writes("update", id))
	return r.latest(id)
}

func (r recorder) changeDuringCall(t *testing.T) tandem.Run {
	id, release := r.held(t)
	r.change(t, renameOf(id, "Grace Example"))
	release()
	r.settled(t, id)
	require.Equal(t, 1, r.writes("update", id))
	return r.latest(id)
}

func (r recorder) refused(t *testing.T) tandem.Run {
	id := newCustomerID()
	_, err := r.starter.Change(t.Context(), renameOf(id, "Nobody Example"))
	require.Equal(t, tandem.CodeCustomerNotFound, tandem.CodeOf(err))
	r.settled(t, id)
	return r.latest(id)
}

// parked makes a customer that the provider refuses to create.
func (r recorder) parked(t *testing.T) string {
	id := newCustomerID()
	r.standIn.AddFault(stripetest.Fault{Kind: stripetest.BadRequest, Op: "create", Contains: id, Code: "email_invalid", Param: "email"})
	r.change(t, createOf(id))
	r.awaitState(t, id, tandem.Parked)
	return id
}

func (r recorder) signal(t *testing.T, id, name string) {
	t.Helper()
	require.NoError(t, r.client.SignalWorkflow(t.Context(), workflows.OutboundID(id), "", name, ""))
}

func (r recorder) parkedThenRetried(t *testing.T) tandem.Run {
	id := r.parked(t)
	r.signal(t, id, workflows.SignalRetry)
	r.settled(t, id)
	require.Equal(t, tandem.Synced, r.mapping(t, id).State)
	return r.latest(id)
}

func (r recorder) parkedThenSkipped(t *testing.T) tandem.Run {
	id := r.parked(t)
	r.signal(t, id, workflows.SignalSkip)
	r.settled(t, id)
	require.Equal(t, tandem.Parked, r.mapping(t, id).State)
	return r.latest(id)
}

func (r recorder) parkedThenChanged(t *testing.T) tandem.Run {
	id := r.parked(t)
	r.change(t, renameOf(id, "Grace Example"))
	r.settled(t, id)
	require.Equal(t, tandem.Synced, r.mapping(t, id).State)
	return r.latest(id)
}

func (r recorder) syncNothing(t *testing.T) tandem.Run {
	id, _ := r.customer(t)
	run, err := r.starter.Sync(t.Context(), id, tandem.Cause{Kind: tandem.ByOperator, ID: "op_1"})
	require.NoError(t, err)
	r.ended(t, run)
	return run
}

func (r recorder) retryDuringBackoff(t *testing.T) tandem.Run {
	id := newCustomerID()
	fault := r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error503, Op: "create", Contains: id, Count: -1})
	r.change(t, createOf(id))
	require.Eventually(t, func() bool { m := r.mapping(t, id); return m.LastError != nil && m.LastError.Attempt >= 3 }, 20*time.Second, 10*time.Millisecond)
	r.standIn.RemoveFault(fault)
	r.signal(t, id, workflows.SignalRetry)
	r.settled(t, id)
	require.Equal(t, 1, r.writes("create", id))
	return r.latest(id)
}

func (r recorder) cancelled(t *testing.T) tandem.Run {
	id := r.parked(t)
	require.NoError(t, r.client.CancelWorkflow(t.Context(), workflows.OutboundID(id), ""))
	require.Error(t, r.client.GetWorkflow(t.Context(), workflows.OutboundID(id), "").Get(t.Context(), nil))
	return r.latest(id)
}

// nextSecond waits for the provider's clock, which has whole seconds only, to be past what is known.
func (r recorder) nextSecond(t *testing.T) {
	t.Helper()
	now := r.standIn.Now().Truncate(time.Second)
	require.Eventually(t, func() bool { return r.standIn.Now().Truncate(time.Second).After(now.Add(time.Second)) }, 5*time.Second, 10*time.Millisecond)
}

func (r recorder) edit(t *testing.T, remoteID, field, value string) {
	t.Helper()
	_, err := r.standIn.EditCustomer(remoteID, url.Values{field: {value}})
	require.NoError(t, err)
}

func (r recorder) inboundUpdate(t *testing.T) tandem.Run {
	remoteID := r.foreign(t)
	r.inbound(t, remoteID)
	r.nextSecond(t)
	r.edit(t, remoteID, "name", "Joan Example")
	run := r.inbound(t, remoteID)
	require.Equal(t, "Joan Example", r.byRemote(t, remoteID).Name)
	return run
}

// inboundFetch edits twice in one second, so that only a look can tell which came last.
func (r recorder) inboundFetch(t *testing.T) tandem.Run {
	return r.inboundFetchOf(t, r.foreign(t))
}

func (r recorder) inboundFetchOf(t *testing.T, remoteID string) tandem.Run {
	t.Helper()
	still := time.Now().Truncate(time.Second)
	r.standIn.SetClock(func() time.Time { return still })
	defer r.standIn.SetClock(time.Now)
	r.edit(t, remoteID, "name", "Joan Example")
	r.inbound(t, remoteID)
	r.edit(t, remoteID, "name", "Jean Example")
	run := r.inbound(t, remoteID)
	require.Equal(t, "Jean Example", r.byRemote(t, remoteID).Name)
	require.Contains(t, describe(r.history(t, run.WorkflowID, run.RunID)), "ActivityTaskCompleted")
	return run
}

// crossing edits a customer over there while our own update is under way: the event pokes Outbound, and whether the
// answer is older or newer than the event only a fetch can tell.
func (r recorder) crossing(t *testing.T) (outbound, inbound tandem.Run) {
	id, remoteID := r.customer(t)
	fault := r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Hold, Op: "update", Contains: remoteID})
	r.change(t, renameOf(id, "Grace Example"))
	require.NoError(t, r.standIn.Wait(t.Context(), func() bool { return r.struck(fault) }))
	r.nextSecond(t)
	r.edit(t, remoteID, "phone", "+1 555 0100")
	inbound = r.inbound(t, remoteID)
	r.standIn.RemoveFault(fault)
	r.settled(t, id)
	require.Equal(t, "Grace Example", r.remoteName(t, remoteID))
	require.Equal(t, "+1 555 0100", r.byRemote(t, remoteID).Phone)
	return r.latest(id), inbound
}
