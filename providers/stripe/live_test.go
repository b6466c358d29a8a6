package stripe_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/providertest"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// TestContractAtStripe runs the same contract against Stripe itself. It deletes every customer it makes.
func TestContractAtStripe(t *testing.T) {
	t.Parallel()
	key := os.Getenv("STRIPE_TEST_API_KEY")
	if key == "" {
		t.Skip("to run it against Stripe itself: STRIPE_TEST_API_KEY=sk_test_… go test -run TestContractAtStripe ./providers/stripe")
	}
	p, err := stripe.New(stripe.Config{APIKey: key, WebhookSecrets: []string{providertest.SecretOld, providertest.SecretNew}})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	require.False(t, p.Livemode(), "a live key: these tests make and delete customers")
	providertest.Exercise(t, func(t *testing.T) providertest.Account { return &account{Provider: p, t: t, key: key} })
}

// account is a test account at Stripe.
type account struct {
	*stripe.Provider
	t   *testing.T
	key string
}

// Create sees to it that the customer goes with the test. The test's own context is over by then.
func (a *account) Create(ctx context.Context, key string, body tandem.Patch) (tandem.RemoteState, error) {
	s, err := a.Provider.Create(ctx, key, body)
	if err == nil {
		a.t.Cleanup(func() {
			_, err := a.Delete(context.Background(), s.RemoteID)
			require.NoError(a.t, err, "left behind at Stripe: %s", s.RemoteID)
		})
	}
	return s, err
}

func (*account) Break(t *testing.T, f providertest.Fault) {
	t.Helper()
	t.Skipf("nobody can make Stripe %s", f)
}

func (*account) Creates(*testing.T) (int, bool) { return 0, false }

// Event reads the event that Stripe made; it is there a moment after the customer.
func (a *account) Event(t *testing.T, remoteID string) []byte {
	t.Helper()
	var body []byte
	require.Eventually(t, func() bool {
		body = a.findEvent(t, remoteID)
		return body != nil
	}, time.Minute, time.Second)
	return body
}

func (a *account) findEvent(t *testing.T, remoteID string) []byte {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.stripe.com/v1/events?type=customer.created&limit=100", nil)
	if err != nil {
		return nil
	}
	req.SetBasicAuth(a.key, "")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	var list struct{ Data []json.RawMessage }
	if json.NewDecoder(res.Body).Decode(&list) != nil {
		return nil
	}
	for _, raw := range list.Data {
		if e, err := a.ParseEvent(raw); err == nil && e.ObjectID == remoteID {
			return raw
		}
	}
	return nil
}

func (*account) Sign(body []byte, at time.Time, secret string) http.Header {
	h := http.Header{}
	h.Set("Stripe-Signature", stripetest.Sign(body, at, secret))
	return h
}
