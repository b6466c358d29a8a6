package stripetest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func TestList(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Clock: frozen(noon)})
	var ids []string // oldest first
	for i := range 25 {
		email := fmt.Sprintf("c%d@x.org", i%5)
		c, err := w.CreateCustomer(form("email", email))
		require.NoError(t, err)
		ids = append(ids, c.ID)
		w.AdvanceClock(time.Second)
	}
	require.NoError(t, w.DeleteCustomer(ids[20]))
	live := slices.Delete(slices.Clone(ids), 20, 21)
	newest := slices.Clone(live)
	slices.Reverse(newest)

	for name, tc := range map[string]struct {
		query string
		want  []string
		more  bool
	}{
		"newest first, ten":        {"", newest[:10], true},
		"limit":                    {"?limit=100", newest, false},
		"starting_after":           {"?limit=5&starting_after=" + newest[4], newest[5:10], true},
		"starting_after near end":  {"?limit=5&starting_after=" + newest[20], newest[21:], false},
		"starting_after a deleted": {"?limit=2&starting_after=" + ids[20], []string{ids[19], ids[18]}, true},
		"ending_before":            {"?limit=5&ending_before=" + newest[10], newest[5:10], true},
		"ending_before near top":   {"?limit=5&ending_before=" + newest[3], newest[:3], false},
		"email":                    {"?email=c1@x.org", []string{ids[21], ids[16], ids[11], ids[6], ids[1]}, false},
		"email is case-sensitive":  {"?email=C1@x.org", nil, false},
		"created":                  {fmt.Sprintf("?created=%d", noon.Unix()+3), ids[3:4], false},
		"created range":            {fmt.Sprintf("?created[gt]=%d&created[lte]=%d", noon.Unix()+1, noon.Unix()+3), []string{ids[3], ids[2]}, false},
		"from below a range":       {fmt.Sprintf("?limit=1&created[gt]=%d&created[lte]=%d&ending_before=%s", noon.Unix()+1, noon.Unix()+3, ids[0]), []string{ids[2]}, true},
		"from above a range":       {fmt.Sprintf("?created[gt]=%d&created[lte]=%d&ending_before=%s", noon.Unix()+1, noon.Unix()+3, ids[9]), nil, false},
		"created lower":            {fmt.Sprintf("?created[lt]=%d&created[gte]=%d", noon.Unix()+2, noon.Unix()), []string{ids[1], ids[0]}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.ok("GET", "/v1/customers"+tc.query, "")
			require.Equal(t, tc.want, r.ids())
			require.Equal(t, tc.more, r.body["has_more"])
			require.Equal(t, "/v1/customers", r.body["url"])
			require.Equal(t, "list", r.body["object"])
		})
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Clock: frozen(noon), Settings: stripetest.Settings{SearchLag: time.Minute}})
	a, err := w.CreateCustomer(form("email", "Jane@X.org", "metadata[k]", "it's"))
	require.NoError(t, err)
	b, err := w.CreateCustomer(form("email", "joe@x.org", "metadata[k]", "v"))
	require.NoError(t, err)
	search := func(query string) []string {
		return w.ok("GET", "/v1/customers/search?"+form("query", query, "limit", "1", "expand[]", "total_count").Encode(), "").ids()
	}
	require.Empty(t, search(`metadata['k']:'v'`), "the index lags")
	w.AdvanceClock(time.Minute)
	require.Equal(t, []string{b.ID}, search(`metadata['k']:'v'`))
	require.Equal(t, []string{a.ID}, search(`metadata["k"]:'it\'s'`))
	require.Equal(t, []string{a.ID}, search(`email:'jane@x.org' AND metadata['k']:"it's"`))
	require.Empty(t, search(`email:'jane@x.org' AND metadata['k']:'v'`))

	either := "/v1/customers/search?" + form("query", `email:'jane@x.org' OR metadata['k']:'v'`, "limit", "1", "expand[]", "total_count").Encode()
	page := w.ok("GET", either, "")
	require.Equal(t, []string{b.ID}, page.ids())
	require.EqualValues(t, 2, page.body["total_count"])
	page = w.ok("GET", either+"&page="+page.body["next_page"].(string), "")
	require.Equal(t, []string{a.ID}, page.ids())
	require.Nil(t, page.body["next_page"])

	_, err = w.EditCustomer(b.ID, form("metadata[k]", "w"))
	require.NoError(t, err)
	require.Equal(t, []string{b.ID}, search(`metadata['k']:'v'`), "search still sees the past")
	require.NoError(t, w.DeleteCustomer(b.ID))
	require.Empty(t, search(`metadata['k']:'v'`))
}

