package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tandem-sync/tandem"
)

// wishes are the routes that take a few named values.
var wishes = map[string]string{
	"sync": http.MethodPost + " /v1/customers/" + idA + "/sync",
	"link": http.MethodPost + " " + mappings,
	"note": http.MethodPut + " " + mappings + "/" + eimA,
}

// refused expects a wish to be refused before anything is read, written or started; but the customer of a link is one of
// the things that can be wrong with it.
func refused(t *testing.T, wish, body string, status int, code string, header ...string) problem {
	t.Helper()
	f := setup(t)
	f.existing()
	f.linked()
	method, path, _ := strings.Cut(wishes[wish], " ")
	p := f.call(t, method, path, body, header...).problem(t, status, code)
	assert.Zero(t, f.starter.started()+f.store.written())
	if wish == "link" && code == tandem.CodeInvalidRequest {
		delete(f.store.calls, "Customer")
	}
	assert.Empty(t, f.store.calls)
	return p
}

// TestBadWishes: what cannot be understood is 400, what is understood and refused 422, with all of its faults at once.
func TestBadWishes(t *testing.T) {
	t.Parallel()
	const malformed, invalid = "malformed_request", tandem.CodeInvalidRequest
	with := func(more string) string { return strings.Replace(linkBody, "}", ","+more+"}", 1) }
	long := strings.Repeat("x", 256)
	for name, tc := range map[string]struct {
		wish, body, code string
		fields           []string
	}{
		"sync_nothing":             {"sync", `{}`, invalid, []string{"action required"}},
		"sync_null":                {"sync", `{"action":null}`, invalid, []string{"action required"}},
		"sync_unknown_action":      {"sync", `{"action":"delete"}`, invalid, []string{"action invalid"}},
		"sync_other_case":          {"sync", `{"action":"Sync"}`, invalid, []string{"action invalid"}},
		"sync_wrong_types":         {"sync", `{"action":1,"provider":[],"winner":"platform"}`, malformed, []string{"action wrong_type", "provider wrong_type", "winner wrong_type"}},
		"sync_unknown_field":       {"sync", `{"action":"sync","force":true}`, malformed, []string{"force unknown_field"}},
		"sync_duplicate":           {"sync", `{"action":"sync","action":"skip"}`, malformed, []string{"action duplicate"}},
		"sync_duplicate_winner":    {"sync", `{"action":"resolve","winner":{"name":"platform","name":"provider"}}`, malformed, []string{"winner.name duplicate"}},
		"sync_unknown_provider":    {"sync", `{"action":"sync","provider":"paypal"}`, invalid, []string{"provider provider_unknown"}},
		"retry_unknown_provider":   {"sync", `{"action":"retry","provider":"Stripe"}`, invalid, []string{"provider provider_unknown"}},
		"retry_with_winner":        {"sync", `{"action":"retry","winner":{"name":"platform"}}`, invalid, []string{"winner not_allowed"}},
		"sync_nul":                 {"sync", `{"action":"sy\u0000nc"}`, invalid, []string{"action invalid_characters"}},
		"resolve_without_winner":   {"sync", `{"action":"resolve"}`, invalid, []string{"winner required"}},
		"resolve_nothing":          {"sync", `{"action":"resolve","winner":{}}`, invalid, []string{"winner required"}},
		"resolve_null":             {"sync", `{"action":"resolve","winner":null}`, invalid, []string{"winner required"}},
		"resolve_nobody_wins":      {"sync", `{"action":"resolve","winner":{"name":"hold","email":null}}`, invalid, []string{"winner.email required", "winner.name invalid"}},
		"resolve_no_such_field":    {"sync", `{"action":"resolve","winner":{"status":"platform","metadata.":"platform","address_city":"provider"}}`, invalid, []string{"winner.address_city unknown_field", "winner.metadata. unknown_field", "winner.status unknown_field"}},
		"resolve_unknown_provider": {"sync", `{"action":"resolve","provider":"paypal","winner":{"name":"x"}}`, invalid, []string{"provider provider_unknown", "winner.name invalid"}},

		"link_nothing":            {"link", `{}`, invalid, []string{"entity_id required", "provider_type required", "provider_entity_id required"}},
		"link_nulls":              {"link", `{"entity_id":null,"provider_type":null,"provider_entity_id":null}`, invalid, []string{"entity_id required", "provider_type required", "provider_entity_id required"}},
		"link_another_entity":     {"link", with(`"entity_type":"invoice"`), invalid, []string{"entity_type invalid"}},
		"link_shapeless_customer": {"link", strings.Replace(linkBody, idA, "42", 1), invalid, []string{"entity_id customer_not_found"}},
		"link_unknown_provider":   {"link", strings.Replace(linkBody, "stripe", "paypal", 1), invalid, []string{"provider_type provider_unknown"}},
		"link_long_remote":        {"link", strings.Replace(linkBody, "cus_1", long, 1), invalid, []string{"provider_entity_id too_long"}},
		"link_blank_remote":       {"link", strings.Replace(linkBody, "cus_1", "cus 1", 1), invalid, []string{"provider_entity_id invalid"}},
		"link_control_remote":     {"link", strings.Replace(linkBody, "cus_1", `cus_1\n`, 1), invalid, []string{"provider_entity_id invalid"}},
		"link_nul_remote":         {"link", strings.Replace(linkBody, "cus_1", `\u0000`, 1), invalid, []string{"provider_entity_id invalid_characters"}},
		"link_nobody_wins":        {"link", with(`"winner":"hold"`), invalid, []string{"winner invalid"}},
		"link_wrong_types":        {"link", `{"entity_id":1,"provider_type":{},"provider_entity_id":[],"winner":true}`, malformed, []string{"entity_id wrong_type", "provider_type wrong_type", "provider_entity_id wrong_type", "winner wrong_type"}},
		"link_read_only":          {"link", with(`"id":"` + eimA + `","state":"synced","base":{},"version":1`), malformed, []string{"id read_only", "state read_only", "base read_only", "version read_only"}},
		"link_unknown_field":      {"link", with(`"claim":{},"metadata":{}`), malformed, []string{"claim unknown_field", "metadata unknown_field"}},

		"note_nothing":     {"note", `{}`, invalid, []string{"metadata required"}},
		"note_wrong_type":  {"note", `{"metadata":["a"]}`, malformed, []string{"metadata wrong_type"}},
		"note_value_types": {"note", `{"metadata":{"n":1,"o":{}}}`, malformed, []string{"metadata.n wrong_type", "metadata.o wrong_type"}},
		"note_duplicate":   {"note", `{"metadata":{"a":"1","a":"2"}}`, malformed, []string{"metadata.a duplicate"}},
		"note_read_only":   {"note", `{"metadata":{},"provider_entity_id":"cus_2","entity_id":"` + idB + `","state":"archived"}`, malformed, []string{"provider_entity_id read_only", "entity_id read_only", "state read_only"}},
		"note_unknown":     {"note", `{"metadata":{},"claim":null}`, malformed, []string{"claim unknown_field"}},
		"note_empty_key":   {"note", `{"metadata":{"":"x"}}`, invalid, []string{"metadata invalid"}},
		"note_bad_text":    {"note", "{\"metadata\":{\"a\":\"\\u0000\",\"b\\u0000\":\"x\",\"c\":\"\xff\"}}", invalid, []string{"metadata.a invalid_characters", "metadata.c invalid_characters", "metadata.b\x00 invalid_characters"}},
		"note_our_keys": {
			"note", `{"metadata":{"created_via":"x","sync_direction":null,"webhook_id":"x","webhook_event":"x","last_webhook_id":"x","last_webhook_event":"x","stripe_customer_email":"x","stripe_customer_name":"","mine":"x"}}`, invalid,
			[]string{
				"metadata.created_via reserved", "metadata.last_webhook_event reserved", "metadata.last_webhook_id reserved",
				"metadata.stripe_customer_email reserved", "metadata.stripe_customer_name reserved", "metadata.sync_direction reserved",
				"metadata.webhook_event reserved", "metadata.webhook_id reserved",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := http.StatusUnprocessableEntity
			if tc.code == malformed {
				status = http.StatusBadRequest
			}
			assert.Equal(t, tc.fields, refused(t, tc.wish, tc.body, status, tc.code).fields())
		})
	}
}

