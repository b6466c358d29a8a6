package stripe

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const customer1 = `{"id":"cus_1","object":"customer","created":100,"livemode":false,"name":"Ada Lovelace","email":"ada@example.org"}`

// TestOneCallIsOneAttempt breaks reused connections, which is when net/http sends keyed requests again by itself.
func TestOneCallIsOneAttempt(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	cut := hijack(t, "")
	p := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			answering(200, customer1)(w, r)
			return
		}
		posts.Add(1)
		require.Equal(t, "key", r.Header.Get("Idempotency-Key"))
		cut(w, r)
	})
	for range 3 {
		_, err := p.Fetch(t.Context(), "cus_1") // leaves a connection to be reused
		require.NoError(t, err)
		_, err = p.Create(t.Context(), "key", tandem.Patch{Name: ptr("Ada")})
		require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err), "%v", err)
	}
	require.EqualValues(t, 3, posts.Load())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	p := setup(t, func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		http.Redirect(w, r, "/v1/customers/cus_2", http.StatusMovedPermanently)
	})
	_, err := p.Fetch(t.Context(), "cus_1")
	require.Equal(t, tandem.Bug, tandem.ClassOf(err))
	require.EqualValues(t, 1, hits.Load())
}

// lost is a transport that cannot be asked about connections.
type lost struct{}

func (lost) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("lost") }

func TestForeignTransportCountsAsSent(t *testing.T) {
	t.Parallel()
	p := setup(t, nil, func(c *Config) { c.Transport = lost{} })
	_, err := p.Create(t.Context(), "key", tandem.Patch{})
	require.Equal(t, tandem.Ambiguous, tandem.ClassOf(err))
}

func TestSeen(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 7e8)
	date := time.Unix(1_600_000_000, 0).UTC()
	rows := map[string]struct {
		header   string
		took     time.Duration
		from, to time.Time
	}{
		"quick":    {date.Format(http.TimeFormat), 3 * time.Millisecond, date.Add(-2 * time.Second), date},
		"slow":     {date.Format(http.TimeFormat), 2100 * time.Millisecond, date.Add(-4 * time.Second), date},
		"no date":  {"", time.Second, time.Unix(1_699_999_998, 0), time.Unix(1_700_000_000, 0)},
		"bad date": {"yesterday", time.Second, time.Unix(1_699_999_998, 0), time.Unix(1_700_000_000, 0)},
	}
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{header: http.Header{"Date": {r.header}}, took: r.took}
			from, to := c.seen(now)
			require.True(t, r.from.Equal(from), "from %v", from)
			require.True(t, r.to.Equal(to), "to %v", to)
			require.Equal(t, time.UTC, to.Location())
		})
	}
}

func TestAnswerIsARemoteState(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, customer1, "Request-Id", "req_3", "Idempotent-Replayed", "true",
		"Stripe-Should-Retry", "false", "Date", "Mon, 23 Nov 2026 18:30:00 GMT"))
	s, err := p.Create(t.Context(), "key", tandem.Patch{})
	require.NoError(t, err)
	at := time.Date(2026, 11, 23, 18, 30, 0, 0, time.UTC)
	require.Equal(t, tandem.RemoteState{
		Provider: "stripe", RemoteID: "cus_1", Source: tandem.FromResponse,
		SeenFrom: at.Add(-2 * time.Second), SeenTo: at, Created: time.Unix(100, 0).UTC(),
		Fields: tandem.Fields{Name: "Ada Lovelace", Email: "ada@example.org"},
		Absent: []string{"phone", "address", "metadata"},
		Key:    "key", Replayed: true, RequestID: "req_3",
	}, s)
}

func TestObserveAndLogSeeEveryCallAndNobodysName(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var mu sync.Mutex
	var seen []string
	p := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answering(400, stripeError("invalid_request_error", "email_invalid", "email", "Invalid email address: ada"))(w, r)
			return
		}
		answering(200, customer1)(w, r)
	}, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.Observe = func(op string, status int, class string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			require.Positive(t, took)
			seen = append(seen, op+" "+http.StatusText(status)+" "+class)
		}
	})
	_, err := p.Fetch(t.Context(), "cus_1")
	require.NoError(t, err)
	_, err = p.Create(t.Context(), "key", tandem.Patch{Email: ptr("ada")})
	require.Error(t, err)
	require.Equal(t, []string{"fetch OK ", "create Bad Request invalid"}, seen)
	require.Contains(t, log.String(), "email_invalid")
	require.NotContains(t, log.String(), "ada")
	require.NotContains(t, log.String(), "Ada")
	require.NotContains(t, log.String(), testKey)
}
