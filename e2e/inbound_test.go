package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRemoteCustomerBecomesACustomer(t *testing.T) {
	t.Parallel()
	r := calm.stripe.create(t, remotePerson("import"))
	c := calm.imported(t, r.ID)
	c, _ = calm.agrees(t, c.ID)
	require.Equal(t, int64(1), c.Version)
	require.Equal(t, "active", c.Status)
	require.Empty(t, calm.stripe.calls(t, c.ID, r.ID), "an import costs no call")

	m := calm.mapping(t, c.ID)
	require.Equal(t, "synced", m.State)
	require.NotNil(t, m.AsOf)
	events := calm.ledger(t, r.ID)
	require.Len(t, events, 1)
	require.Equal(t, "applied", events[0].State)
	about := m.Metadata.object(t)
	require.Equal(t, "provider_to_flexprice", about["sync_direction"])
	require.Equal(t, "webhook", about["created_via"])
	require.Equal(t, "customer.created", about["webhook_event"])
	require.Equal(t, events[0].EventID, about["webhook_id"])

	rows := calm.journal(t, c.ID)
	require.Len(t, rows, 1)
	require.Equal(t, "inbound", rows[0].Direction)
	require.Equal(t, "webhook", rows[0].Cause)
	require.Equal(t, events[0].EventID, rows[0].CauseID)
	require.Equal(t, r.ID, rows[0].RemoteID)
	require.Equal(t, "inbound/stripe/"+r.ID, rows[0].WorkflowID)
}

func TestRemoteCustomerWithoutANameIsImportedWithoutOne(t *testing.T) {
	t.Parallel()
	p := remotePerson("nameless")
	delete(p, "name")
	r := calm.stripe.create(t, p)
	c, _ := calm.agrees(t, calm.imported(t, r.ID).ID)
	require.Empty(t, c.Name)
	require.Equal(t, p["email"], c.Email)
}

func TestRemoteCustomerWithoutAnyFieldIsImported(t *testing.T) {
	t.Parallel()
	r := calm.stripe.create(t, object{})
	c, _ := calm.agrees(t, calm.imported(t, r.ID).ID)
	require.Empty(t, c.fields())
}

func TestTextOfAnyLanguageCrossesUnharmed(t *testing.T) {
	t.Parallel()
	const name, city, value = marker + " 山田太郎 Žofie Ærø 👩‍👩‍👧 \"<&>\\ מִרְיָם", "Ðắk Lắk", "naïve \u200d\u00a0 ＡＢＣ\tend"

	t.Run("inbound", func(t *testing.T) {
		t.Parallel()
		p := remotePerson("unicode")
		p["name"], p["metadata"] = name, object{"ключ 🔑": value}
		p["address"] = object{"line1": marker + " 丁目", "city": city, "country": "VN"}
		c, _ := calm.agrees(t, calm.imported(t, calm.stripe.create(t, p).ID).ID)
		require.Equal(t, name, c.Name)
		require.Equal(t, city, c.City)
		require.Equal(t, value, c.Metadata["ключ 🔑"])
	})

	t.Run("outbound", func(t *testing.T) {
		t.Parallel()
		p := person("unicode")
		p["name"], p["address_city"], p["metadata"] = name, city, object{"ключ 🔑": value}
		_, r := calm.agrees(t, calm.create(t, p).ID)
		require.Equal(t, name, r.Name)
		require.Equal(t, city, r.Address["city"])
		require.Equal(t, value, r.Metadata["ключ 🔑"])
	})
}

func TestDashboardEditReachesTheCustomer(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("dashboard")).ID)
	remoteID := c.stripe().RemoteID
	for _, patch := range []object{
		{"name": marker + " by hand"},
		{"phone": nil, "metadata": object{"plan": nil, "vip": "yes"}},
		{"address": object{"city": "Wells", "line2": marker + " annex"}},
		{"email": "by.hand." + c.Email, "name": marker + " by hand again"},
	} {
		calm.stripe.edit(t, remoteID, patch)
		calm.agrees(t, c.ID)
	}
	after := calm.customer(t, c.ID)
	require.Equal(t, marker+" by hand again", after.Name)
	require.Empty(t, after.Phone)
	require.Equal(t, map[string]string{"vip": "yes"}, after.Metadata)
	require.Equal(t, "Wells", after.City)
	for _, op := range calm.stripe.calls(t, c.ID, remoteID)[1:] {
		require.Equal(t, "retrieve", op.Op, "a dashboard edit was answered with a write")
	}
	for _, row := range calm.journal(t, c.ID)[2:] {
		require.Equal(t, "inbound", row.Direction)
		require.Equal(t, "webhook", row.Cause)
		require.NotEmpty(t, row.CauseID)
	}
}