// TestBadWishBodies sends to every route what none of them reads.
func TestBadWishBodies(t *testing.T) {
	t.Parallel()
	for wish := range wishes {
		for name, tc := range map[string]struct {
			body   string
			header []string
			status int
			code   string
		}{
			"no_body":    {"", []string{"Content-Type", "application/json"}, http.StatusBadRequest, "malformed_request"},
			"not_json":   {`{"a":`, nil, http.StatusBadRequest, "malformed_request"},
			"array":      {`[]`, nil, http.StatusBadRequest, "malformed_request"},
			"null":       {`null`, nil, http.StatusBadRequest, "malformed_request"},
			"garbage":    {`{} {}`, nil, http.StatusBadRequest, "malformed_request"},
			"no_type":    {`{}`, []string{"Content-Type", ""}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
			"form":       {`a=b`, []string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
			"compressed": {`{}`, []string{"Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
			"too_large":  {`{"a":"` + strings.Repeat("a", 64<<10) + `"}`, nil, http.StatusRequestEntityTooLarge, "body_too_large"},
		} {
			t.Run(wish+"_"+name, func(t *testing.T) {
				t.Parallel()
				refused(t, wish, tc.body, tc.status, tc.code, tc.header...)
			})
		}
	}
}

// FuzzWish sends any body to every one of these routes. Every answer fits openapi.yaml, and what gets through is one of
// the words that the workflows know.
func FuzzWish(f *testing.F) {
	for _, body := range []string{
		linkBody, `{"action":"sync"}`, `{"action":"resolve","winner":{"name":"platform"}}`, `{"metadata":{"a":"b"}}`, `{"metadata":null}`,
		`{"winner":{"a":{"b":[1]}}}`, `{"action":"\ud800"}`, "{\"entity_id\":\"\xff\"}", `{"a":1,"a":2}`, `null`, ` `,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		fix := setup(t)
		fix.existing()
		fix.linked()
		for _, to := range wishes {
			method, path, _ := strings.Cut(to, " ")
			r := fix.call(t, method, path, string(body), "Content-Type", "application/json")
			assert.Contains(t, []int{200, 201, 202, 400, 413, 422}, r.status)
		}
		for _, w := range fix.starter.wishes {
			if l, ok := w.(tandem.Link); ok {
				assert.Equal(t, idA, l.CustomerID)
				assert.NotContains(t, l.RemoteID, "\x00")
			}
		}
	})
}
