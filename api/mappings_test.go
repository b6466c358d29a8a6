package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const (
	eimA     = "eim_01JD3Z8Q4V7T9N2M5K6P8R0S1A"
	eimB     = "eim_01JD3Z8Q4V7T9N2M5K6P8R0S1B"
	mappings = "/v1/entity-integration-mappings"
	linkBody = `{"entity_id":"` + idA + `","provider_type":"stripe","provider_entity_id":"cus_1"}`
)

// linked stores a mapping of customer A that has everything.
func (f *fixture) linked() {
	local := f.clock.In(time.FixedZone("", 3600))
	f.store.mappings = append(f.store.mappings, tandem.Mapping{
		ID: eimA, CustomerID: idA, Provider: "stripe", RemoteID: "cus_1", State: tandem.InConfl, Version: 7,
		Base:     &tandem.Fields{Name: "Jen", Address: tandem.Address{City: "Berlin"}, Metadata: map[string]string{"plan": "pro"}, Reserved: map[string]string{"external_id": "x"}},
		AsOfFrom: f.clock.Add(-time.Second), AsOf: local, Epoch: 2, Pushed: 3,
		Claim:     &tandem.Claim{Action: tandem.ActUpdate, Key: "secret-key", Body: tandem.Patch{Metadata: map[string]string{"frozen": "body"}}, Version: 4, At: local},
		Conflicts: []tandem.FieldConflict{{Field: "address", Platform: "Berlin", Provider: "Bonn", Address: &tandem.Address{City: "Bonn"}}},
		LastError: &tandem.LastError{Class: tandem.Transient, Code: "timeout", Message: "no answer", At: f.clock, Attempt: 1},
		Metadata:  map[string]string{"created_via": "api"}, SyncedAt: &local, CreatedAt: local, UpdatedAt: local,
	})
}

