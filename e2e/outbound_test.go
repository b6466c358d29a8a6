package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCreatedCustomerAppearsAtTheProviderOnce(t *testing.T) {
	t.Parallel()
	p := person("create")
	p["external_id"] = marker + "-" + p["email"].(string)
	c := calm.create(t, p)
	require.Equal(t, int64(1), c.Version)
	require.Empty(t, c.ProviderInfo, "the answer does not wait for the provider")

	c = calm.rests(t, c.ID)
	remoteID := c.stripe().RemoteID
	calls := calm.stripe.calls(t, c.ID, remoteID)
	require.Len(t, calls, 1, "the echo cost a call")
	require.Equal(t, "POST /v1/customers", calls[0].Method+" "+calls[0].Path)
	require.Equal(t, "tandem:dev:create:"+c.ID+":0", calls[0].Key)
	require.Equal(t, form(
		"name", c.Name, "email", c.Email, "phone", c.Phone,
		"address[line1]", c.Line1, "address[city]", "Bath", "address[country]", "GB",
		"metadata[plan]", marker+" pro", "metadata[external_id]", c.ExternalID,
		"metadata[flexprice_customer_id]", c.ID, "metadata[flexprice_environment]", environment,
	), filled(calls[0].Form))
	require.Len(t, calm.stripe.of(t, c.ID), 1)

	m := calm.mapping(t, c.ID)
	require.Equal(t, "synced", m.State)
	require.Equal(t, remoteID, m.RemoteID)
	require.Empty(t, m.Claim)
	require.Empty(t, m.LastError)
	require.NotNil(t, m.SyncedAt)
	require.WithinDuration(t, m.CreatedAt, *m.AsOf, 10*time.Second)
	require.False(t, m.AsOfFrom.After(*m.AsOf))
	base := m.Base.object(t)
	require.Equal(t, c.Name, base["name"])
	require.Equal(t, c.Email, base["email"])
	require.Equal(t, object{"plan": marker + " pro"}, base["metadata"])
	require.Subset(t, m.Metadata.object(t), object{
		"sync_direction": "flexprice_to_provider", "created_via": "api",
		"stripe_customer_email": c.Email, "stripe_customer_name": c.Name,
	})

	echoes := calm.ledger(t, remoteID)
	require.Len(t, echoes, 1)
	require.Equal(t, "customer.created", echoes[0].Type)
	require.Contains(t, []string{"echo", "applied"}, echoes[0].State)
	require.Len(t, calm.list(t, "email="+url.QueryEscape(c.Email)), 1, "the echo made another customer")
	rows := calm.journal(t, c.ID) // stored, then linked: by the answer or, if that is late, by the event
	require.Len(t, rows, 2)
	require.Equal(t, "outbound create api", story(rows)[0])
	require.Equal(t, []string{"", remoteID}, []string{rows[0].RemoteID, rows[1].RemoteID})
}

func TestEditSendsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	p := person("edit")
	p["metadata"] = object{"plan": marker + " pro", "seats": "7"}
	c := calm.rests(t, calm.create(t, p).ID)

	for _, step := range []struct {
		name  string
		patch object
		sent  []string
	}{
		{"one field", object{"name": marker + " Ltd"}, []string{"name", marker + " Ltd"}},
		{"another field", object{"email": "office." + c.Email}, []string{"email", "office." + c.Email}},
		{"a field cleared", object{"phone": nil}, []string{"phone", ""}},
		{"a metadata key added", object{"metadata": object{"region": marker + " north"}}, []string{"metadata[region]", marker + " north"}},
		{"a metadata key removed", object{"metadata": object{"seats": nil}}, []string{"metadata[seats]", ""}},
		{"two fields at once", object{"phone": "+44 20 7946 0000", "metadata": object{"plan": marker + " team"}},
			[]string{"phone", "+44 20 7946 0000", "metadata[plan]", marker + " team"}},
	} {
		before := len(calm.stripe.calls(t, c.ID, c.stripe().RemoteID))
		calm.edit(t, c.ID, step.patch)
		calm.agrees(t, c.ID)
		calls := calm.stripe.calls(t, c.ID, c.stripe().RemoteID)[before:]
		require.Len(t, calls, 1, step.name)
		require.Equal(t, form(step.sent...), calls[0].Form, step.name)
		require.Equal(t, "POST /v1/customers/"+c.stripe().RemoteID, calls[0].Method+" "+calls[0].Path)
	}
}

func TestEditOfTheAddressSendsItWhole(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("address")).ID)
	calm.edit(t, c.ID, object{"address_city": "Wells", "address_country": "gb"})
	_, r := calm.agrees(t, c.ID)
	require.Equal(t, "Wells", r.Address["city"])
	require.Equal(t, c.Line1, r.Address["line1"])
	calls := calm.stripe.calls(t, c.ID, c.stripe().RemoteID)
	for name := range calls[len(calls)-1].Form {
		require.True(t, strings.HasPrefix(name, "address["), name)
	}

	calm.edit(t, c.ID, object{"address_line1": nil, "address_city": nil, "address_country": nil})
	after, _ := calm.agrees(t, c.ID)
	require.Empty(t, after.Line1+after.City+after.Country)
}