func TestDashboardDeleteArchivesTheCustomerForGood(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) customer{
		"of a customer created here": func(t *testing.T) customer { return calm.create(t, person("delete-out")) },
		"of a customer created there": func(t *testing.T) customer {
			return calm.imported(t, calm.stripe.create(t, remotePerson("delete-in")).ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := calm.rests(t, start(t).ID)
			remoteID := c.stripe().RemoteID
			calm.stripe.edit(t, remoteID, object{"name": marker + " before the end"})
			c, _ = calm.agrees(t, c.ID)
			calls := len(calm.stripe.calls(t, c.ID, remoteID))
			calm.stripe.remove(t, remoteID)
			gone := calm.archived(t, c.ID)
			require.Equal(t, "deleted_remote", gone.stripe().ArchivedReason)
			require.Equal(t, 1, calm.count(t, `SELECT count(*) FROM remote_tombstones WHERE provider_entity_id = $1`, remoteID))

			// Its former events come again: one that was sent before, and one that was not.
			calm.rests(t, c.ID)
			var last string
			for _, e := range calm.ledger(t, remoteID) {
				if e.Type == "customer.updated" {
					last = e.EventID
				}
			}
			require.NotEmpty(t, last)
			calm.stripe.do(t, http.MethodPost, "/events/"+last+"/redeliver", nil, nil)
			calm.stripe.do(t, http.MethodPost, "/events", object{"type": "customer.updated", "object": object{
				"id": remoteID, "object": "customer", "name": marker + " risen", "email": nil, "phone": nil, "address": nil,
				"metadata": object{}, "livemode": false, "created": 1700000000,
			}}, nil)
			eventually(t, func(ct *assert.CollectT) {
				states := map[string]int{}
				for _, e := range calm.ledger(ct, remoteID) {
					require.NotEqual(ct, "received", e.State)
					if e.Reason == "deleted" {
						states[e.State]++
					}
					if e.EventID == last {
						require.Equal(ct, 2, e.Deliveries)
					}
				}
				require.Equal(ct, map[string]int{"ignored": 1}, states)
			}, "the late event")
			after := calm.rests(t, c.ID)
			require.Equal(t, gone, after)
			require.Empty(t, calm.list(t, "status=active&provider_entity_id="+remoteID))
			require.Len(t, calm.stripe.calls(t, c.ID, remoteID), calls, "a deletion costs no call")
			calm.call(t, http.MethodPatch, "/v1/customers/"+c.ID, object{"name": marker + " again"}).
				problem(t, http.StatusConflict, "customer_archived")
		})
	}
}

func TestBothSidesEditDifferentFieldsAtOnce(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("both")).ID)
	for _, round := range []string{"one", "two", "three"} {
		atOnce(t, 2, func(i int) error {
			if i == 0 {
				_, err := calm.try(t.Context(), http.MethodPatch, "/v1/customers/"+c.ID,
					object{"name": marker + " ours " + round, "metadata": object{"ours": round}})
				return err
			}
			return calm.stripe.try(t.Context(), http.MethodPatch, "/customers/"+c.stripe().RemoteID,
				object{"phone": "+1 555 " + round, "metadata": object{"theirs": round}}, nil)
		})
		after, _ := calm.agrees(t, c.ID)
		require.Equal(t, marker+" ours "+round, after.Name)
		require.Equal(t, "+1 555 "+round, after.Phone)
		require.Equal(t, round, after.Metadata["ours"])
		require.Equal(t, round, after.Metadata["theirs"])
	}
}

func TestBothSidesEditTheSameFieldAtOnce(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("same")).ID)
	fault := calm.stripe.fault(t, object{"kind": "hold", "op": "update", "contains": c.stripe().RemoteID, "count": -1})
	calm.edit(t, c.ID, object{"name": marker + " ours"})
	eventually(t, func(ct *assert.CollectT) { require.Positive(ct, calm.stripe.hits(ct, fault)) }, "the call")
	calm.stripe.edit(t, c.stripe().RemoteID, object{"name": marker + " theirs"})
	calm.stripe.unfault(t, fault)
	after, _ := calm.agrees(t, c.ID)
	require.Equal(t, marker+" ours", after.Name, "the platform wins")
}

func TestExternalIDComesInOnceAndIsNoUserMetadata(t *testing.T) {
	t.Parallel()
	p := remotePerson("external")
	externalID := marker + "-" + p["email"].(string)
	p["metadata"] = object{"external_id": externalID, "plan": marker}
	c, _ := calm.agrees(t, calm.imported(t, calm.stripe.create(t, p).ID).ID)
	require.Equal(t, externalID, c.ExternalID)
	require.Equal(t, map[string]string{"plan": marker}, c.Metadata)

	second := calm.stripe.create(t, p)
	eventually(t, func(ct *assert.CollectT) {
		events := calm.ledger(ct, second.ID)
		require.Len(ct, events, 1)
		require.Equal(ct, "conflict external_id_elsewhere", events[0].State+" "+events[0].Reason)
	}, "a second remote customer with the same external id")
	require.Empty(t, calm.list(t, "provider_entity_id="+second.ID))
	require.Len(t, calm.list(t, "external_id="+externalID), 1)
}