func TestLink(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body   string
		winner tandem.Winner
	}{
		"by_default":    {linkBody, ""},
		"with_null":     {strings.Replace(linkBody, "}", `,"winner":null,"entity_type":null}`, 1), ""},
		"platform_wins": {strings.Replace(linkBody, "}", `,"winner":"platform","entity_type":"customer"}`, 1), tandem.PlatformWins},
		"provider_wins": {strings.Replace(linkBody, "}", `,"winner":"provider"}`, 1), tandem.ProviderWins},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			f.linked()
			f.store.mappings[0].RemoteID, f.store.mappings[0].Claim = "", nil // it is the workflow that links
			r := f.call(t, http.MethodPost, mappings, tc.body)
			require.Equal(t, http.StatusCreated, r.status, string(r.body))
			assert.Equal(t, mappings+"/"+eimA, r.header.Get("Location"))
			assert.Equal(t, "2026-01-15T09:30:00Z", r.json(t)["created_at"], "as the database has it")
			require.Len(t, f.starter.wishes, 1)
			l := f.starter.wishes[0].(tandem.Link)
			assert.Len(t, l.ID, 26)
			assert.Equal(t, tandem.Link{ID: l.ID, CustomerID: idA, Provider: "stripe", RemoteID: "cus_1", Winner: tc.winner}, l)
		})
	}

	t.Run("takes_any_id_that_can_be_seen", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		r := f.call(t, http.MethodPost, mappings, strings.Replace(linkBody, "cus_1", `Größe/1?#%25`, 1))
		require.Equal(t, http.StatusCreated, r.status, string(r.body))
		assert.Equal(t, "Größe/1?#%25", f.starter.wishes[0].(tandem.Link).RemoteID)
	})

	t.Run("refuses_an_unknown_customer", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		p := f.call(t, http.MethodPost, mappings, linkBody).problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
		assert.Equal(t, []string{"entity_id customer_not_found"}, p.fields())
		assert.Zero(t, f.starter.started())
	})

	t.Run("names_all_faults_in_one_round", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		body := `{"entity_id":"` + idA + `","entity_type":"plan","provider_type":"nobody","provider_entity_id":"a b","winner":"me"}`
		p := f.call(t, http.MethodPost, mappings, body).problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
		assert.ElementsMatch(t, []string{
			"entity_type invalid", "entity_id customer_not_found", "provider_type provider_unknown", "provider_entity_id invalid", "winner invalid",
		}, p.fields())
		assert.Zero(t, f.starter.started())
	})

	t.Run("refuses_an_archived_customer", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, Status: tandem.Archived})
		p := f.call(t, http.MethodPost, mappings, linkBody).problem(t, http.StatusConflict, tandem.CodeCustomerArchived)
		assert.Equal(t, []string{"entity_id customer_archived"}, p.fields())
		assert.Zero(t, f.starter.started())
	})

	const other = "cust_01JD0000000000000000000009"
	for name, tc := range map[string]struct {
		known tandem.Mapping
		code  string
		field string
	}{
		"is_linked_elsewhere":         {tandem.Mapping{CustomerID: idA, RemoteID: "cus_2"}, tandem.CodeCustomerLinked, "entity_id"},
		"is_being_created":            {tandem.Mapping{CustomerID: idA, Claim: &tandem.Claim{}}, tandem.CodeCustomerLinked, "entity_id"},
		"wants_what_somebody_has":     {tandem.Mapping{CustomerID: other, RemoteID: "cus_1"}, tandem.CodeRemoteLinked, "provider_entity_id"},
		"is_linked_to_exactly_that":   {tandem.Mapping{CustomerID: idA, RemoteID: "cus_1"}, "", ""},
		"was_refused_by_the_provider": {tandem.Mapping{CustomerID: idA, State: tandem.Parked}, "starts", ""},
	} {
		t.Run("asks_nobody_when_the_customer_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			tc.known.ID, tc.known.Provider, tc.known.State = eimA, "stripe", tandem.Parked
			tc.known.CreatedAt, tc.known.UpdatedAt, tc.known.Version = f.clock, f.clock, 1
			f.store.mappings = []tandem.Mapping{tc.known}
			r := f.call(t, http.MethodPost, mappings, linkBody)
			switch tc.code {
			case "starts":
				require.Equal(t, http.StatusCreated, r.status)
				assert.Equal(t, 1, f.starter.started())
				return
			case "":
				require.Equal(t, http.StatusCreated, r.status)
				assert.Equal(t, eimA, r.json(t)["id"])
			default:
				assert.Equal(t, []string{tc.field + " " + tc.code}, r.problem(t, http.StatusConflict, tc.code).fields())
			}
			assert.Zero(t, f.starter.started())
		})
	}

	invalid, conflict := tandem.Invalid, tandem.Conflict
	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
		fields []string
	}{
		"customer_gone":    {tandem.Errorf(invalid, tandem.CodeCustomerNotFound, "x"), http.StatusUnprocessableEntity, tandem.CodeInvalidRequest, []string{"entity_id customer_not_found"}},
		"remote_not_found": {tandem.Errorf(invalid, tandem.CodeRemoteNotFound, "x"), http.StatusUnprocessableEntity, tandem.CodeRemoteNotFound, []string{"provider_entity_id remote_not_found"}},
		"remote_gone":      {tandem.Errorf(conflict, tandem.CodeRemoteGone, "x"), http.StatusConflict, tandem.CodeRemoteGone, []string{"provider_entity_id remote_gone"}},
		"remote_linked":    {tandem.Errorf(conflict, tandem.CodeRemoteLinked, "x"), http.StatusConflict, tandem.CodeRemoteLinked, []string{"provider_entity_id remote_linked"}},
		"customer_linked":  {tandem.Errorf(conflict, tandem.CodeCustomerLinked, "x"), http.StatusConflict, tandem.CodeCustomerLinked, []string{"entity_id customer_linked"}},
		"any_conflict":     {tandem.Errorf(conflict, "claim_ended", "ended by something else"), http.StatusConflict, "conflict", []string{}},
		"provider_refuses": {tandem.Errorf(invalid, "parameter_odd", "canary@example.com is odd"), http.StatusUnprocessableEntity, tandem.CodeInvalidRequest, []string{"provider_entity_id invalid"}},
		"key_refused":      {tandem.Errorf(tandem.Auth, "api_key_expired", "sk_live_canary"), http.StatusServiceUnavailable, tandem.CodeUnavailable, []string{}},
		"bug":              {errors.New("canary"), http.StatusInternalServerError, tandem.CodeInternal, []string{}},
	} {
		t.Run("says_so_when_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			f.starter.err = tc.err
			r := f.call(t, http.MethodPost, mappings, linkBody)
			assert.Equal(t, tc.fields, r.problem(t, tc.status, tc.code).fields())
			assert.NotContains(t, string(r.body), "canary")
		})
	}
}

