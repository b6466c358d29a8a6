package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/spec"
)

// stripe is the part of Stripe's own description of API 2023-10-16 that the
// stand-in claims to follow.
type stripe struct {
	paths      map[string]map[string]*spec.Operation
	schemas    map[string]*spec.Schema
	fixtures   spec.Fixtures
	components *spec.ComponentsForValidation
	validators sync.Map // by schema; building one takes longer than using it
}

var testedPaths = []string{
	"/v1/customers", "/v1/customers/{customer}", "/v1/customers/search", "/v1/account",
	"/v1/events", "/v1/events/{id}", "/v1/webhook_endpoints", "/v1/webhook_endpoints/{webhook_endpoint}",
}

// Read once, and only what is needed: the document has six megabytes.
var loadStripe = sync.OnceValue(func() *stripe {
	var doc struct {
		Paths      map[string]json.RawMessage
		Components spec.Components
	}
	s := &stripe{paths: map[string]map[string]*spec.Operation{}}
	err := errors.Join(json.Unmarshal(embedded.OpenAPISpec, &doc), json.Unmarshal(embedded.OpenAPIFixtures, &s.fixtures))
	for _, path := range testedPaths {
		var ops map[string]*spec.Operation
		err = errors.Join(err, json.Unmarshal(doc.Paths[path], &ops))
		s.paths[path] = ops
	}
	if err != nil {
		panic(err)
	}
	s.schemas = doc.Components.Schemas
	s.components = spec.GetComponentsForValidation(&doc.Components)
	return s
})

func (s *stripe) operation(t *testing.T, method, path string) *spec.Operation {
	t.Helper()
	op := s.paths[path][strings.ToLower(method)]
	require.NotNil(t, op, "%s %s", method, path)
	return op
}

func (s *stripe) validator(t *testing.T, schema *spec.Schema) interface{ Validate(any) error } {
	t.Helper()
	if v, ok := s.validators.Load(schema); ok {
		return v.(interface{ Validate(any) error })
	}
	v, err := spec.GetValidatorForOpenAPI3Schema(schema, s.components)
	require.NoError(t, err)
	s.validators.Store(schema, v)
	return v
}

// fits validates a body and holds its keys to the schema, which by itself
// would let extra ones pass.
func (s *stripe) fits(t *testing.T, schema *spec.Schema, raw []byte) {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(raw, &v), "%s", raw)
	require.NoError(t, s.validator(t, schema).Validate(v), "%s", raw)
	require.Empty(t, s.misfits("", schema, v), "%s", raw)
}

// misfits lists what the borrowed validator lets pass: keys the schema does
// not know, and whatever is wrong behind a nullable anyOf, which it skips.
func (s *stripe) misfits(at string, schema *spec.Schema, v any) []string {
	switch {
	case schema == nil || v == nil && schema.Nullable:
		return nil
	case schema.Ref != "":
		return s.misfits(at, s.schemas[strings.TrimPrefix(schema.Ref, "#/components/schemas/")], v)
	case len(schema.AnyOf) > 0:
		var least []string
		for i, branch := range schema.AnyOf {
			if found := s.misfits(at, branch, v); i == 0 || len(found) < len(least) {
				least = found
			}
		}
		return least
	case schema.Type != "" && !isOf(schema.Type, v):
		return []string{at}
	}
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for _, name := range schema.Required {
			if _, ok := v[name]; !ok {
				out = append(out, at+"."+name)
			}
		}
		for key, sub := range v {
			if known := schema.Properties[key]; known != nil {
				out = append(out, s.misfits(at+"."+key, known, sub)...)
			} else if len(schema.Properties) > 0 {
				out = append(out, at+"."+key)
			}
		}
	case []any:
		for _, sub := range v {
			out = append(out, s.misfits(at+"[]", schema.Items, sub)...)
		}
	}
	return out
}

func isOf(typ string, v any) bool {
	switch v := v.(type) {
	case string:
		return typ == spec.TypeString
	case bool:
		return typ == spec.TypeBoolean
	case float64:
		return typ == spec.TypeNumber || typ == spec.TypeInteger && v == float64(int64(v))
	case map[string]any:
		return typ == spec.TypeObject
	case []any:
		return typ == spec.TypeArray
	}
	return false
}

