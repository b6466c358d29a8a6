package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tandem-sync/tandem/api"
)

// FuzzChange sends any body as a create and as a merge patch. Every answer fits openapi.yaml, no body breaks the
// server, and what is accepted is stored as clean text.
func FuzzChange(f *testing.F) {
	for _, body := range []string{
		jenny, `{}`, `{"name":null}`, `{"metadata":null}`, `{"metadata":{"a":null}}`, `{"name":"\ud83d\ude00"}`, `{"name":"\ud800"}`,
		`{"a":1,"a":2}`, `[[[[`, `{"metadata":{"a":{"b":[1]}}}`, "{\"name\":\"\xff\"}", `{"name":"�\ufffd"}`, "null", " ",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fix := setup(t, func(d *api.Deps) { d.Logger = nil })
		fix.existing()
		for _, to := range [][2]string{{http.MethodPost, "/v1/customers"}, {http.MethodPatch, "/v1/customers/" + idA}} {
			r := fix.call(t, to[0], to[1], string(body), "Content-Type", "application/json")
			assert.Contains(t, []int{200, 201, 400, 409, 413, 422}, r.status)
			if r.status >= http.StatusBadRequest {
				continue
			}
			for _, c := range fix.store.customers {
				assert.NotContains(t, c.Name+c.Email+c.Phone+c.ExternalID, "\x00")
			}
		}
	})
}
