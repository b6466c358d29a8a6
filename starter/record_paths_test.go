package starter_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db/dbtest"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/workflows"
)

// TestRecordHistories_of_rarer_paths records what TestRecordHistories does not: the ends of a link, conflicts, outages,
// and events that say nothing new. Names are held for a person here, so that there are conflicts.
func TestRecordHistories_of_rarer_paths(t *testing.T) {
	if os.Getenv("TANDEM_RECORD_HISTORIES") == "" {
		t.Skip("set TANDEM_RECORD_HISTORIES to the version that is recorded")
	}
	policy := dbtest.Policy
	policy.Merge = tandem.MergePolicy{tandem.FieldName: {Conflict: tandem.Hold}}
	s := startStackWith(t, policy)
	s.findable(t)
	r := recorder{s}
	for direction, records := range map[string]map[string]func(*testing.T) tandem.Run{
		"outbound": {
			"delete": r.delete, "update_after_outage": r.updateAfterOutage, "unlink": r.unlink, "link": r.link,
			"conflict_resolved": r.conflictResolved,
		},
		"inbound": {
			"delete": r.inboundDelete, "conflict": r.inboundConflict, "stale": r.inboundStale, "echo": r.inboundEcho,
			"fetch_after_outage": r.inboundAfterOutage,
		},
		"drain": {"batch": r.drained},
	} {
		t.Run(direction, func(t *testing.T) {
			for name, record := range records {
				t.Run(name, func(t *testing.T) { r.write(t, direction, name, record(t)) })
			}
		})
	}
}

func (r recorder) delete(t *testing.T) tandem.Run {
	id, _ := r.customer(t)
	r.change(t, tandem.Change{ID: newChangeID(), Kind: tandem.ChangeArchive, CustomerID: id})
	r.settled(t, id)
	require.Equal(t, tandem.Ended, r.mapping(t, id).State)
	return r.latest(id)
}

// updateAfterOutage fails three times in different ways, one of them after the provider has made the change.
func (r recorder) updateAfterOutage(t *testing.T) tandem.Run {
	id, remoteID := r.customer(t)
	for _, kind := range []stripetest.FaultKind{stripetest.Error503, stripetest.ApplyDrop} {
		r.standIn.AddFault(stripetest.Fault{Kind: kind, Op: "update", Contains: remoteID, Count: 1})
	}
	r.change(t, tandem.Change{ID: newChangeID(), Kind: tandem.ChangeUpdate, CustomerID: id, Patch: tandem.Patch{Phone: ptr("+1 555 0101")}})
	r.settled(t, id)
	require.Equal(t, tandem.Synced, r.mapping(t, id).State)
	return r.latest(id)
}

func (r recorder) unlink(t *testing.T) tandem.Run {
	id, _ := r.customer(t)
	require.NoError(t, r.starter.Unlink(t.Context(), tandem.Unlink{ID: newChangeID(), CustomerID: id, MappingID: r.mapping(t, id).ID}))
	r.settled(t, id)
	return r.latest(id)
}

func (r recorder) link(t *testing.T) tandem.Run {
	id, remoteID := r.customer(t)
	require.NoError(t, r.starter.Unlink(t.Context(), tandem.Unlink{ID: newChangeID(), CustomerID: id, MappingID: r.mapping(t, id).ID}))
	r.settled(t, id)
	r.edit(t, remoteID, "phone", "+1 555 0102")
	_, err := r.starter.Link(t.Context(), tandem.Link{ID: newChangeID(), CustomerID: id, Provider: "stripe", RemoteID: remoteID})
	require.NoError(t, err)
	r.settled(t, id)
	return r.latest(id)
}

// quarrel has both sides rename a customer; the event is in the ledger and nobody has looked at it.
func (r recorder) quarrel(t *testing.T) (id, remoteID string) {
	id, remoteID = r.customer(t)
	r.nextSecond(t)
	r.edit(t, remoteID, "name", "Theirs Example")
	_, err := r.starter.Change(t.Context(), renameOf(id, "Ours Example"))
	require.NoError(t, err)
	r.settled(t, id)
	require.Equal(t, tandem.InConfl, r.mapping(t, id).State, "the look before the change finds it")
	return id, remoteID
}

func (r recorder) conflictResolved(t *testing.T) tandem.Run {
	id, remoteID := r.quarrel(t)
	_, err := r.starter.Resolve(t.Context(), tandem.Resolve{
		ID: newChangeID(), CustomerID: id, Provider: "stripe", Winners: map[string]tandem.Winner{"name": tandem.PlatformWins},
	})
	require.NoError(t, err)
	r.settled(t, id)
	require.Equal(t, "Ours Example", r.remoteName(t, remoteID))
	return r.latest(id)
}

func (r recorder) inboundDelete(t *testing.T) tandem.Run {
	remoteID := r.foreign(t)
	r.inbound(t, remoteID)
	require.NoError(t, r.standIn.DeleteCustomer(remoteID))
	return r.inbound(t, remoteID)
}

// inboundConflict edits the held field over there once more, so that an event changes an open conflict.
func (r recorder) inboundConflict(t *testing.T) tandem.Run {
	id, remoteID := r.quarrel(t)
	r.nextSecond(t)
	r.edit(t, remoteID, "name", "Theirs Again")
	run := r.inbound(t, remoteID)
	require.Equal(t, tandem.InConfl, r.mapping(t, id).State)
	return run
}

// inboundStale has an old event decided on once more, as when a person replays it.
func (r recorder) inboundStale(t *testing.T) tandem.Run {
	remoteID := r.foreign(t)
	first := r.ingest(t, remoteID)
	r.again(t, remoteID, first.Row)
	r.nextSecond(t)
	r.edit(t, remoteID, "name", "Joan Example")
	r.inbound(t, remoteID)
	run := r.again(t, remoteID, first.Row)
	require.Equal(t, tandem.EventStale, r.end(t, first.Row))
	return run
}

func (r recorder) inboundEcho(t *testing.T) tandem.Run {
	_, remoteID := r.customer(t)
	echo := r.ingest(t, remoteID)
	require.False(t, echo.Open, "an echo needs no workflow")
	run := r.again(t, remoteID, echo.Row)
	require.Equal(t, tandem.EventEcho, r.end(t, echo.Row))
	return run
}

// again has an event decided on whatever it came to before.
func (r recorder) again(t *testing.T, remoteID, row string) tandem.Run {
	t.Helper()
	_, err := r.store.Reopen(t.Context(), row)
	require.NoError(t, err)
	run, err := r.starter.Inbound(t.Context(), "stripe", remoteID, []string{row})
	require.NoError(t, err)
	r.ended(t, run)
	return run
}

func (r recorder) end(t *testing.T, row string) tandem.EventState {
	t.Helper()
	e, err := r.store.Event(t.Context(), row)
	require.NoError(t, err)
	return e.State
}

func (r recorder) inboundAfterOutage(t *testing.T) tandem.Run {
	remoteID := r.foreign(t)
	r.standIn.AddFault(stripetest.Fault{Kind: stripetest.Error503, Op: "retrieve", Contains: remoteID, Count: 2})
	return r.inboundFetchOf(t, remoteID)
}

func (r recorder) drained(t *testing.T) tandem.Run {
	for range 3 {
		r.ingest(t, r.foreign(t))
	}
	r.drain(t)
	return tandem.Run{WorkflowID: workflows.DrainID("stripe")}
}
