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

// refusal is a request that must be refused, and how.
type refusal struct {
	name, method, path string
	body               any
	headers            []string
	status             int
	code               string
	faults             []string // field and code of each
}

// TestBadInputIsNamedAndChangesNothing is the one test that does not run beside others: it holds the whole database
// still. Go runs it to its end before it lets the parallel ones go on.
func TestBadInputIsNamedAndChangesNothing(t *testing.T) {
	taken := person("bad-input")
	taken["external_id"] = marker + "-" + taken["email"].(string)
	c := calm.rests(t, calm.create(t, taken).ID)
	reused := "e2e key " + taken["email"].(string)
	calm.rests(t, calm.create(t, object{"name": marker}, "Idempotency-Key", reused).ID)
	calm.stripe.waitIdle(t)
	before := calm.contents(t)

	for _, r := range append(badRequests(c, taken, reused), badWebhooks()...) {
		t.Run(r.name, func(t *testing.T) { // one after the other, so that a change has one cause
			defer func() { before = calm.contents(t) }() // what one has changed is not the next one's fault
			a := calm.call(t, r.method, r.path, r.body, r.headers...)
			faults := a.problem(t, r.status, r.code)
			if r.faults != nil {
				require.ElementsMatch(t, r.faults, faults)
			}
			require.Equal(t, before, calm.contents(t), "it changed something")
		})
	}
	require.Equal(t, http.StatusOK, calm.call(t, http.MethodGet, "/readyz", nil).status)
}

func badRequests(c customer, taken object, reused string) []refusal {
	const customers = "/v1/customers"
	one, unknown := customers+"/"+c.ID, customers+"/cust_01ARZ3NDEKTSV4RRFFQ69G5FAV"
	post, patch, get := http.MethodPost, http.MethodPatch, http.MethodGet
	long := func(n int) string { return strings.Repeat("x", n) }
	keys := object{}
	for i := range 48 {
		keys[fmt.Sprint("k", i)] = "v"
	}
	bad, refused := http.StatusBadRequest, http.StatusUnprocessableEntity
	return []refusal{
		{"no body", post, customers, "", nil, bad, "malformed_request", nil},
		{"no JSON", post, customers, "{", nil, bad, "malformed_request", nil},
		{"an array", post, customers, "[]", nil, bad, "malformed_request", nil},
		{"unknown field", post, customers, object{"emial": "a@example.org"}, nil, bad, "malformed_request", []string{"emial unknown_field"}},
		{"read-only field", post, customers, object{"version": 7}, nil, bad, "malformed_request", []string{"version read_only"}},
		{"wrong types", post, customers, object{"name": 7, "email": []string{}, "metadata": object{"k": 1}}, nil, bad, "malformed_request",
			[]string{"name wrong_type", "email wrong_type", "metadata.k wrong_type"}},
		{"metadata as text", patch, one, object{"metadata": "x"}, nil, bad, "malformed_request", []string{"metadata wrong_type"}},
		{"repeated field", post, customers, `{"name":"a","name":"b"}`, nil, bad, "malformed_request", []string{"name duplicate"}},
		{"another media type", post, customers, "name=a", []string{"Content-Type", "application/x-www-form-urlencoded"},
			http.StatusUnsupportedMediaType, "unsupported_media_type", nil},
		{"65 KiB", post, customers, object{"name": long(65 << 10)}, nil, http.StatusRequestEntityTooLarge, "body_too_large", nil},
		{"no address", post, customers, object{"email": "nobody"}, nil, refused, "invalid_request", []string{"email invalid"}},
		{"an address and a name", patch, one, object{"email": "A <a@example.org>"}, nil, refused, "invalid_request", []string{"email invalid"}},
		{"no country", post, customers, object{"address_country": "XX"}, nil, refused, "invalid_request", []string{"address_country invalid"}},
		{"over-long values", post, customers, object{"name": long(257), "phone": long(21), "metadata": object{"k": long(501), long(41): "v"}}, nil,
			refused, "invalid_request", nil},
		{"over-long name", patch, one, object{"name": long(257)}, nil, refused, "invalid_request", []string{"name too_long"}},
		{"too many metadata keys", patch, one, object{"metadata": keys}, nil, refused, "invalid_request", nil},
		{"reserved metadata", post, customers, object{"metadata": object{"flexprice_customer_id": "x"}}, nil, refused, "invalid_request",
			[]string{"metadata.flexprice_customer_id reserved"}},
		{"NUL", post, customers, `{"name":"a\u0000b"}`, nil, refused, "invalid_request", []string{"name invalid_characters"}},
		{"taken external id", post, customers, object{"external_id": c.ExternalID}, nil, http.StatusConflict, "external_id_taken",
			[]string{"external_id external_id_taken"}},
		{"reused key", post, customers, taken, []string{"Idempotency-Key", reused}, refused, "idempotency_key_reused", nil},
		{"bad key", post, customers, object{}, []string{"Idempotency-Key", long(256)}, bad, "invalid_parameter", nil},
		{"another version", patch, one, object{"name": "x"}, []string{"If-Match", "99"}, http.StatusPreconditionFailed, "version_mismatch", nil},
		{"no version", patch, one, object{"name": "x"}, []string{"If-Match", "soon"}, bad, "invalid_parameter", nil},
		{"no duration", post, customers + "?wait=soon", object{}, nil, bad, "invalid_parameter", []string{"wait invalid"}},
		{"unknown parameter", get, customers + "?colour=blue", nil, nil, bad, "invalid_parameter", nil},
		{"bad limit", get, customers + "?limit=0", nil, nil, bad, "invalid_parameter", nil},
		{"bad cursor", get, customers + "?cursor=%21", nil, nil, bad, "invalid_parameter", nil},
		{"bad status", get, customers + "?status=asleep", nil, nil, bad, "invalid_parameter", nil},
		{"unknown customer", get, unknown, nil, nil, http.StatusNotFound, "customer_not_found", nil},
		{"unknown customer changed", patch, unknown, object{"name": "x"}, nil, http.StatusNotFound, "customer_not_found", nil},
		{"no id", get, customers + "/" + url.PathEscape("cust_' OR 1=1"), nil, nil, http.StatusNotFound, "customer_not_found", nil},
		{"unknown external id", get, customers + "/external/" + marker + "-nobody", nil, nil, http.StatusNotFound, "customer_not_found", nil},
		{"unknown path", get, "/v2/customers", nil, nil, http.StatusNotFound, "not_found", nil},
		{"unknown method", http.MethodDelete, customers, nil, nil, http.StatusMethodNotAllowed, "method_not_allowed", nil},
		{"no API key", post, customers, object{}, []string{"X-Api-Key", ""}, http.StatusUnauthorized, "unauthorized", nil},
		{"wrong API key", get, one, nil, []string{"X-Api-Key", "sk_wrong"}, http.StatusUnauthorized, "unauthorized", nil},
		{"wrong bearer", get, one, nil, []string{"X-Api-Key", "", "Authorization", "Bearer " + apiKey + "x"}, http.StatusUnauthorized, "unauthorized", nil},
	}
}

