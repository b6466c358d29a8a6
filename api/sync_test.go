package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

// second is another connection.
type second struct{ fakeProvider }

func (second) Name() string { return "second" }

func twoProviders(d *api.Deps) { d.Providers = tandem.Providers{fakeProvider{}, second{}} }

func TestSync(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"sync":                 {`{"action":"sync"}`, "sync " + idA + " operator req-7"},
		"sync_of_one_provider": {`{"action":"sync","provider":"second"}`, "sync " + idA + " operator req-7"},
		"retry":                {`{"action":"retry"}`, "retry " + idA + ` ""`},
		"retry_of_null":        {`{"action":"retry","provider":null}`, "retry " + idA + ` ""`},
		"retry_of_one":         {`{"action":"retry","provider":"second"}`, "retry " + idA + ` "second"`},
		"skip":                 {`{"action":"skip","provider":"stripe"}`, "skip " + idA + ` "stripe"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, twoProviders)
			f.existing()
			r := f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", tc.body, "X-Request-Id", "req-7")
			require.Equal(t, http.StatusAccepted, r.status, string(r.body))
			assert.Equal(t, object{"workflow_id": "outbound/" + idA, "run_id": "run_1"}, r.json(t))
			assert.Equal(t, []any{tc.want}, f.starter.wishes)
		})
	}

	t.Run("works_for_archived_customers", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, Status: tandem.Archived})
		assert.Equal(t, http.StatusAccepted, f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", `{"action":"retry"}`).status)
	})

	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"nothing_waits": {tandem.Errorf(tandem.Conflict, tandem.CodeNothingWaits, "nothing is waiting"), http.StatusConflict, tandem.CodeNothingWaits},
		"away":          {tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away"), http.StatusServiceUnavailable, tandem.CodeUnavailable},
	} {
		t.Run("says_so_when_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			f.starter.err = tc.err
			f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", `{"action":"skip"}`).problem(t, tc.status, tc.code)
		})
	}

	for _, id := range []string{idB, "42", "external"} {
		t.Run("answers_404_to_"+id, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.call(t, http.MethodPost, "/v1/customers/"+id+"/sync", `{"action":"sync"}`).problem(t, http.StatusNotFound, tandem.CodeCustomerNotFound)
			assert.Zero(t, f.starter.started())
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()

	t.Run("answers_with_the_mapping_as_it_is_stored", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.linked()
		r := f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync",
			`{"action":"resolve","winner":{"name":"platform","metadata.plan":"provider","address":"provider"}}`)
		require.Equal(t, http.StatusOK, r.status, string(r.body))
		assert.Equal(t, eimA, r.json(t)["id"])
		assert.Equal(t, "cus_1", r.json(t)["provider_entity_id"])
		require.Len(t, f.starter.wishes, 1)
		got := f.starter.wishes[0].(tandem.Resolve)
		assert.Len(t, got.ID, 26)
		assert.Equal(t, tandem.Resolve{
			ID: got.ID, CustomerID: idA, Provider: "stripe",
			Winners: map[string]tandem.Winner{"name": tandem.PlatformWins, "metadata.plan": tandem.ProviderWins, "address": tandem.ProviderWins},
		}, got)
	})

	t.Run("is_not_undone_by_a_failing_look", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing() // and no mapping to read
		r := f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", `{"action":"resolve","provider":"stripe","winner":{"name":"platform"}}`)
		assert.Equal(t, http.StatusOK, r.status)
		assert.Contains(t, f.logs.String(), "http.reread_failed")
	})

	t.Run("wants_a_provider_when_there_are_two", func(t *testing.T) {
		t.Parallel()
		f := setup(t, twoProviders)
		f.existing()
		p := f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", `{"action":"resolve","winner":{"name":"platform"}}`).
			problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
		assert.Equal(t, []string{"provider required"}, p.fields())
		assert.Zero(t, f.starter.started())
		assert.Empty(t, f.store.calls)
	})

	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
		fields []string
	}{
		"is_not_on_hold": {
			&tandem.Error{Class: tandem.Invalid, Code: tandem.CodeInvalidRequest, Message: "no", Fields: []tandem.FieldError{{Field: "winner.name", Code: "not_on_hold", Message: "no"}}},
			http.StatusUnprocessableEntity, tandem.CodeInvalidRequest, []string{"winner.name not_on_hold"},
		},
		"is_not_linked": {tandem.Errorf(tandem.Invalid, tandem.CodeMappingNotFound, "no link"), http.StatusNotFound, tandem.CodeMappingNotFound, []string{}},
	} {
		t.Run("says_so_when_it_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			f.starter.err = tc.err
			p := f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", `{"action":"resolve","winner":{"name":"platform"}}`).problem(t, tc.status, tc.code)
			assert.Equal(t, tc.fields, p.fields())
		})
	}
}