func TestMapping(t *testing.T) {
	t.Parallel()

	t.Run("shows_everything_but_the_frozen_body", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.linked()
		r := f.call(t, http.MethodGet, mappings+"/"+eimA, "")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		at := "2026-01-15T09:30:00Z"
		assert.Equal(t, object{
			"id": eimA, "entity_id": idA, "entity_type": "customer", "provider_type": "stripe", "provider_entity_id": "cus_1",
			"state": "conflict", "version": 7.0, "metadata": object{"created_via": "api"},
			"conflicts":    []any{object{"field": "address", "platform": "Berlin", "provider": "Bonn", "address": object{"city": "Bonn"}}},
			"last_error":   object{"class": "transient", "code": "timeout", "message": "no answer", "at": at, "attempt": 1.0},
			"base":         object{"name": "Jen", "address": object{"city": "Berlin"}, "metadata": object{"plan": "pro"}, "reserved": object{"external_id": "x"}},
			"pending_call": object{"action": "update", "since": at},
			"as_of":        at, "synced_at": at, "created_at": at, "updated_at": at,
		}, r.json(t))
		assert.NotContains(t, string(r.body), "frozen")
		assert.NotContains(t, string(r.body), "secret-key")
	})

	t.Run("leaves_out_what_is_not_there_yet", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.mappings = []tandem.Mapping{{
			ID: eimA, CustomerID: idA, Provider: "stripe", State: tandem.Ended, Version: 2, CreatedAt: f.clock, UpdatedAt: f.clock,
			ArchivedAt: &f.clock, ArchivedReason: tandem.Unlinked,
		}}
		at := "2026-01-15T09:30:00Z"
		assert.Equal(t, object{
			"id": eimA, "entity_id": idA, "entity_type": "customer", "provider_type": "stripe", "state": "archived", "version": 2.0,
			"metadata": object{}, "created_at": at, "updated_at": at, "archived_at": at, "archived_reason": "unlinked",
		}, f.call(t, http.MethodGet, mappings+"/"+eimA, "").json(t))
	})

	for _, id := range []string{eimB, "42", idA, strings.ToLower(eimA), "eim_'%20OR%201=1--"} {
		t.Run("answers_404_to_"+id, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.linked()
			for method, body := range map[string]string{http.MethodGet: "", http.MethodPut: `{"metadata":{"a":"b"}}`, http.MethodDelete: ""} {
				f.call(t, method, mappings+"/"+id, body).problem(t, http.StatusNotFound, tandem.CodeMappingNotFound)
			}
			assert.Zero(t, f.starter.started())
		})
	}

	t.Run("takes_no_parameters", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.linked()
		for method, body := range map[string]string{http.MethodGet: "", http.MethodPut: `{"metadata":{}}`, http.MethodDelete: ""} {
			f.call(t, method, mappings+"/"+eimA+"?force=true", body).problem(t, http.StatusBadRequest, "invalid_parameter")
		}
		f.call(t, http.MethodPost, mappings+"?force=true", linkBody).problem(t, http.StatusBadRequest, "invalid_parameter")
		assert.Zero(t, f.starter.started())
		assert.Empty(t, f.store.calls)
	})
}

func TestMappingList(t *testing.T) {
	t.Parallel()

	t.Run("leaves_the_long_parts_out", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.linked()
		items := f.call(t, http.MethodGet, mappings, "").json(t)["items"].([]any)
		require.Len(t, items, 1)
		assert.NotContains(t, items[0], "base")
		assert.NotContains(t, items[0], "pending_call")
		assert.Contains(t, items[0], "conflicts")
	})

	t.Run("walks_through_all_pages", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		var want []any
		for n := range 5 {
			m := tandem.Mapping{ID: fmt.Sprintf("eim_01JD3Z8Q4V7T9N2M5K6P8R0S%02d", n), Provider: "stripe", State: tandem.Synced, Version: 1}
			f.store.mappings = append(f.store.mappings, m)
			want = append([]any{m.ID}, want...)
		}
		assert.Equal(t, want, f.walk(t, mappings+"?limit=2", 3))
		assert.Equal(t, map[string]int{"ListMappings": 3}, f.store.calls)
	})

	t.Run("passes_the_filters_on", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.call(t, http.MethodGet, mappings+"?entity_id="+idA+"&entity_type=customer&provider_type=old&provider_entity_id=cus%2F1&state=archived", "")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		assert.Equal(t, []any{}, r.json(t)["items"])
		assert.Equal(t, tandem.MappingQuery{CustomerID: idA, Provider: "old", RemoteID: "cus/1", State: tandem.Ended, Limit: 21}, f.store.asked)
		require.Equal(t, http.StatusOK, f.call(t, http.MethodGet, mappings+"?error_class=auth", "").status)
		assert.Equal(t, tandem.MappingQuery{ErrorClass: tandem.Auth, Limit: 21}, f.store.asked)
	})

	refusesQueries(t, mappings, map[string]string{
		"state=done": "state", "state=": "state", "entity_type=invoice": "entity_type", "entity_id=": "entity_id", "provider_entity_id=a%00": "provider_entity_id",
		"provider=stripe": "provider", "metadata=x": "metadata", "error_class=late": "error_class", "cursor=" + cursor(idA): "cursor", "entity_id=a&entity_id=b": "entity_id",
	})
}

