//go:build chaos

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/stretchr/testify/require"
)

// roundImport takes remote customers in that no event tells of. A request whose answer the death swallowed has begun the
// run all the same, and the next one is told that it is open.
func roundImport(tr *trial, n int) {
	tr.t.Helper()
	tr.asked++
	ids := []string{fmt.Sprintf("cus_book%da", tr.asked), fmt.Sprintf("cus_book%db", tr.asked)}
	for _, id := range ids {
		fields := remotePerson(id)
		fields["id"], fields["created"] = id, tr.server.Now().Unix()-1000
		raw, err := json.Marshal(fields)
		require.NoError(tr.t, err)
		require.NoError(tr.t, tr.server.Seed(raw))
	}
	a := tr.ask(http.MethodPost, "/v1/runs", object{"mode": "import"})
	require.Contains(tr.t, []int{http.StatusAccepted, http.StatusConflict}, a.status, string(a.body))
	tr.until("the run ends", func(t tester) {
		var states []string
		tr.query(t, &states, `SELECT state FROM reconcile_runs`)
		for _, state := range states {
			require.Equal(t, "done", state)
		}
		require.NotEmpty(t, states)
	})
	for _, remoteID := range ids {
		found := tr.list(tr.t, "provider_entity_id="+remoteID)
		require.Len(tr.t, found, 1)
		w := &expectation{fields: tr.stripe.customer(tr.t, remoteID).fields(), linked: true, wished: map[string]map[string]bool{}, edited: map[string]bool{}}
		for _, field := range []string{"name", "email", "phone", "address", "metadata.plan"} {
			w.edited[field] = true
		}
		w.reads = 2 // the page, and once more after a death
		tr.want[found[0].ID] = w
	}
	tr.settle()
}
