package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
)

const mappingsPath = "/v1/entity-integration-mappings"

// link is a mapping as the API shows it.
type link struct {
	ID             string            `json:"id"`
	CustomerID     string            `json:"entity_id"`
	RemoteID       string            `json:"provider_entity_id"`
	State          string            `json:"state"`
	Metadata       map[string]string `json:"metadata"`
	Version        int64             `json:"version"`
	ArchivedReason string            `json:"archived_reason"`
}

func (s *stack) tryLink(t tester, customerID, remoteID, winner string) answer {
	t.Helper()
	body := object{"entity_id": customerID, "provider_type": "stripe", "provider_entity_id": remoteID}
	if winner != "" {
		body["winner"] = winner
	}
	return s.call(t, http.MethodPost, mappingsPath, body)
}

func (s *stack) link(t tester, customerID, remoteID, winner string) link {
	t.Helper()
	a := s.tryLink(t, customerID, remoteID, winner)
	require.Equal(t, http.StatusCreated, a.status, string(a.body))
	var m link
	a.read(t, &m)
	require.Equal(t, mappingsPath+"/"+m.ID, a.header.Get("Location"))
	require.Equal(t, customerID+" "+remoteID, m.CustomerID+" "+m.RemoteID)
	return m
}

func (s *stack) linkByID(t tester, id string) link {
	t.Helper()
	a := s.call(t, http.MethodGet, mappingsPath+"/"+id, nil)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	var m link
	a.read(t, &m)
	return m
}

func (s *stack) links(t tester, query string) []link {
	t.Helper()
	a := s.call(t, http.MethodGet, mappingsPath+"?"+query, nil)
	require.Equal(t, http.StatusOK, a.status, string(a.body))
	var page struct{ Items []link }
	a.read(t, &page)
	return page.Items
}

// liveLink expects that the customer has one.
func (s *stack) liveLink(t tester, customerID string) link {
	t.Helper()
	found := s.links(t, "entity_id="+customerID)
	require.Len(t, found, 1)
	return found[0]
}

func (s *stack) unlink(t tester, mappingID string) {
	t.Helper()
	a := s.call(t, http.MethodDelete, mappingsPath+"/"+mappingID, nil)
	require.Equal(t, http.StatusNoContent, a.status, string(a.body))
}

// strangers are a customer and a remote customer who know nothing of each other: both were linked once, to others.
func strangers(t *testing.T, ours, theirs object) (customer, remote) {
	t.Helper()
	c := calm.rests(t, calm.create(t, ours).ID)
	r := calm.stripe.create(t, theirs)
	imported := calm.rests(t, calm.imported(t, r.ID).ID)
	calm.unlink(t, calm.liveLink(t, c.ID).ID)
	calm.unlink(t, calm.liveLink(t, imported.ID).ID)
	return c, r
}

// together is agrees for a customer that had another remote customer before: that one's events are of no account.
func (s *stack) together(t *testing.T, id string) (customer, remote) {
	t.Helper()
	var c customer
	eventually(t, func(ct *assert.CollectT) {
		c = s.customer(ct, id)
		remoteID := c.stripe().RemoteID
		require.Equal(ct, "synced", c.stripe().State, "last error: %+v", c.stripe().LastError)
		finished := map[string]bool{}
		for _, e := range s.ledger(ct, remoteID) {
			finished[e.EventID] = e.State != "received"
		}
		for _, op := range s.stripe.operations(ct, "nobody", remoteID) {
			for _, e := range op.Events {
				require.True(ct, finished[e], "event %s of %s is not finished", e, op.Op)
			}
		}
		for _, workflowID := range []string{"outbound/" + id, "inbound/stripe/" + remoteID} {
			require.NotEqual(ct, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, s.status(ct, workflowID), workflowID)
		}
		require.Equal(ct, c, s.customer(ct, id))
	}, "nothing left to do for "+id)
	r := s.stripe.customer(t, c.stripe().RemoteID)
	require.Equal(t, r.fields(), c.fields(), "the remote side, and ours")
	return c, r
}