func keysOf(t *testing.T, raw []byte) []string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(raw, &m))
	return slices.Sorted(maps.Keys(m))
}

func (s *stripe) fixtureKeys(t *testing.T, resource string) []string {
	t.Helper()
	m, ok := s.fixtures.Resources[spec.ResourceID(resource)].(map[string]any)
	require.True(t, ok, resource)
	return slices.Sorted(maps.Keys(m))
}

// request drives the API by handler and holds every answer to its schema.
func (s *stripe) request(t *testing.T, srv *Server, method, pattern, path, form string) []byte {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(form))
	req.Header.Set("Authorization", "Bearer sk_test_x")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Idempotency-Key", method+path+form)
	rec := httptest.NewRecorder()
	srv.Handler().ServeHTTP(rec, req)
	status := spec.StatusCode("200")
	if rec.Code != http.StatusOK {
		status = "default"
	}
	body := s.operation(t, method, pattern).Responses[status].Content["application/json"].Schema
	s.fits(t, body, rec.Body.Bytes())
	return rec.Body.Bytes()
}

func TestEveryAnswerFitsStripesSchema(t *testing.T) {
	t.Parallel()
	s := loadStripe()
	srv, err := New(Options{})
	require.NoError(t, err)
	defer srv.Close()

	const customers, customer = "/v1/customers", "/v1/customers/{customer}"
	do := func(method, pattern, path, form string) []byte { return s.request(t, srv, method, pattern, path, form) }
	bare := do("POST", customers, customers, "")
	require.Equal(t, s.fixtureKeys(t, "customer"), keysOf(t, bare))
	full := do("POST", customers, customers, "name=a&email=a@b.org&phone=1&description=d&address[city]=Oslo&metadata[k]=v&"+
		"preferred_locales[]=nb&shipping[name]=n&shipping[address][city]=x&tax_exempt=exempt&balance=3&invoice_settings[footer]=f")
	require.Equal(t, s.fixtureKeys(t, "customer"), keysOf(t, full))
	do("POST", customers, customers, "name=a&email=a@b.org") // …and a replay
	do("POST", customers, customers, "name=a&email=a@b.org")

	id := srv.Customers()[0].ID
	path := customers + "/" + id
	do("GET", customer, path, "")
	do("POST", customer, path, "name=b&metadata[x]=y&address[line1]=l")
	do("GET", customers, customers+"?limit=1", "")
	do("GET", "/v1/customers/search", customers+"/search?query=email:'a@b.org'&limit=1", "")
	do("DELETE", customer, path, "")
	do("GET", customer, path, "")
	do("DELETE", customer, path, "")
	do("GET", "/v1/account", "/v1/account", "")

	made := do("POST", "/v1/webhook_endpoints", "/v1/webhook_endpoints", "url=http://127.0.0.1:1&enabled_events[]=*&metadata[a]=b")
	require.Contains(t, keysOf(t, made), "secret")
	listed := do("GET", "/v1/webhook_endpoints", "/v1/webhook_endpoints", "")
	var list struct{ Data []json.RawMessage }
	require.NoError(t, json.Unmarshal(listed, &list))
	require.Equal(t, s.fixtureKeys(t, "webhook_endpoint"), keysOf(t, list.Data[0]))

	for _, bad := range []string{"foo=1", "email=x", "name=" + strings.Repeat("n", 300)} {
		do("POST", customers, customers, bad)
	}
	for _, kind := range []FaultKind{Error500, Error503, RateLimit, LockTimeout, KeyInUse, Unauthorized, Forbidden, BadRequest} {
		srv.AddFault(Fault{Kind: kind})
		do("POST", customers, customers, "name="+string(kind))
	}

	do("GET", "/v1/events", "/v1/events?limit=100", "")
	do("GET", "/v1/events", "/v1/events?types[]=customer.created&types[]=customer.deleted&created[gte]=1&delivery_success=true&limit=1", "")
	do("GET", "/v1/events", "/v1/events?starting_after=evt_no", "")
	for _, e := range srv.Events() {
		raw := do("GET", "/v1/events/{id}", "/v1/events/"+e.ID, "")
		require.Equal(t, s.fixtureKeys(t, "event"), keysOf(t, raw))
	}
}

