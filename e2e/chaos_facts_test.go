//go:build chaos

package e2e_test

import (
	"net/http"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
)

// settle waits until nothing is left to do in the whole installation: every event that ever happened is taken in, every
// mapping rests, no delivery is on its way, and no workflow runs. What is true then stays true. In flows where something
// waits for a person, mappings may also rest in that state, and their workflows wait.
func (tr *trial) settle() {
	tr.t.Helper()
	tr.until("rest", func(t tester) {
		for range 2 { // one look after the other, work could slip from what is looked at next to what was looked at before
			require.Zero(t, tr.server.PendingDeliveries(), "deliveries on their way")
			tr.tookAllIn(t)
			tr.restsHere(t)
		}
	})
}

// quietly is settle while no event gets through.
func (tr *trial) quietly() {
	tr.t.Helper()
	tr.until("rest without events", func(t tester) { tr.restsHere(t) })
}

func (tr *trial) restsHere(t tester) {
	t.Helper()
	for _, m := range tr.allMappings(t) {
		if m.State == tr.mayRest {
			continue
		}
		for _, workflow := range []string{"inbound/stripe/" + m.RemoteID, "outbound/" + m.CustomerID} {
			require.NotEqual(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, tr.status(t, workflow), workflow)
		}
	}
	for _, m := range tr.allMappings(t) {
		require.Contains(t, []string{"synced", "archived", tr.mayRest}, m.State, "%s %s", m.CustomerID, m.LastError)
	}
}

func (tr *trial) tookAllIn(t tester) {
	t.Helper()
	states := map[string]string{}
	for _, e := range tr.wholeLedger(t) {
		states[e.EventID] = e.State
	}
	for _, e := range tr.server.Events() {
		require.NotContains(t, []string{"", "received"}, states[e.ID], "event %s %s", e.ID, e.Type)
	}
}

func (tr *trial) allMappings(t tester) (rows []mapping) {
	t.Helper()
	tr.query(t, &rows, `SELECT `+mappingColumns+` FROM entity_integration_mappings ORDER BY id`)
	return rows
}

func (tr *trial) wholeLedger(t tester) (rows []event) {
	t.Helper()
	tr.query(t, &rows, `SELECT event_id, type, object_id, state, reason, deliveries FROM provider_events ORDER BY id`)
	return rows
}

// facts reads everything there is to know.
func (tr *trial) facts() facts {
	t := tr.t
	t.Helper()
	f := facts{mappings: tr.allMappings(t), ledger: tr.wholeLedger(t), remotes: map[string]remote{}}
	var ids []string
	tr.query(t, &ids, `SELECT id FROM customers ORDER BY id`)
	for _, id := range ids {
		f.customers = append(f.customers, tr.ask(http.MethodGet, "/v1/customers/"+id, nil).customer(t, http.StatusOK))
	}
	tr.query(t, &f.journal, `
		SELECT entity_id, COALESCE(provider_type, '') AS provider_type, direction, action, cause, cause_id,
		       COALESCE(provider_entity_id, '') AS provider_entity_id, workflow_id, run_id, changes
		FROM journal ORDER BY id`)
	tr.query(t, &f.tombstones, `SELECT provider_entity_id FROM remote_tombstones ORDER BY 1`)
	tr.stripe.do(t, http.MethodGet, "/operations", nil, &f.operations)
	for _, op := range f.operations {
		if _, seen := f.remotes[op.CustomerID]; op.CustomerID != "" && !seen {
			f.remotes[op.CustomerID] = tr.stripe.customer(t, op.CustomerID)
		}
	}
	for _, m := range f.mappings { // what was there before us is in no operation
		if _, seen := f.remotes[m.RemoteID]; m.RemoteID != "" && !seen {
			f.remotes[m.RemoteID] = tr.stripe.customer(t, m.RemoteID)
		}
	}
	return f
}

// again delivers every event once more and has every linked customer's run look what is left to do: all of it old news.
// (A "sync" by a person would read the remote customer.)
func (tr *trial) again() {
	tr.t.Helper()
	for _, e := range tr.server.Events() {
		require.NoError(tr.t, tr.server.Redeliver(e.ID))
	}
	for _, id := range tr.ids() {
		if w := tr.want[id]; w.linked && !w.archived {
			a := tr.ask(http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": "retry"})
			require.Equal(tr.t, http.StatusAccepted, a.status, string(a.body))
		}
	}
	tr.settle()
}
