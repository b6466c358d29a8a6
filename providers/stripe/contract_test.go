package stripe_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/providers/providertest"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// TestContract runs the contract of all providers against the stand-in, and holds every request that the adapter made
// on the way against Stripe's own OpenAPI document.
func TestContract(t *testing.T) {
	t.Parallel()
	tape := &tape{}
	t.Run("stand-in", func(t *testing.T) {
		providertest.Exercise(t, func(t *testing.T) providertest.Account { return standIn(t, tape) })
	})
	t.Run("OpenAPI", tape.check)
}

// standInAccount is the adapter connected to a stand-in of its own.
type standInAccount struct {
	*stripe.Provider
	srv *stripetest.Server
}

func standIn(t *testing.T, tape *tape) providertest.Account {
	t.Helper()
	srv, err := stripetest.Start(stripetest.Options{})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	p, err := stripe.New(stripe.Config{
		APIKey: "sk_test_contract", WebhookSecrets: []string{providertest.SecretOld, providertest.SecretNew},
		BaseURL: srv.URL(), Transport: tape.record(t),
	})
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return standInAccount{p, srv}
}

var faultKinds = map[providertest.Fault]stripetest.FaultKind{
	providertest.Limited: stripetest.RateLimit,
	providertest.Locked:  stripetest.LockTimeout,
	providertest.Down:    stripetest.Error503,
	providertest.Cut:     stripetest.DropBefore,
	providertest.Lost:    stripetest.ApplyDrop,
	providertest.Garbled: stripetest.HTML200,
	providertest.Refused: stripetest.Unauthorized,
	providertest.Denied:  stripetest.Forbidden,
}

func (a standInAccount) Break(t *testing.T, f providertest.Fault) {
	t.Helper()
	require.Contains(t, faultKinds, f)
	a.srv.AddFault(stripetest.Fault{Kind: faultKinds[f]})
}

func (a standInAccount) Creates(*testing.T) (int, bool) {
	n := 0
	for _, op := range a.srv.Operations() {
		if op.Op == "create" && op.Applied {
			n++
		}
	}
	return n, true
}

func (a standInAccount) Event(t *testing.T, remoteID string) []byte {
	t.Helper()
	for _, e := range a.srv.Events() {
		if e.CustomerID == remoteID && e.Type == stripetest.CustomerCreated {
			return e.Body
		}
	}
	require.FailNow(t, "no event tells of the creation", remoteID)
	return nil
}

func (standInAccount) Sign(body []byte, at time.Time, secret string) http.Header {
	h := http.Header{}
	h.Set("Stripe-Signature", stripetest.Sign(body, at, secret))
	return h
}