func TestEventList(t *testing.T) {
	t.Parallel()
	refused := newReceiver(t, func(n int) int { return 500 })
	w := setup(t, stripetest.Options{Clock: frozen(noon), Settings: stripetest.Settings{MaxAttempts: 1}})
	id := w.ok("POST", "/v1/customers", "name=a").id()
	ep := w.AddWebhookEndpoint(refused.URL)
	w.ok("POST", "/v1/customers/"+id, "name=b")
	w.ok("DELETE", "/v1/customers/"+id, "")
	_, err := w.Emit("invoice.paid", []byte(`{"id":"in_1","object":"invoice"}`))
	require.NoError(t, err)
	w.idle()
	require.NoError(t, w.EnableEndpoint(ep.ID, false))

	var all []string // newest first
	for _, e := range slices.Backward(w.Events()) {
		all = append(all, e.ID)
	}
	for query, want := range map[string][]string{
		"":                       all,
		"?type=customer.*":       all[1:],
		"?type=customer.deleted": all[1:2],
		"?types[]=customer.created&types[]=customer.updated": all[2:],
		"?types[0]=invoice.paid":                             all[:1],
		"?delivery_success=true":                             all[3:],
		"?delivery_success=false":                            all[:3],
		"?limit=2&ending_before=" + all[3]:                   all[1:3],
		"?starting_after=" + all[2]:                          all[3:],
		fmt.Sprintf("?created[gt]=%d", noon.Unix()):          nil,
	} {
		require.Equal(t, want, w.ok("GET", "/v1/events"+query, "").ids(), query)
	}
	require.Equal(t, all[0], w.ok("GET", "/v1/events/"+all[0], "").id())

	w.AdvanceClock(30*24*time.Hour + time.Second)
	require.Empty(t, w.ok("GET", "/v1/events", "").body["data"], "events expire after 30 days")
	require.Equal(t, 404, w.must("GET", "/v1/events/"+all[0], "").status)
}

// Filters, cursors and limit of one list work together: what the cursor has
// passed stays passed, whatever the filters leave out.
func TestEventFiltersTogether(t *testing.T) {
	t.Parallel()
	w := setup(t, stripetest.Options{Clock: frozen(noon)})
	for range 4 { // created and updated, one second apart
		id := w.ok("POST", "/v1/customers", "name=a").id()
		w.ok("POST", "/v1/customers/"+id, "name=b")
		_, err := w.Emit("invoice.paid", []byte(`{"id":"in_1","object":"invoice"}`))
		require.NoError(t, err)
		w.AdvanceClock(time.Second)
	}
	var made []string // customer events, newest first
	for _, e := range slices.Backward(w.Events()) {
		if e.Type != "invoice.paid" {
			made = append(made, e.ID)
		}
	}
	first := noon.Unix()
	types := "?types[]=customer.created&types[]=customer.updated&types[]=customer.deleted"
	for query, want := range map[string]struct {
		ids  []string
		more bool
	}{
		"&limit=3":                                       {made[:3], true},
		"&limit=3&starting_after=" + made[4]:             {made[5:], false},
		"&limit=2&starting_after=" + made[2]:             {made[3:5], true},
		fmt.Sprintf("&limit=3&created[gte]=%d", first+2): {made[:3], true},
		fmt.Sprintf("&limit=3&created[gte]=%d&starting_after=%s", first+2, made[2]):                     {made[3:4], false},
		fmt.Sprintf("&limit=2&created[gte]=%d&created[lt]=%d", first+1, first+2):                        {made[4:6], false},
		fmt.Sprintf("&created[gt]=%d&created[lte]=%d&delivery_success=true", first, first+1):            {made[4:6], false},
		fmt.Sprintf("&created=%d&delivery_success=false", first):                                        {nil, false},
		fmt.Sprintf("&limit=1&created[lt]=%d&ending_before=%s&delivery_success=true", first+1, made[7]): {made[6:7], false},
	} {
		r := w.ok("GET", "/v1/events"+types+query, "")
		require.Equal(t, want.ids, r.ids(), query)
		require.Equal(t, want.more, r.body["has_more"], query)
	}
	for query, param := range map[string]string{
		"?starting_after=evt_no": "starting_after", "?ending_before=evt_no": "ending_before",
		"?created[from]=1": "created[from]", "?created[gte]=x": "created[gte]", "?delivery_success=maybe": "delivery_success",
		"?limit=101": "limit",
	} {
		r := w.must("GET", "/v1/events"+query, "")
		require.Equal(t, 400, r.status, query)
		require.Equal(t, param, r.errorField("param"), query)
	}
	require.Equal(t, 400, w.must("GET", "/v1/events?type=a&types[]=b", "").status)
}
