//go:build chaos

package e2e_test

import (
	"fmt"
	"net/http"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// prepareLinks makes two pairs of a customer and a remote customer who know nothing of each other.
func prepareLinks(tr *trial) {
	for n := range 2 {
		ours, theirs := tr.born(fmt.Sprint("link-ours-", n)), tr.arrives(fmt.Sprint("link-theirs-", n))
		tr.unlinks(ours)
		tr.unlinks(theirs)
		tr.settle()
	}
}

func (tr *trial) unlinks(id string) {
	tr.t.Helper()
	m := tr.liveLink(tr.t, id)
	a := tr.ask(http.MethodDelete, mappingsPath+"/"+m.ID, nil)
	require.Equal(tr.t, http.StatusNoContent, a.status, string(a.body))
	tr.want[id].linked, tr.want[id].stranger = false, true
}

func roundLink(tr *trial, n int) {
	ours, theirs := tr.ids()[2*n-2], tr.ids()[2*n-1]
	remoteID := tr.remoteOf(theirs)
	a := tr.ask(http.MethodPost, mappingsPath, object{"entity_id": ours, "provider_type": "stripe", "provider_entity_id": remoteID})
	require.Equal(tr.t, http.StatusCreated, a.status, string(a.body))
	w := tr.want[ours]
	w.linked = true // its first remote customer stays a stranger
	tr.want[theirs].stranger = false
	w.updates, w.reads = 1, 6 // one look for each time that it is asked for
	tr.settle()
}

func roundUnlink(tr *trial, n int) {
	tr.unlinks(tr.ids()[n-1])
	tr.settle()
}

// prepareHeld puts the names of as many customers as will be needed on hold, as the policy `hold` does when both sides have changed them.
func prepareHeld(tr *trial) {
	tr.mayRest = "conflict"
	for n := range tr.crash.hit {
		id := tr.born(fmt.Sprint("held-", n))
		theirs, ours := marker+" theirs", marker+" ours"
		tr.edit(id, object{"name": theirs})
		tr.settle()
		_, err := tr.db.ExecContext(tr.t.Context(), `
			UPDATE entity_integration_mappings
			SET state = 'conflict', conflicts = jsonb_build_array(jsonb_build_object('field', 'name', 'platform', $2::text, 'provider', $3::text))
			WHERE entity_id = $1`, id, ours, theirs)
		require.NoError(tr.t, err)
		tr.patch(id, object{"name": ours})
		tr.settle()
	}
}

func roundResolve(tr *trial, n int) {
	id := tr.ids()[n-1]
	a := tr.ask(http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": "resolve", "winner": object{"name": "platform"}})
	if a.status != http.StatusOK { // resolved already, by the request that was not answered
		require.Equal(tr.t, http.StatusUnprocessableEntity, a.status, string(a.body))
		require.NotZero(tr.t, tr.resent)
	}
	tr.want[id].updates = 1
	tr.settle()
}

// prepareParked makes customers whose creates were refused and whose workflows wait for a person.
func prepareParked(tr *trial) {
	tr.mayRest = "parked"
	for n := range tr.crash.hit {
		tr.server.AddFault(stripetest.Fault{Kind: stripetest.BadRequest, Op: "create", Param: "email", Code: "email_invalid"})
		id, _ := tr.asks(fmt.Sprint("parked-", n))
		tr.reaches(id, "parked")
	}
}

func roundRetry(tr *trial, n int) {
	id := tr.ids()[n-1]
	a := tr.ask(http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": "retry"})
	require.Equal(tr.t, http.StatusAccepted, a.status, string(a.body))
	tr.reaches(id, "synced")
	tr.settle()
}

func roundSkip(tr *trial, n int) {
	id := tr.ids()[n-1]
	a := tr.ask(http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": "skip"})
	if a.status != http.StatusAccepted { // skipped already, by the request that was not answered
		require.Equal(tr.t, http.StatusConflict, a.status, string(a.body))
		require.NotZero(tr.t, tr.resent)
	}
	tr.patch(id, object{"name": fmt.Sprint(marker, " not skipped for ever ", n)})
	tr.reaches(id, "synced")
	tr.settle()
}

// roundSync asks for a look at what is in order; nothing comes of it but the look.
func roundSync(tr *trial, _ int) {
	id, before := tr.ids()[0], tr.resent
	a := tr.ask(http.MethodPost, "/v1/customers/"+id+"/sync", object{"action": "sync"})
	require.Equal(tr.t, http.StatusAccepted, a.status, string(a.body))
	tr.want[id].reads += 1 + tr.resent - before // the look, each time it was asked for
	tr.settle()
}
