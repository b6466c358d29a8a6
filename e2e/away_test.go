package e2e_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/devstack"
)

// TestWebhooksAreTakenInWhileTemporalIsAway stops Temporal under a running Tandem and starts it again.
func TestWebhooksAreTakenInWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	home, err := newHome()
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(home) })
	options := devstack.TemporalOptions{DBFile: filepath.Join(home, "temporal.db"), Headless: true}
	temporal, err := devstack.StartTemporal(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, temporal.Stop()) })
	_, port, err := net.SplitHostPort(temporal.Address())
	require.NoError(t, err)
	options.Port, err = strconv.Atoi(port) // when it comes back it has to be found
	require.NoError(t, err)
	s, err := startStack(stackOptions{ephemeral: true, env: []string{"TEMPORAL_ADDRESS=" + temporal.Address()}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	kept := s.synced(t, s.create(t, person("kept")).ID)
	doomed := s.synced(t, s.create(t, person("doomed")).ID)

	require.NoError(t, temporal.Stop())
	s.stripe.edit(t, kept.stripe().RemoteID, object{"name": marker + " while away"})
	s.stripe.edit(t, kept.stripe().RemoteID, object{"phone": "+1 555 8888"})
	s.stripe.remove(t, doomed.stripe().RemoteID)
	added := s.stripe.create(t, remotePerson("added"))
	s.stripe.waitIdle(t)
	for _, remoteID := range []string{kept.stripe().RemoteID, doomed.stripe().RemoteID, added.ID} {
		for _, e := range s.ledger(t, remoteID) {
			require.Equal(t, 1, e.Deliveries, "%s was answered with a 200", e.Type)
		}
	}
	require.Equal(t, 4, s.count(t, `SELECT count(*) FROM provider_events WHERE state = 'received'`))
	require.JSONEq(t, `{"status":"degraded"}`, string(s.call(t, http.MethodGet, "/readyz", nil).body))
	require.Equal(t, http.StatusOK, s.call(t, http.MethodGet, "/v1/customers/"+kept.ID, nil).status, "reads are answered")
	eventually(t, func(ct *assert.CollectT) {
		log, err := s.readLog()
		require.NoError(ct, err)
		require.Contains(ct, string(log), "temporal.away")
	}, "it is known that Temporal is away")
	begun := time.Now()
	refused := s.call(t, http.MethodPost, "/v1/customers", person("refused"))
	require.Equal(t, http.StatusServiceUnavailable, refused.status)
	require.Contains(t, string(refused.body), "nothing was started")
	require.Less(t, time.Since(begun), 5*time.Second, "nobody waits for what is known to be away")

	temporal, err = devstack.StartTemporal(t.Context(), options)
	require.NoError(t, err)
	s.create(t, person("first")) // is not refused
	s.imported(t, added.ID)
	s.archived(t, doomed.ID)
	eventually(t, func(ct *assert.CollectT) {
		require.Equal(ct, 0, s.count(ct, `SELECT count(*) FROM provider_events WHERE state = 'received'`))
	}, "nothing waits any more")
	c, r := s.agrees(t, kept.ID)
	require.Equal(t, marker+" while away", r.Name)
	require.Equal(t, "+1 555 8888", c.Phone)
	eventually(t, func(ct *assert.CollectT) {
		require.JSONEq(ct, `{"status":"ok"}`, string(s.call(ct, http.MethodGet, "/readyz", nil).body))
	}, "everything answers")
}
