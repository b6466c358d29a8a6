package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deletes are the requests to delete that Tandem sent, answered as they may be.
func (r standIn) deletes(t tester, customerID, remoteID string) []operation {
	t.Helper()
	return slices.DeleteFunc(r.calls(t, customerID, remoteID), func(op operation) bool { return op.Op != "delete" })
}

// endedHere waits until an archived customer rests, and expects that nothing of it is left over there.
func (s *stack) endedHere(t *testing.T, id string) customer {
	t.Helper()
	s.archived(t, id)
	c := s.rests(t, id)
	require.Equal(t, "deleted_local", c.stripe().ArchivedReason)
	require.Nil(t, c.stripe().LastError)
	require.Empty(t, s.stripe.of(t, id))
	require.True(t, s.stripe.customer(t, c.stripe().RemoteID).Deleted)
	return c
}

func TestArchiveDeletesTheRemoteCustomerOnce(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T, externalID string) customer{
		"of a customer created here": func(t *testing.T, externalID string) customer {
			p := person("archive-out")
			p["external_id"] = externalID
			return calm.create(t, p)
		},
		"of a customer created there": func(t *testing.T, externalID string) customer {
			p := remotePerson("archive-in")
			p["metadata"] = object{"external_id": externalID}
			return calm.imported(t, calm.stripe.create(t, p).ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			externalID := marker + "-" + person("archive")["email"].(string)
			c := calm.rests(t, start(t, externalID).ID)
			remoteID := c.stripe().RemoteID
			calm.stripe.edit(t, remoteID, object{"name": marker + " before the end"})
			c, _ = calm.agrees(t, c.ID)

			calm.archive(t, c.ID, "")
			require.Equal(t, "archived", calm.customer(t, c.ID).Status, "locally it is over at once")
			gone := calm.endedHere(t, c.ID)
			require.Equal(t, remoteID, gone.stripe().RemoteID)
			require.Len(t, calm.stripe.deletes(t, c.ID, remoteID), 1)
			require.Equal(t, "archived", calm.mapping(t, c.ID).State)
			require.Equal(t, 1, calm.count(t, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, remoteID))
			require.Contains(t, story(calm.journal(t, c.ID)), "outbound archive api")
			told := story(calm.journal(t, c.ID)) // its event may overtake the answer
			require.Contains(t, []string{"outbound delete api", "outbound delete webhook"}, told[len(told)-1])

			// What comes late, or again, brings nobody back.
			before := len(calm.ledger(t, remoteID))
			for _, kind := range []string{"customer.updated", "customer.created"} {
				calm.stripe.do(t, http.MethodPost, "/events", object{"type": kind, "object": object{
					"id": remoteID, "object": "customer", "name": marker + " risen", "email": c.Email, "phone": nil, "address": nil,
					"metadata": object{"flexprice_customer_id": c.ID, "flexprice_environment": environment}, "livemode": false, "created": 1700000000,
				}}, nil)
			}
			for _, e := range calm.ledger(t, remoteID) {
				calm.stripe.do(t, http.MethodPost, "/events/"+e.EventID+"/redeliver", nil, nil)
			}
			eventually(t, func(ct *assert.CollectT) {
				rows := calm.ledger(ct, remoteID)
				require.Len(ct, rows, before+2)
				for i, e := range rows {
					require.NotEqual(ct, "received", e.State)
					if i >= before {
						require.Equal(ct, "ignored deleted", e.State+" "+e.Reason)
					}
				}
			}, "the late events")
			calm.archive(t, c.ID, "")
			calm.archive(t, c.ID, "?provider=keep")
			require.Equal(t, gone, calm.rests(t, c.ID))
			require.Len(t, calm.stripe.deletes(t, c.ID, remoteID), 1)
			require.Empty(t, calm.list(t, "status=active&provider_entity_id="+remoteID))

			// The external id is free again.
			calm.call(t, http.MethodGet, "/v1/customers/external/"+externalID, nil).problem(t, http.StatusNotFound, "customer_not_found")
			p := person("archive-successor")
			p["external_id"] = externalID
			heir, r := calm.agrees(t, calm.create(t, p).ID)
			require.NotEqual(t, remoteID, r.ID)
			require.Equal(t, heir.ID, calm.call(t, http.MethodGet, "/v1/customers/external/"+externalID, nil).customer(t, http.StatusOK).ID)
		})
	}
}

func TestArchiveThatKeepsTheRemoteCustomer(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("keep")).ID)
	remoteID := c.stripe().RemoteID
	calm.archive(t, c.ID, "?provider=keep&wait=30s")
	calm.archived(t, c.ID)
	gone := calm.rests(t, c.ID)
	require.Equal(t, "deleted_local", gone.stripe().ArchivedReason)
	require.Empty(t, calm.stripe.deletes(t, c.ID, remoteID))

	calm.stripe.edit(t, remoteID, object{"name": marker + " lives on"})
	eventually(t, func(ct *assert.CollectT) {
		rows := calm.ledger(ct, remoteID)
		last := rows[len(rows)-1]
		require.Equal(ct, "customer.updated ignored customer_archived", last.Type+" "+last.State+" "+last.Reason)
	}, "the edit of the one that was kept")
	require.Equal(t, gone, calm.rests(t, c.ID))
	require.Equal(t, []string{c.ID}, ids(calm.list(t, "email="+url.QueryEscape(c.Email))), "nobody else was made of it")
	require.Equal(t, marker+" lives on", calm.stripe.customer(t, remoteID).Name)
	calm.archive(t, c.ID, "?provider=delete") // too late to say so
	require.Equal(t, gone, calm.rests(t, c.ID))
	require.False(t, calm.stripe.customer(t, remoteID).Deleted)

	calm.stripe.remove(t, remoteID)
	eventually(t, func(ct *assert.CollectT) {
		require.Equal(ct, 1, calm.count(ct, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, remoteID))
	}, "its end over there")
	require.Equal(t, gone, calm.rests(t, c.ID))
}

