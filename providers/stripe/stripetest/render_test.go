package stripetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The pages of customers are written by hand, for speed. What they say is
// encoding/json's to decide.
func TestPagesLookAsEncodingJSONWritesThem(t *testing.T) {
	t.Parallel()
	odd := "\"\\/<>& \x00\n\u2028é山🎉\xff"
	full := &Customer{
		ID: "cus_1", Created: 1, Name: odd, Email: "a@b.org", Phone: "1", Description: odd,
		Address: Address{"city": odd, "line2": ""}, Metadata: map[string]string{"b": odd, "a": "1", odd: ""},
		Shipping:         &Shipping{Address: Address{}, Name: odd, Phone: "2"},
		PreferredLocales: []string{"nb", odd}, Balance: -5, Currency: "eur", DefaultSource: "src_1", Delinquent: true,
		InvoicePrefix: "ABC", NextInvoiceSequence: 3, TaxExempt: "exempt", DefaultPaymentMethod: "pm_1", InvoiceFooter: odd,
	}
	by := "req_1"
	about := func(object any, previous map[string]any, by eventRequest) eventBody {
		e := event{id: "evt_1", typ: "customer.updated", created: 5, object: object, previous: previous, request: by}
		return e.body("2023-10-16")
	}
	for name, data := range map[string][]any{
		"nobody": {}, "a bare one": {&Customer{}}, "a deleted one": {&Customer{ID: "cus_2", Deleted: true}},
		"empty hashes": {&Customer{Metadata: map[string]string{}, PreferredLocales: []string{}, Shipping: &Shipping{}, Address: Address{}}},
		"several":      {full, &Customer{}, full},
		"events": {
			about(full, map[string]any{"name": odd, "metadata": map[string]any{}, "address": map[string]any{"city": nil}}, eventRequest{ID: &by}),
			about(&Customer{ID: "cus_2", Deleted: true}, map[string]any{}, eventRequest{ID: &by, IdempotencyKey: &odd}),
			about(json.RawMessage(`{"id":"in_1", "lines":[1,{}, [ ]],"u":"<\u2028\u00e9>"}`), nil, eventRequest{}),
		},
	} {
		list := listBody{Object: "list", Data: data, HasMore: len(data) > 1, URL: "/v1/customers"}
		require.Equal(t, string(render(list)), string(page(list).render()), name)
	}
}

// crowded is a stand-in with n customers as a sync meets them, four a second.
func crowded(tb testing.TB, n int) *Server {
	tb.Helper()
	s, err := New(Options{})
	require.NoError(tb, err)
	tb.Cleanup(s.Close)
	_, err = s.SeedCrowd(Crowd{Size: n, From: time.Unix(1_600_000_000, 0), Apart: 250 * time.Millisecond, Each: func(i int, c *Customer) {
		c.Name, c.Email = fmt.Sprint("Customer ", i), fmt.Sprintf("c%d@example.org", i)
		c.Address = Address{"line1": "Straße 9", "city": "München", "country": "DE"}
		c.Metadata["plan"], c.Metadata["tandem_customer_id"] = "pro", fmt.Sprint(i)
	}})
	require.NoError(tb, err)
	return s
}

// BenchmarkListPage says what a page of a hundred costs, wherever it lies.
func BenchmarkListPage(b *testing.B) {
	s := crowded(b, 100_000)
	for name, query := range map[string]string{
		"newest":    "",
		"old range": "&created[gte]=1600000100&created[lt]=1600000200",
		"no one":    "&created[lt]=100",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, "/v1/customers?limit=100"+query, http.NoBody)
				r.Header.Set("Authorization", "Bearer sk_test_x")
				w := &httptest.ResponseRecorder{Body: &bytes.Buffer{}}
				s.Handler().ServeHTTP(w, r)
				require.Equal(b, http.StatusOK, w.Code)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/customer")
		})
	}
}