func TestEditThatChangesNothingCallsNobody(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("nothing")).ID)
	same := calm.edit(t, c.ID, object{"name": c.Name, "metadata": object{"plan": marker + " pro"}})
	require.Equal(t, c.Version, same.Version)
	calm.rests(t, c.ID)
	require.Len(t, calm.stripe.calls(t, c.ID, c.stripe().RemoteID), 1)
}

func TestQuickEditsAllArrive(t *testing.T) {
	t.Parallel()
	c := calm.create(t, person("quick"))
	calm.edit(t, c.ID, object{"name": marker + " first"})
	calm.edit(t, c.ID, object{"name": marker + " second", "metadata": object{"one": "1"}})
	last := calm.edit(t, c.ID, object{"metadata": object{"two": "2"}})
	require.Equal(t, int64(4), last.Version)
	after, r := calm.agrees(t, c.ID)
	require.Equal(t, marker+" second", r.Name)
	require.Equal(t, "1", r.Metadata["one"])
	require.Equal(t, "2", r.Metadata["two"])
	require.Equal(t, int64(4), after.Version, "its own echoes changed the customer")
	require.Len(t, calm.stripe.of(t, c.ID), 1)
}

func TestEditsAtOnceAreMadeOneByOne(t *testing.T) {
	t.Parallel()
	c := calm.create(t, person("crowd"))
	const n = 12
	atOnce(t, n, func(i int) error {
		key := string(rune('a' + i))
		a, err := calm.try(t.Context(), http.MethodPatch, "/v1/customers/"+c.ID, object{"metadata": object{key: key}})
		if err != nil {
			return err
		}
		// An act that has to be run again, because the machine is busy, answers with the customer as it is by then: a later
		// version than its own, never an earlier one.
		if seen := a.customer(t, http.StatusOK); seen.Metadata[key] != key || seen.Version < 2 {
			return fmt.Errorf("the caller of %q was answered with version %d, without its own change", key, seen.Version)
		}
		return nil
	})
	after, _ := calm.agrees(t, c.ID)
	require.Equal(t, int64(1+n), after.Version)
	require.Len(t, after.Metadata, 1+n)
}

func TestWaitAnswersWithTheSyncDone(t *testing.T) {
	t.Parallel()
	a := calm.call(t, http.MethodPost, "/v1/customers?wait=30s", person("wait"))
	c := a.customer(t, http.StatusCreated)
	require.Equal(t, "synced", c.stripe().State)
	require.NotEmpty(t, c.stripe().RemoteID)
	require.NotNil(t, c.stripe().SyncedAt)

	a = calm.call(t, http.MethodPatch, "/v1/customers/"+c.ID+"?wait=30s", object{"name": marker + " waited"})
	require.Equal(t, "synced", a.customer(t, http.StatusOK).stripe().State)
	require.Equal(t, marker+" waited", calm.stripe.customer(t, c.stripe().RemoteID).Name)
}

func TestWaitThatRunsOutTellsTheState(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("impatient")).ID)
	fault := calm.stripe.fault(t, object{"kind": "hold", "contains": c.stripe().RemoteID, "count": -1})
	a := calm.call(t, http.MethodPatch, "/v1/customers/"+c.ID+"?wait=300ms", object{"name": marker + " held"})
	require.Equal(t, "pending", a.customer(t, http.StatusOK).stripe().State)
	calm.stripe.unfault(t, fault)
	calm.agrees(t, c.ID)
}

func TestStaleIfMatchChangesNothing(t *testing.T) {
	t.Parallel()
	c := calm.rests(t, calm.create(t, person("if-match")).ID)
	path := "/v1/customers/" + c.ID
	calm.call(t, http.MethodPatch, path, object{"name": marker + " second"}, "If-Match", "1").customer(t, http.StatusOK)
	calm.call(t, http.MethodPatch, path, object{"name": marker + " third"}, "If-Match", "1").
		problem(t, http.StatusPreconditionFailed, "version_mismatch")
	after, _ := calm.agrees(t, c.ID)
	require.Equal(t, marker+" second", after.Name)
}

func TestCustomerWithoutAnyFieldIsSyncedToo(t *testing.T) {
	t.Parallel()
	c, r := calm.agrees(t, calm.create(t, object{}).ID)
	require.Empty(t, c.fields())
	require.Equal(t, c.ID, r.Metadata["flexprice_customer_id"])
}

// form is the parameters of a call.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// filled leaves the empty parts of an address out: whether they are sent is the adapter's business.
func filled(v url.Values) url.Values {
	out := url.Values{}
	for name := range v {
		if v.Get(name) != "" {
			out[name] = v[name]
		}
	}
	return out
}

// story is a journal in short.
func story(rows []journalRow) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, r.Direction+" "+r.Action+" "+r.Cause)
	}
	return out
}
