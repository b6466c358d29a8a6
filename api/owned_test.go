package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

func ownedByProvider(fields ...string) func(*api.Deps) {
	return func(d *api.Deps) {
		d.Merge = tandem.MergePolicy{"external_id": {Owner: tandem.OwnedByProvider}} // no synced field: of no account
		for _, f := range fields {
			d.Merge[f] = tandem.FieldPolicy{Owner: tandem.OwnedByProvider}
		}
	}
}

// owned lists the fields that were refused because the provider owns them.
func owned(p problem) (fields []string) {
	for _, e := range p.Errors {
		if e.Code == tandem.CodeOwnedByProvider {
			fields = append(fields, e.Field)
		}
	}
	return fields
}

func TestOwnedByProvider(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		owned   []string
		body    string
		refused []string // none: accepted
	}{
		"a field":                     {[]string{"name"}, `{"name":"Jen","phone":"1"}`, []string{"name"}},
		"cleared":                     {[]string{"email"}, `{"email":null}`, []string{"email"}},
		"another field":               {[]string{"name"}, `{"phone":"1"}`, nil},
		"sent along as it is":         {[]string{"name", "address", "metadata"}, `{"name":"Jenny Rosen","address_city":"San Francisco","metadata":{"plan":"pro"},"phone":"1"}`, nil},
		"only white space":            {[]string{"name"}, `{"name":" Jenny Rosen "}`, nil},
		"parts of the address":        {[]string{"address"}, `{"address_city":"Berlin","address_country":"DE","address_line1":"510 Townsend St"}`, []string{"address_city", "address_country"}},
		"a part that moves":           {[]string{"address"}, `{"address_line1":null,"address_line2":"510 Townsend St"}`, []string{"address_line1", "address_line2"}},
		"one key":                     {[]string{"metadata.plan"}, `{"metadata":{"plan":"team","seats":"6"}}`, []string{"metadata.plan"}},
		"all keys":                    {[]string{"metadata"}, `{"metadata":{"plan":"team","seats":null,"new":"1"}}`, []string{"metadata.new", "metadata.plan", "metadata.seats"}},
		"all metadata removed":        {[]string{"metadata.plan"}, `{"metadata":null}`, []string{"metadata.plan"}},
		"several, with other faults":  {[]string{"name", "phone"}, `{"name":"Jen","phone":"2","address_country":"XX"}`, []string{"name", "phone"}},
		"the external id is our own":  {nil, `{"external_id":"acct-2"}`, nil},
		"a key that is not there yet": {[]string{"metadata.new"}, `{"metadata":{"new":"1"}}`, []string{"metadata.new"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{http.MethodPatch, http.MethodPut} {
				f := setup(t, ownedByProvider(tc.owned...))
				f.existing()
				r := f.call(t, method, "/v1/customers/"+idA, tc.body)
				if tc.refused == nil {
					require.Equal(t, http.StatusOK, r.status, string(r.body))
					continue
				}
				p := r.problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
				require.ElementsMatch(t, tc.refused, owned(p))
				require.EqualValues(t, 3, f.call(t, http.MethodGet, "/v1/customers/"+idA, "").json(t)["version"], "nothing was changed")
			}
		})
	}

	t.Run("on create too, where there is nothing to send along", func(t *testing.T) {
		t.Parallel()
		f := setup(t, ownedByProvider("name", "metadata.plan"))
		p := f.call(t, http.MethodPost, "/v1/customers", `{"name":"Jen","email":"jen@example.com","metadata":{"plan":"pro","seats":"1"}}`).
			problem(t, http.StatusUnprocessableEntity, tandem.CodeInvalidRequest)
		require.ElementsMatch(t, []string{"name", "metadata.plan"}, owned(p))
		r := f.call(t, http.MethodPost, "/v1/customers", `{"name":"","email":"jen@example.com","metadata":{"seats":"1"}}`)
		require.Equal(t, http.StatusCreated, r.status, string(r.body))
	})
	t.Run("what is not synced is ours to change", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(d *api.Deps) {
			d.Merge = tandem.MergePolicy{"name": {Owner: tandem.NotSynced}, "email": {Owner: tandem.OwnedByPlatform}, "phone": {Conflict: tandem.ProviderWins}}
		})
		f.existing()
		r := f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"name":"Jen","email":"jen@example.com","phone":"1"}`)
		require.Equal(t, http.StatusOK, r.status, string(r.body))
	})
	t.Run("the store has the last word", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.existing()
		f.starter.err = &tandem.Error{Class: tandem.Invalid, Code: tandem.CodeOwnedByProvider, Message: "changed meanwhile"}
		f.call(t, http.MethodPatch, "/v1/customers/"+idA, `{"name":"Jen"}`).problem(t, http.StatusUnprocessableEntity, tandem.CodeOwnedByProvider)
	})
}