func TestMappingMetadata(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want map[string]string
	}{
		"replaces":                {`{"metadata":{"owner":"anna","ticket":"7"}}`, map[string]string{"owner": "anna", "ticket": "7"}},
		"empty_values_are_absent": {`{"metadata":{"owner":"anna","ticket":null,"x":""}}`, map[string]string{"owner": "anna"}},
		"removes_all":             {`{"metadata":{}}`, map[string]string{}},
		"null_removes_all":        {`{"metadata":null}`, map[string]string{}},
		"similar_names_are_free":  {`{"metadata":{"acme_customer_name":"x","Created_via":"y"}}`, map[string]string{"acme_customer_name": "x", "Created_via": "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.linked()
			r := f.call(t, http.MethodPut, mappings+"/"+eimA, tc.body)
			require.Equal(t, http.StatusOK, r.status, string(r.body))
			assert.Equal(t, tc.want, f.store.mappings[0].Metadata)
			assert.Contains(t, r.json(t), "base")
			assert.Zero(t, f.starter.started())
		})
	}
}

func TestMappingMetadataHasTheLimitsOfACustomers(t *testing.T) {
	t.Parallel()
	pairs := func(n int, value string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`"k%d":%q`, i, value))
		}
		return strings.Join(out, ",")
	}
	long, longest := strings.Repeat("ü", 501), strings.Repeat("ü", 500)
	for name, tc := range map[string]struct {
		metadata string
		want     []string
	}{
		"fifty_keys":               {pairs(50, "x"), nil},
		"fifty_one_keys":           {pairs(51, "x"), []string{"metadata too_many"}},
		"removed_keys_are_no_keys": {pairs(51, ""), nil},
		"longest_value":            {`"k":"` + longest + `"`, nil},
		"long_value":               {`"k":"` + long + `"`, []string{"metadata.k too_long"}},
		"longest_key":              {`"` + longest[:80] + `":"x"`, nil},
		"long_key":                 {`"` + longest[:82] + `":"x"`, []string{"metadata." + longest[:82] + " too_long"}},
		"all_at_once":              {pairs(51, "x") + `,"a":"` + long + `","webhook_id":"x"`, []string{"metadata too_many", "metadata.a too_long", "metadata.webhook_id reserved"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.linked()
			r := f.call(t, http.MethodPut, mappings+"/"+eimA, `{"metadata":{`+tc.metadata+`}}`)
			if tc.want == nil {
				require.Equal(t, http.StatusOK, r.status, string(r.body))
				return
			}
			assert.ElementsMatch(t, tc.want, r.problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest).fields())
			assert.Zero(t, f.store.written())
		})
	}
}

func TestUnlink(t *testing.T) {
	t.Parallel()

	t.Run("goes_through_the_customers_workflow", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.linked()
		r := f.call(t, http.MethodDelete, mappings+"/"+eimA, "")
		require.Equal(t, http.StatusNoContent, r.status, string(r.body))
		assert.Empty(t, r.body)
		require.Len(t, f.starter.wishes, 1)
		u := f.starter.wishes[0].(tandem.Unlink)
		assert.Len(t, u.ID, 26)
		assert.Equal(t, tandem.Unlink{ID: u.ID, CustomerID: idA, MappingID: eimA}, u)
	})

	t.Run("twice_is_once", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.linked()
		f.store.mappings[0].State = tandem.Ended
		assert.Equal(t, http.StatusNoContent, f.call(t, http.MethodDelete, mappings+"/"+eimA, "").status)
		assert.Zero(t, f.starter.started())
	})

	for name, tc := range map[string]struct {
		err    error
		status int
	}{
		"by_somebody_else_is_fine":       {tandem.Errorf(tandem.Invalid, tandem.CodeMappingNotFound, "ended"), http.StatusNoContent},
		"while_being_created_is_refused": {tandem.Errorf(tandem.Conflict, tandem.CodeCustomerLinked, "is being created"), http.StatusConflict},
		"while_temporal_is_away":         {tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away"), http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.linked()
			f.starter.err = tc.err
			r := f.call(t, http.MethodDelete, mappings+"/"+eimA, "")
			assert.Equal(t, tc.status, r.status, string(r.body))
			if tc.status == http.StatusConflict {
				assert.Empty(t, r.problem(t, tc.status, tandem.CodeCustomerLinked).fields())
			}
		})
	}
}
