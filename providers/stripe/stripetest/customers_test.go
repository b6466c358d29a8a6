package stripetest_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestCustomerLife(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Clock: frozen(noon)})

	made := w.ok("POST", "/v1/customers", "email=jane%40example.org&name=Jane&metadata[plan]=a&address[city]=Oslo&address[line2]=")
	require.Regexp(t, `^cus_[0-9A-Za-z]{14}$`, made.id())
	require.EqualValues(t, noon.Unix(), made.body["created"])
	require.Equal(t, "Jane", made.body["name"])
	require.Nil(t, made.body["phone"])
	require.Equal(t, map[string]any{"plan": "a"}, made.body["metadata"])
	require.Equal(t, map[string]any{"city": "Oslo", "country": nil, "line1": nil, "line2": "", "postal_code": nil, "state": nil}, made.body["address"])
	require.Regexp(t, `^[0-9A-F]{8}$`, made.body["invoice_prefix"])
	require.Equal(t, "Fri, 01 Mar 2024 12:00:00 GMT", made.header.Get("Date"))

	path := "/v1/customers/" + made.id()
	require.Equal(t, made.body, w.ok("GET", path, "").body)
	require.Equal(t, made.body, w.ok("POST", path, "").body, "an empty update is fine")

	gone := w.ok("DELETE", path, "")
	require.Equal(t, map[string]any{"id": made.id(), "object": "customer", "deleted": true}, gone.body)
	require.Equal(t, gone.body, w.ok("GET", path, "").body, "a deleted customer answers 200 with its stub")
	for _, again := range []reply{w.must("POST", path, "name=x"), w.must("DELETE", path, "")} {
		require.Equal(t, 404, again.status)
		require.Equal(t, "resource_missing", again.errorField("code"))
		require.Equal(t, "No such customer: '"+made.id()+"'", again.errorField("message"))
	}
	require.Empty(t, w.ok("GET", "/v1/customers", "").body["data"])
}

func TestUpdateSemantics(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		form    string
		replace bool
		want    map[string]any
		events  int
	}{
		"merges metadata":            {form: "metadata[b]=2", want: map[string]any{"metadata": map[string]any{"a": "1", "b": "2"}}, events: 1},
		"deletes a metadata key":     {form: "metadata[a]=", want: map[string]any{"metadata": map[string]any{}}, events: 1},
		"clears metadata":            {form: "metadata=", want: map[string]any{"metadata": map[string]any{}}, events: 1},
		"unsets email":               {form: "email=", want: map[string]any{"email": nil, "name": "Jane"}, events: 1},
		"unsets address":             {form: "address=", want: map[string]any{"address": nil}, events: 1},
		"merges a partial address":   {form: "address[line1]=Way+1", want: map[string]any{"address": address("Oslo", "Way 1")}, events: 1},
		"replaces a partial address": {form: "address[line1]=Way+1", replace: true, want: map[string]any{"address": address(nil, "Way 1")}, events: 1},
		"takes arrays by index":      {form: "preferred_locales[0]=nb&preferred_locales[1]=en", want: map[string]any{"preferred_locales": []any{"nb", "en"}}, events: 1},
		"takes arrays by brackets":   {form: "preferred_locales[]=nb&preferred_locales[]=en", want: map[string]any{"preferred_locales": []any{"nb", "en"}}, events: 1},
		"writes shipping whole": {form: "shipping[name]=J&shipping[address][city]=Oslo", events: 1,
			want: map[string]any{"shipping": map[string]any{"name": "J", "phone": nil, "address": address("Oslo", nil)}}},
		"no change, no event":      {form: "name=Jane", want: map[string]any{"name": "Jane"}},
		"accepts what it ignores":  {form: "cash_balance[settings][reconciliation_mode]=manual", want: map[string]any{"name": "Jane"}},
		"empty tax_exempt is none": {form: "tax_exempt=", want: map[string]any{"tax_exempt": "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, stripetest.Options{Settings: stripetest.Settings{ReplaceAddress: tc.replace}})
			id := w.ok("POST", "/v1/customers", "name=Jane&email=j@x.org&metadata[a]=1&address[city]=Oslo").id()
			got := w.ok("POST", "/v1/customers/"+id, tc.form)
			for field, want := range tc.want {
				require.Equal(t, want, got.body[field], field)
			}
			require.Len(t, w.Events(), 1+tc.events)
		})
	}
}