// ignoredAsUnlinked waits until the last event of the remote customer, n of them in all, has come to nothing.
func (s *stack) ignoredAsUnlinked(t *testing.T, remoteID string, n int) {
	t.Helper()
	eventually(t, func(ct *assert.CollectT) {
		rows := s.ledger(ct, remoteID)
		require.Len(ct, rows, n)
		require.Equal(ct, "ignored unlinked", rows[n-1].State+" "+rows[n-1].Reason)
	}, "the last event of "+remoteID)
}

func TestLinkByHand(t *testing.T) {
	t.Parallel()
	for _, winner := range []string{"", "platform", "provider"} {
		t.Run("winner "+winner, func(t *testing.T) {
			t.Parallel()
			ours, theirs := person("link-ours"), remotePerson("link-theirs")
			ours["metadata"] = object{"both": "ours", "ours": "yes"}
			theirs["metadata"] = object{"both": "theirs", "theirs": "yes"}
			ours["phone"] = nil // only they have one
			delete(theirs, "address")
			c, r := strangers(t, ours, theirs)

			m := calm.link(t, c.ID, r.ID, winner)
			require.Equal(t, "operator", m.Metadata["created_via"])
			after, _ := calm.together(t, c.ID)
			require.Equal(t, r.ID, after.stripe().RemoteID)
			name, email, both := ours["name"], ours["email"], "ours"
			if winner == "provider" {
				name, email, both = theirs["name"], theirs["email"], "theirs"
			}
			require.Equal(t, name, after.Name)
			require.Equal(t, email, after.Email)
			require.Equal(t, map[string]string{"both": both, "ours": "yes", "theirs": "yes"}, after.Metadata)
			require.Equal(t, theirs["phone"], after.Phone, "what one side has and the other has not stays")
			require.Equal(t, "Bath", after.City)
			require.Contains(t, story(calm.journal(t, c.ID)), "inbound link operator")

			calm.edit(t, c.ID, object{"name": marker + " ours now"})
			calm.together(t, c.ID)
			calm.stripe.edit(t, r.ID, object{"phone": "+1 555 0177"})
			after, _ = calm.together(t, c.ID)
			require.Equal(t, marker+" ours now", after.Name)
			require.Equal(t, "+1 555 0177", after.Phone)

			again := calm.link(t, c.ID, r.ID, winner) // there already
			require.Equal(t, m.ID, again.ID)
			require.Equal(t, []link{calm.liveLink(t, c.ID)}, calm.links(t, "provider_entity_id="+r.ID))
		})
	}
}

func TestLinkThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	linked := calm.rests(t, calm.create(t, person("link-refused")).ID)
	c, r := strangers(t, person("link-refused-ours"), remotePerson("link-refused-theirs"))
	gone := calm.stripe.create(t, remotePerson("link-refused-gone"))
	ended := calm.imported(t, gone.ID)
	calm.stripe.remove(t, gone.ID)
	calm.archived(t, ended.ID)
	const unknown = "cust_01ARZ3NDEKTSV4RRFFQ69G5FAV"
	refused, conflict := http.StatusUnprocessableEntity, http.StatusConflict
	for _, bad := range []struct {
		name, customerID, remoteID string
		status                     int
		code, fault                string
	}{
		{"unknown remote customer", c.ID, "cus_nobody" + fmt.Sprint(time.Now().UnixNano()), refused, "remote_not_found", "provider_entity_id remote_not_found"},
		{"deleted remote customer", c.ID, gone.ID, conflict, "remote_gone", "provider_entity_id remote_gone"},
		{"linked remote customer", c.ID, linked.stripe().RemoteID, conflict, "remote_linked", "provider_entity_id remote_linked"},
		{"linked customer", linked.ID, r.ID, conflict, "customer_linked", "entity_id customer_linked"},
		{"archived customer", ended.ID, r.ID, conflict, "customer_archived", "entity_id customer_archived"},
		{"unknown customer", unknown, r.ID, refused, "invalid_request", "entity_id customer_not_found"},
	} {
		faults := calm.tryLink(t, bad.customerID, bad.remoteID, "").problem(t, bad.status, bad.code)
		require.Equal(t, []string{bad.fault}, faults, bad.name)
	}
	calm.call(t, http.MethodPost, mappingsPath, object{"entity_id": c.ID, "provider_type": "nobody", "provider_entity_id": r.ID}).
		problem(t, refused, "invalid_request")
	require.Empty(t, calm.links(t, "entity_id="+c.ID))
	require.Equal(t, linked, calm.rests(t, linked.ID))
	calm.link(t, c.ID, r.ID, "") // what was refused has left nothing in the way
	calm.together(t, c.ID)
}