// The object inside an event is the schema's customer too.
func TestEventBodiesFitStripesSchema(t *testing.T) {
	t.Parallel()
	s := loadStripe()
	srv, err := New(Options{})
	require.NoError(t, err)
	defer srv.Close()
	for range 2 { // the second deletion shows the stub
		c, err := srv.CreateCustomer(nil)
		require.NoError(t, err)
		_, err = srv.EditCustomer(c.ID, map[string][]string{"name": {"a"}, "address[city]": {"x"}})
		require.NoError(t, err)
		require.NoError(t, srv.DeleteCustomer(c.ID))
	}
	stubs := 0
	for _, e := range srv.Events() {
		s.fits(t, s.schemas["event"], e.Body)
		var body struct {
			Data struct{ Object json.RawMessage }
		}
		require.NoError(t, json.Unmarshal(e.Body, &body))
		schema := "customer"
		if slices.Contains(keysOf(t, body.Data.Object), "deleted") {
			schema = "deleted_customer"
			stubs++
		}
		s.fits(t, s.schemas[schema], body.Data.Object)
	}
	require.Equal(t, 1, stubs)
}

// The checks above would be worth nothing if they let everything pass.
func TestTheSchemaBites(t *testing.T) {
	t.Parallel()
	s := loadStripe()
	schema := s.schemas["customer"]
	validator := s.validator(t, schema)
	good := fields(&Customer{ID: "cus_1", TaxExempt: "none", Metadata: map[string]string{}, PreferredLocales: []string{}})
	require.NoError(t, validator.Validate(good))
	require.Empty(t, s.misfits("", schema, good))
	for field, bad := range map[string]any{"id": nil, "name": 5.0, "tax_exempt": "maybe", "object": "account"} {
		broken := maps.Clone(good)
		broken[field] = bad
		require.Error(t, validator.Validate(broken), field)
	}
	good["business_name"] = nil
	good["invoice_settings"].(map[string]any)["x"] = nil
	good["address"] = "Oslo"
	good["shipping"] = map[string]any{"phone": 5.0}
	require.ElementsMatch(t, []string{".business_name", ".invoice_settings.x", ".address", ".shipping.phone"}, s.misfits("", schema, good))
}

// The allow-lists are Stripe's, name by name and limit by limit.
func TestParametersAreStripes(t *testing.T) {
	t.Parallel()
	s := loadStripe()
	for _, tc := range []struct {
		method, path string
		ours         params
	}{
		{"POST", "/v1/customers", createParams},
		{"POST", "/v1/customers/{customer}", updateParams},
		{"POST", "/v1/webhook_endpoints", endpointParams},
		{"GET", "/v1/customers", listParams},
		{"GET", "/v1/customers/search", searchParams},
		{"GET", "/v1/customers/{customer}", retrieveParams},
		{"GET", "/v1/events", eventListParams},
		{"GET", "/v1/webhook_endpoints", pageParams},
	} {
		t.Run(tc.method+tc.path, func(t *testing.T) {
			t.Parallel()
			op := s.operation(t, tc.method, tc.path)
			theirs := map[string]*spec.Schema{}
			if tc.method == "POST" {
				theirs = op.RequestBody.Content["application/x-www-form-urlencoded"].Schema.Properties
			}
			for _, p := range op.Parameters {
				if p.In == spec.ParameterQuery {
					theirs[p.Name] = p.Schema
				}
			}
			require.Equal(t, slices.Sorted(maps.Keys(theirs)), slices.Sorted(maps.Keys(tc.ours)))
			for name, schema := range theirs {
				if ours := tc.ours[name]; ours.max > 0 && schema.MaxLength > 0 {
					require.Equal(t, schema.MaxLength, ours.max, fmt.Sprintf("length of %s", name))
				}
			}
		})
	}
}