func address(city, line1 any) map[string]any {
	return map[string]any{"city": city, "country": nil, "line1": line1, "line2": nil, "postal_code": nil, "state": nil}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	id := w.ok("POST", "/v1/customers", "name=x").id()
	long := func(n int) string { return strings.Repeat("å", n) }
	manyKeys := func() string {
		v := url.Values{}
		for i := range 51 {
			v.Set(fmt.Sprintf("metadata[k%d]", i), "v")
		}
		return v.Encode()
	}
	for name, tc := range map[string]struct {
		method, path, form        string
		status                    int
		typ, code, param, message string
	}{
		"unknown parameter": {form: "foo=1", code: "parameter_unknown", param: "foo", message: "Received unknown parameter: foo"},
		"unknown part":      {form: "address[zip]=1", code: "parameter_unknown", param: "address[zip]"},
		"newer parameter":   {form: "business_name=x", code: "parameter_unknown", param: "business_name"},
		"bad email":         {form: "email=x", code: "email_invalid", param: "email", message: "Invalid email address: x"},
		"long name":         {form: "name=" + url.QueryEscape(long(257)), param: "name"},
		"long phone":        {form: "phone=" + strings.Repeat("1", 21), param: "phone"},
		"long email":        {form: "email=" + strings.Repeat("a", 510) + "@x.org", param: "email"},
		"long metadata key": {form: "metadata[" + strings.Repeat("k", 41) + "]=v", param: "metadata"},
		"long metadata value": {form: "metadata[k]=" + strings.Repeat("v", 504), param: "metadata",
			message: "Metadata values can have up to 500 characters, but you passed in a value that is 504 characters. Invalid value: " + strings.Repeat("v", 504)},
		"too many keys":         {form: manyKeys(), param: "metadata"},
		"bracket in key":        {form: "metadata[k[1]]=v", param: "metadata"},
		"nested metadata":       {form: "metadata[k][x]=v", param: "metadata"},
		"bad integer":           {form: "balance=abc", code: "parameter_invalid_integer", param: "balance", message: "Invalid integer: abc"},
		"cannot be unset":       {form: "invoice_prefix=", code: "parameter_invalid_empty", param: "invoice_prefix"},
		"value and hash":        {form: "address=x", param: "address"},
		"bad choice":            {form: "tax_exempt=maybe", param: "tax_exempt"},
		"shipping without name": {form: "shipping[address][city]=x", code: "parameter_missing", param: "shipping[name]"},
		"bad expansion":         {form: "expand[]=nothing", message: "This property cannot be expanded (nothing)."},
		"create-only parameter": {path: "/v1/customers/" + id, form: "test_clock=c", code: "parameter_unknown", param: "test_clock"},
		"unknown customer":      {path: "/v1/customers/cus_no", form: "name=x", status: 404, code: "resource_missing", param: "id", message: "No such customer: 'cus_no'"},
		"unknown on get":        {method: "GET", path: "/v1/customers/cus_no", status: 404, code: "resource_missing", param: "id"},
		"unknown url":           {method: "PUT", path: "/v1/customers/" + id, status: 404},
		"limit too big":         {method: "GET", path: "/v1/customers?limit=101", code: "parameter_invalid_integer", param: "limit"},
		"limit zero":            {method: "GET", path: "/v1/customers?limit=0", code: "parameter_invalid_integer", param: "limit"},
		"both cursors":          {method: "GET", path: "/v1/customers?starting_after=a&ending_before=b"},
		"unknown cursor":        {method: "GET", path: "/v1/customers?starting_after=cus_no", code: "resource_missing", param: "starting_after"},
		"type and types":        {method: "GET", path: "/v1/events?type=a&types[]=b"},
		"search syntax":         {method: "GET", path: "/v1/customers/search?query=nonsense", param: "query"},
		"endpoint without url":  {path: "/v1/webhook_endpoints", form: "enabled_events[]=*", code: "parameter_missing", param: "url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, path, status := "POST", "/v1/customers", 400
			if tc.method != "" {
				method = tc.method
			}
			if tc.path != "" {
				path = tc.path
			}
			if tc.status != 0 {
				status = tc.status
			}
			got := w.must(method, path, tc.form)
			require.Equal(t, status, got.status, "%s", got.raw)
			require.Equal(t, "invalid_request_error", got.errorField("type"))
			for field, want := range map[string]string{"code": tc.code, "param": tc.param, "message": tc.message} {
				if want != "" {
					require.Equal(t, want, got.errorField(field), field)
				}
			}
			if tc.code == "" {
				require.Nil(t, got.errorField("code"))
			}
		})
	}
	t.Cleanup(func() { require.Len(t, w.Customers(), 1, "nothing refused was stored") })
}