func badWebhooks() []refusal {
	_, _, body := newEvent("customer.created")
	_, _, other := newEvent("customer.created")
	now := time.Now()
	hook := func(name, body, signature string, status int, code string) refusal {
		headers := []string{"X-Api-Key", "", "Stripe-Signature", signature}
		return refusal{name, http.MethodPost, "/v1/webhooks/stripe", body, headers, status, code, nil}
	}
	bad := http.StatusBadRequest
	huge := strings.Replace(body, `"metadata":{}`, `"metadata":{"k":"`+strings.Repeat("x", 2<<20)+`"}`, 1)
	return []refusal{
		hook("unsigned webhook", body, "", bad, "signature_invalid"),
		hook("webhook signed by nobody", body, "t=1,v1=", bad, "signature_invalid"),
		hook("webhook signed with another secret", body, sign(body, "whsec_another", now), bad, "signature_invalid"),
		hook("webhook with another's signature", body, sign(other, webhookSecret, now), bad, "signature_invalid"),
		hook("webhook changed after signing", strings.Replace(body, marker, "Mallory", 1), sign(body, webhookSecret, now), bad, "signature_invalid"),
		hook("webhook signed an hour ago", body, sign(body, webhookSecret, now.Add(-time.Hour)), bad, "signature_invalid"),
		hook("webhook from the future", body, sign(body, webhookSecret, now.Add(time.Hour)), bad, "signature_invalid"),
		hook("webhook of 2 MiB", huge, sign(huge, webhookSecret, now), http.StatusRequestEntityTooLarge, "body_too_large"),
		hook("signed nonsense", "{", sign("{", webhookSecret, now), bad, "event_invalid"),
		hook("signed array", "[]", sign("[]", webhookSecret, now), bad, "event_invalid"),
		hook("signed event without an id", `{"type":"customer.created"}`, sign(`{"type":"customer.created"}`, webhookSecret, now), bad, "event_invalid"),
		hook("signed nothing", "", sign("", webhookSecret, now), bad, "event_invalid"),
		{"unknown provider", http.MethodPost, "/v1/webhooks/nobody", body,
			[]string{"X-Api-Key", "", "Stripe-Signature", sign(body, webhookSecret, now)}, http.StatusNotFound, "provider_unknown", nil},
	}
}

// contents is a digest of every table, by name.
func (s *stack) contents(t tester) map[string]string {
	t.Helper()
	var tables []string
	s.query(t, &tables, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	require.GreaterOrEqual(t, len(tables), 6)
	out := map[string]string{}
	for _, table := range tables {
		var digest string
		s.query(t, &digest, `SELECT count(*) || ' rows, ' || COALESCE(md5(string_agg(r::text, E'\n' ORDER BY r::text)), '') FROM "`+table+`" r`)
		out[table] = digest
	}
	return out
}