func TestOneRemoteCustomerIsLinkedOnceEvenAtOnce(t *testing.T) {
	t.Parallel()
	first, r := strangers(t, person("link-rival-one"), remotePerson("link-rivals"))
	second := calm.rests(t, calm.create(t, person("link-rival-two")).ID)
	calm.unlink(t, calm.liveLink(t, second.ID).ID)
	statuses := make([]int, 4)
	atOnce(t, len(statuses), func(i int) error {
		a, err := calm.try(t.Context(), http.MethodPost, mappingsPath, object{
			"entity_id": []string{first.ID, second.ID}[i%2], "provider_type": "stripe", "provider_entity_id": r.ID,
		})
		statuses[i] = a.status
		return err
	})
	slices.Sort(statuses)
	require.Equal(t, []int{http.StatusCreated, http.StatusCreated, http.StatusConflict, http.StatusConflict}, statuses)
	found := calm.links(t, "provider_entity_id="+r.ID)
	require.Len(t, found, 1)
	calm.together(t, found[0].CustomerID)
}

func TestUnlinkedStaysApartUntilLinkedAgain(t *testing.T) {
	t.Parallel()
	c, r := calm.agrees(t, calm.create(t, person("unlink")).ID)
	m := calm.liveLink(t, c.ID)
	calm.unlink(t, m.ID)
	calm.unlink(t, m.ID) // done already
	ended := calm.linkByID(t, m.ID)
	require.Equal(t, "archived unlinked", ended.State+" "+ended.ArchivedReason)
	require.Empty(t, calm.links(t, "entity_id="+c.ID))
	require.Equal(t, []link{ended}, calm.links(t, "state=archived&entity_id="+c.ID))
	calls, events := len(calm.stripe.calls(t, c.ID, r.ID)), len(calm.ledger(t, r.ID))

	apart := calm.edit(t, c.ID, object{"name": marker + " alone here"})
	calm.stripe.edit(t, r.ID, object{"name": marker + " alone there"})
	calm.ignoredAsUnlinked(t, r.ID, events+1)
	calm.rests(t, c.ID)
	require.Equal(t, apart.fields(), calm.customer(t, c.ID).fields())
	require.Equal(t, marker+" alone there", calm.stripe.customer(t, r.ID).Name)
	require.Len(t, calm.stripe.calls(t, c.ID, r.ID), calls)
	require.Empty(t, calm.links(t, "provider_entity_id="+r.ID))

	again := calm.link(t, c.ID, r.ID, "provider")
	require.NotEqual(t, m.ID, again.ID)
	after, _ := calm.agrees(t, c.ID)
	require.Equal(t, marker+" alone there", after.Name)
	calm.edit(t, c.ID, object{"name": marker + " together"})
	_, r = calm.agrees(t, c.ID)
	require.Equal(t, marker+" together", r.Name)
	require.Equal(t, "unlinked", calm.linkByID(t, m.ID).ArchivedReason, "history stays")
	rows := story(calm.journal(t, c.ID))
	require.Contains(t, rows, "outbound unlink operator")
	require.Contains(t, rows, "inbound link operator")
}

