package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const (
	idA = "cust_01JD3Z8Q4V7T9N2M5K6P8R0S1A"
	idB = "cust_01JD3Z8Q4V7T9N2M5K6P8R0S1B"
	idC = "cust_01JD3Z8Q4V7T9N2M5K6P8R0S1C"
)

// existing stores one customer at version 3.
func (f *fixture) existing() tandem.Customer {
	return f.store.put(tandem.Customer{
		ID: idA, ExternalID: "acct-1042", Name: "Jenny Rosen", Email: "jenny@example.com", Phone: "+14155550100",
		Address:  tandem.Address{Line1: "510 Townsend St", City: "San Francisco", Country: "US"},
		Metadata: map[string]string{"plan": "pro", "seats": "5"}, Version: 2,
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		want object // beside what stays as it was; nil: gone
	}{
		"absent_leaves":               {`{"name":"Jen"}`, object{"name": "Jen"}},
		"null_clears":                 {`{"phone":null,"external_id":null}`, object{"phone": nil, "external_id": nil}},
		"empty_clears":                {`{"phone":""}`, object{"phone": nil}},
		"address_parts_are_apart":     {`{"address_line1":null,"address_city":"Berlin","address_country":"de"}`, object{"address_line1": nil, "address_city": "Berlin", "address_country": "DE"}},
		"metadata_is_merged":          {`{"metadata":{"plan":"team","trial":"x"}}`, object{"metadata": object{"plan": "team", "trial": "x", "seats": "5"}}},
		"metadata_null_removes_a_key": {`{"metadata":{"plan":null}}`, object{"metadata": object{"seats": "5"}}},
		"metadata_empty_removes_too":  {`{"metadata":{"plan":""}}`, object{"metadata": object{"seats": "5"}}},
		"null_removes_all_metadata":   {`{"metadata":null}`, object{"metadata": object{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodPatch, http.MethodPut} {
				f := setup(t)
				f.existing()
				want := f.call(t, http.MethodGet, "/v1/customers/"+idA, "").json(t)
				delete(want, "provider_info")
				for k, v := range tc.want {
					if want[k] = v; v == nil {
						delete(want, k)
					}
				}
				want["version"] = 4.0
				r := f.call(t, method, "/v1/customers/"+idA, tc.body, "Content-Type", "application/merge-patch+json")
				require.Equal(t, http.StatusOK, r.status, string(r.body))
				assert.Equal(t, want, r.json(t))
				assert.Equal(t, `"4"`, r.header.Get("ETag"))
				require.Len(t, f.starter.changes, 1)
				assert.Equal(t, tandem.ChangeUpdate, f.starter.changes[0].Kind)
				assert.Zero(t, f.starter.changes[0].ExpectedVersion)
			}
		})
	}

	for name, body := range map[string]string{
		"empty":      `{}`,
		"no_changes": `{"name":"Jenny Rosen","address_country":"us","metadata":{"plan":"pro","never":null}}`,
	} {
		t.Run("starts_nothing_for_a_patch_that_is_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			r := f.call(t, http.MethodPatch, "/v1/customers/"+idA, body)
			assert.Equal(t, http.StatusOK, r.status)
			assert.InDelta(t, 3, r.json(t)["version"], 0)
			assert.Zero(t, f.starter.started())
			f.call(t, http.MethodPatch, "/v1/customers/"+idA, body, "If-Match", "2").
				problem(t, http.StatusPreconditionFailed, tandem.CodeVersionMismatch)
		})
	}

	t.Run("leaves_faults_alone_that_were_there_before", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, Name: strings.Repeat("n", 300), Email: "imported"})
		assert.Equal(t, http.StatusOK, f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"phone":"1"}`).status)
		p := f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"name":"`+strings.Repeat("m", 299)+`"}`).
			problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
		assert.Equal(t, []string{"name too_long"}, p.fields())
	})

	t.Run("refuses_an_external_id_in_use", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.store.put(tandem.Customer{ID: idB, ExternalID: "other"})
		f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"external_id":"other"}`).problem(t, http.StatusConflict, tandem.CodeExternalIDTaken)
		assert.Zero(t, f.starter.started())
		r := f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"external_id":"acct-1042","name":"Jen"}`)
		assert.Equal(t, http.StatusOK, r.status)
	})

	t.Run("refuses_an_archived_customer", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, Status: tandem.Archived})
		f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{}`).problem(t, http.StatusConflict, tandem.CodeCustomerArchived)
	})

	for name, id := range map[string]string{"unknown": idB, "shapeless": "42", "lower_case": strings.ToLower(idA), "sql": "cust_'%20OR%201=1--"} {
		t.Run("answers_404_to_an_id_that_is_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			f.call(t, http.MethodPatch, "/v1/customers/"+id, `{"name":"x"}`).problem(t, http.StatusNotFound, tandem.CodeCustomerNotFound)
			assert.Zero(t, f.starter.started())
		})
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header   string
		status   int
		expected int64
	}{
		"bare":     {"3", http.StatusOK, 3},
		"quoted":   {`"3"`, http.StatusOK, 3},
		"any":      {"*", http.StatusOK, 0},
		"older":    {"2", http.StatusPreconditionFailed, 0},
		"newer":    {"4", http.StatusPreconditionFailed, 0},
		"weak":     {`W/"3"`, http.StatusBadRequest, 0},
		"zero":     {"0", http.StatusBadRequest, 0},
		"negative": {"-3", http.StatusBadRequest, 0},
		"list":     {`"3", "4"`, http.StatusBadRequest, 0},
		"text":     {"latest", http.StatusBadRequest, 0},
		"too_big":  {"9223372036854775808", http.StatusBadRequest, 0},
		"unclosed": {`"3`, http.StatusBadRequest, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.existing()
			r := f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"name":"Jen"}`, "If-Match", tc.header)
			require.Equal(t, tc.status, r.status, string(r.body))
			if tc.status != http.StatusOK {
				assert.True(t, strings.HasPrefix(r.problem(t, tc.status, r.json(t)["code"].(string)).fields()[0], "If-Match "))
				assert.Zero(t, f.starter.started())
				return
			}
			assert.Equal(t, tc.expected, f.starter.changes[0].ExpectedVersion)
		})
	}

	t.Run("lost_a_race", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.starter.err = tandem.Errorf(tandem.Conflict, tandem.CodeVersionMismatch, "changed since it was read")
		f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"name":"Jen"}`, "If-Match", "3").
			problem(t, http.StatusPreconditionFailed, tandem.CodeVersionMismatch)
	})
}