func TestArchiveGetsThroughTrouble(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		kind    string
		deletes int // that reached the provider
	}{{"error_503", 2}, {"apply_then_drop", 2}, {"error_500_done", 2}, {"unauthorized", 2}} {
		t.Run(fault.kind, func(t *testing.T) {
			t.Parallel()
			c := calm.rests(t, calm.create(t, person("archive-"+fault.kind)).ID)
			remoteID := c.stripe().RemoteID
			calm.stripe.fault(t, object{"kind": fault.kind, "op": "delete", "contains": remoteID})
			calm.archive(t, c.ID, "")
			calm.endedHere(t, c.ID)
			deletes := calm.stripe.deletes(t, c.ID, remoteID)
			require.LessOrEqual(t, len(deletes), fault.deletes)
			applied := slices.DeleteFunc(deletes, func(op operation) bool { return !op.Applied })
			require.Len(t, applied, 1)
		})
	}
}

func TestArchiveOfWhatIsGoneOverThere(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("both-delete")).ID)
	atOnce(t, 2, func(i int) error {
		if i == 0 {
			_, err := calm.try(t.Context(), http.MethodDelete, "/v1/customers/"+c.ID, nil)
			return err
		}
		// The stand-in refuses the dashboard when the API was first.
		_ = calm.stripe.try(t.Context(), http.MethodDelete, "/customers/"+c.stripe().RemoteID, nil, nil)
		return nil
	})
	calm.archived(t, c.ID)
	gone := calm.rests(t, c.ID)
	require.Contains(t, []string{"deleted_local", "deleted_remote"}, gone.stripe().ArchivedReason)
	require.True(t, calm.stripe.customer(t, c.stripe().RemoteID).Deleted)
	require.Empty(t, calm.stripe.of(t, c.ID))
}

func TestArchiveRacesEditsOfBothSides(t *testing.T) {
	t.Parallel()
	for range 2 { // more deletes on one stack would come near the brake
		c := calm.rests(t, calm.create(t, person("archive-race")).ID)
		remoteID := c.stripe().RemoteID
		atOnce(t, 4, func(i int) error {
			switch i {
			case 0:
				a, err := calm.try(t.Context(), http.MethodDelete, "/v1/customers/"+c.ID, nil)
				assert.Equal(t, http.StatusNoContent, a.status, string(a.body))
				return err
			case 1:
				a, err := calm.try(t.Context(), http.MethodPatch, "/v1/customers/"+c.ID, object{"name": marker + " last words"})
				assert.Contains(t, []int{http.StatusOK, http.StatusConflict}, a.status, string(a.body))
				return err
			case 2:
				a, err := calm.try(t.Context(), http.MethodDelete, "/v1/customers/"+c.ID, nil)
				assert.Equal(t, http.StatusNoContent, a.status, string(a.body))
				return err
			}
			// Refused when it is deleted already.
			_ = calm.stripe.try(t.Context(), http.MethodPatch, "/customers/"+remoteID, object{"phone": "+1 555 0199"}, nil)
			return nil
		})
		calm.endedHere(t, c.ID)
		require.Len(t, calm.stripe.deletes(t, c.ID, remoteID), 1)
	}
}

func TestArchiveDuringAnUpdateIsTheLastWord(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("archive-update")).ID)
	remoteID := c.stripe().RemoteID
	hold := calm.stripe.fault(t, object{"kind": "hold", "op": "update", "contains": remoteID, "count": -1})
	calm.edit(t, c.ID, object{"name": marker + " in flight"})
	eventually(t, func(ct *assert.CollectT) { require.Positive(ct, calm.stripe.hits(ct, hold)) }, "the update")
	calm.archive(t, c.ID, "")
	require.Equal(t, "archived", calm.customer(t, c.ID).Status)
	calm.stripe.unfault(t, hold)
	calm.endedHere(t, c.ID)
}

func TestArchiveExpectsTheVersionItIsTold(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("archive-version")).ID)
	path := "/v1/customers/" + c.ID
	calm.call(t, http.MethodDelete, path, nil, "If-Match", "99").problem(t, http.StatusPreconditionFailed, "version_mismatch")
	calm.call(t, http.MethodDelete, path+"?provider=maybe", nil).problem(t, http.StatusBadRequest, "invalid_parameter")
	require.Equal(t, c, calm.rests(t, c.ID))
	require.Equal(t, http.StatusNoContent, calm.call(t, http.MethodDelete, path, nil, "If-Match", "1").status)
	require.Equal(t, http.StatusNoContent, calm.call(t, http.MethodDelete, path, nil, "If-Match", "99").status)
	calm.endedHere(t, c.ID)
}