func TestKeysAndHeaders(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{APIKeys: []string{"sk_test_good"}})
	for name, auth := range map[string]string{"wrong": "Bearer sk_test_wrong1234", "none": "", "live": "Bearer sk_live_good", "publishable": "Bearer pk_test_x"} {
		r := w.must("GET", "/v1/customers", "", "Authorization", auth)
		require.Equal(t, 401, r.status, name)
		require.Empty(t, r.header.Get("Request-Id"), "a 401 has no request id")
		require.Empty(t, r.header.Get("Stripe-Version"))
	}
	r := w.must("GET", "/v1/customers", "", "Authorization", "Bearer sk_test_wrong1234")
	require.Equal(t, "Invalid API Key provided: sk_test_*****1234", r.errorField("message"))

	r = w.ok("GET", "/v1/account", "", "Authorization", "Basic c2tfdGVzdF9nb29kOg==")
	require.Equal(t, "account", r.body["object"])
	require.Regexp(t, `^req_`, r.header.Get("Request-Id"))
	require.Equal(t, "2023-10-16", r.header.Get("Stripe-Version"))
	require.Empty(t, r.header.Get("Stripe-Should-Retry"))

	w.SetAPIKeys("sk_test_new")
	require.Equal(t, 401, w.must("GET", "/v1/account", "", "Authorization", "Bearer sk_test_good").status)
	require.Equal(t, 200, w.must("GET", "/v1/account", "", "Authorization", "Bearer sk_test_new").status)
}

func TestDateFollowsTheClock(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Clock: frozen(noon)})
	w.AdvanceClock(48 * time.Hour)
	for _, r := range []reply{w.ok("GET", "/v1/customers", ""), w.must("GET", "/v1/customers/x", "")} {
		require.Equal(t, "Sun, 03 Mar 2024 12:00:00 GMT", r.header.Get("Date"))
	}
}

func TestDashboardEdits(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{})
	c, err := w.CreateCustomer(form("name", "Jane", "metadata[a]", "1"))
	require.NoError(t, err)
	c, err = w.EditCustomer(c.ID, form("name", "", "metadata[a]", "2", "delinquent", "true"))
	require.NoError(t, err)
	require.Empty(t, c.Name)
	require.True(t, c.Delinquent)
	_, err = w.EditCustomer(c.ID, form("email", "nonsense"))
	require.ErrorContains(t, err, "email_invalid")
	require.NoError(t, w.DeleteCustomer(c.ID))
	require.Error(t, w.DeleteCustomer(c.ID))
	stub, ok := w.Customer(c.ID)
	require.True(t, ok)
	require.True(t, stub.Deleted)

	ops := w.Operations()
	require.Len(t, ops, 3, "edits that failed are no edits")
	require.Equal(t, []string{"delinquent", "name", "metadata[a]"}, ops[1].Changed)
	for i, op := range ops {
		require.Equal(t, stripetest.ActorDashboard, op.Actor)
		require.Equal(t, i+1, op.Seq)
		require.True(t, op.Applied)
	}
	for _, e := range w.Events() {
		require.NotEmpty(t, e.RequestID)
		require.Empty(t, e.IdempotencyKey)
	}
}
