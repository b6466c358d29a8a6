package stripe_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/providers/stripe"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// What is Stripe's alone, beyond the contract of all providers.

func connect(t *testing.T, turn ...func(*stripe.Config)) (*stripe.Provider, *stripetest.Server) {
	t.Helper()
	srv, err := stripetest.Start(stripetest.Options{})
	require.NoError(t, err)
	t.Cleanup(srv.Close)
	cfg := stripe.Config{APIKey: "sk_test_standin", WebhookSecrets: []string{"whsec_standin"}, BaseURL: srv.URL()}
	for _, f := range turn {
		f(&cfg)
	}
	p, err := stripe.New(cfg)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p, srv
}

func to[T any](v T) *T { return &v }

func TestSaved500(t *testing.T) {
	t.Parallel()
	for _, kind := range []stripetest.FaultKind{stripetest.Error500, stripetest.Error500Done} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p, srv := connect(t)
			srv.AddFault(stripetest.Fault{Kind: kind, Op: "create"})
			body := tandem.Patch{Email: to("ada@example.org"), Reserved: map[string]string{tandem.KeyCustomerID: "cust_1"}}
			for range 3 { // the fault strikes once; the rest is Stripe's memory
				_, err := p.Create(t.Context(), "key", body)
				require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err), "%v", err)
				require.Equal(t, stripe.CodeSaved500, tandem.CodeOf(err))
			}
			page, err := p.List(t.Context(), tandem.ListQuery{Email: "ada@example.org"})
			require.NoError(t, err)
			require.Equal(t, kind == stripetest.Error500Done, len(page.Items) == 1, "only a look can tell")
			for _, s := range page.Items {
				require.Equal(t, "cust_1", s.Fields.Reserved[tandem.KeyCustomerID])
			}
		})
	}
}

func TestKeyInUse(t *testing.T) {
	t.Parallel()
	p, srv := connect(t)
	hold := srv.AddFault(stripetest.Fault{Kind: stripetest.Hold, Op: "create"})
	first := make(chan error, 1)
	go func() {
		_, err := p.Create(t.Context(), "key", tandem.Patch{Name: to("Ada")})
		first <- err
	}()
	require.NoError(t, srv.Wait(t.Context(), func() bool { return srv.Faults()[0].Hits == 1 }))
	_, err := p.Create(t.Context(), "key", tandem.Patch{Name: to("Ada")})
	require.Equal(t, tandem.RateLimited, tandem.ClassOf(err), "%v", err)
	require.Equal(t, "idempotency_key_in_use", tandem.CodeOf(err))
	require.True(t, srv.RemoveFault(hold))
	require.NoError(t, <-first)
}

func TestAnswersThatDoNotArriveWhole(t *testing.T) {
	t.Parallel()
	for kind, code := range map[stripetest.FaultKind]string{
		stripetest.Truncate: stripe.CodeNetwork, stripetest.ApplyHang: stripe.CodeTimeout, stripetest.SlowBody: stripe.CodeTimeout,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p, srv := connect(t, func(c *stripe.Config) { c.Timeout = 300 * time.Millisecond })
			srv.AddFault(stripetest.Fault{Kind: kind, Op: "create", Delay: time.Minute})
			_, err := p.Create(t.Context(), "key", tandem.Patch{Name: to("Ada")})
			require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err), "%v", err)
			require.Equal(t, code, tandem.CodeOf(err), "%v", err)
			require.Len(t, srv.Customers(), 1, "it did happen")
			_, err = p.Create(t.Context(), "key", tandem.Patch{Name: to("Ada")})
			require.NoError(t, err)
			require.Len(t, srv.Customers(), 1)
		})
	}
}

// TestAddressWhicheverWayStripeTakesIt: Stripe does not say whether a partial address merges or replaces.
func TestAddressWhicheverWayStripeTakesIt(t *testing.T) {
	t.Parallel()
	for _, replaces := range []bool{true, false} {
		p, srv := connect(t)
		srv.Configure(func(s *stripetest.Settings) { s.ReplaceAddress = replaces })
		made, err := p.Create(t.Context(), "1", tandem.Patch{Address: &tandem.Address{Line1: "1", Line2: "2", City: "Oslo"}})
		require.NoError(t, err)
		want := tandem.Address{Line1: "9", Country: "NO"}
		got, err := p.Update(t.Context(), made.RemoteID, "2", tandem.Patch{Address: &want})
		require.NoError(t, err)
		require.Equal(t, want, got.Fields.Address)
	}
}

func TestForeignFieldsAreLeftAlone(t *testing.T) {
	t.Parallel()
	p, srv := connect(t)
	made, err := p.Create(t.Context(), "1", tandem.Patch{Name: to("Ada"), Metadata: map[string]string{"ours": "1"}})
	require.NoError(t, err)
	_, err = srv.EditCustomer(made.RemoteID, url.Values{"description": {"a friend"}, "metadata[theirs]": {"1"}})
	require.NoError(t, err)
	got, err := p.Update(t.Context(), made.RemoteID, "2", tandem.Patch{Metadata: map[string]string{"ours": ""}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"theirs": "1"}, got.Fields.Metadata)
	c, ok := srv.Customer(made.RemoteID)
	require.True(t, ok)
	require.Equal(t, "a friend", c.Description)
}

// TestTimesAreStripes: the clock of the provider counts, not this machine's.
func TestTimesAreStripes(t *testing.T) {
	t.Parallel()
	p, srv := connect(t)
	at := time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)
	srv.SetClock(func() time.Time { return at })
	s, err := p.Create(t.Context(), "1", tandem.Patch{Name: to("Ada")})
	require.NoError(t, err)
	require.Equal(t, at, s.SeenTo)
	require.Equal(t, at, s.Created)
	require.True(t, s.SeenFrom.Before(at))
}

// TestWhatCheckPassesStripeTakes holds our limits against the stand-in's, which were written down independently.
func TestWhatCheckPassesStripeTakes(t *testing.T) {
	t.Parallel()
	p, _ := connect(t)
	text := func(n int) string {
		r := make([]rune, n)
		for i := range r {
			r[i] = 'é'
		}
		return string(r)
	}
	for limit, patch := range map[int]func(v string) tandem.Patch{
		256:  func(v string) tandem.Patch { return tandem.Patch{Name: &v} },
		20:   func(v string) tandem.Patch { return tandem.Patch{Phone: &v} },
		5000: func(v string) tandem.Patch { return tandem.Patch{Address: &tandem.Address{City: v}} },
		500:  func(v string) tandem.Patch { return tandem.Patch{Metadata: map[string]string{"k": v}} },
		40:   func(v string) tandem.Patch { return tandem.Patch{Metadata: map[string]string{v: "v"}} },
	} {
		for n, fits := range map[int]bool{limit: true, limit + 1: false} {
			body := patch(text(n))
			require.Equal(t, fits, len(p.Check(tandem.Fields{}.With(body))) == 0, "check of %d", n)
			_, err := p.Create(t.Context(), fmt.Sprint("key-", n), body)
			require.Equal(t, fits, err == nil, "%d characters: %v", n, err)
			if !fits {
				require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
			}
		}
	}
}
