package stripe_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// BenchmarkList says what a page of a hundred costs the adapter, and beside it what making the page costs the stand-in
// when it has not been made yet.
func BenchmarkList(b *testing.B) {
	srv, err := stripetest.New(stripetest.Options{})
	require.NoError(b, err)
	b.Cleanup(srv.Close)
	_, err = srv.SeedCrowd(stripetest.Crowd{Size: 1000, From: time.Unix(1_600_000_000, 0), Each: func(i int, c *stripetest.Customer) {
		c.Name, c.Email = fmt.Sprint("Customer ", i), fmt.Sprintf("c%d@example.org", i)
		c.Address = stripetest.Address{"line1": "Straße 9", "city": "München", "country": "DE"}
		c.Metadata["plan"], c.Metadata[tandem.KeyCustomerID] = "pro", fmt.Sprint(i)
	}})
	require.NoError(b, err)
	stored := map[string][]byte{}
	for name, keep := range map[string]bool{"adapter": true, "adapter and stand-in": false} {
		b.Run(name, func(b *testing.B) {
			p, err := stripe.New(stripe.Config{
				APIKey: "sk_test_bench", WebhookSecrets: []string{"whsec_x"},
				Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					body := stored[r.URL.RawQuery]
					if body == nil || !keep {
						w := httptest.NewRecorder()
						srv.Handler().ServeHTTP(w, r.WithContext(context.Background()))
						body = w.Body.Bytes()
						stored[r.URL.RawQuery] = body
					}
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
				}),
			})
			require.NoError(b, err)
			b.Cleanup(p.Close)
			b.ReportAllocs()
			for b.Loop() {
				page, err := p.List(b.Context(), tandem.ListQuery{})
				require.NoError(b, err)
				require.Len(b, page.Items, 100)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/100, "µs/customer")
		})
	}
}
