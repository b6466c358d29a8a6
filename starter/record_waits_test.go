package starter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

// skipDuringBackoff says "skip" while a call is being retried.
func (r recorder) skipDuringBackoff(t *testing.T) tandem.Run {
	id := newCustomerID()
	fault := r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error503, Op: "create", Contains: id, Count: -1})
	r.change(t, createOf(id))
	require.Eventually(t, func() bool { m := r.mapping(t, id); return m.LastError != nil && m.LastError.Attempt >= 3 }, 20*time.Second, 10*time.Millisecond)
	r.signal(t, id, workflows.SignalSkip)
	r.standIn.RemoveFault(fault)
	r.settled(t, id)
	require.LessOrEqual(t, r.writes("create", id), 1)
	return r.latest(id)
}

// savedFailure has a create answered by a 500 for good, although it happened.
func (r recorder) savedFailure(t *testing.T) tandem.Run {
	id := newCustomerID()
	r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error500Done, Op: "create", Contains: id})
	r.change(t, createOf(id))
	r.settled(t, id)
	require.Equal(t, tandem.Synced, r.mapping(t, id).State)
	require.Equal(t, 1, r.writes("create", id))
	return r.latest(id)
}

// skipDuringFetch says "skip" while a look that settles an order in doubt is being retried.
func (r recorder) skipDuringFetch(t *testing.T) tandem.Run {
	remoteID := r.foreign(t)
	still := time.Now().Truncate(time.Second)
	r.standIn.SetClock(func() time.Time { return still })
	defer r.standIn.SetClock(time.Now)
	r.edit(t, remoteID, "name", "Joan Example")
	r.inbound(t, remoteID)
	r.edit(t, remoteID, "name", "Jean Example")
	fault := r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error503, Op: "retrieve", Contains: remoteID, Count: -1})
	run, err := r.starter.Inbound(t.Context(), "stripe", remoteID, []string{r.ingest(t, remoteID).Row})
	require.NoError(t, err)
	require.NoError(t, r.standIn.Wait(t.Context(), func() bool { return r.hits(fault) >= 3 }))
	require.NoError(t, r.client.SignalWorkflow(t.Context(), run.WorkflowID, "", workflows.SignalSkip, ""))
	r.standIn.RemoveFault(fault)
	r.ended(t, run)
	return run
}

func (r recorder) hits(fault string) int {
	for _, f := range r.standIn.Faults() {
		if f.ID == fault {
			return f.Hits
		}
	}
	return 0
}