func TestSyncAfterUnlinkCreatesAnew(t *testing.T) {
	t.Parallel()
	c, former := calm.agrees(t, calm.create(t, person("unlink-sync")).ID)
	calm.unlink(t, calm.liveLink(t, c.ID).ID)
	calm.edit(t, c.ID, object{"name": marker + " on its own"})
	calm.rests(t, c.ID)
	calm.wished(t, c.ID, "sync")
	eventually(t, func(ct *assert.CollectT) { require.Len(ct, calm.links(ct, "entity_id="+c.ID), 1) }, "the new link")
	after, r := calm.together(t, c.ID)
	require.NotEqual(t, former.ID, r.ID)
	require.Equal(t, marker+" on its own", r.Name)
	require.Equal(t, former.Name, calm.stripe.customer(t, former.ID).Name, "the former one is left alone")

	events := len(calm.ledger(t, former.ID))
	calm.stripe.edit(t, former.ID, object{"name": marker + " forgotten"})
	calm.ignoredAsUnlinked(t, former.ID, events+1)
	require.Equal(t, after, calm.customer(t, c.ID))
	calm.stripe.remove(t, former.ID)
	eventually(t, func(ct *assert.CollectT) {
		require.Equal(ct, 1, calm.count(ct, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, former.ID))
	}, "the end of the former one")
	now, _ := calm.together(t, c.ID)
	require.Equal(t, after, now)
}

func TestArchiveOfAnUnlinkedCustomerLeavesTheOtherSideAlone(t *testing.T) {
	t.Parallel()
	c, r := calm.agrees(t, calm.create(t, person("unlink-archive")).ID)
	calm.unlink(t, calm.liveLink(t, c.ID).ID)
	calm.archive(t, c.ID, "?wait=30s")
	require.Equal(t, "archived", calm.rests(t, c.ID).Status)
	require.Equal(t, "unlinked", calm.customer(t, c.ID).stripe().ArchivedReason)
	require.False(t, calm.stripe.customer(t, r.ID).Deleted)
}

func TestUnlinkWhileAnUpdateIsInFlight(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("unlink-flight")).ID)
	remoteID := c.stripe().RemoteID
	m := calm.liveLink(t, c.ID)
	hold := calm.stripe.fault(t, object{"kind": "hold", "op": "update", "contains": remoteID, "count": -1})
	calm.edit(t, c.ID, object{"name": marker + " in flight"})
	eventually(t, func(ct *assert.CollectT) { require.Positive(ct, calm.stripe.hits(ct, hold)) }, "the update")
	calm.unlink(t, m.ID)
	calm.stripe.unfault(t, hold)
	after := calm.rests(t, c.ID)
	require.Equal(t, "archived unlinked", after.stripe().State+" "+after.stripe().ArchivedReason)
	require.Equal(t, marker+" in flight", after.Name)
	calm.link(t, c.ID, remoteID, "")
	calm.agrees(t, c.ID)
}

func TestMetadataOfAMappingIsTheCallers(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("mapping-metadata")).ID)
	m := calm.liveLink(t, c.ID)
	path := mappingsPath + "/" + m.ID
	put := func(metadata any) link {
		a := calm.call(t, http.MethodPut, path, object{"metadata": metadata})
		require.Equal(t, http.StatusOK, a.status, string(a.body))
		var out link
		a.read(t, &out)
		return out
	}
	owned := put(object{"owner": "anna", "ticket": "OPS-7"})
	require.Equal(t, "anna", owned.Metadata["owner"])
	require.Equal(t, m.Metadata["sync_direction"], owned.Metadata["sync_direction"])
	require.Equal(t, m.Version, owned.Version)
	replaced := put(object{"owner": "ben"})
	require.Equal(t, "ben", replaced.Metadata["owner"])
	require.NotContains(t, replaced.Metadata, "ticket")
	calm.call(t, http.MethodPut, path, object{"metadata": object{"created_via": "me"}}).problem(t, http.StatusUnprocessableEntity, "invalid_request")

	calm.stripe.edit(t, m.RemoteID, object{"name": marker + " keeps the owner"})
	calm.agrees(t, c.ID)
	require.Equal(t, "ben", calm.linkByID(t, m.ID).Metadata["owner"])
	require.NotContains(t, put(nil).Metadata, "owner")
	calm.call(t, http.MethodGet, mappingsPath+"/eim_01ARZ3NDEKTSV4RRFFQ69G5FAV", nil).problem(t, http.StatusNotFound, "mapping_not_found")
}
